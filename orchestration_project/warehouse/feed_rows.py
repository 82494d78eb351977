"""All that the warehouse has of a feed: its own tables, and its rows in the tables of all feeds.

Belongs here: to take it over from the scratch warehouse of a rebuild, and to remove it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse import history_days
from orchestration_project.warehouse.batching import TABLE as BATCHING
from orchestration_project.warehouse.feed_tables import PREFIXES
from orchestration_project.warehouse.file_batches import TABLE as FILE_BATCHES
from orchestration_project.warehouse.ledger import COUNTS
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.published import TABLE as PUBLISHED
from orchestration_project.warehouse.renewal import TABLE as CONTRACTS
from orchestration_project.warehouse.tables import (
    SCHEMA,
    columns_of,
    ensure_table,
    exists,
    ident,
    is_empty,
    literal,
    literals,
    types_of,
)
from orchestration_project.warehouse.waivers import TABLE as WAIVERS
from orchestration_project.warehouse.waivers import TAKEN

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REBUILT = "rebuilt"
"""The name under which a scratch warehouse is attached."""
SHARED = dict.fromkeys((LEDGER, FILE_BATCHES, WAIVERS, TAKEN, BATCHING, CONTRACTS, history_days.TABLE), "feed") | {
    PUBLISHED: "table_name"
}
"""The tables of all feeds, and the column that says which feed's a row is, or which table's."""
BEFORE = "_before"


def tables_of(feed: str) -> list[str]:
    """The names of a feed's own tables."""
    return [f"{prefix}{feed}" for prefix in PREFIXES]


@contextmanager
def attached(connection: "DuckDBPyConnection", scratch: Path) -> Iterator[None]:
    """Have a scratch warehouse attached as `rebuilt`, to be read."""
    connection.execute(f"ATTACH {literal(str(scratch.resolve()))} AS {REBUILT} (READ_ONLY)")
    try:
        yield
    finally:
        connection.execute(f"DETACH {REBUILT}")


def lost_files(connection: "DuckDBPyConnection", feeds: Sequence[str], same_batches: bool) -> list[str]:
    """The files that the ledger has as current, and the rebuilt ledger does not have with the same bytes.

    Args:
        connection: with the scratch warehouse attached.
        feeds: names of the feed.
        same_batches: whether files were rebuilt for the batches that they had.
    """
    # Under another batching the same bytes are right in another batch.
    same = "batch, file, sha256" if same_batches else "file, sha256"
    rows = connection.execute(
        f"""SELECT DISTINCT file FROM {LEDGER} ANTI JOIN {REBUILT}.{SCHEMA}.{LEDGER} USING ({same})
            WHERE feed IN ({literals(feeds)}) AND status IN ('loaded', 'kept', 'duplicate', 'withdrawn') ORDER BY 1"""
    ).fetchall()
    return [file for (file,) in rows]


