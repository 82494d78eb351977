"""Count and, where needed, split the records of a delimited text file, independently of DuckDB's CSV reader.

`scan` looks only at line ends and quotes, by whole blocks; it tells how many records there are and whether the file is
regular. `split` is for irregular files (mixed or lone-CR line ends, and whatever else DuckDB can't count right): it
reads record by record, keeps the damage of a broken quote to its own line, and writes well-formed records anew.
"""

import csv
import mmap
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

BLOCK = 4 << 20
LF, CR = 10, 13
FIRST_LINE = b"records"
"""Stands in the first line of files that are written for DuckDB, which takes the end of that line for that of all."""
BLANKS = " \t\r\n\u00a0"
"""Characters that count as padding: a field that has no others is empty."""


@dataclass(slots=True)
class Records:
    """What a scan found: `count` includes blank ones; `blank` are their 1-based numbers.

    `regular` tells if DuckDB can split the file, `uniform` if every line ends in the same way, by LF or CR LF. The
    other figures hold for a regular file only.
    """

    count: int = 0
    blank: list[int] = field(default_factory=list)
    regular: bool = True
    uniform: bool = True
    line_end: str = "\n"


class _Scanner:
    """The state between two blocks of a scan."""

    def __init__(self, delimiter: str, quote: str) -> None:
        self.quote = ord(quote) if quote else -1
        self.beside_quotes = {ord(delimiter), LF, CR, self.quote}
        self.found = Records()
        self.inside = 0
        self.previous = LF
        self.closing_last = False
        self.record_start = 0
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

    def _outside(self, values: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        quotes = np.flatnonzero(values == self.quote)
        opening = quotes[self.inside :: 2]
        closing = quotes[1 - self.inside :: 2]
        before = np.where(opening > 0, values[opening - 1], self.previous)
        after = values[np.minimum(closing + 1, len(values) - 1)]
        beside = list(self.beside_quotes)
        if not (np.isin(before, beside).all() and np.isin(after, beside).all()):
            self.found.regular = False
        outside: npt.NDArray[np.intp] = ends[(np.searchsorted(quotes, ends) + self.inside) % 2 == 0]
        self.inside = (self.inside + len(quotes)) % 2
        self.closing_last = len(closing) > 0 and int(closing[-1]) == len(values) - 1
        return outside

    def _line_ends(self, data: bytes, values: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> None:
        self.line_feeds += len(ends)
        self.all_line_feeds += data.count(b"\n")
        self.all_pairs += data.count(b"\r\n") + (self.previous == CR and data[0] == LF)
        if CR in data or self.previous == CR:
            before = np.where(ends > 0, values[ends - 1], self.previous)
            self.pairs += int((before == CR).sum())
            self.carriage_returns += data.count(b"\r")
        if b"\0" in data:
            self.found.regular = False

    def _records(self, values: npt.NDArray[np.uint8], ends: npt.NDArray[np.intp]) -> None:
        if not len(ends):
            return
        starts = np.concatenate(([self.record_start - self.offset], ends[:-1] + 1))
        lengths = ends - starts
        only_cr = (lengths == 1) & (np.where(ends > 0, values[ends - 1], self.previous) == CR)
        blank = np.flatnonzero((lengths == 0) | only_cr)
        self.found.blank.extend((blank + 1 + self.found.count).tolist())
        self.found.count += len(ends)
        self.record_start = self.offset + int(ends[-1]) + 1

    def finish(self) -> Records:
        """The result after the last block."""
        if self.record_start < self.offset:
            self.found.count += 1
        mixed = 0 < self.pairs < self.line_feeds
        # A carriage return inside quotes is data, but whether it is can only be told record by record.
        if self.inside or mixed or self.carriage_returns != self.pairs:
            self.found.regular = False
        returns = self.carriage_returns
        self.found.uniform = returns in (0, self.all_line_feeds) and self.all_pairs == returns
        self.found.line_end = "\r\n" if self.all_pairs else "\n"
        return self.found


def scan(stream: BinaryIO, delimiter: str, quote: str) -> Records:
    """Count the records from the stream's position to its end.

    Args:
        stream: UTF-8 bytes, placed at the first data record.
        delimiter: one character.
        quote: one character, or empty when nothing is quoted.
    """
    if not (delimiter + quote).isascii():
        return Records(regular=False, uniform=False)  # the scanner compares single bytes
    scanner = _Scanner(delimiter, quote)
    while data := stream.read(BLOCK):
        scanner.block(data)
    return scanner.finish()


@dataclass(frozen=True, slots=True)
class Split:
    """What `split` or `excise` wrote: all records are numbered from 1; `blank` has the numbers of the blank ones."""

    count: int
    blank: list[int]
    broken: int


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


@contextmanager
def writing(path: Path) -> Iterator[Callable[[Iterable[object]], object]]:
    """A function that writes a record to a file, as CSV in the plainest form."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        stream.write(FIRST_LINE.decode() + "\n")
        yield csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow


def split(path: Path, offset: int, width: int, delimiter: str, quote: str, good: Path, broken: Path) -> Split:
    """Split an irregular file record by record.

    Well-formed records go to `good`, as plain CSV; the others, but for blank ones, to `broken`, as CSV of number, raw
    text and error (`code: message`).

    Args:
        path: a UTF-8 file.
        offset: where its first data record begins.
        width: how many fields a record must have.
        delimiter: one character.
        quote: one character.
        good: file to write well-formed records to.
        broken: file to write broken records to.
    """
    grammar = Grammar(delimiter, quote)
    count, blank, broken_count = 0, [], 0
    with writing(good) as write_good, writing(broken) as write_broken:
        for raw, well_formed in _records(path, offset, grammar):
            count += 1
            cells = grammar.cells(raw) if well_formed else [raw.decode()]
            if not any(cell.strip(BLANKS) for cell in cells):
                blank.append(count)
            elif not well_formed or b"\0" in raw:
                broken_count += 1
                write_broken([count, *broken_text(raw)])
            elif len(cells) != width:
                broken_count += 1
                code = "too_few_columns" if len(cells) < width else "too_many_columns"
                write_broken([count, raw.decode(), f"{code}: expected {width} columns, found {len(cells)}"])
            else:
                write_good(cells)
    return Split(count, blank, broken_count)


def broken_text(raw: bytes) -> tuple[str, str]:
    """Text and error (`code: message`) of a record that is not well-formed."""
    text = raw.rstrip(b"\r\n").decode().replace("\0", "\u2400")
    if b"\0" in raw:
        return text, "nul_byte: the record has a NUL byte"
    return text, "bad_quoting: a quote is not closed, or something stands beside a closed quote"


def _records(path: Path, offset: int, grammar: Grammar) -> Iterator[tuple[bytes, bool]]:
    if path.stat().st_size <= offset:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position, end = offset, len(data)
        while position < end:
            match = grammar.record.match(data, position)
            well_formed = match is not None
            match = match or grammar.line.match(data, position)
            assert match is not None  # the expression for a line matches anything
            yield match[1], well_formed
            position = match.end()
