"""What the folders of a feed say: missing batches, refused files, and what waits in landing. It only looks.

Belongs here: everything that is found out without Dagster. The warehouse is never opened: who holds it may do so for
hours, and who damaged it must be told of.
"""

import datetime as dt
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.alerts.model import SHOWN, FeedObserved, Files, MissingBatch
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.expectations import Freshness, standing
from orchestration_project.inspection.quarantine import moment_of, quarantine_by_archive
from orchestration_project.inspection.status_model import QuarantinedFile
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys
from orchestration_project.storage.feed_state import FeedState, read_state
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.landing import waiting_files
from orchestration_project.storage.sensor_cursor import read_cursor
from orchestration_project.storage.sensor_evaluation import MAX_REQUESTS, evaluate, group_by_batch

RECENT = 200
"""How many of the newest batch folders are looked into: a withdrawal may have emptied one."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A feed to look at.

    Attributes:
        source: the feed.
        reject_limit: the reject rate above which its check warns.
        cursor: the text of its sensor's cursor; None if it has none.
        under_way: the keys of its job's runs that have not ended.
    """

    source: ConfiguredFeed
    reject_limit: float
    cursor: str | None = None
    under_way: Collection[str] = ()


def observe_feed(settings: Settings, watched: Watched, now: dt.datetime) -> FeedObserved:
    """What the folders and notes of a feed say.

    Args:
        settings: where they are.
        watched: the feed.
        now: the present moment, with a time zone.

    Raises:
        OSError: a folder can't be read.
        ObjectStoreError: the store that files are delivered to can't be listed.
    """
    source = watched.source
    state = read_state(settings, source.name)
    # Whether a file was replaced is asked of the archive: the ledger knows it too, but is in the warehouse.
    refused = [file for file in quarantine_by_archive(settings, source) if not file.replaced]
    given_up, waiting = _landing(settings, watched, now)
    return FeedObserved(
        source.name,
        _missing(settings.archive(source.name), source, state, {file.batch for file in refused}, now),
        _quarantined(refused),
        given_up,
        waiting,
        state,
        watched.reject_limit,
        source.options.snapshot,
    )


def _missing(
    archive: Path, source: ConfiguredFeed, state: FeedState | None, refused: Collection[str], now: dt.datetime
) -> list[MissingBatch]:
    """The batches that are due and have no accepted file, the oldest first."""
    batching, calendar = source.options.batching, source.options.calendar
    keys = [key for key in batch_keys(archive) if batching.is_key(key)]
    emptied = {key for key in keys[-RECENT:] if not _has_files(archive, key)}
    accepted = {batching.from_key(key) for key in keys if key not in emptied}
    # A feed that no load has told of was loaded by an older release, if at all: nobody has waited for it so far.
    found = standing(source, accepted, (state and state.first_load) or now, now)
    if calendar:
        due = {batching.key(batch): calendar.due(batch) for batch in found.missing}
        return [MissingBatch(key, moment, key in refused) for key, moment in due.items()]
    # Without a calendar only the contract's latency speaks. It says that the next batch is late, not which one that is.
    if found.freshness is Freshness.LATE and found.due and accepted:
        return [MissingBatch(f"the one after {batching.key(max(accepted))}", found.due)]
    return []


def _has_files(archive: Path, key: str) -> bool:
    # The first look is enough for nearly all batches. What is behind it lists all deliveries.
    with os.scandir(archive / key) as entries:
        return any(entry.is_file() for entry in entries) or bool(archived(archive, key))


def _quarantined(refused: Sequence[QuarantinedFile]) -> Files:
    moments = [moment for file in refused if (moment := moment_of(file.refused_at))]
    first = [f"{file.file}: {file.rule}: {file.reason}" for file in refused[:SHOWN]]
    return Files(len(refused), min(moments, default=None), first)


def _landing(settings: Settings, watched: Watched, now: dt.datetime) -> tuple[Files, Files]:
    """The files that the sensor gave up, and all others that a run should have loaded."""
    name, options, moment = watched.source.name, watched.source.options, now.timestamp()
    grouped = group_by_batch(waiting_files(settings, name), options.batching, now)
    cursor = read_cursor(watched.cursor, moment)
    given_up = evaluate(grouped, cursor, moment, options.settle_seconds, watched.under_way).given_up
    # A new file of a batch that was given up begins anew with all of the batch, so these are never some of its files.
    last = [entry.at for entry in cursor.batches.values() if entry.requests >= MAX_REQUESTS]
    since = dt.datetime.fromtimestamp(min(last), dt.UTC) if last else None
    left = {*given_up}
    waiting = [file for files in grouped.values() for file in files if file.name not in left]
    return (
        Files(len(given_up), since, sorted(given_up)[:SHOWN]),
        Files(len(waiting), _first_arrival(waiting), sorted(file.name for file in waiting)[:SHOWN]),
    )


def _first_arrival(files: Sequence[FoundFile]) -> dt.datetime | None:
    """When the first of some files came into its folder, or was last renamed in it.

    A file's own time is that of its writer: one of last year that arrives now has not waited for a year.
    """
    arrived = []
    for file in files:
        try:
            # A store's own clock tells when an object came.
            arrived.append(file.mtime_ns / 1e9 if file.version else os.lstat(file.location).st_ctime)
        except FileNotFoundError:  # a load has just taken it
            continue
    return dt.datetime.fromtimestamp(min(arrived), dt.UTC) if arrived else None
