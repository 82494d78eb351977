"""What is left half done: rebuilds, withdrawals and drops that were killed, feeds without a definition. Reads only.

The next load or `verify` settles a rebuild or a withdrawal (`ingest.batching`); until then somebody who asks is told. A
drop that was killed looks like a feed that was renamed or removed: it has files and no definition. That is for a person
to settle.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING

from orchestration_project.errors import RecoveryError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import load_again, rebuild_of
from orchestration_project.inspection.status_model import UnknownFeed
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys
from orchestration_project.storage.batches import is_any_key
from orchestration_project.storage.files import find_archived
from orchestration_project.storage.trees import is_switching, is_unfinished
from orchestration_project.storage.withdrawals import WITHDRAWN, Note, Withdrawal, moving_together, withdrawals
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.batching import waiting_tree
from orchestration_project.warehouse.ledger import Status

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHOWN = 5
"""So many files are named."""
VERIFY = "`orchestration-project verify`"


def half_done(connection: "DuckDBPyConnection | None", settings: Settings, spec: ConfiguredFeed) -> list[str]:
    """What is half done in a feed, each with what to do.

    Args:
        connection: to the warehouse, which has a ledger. That it could be opened says that nobody is at work: who
            rebuilds or withdraws holds its lock. None: there is no warehouse, so only the folders are asked.
        settings: where the folders are.
        spec: the feed.
    """
    # The notes of withdrawals are files, which a person may have damaged. That must not hide what else is half done.
    found = [*_rebuild(connection, settings, spec)]
    archive = settings.archive(spec.name)
    try:
        noted, (back, moving) = withdrawals(archive), moving_together(archive)
    except RecoveryError as error:
        return [*found, str(error)]
    if connection is None:
        return found
    # Of files that go together the next load finishes all, whatever each of them by itself would say.
    if moving:
        return [*found, _together(spec, back, moving)]
    return [*found, *_withdrawals(connection, settings, spec, noted)]


def _together(spec: ConfiguredFeed, back: bool, moving: Mapping[str, Note]) -> str:
    names = ", ".join(sorted({note.file for note in moving.values()})[:SHOWN])
    more = f" and {len(moving) - SHOWN} more" if len(moving) > SHOWN else ""
    keys = sorted({place.partition("/")[0] for place in moving})
    return (
        f"the {'way back' if back else 'withdrawal'} of {names}{more} was killed:"
        f" the next load finishes it: `{load_again(spec, keys)}`"
    )


def _rebuild(connection: "DuckDBPyConnection | None", settings: Settings, spec: ConfiguredFeed) -> Iterator[str]:
    archive = settings.archive(spec.name)
    # The ledger knows of the tree until the folders are moved. A warehouse that was lost meanwhile can't tell, but then
    # the folders themselves do.
    tree = waiting_tree(connection, spec.name)[0] if connection else ""
    if tree or is_switching(archive):
        yield (
            "a rebuild was killed after its tables were committed, and its folders are not all in their places:"
            f" {VERIFY} or the next load finishes it"
        )
    elif is_unfinished(archive):
        yield (
            "a rebuild was killed before its tables were committed, so the feed is as it was: "
            f"{VERIFY} or the next load removes what is left of it; `{rebuild_of(spec.name)}` begins again"
        )


def _withdrawals(
    connection: "DuckDBPyConnection", settings: Settings, spec: ConfiguredFeed, noted: list[Withdrawal]
) -> Iterator[str]:
    """Where note, file and ledger are not of one mind: a load brings file and ledger to what the note says.

    note   file at its place in the archive   ledger         so a kill came
    yes    any                                not withdrawn  after the note of a withdrawal was written
    yes    yes, and not among the withdrawn   any other      while the file went back
    no     yes                                withdrawn      after the note of a file that went back was removed
    """
    archive, notes = settings.archive(spec.name), {item.identity: item for item in noted}
    known = {entry.identity: entry for entry in ledger_queries.entries_of_versions(connection, spec.name, notes)}
    for identity, item in notes.items():
        key, file, _ = identity
        if identity in known and known[identity].status is not Status.WITHDRAWN:
            yield (
                f"the withdrawal of {file!r} (batch {key}) was killed, and its rows still count:"
                f" the next load takes them out: `{load_again(spec, [key])}`"
            )
        elif item.file is None and find_archived(archive / item.place):
            yield (
                f"the way back of the withdrawn {file!r} (batch {key}) was killed, and its note still counts:"
                f" `orchestration-project withdraw {spec.name} {shlex.quote(file)} --batch {key} --undo` begins again"
            )
    for entry in ledger_queries.withdrawn_entries(connection, spec.name):
        if entry.identity not in notes and find_archived(
            archive / str(entry.archived_as).removeprefix(f"{WITHDRAWN}/")
        ):
            yield (
                f"the way back of the withdrawn {entry.file!r} (batch {entry.batch}) was killed, and its rows are"
                f" missing: the next load brings them in: `{load_again(spec, [entry.batch])}`"
            )


def unknown_feeds(settings: Settings, accepted: Mapping[str, int], watched: Collection[str]) -> list[UnknownFeed]:
    """The feeds that have files and no definition, by name. A drop that was killed may have left only refused ones.

    Args:
        settings: where the archive is.
        accepted: how many files the ledger has of each feed; empty if it could not be read.
        watched: the names of all feeds that have a definition.
    """
    # In this order: the number in the archive takes the place of 0, and that of the ledger, which is exact, of both.
    found = dict.fromkeys(_left(settings, watched), 0) | dict(_archived(settings, watched))
    found |= {name: accepted[name] for name in accepted if name not in watched}
    return [UnknownFeed(name, files) for name, files in sorted(found.items())]


def _archived(settings: Settings, watched: Collection[str]) -> Iterator[tuple[str, int]]:
    root = settings.data_dir / "archive"
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in watched:
            # Of which cadence the feed was, nobody knows any more.
            keys = filter(is_any_key, batch_keys(folder))
            if files := sum(len(archived(folder, key)) for key in keys):
                yield folder.name, files


def _left(settings: Settings, watched: Collection[str]) -> Iterator[str]:
    """The feeds that have refused files, or exported rejects."""
    for folder in (settings.quarantine, settings.repairs):
        root = folder("feed").parent  # both settings give the folder of a feed, whichever it is
        for place in root.iterdir() if root.is_dir() else ():
            if place.is_dir() and not place.name.startswith(".") and place.name not in watched and any(place.iterdir()):
                yield place.name
