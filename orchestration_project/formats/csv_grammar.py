r"""What a well-formed record of a delimited text is, as regular expressions, and what is wrong with another one.

    record:  a,"x ""y"" z",1\r\n      cells: a | x "y" z | 1
    record:  6'2"N 7'1"W,1\n          quotes inside of a bare cell are data, if they are even in number
    broken:  5" pipe,1\n              else one of them may have been meant to hold a delimiter: 5", 6" pipe
    broken:  "a"x,1\n                 text beside a closed quote
    broken:  "a,1\nb,2\n...           a quote that is never closed: only its own line is broken

A record ends at LF, CR LF or CR outside of quotes. A broken record ends with its line: so one lost quote costs one
line, where DuckDB would take all lines up to the next quote for one field.
"""

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.fields import BLANKS


class Grammar:
    """The regular expressions of one dialect. Possessive quantifiers: no input makes them backtrack.

    Attributes:
        record: a well-formed record and its end; group 1 is the record alone.
        line: what stands up to the next line end, whatever it is; group 1 is the line alone.
    """

    def __init__(self, delimiter: str, quote: str) -> None:
        d, q = re.escape(delimiter.encode()), re.escape(quote.encode())
        # Characters beyond ASCII are several bytes, which a class of single bytes can't exclude.
        not_quote, plain = rb"(?:(?!%b)[\s\S])*+" % q, rb"(?:(?!%b|%b)[^\r\n])*+" % (d, q)
        if (delimiter + quote).isascii():
            not_quote, plain = rb"[^%b]*+" % q, rb"[^%b%b\r\n]*+" % (d, q)
        quoted = rb"%b%b(?:%b%b%b)*+%b(?!%b)" % (q, not_quote, q, q, not_quote, q, q)
        # No pair of quotes in a bare cell reaches beyond it, and it can't begin with one, nor with blanks and one:
        # DuckDB would take these for padding.
        bare = rb"(?!(?:(?!%b)[ \t])*+%b)%b(?:%b%b%b%b)*+" % (d, q, plain, q, plain, q, plain)
        cell = rb"(?:%b|%b)" % (quoted, bare)
        self._quote = quote
        self._cell = re.compile(rb"(%b)(?:%b|\Z)" % (cell, d))
        self.record = re.compile(rb"(%b(?:%b%b)*+)(?:\r\n|\n|\r|\Z)" % (cell, d, cell))
        self.line = re.compile(rb"([^\r\n]*+)(?:\r\n|\n|\r|\Z)")

    def record_at(self, data: mmap.mmap, position: int) -> re.Match[bytes] | None:
        """The record at a position; None when it is not well-formed or too long, as after a quote left open."""
        # Without a limit each quote left open would be looked for up to the end of the file.
        limit = position + MAX_RECORD_BYTES
        match = self.record.match(data, position, limit)
        return None if match and match.end() == limit < len(data) else match

    def cells(self, record: bytes) -> list[str]:
        """The values of a well-formed record."""
        found, position = [], 0
        while match := self._cell.match(record, position):
            found.append(self._value(match[1].decode()))
            # A delimiter at the very end is followed by one more cell, which is empty.
            if match.end() == len(record) and match.end() == match.end(1):
                break
            position = match.end()
        return found

    def _value(self, text: str) -> str:
        return text[1:-1].replace(self._quote * 2, self._quote) if text.startswith(self._quote) else text


def records_in(path: Path, offset: int, grammar: Grammar) -> Iterator[tuple[bytes, bool]]:
    """The records of a file from an offset on, each with whether it is well-formed.

    Of a record that is too long come only as many bytes as prove it.
    """
    # An empty file can't be mapped.
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


def what_is_wrong(raw: bytes) -> str:
    """What is wrong (`code: message`) with a record that is not well-formed, or that has a NUL byte."""
    # First, since of such a record nothing but its beginning is at hand.
    if len(raw) > MAX_RECORD_BYTES:
        return f"record_too_long: the record has more than {MAX_RECORD_BYTES:,} bytes"
    if b"\0" in raw:
        return "nul_byte: the record has a NUL byte"
    return "bad_quoting: a quote is not closed, or something stands beside a closed quote, or before an opening one"


def wrong_width(cells: Sequence[str], width: int, surplus: int) -> str:
    """What is wrong (`code: message`) with the number of a well-formed record's cells; empty when nothing is.

    Args:
        cells: the values of the record.
        width: how many fields the header has.
        surplus: how many empty fields beyond these count for nothing, since all records have them.
    """
    if len(cells) < width:
        return f"too_few_columns: expected {width} columns, found {len(cells)}"
    if any(cells[width:]) or (len(cells) > width + surplus and any(cell.strip(BLANKS) for cell in cells)):
        return f"too_many_columns: expected {width} columns, found {len(cells)}"
    return ""


def surplus_of(path: Path, offset: int, grammar: Grammar, width: int) -> int:
    """How many empty fields beyond the header's all records have, of those that have at least as many as the header.

    One that lacks them may have lost a field, and one that has more may have been shifted by them.
    """
    found: set[int] = set()
    for raw, well_formed in records_in(path, offset, grammar):
        cells = grammar.cells(raw) if well_formed else []
        # One with a value beyond the header is wrong anyway, so it says nothing of the others.
        if len(cells) >= width and not any(cells[width:]) and any(cell.strip(BLANKS) for cell in cells):
            found.add(len(cells) - width)
        # Mostly the first record decides.
        if 0 in found:
            break
    return min(found, default=0)
