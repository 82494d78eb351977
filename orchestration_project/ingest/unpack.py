"""The step before a load looks for files: zip archives in landing are unpacked, and their members wait like any file.

    landing/<feed>/sales.zip  ->  archive/<feed>/.unpacked/7/sales.zip/monday.csv, ...
                                  archive/<feed>/zips/2024-03-04.<version>/sales.zip

From then on each member is a file of its own, `sales.zip/monday.csv`, with a batch, a line in the ledger and a place in
the archive. A newer version of an archive says which members there are: one that it lacks is withdrawn in its name.

Each step can be done again. The one rename that gives an unpacked archive its place decides; what a killed load has not
done after it, the next one does. Where the folders are is in `storage.members`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestration_project.contracts.feed import FileFormat
from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.zip_members import Contents, extract, is_zip
from orchestration_project.ingest.candidates import Refused
from orchestration_project.ingest.from_landing import ensure_left_alone
from orchestration_project.ingest.kept_archives import batch_or_day, batch_or_none, delivery_key, member_names
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import archived, ensure_folder, ensure_storable, flush
from orchestration_project.storage.copies import copy_bytes
from orchestration_project.storage.files import FoundFile, ensure_unchanged, find_archived, sha256_of
from orchestration_project.storage.members import (
    ZIP,
    discard_new,
    discover_members,
    has_unpackings,
    kept_zips,
    new_unpacking,
    next_unpacking,
    place_of_zip,
    unfinished,
    unpackings,
)
from orchestration_project.storage.withdrawals import Note, note_of, set_aside, take_back, withdrawals
from orchestration_project.storage.writers import delivered
from orchestration_project.warehouse.connection import alone
from orchestration_project.warehouse.faults import no_room


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The zip archives that are still in landing.

    Attributes:
        refused: those that can't be unpacked.
        changed: the names of those that somebody writes to.
        stuck: by name, why one that was unpacked could not be moved.
    """

    refused: Sequence[Refused] = ()
    changed: Sequence[str] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)

    @property
    def left(self) -> Set[str]:
        """The names of all of them."""
        return {*self.changed, *self.stuck, *(item.file.name for item in self.refused)}


def unpack(session: Session, settled: Set[FoundFile], now: float) -> Unpacked:
    """Unpack the zip archives in landing, whatever batches are asked for: which ones they have shows afterwards.

    Args:
        session: of the load.
        settled: young files that were left alone while the load waited for them.
        now: seconds since the epoch.
    """
    # Before the lock is taken, since most feeds have neither.
    if not (has_unpackings(session.archive) or next(_zips(session), None)):
        return Unpacked()
    with alone(session.connection):
        return _unpack_all(session, settled, now)


def _zips(session: Session) -> Iterator[FoundFile]:
    """The zip archives in landing."""
    workbooks = session.feed.source.format is FileFormat.XLSX
    for file in delivered(session.settings.landing(session.feed.name), session.archive):
        if not file.is_member and is_zip(file.path, workbooks):
            yield file


def _unpack_all(session: Session, settled: Set[FoundFile], now: float) -> Unpacked:
    for folder in unpackings(session.archive):
        _finish(session, folder)
    refused, changed, stuck = list[Refused](), list[str](), dict[str, str]()
    for file in _zips(session):
        try:
            ensure_left_alone(file, settled, now, session.options.settle_seconds)
            if why := _unpack(session, file):
                stuck[file.name] = why
        except FileChanged as error:
            changed.append(error.name)
        except FileRefused as error:
            refused.append(Refused(file, error, batch_or_none(session.batching, file), _sha256(file)))
    discard_new(session.archive)
    return Unpacked(refused, changed, stuck)


def _sha256(file: FoundFile) -> str:
    """The SHA-256 of a refused archive; empty if it has vanished meanwhile."""
    with suppress(OSError):
        return sha256_of(file.path)
    return ""


def _unpack(session: Session, file: FoundFile) -> str:
    """Unpack an archive and take it off landing; returns why the latter can't be done, else nothing.

    Raises:
        FileRefused: it can't be unpacked.
        FileChanged: somebody writes to it.
    """
    ensure_storable(file.name)
    _ensure_newest(session, file)
    archive = session.archive
    folder = new_unpacking(archive)
    copy = folder / ZIP / file.name
    try:
        sha256 = copy_bytes(file.path, copy)
    finally:
        # Of a file that vanished, or that somebody wrote to while it was read, nothing else is told.
        ensure_unchanged(file)
    contents = extract(copy, file.name, folder / file.name, session.settings.max_file_bytes)
    if session.options.snapshot and len(contents.members) > 1:
        raise FileRefused(
            "several_members",
            f"{file.name!r} has {len(contents.members)} files, and each file of this feed is all there is: only one of"
            " them would count. Deliver an archive with a single file",
        )
    # All members have the archive's time: those in it are local times of an unknown zone. That of an archive that was
    # written to again after it was taken would move members without a date into another batch.
    moment = file.taken.mtime_ns if file.taken else file.mtime_ns
    for member in (*discover_members(folder), replace(file, location=str(copy))):
        os.utime(member.path, ns=(moment, moment))
    _flush_all(folder)
    place = next_unpacking(archive)
    folder.rename(place)
    flush(place.parent)
    reached(Point.UNPACKED)
    session.tell(f"{file.name!r} was unpacked: {told(contents)}")
    _finish(session, place, sha256)
    return _cleared(session, file, _place(session, replace(file, mtime_ns=moment), sha256), sha256)


