"""Find the header among the first records of a table. Pure functions.

    Shop,Berlin,EUR,             lines above the table may be as wide as it
    sku,label,2023,2024          the header: names, and records with values come right below
    A-17,Mug,12,18

A header can't be known by its own look: it is what stands above values without being one.
"""

import re
from collections import Counter
from collections.abc import Sequence

# What is a value rather than the name of a column: `2024-01-15`, `1.234,50 €`, `a@b.org`, but not `Q1 2024`.
VALUE = re.compile(r"[\d\s.,:/%+€$£-]*\d[\d\s.,:/%+€$£-]*([eE][+-]?\d+)?|.*@.*|\d{4}-\d{2}-\d{2}\D.*|.*\d:\d\d.*")
YEAR = re.compile(r"(19|20)\d{2}([-/. ]?(0?[1-9]|1[0-2]))?")
"""2024 and 2024-01: values that also stand in headers, a column each."""


def header_among(records: Sequence[Sequence[str]]) -> tuple[float, list[str]] | None:
    """The header of a table and the share of records that are as wide as most; None if no record is a header.

    Args:
        records: the first ones of a file, that is preamble, header and data, of several columns.
    """
    widths = Counter(map(len, records))
    width, times = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))
    if width < 2:
        return None
    rows = _without_empty_end([row for record in records if (row := _as_wide(record, width))])
    values = _value_columns(rows, len(rows[0]))
    header = _above_values(rows, values) if values else next((row for row in rows if is_names(row)), None)
    if header is None or _are_years_below(header, rows):
        return None
    return times / len(records), header


def is_names(row: Sequence[str]) -> bool:
    """Whether a record may be a header: most of its fields are filled, with words or different years."""
    filled = [field.strip() for field in row if field.strip()]
    # A title or a note above the table fills one field of many.
    if 2 * len(filled) <= len(row):
        return False
    years = set[str]()
    for field in filled:
        # Most records have a value at their beginning: the other fields need not be looked at.
        if VALUE.fullmatch(field):
            if field in years or not YEAR.fullmatch(field):
                return False
            years.add(field)
    return len(years) < len(filled)


def _as_wide(record: Sequence[str], width: int) -> list[str]:
    """A record as wide as most are, if it is but for the delimiter that some files write behind the last field."""
    fields = list(record)
    if len(fields) == width - 1:
        fields.append("")
    return fields[:width] if len(fields) >= width and not any(map(str.strip, fields[width:])) else []


def _without_empty_end(rows: Sequence[list[str]]) -> list[list[str]]:
    """Records without the columns at their end that are empty in all of them: they have no name either."""
    width = max((place for row in rows for place, field in enumerate(row, start=1) if field.strip()), default=0)
    return [row[:width] for row in rows]


def _value_columns(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """The columns that hold values rather than words."""
    # The second half is data, whatever stands above the table.
    lower = rows[len(rows) // 2 :]
    found = []
    for column in range(width):
        filled = [row[column].strip() for row in lower if row[column].strip()]
        if filled and 2 * sum(VALUE.fullmatch(field) is not None for field in filled) >= len(filled):
            found.append(column)
    return found


def _above_values(rows: Sequence[list[str]], columns: Sequence[int]) -> list[str] | None:
    """The record of names that stands above the values of some columns."""
    data = [_has_values(row, columns) and not _is_header_of_years(row, rows) for row in rows]
    # A single record with values, such as a period, may stand above the table.
    runs = (place for place in range(len(rows)) if data[place] and all(data[place : place + 2]))
    above = [row for row in rows[: next(runs, len(rows))] if is_names(row)]
    # A title may fill most fields, a header names all columns. Of two the first is taken: the other one may be a
    # record without values, and these must not get into a draft.
    return next((row for row in above if all(map(str.strip, row))), above[0] if above else None)


def _is_header_of_years(row: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    return is_names(row) and not _are_years_below(row, rows)


def _has_values(row: Sequence[str], columns: Sequence[int]) -> bool:
    filled = [row[column].strip() for column in columns if row[column].strip()]
    return bool(filled) and 2 * sum(VALUE.fullmatch(field) is not None for field in filled) > len(filled)


def _are_years_below(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether what looks like years as names is a record: the fields below hold years, too."""
    columns = [column for column, field in enumerate(header) if VALUE.fullmatch(field.strip())]
    below = [row[column].strip() for row in rows if row is not header for column in columns if row[column].strip()]
    return bool(columns) and 2 * sum(YEAR.fullmatch(field) is not None for field in below) > len(below)
