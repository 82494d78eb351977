"""The rows of a sheet of an OpenDocument spreadsheet; and, by another way, how many there are.

    <table:table-row table:number-rows-repeated="2">
      <table:table-cell office:value-type="string"><text:p>a</text:p></table:table-cell>
      <table:table-cell table:number-columns-repeated="3"/>
      <table:table-cell office:value-type="float" office:value="1.5"/>
    </table:table-row>                                   ->   3, {0: 'a', 4: NUMBER + '1.5'} and the same as row 4

Values have the marks of `cell_values`, as those of other workbooks have. calamine, a library that reads such files,
gives an error as an empty cell, or as the number 0, and numbers as doubles.
"""

import re
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from orchestration_project.errors import FileRefused
from orchestration_project.formats.cell_values import FAULT, NUMBER, duration_text, iso_text, marked_text, number_text
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.open_document import DRAWING, OFFICE, SHEET, SPREADSHEET, TABLE, TEXT, is_sheet
from orchestration_project.formats.sheet_rows import BOOLEANS, MAX_COLUMNS, MAX_ROWS, UNCACHED, Row
from orchestration_project.formats.workbook_parts import BLOCK, parsed

ROW, CELL, COVERED = f"{TABLE}table-row", f"{TABLE}table-cell", f"{TABLE}covered-table-cell"
CELLS = frozenset({CELL, COVERED})
ROWS_REPEATED, COLUMNS_REPEATED = f"{TABLE}number-rows-repeated", f"{TABLE}number-columns-repeated"
KIND, FORMULA, PARAGRAPH = f"{OFFICE}value-type", f"{TABLE}formula", f"{TEXT}p"
CHECKED_KIND = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}value-type"
"""The attribute by which LibreOffice tells errors."""
STORED_IN = dict.fromkeys(("float", "percentage", "currency"), f"{OFFICE}value") | {
    kind: f"{OFFICE}{kind}-value" for kind in ("date", "time", "boolean")
}
"""Where a cell of a type has its value."""
# Older programs write an error as the number 0, or as a text. Then it is what the cell shows that tells it; a number is
# shown as an error in the program's language, such as `#WERT!`, and a text may begin with # and be none.
ERROR_TEXT = re.compile(r"#(?:DIV/0!|N/A|NAME\?|NULL!|NUM!|REF!|VALUE!)|Err:5\d\d")
ERROR_NUMBER = re.compile(r"#[^\W\d_][\w/.]*[!?]?|[^\W\d_]{2,8}\s?:5\d\d")
BESIDE = frozenset({f"{OFFICE}annotation", f"{TABLE}shapes", f"{TABLE}detective", f"{TEXT}ruby-text"})
"""Comments, drawings and hints of pronunciation: their paragraphs are no part of a cell."""
# XML can't hold these characters, so they stand for the blanks that an element makes until the others are collapsed.
BLANK, TAB, BREAK = "\1\2\3"
MADE = {f"{TEXT}s": BLANK, f"{TEXT}tab": TAB, f"{TEXT}line-break": BREAK}
AS_BLANKS = str.maketrans({BLANK: " ", TAB: "\t", BREAK: "\n"})
Repeated = tuple[int, int, dict[int, str]]
"""The number of a row from 1, how often it stands there, and the values of its cells."""
NO_ROW: Repeated = (0, 0, {})


def last_row(stream: IO[bytes], sheet: int) -> int:
    """The number of the last row of a sheet with a cell in which something stands; 0 if there is none.

    Only the beginnings of elements are looked at, so this counts by another way than `rows` does.

    Args:
        stream: the XML with all sheets.
        sheet: its number from 1.
    """
    last = row = 0
    place = _Place(sheet)

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal last, row
        if place.inside:
            if tag == ROW:
                row += _times(attributes, ROWS_REPEATED)
            elif (tag in CELLS and (KIND in attributes or FORMULA in attributes)) or (
                tag == PARAGRAPH and place.around[-1] in CELLS
            ):
                last = row
        place.start(tag, attributes)

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler, parser.EndElementHandler = start, place.end
    while block := stream.read(BLOCK):
        parser.Parse(block)
    parser.Parse(b"", True)
    return last


def rows(stream: IO[bytes], sheet: int, name: str) -> Iterator[Row]:
    """The rows of a sheet with a cell in which something stands, in order.

    Args:
        stream: the XML with all sheets.
        sheet: its number from 1.
        name: the file's logical name, for messages.

    Raises:
        ValueError: the cells can't be placed or read: too many, of an unknown type, a number that is none.
        FileRefused: a row is larger than a record may be.
    """
    reader = _Reader(sheet, name)
    for first, times, values in parsed(stream, reader.parser, reader.ready, name):
        # Rows that are alike are written once.
        for number in range(first, first + times):
            yield number, values


def _times(attributes: dict[str, str], name: str) -> int:
    """How often a row or cell stands there.

    Raises:
        ValueError: that is no number, or more than any sheet has.
    """
    text = attributes.get(name, "1")
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ValueError(f"a part of a sheet is repeated {text[:40]!r} times")
    return int(text)


