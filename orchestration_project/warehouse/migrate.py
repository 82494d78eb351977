"""Copy a whole warehouse into one of another kind: from a DuckDB file into a lake, and back.

    for each table: source -> Parquet file -> target, then both sides are counted and hashed
    one commit: the target has all tables, or none

The source is only read. Both locks are held all the while, so no load changes what was copied already. Whoever is
killed before the commit leaves a target without tables, and runs the command again.

Whoever has more to do than to copy, such as a restore, asks before whether all types fit, and after a kill whether the
target has all tables already.

Belongs here: tables with their rows. Does not belong here: views, macros, indexes and keys, which the platform does not
make; archive and landing, which stay where they are.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import RecoveryError, WarehouseError
from orchestration_project.failpoints import Migration, reached
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.lake import Lake
from orchestration_project.warehouse.tables import (
    INSTEAD,
    NOT_IN_A_LAKE,
    SCHEMA,
    catalog_of,
    columns_of,
    create_table,
    ident,
    literal,
    qualified,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PURPOSE = "move to another warehouse"
FOLDER = "migrating"
"""What the folder for one table's Parquet file is called, beside the target."""


@dataclass(frozen=True, slots=True)
class Content:
    """The rows of a table: how many, and the sum of their hashes, which does not depend on their order."""

    rows: int
    checksum: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the source.

    Attributes:
        schema, name: what it is called on both sides.
        types: its columns with the DuckDB types that they get in the target, in order.
        retyped: of these, the columns whose type is another one in the source, with that one.
    """

    schema: str
    name: str
    types: Mapping[str, str]
    retyped: Mapping[str, str]

    @property
    def full_name(self) -> str:
        """Schema and name."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Migrated:
    """How many tables and rows were copied, and which columns got another type."""

    tables: int
    rows: int
    notes: Sequence[str] = ()


def migrate(source: Warehouse, target: Warehouse, log: Callable[[str], None]) -> Migrated:
    """Copy all tables of all schemas.

    Args:
        source: the warehouse; nothing of it is changed.
        target: another one, which has no tables.
        log: takes a line of progress.

    Raises:
        RecoveryError: both are the same, the source does not exist, the target has tables, or what it got differs from
            the source; the target has no tables of the source then.
        WarehouseError: the target can't hold a column's type; the message names what to make of it.
        WarehouseBusy: somebody else held one of both for too long.
        WarehouseDown: a server that one of both needs does not answer.
        DiskFull: a disk had no room.
    """
    _ensure_apart(source, target)
    folder = target.beside(FOLDER)
    with source.connection(PURPOSE, [folder], read_only=True) as old, target.clear_faults(PURPOSE, folder):
        _empty(folder)
        try:
            with target.transaction(PURPOSE, [folder]) as new:
                _ensure_empty(new, target)
                tables = [_table(old, *names, isinstance(target, Lake)) for names in _tables_of(old)]
                rows = sum(_copied(old, new, table, folder / "table.parquet", log) for table in tables)
            reached(Migration.COMMITTED)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return Migrated(len(tables), rows, [note for table in tables for note in _notes(table)])


def migrated(source: Warehouse, target: Warehouse) -> bool:
    """Whether the target has exactly the tables of the source: an earlier attempt was killed after its commit.

    Raises:
        WarehouseBusy: somebody else held one of both for too long.
        WarehouseDown: a server that one of both needs does not answer.
    """
    if not target.exists():
        return False
    with (
        source.connection(PURPOSE, read_only=True) as old,
        target.connection(PURPOSE, read_only=True) as new,
    ):
        names = _tables_of(old)
        if _tables_of(new) != names:
            return False
        tables = [_table(old, *each, isinstance(target, Lake)) for each in names]
        return all(_content(old, table) == _content(new, table) for table in tables)


def ensure_fits_a_lake(source: Warehouse) -> None:
    """Make sure that a lake has a type for each column.

    Raises:
        WarehouseError: it has none; the message names the column.
    """
    with source.connection(PURPOSE, read_only=True) as old:
        for table in [_table(old, *names, into_lake=True) for names in _tables_of(old)]:
            for column, sql_type in table.types.items():
                if NOT_IN_A_LAKE.search(sql_type):
                    raise WarehouseError(
                        f"{table.full_name}: column {column!r} is {sql_type}, which a lake can't hold: let"
                        " WAREHOUSE_URL name a file"
                    )


def _ensure_apart(source: Warehouse, target: Warehouse) -> None:
    if not source.exists():
        raise RecoveryError(f"{source.where}: {source.lost}, so there is nothing to copy: look at WAREHOUSE_URL")
    if source.where == target.where:
        raise RecoveryError(f"{target.where} is the warehouse itself: name another one to copy it to")
    # Each lake would take the other's files for left ones.
    if isinstance(source, Lake) and isinstance(target, Lake) and source.data == target.data:
        raise RecoveryError(f"{target.data} has the files of the warehouse itself: give another place by --data")


