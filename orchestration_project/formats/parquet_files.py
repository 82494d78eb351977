"""Parquet files: those with the same schema in one scan, typed values as the text that a delimited file would have."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.decompress import too_large
from orchestration_project.formats.fields import is_number, localised
from orchestration_project.formats.header import match_columns, require_columns
from orchestration_project.formats.staging import COPIED, ReadyFile, unreadable
from orchestration_project.warehouse.quoting import ident, literal, literals
from orchestration_project.warehouse.tables import types_of

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
    """Insert every row of Parquet files into `_staged`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    import duckdb

    groups = _alike(connection, feed, files)
    try:
        for listed, alike in groups:
            _insert(connection, listed, alike)
    except duckdb.Error:
        if faults := _faults(connection, groups):
            raise FilesUnfit(faults) from None
        raise
    if short := _short(connection, files):
        raise FilesUnfit(short)


def _alike(
    connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]
) -> list[tuple[str, list[ReadyFile]]]:
    """The files by schema, with the raw table's columns as SQL over those of a file.

    Raises:
        FilesUnfit: names the files whose schema can't be read or lacks a column.
    """
    schemas: dict[Schema, list[ReadyFile]] = defaultdict(list)
    groups = []
    faults: dict[str, FileRefused] = {}
    for file in files:
        try:
            schemas[_schema(connection, file)].append(file)
        except FileRefused as error:
            faults[file.name] = error
    for schema, alike in schemas.items():
        try:
            values = _values(feed, dict(schema))
            groups.append((", ".join(f"{value} AS {ident(name)}" for name, value in values.items()), alike))
        except FileRefused as error:
            faults |= {file.name: FileRefused(error.rule, f"{file.name!r}: {error.message}") for file in alike}
    if faults:
        raise FilesUnfit(faults)
    return groups


def _schema(connection: "DuckDBPyConnection", file: ReadyFile) -> Schema:
    import duckdb

    try:
        return tuple(types_of(connection, _scan([file])).items())
    except duckdb.Error as error:
        raise unreadable(file.name, "is not a readable Parquet file", error) from None


def _scan(files: Sequence[ReadyFile], options: str = "") -> str:
    return f"read_parquet([{literals(file.path for file in files)}], hive_partitioning = false{options})"


def _insert(connection: "DuckDBPyConnection", listed: str, files: Sequence[ReadyFile]) -> None:
    connection.execute(
        f"""INSERT INTO {COPIED} BY NAME
            SELECT $batches[(file_index + 1)::BIGINT] AS _batch_date, $names[(file_index + 1)::BIGINT] AS _file,
            $versions[(file_index + 1)::BIGINT] AS _file_version, file_row_number + 1 AS _row, {listed}
            FROM {_scan(files, ", file_row_number = true")}""",
        {
            "batches": [file.batch for file in files],
            "names": [file.name for file in files],
            "versions": [file.version for file in files],
        },
    )


def _faults(
    connection: "DuckDBPyConnection", groups: Sequence[tuple[str, Sequence[ReadyFile]]]
) -> dict[str, FileRefused]:
    """What is wrong with the files that can't be read to their ends by themselves."""
    import duckdb

    found = {}
    for listed, files in groups:
        for file in files:
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"CREATE OR REPLACE TEMP TABLE _probe AS SELECT {listed} FROM {_scan([file])}")
            except duckdb.Error as error:
                found[file.name] = unreadable(file.name, "is not a readable Parquet file", error)
    return found


def _short(connection: "DuckDBPyConnection", files: Sequence[ReadyFile]) -> dict[str, FileRefused]:
    """The files of which not as many rows were read as their footers tell."""
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
