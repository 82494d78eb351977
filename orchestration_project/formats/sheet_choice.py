"""Which sheets of a workbook are read, and in which row their headers are.

contract without `sheet`   the one sheet that has the header
a name or a number         that sheet
*                          all sheets that have the header
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from orchestration_project.contracts.feed import ALL_SHEETS, Feed
from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.cell_values import plain
from orchestration_project.formats.header import (
    LINES_SEARCHED,
    Header,
    match_columns,
    normalised,
    require_columns,
    spellings,
)
from orchestration_project.formats.sheet_rows import UNCACHED, Row
from orchestration_project.formats.spreadsheet import Spreadsheet
from orchestration_project.formats.workbook import Sheet


@dataclass(frozen=True, slots=True)
class Table:
    """A sheet with its header, and the rows above that: of each row its cells with content, with tabs between them."""

    sheet: Sheet
    header: Header
    preamble: tuple[str, ...] = ()


def first_rows(workbook: Spreadsheet, sheet: Sheet, count: int = LINES_SEARCHED) -> list[Row]:
    """The rows with content among the first ones of a sheet."""
    # The rows come as a stream, so of a large sheet only its beginning is read for this.
    with workbook.rows(sheet) as found:
        return list(takewhile(lambda row: row[0] <= count, found))


def fields_of(values: dict[int, str]) -> tuple[str, ...]:
    """The values of a row as the names of columns."""
    # A formula above the table, such as the date in a title, may never have been calculated. Its value is not needed;
    # only below the header none may be missing.
    return tuple(plain(values.get(column, "")).strip(UNCACHED) for column in range(max(values, default=-1) + 1))


def tables_of(feed: Feed, workbook: Spreadsheet) -> list[Table]:
    """The sheets to read, each with its header.

    Raises:
        FileRefused: there is none, or there are several and the contract does not choose; the sheets are named.
    """
    found = {sheet: _header(feed, workbook, sheet) for sheet in _candidates(feed, workbook)}
    required = {column.name for column in feed.record_columns if column.required}
    tables = [
        Table(sheet, header, _preamble(workbook, sheet, header) if feed.given_columns else ())
        for sheet, header in found.items()
        if header and header.positions and required <= header.positions.keys()
    ]
    if len(tables) > 1 and feed.source.sheet is None:
        raise FileRefused(
            "ambiguous_sheet",
            f"{workbook.name!r} has several sheets with the header: {_names(table.sheet for table in tables)}; name one"
            f" in the contract's server by the custom property `sheet`, or {ALL_SHEETS!r} for all",
        )
    if not tables:
        raise _without_header(feed, found)
    # Only now: a sheet that is not read may name a column twice.
    for table in tables:
        match_columns(feed, table.header.fields)
    return tables


def _preamble(workbook: Spreadsheet, sheet: Sheet, header: Header) -> tuple[str, ...]:
    above = first_rows(workbook, sheet, header.line - 1)
    return tuple("\t".join(text for text in fields_of(values) if text.strip()) for _, values in above)


def _candidates(feed: Feed, workbook: Spreadsheet) -> Sequence[Sheet]:
    chosen = feed.source.sheet
    if chosen in (None, ALL_SHEETS):
        found = workbook.sheets
    # A text of digits is a name, for sheets are called 2024, too.
    elif isinstance(chosen, int):
        found = tuple(sheet for sheet in workbook.sheets if sheet.number == chosen)
    else:
        found = tuple(sheet for sheet in workbook.sheets if normalised(sheet.name) == normalised(str(chosen)))
    if not found:
        raise FileRefused(
            "missing_sheet",
            f"{workbook.name!r} has no sheet {chosen or ''!r}; found {_names(workbook.sheets) or 'none with cells'}."
            " Correct the file, or the contract's custom property `sheet`",
        )
    return found


def _names(sheets: Iterable[Sheet]) -> str:
    return ", ".join(visible(sheet.name[:100]) for sheet in sheets)


def _header(feed: Feed, workbook: Spreadsheet, sheet: Sheet) -> Header | None:
    """The first row that has every required column, else the one that has most; None if none names a column."""
    known = {column.name: spellings(column) for column in feed.record_columns}
    required = {column.name for column in feed.record_columns if column.required}
    best: Header | None = None
    for number, values in first_rows(workbook, sheet):
        fields = fields_of(values)
        names = [normalised(field) for field in fields]
        positions = {
            column: next(place for place, name in enumerate(names) if name in spelled)
            for column, spelled in known.items()
            if not spelled.isdisjoint(names)
        }
        # A row with fewer columns of the contract may still be the header that was meant: the refusal names it.
        if positions and (best is None or len(positions) > len(best.positions)):
            best = Header(fields, ",", positions, number, 0)
            if required <= positions.keys():
                return best
    return best


def _without_header(feed: Feed, found: dict[Sheet, Header | None]) -> FileRefused:
    best = max(found.items(), key=lambda item: len(item[1].positions) if item[1] else 0)
    sheet, header = best
    if header is None:
        return FileRefused(
            "no_header",
            f"none of the first {LINES_SEARCHED} rows of {_names(list(found))} names a column of the contract: a header"
            " row is needed",
        )
    try:
        where = f"the header in row {header.line} of sheet {visible(sheet.name)}"
        require_columns(feed, header.positions, header.fields, where, header.line)
    except FileRefused as error:
        return error
    raise AssertionError("a header that lacks nothing is no reason for a refusal")
