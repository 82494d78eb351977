"""Parquet files: those with the same schema in one scan, typed values as the text that a delimited file would have.

    column sold_on DATE, value 2024-02-01, declared format dd/MM/yyyy   ->  '01/02/2024'
    column amount DOUBLE, value 1.5, declared decimal comma             ->  '1,5'
    a column that the contract does not know                            ->  in _rescued, as JSON

The footer tells how many rows there are, and each row has its number: nothing is skipped here, and no lines are read.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.decompress import too_large
from orchestration_project.formats.fields import is_number, localised
from orchestration_project.formats.header import match_columns, require_columns
from orchestration_project.formats.staging import COPIED, PROBE, ReadyFile, unreadable
from orchestration_project.warehouse.quoting import ident, literal, literals
from orchestration_project.warehouse.tables import types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Schema = tuple[tuple[str, str], ...]
"""Names and DuckDB types of a file's columns."""

NESTED_TYPES = ("STRUCT", "MAP", "[]", "UNION")


@dataclass(frozen=True, slots=True)
class _Alike:
    """Files of one schema, with the raw table's columns as a list of SQL over those of the files."""

    columns: str
    files: list[ReadyFile]


def count_rows(connection: "DuckDBPyConnection", name: str, path: str, max_bytes: int) -> int:
    """How many rows a Parquet file has, as its footer tells.

    Raises:
        FileRefused: the footer can't be read, or the file is larger than `max_bytes`, decompressed.
    """
    import duckdb

    try:
        row = connection.execute(_footer(path)).fetchone()
    except duckdb.Error as error:
        raise unreadable(name, "is not a readable Parquet file", error) from None
    rows, size = row or (0, 0)
    # A few kilobytes of a repeated value may become gigabytes of text.
    if size and size > max_bytes:
        raise too_large(name, max_bytes)
    return int(rows)


def _footer(path: str) -> str:
    """Query of the rows and the decompressed bytes of a file: the latter stand with each chunk of each column."""
    listed = f"[{literal(path)}]"
    return f"""
        WITH chunks AS (SELECT sum(total_uncompressed_size) AS size FROM parquet_metadata({listed}))
        SELECT num_rows, size FROM parquet_file_metadata({listed}), chunks"""


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
    refused: dict[str, FileRefused] = {}
    for file in files:
        try:
            schemas[_schema(connection, file)].append(file)
        except FileRefused as error:
            refused[file.name] = error
    groups = []
    for schema, alike in schemas.items():
        try:
            values = _values(feed, dict(schema))
            groups.append(_Alike(", ".join(f"{value} AS {ident(name)}" for name, value in values.items()), alike))
        except FileRefused as error:
            refused |= {file.name: FileRefused(error.rule, f"{file.name!r}: {error.message}") for file in alike}
    if refused:
        raise FilesUnfit(refused)
    return groups


def _schema(connection: "DuckDBPyConnection", file: ReadyFile) -> Schema:
    import duckdb

    try:
        return tuple(types_of(connection, _scan([file])).items())
    except duckdb.Error as error:
        raise unreadable(file.name, "is not a readable Parquet file", error) from None


def _scan(files: Sequence[ReadyFile], options: str = "") -> str:
    return f"read_parquet([{literals(file.path for file in files)}], hive_partitioning = false{options})"


def _insert(group: _Alike) -> tuple[str, dict[str, list[str]]]:
    """Statement that adds the rows of a group, and its parameters."""
    files = group.files
    return (
        f"""INSERT INTO {COPIED} BY NAME
            SELECT $batches[(file_index + 1)::BIGINT] AS _batch_date, $names[(file_index + 1)::BIGINT] AS _file,
            $versions[(file_index + 1)::BIGINT] AS _file_version, file_row_number + 1 AS _row, {group.columns}
            FROM {_scan(files, ", file_row_number = true")}""",
        {
            "batches": [file.batch for file in files],
            "names": [file.name for file in files],
            "versions": [file.version for file in files],
        },
    )


def _unreadable(connection: "DuckDBPyConnection", groups: Sequence[_Alike]) -> dict[str, FileRefused]:
    """The refusals of the files that can't be read to their ends by themselves either, by name."""
    import duckdb

    found = {}
    for group in groups:
        for file in group.files:
            try:
                with connection.cursor() as cursor:
                    # Into a table: a damaged page is noticed only if all values are taken from it.
                    cursor.execute(
                        f"CREATE OR REPLACE TEMP TABLE {PROBE} AS SELECT {group.columns} FROM {_scan([file])}"
                    )
            except duckdb.Error as error:
                found[file.name] = unreadable(file.name, "is not a readable Parquet file", error)
    return found


def _short(connection: "DuckDBPyConnection", files: Sequence[ReadyFile]) -> dict[str, FileRefused]:
    """The refusals of the files of which not as many rows were read as their footers tell, by name."""
    # DuckDB says nothing when a file ends before it has given as many rows as it promised.
    rows = connection.execute(f"SELECT _file, count(*) FROM {COPIED} GROUP BY _file").fetchall()
    read = dict(rows)
    return {
        file.name: unreadable(
            file.name,
            f"is not a readable Parquet file: its footer tells of {file.prepared.records} rows,"
            f" {read.get(file.name, 0)} are in it; deliver it again",
        )
        for file in files
        if read.get(file.name, 0) != file.prepared.records
    }


def _values(feed: Feed, types: Mapping[str, str]) -> dict[str, str]:
    """The raw table's columns as SQL over the columns of a file.

    Raises:
        FileRefused: a required column is missing, or one is there twice.
    """
    names = tuple(types)
    positions = match_columns(feed, names)
    require_columns(feed, positions, names, "the Parquet schema")
    found = {column: names[positions[column.name]] for column in feed.source_columns if column.name in positions}
    values = {column.name: text_of(ident(name), types[name], column) for column, name in found.items()}
    if unexpected := [name for name in types if name not in found.values()]:
        pairs = ", ".join(f"{literal(name)}, {ident(name)}" for name in unexpected)
        present = " OR ".join(f"{ident(name)} IS NOT NULL" for name in unexpected)
        values["_rescued"] = f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END"
    return values


def text_of(value: str, sql_type: str, column: Column) -> str:
    """SQL for a typed value as the text that a delimited file would have: dates and numbers in the declared notation.

    Args:
        value: SQL for the value.
        sql_type: its DuckDB type.
        column: the contract's column in which it will stand.
    """
    plain = f"{value}::VARCHAR"
    if any(mark in sql_type for mark in NESTED_TYPES):
        return f"to_json({value})::VARCHAR"
    if is_number(sql_type) and is_number(column.sql_type):
        return localised(plain, column.parsing)
    if not sql_type.startswith(("DATE", "TIME")) or column.parsing.date_format is None:
        return plain
    return _moment_as_text(value, sql_type, literal(column.parsing.date_format), plain)


def _moment_as_text(value: str, sql_type: str, pattern: str, plain: str) -> str:
    """SQL for a date or a time in the declared format, as far as it can be read back from it.

    A moment finer than the format would lose a part of it: it stays `plain`, and then breaks the type.
    """
    is_time = sql_type.startswith("TIME") and not sql_type.startswith("TIMESTAMP")
    # strftime takes no TIME, so one gets a day.
    moment = f"(DATE '1900-01-01' + {value})" if is_time else value
    written = f"strftime({moment}, {pattern})"
    read_back = f"try_strptime({written}, {pattern})"
    if is_time:
        read_back = f"(DATE '1900-01-01' + {read_back}::TIME)"
    return f"CASE WHEN {read_back} = {moment} THEN {written} ELSE {plain} END"
