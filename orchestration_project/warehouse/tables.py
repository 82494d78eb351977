"""Tables in general: how names and values are quoted, how tables are made, changed, described, and batches replaced.

`ident` and `literal` are the only ways in which a name or a value becomes part of a statement. Every other function
runs inside the caller's transaction. The tables of a feed are in `feed_tables`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCH = "_batch_date"
"""The column that tells the batch of a row."""
BATCH_TYPES = ("DATE", "TIMESTAMP")
CHANGED_BY_PARQUET = r"U?HUGEINT|BIGNUM|BIT|INTERVAL|TIME WITH TIME ZONE|TIME_NS|TIMESTAMP_M?S"
"""A pattern of types that Parquet lacks: DuckDB 1.5.5 writes a HUGEINT as a DOUBLE and cuts an INTERVAL to
milliseconds, without a word. Their text keeps all of it."""


def ident(name: str) -> str:
    """A name as a quoted SQL identifier.

    Raises:
        WarehouseError: it has a character that no name in SQL can have.
    """
    # DuckDB's parser ends a statement at a NUL, and unlike in a literal there is no other way to write one.
    if "\0" in name or not is_unicode(name):
        raise WarehouseError(
            f"{name!r} can't be the name of a table or column: it has a character that SQL can't write"
        )
    return '"' + name.replace('"', '""') + '"'


def idents(names: Iterable[str]) -> str:
    """Names as a comma-separated list of quoted SQL identifiers."""
    return ", ".join(ident(name) for name in names)


def literal(value: str) -> str:
    """Text as a SQL string literal.

    Raises:
        WarehouseError: it has half a surrogate pair, which is no text for DuckDB.
    """
    if not is_unicode(value):
        raise WarehouseError(f"{value!r} is no text: it has half of a character that takes two")
    # DuckDB's parser ends a statement at a NUL.
    parts = ["'" + part.replace("'", "''") + "'" for part in value.split("\0")]
    return parts[0] if len(parts) == 1 else f"({' || chr(0) || '.join(parts)})"


def is_unicode(text: str) -> bool:
    """Whether a text can be written as UTF-8: whether it has no half of a surrogate pair."""
    if text.isascii():
        return True  # most text is, and Python knows it without a look at the characters
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def literals(values: Iterable[str]) -> str:
    """Texts as a comma-separated list of SQL string literals."""
    return ", ".join(literal(value) for value in values)


SCHEMA = "main"
Columns = Mapping[str, str]
"""Columns of a table and their DuckDB types, in order."""
WIDE = re.compile(r"U?HUGEINT|DECIMAL\((19|[23]\d),\s*\d+\)")
"""Matches types whose numbers take 128 bits."""
NOT_IN_A_LAKE = re.compile(rf"\b(ENUM|UNION|GEOMETRY|VARIANT|{CHANGED_BY_PARQUET})\b")
"""Matches types, also inside of others, that a lake can't hold exactly."""
INSTEAD = {
    "HUGEINT": "DECIMAL(38,0)",
    "UHUGEINT": "DECIMAL(38,0)",
    "TIMESTAMP_S": "TIMESTAMP",
    "TIMESTAMP_MS": "TIMESTAMP",
}


def columns_of(connection: "DuckDBPyConnection", table: str, schema: str = SCHEMA) -> dict[str, str]:
    """A table's columns and their DuckDB types, in order; empty if there is no such table. Names have no case."""
    # Not by DESCRIBE, which fails where there is no table, and would find the temporary one that stands in for it.
    # Without parameters: at the first one of a process DuckDB imports pandas, which takes as long as a short command.
    rows = connection.execute(
        f"""SELECT column_name, data_type FROM duckdb_columns()
            WHERE database_name = current_database()
                AND lower(schema_name) = lower({literal(schema)}) AND lower(table_name) = lower({literal(table)})
            ORDER BY column_index"""
    ).fetchall()
    return dict(rows)


def catalog_of(connection: "DuckDBPyConnection") -> str:
    """How DuckDB names the warehouse: the beginning of its file's name, as a rule."""
    row = connection.execute("SELECT current_database()").fetchone()
    return str(row[0]) if row else ""


