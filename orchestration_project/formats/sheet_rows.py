"""The rows of a sheet, read as a stream of XML; and, by another way, how many there are.

    <row r="3"><c r="A3" t="s"><v>0</v></c><c r="C3"><v>1.5</v></c></row>   ->   3, {0: 'text 0', 2: NUMBER + '1.5'}

No library tells all that a load has to know: calamine gives an error as an empty cell and numbers as doubles, openpyxl
takes 13 s for 100,000 rows, DuckDB's extension loses which numbers are dates, and none of them tells a formula that was
never calculated from an empty cell. What a value means is told by `cell_values`.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import IO
from xml.parsers import expat

from orchestration_project.formats.cell_values import (
    FAULT,
    NUMBER,
    Shown,
    iso_text,
    marked_text,
    number_text,
    serial_text,
    unescaped,
)
from orchestration_project.formats.workbook import Workbook
from orchestration_project.formats.workbook_parts import BLOCK, parsed

MAX_ROWS, MAX_COLUMNS = 1 << 20, 1 << 14
"""What a sheet can have."""
BOOLEANS = {"1": "true", "true": "true", "0": "false", "false": "false"}
UNCACHED = "\7"
"""In the place of the value of a formula that nobody has calculated."""
Row = tuple[int, dict[int, str]]
"""A row's number from 1 and the values of its cells, marked, by 0-based column; a row without any has no such tuple."""


def last_row(stream: IO[bytes]) -> int:
    """The number of the last row with a cell in which something stands; 0 if there is none.

    Only the beginnings of elements are looked at, so this counts by another way than `rows` does.

    Raises:
        ValueError: rows are out of order, or there are more than a sheet has.
    """
    row = last = 0
    parser = expat.ParserCreate(namespace_separator="}")
    row_tag, contents = "", frozenset[str]()

    def root(tag: str, _: dict[str, str]) -> None:
        nonlocal row_tag, contents
        # Two namespaces are in use, and elements may have a prefix: what the root has counts for all.
        space = _namespace(tag)
        row_tag, contents = space + "row", frozenset(space + name for name in ("v", "is", "f"))
        parser.StartElementHandler = start

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal row, last
        if tag in contents:
            last = row
        elif tag == row_tag:
            row = _row_number(attributes, row)

    parser.StartElementHandler = root
    while block := stream.read(BLOCK):
        parser.Parse(block)
    parser.Parse(b"", True)
    return last


def rows(stream: IO[bytes], workbook: Workbook) -> Iterator[Row]:
    """The rows of a sheet with a cell in which something stands, in order.

    Raises:
        ValueError: the cells can't be placed or read: out of order, of an unknown type, a number that is none.
        FileRefused: a row is larger than a record may be.
    """
    reader = _Reader(workbook)
    return parsed(stream, reader.parser, reader.ready, workbook.name)


def _namespace(tag: str) -> str:
    space, separator, name = tag.rpartition("}")
    if name != "worksheet":
        raise ValueError(f"a sheet begins with {name[:40]!r}")
    return space + separator


def _row_number(attributes: dict[str, str], before: int) -> int:
    number = int(attributes.get("r", before + 1))
    # Rows out of order, or one that stands twice, would be two records of one number.
    if not before < number <= MAX_ROWS:
        raise ValueError(f"row {number} comes after row {before}")
    return number


@lru_cache(1 << 15)
def _column(letters: str) -> int:
    """The 0-based number of a column."""
    number = 0
    for letter in letters:
        # Looked at in between: the letters are input, and a million of them would make a number as long.
        if not "A" <= letter <= "Z" or number > MAX_COLUMNS:
            raise ValueError(f"there is no column {letters[:40]!r}")
        number = number * 26 + ord(letter) - 64
    if not 0 < number <= MAX_COLUMNS:
        raise ValueError(f"there is no column {letters[:40]!r}")
    return number - 1


def letters_of(column: int) -> str:
    """The letters of a 0-based column."""
    text, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(65 + rest) + text
    return text


