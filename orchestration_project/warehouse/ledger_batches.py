"""Questions to `file_ledger` about batches and feeds as wholes: which there are, how large, when each batch arrived.

Belongs here: queries whose answer counts or adds up. Those whose answer is about files are in `ledger_queries`; both
only read.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.warehouse.file_batches import TABLE as FILE_BATCHES
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import IS_IN_RAW, OPEN_REJECTS, TABLE, VALIDATED_AS, ignored_of
from orchestration_project.warehouse.tables import columns_of, exists, is_empty, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# Not `<> 'quarantined'`, which would take a withdrawn file for one that came.
ACCEPTED = "status IN ('loaded', 'kept', 'duplicate', 'superseded') AND repair IS NOT true"


def validated_otherwise(connection: "DuckDBPyConnection", feed: str, validated_as: str) -> list[str]:
    """The partition keys of the batches that were validated by another contract, in order.

    Of batches from before this was recorded it is not known, so they are not among them.
    """
    if not VALIDATED_AS.keys() <= columns_of(connection, TABLE).keys():
        return []
    rows = connection.execute(
        f"""SELECT DISTINCT batch FROM {placed(connection)}
            WHERE feed = $1 AND status = 'loaded' AND records > 0 AND validated_as <> $2 ORDER BY 1""",
        [feed, validated_as],
    ).fetchall()
    return [batch for (batch,) in rows]


def is_read_otherwise(connection: "DuckDBPyConnection", feed: str, read_as: str) -> bool:
    """Whether loaded files were read under another contract. Of files from before this was recorded it is not known."""
    return not is_empty(
        connection, f"{TABLE} WHERE feed = {literal(feed)} AND {IS_IN_RAW} AND read_as <> {literal(read_as)}"
    )


def loaded_batches(
    connection: "DuckDBPyConnection", feed: str, first: str | None = None, last: str | None = None
) -> list[str]:
    """The partition keys of the batches that have loaded files, in order.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        first: the first key that counts; None for no lower limit.
        last: the last key that counts; None for no upper limit.
    """
    rows = connection.execute(
        f"""SELECT DISTINCT batch FROM {placed(connection)} WHERE feed = $feed AND status = 'loaded'
            AND batch BETWEEN coalesce($first, batch) AND coalesce($last, batch) ORDER BY 1""",
        {"feed": feed, "first": first, "last": last},
    ).fetchall()
    return [batch for (batch,) in rows]


def delivered_batches(connection: "DuckDBPyConnection", feed: str) -> list[str]:
    """The partition keys of the batches for which a file was accepted and not taken back; repair files don't count."""
    rows = connection.execute(
        f"SELECT DISTINCT batch FROM {placed(connection)} WHERE feed = $1 AND {ACCEPTED} ORDER BY 1", [feed]
    ).fetchall()
    return [batch for (batch,) in rows]


def batches_delivered(connection: "DuckDBPyConnection", feed: str, deliveries: Iterable[str]) -> set[str]:
    """The partition keys of the batches that have records of a divided file which was delivered in one of some."""
    if not exists(connection, FILE_BATCHES):
        return set()
    rows = connection.execute(
        f"SELECT DISTINCT batch FROM {FILE_BATCHES} WHERE feed = $1 AND delivered IN (SELECT unnest($2::VARCHAR[]))",
        [feed, list(deliveries)],
    ).fetchall()
    return {batch for (batch,) in rows}


def deliveries_of(connection: "DuckDBPyConnection", feed: str) -> list[str]:
    """The partition keys of the batches in which the loaded files of a feed were delivered."""
    rows = connection.execute(f"SELECT DISTINCT batch FROM {TABLE} WHERE feed = $1 AND {IS_IN_RAW}", [feed]).fetchall()
    return [batch for (batch,) in rows]


def repaired_batches(connection: "DuckDBPyConnection", feed: str) -> list[str]:
    """The partition keys of the batches that have repair files in the raw table, in order."""
    rows = connection.execute(
        f"SELECT DISTINCT batch FROM {placed(connection)} WHERE feed = $1 AND {IS_IN_RAW} AND repair ORDER BY 1",
        [feed],
    ).fetchall()
    return [batch for (batch,) in rows]


def batch_sizes(connection: "DuckDBPyConnection", feed: str, batches: Iterable[str] | None = None) -> dict[str, int]:
    """How many records of some batches (None: of all) are in the raw table, by partition key.

    Records of repair files do not count: they correct records that are counted already.
    """
    rows = connection.execute(
        f"""SELECT batch, coalesce(sum(records) FILTER (repair IS NOT true), 0)::BIGINT
            FROM {placed(connection)} WHERE feed = $feed AND {IS_IN_RAW}
            AND ($all OR batch IN (SELECT unnest($keys::VARCHAR[]))) GROUP BY 1""",
        {"feed": feed, "all": batches is None, "keys": list(batches or ())},
    ).fetchall()
    return {batch: records or 0 for batch, records in rows}


