"""OpenDocument spreadsheets: what another reader reads is what is loaded; damaged and hostile ones are refused."""

import datetime as dt
import io
import random
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats import workbook_parts
from orchestration_project.formats.sheet_csv import convert
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.formats.open_documents import (
    below,
    cell,
    content,
    error,
    formula,
    open_document,
    packed,
    rows_of,
)
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.test_input_excel import MOMENTS, TEXTS, _text

pytestmark = pytest.mark.promise("input")

SHEETS = SourceFormat(FileFormat.XLSX)
CONTRACT = feed(column("id"), column("n"), source=SHEETS)
HEAD = ("id", "n")
FLOAT = 'office:value-type="float" office:value='
CELLS = st.one_of(
    st.none(),
    TEXTS,
    st.sampled_from(["a  b ", "two\nlines", " <&> "]),
    st.integers(-(10**15), 10**15),
    st.floats(-1e307, 1e307),
    st.booleans(),
    MOMENTS.map(lambda value: value.replace(microsecond=0)),
    MOMENTS.map(dt.datetime.date),
    MOMENTS.map(lambda value: value.time().replace(microsecond=0)),
)


def as_calamine_reads(file: bytes, above: int) -> dict[int, object]:
    """What each row below the header holds, as calamine reads it, by its number."""
    rows = CalamineWorkbook.from_filelike(io.BytesIO(file)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    found: dict[int, object] = {}
    for number, row in enumerate(rows[above + 1 :], above + 2):
        values = tuple(_text(None if value == "" else value, "yyyy-mm-dd h:mm") for value in [*row, "", ""][:2])
        values = tuple(_day(text, value) for text, value in zip(values, row, strict=False))
        found[number] = values * any(value is not None for value in values)
    while found and found[max(found)] == ():
        del found[max(found)]
    return found


def _day(text: str | None, value: object) -> str | None:
    return value.isoformat() if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else text


@settings(max_examples=effort(40, 1500), deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=8), above=st.integers(0, 3))
def test_documents_are_read_as_calamine_reads_them(rows: list[tuple[Any, Any]], above: int) -> None:
    """Each cell of a drawn document has the value that an independent reader finds, in the same row."""
    file = open_document({"Data": [*([()] * above), HEAD, *rows]})
    with TemporaryDirectory() as folder:
        assert records(Path(folder), CONTRACT, file) == as_calamine_reads(file, above)
    tried()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(cell(f'{FLOAT}"12345678901234567890"'), "12345678901234567890", id="all digits"),
        pytest.param(cell(f'{FLOAT}"1.1000000000000001"'), "1.1", id="no noise of doubles"),
        pytest.param(
            cell('office:value-type="percentage" office:value="0.19"', "<text:p>19%</text:p>"), "0.19", id="%"
        ),
        pytest.param(
            cell('office:value-type="currency" office:value="2.40"', "<text:p>2,40 €</text:p>"), "2.4", id="€"
        ),
        pytest.param(formula(f'{FLOAT}"2"', "2"), "2", id="formula"),
        pytest.param(formula(f'{FLOAT}"2"', "#2"), "2", id="a number that is shown with #"),
        pytest.param(formula('office:value-type="string"', "#sale"), "#sale", id="formula that gives a text with #"),
        pytest.param(formula('office:value-type="string"'), None, id="formula that gives an empty text"),
        pytest.param(cell('office:value-type="time" office:time-value="PT36H00M00S"'), "36:00:00", id="hours"),
        pytest.param(cell('office:value-type="time" office:time-value="P1DT1H"'), "25:00:00", id="a day and an hour"),
        pytest.param(cell('office:value-type="time" office:time-value="-PT1H"'), "-PT1H", id="negative hours"),
        pytest.param(
            cell('office:value-type="date" office:date-value="2024-02-01T09:59:59.9999996"'),
            "2024-02-01 10:00:00",
            id="to the millisecond",
        ),
        pytest.param(cell('office:value-type="date" office:date-value="2024-02-30"'), "2024-02-30", id="no such day"),
        pytest.param(
            cell('office:value-type="date" office:date-value="-0044-03-15"'), "-0044-03-15", id="before year 1"
        ),
        pytest.param(cell("", "<text:p>by hand</text:p>"), "by hand", id="a text without a type"),
        pytest.param(
            cell(
                'office:value-type="string"',
                "<office:annotation><text:p>x</text:p></office:annotation><text:p>a</text:p>",
            ),
            "a",
            id="a comment is no part of it",
        ),
        pytest.param(
            cell(
                'office:value-type="string"',
                "<text:p>a<draw:frame><draw:text-box><text:p>x</text:p></draw:text-box></draw:frame><text:span>b</text:span>"
                "\n  c</text:p>",
            ),
            "ab c",
            id="pictures, spans, blanks of the XML",
        ),
    ],
)
def test_values(value: object, expected: str | None, tmp_path: Path) -> None:
    """Each has all of its digits and letters, and nothing that stands beside it."""
    file = open_document({"Data": [HEAD, ("k", value)]}, "<table:shapes><text:p>id</text:p></table:shapes>")
    assert records(tmp_path, CONTRACT, file) == {2: ("k", expected)}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(error("#DIV/0!"), id="LibreOffice"),
        pytest.param(error("Err:502"), id="an error of its own"),
        pytest.param(formula(f'{FLOAT}"0"', "#DIV/0!"), id="older programs"),
        pytest.param(formula(f'{FLOAT}"0"', "#WERT!"), id="older programs, in German"),
        pytest.param(formula(f'{FLOAT}"0"', "Err:502"), id="older programs, by its number"),
        pytest.param(formula('office:value-type="string" office:string-value=""', "#N/A"), id="as a text"),
    ],
)
def test_error_cells(value: object, tmp_path: Path) -> None:
    """An error is a reject and never an empty cell, nor the number that some programs write with it."""
    assert records(tmp_path, CONTRACT, open_document({"Data": [HEAD, ("k", value)]})) == {2: "error_cell"}


