"""Columns whose values stand in a file's name, above its header, in its contract, or in the record above."""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from orchestration_project.contracts.feed import (
    ALL_SHEETS,
    Bound,
    Column,
    Feed,
    FileFormat,
    OneOf,
    Parsing,
    Required,
    SourceFormat,
)
from orchestration_project.contracts.outside import FillDown, ValueFrom, ValueOrigin
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.repairs import cells, export, repair_name
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named

pytestmark = pytest.mark.promise("input")

STORE = r"store(\d+)"


def given(name: str, origin: ValueOrigin, text: str = "", *rules: Any, sql_type: str = "VARCHAR") -> Column:
    """A column that is not in the records."""
    return column(name, sql_type, *rules, value_from=ValueFrom(origin, text))


def shop_of(folder: Path, *columns: Column, file_format: FileFormat = FileFormat.CSV, **fields: Any) -> Shop:
    """A shop whose files have an `id` beside the given columns."""
    source = SourceFormat(file_format, **fields.pop("source", {}))
    return Shop(folder, feed(column("id", "VARCHAR", Required()), *columns, source=source, **fields))


def faults(shop: Shop) -> list[Any]:
    """What a verification finds."""
    return verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings


def refusals(shop: Shop) -> dict[str, str]:
    """The rule by which each file in quarantine was refused."""
    return {name: note["rule"] for name, note in shop.quarantine().items()}


# -- from the file's name ---------------------------------------------------------------------------------------------


def as_csv(ids: list[str]) -> bytes:
    """Records as CSV."""
    return "\n".join(["id", *ids, ""]).encode()


def as_json(ids: list[str]) -> bytes:
    """Records as lines of JSON."""
    return "".join(json.dumps({"id": item}) + "\n" for item in ids).encode()


def as_parquet(ids: list[str]) -> bytes:
    """Records as a Parquet file."""
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder) / "made.parquet"
        connection.execute("COPY (SELECT unnest($ids) AS id) TO '" + str(path) + "' (FORMAT parquet)", {"ids": ids})
        return path.read_bytes()


def as_workbook(ids: list[str]) -> bytes:
    """Records as a workbook."""
    return workbook({"Sales": [("id",), *((item,) for item in ids)]})


FORMATS: dict[FileFormat, Callable[[list[str]], bytes]] = {
    FileFormat.CSV: as_csv,
    FileFormat.JSON: as_json,
    FileFormat.PARQUET: as_parquet,
    FileFormat.XLSX: as_workbook,
}


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_store_in_the_name_is_a_part_of_the_key(file_format: FileFormat, tmp_path: Path) -> None:
    """Two stores may use one number, whatever the format; the store is typed, and text in the raw table."""
    shop = shop_of(
        tmp_path,
        given("store", "fileName", STORE, Required(), sql_type="INTEGER"),
        given("country", "constant", "DE"),
        file_format=file_format,
        primary_key=("store", "id"),
    )
    for store in ("013", "014"):
        shop.deliver(named(1, f"store{store}"), FORMATS[file_format]([f"a{store}", "b", "b"]))
    shop.load()
    assert sorted(shop.cleaned("store", "id", "country")) == [
        (13, "a013", "DE"),
        (13, "b", "DE"),
        (14, "a014", "DE"),
        (14, "b", "DE"),
    ]
    assert {row["store"] for row in shop.table("raw")} == {"013", "014"}
    assert [reasons[0].split(" (")[0] for reasons in shop.rejected().values()] == ["store, id: duplicate_key"]
    assert faults(shop) == []


@pytest.mark.parametrize("together", [pytest.param(True, id="one load"), pytest.param(False, id="two loads")])
def test_same_bytes_of_two_stores_are_two_files(together: bool, tmp_path: Path) -> None:
    """Equal bytes are other records where the name says so, and duplicates where it says the same."""
    shop = shop_of(tmp_path, given("store", "fileName", STORE, Required()))
    for name in ("store13", "store14", "again_store14"):
        shop.deliver(named(1, name), as_csv(["a"]))
        if not together:
            shop.load()
    shop.load()
    assert sorted(shop.cleaned("store", "id")) == [("13", "a"), ("14", "a")]
    assert dict(shop.ledger("file", "status"))[named(1, "again_store14")] == "duplicate"
    assert faults(shop) == []
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables


def test_a_name_that_does_not_tell(tmp_path: Path) -> None:
    """Its file is refused where the column is required; where it is not, the value is missing."""
    for rules, refused, stores in (((Required(),), ["missing_value"], []), ((), [], [None])):
        shop = shop_of(tmp_path / str(len(rules)), given("store", "fileName", STORE, *rules))
        shop.deliver(named(1, "web"), as_csv(["a"]))
        shop.load()
        assert list(refusals(shop).values()) == refused
        assert (shop.cleaned("store") if not refused else []) == stores


