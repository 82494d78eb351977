"""Parquet files: those with the same schema in one scan, typed values as the text that a delimited file would have.

    column sold_on DATE, value 2024-02-01, declared format dd/MM/yyyy   ->  '01/02/2024'
    column amount DOUBLE, value 1.5, declared decimal comma             ->  '1,5'
    column id VARCHAR, value 1001.0 (a double)                          ->  '1001'
    column id VARCHAR, value 1e17 (a double)                            ->  the file is refused
    column sold_at TIMESTAMP, value with a zone                         ->  stays with its offset, which breaks the type
    a column that the contract does not know                            ->  in `_rescued`, as JSON

The footer tells how many rows there are (`parquet_schema`), and each row has its number: nothing is skipped here, and
no lines are read.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.date_formats import COLON_OFFSET, OFFSET
from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileKey, FileRefused, FilesUnfit, visible
from orchestration_project.formats.fields import is_number, localised, unless_empty
from orchestration_project.formats.header import match_columns, require_columns
from orchestration_project.formats.parquet_schema import Schema, read_schema
from orchestration_project.formats.staging import COPIED, PROBE, ReadyFile, unreadable
from orchestration_project.warehouse.tables import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NESTED_TYPES = ("STRUCT", "MAP", "[", "UNION")
ZONED = "TIMESTAMP WITH TIME ZONE"
CERTAIN = {"FLOAT": 2**24, "DOUBLE": 2**53}
"""Below these each whole number is one of the type; from these on the program that wrote it may have rounded it."""
REFUSED = re.compile(r"refused (undecodable|inexact_type): (.*)")
"""What DuckDB's error says when a value can't be written as text exactly."""


def is_nested(sql_type: str) -> bool:
    """Whether values of a DuckDB type hold others."""
    return any(mark in sql_type for mark in NESTED_TYPES)


def text_of(value: str, sql_type: str, column: Column) -> str:
    """SQL for a typed value as text: dates and numbers in the declared notation.

    Args:
        value: SQL for the value.
        sql_type: its DuckDB type.
        column: the contract's column in which it will stand.
    """
    plain = f"{value}::VARCHAR"
    if is_nested(sql_type):
        return f"to_json({value})::VARCHAR"
    if sql_type == "BLOB":
        return _decoded(value, column)
    # A number for a number is read by its value; for a text, by its digits, and these have to be all there.
    if is_number(sql_type):
        if is_number(column.sql_type):
            return localised(plain, column.parsing)
        return _whole(value, sql_type, column) if sql_type in CERTAIN else plain
    if sql_type == ZONED:
        return _zoned_as_text(value, column)
    # Whoever wrote a moment without a zone into a column that has one meant a zone that nobody knows here.
    lacks_zone = column.parsing.has_timezone or sql_type == "TIME WITH TIME ZONE"
    if not sql_type.startswith(("DATE", "TIME")) or lacks_zone:
        return plain
    if column.parsing.date_format is not None:
        return _moment_as_text(value, sql_type, column, plain)
    if column.sql_type == "DATE" and sql_type.startswith("TIMESTAMP"):
        # pandas has no type for days, so it writes them as their midnights.
        return f"CASE WHEN {value} = {value}::DATE THEN {value}::DATE::VARCHAR ELSE {plain} END"
    return plain


def rescued_value(value: str, sql_type: str) -> str:
    """SQL for a value that becomes a part of JSON: bytes are text if they can be, else escaped."""
    return f"coalesce(TRY(decode({value})), {value}::VARCHAR)" if sql_type == "BLOB" else value


def refusal(name: str, error: Exception) -> FileRefused | None:
    """The refusal of a file that DuckDB's error tells of; None if it tells of something else."""
    found = REFUSED.search(str(error))
    return FileRefused(found[1], f"{name!r}: {found[2]}") if found else None


def _refused(rule: str, message: str) -> str:
    """SQL that ends the query with an error which `refusal` understands."""
    return f"error({literal(f'refused {rule}: {message}')})"


def _decoded(value: str, column: Column) -> str:
    """SQL for bytes as the text that they are; many programs don't say in the schema that theirs are UTF-8."""
    fault = _refused(
        "undecodable",
        f"column {visible(column.source or column.name)!r} holds bytes that are not UTF-8 text; write it as text",
    )
    return f"CASE WHEN {value} IS NOT NULL THEN coalesce(TRY(decode({value})), {fault}) END"


def _whole(value: str, sql_type: str, column: Column) -> str:
    """SQL for a float in a column that is no number: 1001.0 is 1001, as a key is one that was read beside a gap."""
    fault = _refused(
        "inexact_type",
        f"column {visible(column.source or column.name)!r} is {sql_type} in the file and {column.sql_type} in the"
        f" contract, and holds a number from {CERTAIN[sql_type]} on, of which a {sql_type} does not keep all digits;"
        " write it as text or as an integer",
    )
    whole = f"CASE WHEN abs({value}) < {CERTAIN[sql_type]} THEN {value}::BIGINT::VARCHAR ELSE {fault} END"
    return f"CASE WHEN isfinite({value}) AND {value} = trunc({value}) THEN {whole} ELSE {value}::VARCHAR END"


