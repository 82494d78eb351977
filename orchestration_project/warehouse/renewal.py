"""New tables of a feed, made beside the published ones, and the short transaction in which they take their place.

A table can't be moved to another schema, but renamed. So the feed's new tables are in the published schema, under names
of their own (`RenewedFeed`). What the platform notes of files and batches meanwhile is in a schema of its own, which is
looked at first: stages work as in any load, and nothing that is published changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration_project.failpoints import Point, reached
from orchestration_project.warehouse import ledger, published, waivers
from orchestration_project.warehouse.feed_tables import NEW, RenewedFeed, cleaned_table, layouts
from orchestration_project.warehouse.quoting import ident, literal
from orchestration_project.warehouse.tables import SCHEMA, create_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ASIDE = "renewing"
"""The schema of what is noted meanwhile."""


@contextmanager
def beside(connection: "DuckDBPyConnection", feed: RenewedFeed, batch_type: str) -> Iterator[None]:
    """Make empty new tables; within the block stages write to them, and to notes that are the feed's own.

    What is left of it afterwards is dropped, whether or not it has taken the place of what was published.
    """
    try:
        for table, layout in _new_layouts(feed, batch_type).items():
            create_table(connection, table, layout)
        connection.execute(f"CREATE SCHEMA {ASIDE}")
        for table, rows in _notes(feed).items():
            # No batch is published yet; all else is as it is now.
            begun = "false" if table == published.TABLE else rows
            connection.execute(f"CREATE TABLE {ASIDE}.{table} AS FROM {SCHEMA}.{table} WHERE {begun}")
        connection.execute(f"SET search_path = '{ASIDE},{SCHEMA}'")
        reached(Point.RENEWING)
        yield
    finally:
        connection.execute("RESET search_path")
        drop_remains(connection)


def replace_published(connection: "DuckDBPyConnection", feed: RenewedFeed, batch_type: str) -> None:
    """Let the new tables and notes take the place of the published ones, inside the caller's transaction."""
    for table in _new_layouts(feed, batch_type):
        place = table.removesuffix(NEW)
        connection.execute(f"DROP TABLE {SCHEMA}.{ident(place)}")
        connection.execute(f"ALTER TABLE {SCHEMA}.{ident(table)} RENAME TO {ident(place)}")
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
    tables = connection.execute(
        """SELECT table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND schema_name = $1 AND ends_with(table_name, $2)""",
        [SCHEMA, NEW],
    ).fetchall()
    for (table,) in tables:
        connection.execute(f"DROP TABLE {SCHEMA}.{ident(table)}")
    connection.execute(f"DROP SCHEMA IF EXISTS {ASIDE} CASCADE")


def _new_layouts(feed: RenewedFeed, batch_type: str) -> dict[str, dict[str, str]]:
    return {table: layout for table, layout in layouts(feed, batch_type).items() if table.endswith(NEW)}


def _notes(feed: RenewedFeed) -> dict[str, str]:
    """The tables that say something of the feed, and which of their rows do."""
    name, place = literal(feed.name), literal(cleaned_table(feed).removesuffix(NEW))
    return dict.fromkeys((ledger.TABLE, waivers.TABLE, waivers.TAKEN), f"feed = {name}") | {
        published.TABLE: f"table_name = {place}"
    }
