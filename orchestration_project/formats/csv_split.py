"""Take the records with broken quotes out of a delimited file, by whole blocks: all other bytes are copied as they are.

A line whose quotes open beside a delimiter, close beside one and are even in number is a record by itself. Only the few
other lines are looked at one by one: they begin a quoted record that goes on over several lines, or they are broken.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from orchestration_project.formats.csv_scanner import BLOCK, CR, LF, Grammar, Split, fault_of
from orchestration_project.formats.gaps import Gaps, gaps_in

if TYPE_CHECKING:
    import numpy.typing as npt

    Flags = npt.NDArray[np.bool_]
    Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Lines:
    """The physical lines of a block: absolute start and end (of the text), which are suspect, which are empty."""

    starts: "Positions"
    ends: "Positions"
    suspect: "Flags"
    empty: "Flags"


@dataclass(slots=True)
class _Progress:
    """How far the file is known: records counted, bytes copied, the end of the record that was last looked at."""

    until: int
    copied: int
    count: int = 0
    longest: int = 0


def excise(
    path: Path, offset: int, delimiter: str, quote: str, good: Path, gaps: Path, first_line: bytes = b""
) -> Split:
    """Copy a file but for its records with broken quotes or NUL bytes; these go to `gaps`.

    Args:
        path: a UTF-8 file whose lines all end in the same way, by LF or CR LF; none is longer than a record may be.
        offset: where its first data record begins.
        delimiter: one character.
        quote: one character.
        good: file to write the other records to, byte for byte; empty lines stay among them.
        gaps: file to write broken and blank records to, see `Gaps`.
        first_line: what to write to `good` before the records.
    """
    grammar = Grammar(delimiter, quote)
    progress = _Progress(until=offset, copied=offset)
    with (
        path.open("rb") as stream,
        mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data,
        good.open("wb") as good_stream,
        gaps_in(gaps) as left_out,
    ):
        good_stream.write(first_line)
        for start, stop in _blocks(data, offset):
            lines = _lines(data, start, stop, delimiter, quote)
            for number, begin, end in _broken_lines(data, lines, grammar, progress, left_out):
                _copy(data, progress.copied, begin, good_stream)
                progress.copied = end
                raw = data[begin:end]
                left_out.broken(number, raw, fault_of(raw))
        _copy(data, progress.copied, len(data), good_stream)
    return Split(progress.count, left_out.count, progress.longest)


def _copy(data: mmap.mmap, begin: int, end: int, target: BinaryIO) -> None:
    target.writelines(data[start : min(start + BLOCK, end)] for start in range(begin, end, BLOCK))


def _blocks(data: mmap.mmap, offset: int) -> Iterator[tuple[int, int]]:
    """Blocks that end with a line."""
    while offset < len(data):
        stop = min(offset + BLOCK, len(data))
        if stop < len(data):
            cut = data.rfind(b"\n", offset, stop)
            cut = data.find(b"\n", stop) if cut < 0 else cut
            stop = len(data) if cut < 0 else cut + 1
        yield offset, stop
        offset = stop


def _lines(data: mmap.mmap, start: int, stop: int, delimiter: str, quote: str) -> _Lines:
    values = np.frombuffer(data[start:stop], dtype=np.uint8)
    ends = np.flatnonzero(values == LF)
    if not len(ends) or ends[-1] != len(values) - 1:
        ends = np.append(ends, len(values))
    starts = np.concatenate(([0], ends[:-1] + 1))
    suspect = np.zeros(len(ends), dtype=bool)
    suspect[np.searchsorted(ends, np.flatnonzero(values == 0))] = True
    quotes = np.flatnonzero(values == ord(quote))
    if len(quotes):
        suspect |= _badly_quoted(values, starts, ends, quotes, delimiter)
    lengths = ends - starts
    empty = (lengths == 0) | ((lengths == 1) & (values[np.minimum(starts, len(values) - 1)] == CR))
    return _Lines(starts + start, ends + start, suspect, empty)


def _badly_quoted(
    values: "npt.NDArray[np.uint8]", starts: "Positions", ends: "Positions", quotes: "Positions", delimiter: str
) -> "Flags":
    beside = np.zeros(256, dtype=bool)
    beside[[ord(delimiter), LF, CR, values[quotes[0]]]] = True
    line = np.searchsorted(ends, quotes)
    place = np.arange(len(quotes)) - np.searchsorted(quotes, starts)[line]
    before = np.where(quotes > starts[line], values[np.maximum(quotes - 1, 0)], LF)
    after = np.where(quotes < len(values) - 1, values[np.minimum(quotes + 1, len(values) - 1)], LF)
    wrong = np.where(place % 2 == 0, ~beside[before], ~beside[after])
    suspect: Flags = np.bincount(line, minlength=len(ends)) % 2 == 1
    suspect[line[wrong]] = True
    return suspect


def _broken_lines(
    data: mmap.mmap, lines: _Lines, grammar: Grammar, progress: _Progress, gaps: Gaps
) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of the block's broken records; counts all its records on the way."""
    inside = lines.starts < progress.until
    hidden = int(inside.sum())
    for index in np.flatnonzero(lines.suspect).tolist():
        begin = int(lines.starts[index])
        if begin < progress.until:
            continue
        match = grammar.record_at(data, begin)
        if match is not None and b"\0" not in match[1]:
            progress.until = match.end()
            progress.longest = max(progress.longest, match.end() - begin)
            following = slice(index + 1, int(np.searchsorted(lines.starts, progress.until)))
            inside[following] = True
            hidden += max(following.stop - following.start, 0)
        else:
            yield progress.count + index + 1 - hidden, begin, min(int(lines.ends[index]) + 1, len(data))
    numbers = progress.count + np.cumsum(~inside)
    gaps.blank(numbers[lines.empty & ~inside])
    progress.longest = max(progress.longest, int((lines.ends - lines.starts).max()))
    progress.count += len(inside) - hidden
