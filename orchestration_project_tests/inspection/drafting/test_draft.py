"""What is drafted from samples, and that every draft loads and takes the samples."""

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project.errors import FileRefused
from orchestration_project.inspection.drafting.draft import write_draft
from orchestration_project.inspection.drafting.layout import DraftError
from orchestration_project_tests.components.workbench import feeds
from orchestration_project_tests.formats.open_documents import open_document
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.inspection.drafting.samples import drafted, table
from orchestration_project_tests.reliability.evidence import effort, tried


@pytest.mark.parametrize(
    ("values", "sql_type"),
    [
        pytest.param(["1", "-20", "300"], "INTEGER", id="integer"),
        pytest.param(["1", "4000000000", "3"], "BIGINT", id="large integer"),
        pytest.param(["1", "40000000000000000000", "3"], "VARCHAR", id="longer than any number"),
        pytest.param(["007", "123", "5"], "VARCHAR", id="leading zeros"),
        pytest.param(["0", "10", "5"], "INTEGER", id="zero"),
        pytest.param(["1.5", "2.25", "3"], "DECIMAL(18,2)", id="decimal"),
        pytest.param(["1.125", "2", "3"], "DECIMAL(18,3)", id="three decimals"),
        pytest.param(["1.0", "2.0", "3.0"], "DECIMAL(18,2)", id="whole, but written with a point"),
        pytest.param(["0.12345678", "2.5", "3.5"], "DOUBLE", id="many decimals"),
        pytest.param(["1.5e-3", "2.5", "3.5"], "DOUBLE", id="exponents"),
        pytest.param(["yes", "no", "yes"], "BOOLEAN", id="boolean"),
        pytest.param(["0", "1", "1"], "INTEGER", id="0 and 1 are numbers"),
        pytest.param(["N", "N", "N"], "VARCHAR", id="one letter is no boolean"),
        pytest.param(["2024-01-31", "2024-02-01", "2024-02-02"], "DATE", id="date"),
        pytest.param(["2024-01-31T10:00:00Z", "2024-01-31T10:00:00.5+01:00"] * 2, "TIMESTAMPTZ", id="offset"),
        pytest.param(["10:00", "11:30", "12:00:01"], "TIME", id="time"),
        pytest.param(["a", "b", "c"], "VARCHAR", id="text"),
        pytest.param(["1", "2", "x"], "VARCHAR", id="mostly numbers is not enough"),
        pytest.param(["", "", ""], "VARCHAR", id="no values"),
    ],
)
def test_types(values: list[str], sql_type: str, tmp_path: Path) -> None:
    """The narrowest type that fits the values is taken."""
    found = drafted(tmp_path, table(row=["a", "b", "c", "d"][: len(values)], x=values))
    assert found.types["x"] == sql_type


@pytest.mark.parametrize(
    ("values", "pattern"),
    [
        pytest.param(["31.01.2024", "01.02.2024"], "dd.MM.yyyy", id="German"),
        pytest.param(["1.2.2024", "31.1.2024"], "d.M.yyyy", id="short German"),
        pytest.param(["12/31/2024", "01/02/2024"], "MM/dd/yyyy", id="American"),
        pytest.param(["31/12/2024", "01/02/2024"], "dd/MM/yyyy", id="British"),
        pytest.param(["2024-01-31 10:00:00", "2024-02-01 00:00:00"], "yyyy-MM-dd HH:mm:ss", id="timestamp"),
        pytest.param(["1/31/2024 9:05", "12/1/2024 10:15"], "M/d/yyyy H:mm", id="spreadsheet"),
        pytest.param(["31-Jan-2024", "01-Feb-2024"], "dd-MMM-yyyy", id="month by name"),
        pytest.param(["20240131", "20240201"], "yyyyMMdd", id="eight digits in a column called a date"),
    ],
)
def test_dates(values: list[str], pattern: str, tmp_path: Path) -> None:
    """Dates get the format in which they are written, and every sample value is read."""
    found = drafted(tmp_path, table(row=["a", "b"], sale_date=values))
    assert f'format: "{pattern}"' in found.text
    assert [item.rejected for item in found.draft.results] == [0]


