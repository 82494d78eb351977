"""Gather the status of the platform: ask folders, ledger and run history, change nothing, wait for nobody.

What a status consists of, and which of it needs a person, is in `status_model`; what Dagster knows is asked in `runs`.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.errors import PlatformError, WarehouseBusy
from orchestration_project.ingest.batching import rebatching
from orchestration_project.ingest.from_archive import archived_batches
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.expectations import standing
from orchestration_project.inspection.fetches import fetch_status
from orchestration_project.inspection.findings import load_again
from orchestration_project.inspection.half_done import half_done, unknown_feeds
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.inspection.reading import warehouse_to_read
from orchestration_project.inspection.runs import cursor_of, history_at, last_run, runs_under_way
from orchestration_project.inspection.status_model import (
    Availability,
    FeedStatus,
    FinishedBy,
    LandingStatus,
    PlatformStatus,
    StoreStatus,
    UnwatchedFolder,
)
from orchestration_project.inspection.validated import validated_by_another
from orchestration_project.inspection.verify_tables import ledger_lacks
from orchestration_project.publishing.lag import copy_status
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import discover
from orchestration_project.storage.landing import stray_objects, waiting
from orchestration_project.storage.sensor_cursor import read_cursor
from orchestration_project.storage.sensor_evaluation import evaluate, group_by_batch
from orchestration_project.storage.writers import Writing, can_tell, writing_to
from orchestration_project.warehouse import ledger, ledger_batches, ledger_queries
from orchestration_project.warehouse.feed_rows import feeds_of_warehouse
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.settle import left_out
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Entries = Mapping[str, Sequence[Entry]]
"""The ledger's entries of accepted files, by feed."""
Otherwise = Mapping[str, Sequence[str]]
"""The batches that were validated by another contract, by feed."""


