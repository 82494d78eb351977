"""The warehouse as Parquet files, by table and batch, and back; and what both sides are compared by.

Every function works on an open connection, to a copy of the warehouse in which nothing changes between the first
question and the last file.

Parquet has no form for some types of DuckDB: a HUGEINT comes back as a DOUBLE. Columns of these types are saved as text
and cast back. Whether all is right is not believed but compared: the rows of each batch have a checksum.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import (
    BATCH,
    BATCH_TYPES,
    CHANGED_BY_PARQUET,
    SCHEMA,
    catalog_of,
    columns_of,
    ident,
    literal,
    qualified,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OTHERWISE = re.compile(rf"\b(ENUM|UNION|GEOMETRY|VARIANT|{CHANGED_BY_PARQUET})\b")
"""Matches types, also inside of others, that Parquet changes."""
GENERATED = re.compile(r"GENERATED ALWAYS AS", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Content:
    """The rows of a batch: how many, and the sum of their hashes, which does not depend on their order."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class TableState:
    """What a table holds now: its columns with their types, and its batches (None: rows without one)."""

    schema: str
    name: str
    columns: Mapping[str, str]
    contents: Mapping[str | None, Content]

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"


def tables_of(connection: "DuckDBPyConnection") -> list[tuple[str, str]]:
    """Schema and name of each table, in the order in which they were made: those that others refer to come first."""
    return connection.execute(
        """SELECT schema_name, table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY table_oid"""
    ).fetchall()


def state_of(connection: "DuckDBPyConnection", schema: str, table: str) -> TableState:
    """What a table holds. All of it is read."""
    columns = columns_of(connection, table, schema)
    key = f"{ident(BATCH)}::VARCHAR" if has_batches(columns) else "NULL::VARCHAR"
    found = connection.execute(
        f"""SELECT {key}, count(*), sum(hash(_whole))::VARCHAR FROM {qualified(connection, table, schema)} AS _whole
            GROUP BY 1 ORDER BY 1 NULLS FIRST"""
    ).fetchall()
    return TableState(schema, table, columns, {batch: Content(rows, checksum) for batch, rows, checksum in found})


def has_batches(columns: Mapping[str, str]) -> bool:
    """Whether a table's rows are told apart by batch."""
    return columns.get(BATCH) in BATCH_TYPES


def export_part(connection: "DuckDBPyConnection", state: TableState, batch: str | None, target: Path) -> None:
    """Write the rows of a batch of a table to a Parquet file. The folder must be open to the connection."""
    columns = ", ".join(
        f"{ident(name)}::VARCHAR AS {ident(name)}" if OTHERWISE.search(sql_type) else ident(name)
        for name, sql_type in _stored_columns(connection, state.schema, state.name, state.columns).items()
    )
    source = qualified(connection, state.name, state.schema)
    connection.execute(
        f"COPY (SELECT {columns} FROM {source} WHERE {_of_batch(state.columns, batch)})"
        f" TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
    )


def import_part(
    connection: "DuckDBPyConnection", schema: str, table: str, columns: Mapping[str, str], source: Path
) -> None:
    """Add the rows of a Parquet file to a table that has such columns."""
    stored = _stored_columns(connection, schema, table, columns)
    names = ", ".join(map(ident, stored))
    values = ", ".join(
        f"{ident(name)}::{sql_type}" if OTHERWISE.search(sql_type) else ident(name) for name, sql_type in stored.items()
    )
    connection.execute(
        f"INSERT INTO {qualified(connection, table, schema)} ({names})"
        f" SELECT {values} FROM read_parquet({literal(str(source))})"
    )


def _of_batch(columns: Mapping[str, str], batch: str | None) -> str:
    if not has_batches(columns):
        return "true"
    # A constant of the column's own type: DuckDB then skips what it knows to have other batches.
    return f"{ident(BATCH)} IS NULL" if batch is None else f"{ident(BATCH)} = {literal(batch)}::{columns[BATCH]}"


def _stored_columns(
    connection: "DuckDBPyConnection", schema: str, table: str, columns: Mapping[str, str]
) -> dict[str, str]:
    """The columns but for those that are computed of others, which nobody can write."""
    row = connection.execute(
        "SELECT sql FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = $1"
        " AND table_name = $2",
        [schema, table],
    ).fetchone()
    if not (row and GENERATED.search(row[0])):
        return dict(columns)
    # No catalogue function tells which columns are generated; the statement does, which the parser writes alike.
    return {
        name: sql_type
        for name, sql_type in columns.items()
        if not re.search(rf"(?:\(|, )\"?{re.escape(name)}\"? [^,]*? GENERATED ALWAYS AS", row[0])
    }


def ddl_of(connection: "DuckDBPyConnection", folder: Path) -> str:
    """The statements that make the schema anew: schemas, sequences, types, tables, macros, views, indexes, comments.

    Args:
        connection: to the warehouse, with `folder` open to it, outside of a transaction.
        folder: an empty one for what is under way.
    """
    own, copy = ident(catalog_of(connection)), folder / "schema.duckdb"
    # DuckDB's own export knows the order of things and where sequences are. Of a copy without rows, since it would
    # write those of all tables.
    connection.execute(f"ATTACH {literal(str(copy))} AS _schema (READ_WRITE)")
    try:
        connection.execute(f"COPY FROM DATABASE {own} TO _schema (SCHEMA)")
        connection.execute("USE _schema")
        connection.execute(f"EXPORT DATABASE {literal(str(folder / 'schema'))} (FORMAT parquet)")
    finally:
        connection.execute(f"USE {own}.{SCHEMA}")
        connection.execute("DETACH _schema")
    statements = (folder / "schema" / "schema.sql").read_text(encoding="utf-8")
    return statements + "\n".join(_comments(connection))


def _comments(connection: "DuckDBPyConnection") -> list[str]:
    """The comments of tables and columns, which the export leaves out."""
    here = "database_name = current_database() AND NOT internal AND comment IS NOT NULL"
    tables = connection.execute(
        f"SELECT schema_name, table_name, comment FROM duckdb_tables() WHERE {here} AND NOT temporary ORDER BY ALL"
    ).fetchall()
    columns = connection.execute(
        f"SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() WHERE {here} ORDER BY ALL"
    ).fetchall()
    return [f"COMMENT ON TABLE {_name(*names)} IS {literal(text)};" for *names, text in tables] + [
        f"COMMENT ON COLUMN {_name(*names)} IS {literal(text)};" for *names, text in columns
    ]


def _name(*parts: str) -> str:
    return ".".join(map(ident, parts))
