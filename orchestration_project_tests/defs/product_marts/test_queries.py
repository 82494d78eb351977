"""The marts' figures on small tables, each worked out by hand."""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from orchestration_project.defs.product_marts import queries
from orchestration_project.warehouse import marts
from orchestration_project.warehouse.published import note_published
from orchestration_project.warehouse.tables import ensure_table
from orchestration_project_tests.defs.product_marts.shop_marts import daily

MARCH_1 = dt.date(2024, 3, 1)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Empty sources."""
    with duckdb.connect() as connection:
        for table in (queries.CATALOGUE, queries.HISTORY):
            ensure_table(connection, table, queries.SOURCES[table])
        ensure_table(connection, queries.PRODUCTS, queries.COLUMNS)
        ensure_table(connection, queries.SALES, daily().inputs[queries.SALES])
        marts.make_tables(connection, daily())
        yield connection


def sell(
    connection: duckdb.DuckDBPyConnection,
    batch: dt.date,
    order: str,
    product: int,
    units: int,
    amount: str,
    days_ago: int = 0,
) -> None:
    """A line of a cleaned sale, sold some days before its batch, as a load publishes it."""
    sold_at = dt.datetime.combine(batch, dt.time(18, 30)) - dt.timedelta(days=days_ago)
    connection.execute(
        """INSERT INTO cleaned_sales BY NAME SELECT $1 AS order_id, $2 AS product_id, $3 AS quantity,
            $4 AS total_amount, $5 AS sold_at, $6 AS _batch_date, 'till.csv' AS _file, '1' AS _file_version,
            count(*) AS _row FROM cleaned_sales""",
        [order, product, units, Decimal(amount), sold_at, batch],
    )
    note_published(connection, queries.SALES, [batch])


def ago(days: int) -> dt.date:
    return MARCH_1 - dt.timedelta(days=days)


def products(connection: duckdb.DuckDBPyConnection) -> dict[int, dict[str, Any]]:
    """`product_warehouse` by product."""
    rows = connection.execute(queries.PRODUCT_SELECT).fetchall()
    return {row[0]: dict(zip(queries.COLUMNS, row, strict=True)) for row in rows}


def test_daily_figures(connection: duckdb.DuckDBPyConnection) -> None:
    """Orders count once a product and day, units and revenue add up, first and last day are those of the sale."""
    sell(connection, MARCH_1, "A", 1, 2, "10.00")
    sell(connection, MARCH_1, "A", 1, 1, "5.01", days_ago=3)
    sell(connection, MARCH_1, "B", 1, 4, "20.00")
    sell(connection, MARCH_1, "B", 2, 1, "0.99")
    sell(connection, ago(1), "C", 1, 1, "5.00")
    assert marts.replace(connection, daily(), [MARCH_1]) == {ago(1): 1, MARCH_1: 2}
    day = "FROM product_daily_sales WHERE _batch_date = '2024-03-01' ORDER BY product_id"
    assert connection.execute(day).fetchall() == [
        (MARCH_1, 1, 2, 7, Decimal("35.01"), ago(3), MARCH_1),
        (MARCH_1, 2, 1, 1, Decimal("0.99"), MARCH_1, MARCH_1),
    ]


def test_a_day_is_replaced(connection: duckdb.DuckDBPyConnection) -> None:
    """Computing a day again gives what is sold now; a day without sales is empty."""
    sell(connection, MARCH_1, "A", 1, 2, "10.00")
    marts.replace(connection, daily(), [MARCH_1])
    connection.execute("DELETE FROM cleaned_sales")
    assert marts.replace(connection, daily(), [MARCH_1]) == {MARCH_1: 0}
    assert connection.execute("SELECT count(*) FROM product_daily_sales").fetchone() == (0,)


CHANGES = [
    pytest.param("UPDATE cleaned_sales SET quantity = 3 WHERE order_id = 'A'", id="units"),
    pytest.param("UPDATE cleaned_sales SET total_amount = 9.99 WHERE order_id = 'A'", id="revenue"),
    pytest.param("UPDATE cleaned_sales SET product_id = 3 WHERE order_id = 'A'", id="another product"),
    pytest.param("UPDATE cleaned_sales SET _batch_date = '2024-03-01' WHERE order_id = 'A'", id="another day"),
    pytest.param("DELETE FROM cleaned_sales WHERE order_id = 'A'", id="gone"),
    pytest.param("DELETE FROM cleaned_sales WHERE _batch_date = '2024-02-29'", id="all gone"),
    pytest.param("DELETE FROM product_daily_sales WHERE _batch_date = '2024-02-29'", id="lost in the mart"),
    pytest.param(
        "UPDATE product_daily_sales SET revenue = 1 WHERE _batch_date < '2024-03-01'", id="written in the mart"
    ),
]


@pytest.fixture
def two_days(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Two days of sales and their mart."""
    sell(connection, ago(1), "A", 1, 2, "10.00")
    sell(connection, ago(1), "B", 2, 2, "10.00")
    sell(connection, MARCH_1, "C", 2, 1, "5.00")
    marts.replace(connection, daily(), [ago(1), MARCH_1])
    assert marts.outdated_batches(connection, daily()) == marts.differing_batches(connection, daily()) == []
    return connection


