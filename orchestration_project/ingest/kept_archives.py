"""Zip archives that were unpacked: which one is a version of which, and which files they have brought.

Here nothing is unpacked or withdrawn; that is done in `unpack` and in `recovery.withdraw`.
"""

from collections.abc import Iterable
from dataclasses import replace

from orchestration_project.errors import FileRefused, RecoveryError
from orchestration_project.formats.zip_members import contents_of
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.session import Session
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.cold import at_hand, noted_members
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.members import kept_zips


def member_names(file: FoundFile, cold_archive_url: str) -> list[str]:
    """The logical names of an archive's members. Of one in the cold archive they were noted, or it is fetched.

    Raises:
        FileRefused: it can't be read.
        ObjectStoreError: the cold archive can't be used, or does not have it.
    """
    inside = noted_members(file.path) if file.cold else None
    if inside is None:
        with at_hand(file, cold_archive_url) as here:
            inside = [*contents_of(here.path, file.name).members]
    return [f"{file.name}/{path}" for path in inside]


def batch_or_none(batching: Batching, file: FoundFile) -> Batch | None:
    """The batch of a file; None if it has none, as an archive with the files of many days."""
    try:
        return batching.batch_for(file)
    except FileRefused:
        return None


def batch_or_day(batching: Batching, file: FoundFile) -> Batch:
    """The batch of an archive, or that of its time."""
    return batch_or_none(batching, file) or batching.current(file.modified_at)


def delivery_key(options: FeedOptions, file: FoundFile) -> str:
    """What of an archive's name and time says of which archive it is a version: its batch, unless the name alone does.

    A name without a date is another archive each day, as that of any other file is.
    """
    return "" if options.by_name else options.batching.key(batch_or_day(options.batching, file))


def brought_by(session: Session, name: str, key: str) -> set[tuple[str, str]]:
    """The files that an archive has brought, in all of its versions: their names and partition keys.

    Args:
        session: of the feed.
        name: the archive's.
        key: the partition key of its batch, where there are several archives of that name; else empty.

    Raises:
        RecoveryError: there are several.
        FileRefused: a kept archive can't be read.
        ObjectStoreError: the cold archive can't be used.
    """
    kept = kept_zips(session.archive, name)
    keys = sorted({delivery_key(session.options, file) for file in kept})
    if len(keys) > 1 and not key:
        raise RecoveryError(f"{name!r} is an archive of the batches {', '.join(keys)}: say which by --batch")
    chosen = [file for file in kept if delivery_key(session.options, file) in ("", key or keys[0])]
    return {found for file in chosen for found in _brought(session, file)}


def _brought(session: Session, file: FoundFile) -> Iterable[tuple[str, str]]:
    for name in member_names(file, session.settings.cold_archive_url):
        batch = batch_or_none(session.batching, replace(file, name=name))
        if batch is not None:
            yield name, session.batching.key(batch)
