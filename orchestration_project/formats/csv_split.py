r"""Split the delimited files that DuckDB would split wrong: broken records are taken out, the others are written anew.

    in           a,1\n   "a"x,1\n   \n   "x\ny",2\n
    good file    a,1\n              \n   "x\ny",2\n        what DuckDB reads
    skipped           2: "a"x,1     3:                     what `lines` puts back

`take_out_broken` is for files whose lines all end alike: it works by whole blocks and copies bytes as they are.
`split_records` reads any file record by record and writes plain CSV: 6 s a million short lines instead of 0.2 s.
"""

import csv
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from orchestration_project.formats.csv_grammar import Grammar, records_in, surplus_of, what_is_wrong, wrong_width
from orchestration_project.formats.csv_scanner import BLOCK, CR, LF, Bytes, Flags, may_end_empty
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.skipped import FIRST_LINE, Positions, SkippedRecords, skipped_in


@dataclass(frozen=True, slots=True)
class Split:
    """How many records a file has, how many of them were skipped, the bytes of the longest one that was not."""

    count: int
    skipped: int
    longest: int


def split_records(path: Path, offset: int, width: int, delimiter: str, quote: str, good: Path, skipped: Path) -> Split:
    """Split a file record by record, whatever its line ends are.

    Args:
        path: a UTF-8 file.
        offset: where its first data record begins.
        width: how many fields a record must have; empty ones beyond them are left away where all records have them.
        delimiter: one character.
        quote: one character.
        good: file to write well-formed records to, as plain CSV; empty lines stand for blank ones.
        skipped: file to write broken and blank records to, see `SkippedRecords`.
    """
    grammar = Grammar(delimiter, quote)
    surplus = surplus_of(path, offset, grammar, width)
    count, longest = 0, 0
    with good.open("w", encoding="utf-8", newline="") as stream, skipped_in(skipped) as left_out:
        stream.write(FIRST_LINE.decode() + "\n")
        writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for raw, well_formed in records_in(path, offset, grammar):
            count += 1
            # Of a record that is too long the end was cut off, maybe in the middle of a character.
            cells = grammar.cells(raw) if well_formed else [raw.decode(errors="ignore")]
            if not any(cell.strip(BLANKS) for cell in cells):
                # The empty line stays: DuckDB counts it, and its errors name records by that count.
                left_out.add_blank(np.array([count]))
                writer.writerow([])
            elif error := what_is_wrong(raw) if not well_formed or b"\0" in raw else wrong_width(cells, width, surplus):
                left_out.add_broken(count, raw, error)
            else:
                # Quotes and doubled quotes make a record longer than it was delivered.
                longest = max(longest, 2 * len(raw) + 3 * width)
                writer.writerow(cells[:width])
    return Split(count, left_out.count, longest)


@dataclass(frozen=True, slots=True)
class _Lines:
    """The physical lines of a block: absolute start and end (of the text), which are suspect, which are empty.

    A line whose quotes open beside a delimiter, close beside one and are even in number is a record by itself. All
    others, and those with a NUL byte, are suspect: they are broken, or they begin a record with a line end in quotes.
    So are those that may have empty fields beyond the header's.
    """

    starts: Positions
    ends: Positions
    suspect: Flags
    empty: Flags


@dataclass(frozen=True, slots=True)
class _Fields:
    """How records are split, and how many fields they have: those of the header, and empty ones that all have."""

    grammar: Grammar
    width: int
    surplus: int

    @property
    def most(self) -> int:
        """How many fields a record may have."""
        return self.width + self.surplus

    def wrong(self, record: bytes) -> str:
        """What is wrong (`code: message`) with a well-formed record for its empty fields; DuckDB tells all else."""
        cells = self.grammar.cells(record)
        surplus_only = len(cells) > self.most and not any(cells[self.width :])
        return wrong_width(cells, self.width, self.surplus) if surplus_only else ""


@dataclass(slots=True)
class _Progress:
    """How far the file is known: records counted, bytes copied, the end of the record that was last looked at."""

    until: int
    copied: int
    count: int = 0
    longest: int = 0


def take_out_broken(
    path: Path, offset: int, width: int, delimiter: str, quote: str, good: Path, skipped: Path, first_line: bytes = b""
) -> Split:
    """Copy a file without its records that have broken quotes, NUL bytes, or empty fields that others have not.

    Args:
        path: a UTF-8 file whose lines all end in the same way, by LF or CR LF; none is longer than a record may be.
        offset: where its first data record begins.
        width: how many fields the header has.
        delimiter: one character.
        quote: one character.
        good: file to write the other records to, byte for byte; empty lines stay among them.
        skipped: file to write broken and blank records to, see `SkippedRecords`.
        first_line: what to write to `good` before the records.
    """
    grammar = Grammar(delimiter, quote)
    fields = _Fields(grammar, width, surplus_of(path, offset, grammar, width))
    # Mapped, not read: a record that begins in a block may reach over several of the next ones.
    progress = _Progress(until=offset, copied=offset)
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        good.open("wb") as good_stream,
        skipped_in(skipped) as left_out,
    ):
        good_stream.write(first_line)
        for start, stop in _blocks(data, offset):
            lines = _lines(data, start, stop, delimiter, quote, fields.most)
            for number, begin, end, error in _broken_records(data, lines, fields, progress, left_out):
                _copy(data, progress.copied, begin, good_stream)
                progress.copied = end
                left_out.add_broken(number, data[begin:end], error)
        _copy(data, progress.copied, len(data), good_stream)
    return Split(progress.count, left_out.count, progress.longest)