def qualified(connection: "DuckDBPyConnection", table: str, schema: str) -> str:
    """A table's whole name, quoted. A schema that is named as the warehouse is ambiguous without the warehouse."""
    return f"{ident(catalog_of(connection))}.{ident(schema)}.{ident(table)}"


def is_lake(connection: "DuckDBPyConnection") -> bool:
    """Whether the warehouse is a DuckLake."""
    row = connection.execute("SELECT type FROM duckdb_databases() WHERE database_name = current_database()").fetchone()
    return row == ("ducklake",)


def types_of(connection: "DuckDBPyConnection", source: str) -> dict[str, str]:
    """The columns of a table, a view or a table function (anything after FROM) and their DuckDB types, in order."""
    rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {source})").fetchall()
    return dict(rows)


def is_empty(connection: "DuckDBPyConnection", source: str) -> bool:
    """Whether a table with its conditions (`t WHERE ...`) gives no row.

    `LIMIT 1` ends the scan at the first row; `count(*)` would read all.
    """
    return connection.execute(f"SELECT 1 FROM {source} LIMIT 1").fetchone() is None


def exists(connection: "DuckDBPyConnection", table: str) -> bool:
    """Whether the warehouse has the table."""
    return bool(columns_of(connection, table))


def ensure_table(
    connection: "DuckDBPyConnection", table: str, columns: Mapping[str, str], schema: str = SCHEMA
) -> None:
    """Make sure that a table exists and has at least these columns in these types.

    Missing columns are added, with NULL in existing rows. A column of another type is converted.

    Args:
        connection: to the warehouse.
        table: the table's name.
        columns: DuckDB types by column name.
        schema: the table's schema.

    Raises:
        WarehouseError: a value of an existing row does not fit the new type.
    """
    # There is no step of a migration to run, nor an order of them: whoever writes next brings the table up to date.
    present = columns_of(connection, table, schema)
    if not present:
        create_table(connection, table, columns, schema)
        return
    add_columns(connection, table, {name: columns[name] for name in columns if name not in present}, schema)
    for column, sql_type in canonical(connection, columns).items():
        if present.get(column, sql_type) != sql_type:
            _convert(connection, f"{ident(schema)}.{ident(table)}", column, present[column], sql_type)


def stand_in(connection: "DuckDBPyConnection", tables: Mapping[str, Columns]) -> None:
    """Have statements of this connection find an empty table for each one that the warehouse does not have."""
    # A temporary table can be made on a read-only connection, too, and goes with it.
    for table, columns in tables.items():
        if not exists(connection, table):
            listed = ", ".join(f"{ident(name)} {sql_type}" for name, sql_type in columns.items())
            connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {ident(table)} ({listed})")


def create_table(
    connection: "DuckDBPyConnection", table: str, columns: Mapping[str, str], schema: str = SCHEMA
) -> None:
    """Make a table with these columns and DuckDB types.

    Raises:
        WarehouseError: a lake can't hold one of the types.
    """
    stored = _stored(connection, table, columns)
    listed = ", ".join(f"{ident(column)} {sql_type}" for column, sql_type in stored.items())
    connection.execute(f"CREATE TABLE {qualified(connection, table, schema)} ({listed})")


def add_columns(connection: "DuckDBPyConnection", table: str, columns: Mapping[str, str], schema: str = SCHEMA) -> None:
    """Add columns to a table, with NULL in its rows.

    Raises:
        WarehouseError: a lake can't hold one of the types.
    """
    if not columns:
        return
    name = qualified(connection, table, schema)
    for column, sql_type in _stored(connection, table, columns).items():
        connection.execute(f"ALTER TABLE {name} ADD COLUMN {ident(column)} {sql_type}")


def _stored(connection: "DuckDBPyConnection", table: str, columns: Mapping[str, str]) -> dict[str, str]:
    """The columns' types, each with how its values are stored.

    DuckDB 1.5.5 needs more than ten times as long to unpack 128-bit numbers as to read them uncompressed.
    """
    if not is_lake(connection):
        return {
            column: f"{sql_type} USING COMPRESSION uncompressed" if WIDE.fullmatch(sql_type) else sql_type
            for column, sql_type in columns.items()
        }
    for column, sql_type in canonical(connection, columns).items():
        if unfit := NOT_IN_A_LAKE.search(sql_type):
            instead = INSTEAD.get(unfit[1], "VARCHAR")
            raise WarehouseError(
                f"{table}: column {column!r} is {sql_type}, whose values a lake would change or refuse; make it"
                f" {sql_type.replace(unfit[1], instead) if unfit[1] in INSTEAD else instead}"
            )
    return dict(columns)


