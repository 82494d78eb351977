"""Workbooks: what openpyxl reads is what is loaded, and damaged or hostile ones are refused within bounds."""

import datetime as dt
import io
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.sheet_csv import convert
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.formats.workbooks import HEADER, packed, parts, saved, text, workbook
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("input")

XLSX = SourceFormat(FileFormat.XLSX)
CONTRACT = feed(column("id"), column("n"), source=XLSX)
ROW = f'<row r="2">{text("A2", "k")}{text("B2", "1")}</row>'
ERRORS = ("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A")

TEXTS = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="_\ufffe\uffff"), min_size=1, max_size=20
).filter(lambda value: value not in ERRORS)
MOMENTS = st.datetimes(dt.datetime.fromisoformat("1900-03-01"), dt.datetime.fromisoformat("9999-12-31")).map(
    lambda value: value.replace(microsecond=value.microsecond // 1000 * 1000)
)
CELLS = st.one_of(
    st.none(),
    TEXTS,
    st.integers(-(10**15), 10**15),
    # Excel's largest number is a little less than a double's, whose 16 digits may be no double any more.
    st.floats(-1e307, 1e307),
    st.booleans(),
    MOMENTS,
    MOMENTS.map(dt.datetime.date),
    MOMENTS.map(dt.datetime.time),
    st.sampled_from(ERRORS),
)
Drawn = list[tuple[Any, Any]]
TABLES: st.SearchStrategy[Drawn] = st.lists(st.tuples(CELLS, CELLS), max_size=8)


def written_by_openpyxl(rows: Drawn, above: int, from_1904: bool) -> bytes:
    """A workbook with some rows above its header."""
    made = openpyxl.Workbook()
    if from_1904:
        made.epoch = dt.datetime.fromisoformat("1904-01-01")
    sheet = made.worksheets[0]
    for nth, row in enumerate([("id", "n"), *rows], start=above + 1):
        for place, value in enumerate(row, start=1):
            cell = sheet.cell(nth, place, value)
            if isinstance(value, str) and value not in ERRORS:
                cell.data_type = "s"
    return saved(made)


def written_by_xlsxwriter(rows: Drawn, above: int, from_1904: bool) -> bytes:
    """The same by another program, which writes texts into the cells themselves."""
    stream = io.BytesIO()
    made = xlsxwriter.Workbook(stream, {"constant_memory": True, "date_1904": from_1904})
    sheet = made.add_worksheet()
    formats = {kind: made.add_format({"num_format": code}) for kind, code in DATE_CODES.items()}
    for nth, row in enumerate([("id", "n"), *rows], start=above):
        for place, value in enumerate(row):
            if type(value) in formats:
                sheet.write_datetime(nth, place, value, formats[type(value)])
            elif isinstance(value, str):
                sheet.write_string(nth, place, value)
            else:
                sheet.write(nth, place, value)
    made.close()
    return stream.getvalue()


DATE_CODES = {dt.datetime: "yyyy-mm-dd h:mm:ss", dt.date: "yyyy-mm-dd", dt.time: "h:mm:ss"}


def as_openpyxl_reads(content: bytes, above: int) -> dict[int, object]:
    """What each row below the header holds, as openpyxl reads it, by its number."""
    found: dict[int, object] = {}
    for row in openpyxl.load_workbook(io.BytesIO(content), data_only=True).worksheets[0].iter_rows(above + 2):
        is_error = any(cell.data_type == "e" for cell in row)
        values = tuple(_text(cell.value, cell.number_format) for cell in row)
        found[int(row[0].row or 0)] = "error_cell" if is_error else values * any(value is not None for value in values)
    while found and found[max(found)] == ():
        del found[max(found)]
    return found


def _text(value: object, code: str) -> str | None:
    """A value as a delimited file would have it."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case int() | float():
            whole = f"{Decimal(repr(value)):f}"
            whole = whole.rstrip("0").rstrip(".") if "." in whole else whole
            return "0" if whole == "-0" else whole
        case dt.datetime():
            is_day = "h" not in code.lower() and value.time() == dt.time()
            return value.date().isoformat() if is_day else _seconds(value.isoformat(" "))
        case dt.time():
            return _seconds(value.isoformat())
    return str(value)


def _seconds(iso: str) -> str:
    return iso.rstrip("0") if "." in iso else iso


@pytest.mark.parametrize("write", [written_by_openpyxl, written_by_xlsxwriter])
@settings(max_examples=effort(25, 1000), deadline=None)
@given(rows=TABLES, above=st.integers(0, 3), from_1904=st.booleans())
def test_workbooks_are_read_as_openpyxl_reads_them(
    write: Callable[[Drawn, int, bool], bytes], rows: Drawn, above: int, from_1904: bool
) -> None:
    """Each cell of a drawn workbook has the value that an independent reader finds, in the same row."""
    if from_1904:
        rows = [(None if _before_1904(one) else one, None if _before_1904(two) else two) for one, two in rows]
    content = write(rows, above, from_1904)
    with TemporaryDirectory() as folder:
        assert records(Path(folder), CONTRACT, content) == as_openpyxl_reads(content, above)
    tried()


def _before_1904(value: object) -> bool:
    return isinstance(value, dt.date) and value.year < 1905


def refused(folder: Path, content: bytes) -> FileRefused:
    """The refusal of a workbook, beside which another file is loaded as always."""
    shop = Shop(folder, CONTRACT)
    shop.deliver(named(1), content)
    shop.deliver(named(2), workbook({"Data": [("id", "n"), ("good", "1")]}))
    shop.load()
    assert shop.cleaned("id") == ["good"]
    note = shop.quarantine()[named(1)]
    return FileRefused(note["rule"], note["reason"])


SHEET = "xl/worksheets/sheet1.xml"
BOOK = parts(HEADER + ROW)


def without(part: str) -> bytes:
    return packed({name: content for name, content in parts(HEADER + ROW).items() if name != part})


def with_part(part: str, content: str | bytes) -> bytes:
    return packed(parts(HEADER + ROW) | {part: content})


def misplaced() -> bytes:
    """A workbook whose directory begins before the file does."""
    content = bytearray(packed(BOOK))
    end = content.rfind(b"PK\x05\x06")
    content[end + 12 : end + 16] = len(content).to_bytes(4, "little")
    return bytes(content)


def packed_otherwise() -> bytes:
    """A workbook whose parts are compressed as no spreadsheet does it."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in BOOK.items():
            archive.writestr(name, content)
    return stream.getvalue()


def encrypted_entry() -> bytes:
    """A workbook whose entries are marked as encrypted, in the directory and before each of them."""
    content = bytearray(packed(parts(HEADER + ROW)))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + at] |= 1
            place = content.find(mark, place + 4)
    return bytes(content)