def _zoned_as_text(value: str, column: Column) -> str:
    """SQL for a moment with a zone: as the column's text has it, or with its offset, which breaks another type."""
    plain, parsing = f"{value}::VARCHAR", column.parsing
    zone, pattern = ("UTC" if parsing.has_timezone else parsing.default_timezone), parsing.date_format
    if column.sql_type != "TIMESTAMPTZ" or (parsing.has_timezone and pattern is None):
        return plain
    local = f"timezone({literal(zone)}, {value})"
    if pattern is None:
        written, read_back = f"{local}::VARCHAR", local
    else:
        form = literal(pattern.replace("%z", _utc(column)).replace("%Z", "UTC"))
        written = _written(local, form, parsing.date_width)
        read_back = f"try_strptime({written}, {form})"
    # Of an hour that the clocks repeat, text without an offset can mean one only: the other keeps its offset.
    return f"CASE WHEN timezone({literal(zone)}, {read_back}) = {value} THEN {written} ELSE {plain} END"


def _utc(column: Column) -> str:
    """The offset of UTC as the column's format writes it."""
    if column.parsing.utc_letter:
        return "Z"
    regex = column.parsing.date_regex or ""
    return "+00:00" if regex.endswith(COLON_OFFSET) else "+0000" if regex.endswith(OFFSET) else "+00"


def _moment_as_text(value: str, sql_type: str, column: Column, plain: str) -> str:
    """SQL for a date or a time in the declared format, as far as it can be read back from it.

    A moment finer than the format would lose a part of it: it stays `plain`, and then breaks the type.
    """
    pattern = literal(str(column.parsing.date_format))
    is_time = sql_type.startswith("TIME") and not sql_type.startswith("TIMESTAMP")
    # strftime takes no TIME, so one gets a day.
    moment = f"(DATE '1900-01-01' + {value})" if is_time else value
    written = _written(moment, pattern, column.parsing.date_width)
    read_back = f"try_strptime({written}, {pattern})"
    if is_time:
        read_back = f"(DATE '1900-01-01' + {read_back}::TIME)"
    return f"CASE WHEN {read_back} = {moment} THEN {written} ELSE {plain} END"


def _written(moment: str, pattern: str, width: int | None) -> str:
    """SQL for a moment in a format whose texts are all of one width, or of any (None)."""
    written = f"strftime({moment}, {pattern})"
    # strftime writes fractions of a second with 3, 6 or 9 digits; the format may have fewer.
    return written if width is None else f"left({written}, {width})"


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


def _insert(group: _Alike) -> tuple[str, dict[str, list[str] | list[str | None]]]:
    """Statement that adds the rows of a group, and its parameters."""
    files = group.files
    given = {f"given{index}": column for index, column in enumerate(files[0].prepared.given)}
    # Without a value in any file, DuckDB would not know the type of the list.
    listed = "".join(
        f"(${name}::VARCHAR[])[(file_index + 1)::BIGINT] AS {ident(column)}, " for name, column in given.items()
    )
    return (
        f"""INSERT INTO {COPIED} BY NAME
            SELECT $batches[(file_index + 1)::BIGINT] AS _batch_date, $names[(file_index + 1)::BIGINT] AS _file,
            $versions[(file_index + 1)::BIGINT] AS _file_version, file_row_number + 1 AS _row,
            {listed}{group.columns_sql}
            FROM {_scan(files, ", file_row_number = true")}""",
        {
            "batches": [file.batch for file in files],
            "names": [file.name for file in files],
            "versions": [file.version for file in files],
            **{name: [file.prepared.given[column] for file in files] for name, column in given.items()},
        },
    )


def _unreadable(connection: "DuckDBPyConnection", groups: Sequence[_Alike]) -> dict[FileKey, FileRefused]:
    """The refusals of the files that can't be read to their ends by themselves either."""
    import duckdb

    found = {}
    for group in groups:
        for file in group.files:
            try:
                # By itself: for the error of one damaged file, all files after it were once refused as well.
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
    # By the names in the file: DuckDB gives another name to a column that differs from one before by case only.
    positions = match_columns(feed, names)
    require_columns(feed, positions, names, "the Parquet schema")
    values = {
        column.name: text_of(ident(schema[place].column), schema[place].sql_type, column)
        for column in feed.record_columns
        if (place := positions.get(column.name)) is not None
    }
    if unexpected := [field for place, field in enumerate(schema) if place not in positions.values()]:
        pairs = ", ".join(
            f"{literal(field.name)}, {rescued_value(ident(field.column), field.sql_type)}" for field in unexpected
        )
        present = " OR ".join(f"{ident(field.column)} IS NOT NULL" for field in unexpected)
        values["_rescued"] = unless_empty(f"CASE WHEN {present} THEN json_object({pairs})::VARCHAR END")
    return values