@dataclass(frozen=True, slots=True)
class _Ledger:
    """What the ledger says.

    Attributes:
        entries: by feed, those of its accepted files; None if the ledger could not be read.
        otherwise: by feed, the batches that were validated by another contract.
        accepted: how many accepted files it has of any feed.
        rebatching: by feed, why it needs a rebuild.
        half_done: by feed, what a kill left half done.
        batches: by feed whose files are divided, the batches that have records, in order.
    """

    entries: Entries | None
    otherwise: Otherwise = field(default_factory=dict)
    accepted: Mapping[str, int] = field(default_factory=dict)
    rebatching: Mapping[str, str] = field(default_factory=dict)
    half_done: Mapping[str, Sequence[str]] = field(default_factory=dict)
    batches: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What is the same for all feeds; `instance` is None if the history could not be read."""

    settings: Settings
    now: dt.datetime
    ledger: _Ledger
    instance: dg.DagsterInstance | None
    fetched: Collection[str]


def status_of(
    settings: Settings,
    specs: Sequence[ConfiguredFeed],
    watched: Collection[str],
    now: dt.datetime,
    fetched: Collection[str] = (),
) -> PlatformStatus:
    """The status of some feeds, and of warehouse and run history.

    Args:
        settings: where files, warehouse and history are.
        specs: the feeds to report.
        watched: the names of all feeds.
        now: the present moment, with a time zone.
        fetched: the names of the feeds that have a source.
    """
    # The warehouse is free again before landing and history are looked at: a load may be waiting for it.
    warehouse, told = _ledger(settings, specs)
    with history_at(settings.dagster_home) as (instance, history):
        gathered = _Gathered(settings, now, told, instance, fetched)
        feeds = [_feed(spec, gathered) for spec in specs]
    archived = any(newest_archived(settings, spec) for spec in specs)
    strays, unknown = unwatched_folders(settings, watched), unknown_feeds(settings, told.accepted, watched)
    published = copy_status(settings, now)
    return PlatformStatus(now, warehouse, history, feeds, strays, archived, unknown, published)


def _ledger(settings: Settings, specs: Sequence[ConfiguredFeed]) -> tuple[StoreStatus, _Ledger]:
    """Whether the ledger can be read, and what it says."""
    warehouse = warehouse_to_read(settings)
    where = warehouse.where
    try:
        if not warehouse.exists():
            left = {spec.name: half_done(None, settings, spec) for spec in specs}
            return StoreStatus(where, Availability.NONE, "there is no warehouse yet"), _Ledger({}, half_done=left)
        with warehouse.connection("status", read_only=True, shared=True) as connection:
            # Somebody's own tables may be there before the first load of a file.
            if not exists(connection, ledger.TABLE):
                return StoreStatus(where, Availability.NONE, "the warehouse has no files yet"), _Ledger({})
            for lacking in ledger_lacks(connection):
                detail = f"{ledger.TABLE} {lacking.what}; the next load adds them"
                return StoreStatus(where, Availability.OUTDATED, detail), _Ledger(None)
            return StoreStatus(where, Availability.READY), _asked(connection, settings, specs)
    # Apart from what is broken: a load at work is no fault, and nobody has to be told.
    except WarehouseBusy as error:
        return StoreStatus(where, Availability.BUSY, f"it is in use by {error.holder}", error.holder), _Ledger(None)
    except PlatformError as error:
        return StoreStatus(where, Availability.BROKEN, str(error)), _Ledger(None)


def _asked(connection: "DuckDBPyConnection", settings: Settings, specs: Sequence[ConfiguredFeed]) -> _Ledger:
    return _Ledger(
        {spec.name: ledger_queries.kept_entries(connection, spec.name) for spec in specs},
        {spec.name: validated_by_another(connection, spec) for spec in specs},
        feeds_of_warehouse(connection),
        {spec.name: rebatching(connection, spec.name, spec.options, settings.archive(spec.name)) for spec in specs},
        {spec.name: half_done(connection, settings, spec) for spec in specs},
        {spec.name: ledger_batches.loaded_batches(connection, spec.name) for spec in specs if spec.feed.division},
    )


def _feed(spec: ConfiguredFeed, gathered: _Gathered) -> FeedStatus:
    settings, now, instance = gathered.settings, gathered.now, gathered.instance
    entries = None if gathered.ledger.entries is None else gathered.ledger.entries.get(spec.name, [])
    loaded = [entry for entry in entries or [] if entry.status is Status.LOADED]
    if entries is None:
        newest = newest_archived(settings, spec)
    else:
        newest = max((entry.batch for entry in loaded), default=None)
    delivered = _delivered_batches(settings, spec, entries)
    if entries is not None and (batches := gathered.ledger.batches.get(spec.name)):
        # The day on which a file came says nothing of the days that it is about.
        newest, delivered = batches[-1], {spec.options.batching.from_key(key) for key in batches}
    stands = standing(spec, delivered, _first_load(loaded), now)
    cursor = cursor_of(instance, spec) if instance else None
    under_way = runs_under_way(instance, spec.job) if instance else None
    return FeedStatus(
        feed=spec.name,
        newest_batch=newest,
        freshness=stands.freshness,
        next_batch_due=stands.due,
        landing=landing_of(settings, spec, now, cursor, under_way),
        quarantined=quarantine_of(settings, spec, entries),
        left_out=None if entries is None else _left_out(spec, entries),
        open_rejects=None if entries is None else sum(map(_open_rejects, loaded)),
        last_run=last_run(instance, spec) if instance else None,
        validated_otherwise=None if entries is None else gathered.ledger.otherwise.get(spec.name, []),
        load_again=load_again(spec, found) if (found := gathered.ledger.otherwise.get(spec.name)) else "",
        rebatching=gathered.ledger.rebatching.get(spec.name, ""),
        half_done=None if entries is None else gathered.ledger.half_done.get(spec.name, []),
        missing=[spec.options.batching.key(batch) for batch in stands.missing],
        source=fetch_status(settings, spec.name, now) if spec.name in gathered.fetched else None,
    )


def _delivered_batches(settings: Settings, spec: ConfiguredFeed, entries: Sequence[Entry] | None) -> set[Batch]:
    """The batches with an accepted file, by the ledger, or by the archive where that could not be read."""
    batching = spec.options.batching
    if entries is None:
        return {batch for _, batch in archived_batches(settings.archive(spec.name), batching)}
    keys = {entry.batch for entry in entries if entry.status is not Status.WITHDRAWN and not entry.repair}
    # Those of another batching, before a rebuild, are no batches of the feed.
    return {batching.from_key(key) for key in keys if batching.is_key(key)}


def _first_load(loaded: Sequence[Entry]) -> dt.datetime | None:
    found = min((entry.loaded_at for entry in loaded if entry.loaded_at), default=None)
    return found.replace(tzinfo=dt.UTC) if found else None


def _left_out(spec: ConfiguredFeed, entries: Sequence[Entry]) -> list[str]:
    """The places in the archive of the files that an earlier release has left out."""
    if spec.options.snapshot:
        return []
    # Of each file the last delivery, for the ones before it were replaced by their own name, not by the old rule.
    counting = [entry for entry in entries if entry.status is not Status.WITHDRAWN]
    ordered = sorted(counting, key=lambda entry: entry.delivery)
    last = {spec.options.identity(entry.batch, entry.file): entry for entry in ordered}
    return sorted(str(entry.archived_as) for entry in left_out([*last.values()]))


def _open_rejects(entry: Entry) -> int:
    closed = (entry.repaired or 0) + (entry.waived or 0) + (entry.attempts or 0)
    return (entry.rejected or 0) - closed


def landing_of(
    settings: Settings, spec: ConfiguredFeed, now: dt.datetime, cursor: str | None, under_way: Collection[str] | None
) -> LandingStatus:
    """What is in a feed's drop folder, as its sensor would find it.

    Args:
        settings: where landing is.
        spec: the feed.
        now: the present moment, with a time zone.
        cursor: the text of the sensor's cursor.
        under_way: the keys of the runs that have not ended; None if the history could not be read.
    """
    landing, moment = settings.landing(spec.name), now.timestamp()
    found = waiting(settings, spec.name)
    files = found.files
    writing = {file.name: writing_to(file.path) for file in files if not file.version}
    written = {name for name, found in writing.items() if found is Writing.SOMEBODY}
    # The files of another user may be told by their age alone, though those of this one are not.
    told = Writing.UNKNOWN not in writing.values() and can_tell(landing)
    finished_by = FinishedBy.LEASE if told else FinishedBy.SETTLE_TIME
    # By the sensor's own code, so that status and sensor don't say two things of one file.
    grouped = group_by_batch(files, spec.options.batching, now)
    seen = evaluate(grouped, read_cursor(cursor, moment), moment, spec.options.settle_seconds, under_way or (), written)
    oldest = max((moment - file.mtime_ns / 1e9 for file in files), default=None)
    # Without the history a file of a run looks like one that was asked for in vain.
    known = under_way is not None
    return LandingStatus(
        waiting=len(files),
        oldest_seconds=oldest,
        settling=seen.settling,
        running=seen.running if known else None,
        given_up=seen.given_up if known else None,
        not_looked_at=found.ignored,
        finished_by=finished_by,
    )


def newest_archived(settings: Settings, spec: ConfiguredFeed) -> str | None:
    """The partition key of the newest batch with a folder in the archive."""
    batches = dict(archived_batches(settings.archive(spec.name), spec.options.batching))
    return max(batches, key=lambda key: batches[key], default=None)


def unwatched_folders(settings: Settings, feeds: Collection[str]) -> list[UnwatchedFolder]:
    """The folders in landing, on this machine and in a store, that have files and belong to no feed.

    Args:
        settings: where landing is.
        feeds: the names of all feeds.
    """
    strays = [UnwatchedFolder(url, number) for url, number in stray_objects(settings, feeds).items()]
    root = settings.data_dir / "landing"
    if not root.is_dir():
        return strays
    # The root itself, too: who forgets the feed's folder drops files there.
    folders = [root, *sorted(folder for folder in root.iterdir() if folder.is_dir() and folder.name not in feeds)]
    found = [UnwatchedFolder(str(folder.relative_to(settings.data_dir)), len(discover(folder))) for folder in folders]
    return [*(folder for folder in found if folder.files), *strays]
