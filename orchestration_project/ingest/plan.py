"""Decide what a load changes: which versions come in, which go out, where each file is archived.

Pure, but that it looks which names are free in the archive.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.model import Delivery, Refused, Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.relations import reading_of
from orchestration_project.storage.archive import archive_folder
from orchestration_project.storage.batches import Batch, is_repair
from orchestration_project.warehouse.ledger import Entry, Status, settle


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load changes.

    Attributes:
        entries: ledger entries to write.
        loads: entries whose rows come in.
        removals: entries whose rows go out.
    """

    entries: list[Entry]
    loads: list[Entry]
    removals: list[Entry]


def make_plan(
    fresh: Mapping[str, Sequence[Delivery]],
    current: Mapping[str, Entry],
    feed: Feed,
    options: FeedOptions,
    request: Request,
    archive: Path,
) -> Plan:
    """Plan a load.

    Args:
        fresh: by name, the new deliveries in order; the last one, prepared, is the current version.
        current: the ledger's current entries of all files concerned, by name.
        feed: the contract.
        options: how the feed is run.
        request: who asks, and when.
        archive: the feed's archive.
    """
    delivered = {name: [_entry(item, feed, options, request) for item in items] for name, items in fresh.items()}
    replaced = [current[name] for name in delivered if name in current]
    standing = [entry for entry in current.values() if entry.file not in delivered]
    plan = Plan([], [], [entry for entry in replaced if entry.status is Status.LOADED])
    for entry in settle([*standing, *(entries[-1] for entries in delivered.values())], options.snapshot):
        before = Status.RECEIVED if entry.file in delivered else current[entry.file].status
        if entry.status is not before:
            _change(plan, _placed(entry, current.get(entry.file), archive), before, request)
    # A version that comes back under the same name is current again, so its old entry is not written as superseded.
    kept = {(entry.file, entry.sha256) for entry in plan.entries}
    outdated = [entry for entries in delivered.values() for entry in entries[:-1]]
    old = {(entry.file, entry.sha256): entry for entry in [*replaced, *outdated]}
    plan.entries.extend(
        replace(entry, status=Status.SUPERSEDED) for identity, entry in old.items() if identity not in kept
    )
    return plan


def _change(plan: Plan, entry: Entry, before: Status, request: Request) -> None:
    """Note an entry whose status changes, and what that means for its rows."""
    if entry.status is Status.LOADED:
        entry = replace(entry, loaded_at=_naive(request.now))
        plan.loads.append(entry)
    elif before is Status.LOADED:
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


def _entry(delivery: Delivery, feed: Feed, options: FeedOptions, request: Request) -> Entry:
    return Entry(
        feed=feed.name,
        file=delivery.file.name,
        sha256=delivery.sha256,
        batch=options.batching.key(delivery.batch),
        batch_date=_date(delivery.batch),
        modified_at=_naive(delivery.file.modified_at),
        bytes=delivery.file.size,
        status=Status.RECEIVED,
        repair=is_repair(delivery.file.name),
        records=delivery.prepared.records if delivery.prepared else None,
        archived_as=delivery.archived_as,
        delivery=delivery.number,
        contract_version=feed.version,
        read_as=reading_of(feed),
        run_id=request.run_id,
        seen_at=_naive(request.now),
    )


def _placed(entry: Entry, current: Entry | None, archive: Path) -> Entry:
    """The entry with a place in the archive: its own, else the first free one after that of the current version."""
    number = current.delivery + 1 if current else 1
    while not entry.archived_as:
        path = archive_folder(archive, entry.batch, number, entry.status is Status.DUPLICATE) / entry.file
        if not path.exists():
            entry = replace(entry, archived_as=path.relative_to(archive).as_posix(), delivery=number)
        number += 1
    return entry


def _date(batch: Batch) -> dt.date:
    return batch.date() if isinstance(batch, dt.datetime) else batch


def _naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
