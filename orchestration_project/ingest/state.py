"""Note how it stands with a feed after its rows have changed, for alarms, which never open the warehouse.

Belongs here: what of the ledger and of a load's counts is noted. How the note is kept is in `storage.feed_state`.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import without_values
from orchestration_project.ingest.counts import FileCount
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batching
from orchestration_project.storage.feed_state import FeedState, record_state
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import OPEN_REJECTS, TABLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SIZES_KEPT = 30
"""The sizes of how many batches are noted: the newest ones."""


def note_state(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    counts: Iterable[FileCount],
    log: Callable[[str], None],
) -> None:
    """Note how it stands with a feed. It never fails: its rows are committed, and a note may be missed.

    Args:
        connection: to the warehouse, after the commit.
        settings: where notes are kept.
        feed: the contract.
        options: how the feed is run.
        counts: of the files of the batches that were written.
        log: is told why nothing could be noted.
    """
    import duckdb

    try:
        state = _state(connection, feed.name, options, counts)
    except duckdb.Error as error:
        log(f"{feed.name}: its state was not noted for alarms: {without_values(error)}")
        return
    record_state(settings, feed.name, state, log)


def _state(connection: "DuckDBPyConnection", feed: str, options: FeedOptions, counts: Iterable[FileCount]) -> FeedState:
    row = connection.execute(
        f"""WITH counted AS (
            SELECT batch, loaded_at, CASE WHEN status = 'loaded' THEN {OPEN_REJECTS} ELSE 0 END AS open
            FROM {placed(connection)} WHERE feed = $1)
        SELECT coalesce(sum(open), 0)::BIGINT, min(batch) FILTER (open > 0), min(loaded_at) FILTER (open > 0),
            (SELECT min(loaded_at) FROM {TABLE} WHERE feed = $1) FROM counted""",
        [feed],
    ).fetchone()
    rejects, oldest, since, first = row or (0, None, None, None)
    return FeedState(
        dt.datetime.now(dt.UTC),
        rejects,
        oldest or "",
        _utc(since),
        _rates(counts, options.batching),
        _sizes(connection, feed, options.snapshot),
        _utc(first),
    )


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return moment.replace(tzinfo=dt.UTC) if moment else None


def _rates(counts: Iterable[FileCount], batching: Batching) -> dict[str, float]:
    """The share of open rejects in each batch. Keys do not count, as they don't for `max_reject_rate`."""
    rejects, records = defaultdict[str, int](int), defaultdict[str, int](int)
    for count in counts:
        if count.batch is not None:
            key = batching.key(count.batch)
            # Not below 0: a duplicate that is waived or repaired is in `duplicates` and not in `open`.
            rejects[key] += max(0, count.open - count.duplicates)
            records[key] += count.cleaned + count.rejected
    return {key: rejects[key] / total if total else 0.0 for key, total in records.items()}


def _sizes(connection: "DuckDBPyConnection", feed: str, snapshot: bool) -> dict[str, int]:
    """The records of the newest batches, the oldest first; of a day with several snapshots, those of the newest."""
    # The newest snapshot replaces the ones of all days before, which are superseded; their sizes are still what is
    # usual.
    records = "arg_max(records, (modified_at, file))" if snapshot else "sum(records)"
    statuses = "'loaded', 'kept', 'superseded'" if snapshot else "'loaded'"
    rows = connection.execute(
        f"""SELECT batch, coalesce({records} FILTER (repair IS NOT true), 0)::BIGINT FROM {placed(connection)}
            WHERE feed = $1 AND status IN ({statuses}) GROUP BY 1 ORDER BY 1 DESC LIMIT {SIZES_KEPT:d}""",
        [feed],
    ).fetchall()
    return dict(reversed(rows))
