r"""JSON files: an object a line, read many files at a time.

    {"id": 1.50, "n": 1.50, "x": true}  ->  id (text) '1.50', n (a number) '1.5', _rescued '{"x":true}'
    {"id": "a", "ID": "b"}              ->  _raw_line, _parse_error 'ambiguous_key: ...'
    {"id": "a\u0000"}                   ->  _raw_line, _parse_error 'nul_byte: ...'
    [1]                                 ->  _raw_line, _parse_error 'invalid_json: ...'

An array of objects was written as lines before (`json_array`). The lines get two more columns here: `error` (what
keeps a line from being a record, NULL for an object) and `exact` (an object whose numbers DuckDB would write otherwise
than they are written in the file).
"""

import json
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FileKey, FileRefused, FilesUnfit
from orchestration_project.formats.fields import BLANKS, is_number, localised, unless_empty
from orchestration_project.formats.header import normalised, refuse_given, require_columns, spellings
from orchestration_project.formats.lines import Dialect, Lines, dialect_of_lines, read_lines, uneven
from orchestration_project.formats.numbering import insert_lines
from orchestration_project.formats.staging import KEY_LISTS, ReadyFile, drop, unreadable
from orchestration_project.warehouse.tables import is_empty, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

JSON_NUMBERS = ("BIGINT", "UBIGINT", "DOUBLE", "HUGEINT", "UHUGEINT")
BLANK, INVALID, AMBIGUOUS = "blank", "invalid_json: not a JSON object", "ambiguous_key: a key stands twice"
NUL = "nul_byte: the record has a NUL byte"
NUL_ESCAPE = r"(?:^|[^\\])(?:\\\\)*\\u0000"
"""A NUL as JSON writes it; behind an odd number of backslashes more, it is the text `\\u0000`."""
MAX_KEYS = 100_000
"""More than these are data: their names would fill the memory."""
# A CASE, since AND may be evaluated in any order and json_type fails on what is no JSON.
IS_OBJECT = "CASE WHEN json_valid(c0) THEN json_type(c0) = 'OBJECT' ELSE false END"
KEYS = "json_keys(CASE WHEN error IS NULL THEN c0 END)"
# DuckDB reads numbers with a fraction or an exponent as doubles, and these keep no more than 15 digits for sure.
# 17 characters are 16 digits and the point. Whole numbers as long may be exact: to keep their digits does no harm.
MAY_BE_ROUNDED = r"[0-9.]{17}|[0-9][eE]"
# In `{"a 1":"1e5","n":-2.50}` it finds "a 1", "1e5" and "n" as strings (\1), -2.50 as a number (\2).
STRING_OR_NUMBER = r"""("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)"""
# A double forgets zeros at its end. In columns of text 1.10 is not 1.1.
MAY_LOSE_ZEROS = r"-?[0-9]+\.|-0|[\[{].*(?:[0-9]\.|-0)"
# What `keep_digits` makes of a number, as it stands in JSON text: `"\u00001.10"`.
MARKED_NUMBER = r'"\\u0000([^"]*)"'
LONGEST_NAMES = 20_000
SPELLINGS_PARAMETER = "spellings"


@dataclass(frozen=True, slots=True)
class Objects:
    """Lines of JSON, after each was looked at.

    Attributes:
        lines: the lines, whose relation has the columns `error` and `exact` now.
        keys: the keys that occur in the objects of each file, by the file's index.
        key_lists: name of the table of the lists of keys that occur: `_f` UBIGINT, `keys` VARCHAR[].
    """

    lines: Lines
    keys: dict[int, list[str]]
    key_lists: str = KEY_LISTS


def stage_json(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Add every record of JSON files to `_staged`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    groups: dict[Dialect, list[ReadyFile]] = defaultdict(list)
    for file in files:
        groups[dialect_of_lines(file)].append(file)
    for dialect, alike in groups.items():
        objects = _parse(connection, read_lines(connection, alike, dialect))
        if refused := _refused(feed, objects):
            raise FilesUnfit(refused)
        # From here on the SQL depends on the keys of these files, which are input: they enter it as literals only.
        keys = _keys_of_columns(feed, objects)
        connection.execute(keep_digits(objects.lines.relation, _keys_of_texts(keys)))
        _mark_ambiguous(connection, objects, keys)
        # The lines don't stay: a view would take the values out of the text again each time it is read.
        insert_lines(connection, objects.lines, _values(keys))
        drop(connection, [objects.key_lists])


def _parse(connection: "DuckDBPyConnection", lines: Lines) -> Objects:
    # Columns, not expressions in each value: so a line is looked at once, and not once a column of the contract.
    connection.execute(f"ALTER TABLE {lines.relation} ADD COLUMN error VARCHAR")
    connection.execute(mark_invalid(lines.relation))
    connection.execute(f"ALTER TABLE {lines.relation} ADD COLUMN exact VARCHAR")
    distinct = f"SELECT DISTINCT _f, {KEYS} AS keys FROM {lines.relation}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {KEY_LISTS} AS {distinct}")
    return Objects(lines, {index: sorted(keys) for index, keys in connection.execute(_keys_by_file()).fetchall()})


