"""Workbooks: their tables, written as CSV before, become staged records; dates and numbers in the declared notation.

    a date cell of 1 February 2024, declared format dd/MM/yyyy   ->  '01/02/2024'
    a number cell of 1.5, declared decimal comma                 ->  '1,5'
    a text cell '1.5' or '2024-02-01'                            ->  as it stands
    a date cell in a column of numbers                           ->  '2024-02-01', which breaks the type

How cells are read and marked is in `cell_values`, `sheet_rows` and `sheet_csv`. No workbook is opened here: every
start of a code location imports this module, and would be slower by the libraries for XML and archives.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.errors import FilesUnfit
from orchestration_project.formats.cell_values import DATE, MARKS, MOMENT, NUMBER, TIME
from orchestration_project.formats.fields import is_number, localised
from orchestration_project.formats.lines import Dialect, read_lines, uneven
from orchestration_project.formats.numbering import insert_numbered
from orchestration_project.formats.parquet_files import text_of
from orchestration_project.formats.staging import ReadyFile, unreadable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ADDED = ("_rescued", "_raw_line", "_parse_error")
ROWS_A_SHEET = 10_000_000
"""Added to the numbers of records of each further sheet where all sheets are read: so no two have the same."""
# Above all marks: a text that begins with this character or a later one has none.
AFTER_MARKS = ord(max(MARKS)) + 1


def stage_excel(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Add every record of workbooks to `_staged`.

    Raises:
        FilesUnfit: names the files of which other records were read than were counted.
    """
    groups: dict[bool, list[ReadyFile]] = defaultdict(list)
    for file in files:
        groups[file.prepared.long_records].append(file)
    columns = feed.source_columns
    values = {column.name: _text(f"c{place}", column) for place, column in enumerate(columns, start=1)}
    values |= {name: f"c{place}" for place, name in enumerate(ADDED, start=len(columns) + 1)}
    # Apart, since DuckDB's larger buffers are for all files of a scan, and cost memory.
    for long_records, alike in groups.items():
        dialect = Dialect(",", '"', len(columns) + len(ADDED) + 1, skip=1, long_records=long_records)
        lines = read_lines(connection, alike, dialect)
        # None of our own lines is blank or broken, so one that DuckDB left out is a fault as well.
        if odd := uneven(lines) | {index for index, found in enumerate(lines.of_files) if found.skipped}:
            what = "has records that can't be separated reliably; deliver it as CSV"
            raise FilesUnfit({alike[index].key: unreadable(alike[index].name, what) for index in odd})
        insert_numbered(connection, lines, "c0::BIGINT", values)


def _text(field: str, column: Column) -> str:
    """SQL for the text of a field: what is marked is written in the contract's notation."""
    bare = f"substr({field}, 2)"
    number = localised(bare, column.parsing) if is_number(column.sql_type) else bare
    # Hardly a text begins with a control character, so one comparison is all that most need.
    return f"""CASE WHEN {field} >= chr({AFTER_MARKS}) THEN {field} ELSE CASE left({field}, 1)
        WHEN {_sql(NUMBER)} THEN {number}
        WHEN {_sql(DATE)} THEN {text_of(f"TRY_CAST({bare} AS DATE)", "DATE", column)}
        WHEN {_sql(MOMENT)} THEN {_moment(f"TRY_CAST({bare} AS TIMESTAMP)", column)}
        WHEN {_sql(TIME)} THEN {text_of(f"TRY_CAST({bare} AS TIME)", "TIME", column)}
        ELSE {bare} END END"""


def _moment(value: str, column: Column) -> str:
    """SQL for a moment: in a column of days, one at midnight is the day."""
    text = text_of(value, "TIMESTAMP", column)
    if column.sql_type != "DATE":
        return text
    return f"CASE WHEN {value} = {value}::DATE THEN {text_of(f'{value}::DATE', 'DATE', column)} ELSE {text} END"


def _sql(mark: str) -> str:
    return f"chr({ord(mark)})"