def test_rows_and_cells_that_are_alike(tmp_path: Path) -> None:
    """They stand in the file once, and each is a record or a value of its own; blank rows between them count."""
    rows = [HEAD, ("a", "a"), ("a", "a"), (), (), ("b", None), ()]
    found = records(tmp_path, CONTRACT, open_document({"Data": rows}))
    assert found == {2: ("a", "a"), 3: ("a", "a"), 4: (), 5: (), 6: ("b", None)}


def test_the_sheet_with_the_header(tmp_path: Path) -> None:
    """It is found among others; copies of other documents and rows behind the last sheet are none."""
    copy = f"""<table:table table:name="'file:///x.ods'#$S">{rows_of([HEAD, ("x", 1)])}</table:table>"""
    data = f'<table:table table:name="Data">{rows_of([HEAD, ("a", 1)])}</table:table>'
    link = f"<table:dde-link><table:table>{rows_of([HEAD])}</table:table></table:dde-link>"
    links = f"<table:dde-links>{link}</table:dde-links>"
    notes = f'<table:table table:name="Notes">{rows_of([("x",)])}</table:table>'
    assert records(tmp_path, CONTRACT, packed(content(notes + copy + data + copy + links))) == {2: ("a", "1")}


def test_a_large_sheet_before_the_one_with_the_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its size is not that of a record."""
    monkeypatch.setattr(workbook_parts, "MAX_RECORD_BYTES", 1 << 17)
    notes = [(f"note {number}" * 10,) for number in range(5000)]
    file = open_document({"Notes": notes, "Data": [HEAD, ("a", 1)]})
    assert records(tmp_path, CONTRACT, file) == {2: ("a", "1")}


def refused(folder: Path, file: bytes) -> FileRefused:
    """The refusal of a document, beside which another file is loaded as always."""
    shop = Shop(folder, CONTRACT)
    shop.deliver(named(1), file)
    shop.deliver(named(2), open_document({"Data": [HEAD, ("good", "1")]}))
    shop.load()
    assert shop.cleaned("id") == ["good"]
    note = shop.quarantine()[named(1)]
    return FileRefused(note["rule"], note["reason"])


def table(rows: str, prolog: str = "") -> bytes:
    """A document of one sheet, whose rows below the header are given as XML."""
    head = rows_of([HEAD]).removesuffix(below(1))
    return packed(content(f'<table:table table:name="S">{head}{rows}</table:table>', prolog))


def row(attributes: str, inside: str = "", repeated: str = "") -> str:
    return f"<table:table-row {repeated}><table:table-cell {attributes}>{inside}</table:table-cell></table:table-row>"


GOOD = open_document({"Data": [HEAD, *((f"k{number}", number) for number in range(30))]})
KEY = "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>"
ENTITY = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
BLANKS = '<text:p><text:s text:c="60000000"/><text:s text:c="60000000"/></text:p>'
TEXT = 'office:value-type="string"'
DAMAGED = {
    "cut off": (GOOD[:-40], "unreadable", "not a readable workbook"),
    "no sheets": (packed(None), "unreadable", "lacks its part"),
    "encrypted": (packed("x", KEY), "encrypted", "without a password"),
    "encrypted as a whole": (packed(None, **{"encrypted-package": "x"}), "encrypted", "without a password"),
    "broken XML": (packed(content("")[:-30]), "unreadable", "not a readable workbook"),
    "another document": (packed("<html/>"), "unreadable", "begins with 'html'"),
    "an entity": (table("", ENTITY), "unreadable", "document type"),
    "no header": (open_document({"Data": [("x",)]}), "no_header", "header row"),
    "an unknown type": (table(row('office:value-type="q"')), "unreadable", "type 'q'"),
    "no number": (table(row(f'{FLOAT}"x"')), "unreadable", "is no number"),
    "no value": (table(row('office:value-type="float"')), "unreadable", "is no number"),
    "no boolean": (table(row('office:value-type="boolean" office:boolean-value="2"')), "unreadable", "nor false"),
    "a table in a cell": (table(row(TEXT, f"<table:table>{row(TEXT)}</table:table>")), "unreadable", "table in a cell"),
    "rows beyond the last": (
        table(row(TEXT, "<text:p>a</text:p>", 'table:number-rows-repeated="1048576"')),
        "unreadable",
        "rows",
    ),
    "columns beyond the last": (
        table(row(f'{TEXT} table:number-columns-repeated="16385"', "<text:p>a</text:p>")),
        "unreadable",
        "columns",
    ),
    "repeated no times": (table(row(TEXT, "", 'table:number-rows-repeated="0"')), "unreadable", "repeated '0' times"),
    "blanks without end": (table(row(TEXT, BLANKS)), "record_too_long", "blanks"),
    "never calculated": (table(row('table:formula="of:=1+1"')), "no_cached_value", "A2"),
    "a number never calculated": (
        table(row('table:formula="of:=1" office:value-type="float"')),
        "no_cached_value",
        "A2",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_documents(case: str, tmp_path: Path) -> None:
    """Each is refused under its rule, with what is wrong, and costs no other file."""
    file, rule, words = DAMAGED[case]
    found = refused(tmp_path, file)
    assert (found.rule, words in found.message) == (rule, True), found.message
    tried()


def test_any_damage(tmp_path: Path) -> None:
    """Whatever bytes are changed or cut off, the file is loaded as it was or refused; nothing else is raised."""
    dice = random.Random(7)  # noqa: S311 - chance, not secrets
    for number in range(effort(40, 2000)):
        file = bytearray(GOOD)
        for _ in range(dice.randint(1, 4)):
            file[dice.randrange(len(file))] = dice.randrange(256)
        (own := tmp_path / str(number)).mkdir()
        with suppress(FileRefused, FilesUnfit):
            found = records(own, CONTRACT, bytes(file[: dice.choice([None, dice.randrange(9999)])]))
            assert found == {2 + nth: (f"k{nth}", str(nth)) for nth in range(30)}
        tried()


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        pytest.param(
            row(TEXT, "<text:p>" + "x" * 100_000 + "</text:p>", 'table:number-rows-repeated="100000"'), "too_large"
        ),
        pytest.param(
            row(f'{TEXT} table:number-columns-repeated="16000"', "<text:p>" + "x" * 100_000 + "</text:p>"), "too_large"
        ),
        pytest.param("<!--" + "x" * 8_000_000 + "-->", "too_large"),
    ],
    ids=["rows", "columns", "a part that inflates"],
)
def test_bombs(rows: str, rule: str, tmp_path: Path) -> None:
    """A small file that becomes a large one is refused before it does."""
    path = tmp_path / "s.ods"
    path.write_bytes(table(rows))
    with pytest.raises(FileRefused) as found:
        convert(CONTRACT, path, "s.ods", tmp_path, max_bytes=4_000_000)
    assert found.value.rule == rule
    assert sum(made.stat().st_size for made in tmp_path.iterdir()) < 8_000_000