def mark_invalid(lines: str) -> str:
    """Statement that notes which lines are no objects, or have a NUL in a key or a text.

    Of an array, an object without an end comes as such a line.
    """
    return f"""
        UPDATE {lines} SET error = CASE WHEN trim(c0, {literal(BLANKS)}) = '' THEN {literal(BLANK)}
            WHEN {IS_OBJECT} THEN {literal(NUL)} ELSE {literal(INVALID)} END
        WHERE NOT {IS_OBJECT} OR (contains(c0, '\\u0000') AND regexp_matches(c0, {literal(NUL_ESCAPE)}))"""


def keep_digits(lines: str, texts: Collection[str] = ()) -> str:
    r"""Statement that fills `exact`: an object with its numbers as strings, if DuckDB would write one otherwise.

        {"n":0.12345678901234567,"s":"1e5"}  ->  {"n":"\u00000.12345678901234567","s":"1e5"}
        {"id":1.10}                          ->  {"id":"\u00001.10"}, where `texts`, the keys of text columns, has id

    The NUL tells them from strings: no line without an error has one. `_value` and `_numbers` take it out again.
    The expression finds strings too, so that numbers in them are left alone. A string (\1) and a number (\2) can't be
    replaced differently in one go. So a mark is put before and one behind the number: a string has both behind it,
    where they are removed. The marks are characters that can't stand in JSON.
    """
    marked = rf"regexp_replace(c0, {literal(STRING_OR_NUMBER)}, '\1' || chr(1) || '\2' || chr(2), 'g')"
    return rf"""
        UPDATE {lines} SET
            exact = replace(replace(replace({marked}, chr(1) || chr(2), ''), chr(1), '"\u0000'), chr(2), '"')
        WHERE error IS NULL AND regexp_matches(c0, {literal(_written_otherwise(texts))})"""


def _written_otherwise(texts: Collection[str]) -> str:
    """The lines in which DuckDB may write a number otherwise: each rounded one, and those without their zeros as text.

    A key that is written with an escape may be any of them, and where there are too many for an expression all may be.
    """
    if not texts:
        return MAY_BE_ROUNDED
    names = "|".join(re.escape(json.dumps(key, ensure_ascii=False)[1:-1]) for key in texts)
    names = names if len(names) < LONGEST_NAMES else ".*"
    return rf'{MAY_BE_ROUNDED}|"(?:{names}|[^"]*\\.*)"\s*:\s*(?:{MAY_LOSE_ZEROS})'


def _keys_by_file() -> str:
    """Query of the keys that occur in the objects of each file; of too many, only so many as prove it."""
    return f"""
        WITH keys AS (SELECT _f, unnest(keys) AS key FROM {KEY_LISTS})
        SELECT _f, list(DISTINCT key)[:{MAX_KEYS + 1}] FROM keys GROUP BY _f"""


def _refused(feed: Feed, objects: Objects) -> dict[FileKey, FileRefused]:
    """The refusals of the files that can't be loaded."""
    files = objects.lines.files
    what = "has lines that can't be separated reliably; deliver one object a line"
    refused = {files[index].key: unreadable(files[index].name, what) for index in uneven(objects.lines)}
    for index, keys in objects.keys.items():
        try:
            _require_keys(feed, files[index], keys)
        except FileRefused as error:
            refused[files[index].key] = error
    return refused


def _require_keys(feed: Feed, file: ReadyFile, keys: Collection[str]) -> None:
    if len(keys) > MAX_KEYS:
        raise unreadable(file.name, f"has more than {MAX_KEYS:,} different keys; write what differs as values")
    # One object with a required key is enough: if others lack it, these records are rejected, not the file.
    names = {normalised(key) for key in keys}
    refuse_given(feed, names)
    positions = {column.name: 0 for column in feed.record_columns if names & spellings(column)}
    require_columns(feed, positions, tuple(keys), f"{file.name!r}: every record")