def copy_feed(connection: "DuckDBPyConnection", feed: str, names: Sequence[str]) -> None:
    """Replace all that the warehouse has of a feed by what the attached scratch warehouse has.

    Of its history this stays: when and by which run a file was first seen, the counts of versions that were replaced,
    and the lines of refused files, which no archive has.

    Args:
        connection: inside the transaction.
        feed: the feed's name.
        names: this name, and the one that it had before.
    """
    # A version may have several entries. One says most of its history: an accepted one, else the first.
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {BEFORE} AS FROM {LEDGER} WHERE feed IN ({literals(names)})
            QUALIFY row_number() OVER (
                PARTITION BY batch, file, version ORDER BY status = 'quarantined', seen_at) = 1"""
    )
    own = [*tables_of(feed), history_days.table_of(feed)]
    # The tables are made anew rather than changed: the rebuilt ones may have other columns and types.
    for name in names:
        drop_feed(connection, name)
    built = _tables_in(connection, REBUILT)
    for table in filter(built.__contains__, (*own, *SHARED)):
        ensure_table(connection, table, types_of(connection, f"{REBUILT}.{SCHEMA}.{ident(table)}"))
        # In the tables of all feeds other feeds have rows, too, so only the feed's own can be counted.
        _copy(connection, table, exactly=table in own)
    connection.execute(_history_query(), {"feed": feed})
    connection.execute(
        f"""INSERT INTO {LEDGER} BY NAME SELECT * REPLACE ($feed AS feed) FROM {BEFORE}
            WHERE status = 'quarantined' AND (batch, file, version) NOT IN (
            SELECT (batch, file, version) FROM {LEDGER} WHERE feed = $feed)""",
        {"feed": feed},
    )
    connection.execute(f"DROP TABLE {BEFORE}")


def _tables_in(connection: "DuckDBPyConnection", database: str) -> set[str]:
    rows = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = $1", [database]).fetchall()
    return {table for (table,) in rows}


def _copy(connection: "DuckDBPyConnection", table: str, exactly: bool) -> None:
    """Copy a table's rows into one that is empty (`exactly`), or has the rows of other feeds.

    Raises:
        WarehouseError: not all rows are there afterwards.
    """
    source = f"{REBUILT}.{SCHEMA}.{ident(table)}"
    # In DuckDB 1.5.5 an INSERT of no rows makes a later one of the transaction lose its rows, and report them as
    # inserted (see `tables.append`). So none is made of no rows, and what arrived is counted.
    if not is_empty(connection, source):
        connection.execute(f"INSERT INTO {ident(table)} BY NAME FROM {source}")
    counts = connection.execute(
        f"SELECT (SELECT count(*) FROM {source}), (SELECT count(*) FROM {ident(table)})"
    ).fetchone()
    if exactly and counts and counts[0] != counts[1]:
        raise WarehouseError(f"{table}: of {counts[0]} rows {counts[1]} were copied; nothing was changed")


def _history_query() -> str:
    """A file that has another batch now has the history of its version in the batch that it had.

    before, daily: 2024-01-17  a.csv  v1  seen at 8     now, weekly: 2024-01-15  a.csv  v1  seen at 8, too
    """
    # A count that the rebuild has made stays; one that it lacks, as of a version that was replaced, is that of before.
    counts = ", ".join(f"{name} = coalesce({LEDGER}.{name}, known.{name})" for name in COUNTS)
    return f"""WITH known AS (
            SELECT now.batch AS present, before.* FROM {LEDGER} AS now JOIN {BEFORE} AS before USING (file, version)
            WHERE now.feed = $feed AND before.status <> 'quarantined'
            QUALIFY row_number() OVER (
                PARTITION BY now.batch, file, version ORDER BY before.batch = now.batch DESC, before.seen_at) = 1)
        UPDATE {LEDGER} SET run_id = known.run_id, seen_at = known.seen_at,
            loaded_at = coalesce(known.loaded_at, {LEDGER}.loaded_at), {counts}
        FROM known
        WHERE {LEDGER}.feed = $feed AND {LEDGER}.batch = known.present AND {LEDGER}.file = known.file
            AND {LEDGER}.version = known.version"""


def drop_feed(connection: "DuckDBPyConnection", feed: str) -> None:
    """Remove all that the warehouse has of a feed. Inside the caller's transaction."""
    # A table of that name may be somebody else's.
    history = history_days.table_of(feed)
    own = [history] if history_days.is_history(connection, history) else []
    for table in (*tables_of(feed), *own):
        connection.execute(f"DROP TABLE IF EXISTS {ident(table)}")
    # `table_owners` is not among them: a feed's tables are told by their names and columns, they have no owner.
    for table, column in SHARED.items():
        if exists(connection, table):
            values = tables_of(feed) if column == "table_name" else [feed]
            connection.execute(f"DELETE FROM {table} WHERE {column} IN ({literals(values)})")


def feeds_of_warehouse(connection: "DuckDBPyConnection") -> dict[str, int]:
    """The feeds that the ledger has accepted files of, and how many."""
    if not columns_of(connection, LEDGER):
        return {}
    rows = connection.execute(
        f"SELECT feed, count(*) FROM {LEDGER} WHERE status <> 'quarantined' GROUP BY 1 ORDER BY 1"
    ).fetchall()
    return dict(rows)
