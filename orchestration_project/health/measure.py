"""Measure the platform: ask the run history, landing, the ledger and the disks. Nothing is changed.

Belongs here: reading. The arithmetic is in `figures`.
"""

import datetime as dt
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.health import figures, model
from orchestration_project.health.model import Kind, Measurement, measured
from orchestration_project.health.run_history import FinishedRun, RunHistory
from orchestration_project.health.table import series
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.quarantine import quarantine_of
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.disks import disks_of
from orchestration_project.storage.files import discover
from orchestration_project.storage.landing import waiting_files
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.ledger_batches import FeedTotals, totals
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HISTORY_FOLDERS = ("history", "schedules")
"""The folders of `$DAGSTER_HOME` with databases; the logs of runs are elsewhere and not counted."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Where the figures come from.

    Attributes:
        connection: to the warehouse, which has a ledger or a stand-in for it.
        settings: where folders are.
        sources: the feeds.
        history: the finished runs.
        table: the name of the table with earlier figures; it may be missing.
        now: the present moment, with a time zone.
    """

    connection: "DuckDBPyConnection"
    settings: Settings
    sources: Sequence[ConfiguredFeed]
    history: RunHistory
    table: str
    now: dt.datetime


def measure(asked: Asked, runs: Sequence[FinishedRun]) -> list[Measurement]:
    """All figures of the present moment.

    Args:
        asked: where they come from.
        runs: the finished runs of the last 30 days, the oldest first.
    """
    # One query for all feeds, and the archive's size comes of the same.
    ledger = totals(asked.connection)
    found = [*_of_runs(asked, runs)]
    for source in asked.sources:
        found += _of_feed(asked, source, ledger.get(source.name))
    return [*found, *_of_stores(asked, ledger), *_of_disks(asked.settings)]


def _of_runs(asked: Asked, runs: Sequence[FinishedRun]) -> Iterator[Measurement]:
    """Those of all jobs and schedules that had runs, and of the feeds' own: that these had none has to be seen."""
    # The last ten are asked for apart: of a job that runs once a month they reach back beyond the 30 days.
    jobs = [source.job for source in asked.sources]
    for name, own in figures.grouped(runs, lambda run: run.job, jobs).items():
        yield from figures.of_runs(Kind.JOB, name, own, asked.history.latest(name, figures.LAST))
    schedules = [source.schedule for source in asked.sources]
    for name, own in figures.grouped(runs, lambda run: run.schedule, schedules).items():
        yield from figures.of_runs(Kind.SCHEDULE, name, own, asked.history.latest_of_schedule(name, figures.LAST))


def _of_feed(asked: Asked, source: ConfiguredFeed, known: FeedTotals | None) -> list[Measurement]:
    waiting = waiting_files(asked.settings, source.name)
    oldest = min((file.mtime_ns for file in waiting), default=None)
    return measured(
        Kind.FEED,
        source.name,
        **{
            model.WAITING_FILES: len(waiting),
            # A modification time may lie in the future: the writer's clock set it.
            model.WAITING_OLDEST: 0.0 if oldest is None else max(0.0, asked.now.timestamp() - oldest / 1e9),
            model.NEWEST_BATCH: _begin(source, known.newest if known else None),
            model.OPEN_REJECTS: known.open_rejects if known else 0,
            model.OLDEST_OPEN_REJECT: _begin(source, known.oldest_open if known else None),
            model.QUARANTINED: _quarantined(asked, source),
        },
    )


def _begin(source: ConfiguredFeed, key: str | None) -> float | None:
    """When a batch began; None without a key, or with one of another batching, from before a rebuild."""
    batching = source.options.batching
    return batching.begin(batching.from_key(key)).timestamp() if key and batching.is_key(key) else None


def _quarantined(asked: Asked, source: ConfiguredFeed) -> int:
    folder = asked.settings.quarantine(source.name)
    # Mostly there is none, and then the ledger need not be read file by file.
    if all(file.name.endswith(REASON) for file in discover(folder)):
        return 0
    entries = ledger_queries.kept_entries(asked.connection, source.name)
    return sum(item.replaced is False for item in quarantine_of(asked.settings, source, entries))


def _of_stores(asked: Asked, ledger: Mapping[str, FeedTotals]) -> Iterator[Measurement]:
    sizes = {
        "warehouse": Warehouse.from_settings(asked.settings).size(asked.connection),
        # From the ledger: walking a folder of 100,000 files every hour would cost more than all other figures.
        "archive": float(sum(known.bytes for known in ledger.values())),
        "history": history_size(asked.settings.dagster_home),
    }
    since = asked.now - figures.GROWTH_WINDOW
    # The first measurement of all has no table yet, and so no growth.
    known = exists(asked.connection, asked.table)
    past = series(asked.connection, asked.table, Kind.STORE, model.SIZE, since) if known else {}
    for store, size in sizes.items():
        if size is not None:
            growth = figures.growth(past.get(store, {}), asked.now, size)
            yield from measured(Kind.STORE, store, **{model.SIZE: size, model.GROWTH: growth})
    yield from measured(Kind.STORE, "archive", **{model.FILES: sum(known.files for known in ledger.values())})


def history_size(home: Path | None) -> float | None:
    """The bytes of Dagster's databases below a `DAGSTER_HOME`; None if they are not kept there."""
    folders = [home / name for name in HISTORY_FOLDERS if (home / name).is_dir()] if home else []
    if not folders:
        return None
    # By scandir, whose entries know their kind: Dagster's SQLite history has a database for each run.
    total = 0
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    return float(total)


def _of_disks(settings: Settings) -> Iterator[Measurement]:
    for disk in disks_of(settings):
        yield from measured(Kind.DISK, disk.name, **{model.FREE: disk.free, model.FREE_SHARE: disk.free / disk.total})
