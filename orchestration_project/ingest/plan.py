"""Decide what a load changes (which versions come in and go out, where each is archived), and enter it in the ledger.

The plan is pure, but that it looks which names are free in the archive.
"""

import datetime as dt
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from orchestration_project.contracts.feed import Feed
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.given import naming_of
from orchestration_project.ingest.candidates import Candidate, Refused
from orchestration_project.ingest.fingerprints import reading_of
from orchestration_project.ingest.model import Entered, Plan, Request, Staged, Validated
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.relations import PARTS
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import archive_folder
from orchestration_project.storage.batches import Batch, is_repair
from orchestration_project.storage.withdrawals import was_withdrawn, withdrawals
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.file_batches import replace_parts
from orchestration_project.warehouse.ledger import IN_RAW, Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity
from orchestration_project.warehouse.settle import settle
from orchestration_project.warehouse.tables import batch_filter, ident


def make_plan(
    fresh: Mapping[Identity, Sequence[Candidate]],
    current: Mapping[Identity, Entry],
    feed: Feed,
    options: FeedOptions,
    request: Request,
    archive: Path,
) -> Plan:
    """Plan a load.

    Args:
        fresh: by file, the new candidates in order; the last one, prepared, is the current version.
        current: the ledger's current entries of all files concerned.
        feed: the contract.
        options: how the feed is run.
        request: who asks, and when.
        archive: the feed's archive.
    """
    delivered = {file: [entry_of(item, feed, options, request) for item in items] for file, items in fresh.items()}
    replaced = [current[file] for file in delivered if file in current]
    # They take part: a duplicate inherits when the file that holds its bytes is corrected, and of a snapshot feed the
    # newest of all files counts.
    unchanged = [entry for file, entry in current.items() if file not in delivered]
    # A file that is read again replaces itself: its old rows go, and what it is read as now comes in.
    plan = Plan([], [], [entry for entry in replaced if entry.status in IN_RAW])
    latest = [*unchanged, *(entries[-1] for entries in delivered.values())]
    for entry in settle(latest, options.snapshot, options.history, naming_of(feed)):
        file = options.identity(entry.batch, entry.file)
        before = Status.RECEIVED if file in delivered else current[file].status
        if entry.status is not before:
            _change(plan, _placed(entry, current.get(file), archive), before, feed, request)
    # A version of a file that comes back is current again, so its old entry is not written as superseded.
    kept = {entry.identity for entry in plan.entries}
    outdated = [entry for entries in delivered.values() for entry in entries[:-1]]
    old = {entry.identity: entry for entry in [*replaced, *outdated]}
    plan.entries.extend(
        replace(entry, status=Status.SUPERSEDED) for identity, entry in old.items() if identity not in kept
    )
    return plan


def _change(plan: Plan, entry: Entry, before: Status, feed: Feed, request: Request) -> None:
    """Note an entry whose status changes, and what that means for its rows."""
    if entry.status in IN_RAW and before not in IN_RAW:
        reading = reading_of(feed)
        # What was counted when a file was read otherwise says nothing about how it is read now.
        records = entry.records if entry.read_as in (None, reading) else None
        entry = replace(entry, loaded_at=_naive(request.now), read_as=reading, records=records)
        plan.loads.append(entry)
    elif before in IN_RAW and entry.status not in IN_RAW:
        plan.removals.append(entry)
    plan.entries.append(entry)


def refusal_entries(refused: Iterable[Refused], feed: Feed, options: FeedOptions, request: Request) -> list[Entry]:
    """The ledger's entries for files that go to quarantine."""
    return [
        Entry(
            feed=feed.name,
            file=item.file.name,
            sha256=item.sha256,
            batch=options.batching.key(item.batch) if item.batch else "",
            batch_date=_date(item.batch) if item.batch else None,
            modified_at=_naive(item.file.modified_at),
            bytes=item.file.size,
            status=Status.QUARANTINED,
            repair=is_repair(item.file.name),
            reason=f"{item.error.rule}: {item.error.message}",
            contract_version=feed.version,
            run_id=request.run_id,
            seen_at=_naive(request.now),
        )
        for item in refused
    ]