def test_ambiguous_dates_are_told(tmp_path: Path) -> None:
    """Where several forms fit, the draft says which."""
    found = drafted(tmp_path, table(row=["a", "b"], day=["01/02/2024", "03/04/2024"]))
    assert "MM/dd/yyyy" in found.comment("day", "physicalType")


@pytest.mark.parametrize(
    ("values", "sql_type", "written"),
    [
        pytest.param(["1,50", "1200,00"], "DECIMAL(18,2)", {"decimalSeparator": ","}, id="decimal comma"),
        pytest.param(
            ["1.234,50", "12,00"], "DECIMAL(18,2)", {"decimalSeparator": ",", "thousandsSeparator": "."}, id="grouped"
        ),
        pytest.param(["1.50 €", "12.00 €"], "DECIMAL(18,2)", {"currencySymbols": ["€"]}, id="currency"),
        pytest.param(["1.50", "N/A"], "DECIMAL(18,2)", {"nullValues": ["N/A"]}, id="null words"),
    ],
)
def test_how_numbers_are_written(values: list[str], sql_type: str, written: dict[str, object], tmp_path: Path) -> None:
    """Separators, currencies and words for missing values are declared, so that no value is rejected."""
    found = drafted(tmp_path, table(row=["a", "b"], price=values))
    assert found.types["price"] == sql_type
    for name, value in written.items():
        assert f"- property: {name}\n            value: {json.dumps(value, ensure_ascii=False)}" in found.text
    assert [item.rejected for item in found.draft.results] == [0]


def test_mistakes_in_a_sample_are_told(tmp_path: Path) -> None:
    """A few values that do not fit are rejected, as the draft says; an id that is not always a number is a text."""
    numbers = [str(number) for number in range(99)]
    found = drafted(tmp_path, table(amount=[*numbers, "oops"], invoice_no=[*numbers, "C99"]))
    assert found.comment("amount", "physicalType").startswith("1 of 100 values do not fit")
    assert found.types == {"amount": "INTEGER", "invoice_no": "VARCHAR"}
    assert [item.rejected for item in found.draft.results] == [1]


def test_names_and_headers(tmp_path: Path) -> None:
    """Columns get names in snake case, each once; the header is kept as it is written."""
    found = drafted(tmp_path, 'Order ID,orderId,"Menü, \\ ""x""",2nd,商品,RowID\n1,2,3,4,5,6\n')
    assert [(column.name, column.source) for column in found.feed.columns] == [
        ("order_id", "Order ID"),
        ("order_id_2", "orderId"),
        ("menu_x", 'Menü, \\ "x"'),
        ("c_2nd", "2nd"),
        ("column_5", "商品"),
        ("row_id", "RowID"),
    ]


def test_columns_that_no_contract_can_name(tmp_path: Path) -> None:
    """Blank headers and those that stand twice are left out, which is said; their values are kept in _rescued."""
    found = drafted(tmp_path, "a,,b,b,c\n1,2,3,4,5\n")
    assert list(found.types) == ["a", "c"]
    assert "3 column(s) have no name, or one that stands twice" in found.text


def test_required_and_missing(tmp_path: Path) -> None:
    """A column without a gap in the samples is required, with the number of records that this rests on."""
    found = drafted(tmp_path, "a,b\n1,\n2,x\n", "a\n3\n")
    assert [column.required for column in found.feed.columns] == [True, False]
    assert found.comment("b", "required") == "2 of 3 records are without it"


