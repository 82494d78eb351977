"""Count and, where needed, split the records of a delimited text file, independently of DuckDB's CSV reader.

`scan` looks only at line ends and quotes, by whole blocks; it tells how many records there are and whether the file is
regular. `split` is for irregular files (mixed or lone-CR line ends, and whatever else DuckDB can't count right): it
reads record by record, keeps the damage of a broken quote to its own line, and writes well-formed records anew.
"""

import csv
import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.gaps import FIRST_LINE, Gaps, Positions, gaps_in

BLOCK = 4 << 20
LF, CR = 10, 13
MAX_RECORD_BYTES = 64 << 20
LONG_RECORD_BYTES = 1 << 20
"""Longer records need larger buffers than DuckDB has by default; for others these would cost memory and speed."""


@dataclass(slots=True)
class Records:
    """What a scan found: how many records, blank ones included, how many of them blank, the bytes of the longest.

    `regular` tells if DuckDB can split the file, `uniform` if every line ends in the same way, by LF or CR LF, and none
    is too long to be looked at. The other figures hold for a regular file only.
    """

    count: int = 0
    gaps: int = 0
    longest: int = 0
    regular: bool = True
    uniform: bool = True
    line_end: str = "\n"


class _Scanner:
    """The state between two blocks of a scan."""

    def __init__(self, delimiter: str, quote: str, gaps: Gaps) -> None:
        self.gaps = gaps
        self.quote = ord(quote) if quote else -1
        self.beside_quotes = {ord(delimiter), LF, CR, self.quote}
        self.found = Records()
        self.inside = 0
        self.previous = LF
        self.closing_last = False
        self.record_start = 0
        self.line_start = 0
        self.longest_line = 0
        self.offset = 0
        self.line_feeds = 0
        self.carriage_returns = 0
        self.pairs = 0
        self.all_line_feeds = 0
        self.all_pairs = 0

    def block(self, data: bytes) -> None:
        """Take in the next block of the file."""
        values = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(values == LF)
        self._lines(ends)
        self.all_line_feeds += len(ends)
        if self.closing_last and data[0] not in self.beside_quotes:
            self.found.regular = False
        self.closing_last = False
        if self.quote >= 0 and self.quote in data:
            ends = self._outside(values, ends)
        elif self.inside:
            ends = ends[:0]
        self._line_ends(data, values, ends)
        self._records(values, ends)
        self.previous = data[-1]
        self.offset += len(data)

    def _lines(self, ends: Positions) -> None:
        if len(ends):
            inner = int(np.diff(ends).max(initial=0))
            self.longest_line = max(self.longest_line, inner, self.offset + int(ends[0]) - self.line_start)
            self.line_start = self.offset + int(ends[-1]) + 1

    def _outside(self, values: npt.NDArray[np.uint8], ends: Positions) -> Positions:
        quotes = np.flatnonzero(values == self.quote)
        opening = quotes[self.inside :: 2]
        closing = quotes[1 - self.inside :: 2]
        before = np.where(opening > 0, values[opening - 1], self.previous)
        after = values[np.minimum(closing + 1, len(values) - 1)]
        beside = list(self.beside_quotes)
        if not (np.isin(before, beside).all() and np.isin(after, beside).all()):
            self.found.regular = False
        outside: Positions = ends[(np.searchsorted(quotes, ends) + self.inside) % 2 == 0]
        self.inside = (self.inside + len(quotes)) % 2
        self.closing_last = len(closing) > 0 and int(closing[-1]) == len(values) - 1
        return outside

    def _line_ends(self, data: bytes, values: npt.NDArray[np.uint8], ends: Positions) -> None:
        self.line_feeds += len(ends)
        if CR in data or self.previous == CR:
            self.all_pairs += data.count(b"\r\n") + (self.previous == CR and data[0] == LF)
            before = np.where(ends > 0, values[ends - 1], self.previous)
            self.pairs += int((before == CR).sum())
            self.carriage_returns += data.count(b"\r")
        if b"\0" in data:
            self.found.regular = False

    def _records(self, values: npt.NDArray[np.uint8], ends: Positions) -> None:
        if not len(ends):
            return
        starts = np.concatenate(([self.record_start - self.offset], ends[:-1] + 1))
        lengths = ends - starts
        only_cr = (lengths == 1) & (np.where(ends > 0, values[ends - 1], self.previous) == CR)
        blank = np.flatnonzero((lengths == 0) | only_cr)
        self.gaps.blank(blank + 1 + self.found.count)
        self.found.longest = max(self.found.longest, int(lengths.max()))
        self.found.count += len(ends)
        self.record_start = self.offset + int(ends[-1]) + 1

    def finish(self) -> Records:
        """The result after the last block."""
        if self.record_start < self.offset:
            self.found.count += 1
            self.found.longest = max(self.found.longest, self.offset - self.record_start)
        self.found.gaps = self.gaps.count
        mixed = 0 < self.pairs < self.line_feeds
        # A carriage return inside quotes is data, but whether it is can only be told record by record.
        if self.inside or mixed or self.carriage_returns != self.pairs:
            self.found.regular = False
        returns = self.carriage_returns
        longest_line = max(self.longest_line, self.offset - self.line_start)
        alike = returns in (0, self.all_line_feeds) and self.all_pairs == returns
        self.found.uniform = alike and longest_line <= MAX_RECORD_BYTES
        self.found.line_end = "\r\n" if self.all_pairs else "\n"
        return self.found


