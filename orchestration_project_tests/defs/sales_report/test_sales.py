"""What the report says of sales, asked of marts in a real warehouse."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from orchestration_project.components.charts import Unit
from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.defs.product_marts import queries
from orchestration_project.defs.sales_report.model import Accounts, Figures, Report
from orchestration_project.defs.sales_report.page import render
from orchestration_project.defs.sales_report.report import read_report
from orchestration_project.defs.sales_report.sales import TOP_GROUPS, TOP_PRODUCTS, read_sales
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project.warehouse.marts import newest_totals
from orchestration_project.warehouse.tables import ensure_table
from orchestration_project_tests.defs.product_marts.shop_marts import daily
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named

FIRST = dt.date(2024, 1, 1)
TODAY = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
PAGE_BYTES = 3_000_000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DuckDBPyConnection]:
    """A warehouse with empty marts."""
    with DuckdbFile(tmp_path / "warehouse.duckdb", threads=1).transaction("test") as connection:
        ensure_table(connection, queries.DAILY, daily().columns)
        ensure_table(connection, queries.PRODUCTS, queries.COLUMNS)
        for table in (queries.CATALOGUE, queries.HISTORY):
            ensure_table(connection, table, queries.SOURCES[table])
        yield connection


def sell(connection: DuckDBPyConnection, product: int, *days: int, revenue: str = "10.00") -> None:
    """Two units of a product on each of the n-th days."""
    for number in days:
        day = FIRST + dt.timedelta(days=number - 1)
        row = [day, product, 1, 2, Decimal(revenue), day, day]
        connection.execute(f"INSERT INTO {queries.DAILY} VALUES ($1, $2, $3, $4, $5, $6, $7)", row)


def list_product(
    connection: DuckDBPyConnection, product: int, name: str, category: str | None, price: str | None = "Low"
) -> None:
    """Put a product into the catalogue."""
    row = [product, name, category, price]
    connection.execute(
        f"INSERT INTO {queries.CATALOGUE} BY NAME"
        " SELECT $1 AS product_id, $2 AS name, $3 AS category, $4 AS price_category",
        row,
    )


def make_products(connection: DuckDBPyConnection) -> None:
    """Fill `product_warehouse` as its asset does."""
    connection.execute(f"INSERT INTO {queries.PRODUCTS} {queries.PRODUCT_SELECT}")


def names(ranking: object) -> list[str | None]:
    return [line.name for line in ranking.shown]  # type: ignore[attr-defined]


def test_nothing_sold(connection: DuckDBPyConnection) -> None:
    """Before the first sale there is nothing to say."""
    assert read_sales(connection) is None
    assert newest_totals(connection, daily(), "revenue", 60) == []


def test_totals_and_gaps(connection: DuckDBPyConnection) -> None:
    """Each day between the first and the last has its place, those without a batch too; sums are exact."""
    sell(connection, 1, 1, 2, 12, revenue="0.10")
    sell(connection, 2, 12, revenue="0.20")
    make_products(connection)
    sales = read_sales(connection)
    assert sales
    assert (sales.first, sales.last, sales.days, sales.unit) == (FIRST, dt.date(2024, 1, 12), 3, Unit.DAY)
    assert sales.total == Figures(2, 8, Decimal("0.50"))
    assert sales.recent == Figures(2, 4, Decimal("0.30"))
    assert [item.start.day for item in sales.stretches] == list(range(1, 13))
    assert [item.start.day for item in sales.stretches if item.figures] == [1, 2, 12]


def test_one_day(connection: DuckDBPyConnection) -> None:
    """A single day has a chart of one bar, and nothing to compare it with."""
    sell(connection, 1, 1)
    make_products(connection)
    sales = read_sales(connection)
    assert sales
    assert len(sales.stretches) == 1
    assert (sales.new, sales.vanished) == (None, None)
    assert render(Report(TODAY, sales, [], [], 0))


def test_new_and_vanished(connection: DuckDBPyConnection) -> None:
    """New is what sold in the last 7 days and never before; vanished what sold in the 30 before them and not since."""
    sell(connection, 1, 1, 40)
    sell(connection, 2, 34)
    sell(connection, 3, 33)
    sell(connection, 4, 4)
    sell(connection, 5, 3)
    for product in range(1, 6):
        list_product(connection, product, f"P{product}", "C")
    make_products(connection)
    sales = read_sales(connection)
    assert sales
    assert sales.new
    assert sales.vanished
    assert names(sales.new) == ["P2"]
    assert names(sales.vanished) == ["P3", "P4"]


def test_ranking(connection: DuckDBPyConnection) -> None:
    """Products and groups are in order of revenue; those without a category have a line of their own."""
    for product, revenue in ((1, "1.00"), (2, "3.00"), (3, "2.00"), (4, "9.00")):
        sell(connection, product, 1, revenue=revenue)
    list_product(connection, 1, "A", "X")
    list_product(connection, 2, "B", "X")
    list_product(connection, 3, "C", None, None)
    list_product(connection, 5, "never sold", "Y")
    make_products(connection)
    sales = read_sales(connection)
    assert sales
    assert [(line.product_id, line.name) for line in sales.products.shown] == [
        ("4", None),
        ("2", "B"),
        ("3", "C"),
        ("1", "A"),
    ]
    assert [(line.name, line.figures.products) for line in sales.categories.shown] == [(None, 2), ("X", 2)]
    assert names(sales.price_categories) == [None, "Low"]
    assert [line.product_id for line in sales.unknown.shown] == ["4"]
    assert sales.unsold == 1


def test_many_products_and_days(connection: DuckDBPyConnection) -> None:
    """40,000 products in as many categories on 1,000 days make a small page, on which all sums are complete."""
    connection.execute(
        f"""INSERT INTO {queries.DAILY} SELECT DATE '2020-01-01' + (i // 40)::INTEGER, i, 1, 2, 0.10,
            DATE '2020-01-01', DATE '2020-01-01' FROM range(40000) rows(i)"""
    )
    connection.execute(
        f"""INSERT INTO {queries.CATALOGUE} BY NAME SELECT i AS product_id, 'P' || i AS name, 'C' || i AS category
            FROM range(40000) rows(i)"""
    )
    make_products(connection)
    sales = read_sales(connection)
    assert sales
    assert sales.unit is Unit.MONTH
    assert sum(item.figures.units for item in sales.stretches if item.figures) == 80000
    for ranking, shown in ((sales.products, TOP_PRODUCTS), (sales.categories, TOP_GROUPS)):
        assert (len(ranking.shown), ranking.count) == (shown, 40000)
        assert ranking.others == Figures(40000 - shown, 2 * (40000 - shown), (40000 - shown) * Decimal("0.10"))
    assert len(render(Report(TODAY, sales, [], [], 0))) < PAGE_BYTES


def test_newest_days(connection: DuckDBPyConnection) -> None:
    """Of the newest days no more are read than asked for, and none before the first."""
    sell(connection, 1, 1, 3)
    assert [bool(total) for _, total in newest_totals(connection, daily(), "revenue", 60)] == [True, False, True]
    assert [bool(total) for _, total in newest_totals(connection, daily(), "revenue", 2)] == [False, True]


def report(shop: Shop, now: dt.datetime = NOW) -> Report:
    return read_report(shop.warehouse, "test", [ConfiguredFeed(shop.feed, shop.options)], now)


def shop_of_people(folder: Path) -> Shop:
    """A feed with a personal column and limits."""
    mail = column("mail", "VARCHAR", Required(), personal=True)
    return Shop(folder, feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "1")), mail))


def test_accounts_and_files(tmp_path: Path) -> None:
    """The records of loaded files are summed up by what became of them; versions are counted by status."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n\n,2\n")
    shop.deliver(named(2), "id,n\nb,1\n")
    shop.deliver(named(3, "copy"), "id,n\nb,1\n")
    shop.load()
    shop.deliver(named(2), "id,n\nb,2\nc,3\n")
    shop.deliver("s_2024-01-09.csv", "no such header\n")
    shop.load()
    found = report(shop)
    (state,) = found.feeds
    assert state.accounts == Accounts(
        records=6, cleaned=4, rejected=1, blank=1, ignored=0, open=1, repaired=0, waived=0
    )
    assert state.accounts.missing == 0
    expected = {"loaded": 3, "kept": 0, "superseded": 1, "duplicate": 0, "quarantined": 1, "withdrawn": 0}
    assert state.files == expected
    assert found.file_count == 5
    assert {(file.file, file.status) for file in found.files} >= {("s_2024-01-09.csv", "quarantined")}