def _ensure_empty(new: "DuckDBPyConnection", target: Warehouse) -> None:
    if names := [f"{schema}.{table}" for schema, table in _tables_of(new)]:
        raise RecoveryError(
            f"{target.where} has tables already ({', '.join(names[:5])}), and nothing is overwritten: name another"
            f" place, or move {target.to_move}"
        )


def _empty(folder: Path) -> None:
    # A killed attempt has left a table in it.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _tables_of(connection: "DuckDBPyConnection") -> list[tuple[str, str]]:
    """Schema and name of each table, in order."""
    return connection.execute(
        """SELECT schema_name, table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY ALL"""
    ).fetchall()


def _table(old: "DuckDBPyConnection", schema: str, name: str, into_lake: bool) -> Table:
    columns = columns_of(old, name, schema)
    types = {column: _lake_type(sql_type) if into_lake else sql_type for column, sql_type in columns.items()}
    retyped = {column: sql_type for column, sql_type in columns.items() if types[column] != sql_type}
    return Table(schema, name, types, retyped)


def _lake_type(sql_type: str) -> str:
    """A type that a lake has, and that holds all values of one that it lacks; the type itself where there is none.

    `HUGEINT` becomes `DECIMAL(38,0)`, `ENUM('a', 'b')` becomes `VARCHAR`, and `ENUM('a', 'b')[]` stays and is refused.
    """
    is_enum = sql_type.startswith("ENUM(") and sql_type.endswith(")")
    return INSTEAD.get(sql_type, "VARCHAR" if is_enum else sql_type)


def _copied(
    old: "DuckDBPyConnection", new: "DuckDBPyConnection", table: Table, file: Path, log: Callable[[str], None]
) -> int:
    """Copy one table and compare both sides; returns how many rows it has."""
    if table.schema != SCHEMA:
        new.execute(f"CREATE SCHEMA IF NOT EXISTS {ident(catalog_of(new))}.{ident(table.schema)}")
    create_table(new, table.name, table.types, table.schema)
    expected = _content(old, table)
    # Not for an empty table: after an INSERT of no rows, DuckDB 1.5.5 loses those of a later one in the transaction.
    if expected.rows:
        _write(old, table, file)
        reached(Migration.WRITTEN)
        _read(new, table, file)
        file.unlink()
    found = _content(new, table)
    if found != expected:
        raise RecoveryError(
            f"{table.full_name} differs after it was copied: {expected.rows:,} rows with the checksum"
            f" {expected.checksum} became {found.rows:,} with {found.checksum}. The target got nothing, and the"
            " warehouse is as it was: look at the disk and run again"
        )
    log(f"{table.full_name}: {expected.rows:,} rows are equal on both sides")
    reached(Migration.COPIED)
    return expected.rows


def _content(connection: "DuckDBPyConnection", table: Table) -> Content:
    """What a table holds, in the types of the target. All of it is read."""
    values = ", ".join(f"CAST({ident(column)} AS {sql_type})" for column, sql_type in table.types.items())
    row = connection.execute(
        f"SELECT count(*), sum(hash({values}))::VARCHAR FROM {qualified(connection, table.name, table.schema)}"
    ).fetchone()
    return Content(*row) if row else Content(0, None)


def _write(old: "DuckDBPyConnection", table: Table, file: Path) -> None:
    # What Parquet would change goes as text: a HUGEINT would come back as a DOUBLE.
    values = ", ".join(
        f"{ident(column)}::VARCHAR AS {ident(column)}"
        if NOT_IN_A_LAKE.search(table.retyped.get(column, sql_type))
        else ident(column)
        for column, sql_type in table.types.items()
    )
    rows = f"SELECT {values} FROM {qualified(old, table.name, table.schema)}"
    old.execute(f"COPY ({rows}) TO {literal(str(file))} (FORMAT parquet, COMPRESSION zstd)")


def _read(new: "DuckDBPyConnection", table: Table, file: Path) -> None:
    values = ", ".join(f"CAST({ident(column)} AS {sql_type})" for column, sql_type in table.types.items())
    name = qualified(new, table.name, table.schema)
    new.execute(f"INSERT INTO {name} SELECT {values} FROM read_parquet({literal(str(file))})")


def _notes(table: Table) -> list[str]:
    return [
        f"{table.full_name}: column {column!r} was {before} and is {table.types[column]}"
        for column, before in table.retyped.items()
    ]
