"""Totals over the ledger: how much each feed has, what of it is open, and when each batch arrived.

The files themselves are in `ledger` and `ledger_queries`. One pass over the ledger answers for all feeds, so 100,000
files cost no more than a moment.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.warehouse.ledger import OPEN_REJECTS, TABLE

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class FeedTotals:
    """What the ledger says of a feed as a whole.

    Attributes:
        files: how many versions of files are in the archive.
        bytes: their size, as they were delivered.
        newest: the partition key of the newest loaded batch; None without one.
        open_rejects: how many rejected records are neither repaired nor waived.
        oldest_open: the partition key of the oldest batch with such records; None without one.
    """

    files: int
    bytes: int
    newest: str | None
    open_rejects: int
    oldest_open: str | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What came for a batch. Times are in UTC, without a time zone.

    Attributes:
        batch: partition key.
        first_seen: when a load saw the first accepted file; None if there is none, or it is not known.
        accepted: how many files were accepted.
        refused: how many files were refused.
    """

    batch: str
    first_seen: dt.datetime | None
    accepted: int
    refused: int


def totals(connection: "DuckDBPyConnection") -> dict[str, FeedTotals]:
    """The totals of each feed that has accepted files; a withdrawn file is in the archive, too."""
    rows = connection.execute(
        f"""SELECT feed, count(*), coalesce(sum(bytes), 0)::BIGINT, max(batch) FILTER (status = 'loaded'),
            coalesce(sum({OPEN_REJECTS}) FILTER (status = 'loaded'), 0)::BIGINT,
            min(batch) FILTER (status = 'loaded' AND {OPEN_REJECTS} > 0)
        FROM {TABLE} WHERE status <> 'quarantined' GROUP BY feed ORDER BY feed"""
    ).fetchall()
    return {feed: FeedTotals(*found) for feed, *found in rows}


def arrivals(connection: "DuckDBPyConnection", feed: str, first: str) -> list[Arrival]:
    """What came for each batch of a feed from `first` (a partition key) on, in order; repair files do not count."""
    rows = connection.execute(
        f"""SELECT batch, min(seen_at) FILTER (status NOT IN ('quarantined', 'withdrawn')),
            count(*) FILTER (status NOT IN ('quarantined', 'withdrawn')), count(*) FILTER (status = 'quarantined')
        FROM {TABLE} WHERE feed = $1 AND batch >= $2 AND repair IS NOT true GROUP BY batch ORDER BY batch""",
        [feed, first],
    ).fetchall()
    return [Arrival(*row) for row in rows]