def test_a_name_that_tells_two_values(tmp_path: Path) -> None:
    """Its file is refused; a value that stands twice is one."""
    shop = shop_of(tmp_path, given("store", "fileName", STORE))
    shop.deliver(named(1, "store1_store2"), as_csv(["a"]))
    shop.deliver(named(1, "store1_store1"), as_csv(["b"]))
    shop.load()
    assert refusals(shop) == {named(1, "store1_store2"): "ambiguous_value"}
    assert shop.cleaned("store", "id") == [("1", "b")]


@pytest.mark.parametrize(
    ("file_format", "content"),
    [
        pytest.param(FileFormat.CSV, b"id,Store\na,7\n", id="csv"),
        pytest.param(FileFormat.JSON, b'{"id":"a","Store":"7"}\n', id="json"),
        pytest.param(FileFormat.XLSX, workbook({"S": [("id", "Store"), ("a", "7")]}), id="workbook"),
    ],
)
def test_a_given_column_that_is_in_the_file_too(file_format: FileFormat, content: bytes, tmp_path: Path) -> None:
    """Which of the two counts, nobody said: the file is refused, and with another header both are there."""
    shop = shop_of(tmp_path, given("store", "fileName", STORE), file_format=file_format)
    shop.deliver(named(1, "store1"), content)
    shop.load()
    assert list(refusals(shop).values()) == ["ambiguous_column"]
    other = replace(shop.feed.columns[1], source="from the name")
    shop = replace(shop, folder=tmp_path / "both", feed=replace(shop.feed, columns=(shop.feed.columns[0], other)))
    shop.deliver(named(1, "store1"), content)
    shop.load()
    assert [(row["store"], row["_rescued"]) for row in shop.table("cleaned")] == [("1", '{"Store":"7"}')] or (
        file_format is FileFormat.XLSX and shop.cleaned("store", "_rescued") == [("1", '{"Store": "7"}')]
    )


def test_broken_and_blank_records_have_the_store_and_stay_what_they_are(tmp_path: Path) -> None:
    """A given value makes no blank record a row, and stands beside a record that can't be split."""
    shop = shop_of(tmp_path, given("store", "fileName", STORE, OneOf(("1",))), column("n", "INTEGER"))
    shop.deliver(named(1, "store1"), 'id,n\n\na,1\n,\n"b"x,2\n')
    shop.load()
    assert shop.cleaned("id", "store") == [("a", "1")]
    assert [(row["_row"], row["store"]) for row in shop.table("rejected")] == [(4, "1")]
    assert shop.ledger("records", "blank_records", "cleaned", "rejected") == [(4, 2, 1, 1)]


def test_rejects_come_back_with_their_store(tmp_path: Path) -> None:
    """A repair file has given columns as columns: its own name tells no store."""
    shop = shop_of(
        tmp_path / "shop", given("store", "fileName", STORE, Required()), column("n", "INTEGER"), primary_key=("store",)
    )
    shop.deliver(named(1, "store1"), "id,n\na,x\n")
    shop.load()
    (exported,) = export(shop, tmp_path / "out", day(1))
    ((path, (row,)),) = [(exported.path, cells(exported.path))]
    assert row["store"] == "1"
    shop.deliver(repair_name(), path.read_text(encoding="utf-8").replace("x,", "7,", 1))
    shop.load()
    assert shop.cleaned("store", "id", "n") == [("1", "a", 7)]
    assert faults(shop) == []


def test_another_pattern_reads_all_files_again(tmp_path: Path) -> None:
    """A contract that takes the value from elsewhere makes all batches anew, as a rebuild would."""
    shop = shop_of(tmp_path, given("store", "fileName", STORE))
    shop.deliver(named(1, "store12"), as_csv(["a"]))
    shop.load()
    shop.feed = replace(shop.feed, columns=(shop.feed.columns[0], given("store", "fileName", r"store\d(\d)")))
    shop.load()
    assert shop.cleaned("store") == ["2"]
    shop.feed = replace(shop.feed, columns=(shop.feed.columns[0], given("store", "constant", "x")))
    shop.load()
    assert (shop.cleaned("store"), faults(shop)) == (["x"], [])


# -- from above the header --------------------------------------------------------------------------------------------

