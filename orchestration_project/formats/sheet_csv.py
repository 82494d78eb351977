"""The table of a workbook, written as CSV for DuckDB: each row of its sheet below the header is a record.

    row  A            B        C                         the file's columns: id, n; anything else is rescued
    1    Sales of shop 7
    3    id           n        note
    4    a            1.5               ->  4,a,NUMBER + 1.5,,,
    5                                   ->  5,,,,,             a blank record
    6    b            #DIV/0!  gift     ->  6,b,#DIV/0!,"{""note"":""gift""}","b,#DIV/0!,gift",error_cell: ...

A record's number is its row in the sheet. Values keep the marks of `cell_values`; `excel_files` reads them.
Which sheet is read is found out in `sheet_choice`.
"""

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from orchestration_project.contracts.feed import ALL_SHEETS, Feed
from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.cell_values import FAULT, plain
from orchestration_project.formats.csv_scanner import LONG_RECORD_BYTES, MAX_RECORD_BYTES
from orchestration_project.formats.decompress import too_large
from orchestration_project.formats.excel_files import ROWS_A_SHEET
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.given import Given, given_texts
from orchestration_project.formats.header import Header, normalised
from orchestration_project.formats.sheet_choice import Table, tables_of
from orchestration_project.formats.sheet_rows import MAX_ROWS, UNCACHED, letters_of
from orchestration_project.formats.skipped import FIRST_LINE
from orchestration_project.formats.spreadsheet import Spreadsheet, open_spreadsheet

CELLS_SHOWN = 5
LONGER = 12
"""So many bytes a character may take: four of UTF-8, among the values, in their line and escaped as JSON."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A workbook's table as CSV.

    Its fields are the number of the record, the contract's source columns, then `_rescued`, `_raw_line` and
    `_parse_error`.

    Attributes:
        path: the CSV file; its first line is no record.
        headers: the header of each sheet that was read.
        records: how many records it has, counted in the sheets by another way than they were read.
        long_records: whether some need larger buffers than usual.
    """

    path: Path
    headers: tuple[Header, ...]
    records: int
    long_records: bool


def convert(feed: Feed, path: Path, name: str, work: Path, max_bytes: int) -> Converted:
    """Write the table of a workbook as CSV.

    Args:
        feed: the contract.
        path: the workbook.
        name: its logical name, for messages.
        work: a folder for the copy.
        max_bytes: how many bytes the workbook may have unpacked, and the copy.

    Raises:
        FileRefused: it can't be read as the contract says.
    """
    target = work / "records.csv"
    with open_spreadsheet(path, name, work, max_bytes) as workbook:
        tables = tables_of(feed, workbook)
        # Before and by another way than they are written, so that a fault in one of the two is noticed.
        counts = [_count(workbook, table) for table in tables]
        writer = _Writer(feed, name, max_bytes)
        with target.open("w", encoding="utf-8", newline="") as stream:
            stream.write(FIRST_LINE.decode() + "\n")
            for table, count in zip(tables, counts, strict=True):
                if writer.write(stream, workbook, table) != count:
                    raise FileRefused(
                        "unreadable", f"{name!r}: the rows of sheet {table.sheet.name!r} don't add up; save it anew"
                    )
    headers = tuple(table.header for table in tables)
    return Converted(target, headers, sum(counts), writer.longest * LONGER > LONG_RECORD_BYTES)


def _count(workbook: Spreadsheet, table: Table) -> int:
    return max(workbook.last_row(table.sheet) - table.header.line, 0)


class _Writer:
    """Writes the records of sheets, and adds up how large they are."""

    def __init__(self, feed: Feed, name: str, max_bytes: int) -> None:
        self.longest = 0
        self._feed, self._name, self._max_bytes = feed, name, max_bytes
        self._size = self._blank = 0

    def write(self, stream: TextIO, workbook: Spreadsheet, table: Table) -> int:
        """Write the records of a sheet; returns how many.

        Raises:
            FileRefused: a formula has no value, or there is too much of something.
        """
        offset = (table.sheet.number - 1) * ROWS_A_SHEET if self._feed.source.sheet == ALL_SHEETS else 0
        # All are quoted: Python leaves a lone CR bare, and DuckDB takes it for the end of a line.
        writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        record = _Record(self._feed, table, given_texts(self._feed, self._name, table.preamble, table.sheet.name))
        done = table.header.line
        with workbook.rows(table.sheet) as source:
            for number, values in source:
                if number <= done:
                    continue
                writer.writerows([offset + blank, *record.nothing] for blank in range(done + 1, number))
                self._measure(number - done - 1, values)
                writer.writerow([offset + number, *record.fields(self._name, number, values)])
                done = number
        return done - table.header.line

    def _measure(self, blank: int, values: dict[int, str]) -> None:
        size = sum(map(len, values.values()))
        self.longest = max(self.longest, size)
        self._size += size
        self._blank += blank
        # A text is stored once and may stand in every cell; a row number alone makes blank rows above it.
        if self._size > self._max_bytes:
            raise too_large(self._name, self._max_bytes)
        # DuckDB would leave the line out, and the record would be missing.
        if size * LONGER > MAX_RECORD_BYTES:
            raise FileRefused(
                "record_too_long",
                f"{self._name!r} has a row of more than {MAX_RECORD_BYTES // LONGER:,} characters; split it",
            )
        if self._blank > MAX_ROWS:
            raise FileRefused("too_large", f"{self._name!r} has more than {MAX_ROWS:,} blank rows; delete them")


