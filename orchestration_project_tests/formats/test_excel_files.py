"""Workbooks: the right sheet, its header, its rows with their numbers, and values in the contract's notation."""

import datetime as dt
import io
from pathlib import Path

import openpyxl
import pytest

from orchestration_project.contracts.feed import ALL_SHEETS, FileFormat, Parsing, Required, SourceFormat
from orchestration_project.errors import FileRefused
from orchestration_project_tests.formats.files import records
from orchestration_project_tests.formats.workbooks import HEADER, packed, parts, saved, text, workbook
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.ingest.test_values import formatted

XLSX = SourceFormat(FileFormat.XLSX)
CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "DECIMAL(18,4)"), source=XLSX)
HEAD = ("id", "n")


def on_sheet(sheet: str | int | None) -> SourceFormat:
    return SourceFormat(FileFormat.XLSX, sheet=sheet)


def test_a_table_below_titles_and_beside_blank_columns(tmp_path: Path) -> None:
    """The header is found by its names, blank rows are blank records, and a record has the number of its row."""
    rows = [
        ["Sales of shop 7"],
        [],
        [None, "ID", None, " N ", "note"],
        [None, "a", None, 1.5],
        [],
        [None, "b", None, 2],
    ]
    assert records(tmp_path, CONTRACT, workbook({"Data": rows}), "s.xlsx") == {
        4: ("a", "1.5"),
        5: (),
        6: ("b", "2"),
    }


def test_other_columns_are_rescued(tmp_path: Path) -> None:
    """A cell under an unknown name keeps its name, one without a name gets its column's letter."""
    shop = Shop(tmp_path, CONTRACT)
    rows = [["id", "n", "note", None, "x", "x"], ["a", 1, "gift", 2.5, True, "=1"], ["b", 2], ["c", 3, " "]]
    made = openpyxl.load_workbook(io.BytesIO(workbook({"Data": rows})))
    made["Data"]["F2"].data_type = "s"
    shop.deliver(named(1), saved(made))
    shop.load()
    assert [row["_rescued"] for row in shop.table("raw")] == [
        '{"note": "gift", "D": "2.5", "x_5": "true", "x_6": "=1"}',
        None,
        None,
    ]


def test_merged_cells_and_hidden_rows(tmp_path: Path) -> None:
    """A merged title is above the header, a merged cell has its value in its first row, hidden rows are data."""
    made = openpyxl.Workbook()
    sheet = made.worksheets[0]
    for row in (["Sales", None], ["id", "n"], ["a", 1], [None, 2], ["c", 3]):
        sheet.append(row)
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("A3:A4")
    sheet.row_dimensions[5].hidden = True
    sheet.column_dimensions["B"].hidden = True
    assert records(tmp_path, CONTRACT, saved(made), "s.xlsx") == {3: ("a", "1"), 4: (None, "2"), 5: ("c", "3")}


@pytest.mark.parametrize(
    ("sheet", "expected"),
    [
        pytest.param("second", "b", id="name in another case"),
        pytest.param(2, "b", id="number"),
        pytest.param("3", "c", id="a name of digits is a name"),
    ],
)
def test_a_chosen_sheet(sheet: str | int, expected: str, tmp_path: Path) -> None:
    """The contract names the sheet, or tells its number from 1."""
    content = workbook({"First": [HEAD, ["a", 1]], "Second": [HEAD, ["b", 1]], "3": [HEAD, ["c", 1]]})
    contract = feed(*CONTRACT.columns, source=on_sheet(sheet))
    assert records(tmp_path, contract, content) == {2: (expected, "1")}


def test_all_sheets_with_the_header(tmp_path: Path) -> None:
    """Each is read, the others are not; the number of the sheet stands before that of the row."""
    content = workbook({"North": [HEAD, ["a", 1]], "Notes": [["x"]], "South": [["Sales"], HEAD, [], ["b", 1]]})
    contract = feed(*CONTRACT.columns, source=on_sheet(ALL_SHEETS))
    assert records(tmp_path, contract, content) == {2: ("a", "1"), 20_000_003: (), 20_000_004: ("b", "1")}


def test_the_one_sheet_with_the_header(tmp_path: Path) -> None:
    """Without a choice it is read, wherever it stands and though it is hidden."""
    made = openpyxl.load_workbook(io.BytesIO(workbook({"Read me": [["id"], ["n"]], "Data": [HEAD, ["a", 1]]})))
    made["Data"].sheet_state = "hidden"
    made.create_chartsheet("Chart", 0)
    contract = feed(column("id"), column("n", "INTEGER", Required()), source=XLSX)
    assert records(tmp_path, contract, saved(made)) == {2: ("a", "1")}


