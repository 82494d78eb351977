"""`history_days`: which snapshots the history of each feed was made of, one row a day.

It is written with the history, in the same transaction. So a load can tell which days have changed since, whatever made
them change: a snapshot that came late, a correction, a withdrawal, a repair, a killed load, another release.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.warehouse.feed_tables import HISTORY, IS_CURRENT, VALID_FROM, VALID_TO
from orchestration_project.warehouse.ledger import BATCH_DATE, IN_RAW, IS_IN_RAW, Entry, Status
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import columns_of, ensure_table, ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "history_days"
COLUMNS = {"feed": "VARCHAR", "batch": "VARCHAR", "files": "VARCHAR[]"}
ADDED = (VALID_FROM, VALID_TO, IS_CURRENT, "_file", "_file_version", "_row")

Days = dict[str, tuple[str, ...]]
"""By day (partition key), the files that count: each as its name and version."""


def table_of(feed: str) -> str:
    """The name of a feed's history, by the feed's name."""
    return f"{feed}{HISTORY}"


def is_history(connection: "DuckDBPyConnection", table: str) -> bool:
    """Whether a table is the history of a feed, by its columns."""
    return set(ADDED) <= set(columns_of(connection, table))


def ensure_days(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def noted_days(connection: "DuckDBPyConnection", feed: str) -> Days:
    """The days of a feed's history, in order."""
    rows = connection.execute(f"SELECT batch, files FROM {TABLE} WHERE feed = $1 ORDER BY batch", [feed]).fetchall()
    return {batch: tuple(files) for batch, files in rows}


def days_in_ledger(connection: "DuckDBPyConnection", feed: str, changed: Iterable[Entry] = ()) -> Days:
    """The days that a feed's history has to have by the ledger, in order.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        changed: entries that are going to be written.
    """
    rows = connection.execute(
        f"SELECT batch, file, version FROM {LEDGER} WHERE feed = $1 AND {IS_IN_RAW}", [feed]
    ).fetchall()
    counting = set(rows)
    for entry in changed:
        place = (entry.batch, entry.file, entry.version)
        (counting.add if entry.status in IN_RAW else counting.discard)(place)
    found: dict[str, list[str]] = {}
    for batch, file, version in sorted(counting):
        found.setdefault(batch, []).append(f"{file} {version}")
    return {batch: tuple(files) for batch, files in found.items()}


def differing(noted: Days, days: Days) -> set[str]:
    """The days of which a history was made of other files than these, or which only one of the two has."""
    return {day for day in {*noted, *days} if noted.get(day) != days.get(day)}


def note_days(connection: "DuckDBPyConnection", feed: str, changed: Iterable[str], days: Days) -> None:
    """Note what some days consist of now; those that are not among `days` are no days of the history any more."""
    keys = sorted(changed)
    connection.execute(
        f"DELETE FROM {TABLE} WHERE feed = $feed AND batch IN (SELECT unnest($keys::VARCHAR[]))",
        {"feed": feed, "keys": keys},
    )
    if present := [key for key in keys if key in days]:
        connection.execute(
            f"INSERT INTO {TABLE} SELECT $feed, unnest($keys::VARCHAR[]), unnest($files::VARCHAR[][])",
            {"feed": feed, "keys": present, "files": [list(days[key]) for key in present]},
        )


def forget(connection: "DuckDBPyConnection", feed: str, raw: str) -> None:
    """Drop a feed's history, and the earlier snapshots that its raw table has for it. The archive still has them."""
    is_kept, superseded = f"feed = $1 AND status = {literal(Status.KEPT)}", literal(Status.SUPERSEDED)
    kept = f"SELECT {BATCH_DATE}, file, version FROM {LEDGER} WHERE {is_kept}"
    connection.execute(f"DELETE FROM {ident(raw)} WHERE (_batch_date, _file, _file_version) IN ({kept})", [feed])
    connection.execute(f"UPDATE {LEDGER} SET status = {superseded} WHERE {is_kept}", [feed])
    connection.execute(f"DELETE FROM {TABLE} WHERE feed = $1", [feed])
    connection.execute(f"DROP TABLE {ident(table_of(feed))}")


@dataclass(frozen=True, slots=True)
class HistorySize:
    """How much a history holds: snapshots with their records, versions, and how many of these are current."""

    snapshots: int
    records: int
    versions: int
    current: int


def size_of(connection: "DuckDBPyConnection", feed: str, table: str) -> HistorySize:
    """How much the history of a feed holds; `table` is its name."""
    row = connection.execute(
        f"""SELECT (SELECT count(*) FROM {TABLE} WHERE feed = $1),
            (SELECT coalesce(sum(records), 0)::BIGINT FROM {LEDGER} WHERE feed = $1 AND {IS_IN_RAW}),
            count(*), count(*) FILTER ({IS_CURRENT}) FROM {ident(table)}""",
        [feed],
    ).fetchone()
    return HistorySize(*(row or (0, 0, 0, 0)))
