"""Parquet files: those with the same schema in one scan, a column that the contract does not know in _rescued, as JSON.

The footer tells how many rows there are (`parquet_schema`), and each row has its number: nothing is skipped here, and
no lines are read. Typed values become text in `parquet_text`.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileKey, FileRefused, FilesUnfit
from orchestration_project.formats.fields import unless_empty
from orchestration_project.formats.header import match_columns, require_columns
from orchestration_project.formats.parquet_schema import Schema, read_schema
from orchestration_project.formats.parquet_text import refusal, rescued_value, text_of
from orchestration_project.formats.staging import COPIED, PROBE, ReadyFile, unreadable
from orchestration_project.warehouse.quoting import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class _Alike:
    """Files of one schema, with the raw table's columns as a list of SQL over those of the files."""

    columns_sql: str
    files: list[ReadyFile]


def stage_parquet(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Add every row of Parquet files to `_staged`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    import duckdb

    groups = _groups(connection, feed, files)
    try:
        for group in groups:
            connection.execute(*_insert(group))
    except duckdb.Error:
        if refused := _unreadable(connection, groups):
            raise FilesUnfit(refused) from None
        raise
    if short := _short(connection, files):
        raise FilesUnfit(short)


def _groups(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> list[_Alike]:
    """The files by schema.

    Raises:
        FilesUnfit: names the files whose schema can't be read or lacks a column.
    """
    schemas: dict[Schema, list[ReadyFile]] = defaultdict(list)
    refused: dict[FileKey, FileRefused] = {}
    for file in files:
        try:
            schemas[read_schema(connection, file.name, file.path)].append(file)
        except FileRefused as error:
            refused[file.key] = error
    groups = []
    for schema, alike in schemas.items():
        try:
            values = _values(feed, schema)
            groups.append(_Alike(", ".join(f"{value} AS {ident(name)}" for name, value in values.items()), alike))
        except FileRefused as error:
            refused |= {file.key: FileRefused(error.rule, f"{file.name!r}: {error.message}") for file in alike}
    if refused:
        raise FilesUnfit(refused)
    return groups


def _scan(files: Sequence[ReadyFile], options: str = "") -> str:
    return f"read_parquet([{literals(file.path for file in files)}], hive_partitioning = false{options})"


def _insert(group: _Alike) -> tuple[str, dict[str, list[str]]]:
    """Statement that adds the rows of a group, and its parameters."""
    files = group.files
    return (
        f"""INSERT INTO {COPIED} BY NAME
            SELECT $batches[(file_index + 1)::BIGINT] AS _batch_date, $names[(file_index + 1)::BIGINT] AS _file,
            $versions[(file_index + 1)::BIGINT] AS _file_version, file_row_number + 1 AS _row, {group.columns_sql}
            FROM {_scan(files, ", file_row_number = true")}""",
        {
            "batches": [file.batch for file in files],
            "names": [file.name for file in files],
            "versions": [file.version for file in files],
        },
    )


def _unreadable(connection: "DuckDBPyConnection", groups: Sequence[_Alike]) -> dict[FileKey, FileRefused]:
    """The refusals of the files that can't be read to their ends by themselves either."""
    import duckdb

    found = {}
    for group in groups:
        for file in group.files:
            try:
                with connection.cursor() as cursor:
                    # Into a table: a damaged page is noticed only if all values are taken from it.
                    cursor.execute(
                        f"CREATE OR REPLACE TEMP TABLE {PROBE} AS SELECT {group.columns_sql} FROM {_scan([file])}"
                    )
            except duckdb.Error as error:
                unread = unreadable(file.name, "is not a readable Parquet file", error)
                found[file.key] = refusal(file.name, error) or unread
    return found


def _short(connection: "DuckDBPyConnection", files: Sequence[ReadyFile]) -> dict[FileKey, FileRefused]:
    """The refusals of the files of which not as many rows were read as their footers tell."""
    # DuckDB says nothing when a file ends before it has given as many rows as it promised.
    rows = connection.execute(f"SELECT _batch_date, _file, count(*) FROM {COPIED} GROUP BY ALL").fetchall()
    read = {(str(batch), name): count for batch, name, count in rows}
    return {
        file.key: unreadable(
            file.name,
            f"is not a readable Parquet file: its footer tells of {file.prepared.records} rows,"
            f" {read.get(file.key, 0)} are in it; deliver it again",
        )
        for file in files
        if read.get(file.key, 0) != file.prepared.records
    }


def _values(feed: Feed, schema: Schema) -> dict[str, str]:
    """The raw table's columns as SQL over the columns of a file.

    Raises:
        FileRefused: a required column is missing, or one is there twice.
    """
    names = tuple(field.name for field in schema)
    positions = match_columns(feed, names)
    require_columns(feed, positions, names, "the Parquet schema")
    values = {
        column.name: text_of(ident(schema[place].column), schema[place].sql_type, column)
        for column in feed.source_columns
        if (place := positions.get(column.name)) is not None
    }
    if unexpected := [field for place, field in enumerate(schema) if place not in positions.values()]:
        pairs = ", ".join(
            f"{literal(field.name)}, {rescued_value(ident(field.column), field.sql_type)}" for field in unexpected
        )
        present = " OR ".join(f"{ident(field.column)} IS NOT NULL" for field in unexpected)
        values["_rescued"] = unless_empty(f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END")
    return values
