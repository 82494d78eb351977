"""Workbooks for tests: written by openpyxl, or part by part as no good program would write them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import openpyxl

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def workbook(sheets: Mapping[str, Any]) -> bytes:
    """A workbook by openpyxl with rows of values on each sheet; a formula has no value then."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return saved(made)


def saved(made: openpyxl.Workbook) -> bytes:
    """The bytes of a workbook."""
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()


def parts(
    rows: str,
    strings: str = "",
    formats: Sequence[str] = (),
    properties: str = "",
    calculation: str = "",
    prolog: str = "",
    prefix: str = "",
) -> dict[str, str]:
    """The parts of a workbook with one sheet, whose rows are given as XML.

    Args:
        rows: the elements in `sheetData`.
        strings: the elements in `sst`.
        formats: codes of number formats, that of style 1 first.
        properties: attributes of `workbookPr`.
        calculation: attributes of `calcPr`.
        prolog: what stands in front of the sheet's root.
        prefix: of the sheet's elements, with a colon; the rows have to have it as well.
    """
    codes = "".join(f'<numFmt numFmtId="{164 + at}" formatCode="{code}"/>' for at, code in enumerate(formats))
    styles = "".join(f'<xf numFmtId="{164 + at}"/>' for at in range(len(formats)))
    space = f'xmlns{":" if prefix else ""}{prefix.rstrip(":")}="{MAIN}"'
    return {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _links(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr {properties}/>'
        f'<sheets><sheet name="Data" sheetId="1" r:id="r0"/></sheets><calcPr {calculation}/></workbook>',
        "xl/_rels/workbook.xml.rels": _links(
            ("worksheet", "worksheets/sheet1.xml"), ("styles", "styles.xml"), ("sharedStrings", "/xl/strings.xml")
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts>'
        f'<cellXfs><xf numFmtId="0"/>{styles}</cellXfs></styleSheet>',
        "xl/strings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/worksheets/sheet1.xml": f"{prolog}<{prefix}worksheet {space}><{prefix}sheetData>{rows}"
        f"</{prefix}sheetData></{prefix}worksheet>",
    }


def _links(*targets: tuple[str, str]) -> str:
    items = "".join(
        f'<Relationship Id="r{at}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for at, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{PACKAGE}">{items}</Relationships>'


def packed(of: Mapping[str, str | bytes]) -> bytes:
    """Parts as a workbook."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in of.items():
            archive.writestr(name, content)
    return stream.getvalue()


def text(place: str, value: str) -> str:
    """A cell with a text."""
    return f'<c r="{place}" t="inlineStr"><is><t>{value}</t></is></c>'


HEADER = f'<row r="1">{text("A1", "id")}{text("B1", "n")}</row>'
"""A header row for the columns id and n."""