@pytest.mark.parametrize(
    ("sheets", "sheet", "rule", "words"),
    [
        pytest.param({"A": [HEAD], "B": [HEAD]}, None, "ambiguous_sheet", "A, B", id="several and no choice"),
        pytest.param({"A": [HEAD], "B": [HEAD]}, "C", "missing_sheet", "found A, B", id="no sheet of that name"),
        pytest.param({"A": [HEAD]}, 2, "missing_sheet", "no sheet 2", id="no sheet of that number"),
        pytest.param({"A": [["x"]], "B": []}, None, "no_header", "rows of A, B", id="no header"),
        pytest.param(
            {"A": [["x"]], "B": [["n"]]}, None, "missing_column", "row 1 of sheet B lacks id", id="a part of it"
        ),
        pytest.param({"A": [[None]] * 100 + [HEAD]}, None, "no_header", "first 100 rows", id="too far below"),
        pytest.param({"A": [["id", "ID", "n"]]}, None, "ambiguous_column", "2 times", id="a column twice"),
        pytest.param({"A": [["id", "_reject_id"]]}, None, "misnamed_repair", ".repair.csv", id="a repair file"),
    ],
)
def test_no_sheet_can_be_read(
    sheets: dict[str, list[list[object]]], sheet: str | int | None, rule: str, words: str, tmp_path: Path
) -> None:
    """The file is refused, and the message names the sheets."""
    with pytest.raises(FileRefused, match=words) as refused:
        records(tmp_path, feed(*CONTRACT.columns, source=on_sheet(sheet)), workbook(sheets))
    assert refused.value.rule == rule


MOMENT, MIDNIGHT = (dt.datetime.fromisoformat(text) for text in ("2024-02-01 10:30", "2024-02-01"))


@pytest.mark.parametrize(
    ("value", "sql_type", "parsing", "expected"),
    [
        pytest.param(dt.date(2024, 2, 1), "DATE", formatted("dd/MM/yyyy", "date"), dt.date(2024, 2, 1), id="date"),
        pytest.param(
            "01/02/2024", "DATE", formatted("dd/MM/yyyy", "date"), dt.date(2024, 2, 1), id="text in the format"
        ),
        pytest.param("2024-02-01", "DATE", formatted("dd/MM/yyyy", "date"), None, id="text in another format"),
        pytest.param(MIDNIGHT, "DATE", Parsing(), dt.date(2024, 2, 1), id="midnight for a date"),
        pytest.param(MOMENT, "DATE", Parsing(), None, id="a time for a date"),
        pytest.param(MOMENT, "DATE", formatted("dd/MM/yyyy", "date"), None, id="a time for a date with a format"),
        pytest.param(MOMENT, "TIMESTAMP", formatted("dd.MM.yyyy HH:mm"), MOMENT, id="moment"),
        pytest.param(MOMENT, "TIMESTAMP", Parsing(), MOMENT, id="moment without a format"),
        pytest.param(dt.date(2024, 2, 1), "TIMESTAMP", formatted("dd.MM.yyyy HH:mm"), MIDNIGHT, id="day"),
        pytest.param(MOMENT, "TIMESTAMPTZ", Parsing(has_timezone=True), None, id="no zone in the file"),
        pytest.param(dt.time(10, 30), "TIME", Parsing(), dt.time(10, 30), id="time"),
        pytest.param(45323, "DATE", Parsing(), None, id="a number is no date"),
        pytest.param(dt.date(2024, 2, 1), "INTEGER", Parsing(), None, id="a date is no number"),
        pytest.param(1.5, "DOUBLE", Parsing(decimal_separator=",", thousands_separator="."), 1.5, id="decimal comma"),
        pytest.param("1.234,5", "DOUBLE", Parsing(decimal_separator=",", thousands_separator="."), 1234.5, id="text"),
        pytest.param(4012345678901, "VARCHAR", Parsing(), "4012345678901", id="a number for a text"),
        pytest.param(True, "BOOLEAN", Parsing(), True, id="boolean"),
        pytest.param("007", "VARCHAR", Parsing(), "007", id="leading zeros"),
    ],
)
def test_values_by_type(value: object, sql_type: str, parsing: Parsing, expected: object, tmp_path: Path) -> None:
    """A cell's own type counts, and text is read by the declared format; what does not fit breaks the type."""
    shop = Shop(tmp_path, feed(column("id"), column("v", sql_type, parsing=parsing), source=XLSX))
    shop.deliver(named(1), workbook({"Data": [["id", "v"], ["a", value]]}))
    shop.load()
    assert shop.cleaned("v") == ([] if expected is None else [expected])
    assert [row["_reasons"] for row in shop.table("rejected")] == ([["v: type"]] if expected is None else [])