@pytest.mark.parametrize("change", CHANGES)
def test_other_days_that_changed_are_replaced_too(two_days: duckdb.DuckDBPyConnection, change: str) -> None:
    """A day whose published sales have changed since is named, and computed again whatever day is asked for."""
    two_days.execute(change)
    note_published(two_days, queries.SALES, [MARCH_1])
    note_published(two_days, queries.SALES, [ago(1)], rules="another contract")
    assert marts.differing_batches(two_days, daily())[0] == ago(1)
    assert marts.outdated_batches(two_days, daily())[0] == ago(1)
    assert set(marts.replace(two_days, daily(), [MARCH_1])) == {ago(1), MARCH_1}
    assert marts.outdated_batches(two_days, daily()) == marts.differing_batches(two_days, daily()) == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_mart_of_an_older_release_is_compared_once(two_days: duckdb.DuckDBPyConnection, change: str) -> None:
    """Where nothing tells what days were made from, those that differ from the sales are replaced, and no others."""
    two_days.execute(change)
    two_days.execute("DROP TABLE product_daily_sales_built; DROP TABLE published_batches")
    wrong = marts.differing_batches(two_days, daily())
    assert list(marts.replace(two_days, daily(), [])) == wrong
    assert marts.outdated_batches(two_days, daily()) == marts.differing_batches(two_days, daily()) == []


def test_a_lost_mart_is_made_again(two_days: duckdb.DuckDBPyConnection) -> None:
    """When somebody drops the mart, any materialization brings all of its days back."""
    before = two_days.execute("FROM product_daily_sales ORDER BY ALL").fetchall()
    two_days.execute("DROP TABLE product_daily_sales")
    assert set(marts.replace(two_days, daily(), [MARCH_1])) == {ago(1), MARCH_1}
    assert two_days.execute("FROM product_daily_sales ORDER BY ALL").fetchall() == before


def test_only_the_days_asked_for_are_added_up(two_days: duckdb.DuckDBPyConnection) -> None:
    """A value that somebody changed is found on its own day, and where all days are compared."""
    two_days.execute("UPDATE cleaned_sales SET quantity = 3 WHERE order_id = 'A'")
    assert marts.differing_batches(two_days, daily(), [MARCH_1]) == []
    assert (
        marts.differing_batches(two_days, daily(), [ago(1)]) == marts.differing_batches(two_days, daily()) == [ago(1)]
    )


def test_product_figures(connection: duckdb.DuckDBPyConnection) -> None:
    """Days add up; the windows hold the 7 and 30 batch days that end with the newest one."""
    for days, amount in ((0, "1.00"), (6, "2.00"), (7, "4.00"), (29, "8.00"), (30, "16.00")):
        sell(connection, ago(days), f"O{days}", 1, 1, amount)
    sell(connection, ago(40), "P", 2, 3, "7.50")
    marts.replace(connection, daily(), [])
    found = products(connection)
    assert {name: found[1][name] for name in ("orders", "units_sold", "revenue", "revenue_7d", "revenue_30d")} == {
        "orders": 5,
        "units_sold": 5,
        "revenue": Decimal("31.00"),
        "revenue_7d": Decimal("3.00"),
        "revenue_30d": Decimal("15.00"),
    }
    assert (found[1]["first_sold_on"], found[1]["last_sold_on"]) == (ago(30), MARCH_1)
    assert (found[2]["revenue"], found[2]["revenue_7d"], found[2]["revenue_30d"]) == (Decimal("7.50"), 0, 0)