OLE2 = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 6000
ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'
DAMAGED = {
    "text": (b"id,n\na,1\n", "unreadable", "not a workbook"),
    "cut off": (packed(BOOK)[:-40], "unreadable", "not a readable workbook"),
    "wrong offsets": (misplaced(), "unreadable", "not a readable workbook"),
    "another compression": (packed_otherwise(), "unreadable", "compression method 14"),
    "old kind": (OLE2, "unsupported_format", "save it as xlsx"),
    "encrypted": (OLE2 + "EncryptedPackage".encode("utf-16-le"), "encrypted", "without a password"),
    "encrypted entries": (encrypted_entry(), "encrypted", "without a password"),
    "no sheet": (without(SHEET), "unreadable", "lacks its part"),
    "no workbook": (without("xl/workbook.xml"), "unreadable", "lacks its part"),
    "no list of parts": (without("_rels/.rels"), "unreadable", "not a workbook"),
    "a text document": (
        with_part("_rels/.rels", BOOK["_rels/.rels"].replace("xl/workbook", "word/document")),
        "unreadable",
        "not a workbook",
    ),
    "binary": (
        with_part("_rels/.rels", BOOK["_rels/.rels"].replace("workbook.xml", "workbook.bin")),
        "unsupported_format",
        "xlsb",
    ),
    "broken XML": (with_part(SHEET, BOOK[SHEET][:-30]), "unreadable", "not a readable workbook"),
    "broken XML of strings": (with_part("xl/strings.xml", "<sst"), "unreadable", "not a readable workbook"),
    "no sheet's XML": (with_part(SHEET, "<html/>"), "unreadable", "begins with 'html'"),
    "an external entity": (packed(parts(HEADER + ROW, prolog=ENTITY)), "unreadable", "document type"),
    "growing entities": (packed(parts(HEADER + ROW, prolog=LAUGHS)), "unreadable", "document type"),
    "entities in strings": (with_part("xl/strings.xml", ENTITY + "<sst/>"), "unreadable", "document type"),
    "rows out of order": (packed(parts(HEADER + ROW + ROW)), "unreadable", "row 2 comes after row 2"),
    "rows beyond the last": (packed(parts(f'{HEADER}<row r="1048577"/>')), "unreadable", "row 1048577"),
    "a cell in another row": (packed(parts(f'{HEADER}<row r="2">{text("A3", "k")}</row>')), "unreadable", "cell A3"),
    "a cell twice": (packed(parts(f'{HEADER}<row r="2">{text("A2", "k") * 2}</row>')), "unreadable", "cell A2"),
    "columns beyond the last": (packed(parts(f'{HEADER}<row r="2">{text("XFE2", "k")}</row>')), "unreadable", "XFE"),
    "no column": (packed(parts(f'{HEADER}<row r="2">{text("a2", "k")}</row>')), "unreadable", "no column"),
    "no number": (packed(parts(f'{HEADER}<row r="2"><c r="A2"><v>x</v></c></row>')), "unreadable", "is no number"),
    "no shared string": (
        packed(parts(f'{HEADER}<row r="2"><c r="A2" t="s"><v>7</v></c></row>')),
        "unreadable",
        "shared string 7",
    ),
    "an unknown type": (packed(parts(f'{HEADER}<row r="2"><c r="A2" t="q"><v>7</v></c></row>')), "unreadable", "type"),
    "no boolean": (packed(parts(f'{HEADER}<row r="2"><c r="A2" t="b"><v>7</v></c></row>')), "unreadable", "'b'"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_workbooks(case: str, tmp_path: Path) -> None:
    """Each is refused under its rule, with what is wrong, and costs no other file."""
    content, rule, words = DAMAGED[case]
    found = refused(tmp_path, content)
    assert (found.rule, words in found.message) == (rule, True), found.message
    tried()


def test_parts_that_stand_twice(tmp_path: Path) -> None:
    """Programs would not agree which of them counts."""
    stream = io.BytesIO(packed(BOOK))
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr(SHEET.upper(), BOOK[SHEET])
    assert "twice" in refused(tmp_path, stream.getvalue()).message


def test_any_damage(tmp_path: Path) -> None:
    """Whatever bytes are changed or cut off, the file is loaded as it was or refused; nothing else is raised."""
    dice = random.Random(7)  # noqa: S311 - chance, not secrets
    good = workbook({"Data": [("id", "n"), *((f"k{nth}", nth) for nth in range(30))]})
    expected = records(_own(tmp_path), CONTRACT, good)
    for _ in range(effort(60, 3000)):
        content = bytearray(good)
        for _ in range(dice.randint(1, 4)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        end = dice.choice([None, dice.randrange(9999)])
        # The checksum of each part tells that it is whole; names and times beside them may change.
        with suppress(FileRefused, FilesUnfit):
            assert records(_own(tmp_path), CONTRACT, bytes(content[:end])) == expected
        tried()


def _own(folder: Path) -> Path:
    (own := folder / str(len(list(folder.iterdir())))).mkdir()
    return own


BIG = 8_000_000
REPEATED = "".join(f'<row r="{row}"><c r="A{row}" t="s"><v>0</v></c></row>' for row in range(2, 1002))
BOMBS = {
    "a part that inflates": (parts(HEADER + ROW + "<!--" + "x" * BIG + "-->"), "too_large"),
    "strings that inflate": (parts(HEADER + ROW, f"<si><t>{'x' * BIG}</t></si>"), "too_large"),
    "a text in every row": (parts(HEADER + REPEATED, f"<si><t>{'x' * 100_000}</t></si>"), "too_large"),
}


@pytest.mark.parametrize("case", BOMBS)
def test_bombs(case: str, tmp_path: Path) -> None:
    """A small file that becomes a large one is refused before it does."""
    of, rule = BOMBS[case]
    path = tmp_path / "s.xlsx"
    path.write_bytes(packed(of))
    with pytest.raises(FileRefused) as found:
        convert(CONTRACT, path, "s.xlsx", tmp_path, max_bytes=BIG // 2)
    assert found.value.rule == rule
    assert sum(made.stat().st_size for made in tmp_path.iterdir()) < BIG


def test_a_record_that_is_too_long(tmp_path: Path) -> None:
    """Texts that are allowed by themselves may be too much for one record."""
    path = tmp_path / "s.xlsx"
    row = '<row r="2"><c r="A2" t="s"><v>0</v></c><c r="B2" t="s"><v>0</v></c></row>'
    path.write_bytes(packed(parts(HEADER + row, f"<si><t>{'x' * 3_000_000}</t></si>")))
    with pytest.raises(FileRefused, match="row of more than") as found:
        convert(CONTRACT, path, "s.xlsx", tmp_path, max_bytes=1 << 30)
    assert found.value.rule == "record_too_long"


def test_rows_that_are_only_blank(tmp_path: Path) -> None:
    """A cell in the last row makes a million blank records of a sheet, but not of each of many sheets."""
    made = openpyxl.Workbook()
    for sheet in (made.worksheets[0], made.create_sheet("More")):
        sheet["A1"], sheet["A1000000"] = "id", "last"
    path = tmp_path / "s.xlsx"
    path.write_bytes(saved(made))
    contract = feed(column("id"), source=SourceFormat(FileFormat.XLSX, sheet="*"))
    with pytest.raises(FileRefused, match="blank rows") as found:
        convert(contract, path, "s.xlsx", tmp_path, max_bytes=1 << 30)
    assert found.value.rule == "too_large"


def test_memory_of_large_workbooks(tmp_path: Path) -> None:
    """A workbook is read as a stream: ten times the rows take no more memory of Python's."""
    peaks = []
    for rows in (2_000, 20_000):
        path = tmp_path / f"{rows}.xlsx"
        made = xlsxwriter.Workbook(str(path), {"constant_memory": True})
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["id", "n"])
        for nth in range(1, rows + 1):
            sheet.write_row(nth, 0, [f"key {nth}" * 5, nth + 0.5])
        made.close()
        (work := tmp_path / f"work {rows}").mkdir()
        tracemalloc.start()
        assert convert(CONTRACT, path, path.name, work, max_bytes=1 << 30).records == rows
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0] + (4 << 20)