def _copy(data: mmap.mmap, begin: int, end: int, target: BinaryIO) -> None:
    # Block by block: a slice of a mapped file is a copy of it in memory.
    target.writelines(data[start : min(start + BLOCK, end)] for start in range(begin, end, BLOCK))


def _blocks(data: mmap.mmap, offset: int) -> Iterator[tuple[int, int]]:
    """Start and end of blocks that end with a line; that its end may stand in quotes is known by `_Progress.until`."""
    while offset < len(data):
        stop = min(offset + BLOCK, len(data))
        if stop < len(data):
            cut = data.rfind(b"\n", offset, stop)
            # A line that is longer than a block makes the block longer; `Scan.uniform` bounds its length.
            cut = data.find(b"\n", stop) if cut < 0 else cut
            stop = len(data) if cut < 0 else cut + 1
        yield offset, stop
        offset = stop


def _lines(data: mmap.mmap, start: int, stop: int, delimiter: str, quote: str, most_fields: int) -> _Lines:
    values = np.frombuffer(data[start:stop], dtype=np.uint8)
    ends = np.flatnonzero(values == LF)
    # The last line of the file may lack its end.
    if not len(ends) or ends[-1] != len(values) - 1:
        ends = np.append(ends, len(values))
    starts = np.concatenate(([0], ends[:-1] + 1))
    # The grammar looks at each suspect line, which costs time only. So the questions here are cheap, and say yes when
    # in doubt: a bad record that they let pass would be joined with others, or shifted, by DuckDB.
    suspect = np.zeros(len(ends), dtype=bool)
    suspect[np.searchsorted(ends, np.flatnonzero(values == 0))] = True
    if (wide := may_end_empty(values, ends, ord(delimiter), ord(quote))).any():
        suspect |= wide & (np.add.reduceat(values == ord(delimiter), starts, dtype=np.int32) >= most_fields)
    quotes = np.flatnonzero(values == ord(quote))
    if len(quotes):
        suspect |= _badly_quoted(values, starts, ends, quotes, delimiter)
    lengths = ends - starts
    empty = (lengths == 0) | ((lengths == 1) & (values[np.minimum(starts, len(values) - 1)] == CR))
    return _Lines(starts + start, ends + start, suspect, empty)


def _badly_quoted(values: Bytes, starts: Positions, ends: Positions, quotes: Positions, delimiter: str) -> Flags:
    r"""Which lines are no record by themselves, as far as their quotes tell.

    a,"b",1     False   quotes 0 and 1 stand beside delimiters
    a,"b"x,1    True    quote 1 closes beside an x
    x "y" z,1   True    quote 0 opens beside a blank; that this is a bare cell is found out by the grammar
    "x          True    one quote: the record goes on in the next line, or it is never closed
    """
    may_stand_beside = np.zeros(256, dtype=bool)
    may_stand_beside[[ord(delimiter), LF, CR, values[quotes[0]]]] = True
    line = np.searchsorted(ends, quotes)
    # The position of each quote among the quotes of its line, from 0: even ones open, odd ones close.
    place = np.arange(len(quotes)) - np.searchsorted(quotes, starts)[line]
    # A quote at an edge of its line stands beside the line end.
    before = np.where(quotes > starts[line], values[np.maximum(quotes - 1, 0)], LF)
    after = np.where(quotes < len(values) - 1, values[np.minimum(quotes + 1, len(values) - 1)], LF)
    wrong = ~np.where(place % 2 == 0, may_stand_beside[before], may_stand_beside[after])
    suspect: Flags = np.bincount(line, minlength=len(ends)) % 2 == 1
    suspect[line[wrong]] = True
    return suspect


def _broken_records(
    data: mmap.mmap, lines: _Lines, fields: _Fields, progress: _Progress, left_out: SkippedRecords
) -> Iterator[tuple[int, int, int, str]]:
    """Number, start, end and error of the block's broken records; counts all its records on the way."""
    # Lines that belong to a record that began before them: they have no number of their own.
    inside = lines.starts < progress.until
    hidden = int(inside.sum())
    for index in np.flatnonzero(lines.suspect).tolist():
        begin = int(lines.starts[index])
        if begin < progress.until:
            continue
        number, match = progress.count + index + 1 - hidden, fields.grammar.record_at(data, begin)
        if match is None:
            # Only this line: the next one is asked again, so that a quote left open costs no other record.
            end = min(int(lines.ends[index]) + 1, len(data))
            yield number, begin, end, what_is_wrong(data[begin:end])
            continue
        progress.until = match.end()
        progress.longest = max(progress.longest, match.end() - begin)
        following = slice(index + 1, int(np.searchsorted(lines.starts, progress.until)))
        inside[following] = True
        hidden += max(following.stop - following.start, 0)
        record = match[1]
        if error := what_is_wrong(record) if b"\0" in record else fields.wrong(record):
            yield number, begin, match.end(), error
    # Only now it is known which empty lines stand in quotes.
    numbers = progress.count + np.cumsum(~inside)
    left_out.add_blank(numbers[lines.empty & ~inside])
    # Broken lines count as well: larger buffers than needed do no harm, and smaller ones lose records.
    progress.longest = max(progress.longest, int((lines.ends - lines.starts).max()))
    progress.count += len(inside) - hidden
