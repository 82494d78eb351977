"""JSON (an object a line, an array of objects, or documents with arrays in them), and rows of typed values.

Belongs here: from bytes to fields. Does not belong here: what a field is worth (`values.py`).
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project_tests.oracle.delimited import LINE_END, Record, Refused, normalised, spellings
from orchestration_project_tests.oracle.values import BLANKS, Cell, Number


class Twice(Exception):
    """A key stands twice in an object."""


def json_records(feed: Feed, text: str) -> list[Record]:
    """All records of a JSON file, in order.

    Raises:
        Refused: an array does not end, or no record has a required column.
    """
    records, keys = [], set[str]()
    path = feed.source.records_path
    for element in elements(text) if path is None else within_documents(text, path):
        record, found = json_record(feed, element)
        records.append(record)
        keys |= found
    if keys:
        ensure_columns(feed, keys)
    return records


def elements(text: str) -> Iterator[str]:
    """The text of each record: the lines of a file, or the elements of an array."""
    if text.lstrip(" \t\r\n")[:1] == "[":
        yield from split_array(text.strip(" \t\r\n"))
        return
    lines = LINE_END.split(text)
    yield from lines if lines[-1] else lines[:-1]


def within_documents(text: str, path: Sequence[str]) -> list[str]:
    """The elements of the array at a path in each document.

    Raises:
        Refused: what is around the elements is no JSON, or has no such array.
    """
    found, rest = list[str](), text.strip(" \t\r\n")
    if not rest:
        raise Refused("unreadable")
    while rest:
        parts, length = at_path(rest, path)
        found += parts
        rest = rest[length:].strip(" \t\r\n")
    return found


def at_path(text: str, path: Sequence[str]) -> tuple[list[str], int]:
    """The elements of the array at a path in the value with which a text begins, and how long that value is.

    Raises:
        Refused: what is around the elements is no JSON, or has no such array.
    """
    if text[:1] != ("{" if path else "["):
        whole_value(text)
        raise Refused("missing_records")
    if not path:
        parts, length = array_in_front(text)
        return parts, length
    place, found = 1, list[list[str]]()
    separator = re.compile(r"[ \t\r\n]*,[ \t\r\n]*(?=\")|[ \t\r\n]*(?=\})")
    for count in itertools.count():
        gap = (separator if count else re.compile(r"[ \t\r\n]*")).match(text, place)
        if not gap:
            raise Refused("unreadable")
        place = gap.end()
        if text[place : place + 1] == "}":
            break
        key, place = text_in_front(text, place)
        if key == path[0] and found:
            raise Refused("missing_records")
        value = text[place:]
        if key == path[0]:
            parts, length = at_path(value, path[1:])
            found.append(parts)
        else:
            length = whole_value(value)
        place += length
    if not found:
        raise Refused("missing_records")
    return found[0], place + 1


def text_in_front(text: str, place: int) -> tuple[str, int]:
    """The key at a place, and where its value begins."""
    if text[place : place + 1] != '"':
        raise Refused("unreadable")
    length = whole_value(text[place:])
    colon = re.compile(r"[ \t\r\n]*:[ \t\r\n]*").match(text, place + length)
    if not colon:
        raise Refused("unreadable")
    return str(json.loads(text[place : place + length])), colon.end()


def whole_value(text: str) -> int:
    """How long the value is with which a text begins."""
    try:
        return json.JSONDecoder(parse_int=str, parse_float=str).raw_decode(text)[1]
    except (ValueError, RecursionError):
        raise Refused("unreadable") from None


def split_array(text: str) -> list[str]:
    """The elements of an array that is all of a text.

    Raises:
        Refused: it does not end, or something stands after its end.
    """
    parts, length = array_in_front(text)
    if length < len(text):
        raise Refused("unreadable")
    return parts


def array_in_front(text: str) -> tuple[list[str], int]:
    """The elements of an array, by its quotes, brackets and commas alone, and how long it is.

    What each element is worth is told by itself. A backslash escapes a quote, be it outside of texts, where JSON has
    none.

    Raises:
        Refused: it does not end.
    """
    found, start, depth = list[str](), 1, 0
    quoted = escaped = False
    for place, character in enumerate(text):
        is_quote = character == '"' and not escaped
        escaped = character == "\\" and not escaped
        if is_quote or quoted:
            quoted ^= is_quote
        elif character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
        elif character == "," and depth == 1:
            found.append(text[start:place])
            start = place + 1
        if not depth:
            if character != "]":
                break
            rest = text[start:place]
            return [*found, rest] if found or rest.strip(" \t\r\n") else [], place + 1
    raise Refused("unreadable")


def json_record(feed: Feed, text: str) -> tuple[Record, set[str]]:
    """The record in a text, and the keys that stand in it."""
    if not text.strip(BLANKS):
        return Record(), set()
    try:
        pairs = json.loads(
            without_last_commas(text),
            object_pairs_hook=Pairs,
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
        )
    except (ValueError, RecursionError):
        return Record(unsplit="invalid_json", beginning=text), set()
    if not isinstance(pairs, Pairs) or not encodable(pairs):
        return Record(unsplit="invalid_json", beginning=text), set()
    # A NUL keeps a record from being one, wherever it stands, as in delimited files.
    if "\0" in repr_of(pairs):
        return Record(unsplit="nul_byte", beginning=text), set()
    keys = {normalised(key) for key, _ in pairs}
    owners = [owner_of(feed, key) or key for key, _ in pairs]
    if len({*owners}) < len(pairs):
        return Record(unsplit="ambiguous_key", beginning=text), keys
    cells = {
        owner.name: cell_of(value)
        for owner, (_, value) in zip(owners, pairs, strict=True)
        if not isinstance(owner, str)
    }
    others = {owner: cell_of(value) for owner, (_, value) in zip(owners, pairs, strict=True) if isinstance(owner, str)}
    return Record(cells, {name: cell for name, cell in others.items() if cell is not None}), keys


def without_last_commas(text: str) -> str:
    """JSON without the commas that stand before a closing bracket: they say nothing."""
    return re.sub(r'("(?:[^"\\]|\\.)*")|(?<![,{\[]),\s*(?=[}\]])', lambda found: found[1] or "", text)


class Pairs(list[tuple[str, Any]]):
    """The keys and values of an object in their order, doubled ones, too."""


def encodable(value: Any) -> bool:
    """Whether all texts of a value can be written as UTF-8: half of a character can't."""
    try:
        repr_of(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def repr_of(value: Any) -> str:
    """All texts in a value, one behind the other."""
    if isinstance(value, str):
        return value
    return "".join(repr_of(part) for part in value) if isinstance(value, list | tuple) else ""


def owner_of(feed: Feed, key: str) -> Column | None:
    """The contract's column that a key names."""
    return next((column for column in feed.record_columns if normalised(key) in spellings(column)), None)


def cell_of(value: Any) -> Cell:
    """What counts of a JSON value: text, a number as it is written, true and false as words, others as JSON text."""
    if value is None or isinstance(value, str | Number):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return written(value)


def written(value: Any) -> str:
    """A nested value as JSON text, numbers as they stand in the file."""
    match value:
        case Pairs():
            return "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{written(part)}" for key, part in value) + "}"
        case list():
            return "[" + ",".join(map(written, value)) + "]"
        case Number(text=text):
            return text
        case _:
            return json.dumps(value, ensure_ascii=False)


