"""Typed values of Parquet files as the text that a delimited file would have, exact or not at all.

    column sold_on DATE, value 2024-02-01, declared format dd/MM/yyyy   ->  '01/02/2024'
    column amount DOUBLE, value 1.5, declared decimal comma             ->  '1,5'
    column id VARCHAR, value 1001.0 (a double)                          ->  '1001'
    column id VARCHAR, value 1e17 (a double)                            ->  the file is refused
    column sold_at TIMESTAMP, value with a zone                         ->  stays with its offset, which breaks the type

Pure functions of the file's schema and of the contract: nothing is read here.
"""

import re

from orchestration_project.contracts.date_formats import COLON_OFFSET, OFFSET
from orchestration_project.contracts.feed import Column
from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.fields import is_number, localised
from orchestration_project.warehouse.quoting import literal

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
    if is_number(sql_type):
        if is_number(column.sql_type):
            return localised(plain, column.parsing)
        return _whole(value, sql_type, column) if sql_type in CERTAIN else plain
    if sql_type == ZONED:
        return _zoned_as_text(value, column)
    # Whoever wrote a moment without a zone into a column that has one meant a zone that nobody knows here.
    lacks_zone = column.parsing.has_timezone or sql_type == "TIME WITH TIME ZONE"
    if not sql_type.startswith(("DATE", "TIME")) or column.parsing.date_format is None or lacks_zone:
        return plain
    return _moment_as_text(value, sql_type, column, plain)


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
        written = f"strftime({local}, {form})"
        read_back = f"try_strptime({written}, {form})"
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
    pattern, width = literal(str(column.parsing.date_format)), column.parsing.date_width
    is_time = sql_type.startswith("TIME") and not sql_type.startswith("TIMESTAMP")
    # strftime takes no TIME, so one gets a day.
    moment = f"(DATE '1900-01-01' + {value})" if is_time else value
    written = f"strftime({moment}, {pattern})"
    if width:
        # strftime writes fractions of a second with 3, 6 or 9 digits; the format may have fewer.
        written = f"left({written}, {width})"
    read_back = f"try_strptime({written}, {pattern})"
    if is_time:
        read_back = f"(DATE '1900-01-01' + {read_back}::TIME)"
    return f"CASE WHEN {read_back} = {moment} THEN {written} ELSE {plain} END"