def test_quality_over_time(tmp_path: Path) -> None:
    """Each day has its cleaned and rejected records; days without a file have none."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n,2\n")
    shop.deliver(named(3), "id,n\nb,1\n")
    shop.load()
    (state,) = report(shop).feeds
    assert [(item.start, item.cleaned, item.rejected, item.share) for item in state.quality] == [
        (day(1), 1, 1, 0.5),
        (day(2), None, None, None),
        (day(3), 1, 0, 0.0),
    ]


@pytest.mark.promise("security")
def test_reasons_have_an_example_that_tells_nothing_personal(tmp_path: Path) -> None:
    """Reasons come with the values that broke the rule, and personal ones and raw lines are masked."""
    shop = shop_of_people(tmp_path)
    shop.deliver(named(1), "id,n,mail\na,0,x@example.org\n,-5,secret\nb,1\nc,1,\n")
    shop.load()
    (state,) = report(shop).feeds
    assert {(item.reason, item.records, item.row, item.values) for item in state.reasons} == {
        ("n: minimum", 2, 1, "n = 0"),
        ("id: required", 1, 2, "id = (empty)"),
        ("_raw_line: too_few_columns", 1, 3, "_raw_line = ***"),
        ("mail: required", 1, 4, "mail = (empty)"),
    }
    assert "secret" not in str(state)


def test_long_values_are_cut(tmp_path: Path) -> None:
    """A value that would fill the page is shortened."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), f"id,n\na,{'9' * 10000}\n")
    shop.load()
    (state,) = report(shop).feeds
    assert len(state.reasons[0].values) < 100
    assert state.reasons[0].values.endswith("…")