def ensure_columns(feed: Feed, names: set[str]) -> None:
    """Make sure that the required columns, and any at all, are among normalised names."""
    present = [bool(names & spellings(column)) for column in feed.record_columns]
    needed = [there for there, column in zip(present, feed.record_columns, strict=True) if column.required]
    if not all(needed) or not any(present):
        raise Refused("missing_column")


def typed_records(feed: Feed, rows: Sequence[Mapping[str, Cell]], names: Sequence[str]) -> list[Record]:
    """The rows of a file that holds typed values.

    Raises:
        Refused: a required column is missing, a column is there twice, or a number in one of text may lack digits.
    """
    owners = [owner_of(feed, name) for name in names]
    known = [owner.name for owner in owners if owner]
    if len({*known}) < len(known):
        raise Refused("ambiguous_column")
    ensure_columns(feed, {normalised(name) for name in names})
    texts = {name for owner, name in zip(owners, names, strict=True) if owner and owner.sql_type == "VARCHAR"}
    if any(may_lack_digits(row[name]) for row in rows for name in texts):
        raise Refused("inexact_type")
    return [
        Record(
            {owner.name: row[name] for owner, name in zip(owners, names, strict=True) if owner},
            {name: row[name] for owner, name in zip(owners, names, strict=True) if not owner and row[name] is not None},
        )
        for row in rows
    ]


def may_lack_digits(cell: Cell) -> bool:
    """Whether a cell is a binary number from which on such numbers leave out whole ones."""
    return isinstance(cell, Number) and cell.binary and abs(float(cell.text)) >= 2**53
