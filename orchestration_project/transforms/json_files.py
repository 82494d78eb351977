"""JSON files: lines of objects, read many files at a time, and arrays of objects, read one by one."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.transforms.header import normalised, require_columns, spellings
from orchestration_project.transforms.lines import MAX_RECORD_BYTES, Dialect, drop, insert_lines, read_lines, uneven
from orchestration_project.transforms.prepare import NO_DELIMITER
from orchestration_project.transforms.raw import ReadyFile, unreadable
from orchestration_project.transforms.records import BLANKS
from orchestration_project.transforms.values import is_number, localised
from orchestration_project.warehouse.sql import literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A CASE, since AND may be evaluated in any order and json_type fails on what is no JSON.
IS_OBJECT = "CASE WHEN json_valid(c0) THEN json_type(c0) = 'OBJECT' ELSE false END"
JSON_NUMBERS = ("BIGINT", "UBIGINT", "DOUBLE", "HUGEINT", "UHUGEINT")


def count_elements(connection: "DuckDBPyConnection", name: str, path: str) -> int:
    """How many elements a JSON array has.

    Raises:
        FileRefused: it is not well formed.
    """
    import duckdb

    try:
        row = connection.execute(f"SELECT json_array_length(content) FROM read_text([{literal(path)}])").fetchone()
    except duckdb.Error as error:
        raise unreadable(name, "is not a JSON array of objects", error) from None
    return int(row[0]) if row else 0


def stage_json(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Insert every record of JSON files into `raw_x`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    arrays = [file for file in files if file.prepared.array]
    groups: dict[Dialect, list[ReadyFile]] = defaultdict(list)
    for file in files:
        if not file.prepared.array:
            groups[Dialect(NO_DELIMITER, quote="", width=1, line_end=file.prepared.line_end)].append(file)
    for dialect, lines in groups.items():
        read_lines(connection, lines, dialect)
        _insert(connection, feed, lines, "has lines that can't be told apart; deliver one object a line")
    for file in arrays:
        _read_array(connection, file)
        _insert(connection, feed, [file], "has elements that can't be told apart; deliver one array of objects")


def _read_array(connection: "DuckDBPyConnection", file: ReadyFile) -> None:
    import duckdb

    drop(connection, "_lines", "_gaps")
    try:
        connection.execute(
            f"""CREATE TEMP TABLE _lines AS SELECT 0::UBIGINT AS _f, json::VARCHAR AS c0
                FROM read_json_objects([{literal(file.path)}], format = 'array', compression = 'uncompressed',
                hive_partitioning = false, maximum_object_size = {MAX_RECORD_BYTES})"""
        )
    except duckdb.Error as error:
        raise FilesUnfit({file.name: unreadable(file.name, "is not a JSON array of objects", error)}) from None
    connection.execute("CREATE TEMP TABLE _gaps (_f UBIGINT, record BIGINT, raw VARCHAR, error VARCHAR)")


def _insert(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile], when_uneven: str) -> None:
    keys = _keys(connection)
    faults = {files[index].name: unreadable(files[index].name, when_uneven) for index in uneven(connection, files)}
    for index, found in keys.items():
        try:
            _require_keys(feed, files[index], found)
        except FileRefused as error:
            faults[files[index].name] = error
    if faults:
        raise FilesUnfit(faults)
    insert_lines(connection, feed, files, _values(feed, sorted(set().union(*keys.values()))))


def _keys(connection: "DuckDBPyConnection") -> dict[int, list[str]]:
    """The keys that stand in the objects of each file, by the file's index."""
    rows = connection.execute(
        f"""SELECT _f, list(DISTINCT key) FROM
            (SELECT _f, unnest(CASE WHEN {IS_OBJECT} THEN json_keys(c0) END) AS key FROM _lines) GROUP BY _f"""
    ).fetchall()
    return {index: sorted(keys) for index, keys in rows}


def _require_keys(feed: Feed, file: ReadyFile, keys: Collection[str]) -> None:
    names = {normalised(key) for key in keys}
    positions = {column.name: 0 for column in feed.source_columns if names & spellings(column)}
    require_columns(feed, positions, tuple(keys), f"{file.name!r}: every record")


def _values(feed: Feed, keys: Collection[str]) -> dict[str, str]:
    """The raw table's values as SQL over the JSON object c0."""
    own = {column: [key for key in keys if normalised(key) in spellings(column)] for column in feed.source_columns}
    values = {
        column.name: f"CASE WHEN {IS_OBJECT} THEN coalesce({', '.join(_text(key, column) for key in found)}) END"
        for column, found in own.items()
        if found
    }
    known = {key for found in own.values() for key in found}
    if unexpected := [key for key in keys if key not in known]:
        pairs = ", ".join(f"{literal(key)}, json_extract(c0, {_pointer(key)})" for key in unexpected)
        # A merge patch drops the keys that are null, as they are in records that do not have them.
        rescued = f"nullif(json_merge_patch('{{}}', json_object({pairs}))::VARCHAR, '{{}}')"
        values["_rescued"] = f"CASE WHEN {IS_OBJECT} THEN {rescued} END"
    broken = f"NOT {IS_OBJECT} AND trim(c0, {literal(BLANKS)}) <> ''"
    values["_raw_line"] = f"CASE WHEN {broken} THEN c0 END"
    values["_parse_error"] = f"CASE WHEN {broken} THEN 'invalid_json: not a JSON object' END"
    return values


def _text(key: str, column: Column) -> str:
    """The text of a value; a JSON number in the notation that the contract declares for text."""
    text = f"json_extract_string(c0, {_pointer(key)})"
    if not is_number(column.sql_type) or column.parsing.decimal_separator == ".":
        return text
    numbers = f"json_type(c0, {_pointer(key)}) IN ({literals(JSON_NUMBERS)})"
    return f"CASE WHEN {numbers} THEN {localised(text, column.parsing)} ELSE {text} END"


def _pointer(key: str) -> str:
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))
