"""Tables of the warehouse: make them fit, ask for them, replace batches in them.

Every function runs inside the caller's transaction.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse.quoting import ident, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA = "main"
WIDE = re.compile(r"U?HUGEINT|DECIMAL\((19|[23]\d),\s*\d+\)")
"""Types whose numbers take 128 bits."""


def columns_of(connection: "DuckDBPyConnection", table: str, schema: str = SCHEMA) -> dict[str, str]:
    """A table's columns and their DuckDB types, in order; empty when there is no such table."""
    rows = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = current_database()"
        " AND schema_name = $1 AND table_name = $2 ORDER BY column_index",
        [schema, table],
    ).fetchall()
    return dict(rows)


def types_of(connection: "DuckDBPyConnection", source: str) -> dict[str, str]:
    """The columns of whatever can stand after FROM, and their DuckDB types, in order."""
    rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {source})").fetchall()
    return dict(rows)


def is_empty(connection: "DuckDBPyConnection", source: str) -> bool:
    """Whether what stands after FROM, with its conditions, gives no row."""
    return connection.execute(f"SELECT 1 FROM {source} LIMIT 1").fetchone() is None


def exists(connection: "DuckDBPyConnection", table: str) -> bool:
    """Whether the warehouse has the table."""
    return bool(columns_of(connection, table))


def ensure_table(
    connection: "DuckDBPyConnection", table: str, columns: Mapping[str, str], schema: str = SCHEMA
) -> None:
    """Make sure that a table exists with at least these columns in these types.

    Missing columns are added (NULL in the rows that are there); a changed type is converted.

    Raises:
        WarehouseError: the rows that are there do not fit a changed type.
    """
    name = f"{ident(schema)}.{ident(table)}"
    present = columns_of(connection, table, schema)
    if not present:
        listed = ", ".join(f"{ident(column)} {_stored(sql_type)}" for column, sql_type in columns.items())
        connection.execute(f"CREATE TABLE {name} ({listed})")
        return
    for column, sql_type in _canonical(connection, columns).items():
        if column not in present:
            connection.execute(f"ALTER TABLE {name} ADD COLUMN {ident(column)} {_stored(sql_type)}")
        elif present[column] != sql_type:
            _convert(connection, name, column, present[column], sql_type)


def _stored(sql_type: str) -> str:
    """A type with how its values are stored.

    To unpack numbers of 128 bits takes DuckDB 1.5.5 more than ten times as long as to read them as they are.
    """
    return f"{sql_type} USING COMPRESSION uncompressed" if WIDE.fullmatch(sql_type) else sql_type


def _canonical(connection: "DuckDBPyConnection", columns: Mapping[str, str]) -> dict[str, str]:
    """The columns with the names that DuckDB itself has for their types."""
    types = ", ".join(f"typeof(CAST(NULL AS {sql_type}))" for sql_type in columns.values())
    return dict(zip(columns, connection.execute(f"SELECT {types}").fetchone() or (), strict=True))


def _convert(connection: "DuckDBPyConnection", name: str, column: str, present: str, wanted: str) -> None:
    import duckdb

    try:
        connection.execute(f"ALTER TABLE {name} ALTER COLUMN {ident(column)} TYPE {wanted}")
    except duckdb.Error:
        raise WarehouseError(
            f"{name}: column {column!r} is {present} and its rows do not fit {wanted}. Drop the table, and materialize"
            " its batches again from what is upstream"
        ) from None  # DuckDB's message quotes a value, which may be personal


def batch_filter(batches: Iterable[object] | None) -> str:
    """A condition on `_batch_date` that holds for the given batches only; None: for all."""
    if batches is None:
        return "true"
    listed = [str(batch) for batch in batches]
    return f"_batch_date IN ({literals(listed)})" if listed else "false"


def append(connection: "DuckDBPyConnection", table: str, select: str) -> int:
    """Add the result of a query to a temporary table into which more may be inserted in the same transaction.

    DuckDB 1.5.5 loses the rows of a large INSERT that follows one of no rows in the same transaction, and tells that it
    inserted them: so one of no rows is not made.

    Returns:
        The number of rows inserted.
    """
    found = connection.execute(f"CREATE OR REPLACE TEMP TABLE _found AS {select}").fetchone()
    if found and found[0]:
        connection.execute(f"INSERT INTO temp.{ident(table)} FROM _found")
    connection.execute("DROP TABLE _found")
    return int(found[0]) if found else 0


def replace_batches(connection: "DuckDBPyConnection", table: str, batches: Sequence[object] | None, select: str) -> int:
    """Replace the rows of some batches (None: all rows) with the result of a query, columns matched by name.

    Returns:
        The number of rows inserted.
    """
    condition = batch_filter(batches)
    connection.execute(f"DELETE FROM {ident(table)} WHERE {condition}")
    inserted = connection.execute(f"INSERT INTO {ident(table)} BY NAME {select}").fetchone()
    return int(inserted[0]) if inserted else 0
