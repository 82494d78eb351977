"""Find the header of a delimited file by the contract's column names, the delimiter and where the data begins.

    Sales of shop 7
    Order No;Amount;note
    17;1,50;gift           ->   Header(delimiter=";", positions={"order_id": 0, "amount": 1}, line=2, ...)

The keys of JSON objects and the columns of Parquet files are matched by the same names, so that is here as well.
"""

import csv
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

from orchestration_project.contracts.feed import MASK, Column, Feed
from orchestration_project.errors import FileRefused, visible

DELIMITERS = (",", ";", "\t", "|")
LINES_SEARCHED = 100
HEAD_BYTES = 1 << 20
MAX_COLUMNS = 5_000
"""More are data: DuckDB's work grows faster than their number, and 100,000 take minutes and gigabytes."""
ZERO_WIDTH = "\ufeff\u200b\u200c\u200d\u2060"
SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
UNSEEN = dict.fromkeys(map(ord, ZERO_WIDTH)) | dict.fromkeys(map(ord, SPACES), " ")
"""What is not seen in a name: characters without a width go, and every kind of space is the same."""
NAMES_SHOWN, NAME_SHOWN = 50, 100
REJECT_ID = "_reject_id"
"""The column in which a record of a repair file names the rejected record that it corrects."""
LINE = re.compile(r"[^\r\n]*+(?:\r\n|\n|\r|(?<=[^\r\n])\Z)")
"""A line with its end. `str.splitlines` would also break lines at form feeds and line separators inside of fields."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where a file's data begins and what its fields are.

    Attributes:
        fields: the names as written, in file order.
        delimiter: what stands between them.
        positions: the contract columns that are there, by name, with their 0-based fields.
        line: the header's 1-based line.
        length: the number of characters up to the first data record.
        well_formed: whether each name is in quotes as a whole, or has none that could hold a delimiter.
    """

    fields: tuple[str, ...]
    delimiter: str
    positions: dict[str, int]
    line: int
    length: int
    well_formed: bool = True

    @property
    def unexpected(self) -> dict[int, str]:
        """The fields that the contract does not know: position and name."""
        known = set(self.positions.values())
        return {position: name for position, name in enumerate(self.fields) if position not in known}


def normalised(name: str) -> str:
    """A column name as names are compared: without padding, case and what is not seen, its accents composed."""
    if name.isascii():
        return name.strip(" \t\r\n").casefold()
    # As Unicode compares texts without case: taken apart, folded, and put together at the end.
    folded = unicodedata.normalize("NFD", name).translate(UNSEEN).strip(" \t\r\n").casefold()
    return unicodedata.normalize("NFC", folded)


def spellings(column: Column) -> set[str]:
    """All normalised names under which a file may carry a column."""
    return {normalised(name) for name in (column.source or column.name, *column.aliases)}


def match_columns(feed: Feed, fields: tuple[str, ...]) -> dict[str, int]:
    """The 0-based field of each contract column that is among the fields, by the column's name.

    Raises:
        FileRefused: two fields claim the same column.
    """
    positions: dict[str, int] = {}
    # By name: to compare each column with each field takes half a second for 700 of each.
    standing: dict[str, list[int]] = {}
    for position, field in enumerate(fields):
        standing.setdefault(normalised(field), []).append(position)
    refuse_given(feed, standing)
    for column in feed.record_columns:
        found = [position for name in spellings(column) for position in standing.get(name, ())]
        if len(found) > 1:
            raise FileRefused(
                "ambiguous_column",
                f"column {column.source!r} stands {len(found)} times in the header; keep one of them",
            )
        if found:
            positions[column.name] = found[0]
    return positions


