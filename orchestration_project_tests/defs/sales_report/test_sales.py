"""What the report says of sales, asked of marts in a real warehouse."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from duckdb import DuckDBPyConnection

from orchestration_project.components.time_series import Unit
from orchestration_project.defs.product_marts import queries
from orchestration_project.defs.sales_report.model import Figures, Report
from orchestration_project.defs.sales_report.page import render
from orchestration_project.defs.sales_report.sales import TOP_GROUPS, TOP_PRODUCTS, read_sales
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.marts import newest_totals
from orchestration_project.warehouse.tables import ensure_table
from orchestration_project_tests.defs.product_marts.shop_marts import daily

FIRST = dt.date(2024, 1, 1)
NOW = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
PAGE_BYTES = 3_000_000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[DuckDBPyConnection]:
    """A warehouse with empty marts."""
    with Warehouse(tmp_path / "warehouse.duckdb", threads=1).transaction("test") as connection:
        ensure_table(connection, queries.DAILY, daily().columns)
        ensure_table(connection, queries.PRODUCTS, queries.COLUMNS)
        ensure_table(connection, queries.CATALOGUE, queries.SOURCES[queries.CATALOGUE])
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
    assert render(Report(NOW, sales, [], [], 0))


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
    assert len(render(Report(NOW, sales, [], [], 0))) < PAGE_BYTES


def test_newest_days(connection: DuckDBPyConnection) -> None:
    """Of the newest days no more are read than asked for, and none before the first."""
    sell(connection, 1, 1, 3)
    assert [bool(total) for _, total in newest_totals(connection, daily(), "revenue", 60)] == [True, False, True]
    assert [bool(total) for _, total in newest_totals(connection, daily(), "revenue", 2)] == [False, True]