def test_a_day_that_never_was(tmp_path: Path) -> None:
    """A date cell that has its date as text is a reject if there is no such day, and not an empty value."""
    shop = Shop(tmp_path, feed(column("id"), column("n", "DATE"), source=XLSX))
    days = ("2024-02-29", "2024-02-30")
    cells = [
        f'<c r="A{row}" t="d"><v>{day}</v></c><c r="B{row}" t="d"><v>{day}</v></c>' for row, day in enumerate(days, 2)
    ]
    rows = "".join(f'<row r="{row}">{both}</row>' for row, both in enumerate(cells, 2))
    shop.deliver(named(1), packed(parts(HEADER + rows)))
    shop.load()
    assert shop.cleaned("n") == [dt.date(2024, 2, 29)]
    assert [(row["n"], row["_reasons"]) for row in shop.table("rejected")] == [("2024-02-30", ["n: type"])]


def test_error_cells(tmp_path: Path) -> None:
    """An error in a column of the contract rejects its record, which keeps its values; one beside them is rescued."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver(named(1), workbook({"Data": [[*HEAD, "more"], ["a", "#DIV/0!"], ["b", 1, "#N/A"], ["c", 2]]}))
    shop.load()
    assert shop.cleaned("id") == ["b", "c"]
    (rejected,) = shop.table("rejected")
    assert (rejected["id"], rejected["n"], rejected["_row"]) == ("a", "#DIV/0!", 2)
    assert (rejected["_reasons"], rejected["_raw_line"]) == (["_raw_line: error_cell"], "a,#DIV/0!")
    assert [row["_rescued"] for row in shop.table("raw")] == [None, '{"more": "#N/A"}', None]


def test_a_repeated_header_and_another_table(tmp_path: Path) -> None:
    """The header again is a reject; the header of another table refuses the file, as in delimited files."""
    shop = Shop(tmp_path, feed(column("id"), column("n", "INTEGER"), source=XLSX))
    shop.deliver(named(1), workbook({"Data": [HEAD, ["a", 1], ["ID ", "N"], ["b", 2]]}))
    shop.deliver(named(2), workbook({"Data": [HEAD, ["a", 1], ["n", "id"], ["2", "b"]]}))
    shop.load()
    assert [row["_reasons"] for row in shop.table("rejected")] == [["_raw_line: repeated_header"]]
    assert shop.quarantine()[named(2)]["rule"] == "several_tables"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param('<c r="B2"><f>1+1</f><v>2</v></c>', "2", id="cached number"),
        pytest.param('<c r="B2" t="str"><f>""</f><v></v></c>', None, id="cached empty text"),
        pytest.param('<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "error_cell", id="cached error"),
        pytest.param('<c r="B2"><f t="shared" si="0"/><v>3</v></c>', "3", id="shared formula"),
        pytest.param('<c r="B2" s="1"><v>0.19</v></c>', "0.19", id="percent"),
        pytest.param('<c r="B2" s="2"><v>45323</v></c>', "2024-02-01", id="date"),
        pytest.param('<c r="B2" t="d"><v>2024-02-01</v></c>', "2024-02-01", id="ISO date"),
        pytest.param('<c r="B2" t="s"><v>1</v></c>', "ab", id="rich text without its pronunciation"),
        pytest.param(
            '<c r="B2" t="inlineStr"><is><r><t>a</t></r><rPh><t>x</t></rPh><r><t> b</t></r></is></c>',
            "a b",
            id="inline",
        ),
        pytest.param('<c r="B2" t="b"><v>0</v></c>', "false", id="boolean"),
        pytest.param("<c><v>7</v></c>", "7", id="no reference"),
        pytest.param('<c r="B2"/>', None, id="empty"),
        pytest.param('<c r="B2" t="str"><v>a_x000D_</v></c>', "a\r", id="escape"),
        pytest.param('<c r="B2" t="str"><v>a_x0000_</v></c>', "nul_byte", id="NUL"),
        pytest.param('<c r="B2" t="str"><v>_x0001_2024</v></c>', "\x012024", id="text that looks marked"),
        pytest.param('<c r="B2" t="str"><v>a&#10;"b",\nc</v></c>', 'a\n"b",\nc', id="line ends and quotes"),
    ],
)
def test_cells_as_they_are_stored(cell: str, expected: str | None, tmp_path: Path) -> None:
    """What a cell stores is its value, formulas have that which was calculated last."""
    strings = "<si><t>x</t></si><si><r><t>a</t></r><rPh sb='0' eb='1'><t>y</t></rPh><r><t>b</t></r></si>"
    row = f'<row r="2">{text("A2", "k")}{cell}</row>'
    content = packed(parts(HEADER + row, strings, ["0%", "yyyy\\-mm\\-dd"]))
    contract = feed(column("id"), column("n"), source=XLSX)
    found = records(tmp_path, contract, content)
    assert found == {2: expected if expected in ("error_cell", "nul_byte") else ("k", expected)}


@pytest.mark.parametrize(
    ("cell", "calculation"),
    [
        pytest.param('<c r="B2"><f>1+1</f></c>', "", id="no value"),
        pytest.param('<c r="B2"><f>1+1</f><v/></c>', "", id="empty value"),
        pytest.param('<c r="B2"><f>1+1</f><v>0</v></c>', 'fullCalcOnLoad="1"', id="to be calculated when it is opened"),
        pytest.param('<c r="D2"><f>1+1</f></c>', "", id="beside the table"),
    ],
)
def test_formulas_without_a_cached_value(cell: str, calculation: str, tmp_path: Path) -> None:
    """The file is refused and the cell named: nobody knows the value."""
    content = packed(parts(f'{HEADER}<row r="2">{text("A2", "k")}{cell}</row>', calculation=calculation))
    with pytest.raises(FileRefused, match=r"no cached value for the formula in [BD]2 of sheet Data") as refused:
        records(tmp_path, CONTRACT, content)
    assert refused.value.rule == "no_cached_value"


def test_a_formula_above_the_table(tmp_path: Path) -> None:
    """Its value is not needed."""
    rows = (
        '<row r="1"><c r="A1"><f>TODAY()</f></c></row>'
        + HEADER.replace("1", "2")
        + f'<row r="3">{text("A3", "k")}</row>'
    )
    assert records(tmp_path, CONTRACT, packed(parts(rows))) == {3: ("k", None)}


def test_days_since_1904(tmp_path: Path) -> None:
    """The workbook tells where its days begin."""
    rows = f'{HEADER}<row r="2"><c r="A2" s="1"><v>43861</v></c></row>'
    content = packed(parts(rows, formats=["d/m/yy"], properties='date1904="1"'))
    assert records(tmp_path, CONTRACT, content) == {2: ("2024-02-01", None)}


def test_elements_with_a_prefix_and_rows_without_numbers(tmp_path: Path) -> None:
    """Whatever program wrote the XML, it is read by what it means."""
    rows = "".join(
        f'<x:row><x:c t="inlineStr"><x:is><x:t>{one}</x:t></x:is></x:c><x:c t="str"><x:v>{two}</x:v></x:c></x:row>'
        for one, two in (("id", "n"), ("a", "1"), ("b", "2"))
    )
    assert records(tmp_path, CONTRACT, packed(parts(rows, prefix="x:"))) == {2: ("a", "1"), 3: ("b", "2")}


def test_records_of_any_length(tmp_path: Path) -> None:
    """A record of a megabyte is read as any other."""
    long = "x" * 1_500_000
    rows = f'{HEADER}<row r="2">{text("A2", long)}</row><row r="3">{text("A3", "b")}</row>'
    assert records(tmp_path, CONTRACT, packed(parts(rows))) == {2: (long, None), 3: ("b", None)}


def test_a_loaded_workbook_is_not_read_again(tmp_path: Path) -> None:
    """The numbers of rows don't look like lost records; lost ones are noticed and come back."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver(named(1), workbook({"Data": [["title"], HEAD, ["a", 1], [], ["b", 2]]}))
    shop.load()
    before = shop.table("raw")
    assert not shop.load().entries
    shop.rows("DELETE FROM raw_f WHERE _row = 5")
    shop.load()
    assert shop.table("raw") == before


def test_repair_files_of_workbooks(tmp_path: Path) -> None:
    """A reject of a workbook is corrected by a repair file, which is CSV for every feed."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver(named(1), workbook({"Data": [HEAD, ["a", "#DIV/0!"]]}))
    shop.load()
    reject = shop.table("rejected")[0]["_reject_id"]
    shop.deliver("2024-01-01.repair.csv", f"id,n,_reject_id\na,1.5,{reject}\n")
    shop.load()
    assert [str(value) for value in shop.cleaned("n")] == ["1.5000"]