PREAMBLES = {
    "plain": "Shop: Paris\n\nid\n",
    "padded to the table's width": "Shop: Paris;;\n;;\nid;n;m\n",
    "in quotes, with the delimiter": '"Shop: Paris";;\nid;n;m\n',
    "told twice": "Shop: Paris\nReport\nShop: Paris\nid\n",
    "with a carriage return": "Shop: Paris\r\nid\r\n",
}


@pytest.mark.parametrize("head", PREAMBLES.values(), ids=PREAMBLES.keys())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_shop_above_the_header(head: str, encoding: str, tmp_path: Path) -> None:
    """The line that tells it is found however it is written, in a packed file as well."""
    shop = shop_of(tmp_path, given("shop", "preamble", "Shop: (.+)", Required()))
    record = "a;;" if ";m" in head else "a"
    shop.deliver(f"{named(1)}.gz", gzip.compress(f"{head}{record}\n".encode(encoding), mtime=0))
    shop.load()
    assert shop.cleaned("shop", "id") == [("Paris", "a")]


@pytest.mark.parametrize(
    ("head", "rule"),
    [
        pytest.param("id\nShop: Paris\n", "missing_value", id="below the header"),
        pytest.param("Shop:\nid\n", "missing_value", id="empty"),
        pytest.param("Shop: Paris\nShop: Rome\nid\n", "ambiguous_value", id="two shops"),
    ],
)
def test_preambles_that_tell_no_single_shop(head: str, rule: str, tmp_path: Path) -> None:
    """The file is refused, and others are loaded."""
    shop = shop_of(tmp_path, given("shop", "preamble", "Shop: (.+)", Required()))
    shop.deliver(named(1), f"{head}a\n")
    shop.deliver(named(1, "t"), "Shop: Oslo\nid\nb\n")
    shop.load()
    assert (refusals(shop), shop.cleaned("shop", "id")) == ({named(1): rule}, [("Oslo", "b")])


def test_personal_values_are_masked_in_refusals(tmp_path: Path) -> None:
    """What stands above the header may be about a person."""
    owner = replace(given("owner", "preamble", "Owner: (.+)"), personal=True)
    shop = shop_of(tmp_path, owner)
    shop.deliver(named(1), "Owner: Ann\nOwner: Bob\nid\na\n")
    shop.load()
    ((_, note),) = shop.quarantine().items()
    assert "***" in note["reason"]
    assert "Ann" not in note["reason"]


def test_each_sheet_tells_its_own(tmp_path: Path) -> None:
    """Of a workbook read as a whole, name and preamble are those of the record's own sheet."""
    shop = shop_of(
        tmp_path,
        given("month", "sheetName"),
        given("shop", "preamble", r"Shop:\s*(.+)"),
        given("store", "fileName", STORE),
        file_format=FileFormat.XLSX,
        source={"sheet": ALL_SHEETS},
    )
    sheets: Mapping[str, Any] = {
        "Jan": [("Shop: Paris",), (), ("id",), ("a",)],
        "Feb": [("Shop:", "Rome"), ("id",), ("b",), (), ("c",)],
    }
    shop.deliver(named(1, "store7"), workbook(sheets))
    shop.load()
    assert shop.cleaned("month", "shop", "store", "id") == [
        ("Jan", "Paris", "7", "a"),
        ("Feb", "Rome", "7", "b"),
        ("Feb", "Rome", "7", "c"),
    ]
    assert faults(shop) == []


# -- filled down ------------------------------------------------------------------------------------------------------


def order_feed(*rules: Any, within: str | None = None, **fields: Any) -> Feed:
    """Lines of orders, whose total stands in the first line only."""
    total = column("total", "DECIMAL(9,2)", *rules, fill_down=FillDown(within), parsing=Parsing(("-",)))
    return feed(column("order"), total, column("n", "INTEGER"), **fields)


def test_a_value_is_filled_down_in_its_file(tmp_path: Path) -> None:
    """An empty value, or a word for it, is that of the record above, blank ones aside, and never of another file."""
    shop = Shop(tmp_path, order_feed())
    shop.deliver(named(1, "a"), "order,total,n\n1,,1\n1,5.50,2\n\n1,-,3\n2,,4\n2,7,5\n2,,6\n")
    shop.deliver(named(1, "b"), "order,total,n\n3,,7\n")
    shop.load()
    assert [None if value is None else str(value) for value in shop.cleaned("total")] == [
        None,
        "5.50",
        "5.50",
        "5.50",
        "7.00",
        "7.00",
        None,
    ]
    assert [row["total"] for row in shop.table("raw") if row["_file"] == named(1, "a")][3:] == ["-", None, "7", None]
    assert faults(shop) == []