def _keys_of_columns(feed: Feed, objects: Objects) -> dict[Column, list[str]]:
    """The keys under which each column of the contract occurs."""
    known = sorted(set().union(*objects.keys.values()))
    return {column: [key for key in known if normalised(key) in spellings(column)] for column in feed.record_columns}


def _keys_of_texts(keys: Mapping[Column, Sequence[str]]) -> list[str]:
    """The keys of columns in which a number counts as the text that it is, be it only as a word for a missing value."""
    return [
        key
        for column, found in keys.items()
        if column.parsing.null_words or not is_number(column.sql_type)
        for key in found
    ]


def _mark_ambiguous(connection: "DuckDBPyConnection", objects: Objects, keys: Mapping[Column, Sequence[str]]) -> None:
    connection.execute(
        keep_ambiguous(objects.key_lists), {SPELLINGS_PARAMETER: [found for found in keys.values() if found]}
    )
    # Almost no file has such objects, and the keys of all lines are not asked for again where there are none.
    if not is_empty(connection, objects.key_lists):
        connection.execute(mark_ambiguous(objects.lines.relation, objects.key_lists))


def keep_ambiguous(key_lists: str) -> str:
    """Statement that leaves in `_key_lists` the lists that have a key, or two spellings of one column, twice.

    Which of the two values counts is unknown. Lists are compared, not lines: files have few different ones.
    """
    return f"""
        DELETE FROM {key_lists} WHERE keys IS NULL OR list_unique(keys) = len(keys)
        AND NOT coalesce(list_bool_or([len(list_intersect(keys, own)) > 1 FOR own IN ${SPELLINGS_PARAMETER}]), false)"""


def mark_ambiguous(lines: str, key_lists: str) -> str:
    """Statement that notes which lines have one of the lists of keys that `keep_ambiguous` left."""
    return f"UPDATE {lines} SET error = {literal(AMBIGUOUS)} WHERE {KEYS} IN (SELECT keys FROM {key_lists})"


def _values(keys: Mapping[Column, Sequence[str]]) -> dict[str, str]:
    """The raw table's columns as SQL over the lines, by the keys of each column."""
    values = {
        column.name: f"CASE WHEN error IS NULL THEN coalesce({', '.join(_text(key, column) for key in found)}) END"
        for column, found in keys.items()
        if found
    }
    values["_rescued"] = (
        f"CASE WHEN error IS NULL THEN {rescued([key for found in keys.values() for key in found])} END"
    )
    values["_raw_line"] = f"CASE WHEN error <> {literal(BLANK)} THEN c0 END"
    values["_parse_error"] = f"nullif(error, {literal(BLANK)})"
    return values


def rescued(taken: Sequence[str]) -> str:
    """SQL for the part of an object that is under other keys than those that were taken; NULL when that is empty.

    A merge patch drops the keys that are null in it: first those that were taken, then those that have no value.
    """
    others = f"json_merge_patch(coalesce(exact, c0), {literal(json.dumps(dict.fromkeys(taken)))})"
    return unless_empty(_numbers(f"json_merge_patch('{{}}', {others})::VARCHAR"))


def _numbers(text: str) -> str:
    """SQL for JSON text in which the numbers that `keep_digits` marked are numbers again."""
    return rf"regexp_replace({text}, {literal(MARKED_NUMBER)}, '\1', 'g')"


def _text(key: str, column: Column) -> str:
    """SQL for the text of a value; a JSON number is written in the notation that the contract declares for text."""
    pointer = _pointer(key)
    if not is_number(column.sql_type) or column.parsing.decimal_separator == ".":
        return _value("c0", pointer)
    # DuckDB takes what stands twice out of the CASE around it, and would read JSON in lines that have none.
    line = "CASE WHEN error IS NULL THEN c0 END"
    text, numbers = _value(line, pointer), f"json_type({line}, {pointer}) IN ({literals(JSON_NUMBERS)})"
    return f"CASE WHEN {numbers} THEN {localised(text, column.parsing)} ELSE {text} END"


def _value(line: str, pointer: str) -> str:
    """SQL for a value as text, from the object with exact numbers where there is one."""
    exact = f"json_extract_string(exact, {pointer})"
    # Only text in which something else is nested may have marks inside; other text may look like one.
    marked = f"CASE json_type(exact, {pointer}) WHEN 'VARCHAR' THEN ltrim({exact}, chr(0)) ELSE {_numbers(exact)} END"
    return f"CASE WHEN exact IS NULL THEN json_extract_string({line}, {pointer}) ELSE {marked} END"


def _pointer(key: str) -> str:
    return literal("/" + key.replace("~", "~0").replace("/", "~1"))