class _Reader:
    """The handlers of a parser that puts rows into a list.

    They are called five times a cell, so they do little: what a cell is, is found out once, at its end.
    """

    def __init__(self, workbook: Workbook) -> None:
        self.parser = expat.ParserCreate(namespace_separator="}")
        # Else a text comes in a piece for each of its lines and entities.
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._root
        self.ready: list[Row] = []
        self._text_of = _texts_by_type(workbook)
        self._uncalculated = workbook.uncalculated
        self._runs: list[str] = []
        self._hints = False
        self._number = 0
        self._begin_row()
        self._begin_cell({})

    def _root(self, tag: str, _: dict[str, str]) -> None:
        space = _namespace(tag)
        self._row, self._cell, self._value, self._function, self._inline, self._text, self._phonetic = (
            space + name for name in ("row", "c", "v", "f", "is", "t", "rPh")
        )
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.parser.CharacterDataHandler = self._runs.append

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self._cell:
            self._begin_cell(attributes)
        elif tag == self._value:
            self._has_value = True
            self._runs.clear()
        elif tag == self._row:
            self._number = _row_number(attributes, self._number)
            self._begin_row()
        elif tag == self._text:
            self._runs.clear()
        elif tag == self._function:
            self._has_formula = True
        elif tag == self._inline:
            self._has_value = True
        elif tag == self._phonetic:
            # Hints how a word is pronounced, as in Japanese workbooks, are no part of it.
            self._hints = True

    def _end(self, tag: str) -> None:
        if tag == self._value:
            self._stored = "".join(self._runs)
        elif tag == self._cell:
            self._end_cell()
        elif tag == self._row and self._has_content:
            self.ready.append((self._number, self._values))
        elif tag == self._text and not self._hints:
            self._stored += "".join(self._runs)
        elif tag == self._phonetic:
            self._hints = False

    def _begin_row(self) -> None:
        self._digits = str(self._number)
        self._values: dict[int, str] = {}
        self._has_content, self._column = False, -1

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        self._attributes, self._stored = attributes, ""
        self._has_value = self._has_formula = False

    def _end_cell(self) -> None:
        attributes, before = self._attributes, self._column
        place = attributes.get("r")
        if place:
            letters = place.rstrip("0123456789")
            column = _column(letters)
            # A cell that names another place would put its value under another column, or into another record.
            if column <= before or place[len(letters) :] != self._digits:
                raise ValueError(f"cell {place[:40]} is not in its place in row {self._number}")
        elif (column := before + 1) >= MAX_COLUMNS:
            raise ValueError(f"row {self._number} has more cells than a sheet has columns")
        self._column = column
        if not self._has_value and not self._has_formula:
            return
        self._has_content = True
        kind = attributes.get("t", "n")
        # The value of a formula may be an empty text. A number can't be empty, so one that is was never calculated.
        if self._has_formula and (self._uncalculated or not (self._stored or (self._has_value and kind == "str"))):
            self._values[column] = UNCACHED
        elif self._stored:
            self._values[column] = self._text_of(self._stored, kind, attributes.get("s", "0"))


def _texts_by_type(workbook: Workbook) -> Callable[[str, str, str], str]:
    """A function from what a cell stores, its type and its style to its marked value."""
    shown = workbook.shown

    def number(stored: str, style: str) -> str:
        shows = shown[int(style)] if 0 <= int(style) < len(shown) else Shown.NUMBER
        if shows is Shown.NUMBER:
            return NUMBER + number_text(stored.strip())
        return serial_text(stored.strip(), shows, workbook.from_1904)

    # What cells repeat is found out once. Bounded, since a sheet may hold any number of different values.
    number_of = lru_cache(1 << 15)(number)
    # -1 is the number of no text, and refused as such.
    shared = lru_cache(1 << 15)(
        lambda stored: marked_text(workbook.strings.text(int(stored) if stored.isdecimal() else -1))
    )

    def text_of(stored: str, kind: str, style: str) -> str:
        match kind:
            case "n":
                return number_of(stored, style)
            case "s":
                return shared(stored)
            case "str" | "inlineStr":
                return marked_text(unescaped(stored))
            case "b" if stored.strip() in BOOLEANS:
                return BOOLEANS[stored.strip()]
            case "e":
                return FAULT + stored.strip()
            case "d":
                return iso_text(stored.strip())
        raise ValueError(f"what a cell of the type {kind[:40]!r} holds is none")

    return text_of
