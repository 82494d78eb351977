r"""The csv scanner: counts the records of a delimited text, independently of DuckDB's reader.

It looks only at line ends and quotes, by whole blocks, and never at single records. It tells how many records there
are, which of them are blank, and if DuckDB can split the text. It changes nothing: `csv_split` rewrites the files that
DuckDB can't split.

    a,1\n\n"x\ny",2\n   ->   Scan(count=3, skipped=1, longest=7, regular=True, uniform=True, line_end="\n")
    a,1\n"x"y,2\n       ->   Scan(count=2, ..., regular=False, uniform=True, ...)      text beside a closed quote
    a,1\nb,2,\n         ->   Scan(count=2, ..., regular=False, uniform=True, ...)      one record has a field too many
    a,1\r\nb,2\n        ->   Scan(count=2, ..., regular=False, uniform=False, ...)     two kinds of line ends
"""

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from orchestration_project.formats.skipped import Positions, SkippedRecords, skipped_in

Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
NOWHERE: Positions = np.empty(0, dtype=np.intp)

BLOCK = 4 << 20
LF, CR = 10, 13
MOST_LOOKED_BACK = 3
"""Bytes before a line end that tell whether its record ends with an empty field, a carriage return included."""
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
        regular: whether DuckDB splits the text as we do. The figures above hold only if it does.
        uniform: whether every line ends in the same way, by LF or CR LF, and none is longer than a record may be.
        line_end: that of all lines, if they are uniform.
    """

    count: int = 0
    skipped: int = 0
    longest: int = 0
    regular: bool = True
    uniform: bool = True
    line_end: str = "\n"


def scan(stream: BinaryIO, delimiter: str, quote: str, skipped: Path, width: int = 0) -> Scan:
    """Count the records from the stream's position to its end, and write down the blank ones.

    Args:
        stream: UTF-8 bytes, placed at the first data record.
        delimiter: one character.
        quote: one character, or empty when nothing is quoted.
        skipped: file to write blank records to, see `SkippedRecords`.
        width: how many fields the header has; 0 where records are not split into fields.
    """
    if not (delimiter + quote).isascii():
        return Scan(regular=False, uniform=False)  # the scanner compares single bytes
    with skipped_in(skipped) as blank:
        # By whole blocks: to look at each record by itself takes 6 s a million short lines.
        scanner = _Scanner(delimiter, quote, blank, width)
        while data := stream.read(BLOCK):
            scanner.take(data)
        return scanner.result()


def may_end_empty(values: Bytes, ends: Positions, delimiter: int, quote: int) -> Flags:
    """Which records may end with an empty field, by the position of their line ends; all that surely do are among them.

    Their last byte is a delimiter, or their last two are quotes.
    """
    # A look at the last byte is enough for nearly all records.
    last = values[np.maximum(ends - 1, 0)]
    found: Flags = (last == delimiter) | (last == quote) | (last == CR) | (ends < MOST_LOOKED_BACK)
    some = np.flatnonzero(found)
    if len(some):
        stop = ends[some] - (last[some] == CR)
        one, two = values[np.maximum(stop - 1, 0)], values[np.maximum(stop - 2, 0)]
        found[some] = (one == delimiter) | ((one == quote) & (two == quote)) | (stop < MOST_LOOKED_BACK)
    return found


def _in_quotes(delimiters: Flags, quotes: Positions, ends: Positions, inside: int) -> Positions:
    """How many delimiters stand in quotes, in each record of a block and behind the last one.

    Args:
        delimiters: where the block has delimiters.
        quotes: where it has quotes.
        ends: its line ends outside of quotes.
        inside: whether its first byte is inside of quotes.
    """
    # Of the stretches between quotes every second one is inside.
    starts = np.concatenate(([0], quotes))
    inner = np.add.reduceat(delimiters, starts, dtype=np.int32)[1 - inside :: 2]
    filled = np.flatnonzero(inner)
    record = np.searchsorted(ends, starts[1 - inside :: 2][filled])
    return np.bincount(record, weights=inner[filled], minlength=len(ends) + 1).astype(np.int32)


class _Scanner:
    r"""The state between two blocks of a scan.

    A quote is the 1st, 2nd, 3rd, ... of the text: odd ones open, even ones close (a doubled quote closes and opens
    again). A line end is a record's end if an even number of quotes stands before it.

        block 1:  a,"x         ends outside quotes: none       inside = 1 afterwards
        block 2:  \ny",1\nb    ends outside quotes: the 2nd    inside = 0; record_start = where b stands
    """

    def __init__(self, delimiter: str, quote: str, blank: SkippedRecords, width: int) -> None:
        self.blank = blank
        self.width = width
        self.delimiter = ord(delimiter)
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
        self.quotes = NOWHERE
        # Delimiters outside of quotes, in the record that is not ended yet; of the ended records with empty fields
        # beyond the header's, their number and how many delimiters they have.
        self.delimiters = 0
        self.wide = 0
        self.widths: set[int] = set()
        # Line ends outside of quotes, and of all: in quotes they are data, but DuckDB looks at them as well.
        self.line_feeds = self.pairs = 0
        self.all_line_feeds = self.all_pairs = self.all_carriage_returns = 0

    def take(self, data: bytes) -> None:
        """Take in the next block of the text."""
        values = np.frombuffer(data, dtype=np.uint8)
        ends = np.flatnonzero(values == LF)
        self.all_line_feeds += len(ends)
        self._measure_lines(ends)
        inside = self.inside
        ends = self._outside_quotes(data, values, ends)
        if self.width:
            self._count_wide(values, ends, inside)
        # A CR LF may be cut in two by the end of a block.
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
        # The closing quote was the last byte of the block before, so what stands behind it is known only now.
        if self.closing_last and data[0] not in self.beside_quotes:
            self.regular = False
        self.closing_last = False
        self.quotes = NOWHERE
        # To look for one byte costs less than to compare all of them, and many files have no quotes.
        if self.quote < 0 or self.quote not in data:
            return ends[:0] if self.inside else ends
        quotes = self.quotes = np.flatnonzero(values == self.quote)
        opening, closing = quotes[self.inside :: 2], quotes[1 - self.inside :: 2]
        before = np.where(opening > 0, values[opening - 1], self.previous)
        after = values[np.minimum(closing + 1, len(values) - 1)]
        # A quote elsewhere is data or a fault. Which of them is told by the grammar, record by record.
        if not (np.isin(before, self.beside_quotes).all() and np.isin(after, self.beside_quotes).all()):
            self.regular = False
        outside: Positions = ends[(np.searchsorted(quotes, ends) + self.inside) % 2 == 0]
        self.inside = (self.inside + len(quotes)) % 2
        self.closing_last = len(closing) > 0 and int(closing[-1]) == len(values) - 1
        return outside

    def _count_wide(self, values: Bytes, ends: Positions, inside: int) -> None:
        """Note the records with empty fields beyond the header's: DuckDB drops such fields without a word.

        Args:
            values: the block.
            ends: its line ends outside of quotes.
            inside: whether its first byte is inside of quotes.
        """
        rest = int(ends[-1]) + 1 if len(ends) else 0
        suspects = np.flatnonzero(may_end_empty(values, ends, self.delimiter, self.quote))
        if len(suspects):
            delimiters = values == self.delimiter
            starts = np.concatenate(([0], ends[:-1] + 1))
            counts = np.add.reduceat(delimiters[:rest], starts, dtype=np.int32)
            counts[0] += self.delimiters
            # A record that has too few even with those in quotes needs no closer look.
            if len(self.quotes) and (counts[suspects] >= self.width).any():
                counts -= _in_quotes(delimiters, self.quotes, ends, inside)[: len(ends)]
            found = counts[suspects]
            found = found[found >= self.width]
            self.wide += len(found)
            self.widths.update(np.unique(found).tolist())
        carried = 0 if rest else self.delimiters
        self.delimiters = carried + self._outside_in(values[rest:], rest, 0 if rest else inside)

    def _outside_in(self, values: Bytes, start: int, inside: int) -> int:
        """How many delimiters stand outside of quotes in the end of a block, which begins at `start`."""
        if not len(values):
            return 0
        delimiters = values == self.delimiter
        quotes = self.quotes[np.searchsorted(self.quotes, start) :] - start
        return int(np.count_nonzero(delimiters) - _in_quotes(delimiters, quotes, NOWHERE, inside)[0])

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
        # DuckDB takes the first line end for that of all lines, so it can't read a file with two kinds.
        mixed = 0 < self.pairs < self.line_feeds
        # A carriage return inside quotes is data, but whether it is can only be found out record by record.
        regular = self.regular and not self.inside and not mixed and returns == self.pairs and not self._differ(rest)
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

    def _differ(self, rest: int) -> bool:
        """Whether some records have empty fields beyond the header's, and others have not, or more of them."""
        last = rest > 0 and self.width > 0 and self.delimiters >= self.width
        widths = self.widths | ({self.delimiters} if last else set())
        filled = self.count + (rest > 0) - self.blank.count
        return bool(widths) and (len(widths) > 1 or self.wide + last < filled)