def _cleared(session: Session, file: FoundFile, place: Path, sha256: str) -> str:
    try:
        session.transfer.clear(file, place, sha256)
    except OSError as error:
        if no_room(error):
            raise
        # In a read-only drop folder it stays. Each load unpacks it, and finds that it knows what is in it.
        return str(error.strerror)
    return ""


def told(contents: Contents) -> str:
    """What is in an archive, in words."""
    ignored = f", {contents.ignored} more not looked at: folders, hidden or unfinished files"
    return f"{len(contents.members)} file(s){ignored if contents.ignored else ''}"


def _flush_all(folder: Path) -> None:
    for top, _, _ in os.walk(folder):
        flush(Path(top))


def _ensure_newest(session: Session, file: FoundFile) -> None:
    """Refuse an archive that was written to after it was taken off landing, if a later one of its name came since."""
    if file.taken and any(item.mtime_ns > file.taken.mtime_ns for item in kept_zips(session.archive, file.name)):
        raise FileRefused(
            "delivered_anew",
            f"{file.name!r} was written to after it was unpacked, and a newer archive of its name came since: see which"
            " of them is right, and deliver that one",
        )


def _finish(session: Session, folder: Path, sha256: str = "") -> None:
    """Let an unpacked archive replace the one before it, then give it its place.

    Done again after a kill; then nobody remembers its `sha256`.
    """
    archive, file = session.archive, unfinished(folder)
    if file is None:
        return
    names_in = partial(member_names, cold_archive_url=session.settings.cold_archive_url)
    listed = set(names_in(file))
    batching, other = session.batching, list[FoundFile]()
    place = _place(session, file, sha256 or sha256_of(file.path))
    older = list[FoundFile]()
    for kept in kept_zips(archive, file.name):
        if kept.path != place:
            (older if delivery_key(session.options, kept) == delivery_key(session.options, file) else other).append(
                kept
            )
    # What another archive of the name has, such as that of yesterday, this one does not take away.
    shared = {name for kept in other for name in names_in(kept)}
    lacking = {(name, kept.mtime_ns) for kept in older for name in names_in(kept) if name not in listed | shared}
    _drop_waiting(archive, folder, listed | {name for name, _ in lacking})
    _take_back(archive, file.name, listed)
    for name, moment in sorted(lacking):
        batch = batch_or_none(batching, replace(file, name=name, mtime_ns=moment))
        if batch is not None:
            _withdraw(session, file, name, batching.key(batch))
    ensure_folder(place.parent)
    file.path.replace(place)
    flush(place.parent)
    reached(Point.KEPT)


def _place(session: Session, file: FoundFile, sha256: str) -> Path:
    key = session.batching.key(batch_or_day(session.batching, file))
    return place_of_zip(session.archive, key, sha256, file.name)


def _drop_waiting(archive: Path, folder: Path, names: Set[str]) -> None:
    """Remove members of archives that came before one, and still wait for a load: the newer ones count."""
    for earlier in unpackings(archive):
        if int(earlier.name) < int(folder.name):
            for member in discover_members(earlier):
                if member.name in names:
                    member.path.unlink()


def _take_back(archive: Path, name: str, listed: Set[str]) -> None:
    """Let members count again that an archive lacked, and has now."""
    for item in withdrawals(archive):
        if item.note.lacking == name and item.note.file in listed:
            if item.file or find_archived(archive / item.place):
                take_back(archive, item.place)
            else:
                # Its bytes are lost, and the note would take the new ones out again.
                note_of(archive / item.archived_as).unlink()


def _withdraw(session: Session, file: FoundFile, name: str, key: str) -> None:
    """Withdraw all versions of a member that an archive does not have any more."""
    archive = session.archive
    found = [item.file for item in archived(archive, key) if item.file.name == name]
    for member in found:
        reason = f"the newer version of {file.name} does not have it any more"
        note = Note(
            name, member.cold or sha256_of(member.path), file.name, reason, session.request.now, lacking=file.name
        )
        set_aside(archive, member.path.relative_to(archive).as_posix(), note)
    if found:
        session.tell(f"{name!r} (batch {key}) goes: {reason}")


@contextmanager
def unfolded(files: Iterable[FoundFile], max_bytes: int) -> Iterator[list[FoundFile]]:
    """Files with the members of zip archives in the place of these; the members are gone afterwards.

    Args:
        files: any files.
        max_bytes: how large all members of an archive together may be.

    Raises:
        FileRefused: an archive can't be unpacked.
    """
    with TemporaryDirectory(prefix="orchestration-project-") as work:
        found = list[FoundFile]()
        for number, file in enumerate(files):
            found += _members(file, Path(work) / str(number), max_bytes) if is_zip(file.path, True) else [file]
        yield found


def _members(file: FoundFile, folder: Path, max_bytes: int) -> list[FoundFile]:
    extract(file.path, file.name, folder / file.name, max_bytes)
    members = discover_members(folder)
    for member in members:
        with suppress(OSError):
            os.utime(member.path, ns=(file.mtime_ns, file.mtime_ns))
    return [replace(member, mtime_ns=file.mtime_ns) for member in members]
