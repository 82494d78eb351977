"""Parquet files: those with the same schema in one scan, typed values as the text that a delimited file would have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.transforms.decompress import too_large
from orchestration_project.transforms.header import match_columns, require_columns
from orchestration_project.transforms.raw import ReadyFile, raw_table, unreadable
from orchestration_project.transforms.values import is_number, localised
from orchestration_project.warehouse.sql import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Schema = tuple[tuple[str, str], ...]
"""Names and DuckDB types of a file's columns."""

NESTED_TYPES = ("STRUCT", "MAP", "[]", "UNION")


def count_rows(connection: "DuckDBPyConnection", name: str, path: str, max_bytes: int) -> int:
    """How many rows a Parquet file's footer tells.

    Raises:
        FileRefused: the footer can't be read, or the file is larger than `max_bytes`, decompressed.
    """
    import duckdb

    try:
        row = connection.execute(
            f"""SELECT num_rows, (SELECT sum(total_uncompressed_size) FROM parquet_metadata([{literal(path)}]))
                FROM parquet_file_metadata([{literal(path)}])"""
        ).fetchone()
    except duckdb.Error as error:
        raise unreadable(name, "is not a readable Parquet file", error) from None
    rows, size = row or (0, 0)
    if size and size > max_bytes:
        raise too_large(name, max_bytes)
    return int(rows)


def stage_parquet(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Insert every row of Parquet files into `raw_x`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    groups: dict[Schema, list[ReadyFile]] = defaultdict(list)
    faults: dict[str, FileRefused] = {}
    for file in files:
        try:
            groups[_schema(connection, file)].append(file)
        except FileRefused as error:
            faults[file.name] = error
    for schema, alike in groups.items():
        faults |= _stage(connection, feed, schema, alike)
    if faults:
        raise FilesUnfit(faults)


def _schema(connection: "DuckDBPyConnection", file: ReadyFile) -> Schema:
    import duckdb

    try:
        rows = connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE FROM {_scan([file])})").fetchall()
    except duckdb.Error as error:
        raise unreadable(file.name, "is not a readable Parquet file", error) from None
    return tuple((name, sql_type) for name, sql_type in rows)


def _scan(files: Sequence[ReadyFile], options: str = "") -> str:
    return f"read_parquet([{literals(file.path for file in files)}], hive_partitioning = false{options})"


def _stage(
    connection: "DuckDBPyConnection", feed: Feed, schema: Schema, files: Sequence[ReadyFile]
) -> dict[str, FileRefused]:
    """Insert files of one schema; returns what is wrong with them, and then not all are inserted."""
    import duckdb

    types = dict(schema)
    try:
        values = _values(feed, types)
    except FileRefused as error:
        return {file.name: FileRefused(error.rule, f"{file.name!r}: {error.message}") for file in files}
    listed = ", ".join(f"{value} AS {ident(name)}" for name, value in values.items())
    try:
        connection.execute(
            f"""INSERT INTO {ident(raw_table(feed))} BY NAME
                SELECT $batches[(file_index + 1)::BIGINT] AS _batch_date, $names[(file_index + 1)::BIGINT] AS _file,
                $versions[(file_index + 1)::BIGINT] AS _file_version, file_row_number + 1 AS _row, {listed}
                FROM {_scan(files, ", file_row_number = true")}""",
            {
                "batches": [file.batch for file in files],
                "names": [file.name for file in files],
                "versions": [file.version for file in files],
            },
        )
    except duckdb.Error:
        if faults := _faults(connection, files, listed):
            return faults
        raise
    return {}


def _faults(connection: "DuckDBPyConnection", files: Sequence[ReadyFile], listed: str) -> dict[str, FileRefused]:
    """What is wrong with the files that can't be read to their ends by themselves."""
    import duckdb

    found = {}
    for file in files:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE OR REPLACE TEMP TABLE _probe AS SELECT {listed} FROM {_scan([file])}")
        except duckdb.Error as error:
            found[file.name] = unreadable(file.name, "is not a readable Parquet file", error)
    return found


def _values(feed: Feed, types: Mapping[str, str]) -> dict[str, str]:
    """The raw table's values as SQL over the columns of a file.

    Raises:
        FileRefused: a required column is missing, or one is there twice.
    """
    names = tuple(types)
    positions = match_columns(feed, names)
    require_columns(feed, positions, names, "the Parquet schema")
    found = {column: names[positions[column.name]] for column in feed.source_columns if column.name in positions}
    values = {column.name: _text(ident(name), types[name], column) for column, name in found.items()}
    if unexpected := [name for name in types if name not in found.values()]:
        pairs = ", ".join(f"{literal(name)}, {ident(name)}" for name in unexpected)
        present = " OR ".join(f"{ident(name)} IS NOT NULL" for name in unexpected)
        values["_rescued"] = f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END"
    return values


def _text(value: str, sql_type: str, column: Column) -> str:
    """A typed value as the text that a delimited file would have: dates and numbers in the declared notation."""
    plain = f"{value}::VARCHAR"
    if any(mark in sql_type for mark in NESTED_TYPES):
        return f"to_json({value})::VARCHAR"
    if is_number(sql_type) and is_number(column.sql_type):
        return localised(plain, column.parsing)
    if not sql_type.startswith(("DATE", "TIME")) or column.parsing.date_format is None:
        return plain
    pattern = literal(column.parsing.date_format)
    is_time = sql_type.startswith("TIME") and not sql_type.startswith("TIMESTAMP")
    if is_time:
        value = f"(DATE '1900-01-01' + {value})"
    written = f"strftime({value}, {pattern})"
    moment = f"try_strptime({written}, {pattern})"
    if is_time:
        moment = f"(DATE '1900-01-01' + {moment}::TIME)"
    # A moment finer than the format would lose a part of it: it stays as it is, and then breaks the type.
    return f"CASE WHEN {moment} = {value} THEN {written} ELSE {plain} END"
