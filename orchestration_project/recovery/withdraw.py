"""Take an accepted file back, and change one's mind: its rows go and come in the same stages as any file's."""

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import RecoveryError
from orchestration_project.ingest.kept_archives import brought_by
from orchestration_project.ingest.load import run_stages
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.session import Session, open_session
from orchestration_project.settings import Settings
from orchestration_project.storage.files import find_archived
from orchestration_project.storage.withdrawals import Note, Withdrawal, set_all_aside, take_all_back, withdrawals
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.ledger import IN_RAW, Entry, Status


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which file, or which zip archive with all of its files: its name; its partition key if there are several."""

    name: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of the files.

    Attributes:
        files: those that were withdrawn, or taken back: name and partition key.
        records: how many records they have.
        counting: names of these files of which a version counts now.
    """

    files: Sequence[tuple[str, str]]
    records: int
    counting: Sequence[str]


def withdraw(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    chosen: Chosen,
    who: str,
    why: str,
    now: dt.datetime,
    log: Callable[[str], None],
) -> Changed:
    """Take the current version of a file back, and with it all files of its batch that have the same bytes.

    The version before it counts again, if there is one. Of a zip archive all accepted files are taken back, in one
    transaction.

    Args:
        warehouse: where the tables are.
        settings: where the files are.
        feed: the contract.
        options: how the feed is run.
        chosen: which file.
        who: who decides.
        why: the reason.
        now: the present moment, with a time zone.
        log: takes a line of progress.

    Raises:
        RecoveryError: who or why is missing, there is no such file, or several; nothing was changed.
        PlatformError: the load could not be made; nothing was changed.
    """
    who, why = who.strip(), why.strip()
    if not who or not why:
        raise RecoveryError("a withdrawal needs somebody who decides and a reason")
    with open_session(warehouse, settings, feed, options, Request([], now=now), log) as session:
        entries = ledger_queries.kept_entries(session.connection, feed.name)
        files = _chosen(session, entries, chosen)
        same = [entry for entry in entries if any(_is_same(entry, file) for file in files)]
        # Bytes that are not there can't be set aside, and `--undo` could never bring them back.
        if gone := [entry.file for entry in same if find_archived(session.archive / str(entry.archived_as)) is None]:
            raise RecoveryError(f"{gone[0]!r} is not in the archive: load its batch again first")
        notes = {str(entry.archived_as): Note(entry.file, entry.sha256, who, why, now) for entry in same}
        try:
            set_all_aside(session.archive, notes)
            _load(session, {file.batch for file in files})
        except Exception:
            # A load that fails after its commit has withdrawn the files; to move them back would contradict the ledger.
            if not _is_noted(session, files):
                take_all_back(session.archive, notes)
            raise
        return _changed(session, same)


def undo(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    chosen: Chosen,
    now: dt.datetime,
    log: Callable[[str], None],
) -> Changed:
    """Let a withdrawn file count again, and with it those that were withdrawn for the same bytes.

    Of a zip archive, the files count again that the last decision about any of them took out.

    Arguments are those of `withdraw`.

    Raises:
        RecoveryError: no such file is withdrawn; nothing was changed.
        PlatformError: the load could not be made; nothing was changed.
    """
    with open_session(warehouse, settings, feed, options, Request([], now=now), log) as session:
        noted = withdrawals(session.archive)
        last = _last_decided(session, noted, chosen)
        wanted = {(item.key, item.note.sha256) for item in last}
        same = [item for item in noted if (item.key, item.note.sha256) in wanted]
        lost = [item for item in same if not item.file and not find_archived(session.archive / item.place)]
        if lost:
            raise RecoveryError(
                f"{lost[0].note.file!r} is not among the withdrawn files any more: restore it from a backup"
            )
        # A ledger that was lost learns of the withdrawal first, so that the load knows what comes back.
        _load(session, ())
        notes = {item.place: item.note for item in same}
        try:
            take_all_back(session.archive, notes)
            _load(session, {item.key for item in last})
        # All are withdrawn again, as if nobody had tried: their notes are the decision that still holds.
        except Exception:
            set_all_aside(session.archive, notes)
            raise
        back = {item.identity for item in same}
        return _changed(session, ledger_queries.entries_of_versions(session.connection, feed.name, back))


