"""Delimited text, character by character: its encoding, its header and its records.

Belongs here: from bytes to fields. Does not belong here: what a field is worth (`values.py`).
"""

import codecs
import gzip
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project_tests.oracle.values import BLANKS, Cell, is_missing

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
LINE_END = re.compile("\r\n|\n|\r")
LINES_SEARCHED = 100
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"


class Refused(Exception):
    """The file as a whole can't be loaded; `rule` says why."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Record:
    """A record: what stands in the contract's columns and in others, or what kept it from being split.

    `beginning` is its line if it could not be split, else its first field, if it is one of a line.
    """

    cells: dict[str, Cell] = field(default_factory=dict)
    others: dict[str, Cell] = field(default_factory=dict)
    unsplit: str = ""
    beginning: str = ""

    @property
    def blank(self) -> bool:
        """Whether nothing stands in it."""
        return not self.unsplit and all(map(is_missing, [*self.cells.values(), *self.others.values()]))


def decode(content: bytes, encoding: str | None) -> str:
    """The text of a file: by its byte order mark, else UTF-8, else as declared. Gzip is looked through.

    Raises:
        Refused: it has no bytes, or some that can't be decoded.
    """
    if content.startswith(b"\x1f\x8b"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError):
            raise Refused("unreadable") from None
    if not content:
        raise Refused("empty_file")
    mark = next((mark for mark in MARKS if content.startswith(mark)), b"")
    while mark and content.startswith(mark):
        content = content[len(mark) :]
    try:
        return content.decode(MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError:
        if mark or not encoding:
            raise Refused("undecodable") from None
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise Refused("undecodable") from None


def normalised(name: str) -> str:
    """A column's name as names are compared: padding, case, what is not seen and how accents are encoded do not count.

    Every kind of blank is the same one.
    """
    seen = "".join(
        " " if unicodedata.category(letter) == "Zs" else letter for letter in name if letter not in INVISIBLE
    )
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", seen).strip(BLANKS).casefold())


def spellings(column: Column) -> set[str]:
    """The names under which files may carry a column."""
    return {normalised(name) for name in (column.source or column.name, *column.aliases)}


@dataclass(frozen=True, slots=True)
class Line:
    """A record as it is split: its text, its fields (None when it can't be split) and where the next one begins."""

    text: str
    fields: list[str] | None
    end: int


def line_at(text: str, start: int, delimiter: str, quote: str, padded: bool = False) -> Line:
    """The record that begins at a place.

    A field is either in quotes from its first to its last character, with quotes in it doubled, or begins with
    something else, and not with blanks before a quote. Then it may have quotes in pairs (csv-spectrum has such a file);
    a single one might have been meant to keep a separator or a line end in the field. A text that is neither is no
    record: it costs its own line.

    Args:
        text: the whole file.
        start: where the record begins.
        delimiter: one character.
        quote: one character.
        padded: whether blanks may stand beside a field in quotes, as in a header.
    """
    fields: list[str] = []
    place = start
    while True:
        begin = padding_end(text, place, delimiter) if padded else place
        value: str | None
        if text[begin : begin + 1] == quote:
            value, place = quoted_at(text, begin, quote)
            place = padding_end(text, place, delimiter) if padded else place
        else:
            found = re.compile(rf"[^{re.escape(delimiter)}\r\n]*").match(text, place)
            assert found is not None  # nothing at all matches, too
            place = found.end()
            value = None if found[0].count(quote) % 2 or found[0].lstrip(" \t").startswith(quote) else found[0]
        if value is None:
            break
        fields.append(value)
        if place >= len(text):
            return Line(text[start:], fields, place)
        if ended := LINE_END.match(text, place):
            return Line(text[start:place], fields, ended.end())
        if text[place] != delimiter:
            break
        place += 1
    ended = LINE_END.search(text, start)
    stop, end = (ended.start(), ended.end()) if ended else (len(text), len(text))
    return Line(text[start:stop], None, end)


def padding_end(text: str, place: int, delimiter: str) -> int:
    """Where the padding that begins at a place ends: what is not seen and is no delimiter."""
    while (
        (letter := text[place : place + 1]) and letter != delimiter and letter not in "\r\n" and not normalised(letter)
    ):
        place += 1
    return place


def quoted_at(text: str, start: int, quote: str) -> tuple[str | None, int]:
    """The value of a field in quotes and where it ends; None when the quote is not closed."""
    place, value = start + 1, ""
    while True:
        closing = text.find(quote, place)
        if closing < 0:
            return None, len(text)
        value += text[place:closing]
        if text[closing + 1 : closing + 2] != quote:
            return value, closing + 1
        value, place = value + quote, closing + 2


@dataclass(frozen=True, slots=True)
class Header:
    """The header's fields, which of them each of the contract's columns is, and where the first record begins.

    `fault` is the rule that it breaks by itself, if any.
    """

    fields: list[str]
    positions: dict[str, int]
    delimiter: str
    end: int
    fault: str = ""


def header_of(feed: Feed, text: str) -> Header:
    """The first line that has every required column, and at least one.

    Raises:
        Refused: there is none, a column is in it twice, or it has a broken quote; where there is none, the line that
            has most of the columns tells why.
    """
    required = {column.name for column in feed.record_columns if column.required}
    start, best = 0, Header([], {}, "", 0)
    for _ in range(LINES_SEARCHED):
        if start >= len(text):
            break
        # Of equals the first counts.
        best = max([best, *headers_at(feed, text, start)], key=lambda header: len(header.positions))
        if best.positions and required <= best.positions.keys():
            break
        line = LINE_END.search(text, start)
        start = line.end() if line else len(text)
    if not best.positions:
        raise Refused("no_header")
    if best.fault or not required <= best.positions.keys():
        raise Refused(best.fault or "missing_column")
    ensure_once(feed, best.fields)
    return best


def headers_at(feed: Feed, text: str, start: int) -> Iterator[Header]:
    """The line at a place as a header, in each delimiter that it may have."""
    for delimiter in [feed.source.delimiter] if feed.source.delimiter else [",", ";", "\t", "|"]:
        line = line_at(text, start, delimiter, feed.source.quote, padded=True)
        fields = line.fields or [part.replace(feed.source.quote, "") for part in line.text.split(delimiter)]
        names = [normalised(name) for name in fields]
        found = {
            column.name: next((place for place, name in enumerate(names) if name in spellings(column)), None)
            for column in feed.record_columns
        }
        positions = {name: place for name, place in found.items() if place is not None}
        broken = "bad_quoting" if line.fields is None else ""
        yield Header(fields, positions, delimiter, line.end, "nul_byte" if "\0" in line.text else broken)


def ensure_once(feed: Feed, fields: list[str]) -> None:
    """Make sure that no column of the contract has two fields."""
    names = Counter(map(normalised, fields))
    if any(sum(names[name] for name in spellings(column)) > 1 for column in feed.record_columns):
        raise Refused("ambiguous_column")


def records_of(feed: Feed, text: str) -> list[Record]:
    """All records of a delimited file, in order.

    Raises:
        Refused: it has no header, or one that can't be used.
    """
    header = header_of(feed, text)
    place, lines = header.end, list[Line]()
    while place < len(text):
        lines.append(line_at(text, place, header.delimiter, feed.source.quote))
        place = lines[-1].end
    surplus = surplus_of(lines, len(header.fields))
    return [record_of(line, header, surplus) for line in lines]


def surplus_of(lines: list[Line], width: int) -> int:
    """How many empty fields behind the last column all records have: so some programs write, and they say nothing.

    Records that lack columns, or have values beyond the last one, do not count: they are wrong anyway.
    """
    filled = [line.fields for line in lines if line.fields and not all(map(is_missing, line.fields))]
    return min(
        (len(fields) - width for fields in filled if len(fields) >= width and not any(fields[width:])), default=0
    )


def is_name(text: str, name: str) -> bool:
    """Whether a field is a name. Behind the byte order mark of its own file, quotes are a part of the field."""
    if not text.startswith("\ufeff"):
        return normalised(text) == normalised(name)
    unquoted = [value.replace('"', "").replace("'", "") for value in (text, name)]
    return normalised(unquoted[0]) == normalised(unquoted[1])


def record_of(line: Line, header: Header, surplus: int) -> Record:
    """A record of a file whose header is known; all have `surplus` empty fields behind the last column."""
    width, fields = len(header.fields), line.fields
    empty = fields is not None and all(map(is_missing, fields))
    if is_missing(line.text) or (empty and fields is not None and len(fields) != width):
        return Record()
    if "\0" in line.text:
        return Record(unsplit="nul_byte", beginning=line.text)
    if fields is None:
        return Record(unsplit="bad_quoting", beginning=line.text)
    if len(fields) < width:
        return Record(unsplit="too_few_columns", beginning=line.text)
    if any(fields[width:]) or (not empty and len(fields) > width + surplus):
        return Record(unsplit="too_many_columns", beginning=line.text)
    named = {name: fields[place] for name, place in header.positions.items()}
    again = not empty and all(is_name(value, header.fields[header.positions[name]]) for name, value in named.items())
    if again:
        return Record(unsplit="repeated_header", beginning=header.delimiter.join(fields[:width]))
    times = Counter(header.fields[place] for place in range(width) if place not in header.positions.values())
    others: dict[str, Cell] = {
        name if times[name] == 1 else f"{name}_{place + 1}": fields[place]
        for place, name in enumerate(header.fields)
        if place not in header.positions.values()
    }
    return Record({**named}, others, beginning=fields[0])