def scan(stream: BinaryIO, delimiter: str, quote: str, gaps: Path) -> Records:
    """Count the records from the stream's position to its end, and write down the blank ones.

    Args:
        stream: UTF-8 bytes, placed at the first data record.
        delimiter: one character.
        quote: one character, or empty when nothing is quoted.
        gaps: file to write blank records to, see `Gaps`.
    """
    if not (delimiter + quote).isascii():
        return Records(regular=False, uniform=False)  # the scanner compares single bytes
    with gaps_in(gaps) as blank:
        scanner = _Scanner(delimiter, quote, blank)
        while data := stream.read(BLOCK):
            scanner.block(data)
        return scanner.finish()


@dataclass(frozen=True, slots=True)
class Split:
    """What `split` or `excise` found: how many records, how many of them gaps, the bytes of the longest one kept."""

    count: int
    gaps: int
    longest: int


class Grammar:
    """The regular expressions of one dialect. Possessive quantifiers: no input makes them backtrack."""

    def __init__(self, delimiter: str, quote: str) -> None:
        d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
        # Characters beyond ASCII are several bytes, which a class of single bytes can't exclude.
        not_quote, not_end = rb"(?:(?!%b)[\s\S])*+" % q, rb"(?:(?!%b)[^\r\n])*+" % d
        if (delimiter + quote).isascii():
            not_quote, not_end = rb"[^%b]*+" % q, rb"[^%b\r\n]*+" % d
        quoted = rb"%b%b(?:%b%b%b)*+%b(?!%b)" % (q, not_quote, q, q, not_quote, q, q)
        bare = rb"(?!%b)%b" % (q, not_end)
        cell = rb"(?:%b|%b)" % (quoted, bare)
        self.quote = quote
        self.cell = re.compile(rb"(%b)(?:%b|\Z)" % (cell, d))
        self.record = re.compile(rb"(%b(?:%b%b)*+)(?:\r\n|\n|\r|\Z)" % (cell, d, cell))
        self.line = re.compile(rb"([^\r\n]*+)(?:\r\n|\n|\r|\Z)")

    def record_at(self, data: mmap.mmap, position: int) -> re.Match[bytes] | None:
        """The record at a position; None when it is not well-formed or too long, as after a quote left open."""
        limit = position + MAX_RECORD_BYTES
        match = self.record.match(data, position, limit)
        return None if match and match.end() == limit < len(data) else match

    def cells(self, record: bytes) -> list[str]:
        """The values of a well-formed record."""
        found, position = [], 0
        while match := self.cell.match(record, position):
            found.append(self._value(match[1].decode()))
            if match.end() == len(record) and match.end() == match.end(1):
                break
            position = match.end()
        return found

    def _value(self, text: str) -> str:
        return text[1:-1].replace(self.quote * 2, self.quote) if text.startswith(self.quote) else text


def split(path: Path, offset: int, width: int, delimiter: str, quote: str, good: Path, gaps: Path) -> Split:
    """Split an irregular file record by record.

    Args:
        path: a UTF-8 file.
        offset: where its first data record begins.
        width: how many fields a record must have; empty ones beyond them are left away, as DuckDB does.
        delimiter: one character.
        quote: one character.
        good: file to write well-formed records to, as plain CSV; empty lines stand for blank ones.
        gaps: file to write broken and blank records to, see `Gaps`.
    """
    grammar = Grammar(delimiter, quote)
    count, longest = 0, 0
    with good.open("w", encoding="utf-8", newline="") as stream, gaps_in(gaps) as left_out:
        stream.write(FIRST_LINE.decode() + "\n")
        writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for raw, well_formed in _records(path, offset, grammar):
            count += 1
            cells = grammar.cells(raw) if well_formed else [raw.decode()]
            if not any(cell.strip(BLANKS) for cell in cells):
                left_out.blank(np.array([count]))
                writer.writerow([])
            elif not well_formed or b"\0" in raw:
                left_out.broken(count, raw, fault_of(raw))
            elif len(cells) < width or any(cells[width:]):
                code = "too_few_columns" if len(cells) < width else "too_many_columns"
                left_out.broken(count, raw, f"{code}: expected {width} columns, found {len(cells)}")
            else:
                # Quotes and doubled quotes make a record longer than it was delivered.
                longest = max(longest, 2 * len(raw) + 3 * width)
                writer.writerow(cells[:width])
    return Split(count, left_out.count, longest)


def fault_of(raw: bytes) -> str:
    """What is wrong (`code: message`) with a record that is not well-formed."""
    if len(raw) > MAX_RECORD_BYTES:
        return f"record_too_long: the record has more than {MAX_RECORD_BYTES:,} bytes"
    if b"\0" in raw:
        return "nul_byte: the record has a NUL byte"
    return "bad_quoting: a quote is not closed, or something stands beside a closed quote"


def _records(path: Path, offset: int, grammar: Grammar) -> Iterator[tuple[bytes, bool]]:
    """The records of a file, and whether they are well-formed; of those that are too long, no more than proves it."""
    if path.stat().st_size <= offset:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position, end = offset, len(data)
        while position < end:
            match = grammar.record_at(data, position)
            well_formed = match is not None
            match = match or grammar.line.match(data, position)
            assert match is not None  # the expression for a line matches anything
            begin, stop = match.span(1)
            yield data[begin : min(stop, begin + MAX_RECORD_BYTES + 1)], well_formed
            position = match.end()