def ignored_records(connection: "DuckDBPyConnection", feed: str) -> dict[tuple[str, str, str], int]:
    """How many records of each loaded file are ignored: by name, version and partition key."""
    rows = connection.execute(
        f"""SELECT file, version, batch, {ignored_of(connection)} FROM {placed(connection)}
            WHERE feed = $1 AND status = 'loaded'""",
        [feed],
    ).fetchall()
    return {(file, version, batch): count for file, version, batch, count in rows}


@dataclass(frozen=True, slots=True)
class DayCount:
    """How many records of a day's batches were cleaned and rejected."""

    day: dt.date
    cleaned: int
    rejected: int


def newest_days(connection: "DuckDBPyConnection", feed: str, limit: int) -> list[DayCount]:
    """The counts of the newest batch days of a feed, at most `limit` of them, in order of days."""
    rows = connection.execute(
        f"""SELECT batch_date, coalesce(sum(cleaned), 0)::BIGINT, coalesce(sum(rejected), 0)::BIGINT
            FROM {placed(connection)}
            WHERE feed = $1 AND status = 'loaded' GROUP BY 1 ORDER BY 1 DESC LIMIT {limit:d}""",
        [feed],
    ).fetchall()
    return [DayCount(*row) for row in reversed(rows)]


def has_accepted(connection: "DuckDBPyConnection", feed: str) -> bool:
    """Whether any file of a feed was ever accepted."""
    return not is_empty(connection, f"{TABLE} WHERE feed = {literal(feed)} AND status <> 'quarantined'")


def first_load(connection: "DuckDBPyConnection", feed: str) -> dt.datetime | None:
    """When the first file of a feed was loaded, with a time zone; None if there is none, or it is not known."""
    row = connection.execute(f"SELECT min(loaded_at) FROM {TABLE} WHERE feed = $1 AND {ACCEPTED}", [feed]).fetchone()
    return row[0].replace(tzinfo=dt.UTC) if row and row[0] else None


def first_batch(connection: "DuckDBPyConnection", feed: str) -> str:
    """The first partition key that a feed's accepted files have records in; empty when there are none."""
    row = connection.execute(
        f"SELECT min(batch) FROM {placed(connection)} WHERE feed = $1 AND status <> 'quarantined'", [feed]
    ).fetchone()
    return str(row[0] or "") if row else ""


def accepted_batches(connection: "DuckDBPyConnection", feed: str) -> list[tuple[str, dt.datetime, str]]:
    """Name, modification time (UTC) and partition key of every accepted file of a feed."""
    rows = connection.execute(
        f"SELECT file, modified_at, batch FROM {TABLE} WHERE feed = $1 AND status <> 'quarantined'", [feed]
    ).fetchall()
    return [(file, modified_at.replace(tzinfo=dt.UTC), batch) for file, modified_at, batch in rows]


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
        f"""WITH batches AS (
            SELECT feed, max(batch) AS newest, min(batch) FILTER ({OPEN_REJECTS} > 0) AS oldest
            FROM {placed(connection)} WHERE status = 'loaded' GROUP BY feed)
        SELECT feed, count(*), coalesce(sum(bytes), 0)::BIGINT, any_value(newest),
            coalesce(sum({OPEN_REJECTS}) FILTER (status = 'loaded'), 0)::BIGINT, any_value(oldest)
        FROM {TABLE} LEFT JOIN batches USING (feed) WHERE status <> 'quarantined' GROUP BY feed ORDER BY feed"""
    ).fetchall()
    return {feed: FeedTotals(*found) for feed, *found in rows}


def arrivals(connection: "DuckDBPyConnection", feed: str, first: str) -> list[Arrival]:
    """What came for each batch of a feed from `first` (a partition key) on, in order; repair files do not count."""
    rows = connection.execute(
        f"""SELECT batch, min(seen_at) FILTER (status NOT IN ('quarantined', 'withdrawn')),
            count(*) FILTER (status NOT IN ('quarantined', 'withdrawn')), count(*) FILTER (status = 'quarantined')
        FROM {placed(connection)} WHERE feed = $1 AND batch >= $2 AND repair IS NOT true
        GROUP BY batch ORDER BY batch""",
        [feed, first],
    ).fetchall()
    return [Arrival(*row) for row in rows]