class _Record:
    """How the rows of one sheet become the fields of records."""

    def __init__(self, feed: Feed, table: Table, given: Given) -> None:
        self._sheet, header = table.sheet, table.header
        self._positions = [header.positions.get(column.name, -1) for column in feed.source_columns]
        places = {column.name: place for place, column in enumerate(feed.source_columns)}
        self._given = {places[name]: text for name, text in given.items() if text is not None}
        self._known = frozenset(self._positions)
        times = Counter(header.fields)
        self._names = {
            place: field if times[field] == 1 else f"{field}_{place + 1}"
            for place, field in header.unexpected.items()
            if field.strip(BLANKS)
        }
        self._header = {place: normalised(header.fields[place]) for place in header.positions.values()}
        self.nothing = [""] * (len(self._positions) + 3)

    def fields(self, name: str, number: int, values: dict[int, str]) -> list[str]:
        """The fields of a record behind its number.

        Raises:
            FileRefused: the value of a formula is missing.
        """
        texts = [values.get(place, "") for place in self._positions]
        joined = "".join(values.values())
        error = ""
        # Of all cells at once, since hardly a row has such a one.
        if UNCACHED in joined:
            self._refuse_uncached(name, number, values)
        if FAULT in joined or "\0" in joined:
            error = self._error(number, values)
            texts = [_without_fault(text) for text in texts]
        if self._repeats(values):
            error = "repeated_header: the header row stands again"
        raw = _as_line([_without_fault(plain(text)) for text in texts]) if error else ""
        for place, text in self._given.items():
            texts[place] = text
        return [*texts, "" if values.keys() <= self._known else self._rescued(values), raw, error]

    def _refuse_uncached(self, name: str, number: int, values: dict[int, str]) -> None:
        # Also in a column that the contract does not know: its value belongs in `_rescued`. Cells are named by their
        # places, since values may be about people.
        cells = [f"{letters_of(place)}{number}" for place, value in values.items() if value == UNCACHED]
        if cells:
            raise FileRefused(
                "no_cached_value",
                f"{name!r}: no cached value for the formula in {', '.join(cells[:CELLS_SHOWN])} of sheet"
                f" {visible(self._sheet.name)}, since no program has calculated it: open the file in a spreadsheet,"
                " save it and deliver that",
                line=number,
            )

    def _error(self, number: int, values: dict[int, str]) -> str:
        """What is wrong in columns of the contract; empty if it is in others."""
        # An error beside the contract's columns is kept in `_rescued`, and is no reason to reject the record.
        for place in self._positions:
            value = values.get(place, "")
            if value[:1] == FAULT:
                return f"error_cell: {letters_of(place)}{number} has {visible(value[1:40])}"
            if "\0" in value:
                return f"nul_byte: {letters_of(place)}{number} has a NUL"
        return ""

    def _repeats(self, values: dict[int, str]) -> bool:
        return all(normalised(plain(values.get(place, ""))) == name for place, name in self._header.items())

    def _rescued(self, values: dict[int, str]) -> str:
        """The cells of other columns as JSON, under their names, or letters where they have none."""
        others = {
            self._names.get(place, letters_of(place)): plain(value)
            for place, value in values.items()
            if place not in self._known
        }
        return json.dumps(others, ensure_ascii=False) if any(text.strip(BLANKS) for text in others.values()) else ""


def _without_fault(text: str) -> str:
    return (text[1:] if text[:1] == FAULT else text).replace("\0", "\u2400")


def _as_line(texts: list[str]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="").writerow(texts)
    return stream.getvalue()
