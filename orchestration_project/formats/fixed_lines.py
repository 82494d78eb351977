r"""Fixed width text before it is read: how its lines are cut, where its records begin, which bytes characters took.

    contract: sku at 1-4, amount at 7-10      Layout(columns={"sku": (1, 4), "amount": (7, 4)}, gaps=[(5, 2)], width=10)
    head      Sales of shop 7\n               Header(line=2, length=...): the names stand in their columns' places
              SKU   Amnt\n                    (`Amount` is longer than its column, so it is cut)
              ----  ----\n                    belongs to the header

A line is cut by characters, that is by code points. Where the contract counts bytes, each character is followed by as
many fillers as it had further bytes in the file: so the same cuts fit. `fixed_width` reads the lines and takes the
fillers out.
"""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.errors import FileRefused
from orchestration_project.formats.header import (
    LINE,
    LINES_SEARCHED,
    Header,
    normalised,
    require_columns,
    spellings,
)

BLOCK = 1 << 20
FILLER = "\ufdd0"
"""Stands for a further byte of the character before it: no character, and kept by Unicode for uses inside a program."""
UNDERLINES = "-=_"


@dataclass(frozen=True, slots=True)
class Layout:
    """How a line is cut.

    Attributes:
        columns: the characters of each column that is read, by its name.
        gaps: the characters between and behind them.
        width: how many characters a line has.
        trimmed: whether it may have fewer.
        filled: whether bytes are counted, and fillers stand for those behind the first of a character.
    """

    columns: dict[str, Span]
    gaps: tuple[Span, ...]
    width: int
    trimmed: bool
    filled: bool = False


def layout_of(feed: Feed) -> Layout:
    """The layout that a contract declares."""
    fixed = feed.source.fixed or FixedWidth()
    columns = {column.name: column.span for column in feed.record_columns if column.span is not None}
    width = fixed.record_width or max((span.end for span in columns.values()), default=0)
    return Layout(columns, tuple(_gaps(columns, width)), width, fixed.trimmed_lines, fixed.count_bytes)


def _gaps(columns: dict[str, Span], width: int) -> Iterator[Span]:
    begin = 1
    for span in [*sorted(columns.values(), key=lambda span: span.position), Span(width + 1, 1)]:
        if span.position > begin:
            yield Span(begin, span.position - begin)
        begin = span.end + 1


def cut(line: str, span: Span) -> str:
    """The characters of a line at a place, without fillers."""
    return line[span.position - 1 : span.end].replace(FILLER, "")


def is_name_of(column: Column, text: str) -> bool:
    """Whether a text that stands in a column's place is the column's name, or as much of it as fits."""
    found, names = normalised(text), (column.source or column.name, *column.aliases)
    return found != "" and (found in spellings(column) or found in {normalised(name[: len(text)]) for name in names})


def find_names(feed: Feed, head: str) -> Header:
    """Find the line that has every column's name in the column's place; of its fields, each is one column.

    A line of dashes just below it belongs to it.

    Args:
        feed: the contract of fixed width files.
        head: the file's beginning, decoded.

    Raises:
        FileRefused: no line is such a header; the best candidate is named, and what it lacks.
    """
    best, found = Header((), "", {}, 1, 0), False
    for number, line in enumerate(islice(LINE.finditer(head), LINES_SEARCHED), start=1):
        candidate = _read_names(feed, line[0].rstrip("\r\n"), number, line.end())
        if len(candidate.positions) > len(best.positions) or not best.fields:
            best = candidate
        if found := len(candidate.positions) == len(feed.record_columns):
            break
    if not best.positions:
        raise FileRefused(
            "no_header",
            f"none of the first {LINES_SEARCHED} lines has the name of a column in that column's place: a header line"
            " is needed, since the contract has headerLine",
        )
    if not found:
        # Optional columns as well: a name that is missing or elsewhere says that the columns have moved.
        missing = [column.source or column.name for column in feed.record_columns if column.name not in best.positions]
        require_columns(feed, best.positions, best.fields, f"the header in line {best.line}", best.line)
        raise FileRefused(
            "missing_column",
            f"the header in line {best.line} lacks {', '.join(missing)} in its place: correct the file, or position and"
            " width in the contract",
            line=best.line,
        )
    return _with_underline(feed, best, head)


def _read_names(feed: Feed, line: str, number: int, end: int) -> Header:
    columns = [column for column in feed.record_columns if column.span is not None]
    fields = tuple(cut(line, column.span) for column in columns if column.span)
    positions = {
        column.name: place
        for place, (column, field) in enumerate(zip(columns, fields, strict=True))
        if is_name_of(column, field)
    }
    return Header(fields, "", positions, number, end)


def _with_underline(feed: Feed, header: Header, head: str) -> Header:
    line = LINE.match(head, header.length)
    spans = [column.span for column in feed.record_columns if column.span is not None]
    # Each place has to be full of them: a record may well have one dash for each missing value.
    if line and all(cut(line[0], span) in {mark * span.width for mark in UNDERLINES} for span in spans):
        return Header(header.fields, "", header.positions, header.line, line.end())
    return header


def looks_like(feed: Feed, head: str) -> bool:
    """Whether a text may be a fixed width file of a contract: by its header, else by the length of its first line."""
    layout = layout_of(feed)
    if feed.source.fixed and feed.source.fixed.header_line:
        try:
            find_names(feed, head)
        except FileRefused:
            return False
        return True
    line = LINE.match(head)
    length = len(line[0].rstrip("\r\n")) if line else 0
    return bool(layout.columns) and (length == layout.width or (layout.trimmed and 0 < length < layout.width))


class _Bytes(dict[int, str]):
    """Each character with fillers for its further bytes in an encoding, as `str.translate` wants it."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encode = codecs.getencoder(encoding)

    def __missing__(self, code: int) -> str:
        self[code] = chr(code) + FILLER * (len(self._encode(chr(code))[0]) - 1)
        return self[code]


def with_fillers(source: Path, encoding: str, name: str, target: Path) -> Path:
    """Write a UTF-8 text with a filler for each further byte that a character had.

    Args:
        source: the text.
        encoding: the one that the file was delivered in.
        name: the file's logical name, for messages.
        target: the file to write.

    Raises:
        FileRefused: the text has a filler itself.
    """
    table, narrow = _Bytes(encoding), len("a".encode(encoding)) == 1
    with (
        source.open(encoding="utf-8", newline="") as reader,
        target.open("w", encoding="utf-8", newline="") as writer,
    ):
        while text := reader.read(BLOCK):
            if FILLER in text:
                raise FileRefused("unreadable", f"{name!r} has U+FDD0, which is no character; correct the file")
            writer.write(text if narrow and text.isascii() else text.translate(table))
    return target