def entry_of(candidate: Candidate, feed: Feed, options: FeedOptions, request: Request) -> Entry:
    """The ledger's entry of a candidate, of which is not decided yet what becomes of it."""
    return Entry(
        feed=feed.name,
        file=candidate.file.name,
        sha256=candidate.sha256,
        batch=options.batching.key(candidate.batch),
        batch_date=_date(candidate.batch),
        modified_at=_naive(candidate.file.modified_at),
        bytes=candidate.file.size,
        status=Status.RECEIVED,
        repair=is_repair(candidate.file.name),
        records=candidate.prepared.records if candidate.prepared else None,
        archived_as=candidate.archived_as,
        delivery=candidate.number,
        contract_version=feed.version,
        read_as=reading_of(feed),
        run_id=request.run_id,
        seen_at=_naive(request.now),
    )


def _placed(entry: Entry, current: Entry | None, archive: Path) -> Entry:
    """The entry with a place in the archive: its own, else the first free one after that of the current version."""
    number = current.delivery + 1 if current else 1
    while not entry.archived_as:
        # Free of withdrawn files as well: `--undo` puts one back where it had been.
        path = archive_folder(archive, entry.batch, number, entry.status is Status.DUPLICATE) / entry.file
        if not _is_taken(path, archive) and not was_withdrawn(archive, entry.batch, number, entry.file):
            entry = replace(entry, archived_as=path.relative_to(archive).as_posix(), delivery=number)
        number += 1
    return entry


def _is_taken(path: Path, archive: Path) -> bool:
    """Whether a place is taken, by a file or by the folder of a zip archive; or one of its folders, by a file."""
    above = (folder for folder in path.parents if archive in folder.parents)
    # A file of the cold archive is a link that leads nowhere.
    return os.path.lexists(path) or any(os.path.lexists(folder) and not folder.is_dir() for folder in above)


def _date(batch: Batch) -> dt.date:
    return batch.date() if isinstance(batch, dt.datetime) else batch


def _naive(moment: dt.datetime) -> dt.datetime:
    # The ledger's times are of the type TIMESTAMP, which has no zone: they are UTC.
    return moment.astimezone(dt.UTC).replace(tzinfo=None)


def enter(session: Session, validated: Validated) -> Entered:
    """Write the ledger's entries of a load, the refused files' too, and remove the rows of files that go.

    Keys are compared by the times that the ledger tells, so this comes before `deduplicate`.

    Args:
        session: inside the transaction.
        validated: what comes in.
    """
    staged = validated.staged
    _remove_rows(session, staged)
    reached(Point.REMOVED)
    ledger.write_entries(session.connection, [*staged.plan.entries, *_refused(session, staged)])
    if session.feed.division:
        gone = [(entry.file, entry.version) for entry in staged.plan.removals]
        loads = [entry.version for entry in staged.plan.loads]
        replace_parts(session.connection, session.feed.name, gone, PARTS, loads)
    reached(Point.ENTERED)
    return Entered(validated)


def _refused(session: Session, staged: Staged) -> list[Entry]:
    """The entries of refused files. The very file that was withdrawn stays that in the ledger when it is refused."""
    entries = refusal_entries(staged.candidates.refused, session.feed, session.options, session.request)
    noted = {found.identity for found in withdrawals(session.archive)} if entries else ()
    return [entry for entry in entries if entry.identity not in noted]


def _remove_rows(session: Session, staged: Staged) -> None:
    removed: Sequence[tuple[object]] = session.connection.execute(
        f"SELECT DISTINCT _batch_date FROM {staged.removed}"
    ).fetchall()
    if removed:
        # The batches are named again, as literals: so DuckDB skips the blocks of all others.
        batches = batch_filter(batch for (batch,) in removed)
        session.connection.execute(
            f"""DELETE FROM {ident(raw_table(session.feed))}
                WHERE {batches} AND (_batch_date, _file, _file_version) IN (FROM {staged.removed})"""
        )