def test_catalogue_and_sales_are_joined_both_ways(connection: duckdb.DuckDBPyConnection) -> None:
    """A product of the catalogue without sales has zeros; a sold one that the catalogue lacks is kept and marked."""
    sell(connection, MARCH_1, "A", 9, 2, "10.00")
    connection.execute("INSERT INTO cleaned_products VALUES (1, 'KIT001', 'Kettle', 'Kitchen', 20.00, 'Low')")
    marts.replace(connection, daily(), [MARCH_1])
    found = products(connection)
    assert list(found) == [1, 9]
    assert found[1] | {"in_catalog": True, "orders": 0, "revenue": 0, "first_sold_on": None} == found[1]
    assert (found[1]["name"], found[1]["list_price"], found[1]["price_category"]) == ("Kettle", Decimal("20.00"), "Low")
    assert (found[9]["name"], found[9]["in_catalog"], found[9]["units_sold"]) == (None, False, 2)


def test_a_delisted_product_keeps_what_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    """Of a product that the newest catalogue lacks, its last version tells name, category and price, sold or not."""
    sell(connection, MARCH_1, "A", 7, 2, "10.00")
    connection.execute("INSERT INTO cleaned_products VALUES (1, 'KIT001', 'Kettle', 'Kitchen', 20.00, 'Low')")
    connection.execute(
        """INSERT INTO products_history VALUES
            (1, 'KIT001', 'Kettle', 'Kitchen', 20.00, 'Low', '2024-01-01', NULL),
            (7, 'POT007', 'Pot', 'Hob', 5.00, 'Low', '2024-01-01', '2024-01-05'),
            (7, 'POT007', 'Pot', 'Kitchen', 6.00, 'Low', '2024-01-08', '2024-01-09'),
            (8, 'PAN008', 'Pan', 'Hob', 9.00, 'Low', '2024-01-01', '2024-01-05')"""
    )
    marts.replace(connection, daily(), [MARCH_1])
    found = products(connection)
    assert list(found) == [1, 7, 8]
    told = ("category", "list_price", "revenue", "in_catalog", "delisted_on")
    assert [[found[product][name] for name in told] for product in (1, 7, 8)] == [
        ["Kitchen", Decimal("20.00"), 0, True, None],
        ["Kitchen", Decimal("6.00"), Decimal("10.00"), False, dt.date(2024, 1, 9)],
        ["Hob", Decimal("9.00"), 0, False, dt.date(2024, 1, 5)],
    ]


def test_no_sales_at_all(connection: duckdb.DuckDBPyConnection) -> None:
    """The catalogue alone makes a mart."""
    connection.execute("INSERT INTO cleaned_products VALUES (1, 'KIT001', 'Kettle', 'Kitchen', 20.00, 'Low')")
    marts.replace(connection, daily(), [])
    assert products(connection)[1]["revenue_30d"] == 0


def test_totals_and_orphans(connection: duckdb.DuckDBPyConnection) -> None:
    """Totals of sales and marts are sums to the cent, zero for empty tables; orphans come the dearest first."""
    tables = (queries.SALES, queries.DAILY, queries.PRODUCTS)
    assert {queries.totals(connection, table) for table in tables} == {queries.SoldTotals(0, Decimal(0))}
    sell(connection, MARCH_1, "A", 8, 2, "10.10")
    sell(connection, MARCH_1, "B", 9, 1, "99.99")
    marts.replace(connection, daily(), [MARCH_1])
    connection.execute(f"INSERT INTO product_warehouse {queries.PRODUCT_SELECT}")
    assert {queries.totals(connection, table) for table in tables} == {queries.SoldTotals(3, Decimal("110.09"))}
    assert [product for product, _, _ in queries.orphans(connection)] == [9, 8]
