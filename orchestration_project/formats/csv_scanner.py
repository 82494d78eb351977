r"""The csv scanner: counts the records of a delimited text, independently of DuckDB's reader.

It looks only at line ends and quotes, by whole blocks, and never at single records. It tells how many records there
are, which of them are blank, and if DuckDB can split the text. It changes nothing: `csv_split` rewrites the files that
DuckDB can't split.

    a,1\n\n"x\ny",2\n   ->   Scan(count=3, skipped=1, longest=7, regular=True, uniform=True, line_end="\n")
    a,1\n"x"y,2\n       ->   Scan(count=2, ..., regular=False, uniform=True, ...)      text beside a closed quote
    a,1\r\nb,2\n        ->   Scan(count=2, ..., regular=False, uniform=False, ...)     two kinds of line ends
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from orchestration_project.formats.skipped import Positions, SkippedRecords, skipped_in

Bytes = npt.NDArray[np.uint8]

BLOCK = 4 << 20
LF, CR = 10, 13
MAX_RECORD_BYTES = 64 << 20
LONG_RECORD_BYTES = 1 << 20
"""Longer records need larger buffers than DuckDB has by default; for others these would cost memory and speed."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What the scanner found.

    Attributes:
        count: records, blank ones included.
        skipped: how many of them are blank.
        longest: bytes of the longest record.
        regular: whether DuckDB can split the text. The figures above hold only if it can.
        uniform: whether every line ends in the same way, by LF or CR LF, and none is longer than a record may be.
        line_end: that of all lines, if they are uniform.
    """

    count: int = 0
    skipped: int = 0
    longest: int = 0
    regular: bool = True
    uniform: bool = True
    line_end: str = "\n"


def scan(stream: BinaryIO, delimiter: str, quote: str, skipped: Path) -> Scan:
    """Count the records from the stream's position to its end, and write down the blank ones.

    Args:
        stream: UTF-8 bytes, placed at the first data record.
        delimiter: one character.
        quote: one character, or empty when nothing is quoted.
        skipped: file to write blank records to, see `SkippedRecords`.
    """
    if not (delimiter + quote).isascii():
        return Scan(regular=False, uniform=False)  # the scanner compares single bytes
    with skipped_in(skipped) as blank:
        scanner = _Scanner(delimiter, quote, blank)
        while data := stream.read(BLOCK):
            scanner.take(data)
        return scanner.result()


class _Scanner:
    r"""The state between two blocks of a scan.

    A quote is the 1st, 2nd, 3rd, ... of the text: odd ones open, even ones close (a doubled quote closes and opens
    again). A line end is a record's end if an even number of quotes stands before it.

        block 1:  a,"x         ends outside quotes: none       inside = 1 afterwards
        block 2:  \ny",1\nb    ends outside quotes: the 2nd    inside = 0; record_start = where b stands
    """

    def __init__(self, delimiter: str, quote: str, blank: SkippedRecords) -> None:
        self.blank = blank
        self.quote = ord(quote) if quote else -1
        self.beside_quotes = sorted({ord(delimiter), LF, CR, self.quote})
        self.regular = True
        self.count = self.longest = self.longest_line = 0
        # Where the block, its first record and its first line begin in the whole text.
        self.offset = self.record_start = self.line_start = 0
        # What stands at the end of the block before: in quotes or not, its last byte, whether that closed a quote.
        self.inside = 0
        self.previous = LF
        self.closing_last = False
        # Line ends outside of quotes, and of all: in quotes they are data, but DuckDB looks at them as well.
        self.line_feeds = self.pairs = 0
        self.all_line_feeds = self.all_pairs = self.all_carriage_returns = 0

    def take(self, data: bytes) -> None:
        """Take in the next block of the text."""
        values = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(values == LF)
        self.all_line_feeds += len(ends)
        self._measure_lines(ends)
        ends = self._outside_quotes(data, values, ends)
        before = np.where(ends > 0, values[ends - 1], self.previous)
        self._count_line_ends(data, ends, before)
        self._count_records(ends, before)
        self.regular = self.regular and b"\0" not in data
        self.previous = data[-1]
        self.offset += len(data)

    def _measure_lines(self, ends: Positions) -> None:
        if len(ends):
            inner = int(np.diff(ends).max(initial=0))
            self.longest_line = max(self.longest_line, inner, self.offset + int(ends[0]) - self.line_start)
            self.line_start = self.offset + int(ends[-1]) + 1

    def _outside_quotes(self, data: bytes, values: Bytes, ends: Positions) -> Positions:
        """The line ends that are not in quotes; notes whether quotes stand where they may."""
        if self.closing_last and data[0] not in self.beside_quotes:
            self.regular = False
        self.closing_last = False
        # To look for one byte costs less than to compare all of them, and many files have no quotes.
        if self.quote < 0 or self.quote not in data:
            return ends[:0] if self.inside else ends
        quotes = np.flatnonzero(values == self.quote)
        opening, closing = quotes[self.inside :: 2], quotes[1 - self.inside :: 2]
        before = np.where(opening > 0, values[opening - 1], self.previous)
        after = values[np.minimum(closing + 1, len(values) - 1)]
        if not (np.isin(before, self.beside_quotes).all() and np.isin(after, self.beside_quotes).all()):
            self.regular = False
        outside: Positions = ends[(np.searchsorted(quotes, ends) + self.inside) % 2 == 0]
        self.inside = (self.inside + len(quotes)) % 2
        self.closing_last = len(closing) > 0 and int(closing[-1]) == len(values) - 1
        return outside

    def _count_line_ends(self, data: bytes, ends: Positions, before: Bytes) -> None:
        self.line_feeds += len(ends)
        if CR in data or self.previous == CR:
            self.all_pairs += data.count(b"\r\n") + (self.previous == CR and data[0] == LF)
            self.pairs += int((before == CR).sum())
            self.all_carriage_returns += data.count(b"\r")

    def _count_records(self, ends: Positions, before: Bytes) -> None:
        if not len(ends):
            return
        starts = np.concatenate(([self.record_start - self.offset], ends[:-1] + 1))
        lengths = ends - starts
        blank = np.flatnonzero((lengths == 0) | ((lengths == 1) & (before == CR)))
        self.blank.add_blank(blank + 1 + self.count)
        self.longest = max(self.longest, int(lengths.max()))
        self.count += len(ends)
        self.record_start = self.offset + int(ends[-1]) + 1

    def result(self) -> Scan:
        """The result after the last block."""
        # The last record may lack its line end.
        rest = self.offset - self.record_start
        returns, line_feeds = self.all_carriage_returns, self.all_line_feeds
        mixed = 0 < self.pairs < self.line_feeds
        # A carriage return inside quotes is data, but whether it is can only be found out record by record.
        regular = self.regular and not self.inside and not mixed and returns == self.pairs
        alike = returns in (0, line_feeds) and self.all_pairs == returns
        longest_line = max(self.longest_line, self.offset - self.line_start)
        return Scan(
            count=self.count + (rest > 0),
            skipped=self.blank.count,
            longest=max(self.longest, rest),
            regular=regular,
            uniform=alike and longest_line <= MAX_RECORD_BYTES,
            line_end="\r\n" if self.all_pairs else "\n",
        )
