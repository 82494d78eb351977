"""A spreadsheet file, whichever of two kinds: its sheets, and the rows of each. The kind is told by the first bytes.

    [Content_Types].xml, xl/...        Office: `workbook` and `sheet_rows`
    mimetype, content.xml              OpenDocument: `open_document` and `open_document_rows`

What is read of a sheet, and where its header is, is the same for both, and told by `sheet_choice` and `sheet_csv`.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from orchestration_project.formats.decompress import HEAD_BYTES, OPEN_DOCUMENT
from orchestration_project.formats.open_document import OpenDocument, open_document
from orchestration_project.formats.open_document_rows import last_row as last_row_of_document
from orchestration_project.formats.open_document_rows import rows as rows_of_document
from orchestration_project.formats.sheet_rows import Row, last_row, rows
from orchestration_project.formats.workbook import Sheet, Workbook, open_workbook


@dataclass(frozen=True, slots=True)
class Spreadsheet:
    """An open spreadsheet.

    Attributes:
        name: the file's logical name.
        sheets: its sheets with cells, hidden ones too, in order.
        rows: a sheet's rows with a cell in which something stands, for the time of a `with`.
        last_row: the number of a sheet's last such row, counted by another way; 0 if there is none.

    Both raise FileRefused when the sheet is damaged, the rows while they are read.
    """

    name: str
    sheets: tuple[Sheet, ...]
    rows: Callable[[Sheet], AbstractContextManager[Iterator[Row]]]
    last_row: Callable[[Sheet], int]


@contextmanager
def open_spreadsheet(path: Path, name: str, work: Path, max_bytes: int) -> Iterator[Spreadsheet]:
    """Open a spreadsheet.

    Args:
        path: the file.
        name: its logical name, for messages.
        work: a folder for a copy of its strings.
        max_bytes: how many bytes its parts may have, unpacked.

    Raises:
        FileRefused: it is none, or encrypted, damaged or too large.
    """
    with path.open("rb") as stream:
        is_document = bool(OPEN_DOCUMENT.match(stream.read(HEAD_BYTES)))
    if is_document:
        with open_document(path, name, max_bytes) as document:
            yield Spreadsheet(
                name, document.sheets, partial(_document_rows, document), partial(_document_last, document)
            )
    else:
        with open_workbook(path, name, work, max_bytes) as workbook:
            yield Spreadsheet(name, workbook.sheets, partial(_rows, workbook), partial(_last, workbook))


@contextmanager
def _rows(workbook: Workbook, sheet: Sheet) -> Iterator[Iterator[Row]]:
    with workbook.open(sheet) as stream:
        yield rows(stream, workbook)


def _last(workbook: Workbook, sheet: Sheet) -> int:
    with workbook.open(sheet) as stream:
        return last_row(stream)


@contextmanager
def _document_rows(document: OpenDocument, sheet: Sheet) -> Iterator[Iterator[Row]]:
    with document.open() as stream:
        yield rows_of_document(stream, sheet.number, document.name)


def _document_last(document: OpenDocument, sheet: Sheet) -> int:
    with document.open() as stream:
        return last_row_of_document(stream, sheet.number)
