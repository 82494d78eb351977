"""Rows of a query become a Parquet file: each value goes over as the database's own text, and is exact or refused.

Belongs here: the columns of a file, and how texts are typed. Does not belong here: how a database is asked, and which
rows are new.

Rows are first written to a file of texts beside the target, a JSON array a line, so that memory is bounded whatever the
query gives. DuckDB types them in one pass.
"""

import datetime as dt
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestration_project.errors import SourceError, visible, without_values
from orchestration_project.warehouse.tables import ident, literal

TEXT = "VARCHAR"
MEMORY = "512MB"
LARGEST_ROW = 64 * 1024 * 1024
"""Bytes of a row, as texts."""
MARK = "REFUSED "
_MARKED = re.compile(rf"{MARK}(\d+)")
_DATE_LIKE = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a query.

    Attributes:
        name: as the query names it.
        sql_type: DuckDB's type that holds each of its values exactly; VARCHAR for the database's own text.
    """

    name: str
    sql_type: str


Row = Sequence[str | None]


class Answer(Protocol):
    """The answer to a query, while its transaction is open."""

    @property
    def now(self) -> dt.datetime:
        """The present moment at the database, with a time zone."""

    @property
    def names(self) -> Sequence[str]:
        """Of its columns."""

    def rows(self) -> Iterator[Row]:
        """Its rows, once; each value as a text that means exactly this value."""

    def columns(self) -> Sequence[Column]:
        """Its columns with their types, after the last row."""


def check_names(names: Sequence[str]) -> None:
    """Raise SourceError for columns that a file can't have: without a name, or two of one name."""
    seen: set[str] = set()
    for name in names:
        # DuckDB's names have no case.
        if name.casefold() in seen:
            raise SourceError(f"the query has two columns {visible(name)!r}; rename one of them with AS")
        if not name or name == "?column?":
            raise SourceError("the query has a column without a name; name it with AS")
        seen.add(name.casefold())


def line_of(row: Row) -> str:
    """A row as a line of the file of texts."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def write_lines(lines: Iterable[str], path: Path, limit: int) -> int:
    """Write rows to a file of texts; returns their number.

    Raises:
        SourceError: a row, or all of them, are larger than the limit, or a text is no Unicode.
    """
    rows = size = 0
    try:
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            for line in lines:
                size += stream.write(f"{line}\n")
                if size > limit or len(line) > LARGEST_ROW // 4:
                    raise SourceError(_too_large(rows, size, limit))
                rows += 1
    except UnicodeEncodeError:
        raise SourceError(f"row {rows + 1:,} has a text that is no Unicode") from None
    return rows


def _too_large(rows: int, size: int, limit: int) -> str:
    if size > limit:
        return (
            f"the query gave more than {limit:,} characters, with row {rows + 1:,}: divide it by `batches`, or raise"
            " MAX_FILE_BYTES"
        )
    return f"row {rows + 1:,} has more than {LARGEST_ROW // 4:,} characters"


def write_parquet(lines: Path, columns: Sequence[Column], target: Path) -> None:
    """Make a Parquet file of a file of texts; the rows keep their order.

    Raises:
        SourceError: a value can't be held exactly; the message names its column.
    """
    import duckdb

    values = ", ".join(_typed(number, column) for number, column in enumerate(columns))
    read = (
        f"read_json({literal(str(lines))}, format = 'newline_delimited', records = false,"
        f" columns = {{'texts': 'VARCHAR[]'}}, maximum_object_size = {LARGEST_ROW})"
    )
    # One thread: the same rows are the same bytes, by which a batch is known that did not change.
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": MEMORY,
        "threads": 1,
        "temp_directory": "",
    }
    with closing(duckdb.connect(config=config)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        try:
            connection.execute(
                f"COPY (SELECT {values} FROM {read}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)"
            )
        except duckdb.Error as error:
            if found := _MARKED.search(str(error)):
                raise SourceError(_refused(columns[int(found[1])])) from None
            raise SourceError(f"the rows could not be written: {without_values(error)}") from None


def _typed(number: int, column: Column) -> str:
    """The expression that types a column, and refuses what the type does not hold."""
    text = f"texts[{number + 1}]"
    if column.sql_type == TEXT:
        return f"{text} AS {ident(column.name)}"
    cast = f"TRY_CAST({text} AS {column.sql_type})"
    # DuckDB has infinite dates as well. No file of another kind has, and no contract expects them.
    refused = f"{text} LIKE '%infinity' OR {text} LIKE '%BC'" if column.sql_type in _DATE_LIKE else "false"
    return (
        f"CASE WHEN {text} IS NULL THEN NULL WHEN {refused} OR {cast} IS NULL"
        f" THEN CAST(error('{MARK}{number}') AS {column.sql_type}) ELSE {cast} END AS {ident(column.name)}"
    )


def _refused(column: Column) -> str:
    return (
        f"column {visible(column.name)!r} has a value that {column.sql_type} does not hold, such as NaN, infinity or a"
        f" year before our era: leave such rows out, or cast the column to text in the query"
    )