def refuse_given(feed: Feed, names: Collection[str]) -> None:
    """Make sure that no column that gets its value from elsewhere is in the file, too.

    Args:
        feed: the contract.
        names: of the file's columns, normalised.

    Raises:
        FileRefused: one is: which of the two values counts, nobody has said.
    """
    for column in feed.given_columns:
        if not spellings(column).isdisjoint(names):
            raise FileRefused(
                "ambiguous_column",
                f"column {column.source!r} is in the file, and its contract takes it from elsewhere (valueFrom): give"
                " it another physicalName in the contract, or take one of the two away",
            )


def require_columns(
    feed: Feed, positions: dict[str, int], fields: tuple[str, ...], where: str, line: int | None = None
) -> None:
    """Make sure that every required column is there.

    Raises:
        FileRefused: names the missing columns and what was found instead.
    """
    missing = [
        column.source or column.name
        for column in feed.record_columns
        if column.required and column.name not in positions
    ]
    # A contract may require nothing. Then one of its columns has to be there, else any text would be a table.
    if missing or not positions:
        wanted = ", ".join(missing or [column.source or column.name for column in feed.record_columns])
        found = ", ".join(_shown(feed, positions, fields)) or "nothing"
        raise FileRefused(
            "missing_column",
            f"{where} lacks {wanted}; found {found}. Correct the file, or add the spelling to the contract"
            " as a synonym",
            line=line,
        )


def _shown(feed: Feed, positions: Mapping[str, int], fields: Sequence[str]) -> list[str]:
    """The names that were found, as they may be shown.

    If most are unknown to the contract, they may be the values of a record, and personal: then these are masked.
    """
    names = [visible(name[:NAME_SHOWN]) for name in fields[:NAMES_SHOWN]]
    if not feed.personal_columns or 2 * len(positions) >= len(fields):
        return names
    known = set().union(*map(spellings, feed.record_columns))
    return [name if normalised(name) in known else MASK for name in names]


def find_header(feed: Feed, head: str) -> Header:
    """Find the header in a file's first characters: the first line that has every required column of the contract.

    Args:
        feed: the contract; its declared delimiter is the only one tried, else comma, semicolon, tab and pipe are.
        head: the file's beginning, decoded.

    Raises:
        FileRefused: no line is a header (the best candidate and what it lacks are named), or it can't be relied on: a
            column is in it twice, its quotes are broken, it has a NUL byte, or it is too long.
    """
    best: Header | None = None
    known = {column.name: spellings(column) for column in feed.record_columns}
    required = {column.name for column in feed.record_columns if column.required}
    for number, line in enumerate(islice(LINE.finditer(head), LINES_SEARCHED), start=1):
        # Each line is tried with each delimiter: a preamble may have other ones than the records below it.
        for delimiter in [feed.source.delimiter] if feed.source.delimiter else DELIMITERS:
            candidate = _read_header(head, line.start(), number, delimiter, feed.source.quote, known)
            # With a single column every delimiter finds the same, and the first one tried, the comma, stays.
            if best is None or len(candidate.positions) > len(best.positions):
                best = candidate
        if best and best.positions and required <= best.positions.keys():
            # Not asked before: a preamble may well name a column twice, or have broken quotes.
            _ensure_reliable(best, head)
            match_columns(feed, best.fields)
            return best
    if best is None or not best.positions:
        raise FileRefused(
            "no_header",
            f"none of the first {LINES_SEARCHED} lines names a column of the contract: a header line is needed",
        )
    _ensure_reliable(best, head)
    require_columns(feed, best.positions, best.fields, f"the header in line {best.line}", best.line)
    return best