class _Place:
    """Where a parser is: in which elements, and whether in the sheet that is looked for."""

    def __init__(self, sheet: int) -> None:
        self.around: list[str] = []
        self.inside = False
        self._left = sheet

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        if is_sheet(tag, attributes, self.around):
            self._left -= 1
            self.inside = self._left == 0
        self.around.append(tag)

    def end(self, tag: str) -> None:
        """An element ends. Behind the last sheet there may be rows that are of none."""
        self.around.pop()
        if tag == SHEET and self.around[-1:] == [SPREADSHEET]:
            self.inside = False


class _Reader:
    """The handlers of a parser that puts the rows of one sheet into a list."""

    def __init__(self, sheet: int, name: str) -> None:
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end
        self.ready: list[Repeated] = []
        self._place, self._name = _Place(sheet), name
        self._row, self._beside = 1, 0
        self._attributes: dict[str, str] = {}
        self._paragraphs: list[list[str]] = []
        self._begin_row({})

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._beside or tag in BESIDE or tag.startswith(DRAWING):
            self._beside += 1
            self.parser.CharacterDataHandler = None
        elif self._place.inside:
            self._start_within(tag, attributes)
        elif tag == ROW:
            # However large the sheets before it are, none of them is a part of a record.
            self.ready.append(NO_ROW)
        self._place.start(tag, attributes)

    def _start_within(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == ROW:
            if ROW in self._place.around:
                raise ValueError(f"row {self._row} has a table in a cell")
            self._begin_row(attributes)
        elif tag in CELLS:
            self._attributes, self._paragraphs = attributes, []
        elif tag == PARAGRAPH:
            self._paragraphs.append([])
            self.parser.CharacterDataHandler = self._paragraphs[-1].append
        elif tag in MADE and self._paragraphs:
            self._make(MADE[tag], _times(attributes, f"{TEXT}c"))

    def _make(self, blank: str, times: int) -> None:
        # A few letters of XML make any number of them.
        self._blanks += times
        if self._blanks > MAX_RECORD_BYTES:
            raise FileRefused(
                "record_too_long", f"{self._name!r} has a row of more than {MAX_RECORD_BYTES:,} blanks; split it"
            )
        self._paragraphs[-1].append(blank * times)

    def _end(self, tag: str) -> None:
        self._place.end(tag)
        if self._beside:
            self._beside -= 1
            # A picture may stand among the words of a paragraph.
            if not self._beside and PARAGRAPH in self._place.around and self._paragraphs:
                self.parser.CharacterDataHandler = self._paragraphs[-1].append
        elif self._place.inside:
            if tag == PARAGRAPH:
                self.parser.CharacterDataHandler = None
            elif tag in CELLS:
                self._end_cell()
            elif tag == ROW:
                self._end_row()

    def _begin_row(self, attributes: dict[str, str]) -> None:
        self._times = _times(attributes, ROWS_REPEATED)
        self._values: dict[int, str] = {}
        self._column, self._has_content, self._blanks = 0, False, 0

    def _end_row(self) -> None:
        if self._has_content and self._row + self._times - 1 > MAX_ROWS:
            raise ValueError(f"there are more than {MAX_ROWS:,} rows")
        self.ready.append((self._row, self._times, self._values) if self._has_content else NO_ROW)
        self._row += self._times

    def _end_cell(self) -> None:
        attributes, first = self._attributes, self._column
        self._column += _times(attributes, COLUMNS_REPEATED)
        if KIND not in attributes and FORMULA not in attributes and not self._paragraphs:
            return
        if self._column > MAX_COLUMNS:
            raise ValueError(f"row {self._row} has more cells than a sheet has columns")
        self._has_content = True
        if value := _value(attributes, "\n".join(map(_text, self._paragraphs))):
            self._values.update(dict.fromkeys(range(first, self._column), value))


def _text(pieces: list[str]) -> str:
    """A paragraph's text: blanks count once, but for those that elements make."""
    return re.sub(r"[ \t\r\n]+", " ", "".join(pieces)).strip(" ").translate(AS_BLANKS)


def _value(attributes: dict[str, str], text: str) -> str:
    """The marked value of a cell.

    Args:
        attributes: what the cell says of itself.
        text: what it shows.

    Raises:
        ValueError: it can't be read.
    """
    kind, is_formula = attributes.get(KIND, "void"), FORMULA in attributes
    error = ERROR_NUMBER if kind in STORED_IN else ERROR_TEXT
    if attributes.get(CHECKED_KIND) == "error" or (is_formula and error.fullmatch(text)):
        return FAULT + (text or "an error")
    if kind == "void":
        # Without a type it is a text, as a file made by hand may have it; a formula was never calculated.
        return UNCACHED if is_formula else marked_text(text)
    if kind == "string":
        return marked_text(attributes.get(f"{OFFICE}string-value", text))
    if kind not in STORED_IN:
        raise ValueError(f"what a cell of the type {kind[:40]!r} holds is none")
    stored = attributes.get(STORED_IN[kind], "").strip()
    return UNCACHED if is_formula and not stored else _typed(kind, stored)


def _typed(kind: str, stored: str) -> str:
    match kind:
        case "date":
            return iso_text(stored)
        case "time":
            return duration_text(stored)
        case "boolean" if stored in BOOLEANS:
            return BOOLEANS[stored]
        case "boolean":
            raise ValueError("what a cell holds is neither true nor false")
    return NUMBER + number_text(stored)
