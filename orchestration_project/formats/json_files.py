"""JSON files: an object a line, read many files at a time."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.fields import BLANKS, is_number, localised
from orchestration_project.formats.header import normalised, require_columns, spellings
from orchestration_project.formats.lines import Dialect, drop, insert_lines, read_lines, uneven
from orchestration_project.formats.prepare import NO_DELIMITER
from orchestration_project.formats.staging import ReadyFile, unreadable
from orchestration_project.warehouse.quoting import literal, literals
from orchestration_project.warehouse.tables import is_empty

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

JSON_NUMBERS = ("BIGINT", "UBIGINT", "DOUBLE", "HUGEINT", "UHUGEINT")
BLANK, INVALID, AMBIGUOUS = "blank", "invalid_json: not a JSON object", "ambiguous_key: a key stands twice"
MAX_KEYS = 100_000
"""More than these are data: their names would fill the memory."""
# A CASE, since AND may be evaluated in any order and json_type fails on what is no JSON.
IS_OBJECT = "CASE WHEN json_valid(c0) THEN json_type(c0) = 'OBJECT' ELSE false END"
KEYS = "json_keys(CASE WHEN fault IS NULL THEN c0 END)"
# DuckDB reads numbers with a fraction or an exponent as doubles, which keep 15 digits in any case.
MAY_BE_ROUNDED = r"[0-9.]{17}|[0-9][eE]"
STRING_OR_NUMBER = r"""("(?:[^"\\]|\\.)*")|(-?[0-9.]{17,}(?:[eE][+-]?[0-9]+)?|-?[0-9.]+[eE][+-]?[0-9]+)"""


def stage_json(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Insert every record of JSON files into `_staged`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    groups: dict[Dialect, list[ReadyFile]] = defaultdict(list)
    for file in files:
        prepared = file.prepared
        line_end, long_records = prepared.line_end, prepared.long_records
        dialect = Dialect(NO_DELIMITER, quote="", width=1, line_end=line_end, long_records=long_records)
        groups[dialect].append(file)
    for dialect, alike in groups.items():
        read_lines(connection, alike, dialect)
        _find_faults(connection)
        _keep_digits(connection)
        _insert(connection, feed, alike)


def _find_faults(connection: "DuckDBPyConnection") -> None:
    """Add `fault`, what keeps a line from being a record, to `_lines`; NULL for an object."""
    connection.execute("ALTER TABLE _lines ADD COLUMN fault VARCHAR")
    connection.execute(
        f"""UPDATE _lines SET fault = CASE trim(c0, {literal(BLANKS)}) WHEN '' THEN {literal(BLANK)}
            ELSE {literal(INVALID)} END WHERE NOT {IS_OBJECT}"""
    )


def _keep_digits(connection: "DuckDBPyConnection") -> None:
    """Add `exact` to `_lines`: objects with numbers that DuckDB would round, with these numbers as strings."""
    connection.execute("ALTER TABLE _lines ADD COLUMN exact VARCHAR")
    # The character that is put in the place of the quotes cannot stand in JSON; behind a string it stands twice.
    marked = rf"regexp_replace(c0, {literal(STRING_OR_NUMBER)}, '\1' || chr(1) || '\2' || chr(1), 'g')"
    connection.execute(
        f"""UPDATE _lines SET exact = replace(replace({marked}, chr(1) || chr(1), ''), chr(1), '"')
            WHERE fault IS NULL AND regexp_matches(c0, {literal(MAY_BE_ROUNDED)})"""
    )


def _insert(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    keys = _keys(connection)
    what = "has lines that can't be told apart; deliver one object a line"
    faults = {files[index].name: unreadable(files[index].name, what) for index in uneven(connection, files)}
    for index, found in keys.items():
        try:
            _require_keys(feed, files[index], found)
        except FileRefused as error:
            faults[files[index].name] = error
    if faults:
        raise FilesUnfit(faults)
    known = sorted(set().union(*keys.values()))
    own = {column: [key for key in known if normalised(key) in spellings(column)] for column in feed.source_columns}
    _find_ambiguous(connection, own)
    insert_lines(connection, files, _values(own))
    drop(connection, "_shapes")


def _keys(connection: "DuckDBPyConnection") -> dict[int, list[str]]:
    """The keys that stand in the objects of each file, by the file's index; `_shapes` has the lists that occur."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _shapes AS SELECT DISTINCT _f, {KEYS} AS keys FROM _lines")
    rows = connection.execute(
        f"SELECT _f, list(DISTINCT key)[:{MAX_KEYS + 1}] FROM (SELECT _f, unnest(keys) AS key FROM _shapes) GROUP BY _f"
    ).fetchall()
    return {index: sorted(keys) for index, keys in rows}


def _require_keys(feed: Feed, file: ReadyFile, keys: Collection[str]) -> None:
    if len(keys) > MAX_KEYS:
        raise unreadable(file.name, f"has more than {MAX_KEYS:,} different keys; deliver what differs as values")
    names = {normalised(key) for key in keys}
    positions = {column.name: 0 for column in feed.source_columns if names & spellings(column)}
    require_columns(feed, positions, tuple(keys), f"{file.name!r}: every record")


def _find_ambiguous(connection: "DuckDBPyConnection", own: Mapping[Column, Sequence[str]]) -> None:
    """Note as a fault that a key, or another spelling of it, stands twice in an object: which one counts is unknown."""
    connection.execute(
        "DELETE FROM _shapes WHERE keys IS NULL OR list_unique(keys) = len(keys)"
        " AND NOT list_bool_or([len(list_intersect(keys, own)) > 1 FOR own IN $own])",
        {"own": [found for found in own.values() if found]},
    )
    if not is_empty(connection, "_shapes"):
        connection.execute(f"UPDATE _lines SET fault = {literal(AMBIGUOUS)} WHERE {KEYS} IN (SELECT keys FROM _shapes)")


def _values(own: Mapping[Column, Sequence[str]]) -> dict[str, str]:
    """The raw table's values as SQL over `_lines`, by the keys of each column."""
    values = {
        column.name: f"CASE WHEN fault IS NULL THEN coalesce({', '.join(_text(key, column) for key in found)}) END"
        for column, found in own.items()
        if found
    }
    # A merge patch drops the keys that are null: here those of columns, then those that have no value.
    taken = json.dumps({key: None for found in own.values() for key in found})
    others = f"json_merge_patch(coalesce(exact, c0), {literal(taken)})"
    rescued = f"nullif(json_merge_patch('{{}}', {others})::VARCHAR, '{{}}')"
    values["_rescued"] = f"CASE WHEN fault IS NULL THEN {rescued} END"
    values["_raw_line"] = f"CASE WHEN fault <> {literal(BLANK)} THEN c0 END"
    values["_parse_error"] = f"nullif(fault, {literal(BLANK)})"
    return values


def _text(key: str, column: Column) -> str:
    """The text of a value; a JSON number in the notation that the contract declares for text."""
    text = f"json_extract_string(coalesce(exact, c0), {_pointer(key)})"
    if not is_number(column.sql_type) or column.parsing.decimal_separator == ".":
        return text
    numbers = f"json_type(c0, {_pointer(key)}) IN ({literals(JSON_NUMBERS)})"
    return f"CASE WHEN {numbers} THEN {localised(text, column.parsing)} ELSE {text} END"


def _pointer(key: str) -> str:
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))