def test_keys(tmp_path: Path) -> None:
    """Columns that are called keys and are unique together become the key."""
    rows = "\n".join(f"{order},{line},1.50" for order in range(40) for line in range(3))
    found = drafted(tmp_path, f"order_id,line_no,price\n{rows}\n")
    assert found.feed.primary_key == ("order_id", "line_no")
    assert "unique in 120 records" in found.comment("order_id", "primaryKey")


def test_no_key_is_made_up(tmp_path: Path) -> None:
    """A column that only happens to be unique is named in a comment; repeated records leave no key."""
    assert drafted(tmp_path, "town,n\nA,1\nB,1\nC,2\n").feed.primary_key == ()
    found = drafted(tmp_path, "town_id,n\n" + "1,1\n" * 3)
    assert found.feed.primary_key == ()
    assert "no primaryKey" in found.text


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("customer_id", "17", id="customer"),
        pytest.param("E-Mail", "x", id="mail by name"),
        pytest.param("contact", "ada@example.com", id="mail by content"),
        pytest.param("reach", "+44 20 7946 0000", id="phone by content"),
        pytest.param("LastName", "Lovelace", id="name"),
        pytest.param("shipping address", "1 High Street", id="address"),
    ],
)
def test_personal_columns_are_marked(header: str, value: str, tmp_path: Path) -> None:
    """Columns that are likely to be about people are classified, and no value of them is in the draft."""
    found = drafted(tmp_path, f"{header},n\n{value},1\n")
    assert [column.personal for column in found.feed.columns] == [True, False]
    assert not [text for text in found.draft.texts.values() if value in text and len(value) > 2]


@pytest.mark.parametrize("header", ["product_name", "store_id", "name", "country", "amount"])
def test_other_columns_are_not_personal(header: str, tmp_path: Path) -> None:
    """Things have names and numbers as well."""
    assert not drafted(tmp_path, f"{header},n\nx,1\n").feed.personal_columns


@pytest.mark.parametrize(
    ("name", "cadence", "start", "pattern"),
    [
        pytest.param("s_2023-05-06.csv", "daily", "2023-01-01", True, id="day"),
        pytest.param("20230506_s.csv", "daily", "2023-01-01", True, id="day in digits"),
        pytest.param("s-06.05.2023.csv", "daily", "2023-01-01", True, id="German day"),
        pytest.param("s_2023-05.csv", "monthly", "2023-01-01", True, id="month"),
        pytest.param("s.csv", "daily", "2024-01-01", False, id="no date: when it was modified"),
        pytest.param("s_2023-15-06.csv", "daily", "2024-01-01", False, id="no such day"),
    ],
)
def test_batches_from_names(name: str, cadence: str, start: str, pattern: bool, tmp_path: Path) -> None:
    """The dates in the names of the samples give cadence, pattern and start."""
    attributes = drafted(tmp_path, "a,b\n1,2\n", names=(name,)).attributes
    assert (attributes["cadence"], attributes["start_date"]) == (cadence, start)
    assert ("batch_pattern" in attributes) == pattern


@pytest.mark.parametrize(
    ("content", "name", "format_", "encoding"),
    [
        pytest.param("título;n\né;1\n".encode("cp1252"), "s.csv", FileFormat.CSV, "cp1252", id="cp1252"),
        pytest.param("títol;n\n\x81;1\n".encode("latin-1"), "s.csv", FileFormat.CSV, "iso8859-1", id="latin-1"),
        pytest.param("títol;n\né;1\n".encode("utf-16"), "s.csv", FileFormat.CSV, None, id="UTF-16 with mark"),
        pytest.param("titol;n\na;1\n".encode("utf-16-le"), "s.csv", FileFormat.CSV, "utf-16-le", id="UTF-16 without"),
        pytest.param("a report\n\na\tn\nx\t1\ny\t2\n", "s.tsv", FileFormat.CSV, None, id="preamble and tabs"),
        pytest.param("a:n\nx:1\ny:2\n", "s.csv", FileFormat.CSV, None, id="colons"),
        pytest.param(gzip.compress(b"a,n\nx,1\n"), "s.csv.gz", FileFormat.CSV, None, id="gzip"),
        pytest.param('{"a": "x", "n": 1}\n{"a": "y", "m": [1]}\n', "s.jsonl", FileFormat.JSON, None, id="JSON lines"),
        pytest.param('[\n{"a": "x", "n": 1.5}\n]', "s.json", FileFormat.JSON, None, id="JSON array"),
    ],
)
def test_how_files_are_written(
    content: bytes, name: str, format_: FileFormat, encoding: str | None, tmp_path: Path
) -> None:
    """Format, encoding and delimiter are told, and the draft takes the sample whole."""
    found = drafted(tmp_path, content, names=(name,))
    assert (found.feed.source.format, found.feed.source.encoding) == (format_, encoding)
    assert [(item.records > 0, item.rejected) for item in found.draft.results] == [(True, 0)]


