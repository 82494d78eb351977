"""Ask folders, ledger and history, and put together what they say."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from orchestration_project.errors import PlatformError, WarehouseBusy
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.known import impatient
from orchestration_project.inspection.runs import cursor_of, history_at, last_run, runs_under_way
from orchestration_project.inspection.status_files import landing_of, newest_archived, quarantine_of, strays
from orchestration_project.inspection.status_model import Answer, FeedStatus, Freshness, Source, Status
from orchestration_project.inspection.verify_tables import ledger_lacks
from orchestration_project.settings import Settings
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.ledger import Status as FileStatus
from orchestration_project.warehouse.tables import exists

Entries = Mapping[str, Sequence[Entry]]
"""By feed, the ledger's entries of accepted files."""


@dataclass(frozen=True, slots=True)
class _Asked:
    settings: Settings
    now: dt.datetime
    entries: Entries | None
    instance: dg.DagsterInstance | None


def status_of(
    settings: Settings, specs: Sequence[ConfiguredFeed], watched: Collection[str], now: dt.datetime
) -> Status:
    """How things stand.

    Args:
        settings: where files, warehouse and history are.
        specs: the feeds to tell of.
        watched: the names of all feeds there are.
        now: the present moment, with a time zone.
    """
    warehouse, entries = _ledger(settings, specs)
    with history_at(settings.dagster_home) as (instance, history):
        asked = _Asked(settings, now, entries, instance)
        feeds = [_feed(spec, asked) for spec in specs]
    archived = any(newest_archived(settings, spec) for spec in specs)
    return Status(now, warehouse, history, feeds, strays(settings, watched), archived)


def _ledger(settings: Settings, specs: Sequence[ConfiguredFeed]) -> tuple[Answer, Entries | None]:
    where = str(settings.database)
    if not settings.database.exists():
        return Answer(where, Source.NONE, "there is no warehouse yet"), {}
    try:
        with impatient(settings).connection("status", read_only=True) as connection:
            if not exists(connection, ledger.TABLE):
                return Answer(where, Source.NONE, "the warehouse has no files yet"), {}
            for lacking in ledger_lacks(connection):
                return Answer(where, Source.OUTDATED, f"{ledger.TABLE} {lacking.what}; the next load adds them"), None
            return Answer(where, Source.READY), {
                spec.name: ledger_queries.kept_entries(connection, spec.name) for spec in specs
            }
    except WarehouseBusy as error:
        return Answer(where, Source.BUSY, f"it is in use by {error.holder}", error.holder), None
    except PlatformError as error:
        return Answer(where, Source.BROKEN, str(error)), None


def _feed(spec: ConfiguredFeed, asked: _Asked) -> FeedStatus:
    entries = None if asked.entries is None else asked.entries.get(spec.name, [])
    loaded = [entry for entry in entries or [] if entry.status is FileStatus.LOADED]
    newest = (
        newest_archived(asked.settings, spec) if entries is None else max((it.batch for it in loaded), default=None)
    )
    freshness, due = _freshness(spec, newest, asked.now)
    instance = asked.instance
    return FeedStatus(
        feed=spec.name,
        newest_batch=newest,
        freshness=freshness,
        next_batch_due=due,
        landing=landing_of(
            asked.settings,
            spec,
            asked.now,
            cursor_of(instance, spec) if instance else None,
            runs_under_way(instance, f"{spec.name}_job") if instance else None,
        ),
        quarantined=quarantine_of(asked.settings, spec.name, entries),
        open_rejects=None if entries is None else sum(map(_open_rejects, loaded)),
        last_run=last_run(instance, spec) if instance else None,
    )


def _open_rejects(entry: Entry) -> int:
    closed = (entry.repaired or 0) + (entry.waived or 0) + (entry.attempts or 0)
    return (entry.rejected or 0) - closed


def _freshness(spec: ConfiguredFeed, newest: str | None, now: dt.datetime) -> tuple[Freshness, dt.datetime | None]:
    if spec.feed.latency is None:
        return Freshness.NO_LATENCY, None
    if newest is None:
        return Freshness.NOTHING_LOADED, None
    batching = spec.options.batching
    due = batching.next_due(batching.from_key(newest), spec.feed.latency)
    return Freshness.LATE if now > due else Freshness.FRESH, due
