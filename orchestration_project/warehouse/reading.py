"""Connections for those who only read: nothing is written, not even an empty table that is not there yet.

Reports, checks and proofs ask tables that the first load will make. An empty temporary table stands in for each of
them, which only the connection itself sees.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration_project.warehouse.connection import SHUT, Warehouse
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Columns = Mapping[str, str]
"""Columns of a table and their DuckDB types, in order."""


@contextmanager
def reading(
    warehouse: Warehouse, purpose: str, tables: Mapping[str, Columns] | None = None
) -> Iterator["DuckDBPyConnection"]:
    """A read-only connection under the warehouse lock; where there is no warehouse yet, one to an empty database.

    Args:
        warehouse: what is read.
        purpose: what the holder does, shown to whoever waits.
        tables: tables that may be missing, with the columns that are asked for.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        WarehouseBroken: its file can't be read.
    """
    if warehouse.database.exists():
        with warehouse.connection(purpose, read_only=True) as connection:
            stand_in(connection, tables or {})
            yield connection
    else:
        import duckdb

        with duckdb.connect(config=SHUT) as connection:
            stand_in(connection, tables or {})
            yield connection


def stand_in(connection: "DuckDBPyConnection", tables: Mapping[str, Columns]) -> None:
    """Have statements of this connection find an empty table for each one that the warehouse does not have."""
    for table, columns in tables.items():
        if not exists(connection, table):
            listed = ", ".join(f"{ident(name)} {sql_type}" for name, sql_type in columns.items())
            connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {ident(table)} ({listed})")