def canonical(connection: "DuckDBPyConnection", columns: Mapping[str, str]) -> dict[str, str]:
    """The columns with DuckDB's own names for their types: `INT` becomes `INTEGER`."""
    # DuckDB itself tells, so that no list of synonyms has to be kept.
    types = ", ".join(f"typeof(CAST(NULL AS {sql_type}))" for sql_type in columns.values())
    return dict(zip(columns, connection.execute(f"SELECT {types}").fetchone() or (), strict=True))


def _convert(connection: "DuckDBPyConnection", name: str, column: str, present: str, wanted: str) -> None:
    import duckdb

    try:
        change_type(connection, name, column, wanted, f"CAST({ident(column)} AS {wanted})")
    except duckdb.Error:
        raise WarehouseError(
            f"{name}: column {column!r} is {present} and its rows do not fit {wanted}. Drop the table, and materialize"
            " its batches again from what is upstream"
        ) from None  # DuckDB's message quotes a value, which may be personal


def change_type(connection: "DuckDBPyConnection", name: str, column: str, sql_type: str, value: str) -> None:
    """Give a column of a table another type. Inside the caller's transaction.

    Args:
        connection: to the warehouse.
        name: the table's whole name, quoted.
        column: the column.
        sql_type: its new type.
        value: an expression of its new values.
    """
    if not is_lake(connection):
        connection.execute(f"ALTER TABLE {name} ALTER COLUMN {ident(column)} TYPE {sql_type} USING {value}")
        return
    # A lake can widen a type only, and computes nothing for it. So the table is made anew.
    retyped = f"SELECT * REPLACE ({value} AS {ident(column)}) FROM {name}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _retyped AS {retyped}")
    columns = types_of(connection, name) | {column: sql_type}
    _stored(connection, name, columns)
    listed = ", ".join(f"{ident(each)} {each_type}" for each, each_type in columns.items())
    connection.execute(f"DROP TABLE {name}")
    connection.execute(f"CREATE TABLE {name} ({listed})")
    connection.execute(f"INSERT INTO {name} FROM _retyped")
    connection.execute("DROP TABLE _retyped")


def batch_filter(batches: Iterable[object] | None) -> str:
    """A SQL condition on `_batch_date` that is true for the given batches only; None: for all batches."""
    if batches is None:
        return "true"
    listed = [str(batch) for batch in batches]
    return f"_batch_date IN ({literals(listed)})" if listed else "false"


def append(connection: "DuckDBPyConnection", table: str, select: str) -> int:
    """Add the rows of a query to a temporary table. Can be called several times in one transaction.

    In DuckDB 1.5.5 an INSERT of no rows makes a later large INSERT of the same transaction lose its rows, while it
    reports them as inserted. So an INSERT of no rows is not executed.

    Returns:
        The number of rows inserted.
    """
    # Into a table first: the query is run once, and its number of rows is known before an INSERT is made of them.
    found = connection.execute(f"CREATE OR REPLACE TEMP TABLE _found AS {select}").fetchone()
    if found and found[0]:
        connection.execute(f"INSERT INTO temp.{ident(table)} FROM _found")
    connection.execute("DROP TABLE _found")
    return int(found[0]) if found else 0


def replace_batches(connection: "DuckDBPyConnection", table: str, batches: Sequence[object] | None, select: str) -> int:
    """Replace the rows of some batches (None: all rows) with the rows of a query. Columns are matched by name.

    Returns:
        The number of rows inserted.
    """
    # BY NAME: a column that was added later stands last in the table, and in another place in the query.
    condition = batch_filter(batches)
    connection.execute(f"DELETE FROM {ident(table)} WHERE {condition}")
    inserted = connection.execute(f"INSERT INTO {ident(table)} BY NAME {select}").fetchone()
    return int(inserted[0]) if inserted else 0
