"""Find the header of a delimited file by the contract's column names, the delimiter and where the data begins.

    Sales of shop 7
    Order No;Amount;note
    17;1,50;gift           ->   Header(delimiter=";", positions={"order_id": 0, "amount": 1}, line=2, ...)

The keys of JSON objects and the columns of Parquet files are matched by the same names, so that is here as well.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from orchestration_project.contracts.feed import MASK, Column, Feed
from orchestration_project.errors import FileRefused, visible

DELIMITERS = (",", ";", "\t", "|")
LINES_SEARCHED = 100
HEAD_BYTES = 1 << 20
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
    """

    fields: tuple[str, ...]
    delimiter: str
    positions: dict[str, int]
    line: int
    length: int

    @property
    def unexpected(self) -> dict[int, str]:
        """The fields that the contract does not know: position and name."""
        known = set(self.positions.values())
        return {position: name for position, name in enumerate(self.fields) if position not in known}


def normalised(name: str) -> str:
    """A column name as names are compared: without padding, byte order mark and case."""
    return name.strip("\ufeff \t\r\n").casefold()


def spellings(column: Column) -> set[str]:
    """All normalised names under which a file may carry a column."""
    return {normalised(name) for name in (column.source or column.name, *column.aliases)}


def match_columns(feed: Feed, fields: tuple[str, ...]) -> dict[str, int]:
    """The 0-based field of each contract column that is among the fields, by the column's name.

    Raises:
        FileRefused: two fields claim the same column.
    """
    positions: dict[str, int] = {}
    names = [normalised(field) for field in fields]
    for column in feed.source_columns:
        found = [position for position, name in enumerate(names) if name in spellings(column)]
        if len(found) > 1:
            raise FileRefused(
                "ambiguous_column",
                f"column {column.source!r} stands {len(found)} times in the header; keep one of them",
            )
        if found:
            positions[column.name] = found[0]
    return positions


def require_columns(
    feed: Feed, positions: dict[str, int], fields: tuple[str, ...], where: str, line: int | None = None
) -> None:
    """Make sure that every required column is there.

    Raises:
        FileRefused: names the missing columns and what was found instead.
    """
    missing = [
        column.source or column.name
        for column in feed.source_columns
        if column.required and column.name not in positions
    ]
    if missing or not positions:
        wanted = ", ".join(missing or [column.source or column.name for column in feed.source_columns])
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
    known = set().union(*map(spellings, feed.source_columns))
    return [name if normalised(name) in known else MASK for name in names]


def find_header(feed: Feed, head: str) -> Header:
    """Find the header in a file's first characters: the first line that has every required column of the contract.

    Args:
        feed: the contract; its declared delimiter is the only one tried, else comma, semicolon, tab and pipe are.
        head: the file's beginning, decoded.

    Raises:
        FileRefused: no line is a header (the best candidate and what it lacks are named), or a column is in it twice.
    """
    best: Header | None = None
    known = {column.name: spellings(column) for column in feed.source_columns}
    required = {column.name for column in feed.source_columns if column.required}
    for number, line in enumerate(islice(LINE.finditer(head), LINES_SEARCHED), start=1):
        # Each line is tried with each delimiter: a preamble may have other ones than the records below it.
        for delimiter in [feed.source.delimiter] if feed.source.delimiter else DELIMITERS:
            candidate = _read_header(head, line.start(), number, delimiter, feed.source.quote, known)
            if best is None or len(candidate.positions) > len(best.positions):
                best = candidate
        if best and best.positions and required <= best.positions.keys():
            # Refuses a column that stands twice. Not asked before: a preamble may well name a column twice.
            match_columns(feed, best.fields)
            return best
    if best is None or not best.positions:
        raise FileRefused(
            "no_header",
            f"none of the first {LINES_SEARCHED} lines names a column of the contract: a header line is needed",
        )
    require_columns(feed, best.positions, best.fields, f"the header in line {best.line}", best.line)
    return best


def is_one_line(text: str) -> bool:
    """Whether a text is a single line, its line end included."""
    line = LINE.match(text)
    return line is not None and line.end() == len(text)


def _read_header(
    head: str, start: int, number: int, delimiter: str, quote: str, known: Mapping[str, set[str]]
) -> Header:
    """The record that begins at a place of the text, taken for a header; a name in quotes may have line ends in it."""
    # The reader asks for the next line as long as a quote is open, so this is where the header ends.
    end = start

    def lines() -> Iterator[str]:
        nonlocal end
        for line in LINE.finditer(head, start):
            end = line.end()
            yield line[0]

    try:
        fields = tuple(next(csv.reader(lines(), delimiter=delimiter, quotechar=quote), []))
    except csv.Error:
        # A preamble may be anything; the header may still come.
        fields = ()
    names = [normalised(field) for field in fields]
    found = {
        column: next((position for position, name in enumerate(names) if name in spelled), None)
        for column, spelled in known.items()
    }
    positions = {column: position for column, position in found.items() if position is not None}
    return Header(fields, delimiter, positions, number, end)
