"""A reader of the published copy, who sees nothing else, and what the copy has to show."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import duckdb

from orchestration_project.publishing.publish import Published, publish
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop

HEAD = "id,n\n"
TABLES = ("cleaned_f", "rejected_f", "file_ledger")

Shown = dict[str, list[tuple[Any, ...]]]


@contextmanager
def reader(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to the copy, as a reader has it."""
    with duckdb.connect(str(settings.published / "warehouse.duckdb"), read_only=True) as connection:
        yield connection


def shown_where_it_is(settings: Settings) -> Shown:
    """All rows of a copy whose folder was itself copied from another place."""
    if not (settings.published / "warehouse.duckdb").exists():
        return {}
    with reader(settings) as connection:
        connection.execute(f"SET VARIABLE published_path = '{settings.published}'")
        return {table: rows_of(connection, table) for table in TABLES}


def shown(settings: Settings, *tables: str) -> Shown:
    """All rows of the copy by table; nothing where there is no copy yet."""
    if not (settings.published / "warehouse.duckdb").exists():
        return {}
    with reader(settings) as connection:
        return {table: rows_of(connection, table) for table in tables or TABLES}


def held(settings: Settings, *tables: str) -> Shown:
    """All rows of the warehouse by table."""
    if not settings.database.exists():
        return {}
    with duckdb.connect(str(settings.database), read_only=True) as connection:
        return {table: rows_of(connection, table) for table in tables or TABLES}


def rows_of(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def published(shop: Shop) -> Published:
    """Publish what a shop's warehouse holds."""
    return publish(shop.settings, shop.told.append)