def _ensure_reliable(header: Header, head: str) -> None:
    """Make sure that the names in a header are those that were meant.

    Raises:
        FileRefused: it is not.
    """
    where = f"the header in line {header.line}"
    # Once, a NUL in a name stopped the load of all files: no literal of SQL can hold it.
    if any("\0" in name for name in header.fields):
        raise FileRefused("nul_byte", f"{where} has a NUL byte: correct the file", line=header.line)
    # Once, a broken quote put values under another column's name.
    if not header.well_formed:
        raise FileRefused(
            "bad_quoting",
            f"{where} has a quote that is not closed, or something beside a quoted name: where its names begin and end"
            " can't be told. Correct the header",
            line=header.line,
        )
    if len(header.fields) > MAX_COLUMNS:
        what = f"has {len(header.fields):,} columns, more than {MAX_COLUMNS:,}; write what differs as values"
        raise FileRefused("unreadable", f"{where} {what}", line=header.line)
    # A name may have several bytes less than its share: the head ends in the middle of a character then.
    if header.length == len(head) and head[-1] not in "\r\n" and len(head.encode()) > HEAD_BYTES - 4:
        raise FileRefused("unreadable", f"{where} has more than {HEAD_BYTES:,} bytes", line=header.line)


def is_one_line(text: str) -> bool:
    """Whether a text is a single line, its line end included."""
    line = LINE.match(text)
    return line is not None and line.end() == len(text)


def _read_header(
    head: str, start: int, number: int, delimiter: str, quote: str, known: Mapping[str, set[str]]
) -> Header:
    """The record that begins at a place of the text, taken for a header; a name in quotes may have line ends in it."""
    if match := _header_form(delimiter, quote).match(head, start):
        fields, end = tuple(_names(match[1], delimiter, quote)), match.end()
    else:
        fields, end = _read_leniently(head, start, delimiter, quote)
    names = [normalised(field) for field in fields]
    found = {
        column: next((position for position, name in enumerate(names) if name in spelled), None)
        for column, spelled in known.items()
    }
    positions = {column: position for column, position in found.items() if position is not None}
    return Header(fields, delimiter, positions, number, end, match is not None)


@cache
def _name_form(delimiter: str, quote: str) -> str:
    """Regular expression for a name: in quotes, which may be padded, or bare, with whole pairs of quotes at most."""
    # `"Order ""No"""` and ` "Order No" ` are names in quotes, `5"-6" pipe` is bare; `5" pipe` and `"a"x` are none.
    # The text may be anything, and with possessive quantifiers none makes the expression backtrack.
    d, q = re.escape(delimiter), re.escape(quote)
    padding, plain = rf"(?:(?!{d})[ \t{SPACES}{ZERO_WIDTH}])*+", rf"(?:(?!{d}|{q})[^\r\n])*+"
    quoted = rf"{padding}{q}((?:(?!{q})[\s\S]|{q}{q})*+){q}{padding}"
    return rf"(?:{quoted}|(?!{padding}{q}){plain}(?:{q}{plain}{q}{plain})*+)"


@cache
def _header_form(delimiter: str, quote: str) -> re.Pattern[str]:
    name = _name_form(delimiter, quote)
    return re.compile(rf"({name}(?:{re.escape(delimiter)}{name})*+)(?:\r\n|\n|\r|\Z)")


def _names(record: str, delimiter: str, quote: str) -> Iterator[str]:
    """The names of a well-formed header."""
    for match in re.finditer(rf"{_name_form(delimiter, quote)}(?:{re.escape(delimiter)}|\Z)", record):
        yield match[0].removesuffix(delimiter) if match[1] is None else match[1].replace(quote * 2, quote)
        # Else one more name, of no characters, would be found behind the last one.
        if match.end() == len(record) and not match[0].endswith(delimiter):
            return


def _read_leniently(head: str, start: int, delimiter: str, quote: str) -> tuple[tuple[str, ...], int]:
    """The fields of a line with broken quotes, as spreadsheets read it, and where it ends."""
    # The reader asks for the next line as long as a quote is open, so this is where the header ends.
    end = start

    def lines() -> Iterator[str]:
        nonlocal end
        for line in LINE.finditer(head, start):
            end = line.end()
            yield line[0]

    try:
        return tuple(next(csv.reader(lines(), delimiter=delimiter, quotechar=quote), [])), end
    except csv.Error:
        # A preamble may be anything; the header may still come.
        return (), end
