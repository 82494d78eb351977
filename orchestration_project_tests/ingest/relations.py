"""Relations of a load's session, filled by hand: rows in, so that a test can show the rows that come out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import duckdb

from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.warehouse.feed_tables import (
    cleaned_layout,
    cleaned_table,
    raw_layout,
    raw_table,
    rejected_layout,
    rejected_table,
)
from orchestration_project.warehouse.ledger import ensure_ledger
from orchestration_project.warehouse.tables import ensure_table
from orchestration_project.warehouse.waivers import ensure_waivers

FEED = Feed(
    "f", "1.0.0", (Column("id", "VARCHAR", "id", rules=(Required(),)), Column("n", "INTEGER", "n")), primary_key=("id",)
)


@contextmanager
def warehouse(feed: Feed = FEED) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory with a feed's empty tables."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        ensure_ledger(connection)
        ensure_waivers(connection)
        ensure_table(connection, raw_table(feed), raw_layout(feed, "DATE"))
        ensure_table(connection, cleaned_table(feed), cleaned_layout(feed, "DATE"))
        ensure_table(connection, rejected_table(feed), rejected_layout(feed, "DATE"))
        yield connection


def make(connection: duckdb.DuckDBPyConnection, relation: str, columns: str, rows: str = "") -> None:
    """A temporary table with columns (`name type, ...`) and rows (`(...), (...)`, as SQL)."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {relation} ({columns})")
    if rows:
        connection.execute(f"INSERT INTO {relation} VALUES {rows}")


def add(connection: duckdb.DuckDBPyConnection, table: str, columns: str, rows: str) -> None:
    """Rows of a table, given as SQL, in some of its columns."""
    connection.execute(f"INSERT INTO {table} ({columns}) VALUES {rows}")


def ask(connection: duckdb.DuckDBPyConnection, query: str, **parameters: object) -> Sequence[tuple[object, ...]]:
    """The rows of a query, in order."""
    return connection.execute(f"SELECT * FROM ({query}) ORDER BY ALL", parameters or None).fetchall()
