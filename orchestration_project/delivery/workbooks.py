"""Excel workbooks that are delivered: one sheet with a header, no formula, no value that is another one than before.

A number of Excel has 15 digits. A number with more of them is written as text, and so are dates before 1900, times
with microseconds, and times with a zone: Excel has no cell for them. Text is never taken for a formula or a link.
Only a floating point number is rounded, to 16 digits.
"""

import datetime as dt
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile

from orchestration_project.delivery.file_formats import Adder, shut_connection
from orchestration_project.delivery.model import Figures, Shape
from orchestration_project.errors import DeliveryError
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from xlsxwriter.worksheet import Worksheet

MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_576, 16_384, 32_767
DIGITS = 15
FETCHED = 10_000
FIRST_DAY = dt.date(1900, 3, 1)
"""Excel believes that there was a 29 February 1900, so days before are others elsewhere."""
SHEET = "xl/worksheets/sheet1.xml"
NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LETTERS = re.compile(r"[A-Z]+")


def write_workbook(shape: Shape, copied: Path, path: Path) -> None:
    """Make a workbook of a copied part, row by row.

    Raises:
        DeliveryError: the part does not fit into a sheet, or xlsxwriter is not installed.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise DeliveryError(
            "what writes Excel workbooks is not installed: pip install 'orchestration-project[workbooks]'"
        ) from None
    if len(shape.columns) > MOST_COLUMNS:
        raise DeliveryError(f"{shape.table} has {len(shape.columns)} columns, a sheet of Excel {MOST_COLUMNS}")
    # Row by row to a file: a sheet in memory would take a hundred times the size of the part.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(str(path), {**options, "tmpdir": str(path.parent)}) as book:
        # Excel refuses longer names of sheets, and some characters in them.
        sheet = book.add_worksheet(re.sub(r"[\[\]:*?/\\']", "_", shape.table)[:31])
        formats = {
            "date": book.add_format({"num_format": "yyyy-mm-dd"}),
            "datetime": book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}),
        }
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(shape.columns):
            sheet.write_string(0, column, name)
        for number, row in enumerate(_rows(copied), start=1):
            if number >= MOST_ROWS:
                raise DeliveryError(
                    f"{shape.table} has more rows than the {MOST_ROWS:,} of a sheet of Excel, header included: deliver"
                    " it by batches, or in another format"
                )
            _write_row(sheet, number, row, shape, formats)


def _rows(copied: Path) -> Iterator[tuple[Any, ...]]:
    with shut_connection(copied.parent) as connection:
        rows = connection.execute(f"FROM read_parquet({literal(str(copied))}, hive_partitioning = false)")
        while group := rows.fetchmany(FETCHED):
            yield from group


def _write_row(sheet: "Worksheet", number: int, row: Sequence[Any], shape: Shape, formats: dict[str, Any]) -> None:
    for column, value in enumerate(row):
        match value:
            case None:
                continue
            case bool():
                sheet.write_boolean(number, column, value)
            case int() | float() | Decimal() if _fits(value):
                sheet.write_number(number, column, float(value))
            case dt.datetime() if value.tzinfo is None and value.microsecond % 1000 == 0 and value.date() >= FIRST_DAY:
                sheet.write_datetime(number, column, value, formats["datetime"])
            case dt.date() if not isinstance(value, dt.datetime) and value >= FIRST_DAY:
                sheet.write_datetime(number, column, dt.datetime.combine(value, dt.time()), formats["date"])
            case _:
                sheet.write_string(number, column, _text(value, list(shape.columns)[column], shape.table))


def _fits(number: int | float | Decimal) -> bool:
    """Whether Excel keeps a number as it is: it has 15 digits, and neither infinity nor NaN."""
    if isinstance(number, float):
        return math.isfinite(number)
    # Not by `normalize`, which rounds to 28 digits first.
    return len("".join(map(str, Decimal(number).as_tuple().digits)).strip("0")) <= DIGITS


def _text(value: object, column: str, table: str) -> str:
    text = value if isinstance(value, str) else str(value)
    if len(text) > MOST_CHARACTERS:
        raise DeliveryError(
            f"{table}: a text of column {column} has {len(text)} characters, a cell of Excel {MOST_CHARACTERS}: deliver"
            " it in another format"
        )
    return text


def workbook_figures(shape: Shape, path: Path) -> Figures:
    """The figures of a workbook that `write_workbook` has made, read from its XML."""
    adder, totals = Adder(shape), {number: name for number, name in enumerate(shape.columns) if name in shape.totals}
    try:
        with ZipFile(path) as book, book.open(SHEET) as stream:
            for row in _xml_rows(stream):
                if row.get("r") != "1":
                    adder.add({totals[at]: number for at, number in _numbers(row) if at in totals})
    except (BadZipFile, KeyError, ET.ParseError, EOFError, zlib.error):
        raise DeliveryError("it is no workbook that was written here") from None
    return adder.figures


def _xml_rows(stream: IO[bytes]) -> Iterator[ET.Element]:
    """The rows of a sheet, each of which is forgotten when the next one is asked for."""
    data = None
    # What is known of attacks needs entities, and Python's expat limits how far they grow.
    for event, element in ET.iterparse(stream, events=("start", "end")):  # noqa: S314
        if element.tag == f"{NAMESPACE}sheetData":
            data = element
        elif event == "end" and element.tag == f"{NAMESPACE}row" and data is not None:
            yield element
            data.clear()


def _numbers(row: ET.Element) -> Iterator[tuple[int, Decimal]]:
    """Each cell's column, from 0, and its number; where it is text, the number that is written there."""
    for cell in row:
        letters = LETTERS.match(cell.get("r", ""))
        text = "".join(cell.itertext())
        if letters and cell.get("t") not in ("b", "e"):
            try:
                yield _index(letters[0]), Decimal(text)
            except ArithmeticError:
                continue


def _index(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
