"""The formats of files that are delivered: how a copied part becomes a file, and how a file is counted and added up.

A file is read back by another way than it was written, as one of its readers would do, and from nothing but its bytes.
Every value is exact, or the part is refused: see `workbooks` for Excel, whose numbers have 15 digits.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration_project.delivery.model import Figures, Shape
from orchestration_project.errors import DeliveryError, without_values
from orchestration_project.warehouse.connection import SHUT
from orchestration_project.warehouse.tables import ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A line of CSV may be as long as a value of the warehouse: a raw line of a file, for example.
LONGEST_LINE = 32 << 20


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A format of files.

    Attributes:
        ending: of a file's name.
        write: makes a file (third argument) of a copied part (second argument).
        figures: counts a file's rows and adds up its columns.
    """

    ending: str
    write: Callable[[Shape, Path, Path], None]
    figures: Callable[[Shape, Path], Figures]


@contextmanager
def shut_connection(folder: Path) -> Iterator["DuckDBPyConnection"]:
    """A DuckDB in memory that reads and writes files of one folder only.

    Raises:
        DeliveryError: it can't read or write a file. The message quotes no value.
    """
    import duckdb

    with closing(duckdb.connect(config=SHUT)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = [{literal(str(folder.resolve()))}]")
        connection.execute("SET enable_external_access = false")
        try:
            yield connection
        except duckdb.Error as error:
            raise DeliveryError(without_values(error)) from None


def write_parquet(_: Shape, copied: Path, path: Path) -> None:
    """Parquet is what parts are copied to: compressed by zstd, with statistics of row groups to skip them by."""
    copied.rename(path)


def write_csv(_: Shape, copied: Path, path: Path) -> None:
    """CSV as RFC 4180 has it, in UTF-8, with a header. An empty field is NULL, an empty text is written `""`."""
    _convert(copied, path, "FORMAT csv, HEADER")


def write_json_lines(_: Shape, copied: Path, path: Path) -> None:
    """JSON Lines: an object a row. Numbers have all of their digits; read them as decimals to keep them."""
    _convert(copied, path, "FORMAT json")


def _convert(copied: Path, path: Path, options: str) -> None:
    with shut_connection(copied.parent) as connection:
        connection.execute(f"COPY (FROM {_parquet(copied)}) TO {literal(str(path))} ({options})")


def _parquet(path: Path) -> str:
    # Its name may look like a partition of Hive, and would become a column.
    return f"read_parquet({literal(str(path))}, hive_partitioning = false)"


def parquet_figures(shape: Shape, path: Path) -> Figures:
    """The figures of a Parquet file."""
    return _figures(shape, path, _parquet(path))


def csv_figures(shape: Shape, path: Path) -> Figures:
    """The figures of a CSV file, all of whose fields are read as text."""
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in shape.columns)
    # One thread: several would each begin at a line end, which may be one within quotes.
    source = (
        f"read_csv({literal(str(path))}, columns = {{{columns}}}, auto_detect = false, header = true, delim = ',',"
        f" quote = '\"', escape = '\"', allow_quoted_nulls = false, parallel = false, max_line_size = {LONGEST_LINE})"
    )
    return _figures(shape, path, source)


def _figures(shape: Shape, path: Path, source: str) -> Figures:
    sums = "".join(f", sum({ident(name)}::{shape.columns[name]})" for name in shape.totals)
    with shut_connection(path.parent) as connection:
        row = connection.execute(f"SELECT count(*){sums} FROM {source}").fetchone()
    assert row
    return Figures(int(row[0]), dict(zip(shape.totals, row[1:], strict=True)))


def json_figures(shape: Shape, path: Path) -> Figures:
    """The figures of a file of JSON Lines."""
    # Not by DuckDB, which reads numbers of JSON as floating point on their way to a decimal.
    adder = Adder(shape)
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                adder.add(json.loads(line, parse_float=Decimal))
    except (ValueError, AttributeError):
        raise DeliveryError("a line of it is no JSON object") from None
    return adder.figures


class Adder:
    """Counts rows and adds up their numbers, exactly but for floating point columns."""

    def __init__(self, shape: Shape) -> None:
        self._rows = 0
        self._floating = {name for name in shape.totals if shape.columns[name] in ("DOUBLE", "FLOAT")}
        self._sums: dict[str, Any] = dict.fromkeys(shape.totals)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row, with numbers as int, Decimal or None."""
        self._rows += 1
        for name, total in self._sums.items():
            value = row.get(name)
            if value is not None:
                number = float(value) if name in self._floating else value
                self._sums[name] = number if total is None else total + number

    @property
    def figures(self) -> Figures:
        """What was counted and added up."""
        return Figures(self._rows, dict(self._sums))


def _write_workbook(shape: Shape, copied: Path, path: Path) -> None:
    from orchestration_project.delivery.workbooks import write_workbook

    write_workbook(shape, copied, path)


def _workbook_figures(shape: Shape, path: Path) -> Figures:
    from orchestration_project.delivery.workbooks import workbook_figures

    return workbook_figures(shape, path)


FORMATS: Mapping[str, FileFormat] = {
    "parquet": FileFormat(".parquet", write_parquet, parquet_figures),
    "csv": FileFormat(".csv", write_csv, csv_figures),
    "jsonl": FileFormat(".jsonl", write_json_lines, json_figures),
    "xlsx": FileFormat(".xlsx", _write_workbook, _workbook_figures),
}