def test_a_contract_that_is_ahead_of_the_table(tmp_path: Path) -> None:
    """Before the first load under a contract with another column, reasons are told without an example."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n,1\n")
    shop.load()
    shop.feed = feed(column("id"), column("n", "INTEGER"), column("new"))
    (state,) = report(shop).feeds
    assert [(item.reason, item.file) for item in state.reasons] == [("id: required", "")]


@pytest.mark.parametrize(
    ("now", "overdue"),
    [
        pytest.param(dt.datetime(2024, 1, 4, tzinfo=dt.UTC), False, id="at the last moment"),
        pytest.param(dt.datetime(2024, 1, 4, 0, 0, 1, tzinfo=dt.UTC), True, id="a second later"),
    ],
)
def test_freshness(now: dt.datetime, overdue: bool, tmp_path: Path) -> None:
    """The batch after the newest one is overdue when its day and the contract's latency are over."""
    shop = Shop(tmp_path, feed(latency=dt.timedelta(days=1)))
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    (state,) = report(shop, now).feeds
    assert (state.newest, state.due, state.overdue) == ("2024-01-01", dt.datetime(2024, 1, 4, tzinfo=dt.UTC), overdue)


def test_a_feed_without_files(tmp_path: Path) -> None:
    """A feed of which nothing came stands there with nothing."""
    (state,) = report(Shop(tmp_path)).feeds
    assert (state.newest, state.due, state.overdue, state.quality, state.reasons) == (None, None, False, [], [])
    assert state.accounts == Accounts(0, 0, 0, 0, 0, 0, 0, 0)