def test_parquet(tmp_path: Path) -> None:
    """Typed values of Parquet files give the types that their text has."""
    path = tmp_path / "made.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS id, 1.5::DOUBLE AS price, DATE '2024-01-31' AS day) TO '{path}'")
    found = drafted(tmp_path, path.read_bytes(), names=("s_2024-01-31.parquet",))
    assert found.types == {"id": "INTEGER", "price": "DECIMAL(18,2)", "day": "DATE"}
    assert [item.cleaned for item in found.draft.results] == [1]


ITEMS = [{"id": "A-17", "price": 1.10}, {"id": "B-2", "price": 3}]


@pytest.mark.parametrize(
    ("documents", "indent", "path"),
    [
        pytest.param([{"data": {"items": ITEMS, "n": 2}, "next": None}], None, ("data", "items"), id="one document"),
        pytest.param([{"data": {"the items": ITEMS}}] * 2, 2, ("data", "the items"), id="several, of many lines"),
        pytest.param([{"items": ITEMS}, {"items": []}], 2, ("items",), id="an empty page"),
        pytest.param([{"id": "A-17", "lines": ITEMS}] * 2, None, None, id="a document a line may be a record"),
        pytest.param([[{"id": "A-17", "lines": ITEMS}]], 2, None, id="an array of records"),
        pytest.param([{"items": ITEMS, "more": ITEMS}], None, None, id="two arrays in one line"),
    ],
)
def test_records_inside_of_documents(
    documents: list[Any], indent: int | None, path: tuple[str, ...] | None, tmp_path: Path
) -> None:
    """The path to the only array of objects is drafted, and the draft takes its records; others stay as they are."""
    content = "\n".join(json.dumps(document, indent=indent) for document in documents)
    found = drafted(tmp_path, content, names=("s_2024-01-31.json",))
    assert found.feed.source.records_path == path
    assert ({*found.types} == {"id", "price"}) == (path is not None)
    assert [item.rejected for item in found.draft.results] == [0]
    assert ("recordsPath" in found.text) == (path is not None)


