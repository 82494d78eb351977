"""OpenDocument spreadsheets for tests, written as LibreOffice writes them, or as no good program would."""

import datetime as dt
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

URN = "urn:oasis:names:tc:opendocument:xmlns"
SPACES = (
    " ".join(f'xmlns:{name}="{URN}:{name}:1.0"' for name in ("office", "table", "text"))
    + f' xmlns:draw="{URN}:drawing:1.0"'
    + ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
)
MIME = "application/vnd.oasis.opendocument.spreadsheet"
MANIFEST = f'<manifest:manifest xmlns:manifest="{URN}:manifest:1.0">{{}}</manifest:manifest>'


class Cell(str):
    """The XML of a cell's attributes, then that of its content, with a bar between them."""


def cell(attributes: str, content: str = "") -> Cell:
    """A cell that no value of Python is."""
    return Cell(f"{attributes}|{content}")


def formula(attributes: str, shown: str = "") -> Cell:
    """A cell with a formula and what a program has calculated."""
    return cell(f'table:formula="of:=[.A1]/0" {attributes}', f"<text:p>{shown}</text:p>" if shown else "")


def error(shown: str) -> Cell:
    """An error, as LibreOffice writes it."""
    return formula('office:value-type="string" office:string-value="" calcext:value-type="error"', shown)


def open_document(sheets: Mapping[str, Sequence[Sequence[object]]], beside: str = "") -> bytes:
    """A document with rows of values on each sheet; `beside` is XML that stands in front of each sheet's rows."""
    tables = "".join(
        f"<table:table table:name={quoteattr(name)}>{beside}{rows_of(rows)}</table:table>"
        for name, rows in sheets.items()
    )
    return packed(content(tables))


def content(tables: str, prolog: str = "") -> str:
    """The part with all sheets."""
    return (
        f"{prolog}<office:document-content {SPACES}><office:body><office:spreadsheet>{tables}"
        "</office:spreadsheet></office:body></office:document-content>"
    )


def packed(xml: str | None, manifest: str = "", **more: str) -> bytes:
    """An archive with the parts of a document; None: without sheets."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", MIME, zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", MANIFEST.format(manifest))
        for name, part in {**({} if xml is None else {"content.xml": xml}), **more}.items():
            archive.writestr(name, part)
    return stream.getvalue()


def rows_of(rows: Sequence[Sequence[object]]) -> str:
    """The XML of rows; those that are alike stand there once, as do cells."""
    made = "".join(
        f"<table:table-row{_repeated('rows', alike)}>{written}</table:table-row>"
        for written, alike in ((written, len([*found])) for written, found in groupby(map(_cells, rows)))
    )
    # A program writes all rows that a sheet can have.
    return made + below(len(rows))


def below(rows: int) -> str:
    """The XML of all rows that a sheet has below a number of rows."""
    return f'<table:table-row table:number-rows-repeated="{1_048_576 - rows}"><table:table-cell/></table:table-row>'


def _cells(row: Sequence[object]) -> str:
    parts = [_parts(value) for value in row]
    return "".join(
        f"<table:table-cell{_repeated('columns', len([*found]))} {attributes}>{inside}</table:table-cell>"
        for (attributes, inside), found in groupby(parts)
    )


def _repeated(what: str, times: int) -> str:
    return f' table:number-{what}-repeated="{times}"' if times > 1 else ""


def _parts(value: object) -> tuple[str, str]:
    """Attributes and content of a cell."""
    match value:
        case None:
            return "", ""
        case Cell():
            attributes, _, inside = value.partition("|")
            return attributes, inside
        case bool():
            return f'office:value-type="boolean" office:boolean-value="{str(value).lower()}"', ""
        case int() | float():
            return f'office:value-type="float" office:value="{value!r}"', ""
        case dt.datetime():
            return f'office:value-type="date" office:date-value="{value.isoformat()}"', ""
        case dt.date():
            return f'office:value-type="date" office:date-value="{value.isoformat()}"', ""
        case dt.time():
            seconds = f"{value.second:02}" + f".{value.microsecond:06}" * bool(value.microsecond)
            duration = f"PT{value.hour:02}H{value.minute:02}M{seconds}S"
            return f'office:value-type="time" office:time-value="{duration}"', ""
    paragraphs = "".join(f"<text:p>{_blanks(line)}</text:p>" for line in str(value).split("\n"))
    return 'office:value-type="string"', paragraphs


def _blanks(line: str) -> str:
    text = escape(line).replace("\t", "<text:tab/>")
    return re.sub(" +", lambda found: f'<text:s text:c="{len(found[0])}"/>', text)