def test_a_value_is_filled_down_within_its_group(tmp_path: Path) -> None:
    """With a group column it ends where that changes, and does not begin again where the group comes back."""
    shop = Shop(tmp_path, order_feed(within="order"))
    shop.deliver(named(1), "order,total,n\n1,5,1\n1,,2\n2,,3\n1,,4\n,8,5\n,,6\n3,,7\n")
    shop.load()
    totals = dict(shop.cleaned("n", "total"))
    assert {n: None if total is None else int(total) for n, total in totals.items()} == {
        1: 5,
        2: 5,
        3: None,
        4: None,
        5: 8,
        6: 8,
        7: None,
    }


@pytest.mark.parametrize("within", [None, "order"])
def test_nothing_is_filled_from_beyond_a_broken_record(within: str | None, tmp_path: Path) -> None:
    """What its value was, nobody knows: records below are rejected until one has a value of its own."""
    shop = Shop(tmp_path, order_feed(within=within))
    shop.deliver(named(1), 'order,total,n\n1,5,1\n"2"x,6,2\n2,,3\n2,,4\n2,9,5\n2,,6\n')
    shop.load()
    assert shop.cleaned("n", "total") == [(1, 5), (5, 9), (6, 9)]
    assert shop.rejected() == {2: ["_raw_line: bad_quoting"], 3: ["total: fillDown"], 4: ["total: fillDown"]}


def test_rules_and_keys_count_for_filled_values(tmp_path: Path) -> None:
    """A filled value is typed and tested as if it stood there, and is a part of keys, in later batches as well."""
    first = replace(column("order", "VARCHAR", Required()), fill_down=FillDown())
    shop = Shop(
        tmp_path,
        feed(first, column("line", "INTEGER", Required(), Bound("minimum", "1")), primary_key=("order", "line")),
    )
    shop.deliver(named(1), "order,line\n7,1\n,2\n,2\n,0\n")
    shop.deliver(named(2), "order,line\n7,3\n,2\n")
    shop.load()
    assert shop.cleaned("order", "line") == [("7", 1), ("7", 2), ("7", 3)]
    assert sorted(row["order"] for row in shop.table("rejected")) == ["7", "7", "7"]
    # The look-back compares with rejected rows as well: they have the text that was filled in.
    shop.deliver(named(1), "order,line\n7,1\n")
    shop.load()
    assert shop.cleaned("order", "line") == [("7", 1), ("7", 3), ("7", 2)]
    assert faults(shop) == []


def test_a_repaired_record_keeps_its_filled_value(tmp_path: Path) -> None:
    """The repair file says what was filled in, and nothing is filled down in it."""
    shop = Shop(tmp_path / "shop", order_feed())
    shop.deliver(named(1), "order,total,n\n1,5,1\n1,,x\n2,6,y\n3,,z\n")
    shop.load()
    (exported,) = export(shop, tmp_path / "out", day(1))
    rows = cells(exported.path)
    assert [row["total"] for row in rows] == ["5", "6", "6"]
    text = exported.path.read_text(encoding="utf-8")
    repaired = text.replace("1,5,x", "1,5,2").replace("2,6,y", "2,6,3").replace("3,6,z", "3,,4")
    shop.deliver(repair_name(), repaired)
    shop.load()
    assert sorted(shop.cleaned("n", "total"), key=str) == [(1, 5), (2, 5), (3, 6), (4, None)]
    assert faults(shop) == []


def test_filling_down_or_not_makes_all_batches_anew(tmp_path: Path) -> None:
    """The tables are a function of the raw text and the contract: another one makes other rows of it."""
    shop = Shop(tmp_path, order_feed())
    shop.deliver(named(1), "order,total,n\n1,5,1\n2,,2\n")
    shop.load()
    shop.feed = order_feed(within="order")
    shop.load()
    assert shop.cleaned("total") == [5, None]
    shop.feed = order_feed()
    shop.load()
    assert (shop.cleaned("total"), faults(shop)) == ([5, 5], [])


def test_each_sheet_is_filled_by_itself(tmp_path: Path) -> None:
    """A sheet's first records take nothing from the sheet before."""
    shop = Shop(tmp_path, order_feed(source=SourceFormat(FileFormat.XLSX, sheet=ALL_SHEETS)))
    head = ("order", "total", "n")
    shop.deliver(
        named(1), workbook({"A": [head, ("1", 5, 1), ("1", None, 2)], "B": [head, ("1", None, 3), ("1", 6, 4)]})
    )
    shop.load()
    assert dict(shop.cleaned("n", "total")) == {1: 5, 2: 5, 3: None, 4: 6}
