"""New tables of a feed, made beside the published ones, and the short transaction in which they take their place.

A table can't be moved to another schema, but renamed. So the feed's new tables are in the published schema, under names
of their own (`RenewedFeed`). What the platform notes of files and batches meanwhile is in a schema of its own, which is
looked at first: stages work as in any load, and nothing that is published changes.

`feed_contracts` holds the contract with which each feed's tables were made, written in the transaction that makes them:
so a load can tell whether the rows that are there are those that the present contract would give.
"""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration_project.failpoints import Point, reached
from orchestration_project.warehouse import file_batches, history_days, ledger, published, waivers
from orchestration_project.warehouse.feed_tables import (
    NEW,
    RenewedFeed,
    cleaned_table,
    history_layout,
    history_table,
    layouts,
)
from orchestration_project.warehouse.tables import SCHEMA, catalog_of, create_table, ensure_table, ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "feed_contracts"
COLUMNS = {"feed": "VARCHAR", "made_as": "VARCHAR", "contract_version": "VARCHAR", "made_at": "TIMESTAMP"}


def ensure_feed_contracts(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def made_as(connection: "DuckDBPyConnection", feed: str) -> str | None:
    """What identifies the contract with which a feed's tables were made; None if that was never recorded."""
    row = connection.execute(f"SELECT made_as FROM {TABLE} WHERE feed = $1", [feed]).fetchone()
    return None if row is None else str(row[0])


def note_contract(
    connection: "DuckDBPyConnection", feed: str, made_as: str, contract_version: str, now: dt.datetime
) -> None:
    """Record with which contract a feed's tables are made.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        made_as: identifies what of the contract decides columns, values and duplicates.
        contract_version: its version, for people.
        now: the present moment, with a time zone.
    """
    connection.execute(f"DELETE FROM {TABLE} WHERE feed = $1", [feed])
    moment = now.astimezone(dt.UTC).replace(tzinfo=None)
    connection.execute(f"INSERT INTO {TABLE} VALUES ($1, $2, $3, $4)", [feed, made_as, contract_version, moment])


ASIDE = "renewing"
"""The schema of what is noted meanwhile."""


@contextmanager
def beside(connection: "DuckDBPyConnection", feed: RenewedFeed, batch_type: str) -> Iterator[None]:
    """Make empty new tables; within the block stages write to them, and to notes that are the feed's own.

    What is left of it afterwards is dropped, whether or not it has taken the place of what was published.
    """
    usual = f"{ident(catalog_of(connection))}.{SCHEMA}"
    try:
        for table, layout in _new_layouts(feed, batch_type).items():
            create_table(connection, table, layout)
        connection.execute(f"CREATE SCHEMA {ASIDE}")
        for table, rows in _notes(feed).items():
            # No batch is published yet; all else is as it is now. Copied, not made empty: stages ask the ledger for the
            # files that there are.
            begun = "false" if table in (published.TABLE, history_days.TABLE) else rows
            connection.execute(f"CREATE TABLE {ASIDE}.{table} AS FROM {SCHEMA}.{table} WHERE {begun}")
        # The stages name their tables without a schema. So none of them has to know that this load is another one.
        connection.execute(f"SET search_path = '{ASIDE},{SCHEMA}'")
        reached(Point.RENEWING)
        yield
    finally:
        # First, or what comes afterwards on this connection would write to the notes that are dropped. Not by RESET,
        # which forgets that a lake is in use: a load on a lake once failed after each renewal.
        connection.execute(f"USE {usual}")
        drop_remains(connection)


def replace_published(connection: "DuckDBPyConnection", feed: RenewedFeed, batch_type: str) -> None:
    """Let the new tables and notes take the place of the published ones, inside the caller's transaction."""
    for table in _new_layouts(feed, batch_type):
        # To rename costs nothing, whatever the size: the rows were written before, batch by batch, in bounded memory.
        place = table.removesuffix(NEW)
        connection.execute(f"DROP TABLE {SCHEMA}.{ident(place)}")
        connection.execute(f"ALTER TABLE {SCHEMA}.{ident(table)} RENAME TO {ident(place)}")
    # Rows of other feeds stay: only this one's were copied aside.
    for table, rows in _notes(feed).items():
        connection.execute(f"DELETE FROM {SCHEMA}.{table} WHERE {rows}")
        if table == published.TABLE:
            place = literal(cleaned_table(feed).removesuffix(NEW))
            renamed = f"SELECT * REPLACE ({place} AS table_name) FROM {ASIDE}.{table}"
        else:
            renamed = f"FROM {ASIDE}.{table}"
        connection.execute(f"INSERT INTO {SCHEMA}.{table} BY NAME {renamed}")


def drop_remains(connection: "DuckDBPyConnection") -> None:
    """Drop what a renewal has left behind: one that was killed, or found files that do not fit."""
    # By the end of their names: nobody knows of which feed a killed renewal was.
    tables = connection.execute(
        """SELECT table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND schema_name = $1 AND ends_with(table_name, $2)""",
        [SCHEMA, NEW],
    ).fetchall()
    for (table,) in tables:
        connection.execute(f"DROP TABLE {SCHEMA}.{ident(table)}")
    connection.execute(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")


def _new_layouts(feed: RenewedFeed, batch_type: str) -> dict[str, dict[str, str]]:
    new = {table: layout for table, layout in layouts(feed, batch_type).items() if table.endswith(NEW)}
    return new | ({history_table(feed): history_layout(feed)} if feed.has_history else {})


def _notes(feed: RenewedFeed) -> dict[str, str]:
    """The tables that say something of the feed, and which of their rows do."""
    name, place = literal(feed.name), literal(cleaned_table(feed).removesuffix(NEW))
    noted = [
        ledger.TABLE,
        file_batches.TABLE,
        waivers.TABLE,
        waivers.TAKEN,
        *([history_days.TABLE] if feed.has_history else []),
    ]
    return dict.fromkeys(noted, f"feed = {name}") | {published.TABLE: f"table_name = {place}"}