def _last_decided(session: Session, noted: Sequence[Withdrawal], chosen: Chosen) -> list[Withdrawal]:
    """The withdrawn file that was named, or those of a zip archive: the last decision is what somebody takes back.

    Raises:
        RecoveryError: there is none.
    """

    # A name may be withdrawn, delivered with other bytes, and withdrawn again.
    def age(item: Withdrawal) -> tuple[dt.datetime, bool, int]:
        return item.note.withdrawn_at, not item.note.lacking, item.number

    if named := [item for item in noted if item.note.file == chosen.name and item.key == (chosen.key or item.key)]:
        return [max(named, key=age)]
    members = brought_by(session, chosen.name, chosen.key)
    of_archive = sorted((item for item in noted if (item.note.file, item.key) in members), key=age)
    if not of_archive:
        told = ", ".join(sorted({item.note.file for item in noted})) or "none"
        raise RecoveryError(f"{session.feed.name} has no withdrawn file {chosen.name!r}; there are: {told}")
    # By the name of who decided, too: a newer archive that lacked a file has taken it out by another decision.
    decision = _decision(of_archive[-1].note)
    last = {(item.note.file, item.key): item for item in of_archive if _decision(item.note) == decision}
    return [*last.values()]


def _decision(note: Note) -> tuple[dt.datetime, str, str]:
    return note.withdrawn_at, note.withdrawn_by, note.lacking


def _chosen(session: Session, entries: Sequence[Entry], chosen: Chosen) -> list[Entry]:
    """The current version of the file that was named, or those of the files of a zip archive.

    Raises:
        RecoveryError: there is none, or there are several files or archives of that name.
    """
    snapshot = session.options.snapshot
    last = _accepted(entries, chosen, snapshot)
    if len(last) > 1 and not snapshot:
        raise RecoveryError(f"{chosen.name!r} is a file of the batches {', '.join(sorted(last))}: say which by --batch")
    if last:
        return [max(last.values(), key=lambda entry: entry.delivery)]
    members = brought_by(session, chosen.name, chosen.key)
    found = [
        entry for name, key in sorted(members) for entry in _accepted(entries, Chosen(name, key), snapshot).values()
    ]
    if not found:
        raise RecoveryError(f"no file {chosen.name!r} is accepted; file_ledger lists the names of all files")
    return found


def _accepted(entries: Sequence[Entry], chosen: Chosen, snapshot: bool) -> dict[str, Entry]:
    """The current versions of the files of a name, by batch."""
    named = [entry for entry in entries if entry.file == chosen.name and entry.status is not Status.WITHDRAWN]
    # In a snapshot feed each newer file supersedes the one before, so there an old file is withdrawn as well.
    named = [entry for entry in named if snapshot or entry.status is not Status.SUPERSEDED]
    named = [entry for entry in named if entry.batch == (chosen.key or entry.batch)]
    return {entry.batch: entry for entry in sorted(named, key=lambda entry: entry.delivery)}


def _is_same(entry: Entry, file: Entry) -> bool:
    """Whether an entry stands for the same bytes in the same batch, under whatever name."""
    # The decision is about bytes: a copy under another name would take the file's place with the next load.
    current = entry.status in (*IN_RAW, Status.DUPLICATE) or entry == file
    return current and (entry.batch, entry.sha256) == (file.batch, file.sha256)


def _load(session: Session, keys: Collection[str]) -> None:
    batches = None if session.options.snapshot else [session.batching.from_key(key) for key in sorted(keys)]
    # Without landing: a command about one file must not take in whatever was delivered meanwhile.
    run_stages(replace(session, request=replace(session.request, batches=batches, landing=False)))


def _is_noted(session: Session, files: Sequence[Entry]) -> bool:
    """Whether the ledger has a withdrawal: the load was committed, whatever came after."""
    versions = [file.identity for file in files]
    found = ledger_queries.entries_of_versions(session.connection, session.feed.name, versions)
    return any(entry.status is Status.WITHDRAWN for entry in found)


def _changed(session: Session, files: Sequence[Entry]) -> Changed:
    options = session.options
    names = {options.identity(entry.batch, entry.file) for entry in files}
    versions = [entry.identity for entry in files]
    current = ledger_queries.current_entries(
        session.connection, session.feed.name, versions, options.snapshot, options.by_name
    )
    loaded = [entry for entry in current if entry.status in IN_RAW]
    counting = {entry.file for entry in loaded if options.identity(entry.batch, entry.file) in names}
    return Changed(
        [(entry.file, entry.batch) for entry in files],
        # A duplicate has the same records as the file that was loaded, and no rows of its own.
        sum(entry.records or 0 for entry in files if entry.status is not Status.DUPLICATE),
        sorted(counting),
    )