@pytest.mark.parametrize("write", [workbook, open_document])
@pytest.mark.parametrize("sheets", [["Sales"], ["Sales", "More"]])
def test_workbooks(write: Callable[[dict[str, Any]], bytes], sheets: list[str], tmp_path: Path) -> None:
    """The header is found below a title, values have the types of their cells, and one of several tables is chosen."""
    rows = [["Sales"], [], ["id", "price", "day"], ["a", 1.5, dt.date(2024, 1, 31)], ["b", 2, dt.date(2024, 2, 1)]]
    found = drafted(tmp_path, write(dict.fromkeys(sheets, rows)), names=("s_2024-01-31.xlsx",))
    assert found.types == {"id": "VARCHAR", "price": "DECIMAL(18,2)", "day": "DATE"}
    assert found.feed.source == SourceFormat(FileFormat.XLSX, sheet="Sales" if len(sheets) > 1 else None)
    assert [(item.cleaned, item.rejected) for item in found.draft.results] == [(2, 0)]


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        pytest.param(["1,2\n3,4\n"], "has no header", id="no header"),
        pytest.param(["ada@example.com,x\nb@example.com,y\n"], "has no header", id="addresses are no header"),
        pytest.param(["a,b\n1,2\n", '{"a": 1}\n'], "different formats or delimiters", id="two formats"),
        pytest.param(["town\nParis\nRome\n"], "one column only", id="one column"),
        pytest.param(["a,b\n"], "no records", id="no records"),
        pytest.param(["a,b\n,\n"], "no records", id="blank records"),
        pytest.param(["a,b,\n1,2\n3,4\n"], "all 2 records .* fields than their header", id="a comma in the header"),
        pytest.param(["[1, 2]"], "has no JSON object", id="JSON without objects"),
        pytest.param(
            [json.dumps({"items": ITEMS, "more": ITEMS}, indent=1)], "nor exactly one such array", id="two arrays"
        ),
        pytest.param(
            [json.dumps({"items": ITEMS}), json.dumps({"data": ITEMS})], "at different places", id="two paths"
        ),
        pytest.param(
            [workbook({"A": [[1, 2], [3, 4]], "B": []})], "has no sheet with a header", id="a sheet of numbers"
        ),
    ],
)
def test_what_no_feed_can_be_drafted_from(contents: list[str | bytes], said: str, tmp_path: Path) -> None:
    """It is said why."""
    with pytest.raises(DraftError, match=said):
        drafted(tmp_path, *contents)


def test_a_damaged_sample_is_refused(tmp_path: Path) -> None:
    """As a load would refuse it."""
    with pytest.raises(FileRefused, match="can't be decompressed"):
        drafted(tmp_path, gzip.compress(b"a,b\n1,2\n")[:-4])


CELL = st.sampled_from(
    ["", "1", "x", "2,5", "2024-01-01", "N/A", "é", '"', "'", "007", "1.0", "yes", "a\tb", "#", "{{"]
)
HEADER = st.sampled_from(
    [
        "a",
        "Order ID",
        "éclat",
        "a b",
        "rowid",
        "select",
        "x'y",
        'q"t',
        "{table}",
        "# check",
        "b: c",
        "%s",
        "\x7f😀",
        "a\u2028b",
        "\x85n",
    ]
)


@settings(max_examples=effort(15, 300), deadline=None)
@given(
    headers=st.lists(HEADER, min_size=2, max_size=4, unique=True),
    cells=st.lists(st.lists(CELL, min_size=4, max_size=4), min_size=1, max_size=6),
)
def test_every_draft_loads_its_sample(
    headers: list[str], cells: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever the headers and values are, the contract is read and no sample is refused as a whole."""
    assume(any(any(row[: len(headers)]) for row in cells))
    tried()
    rows = [headers, *(row[: len(headers)] for row in cells)]
    text = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) + "\n" for row in rows)
    found = drafted(tmp_path_factory.mktemp("draft"), text)
    assert [column.source for column in found.feed.columns] == headers
    assert [item.records for item in found.draft.results] == [len(cells)]


def test_dagster_loads_the_draft(tmp_path: Path) -> None:
    """The two files are a feed when they lie below defs."""
    found = drafted(tmp_path, "order_id,sold_at\n1,2024-01-01 10:00:00\n2,2024-01-01 11:00:00\n")
    with feeds(f=found.draft.texts) as defs:
        assert {key.to_user_string() for key in defs.resolve_all_asset_keys()} >= {"raw_f", "cleaned_f", "rejected_f"}


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder in which something is stays as it is."""
    made = drafted(tmp_path, "a,b\n1,2\n").draft
    folder = tmp_path / "feed"
    assert [path.name for path in write_draft(made, folder)] == ["f.odcs.yaml", "defs.yaml"]
    (folder / "defs.yaml").unlink()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DraftError, match="will not be overwritten"):
        write_draft(made, folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
