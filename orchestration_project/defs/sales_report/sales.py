"""What the report says of sales: queries over the marts, each of which returns a few rows however much was sold."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from orchestration_project.components.time_series import Unit, starts, unit_for
from orchestration_project.defs.sales_report.model import Figures, Ranking, Sales, Sold, Stretch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAILY, PRODUCTS = "product_daily_sales", "product_warehouse"
MARTS = {
    DAILY: {"_batch_date": "DATE", "product_id": "INTEGER", "units_sold": "BIGINT", "revenue": "DECIMAL(38,2)"},
    PRODUCTS: {
        "product_id": "INTEGER",
        "name": "VARCHAR",
        "category": "VARCHAR",
        "price_category": "VARCHAR",
        "orders": "BIGINT",
        "units_sold": "BIGINT",
        "revenue": "DECIMAL(38,2)",
        "in_catalog": "BOOLEAN",
    },
}
"""What the queries read of each mart."""
TOP_PRODUCTS = 15
TOP_GROUPS = 12
TOP_CHANGES = 8
RECENT_DAYS, EARLIER_DAYS = 7, 30
FIGURES = "coalesce(sum(units_sold), 0)::BIGINT, coalesce(sum(revenue), 0)"
SOLD = "orders > 0"
LINES = f"SELECT name, 1 AS products, units_sold, revenue, product_id::VARCHAR AS product_id, category FROM {PRODUCTS}"
SPANS = f"""
    SELECT product_id, min(_batch_date) AS first, max(_batch_date) AS last,
        coalesce(sum(units_sold) FILTER (_batch_date > $start), 0) AS units_sold,
        coalesce(sum(revenue) FILTER (_batch_date > $start), 0) AS revenue
    FROM {DAILY} GROUP BY product_id"""


def read_sales(connection: "DuckDBPyConnection") -> Sales | None:
    """What the marts say; None before the first sale.

    Args:
        connection: to a warehouse that has the marts, or something that stands in for them.
    """
    span = connection.execute(
        f"SELECT min(_batch_date), max(_batch_date), count(DISTINCT _batch_date) FROM {DAILY}"
    ).fetchone()
    assert span
    first, last, days = span
    if not days:
        return None
    recent = last - dt.timedelta(days=RECENT_DAYS)
    unit = unit_for(first, last)
    return Sales(
        first=first,
        last=last,
        days=days,
        total=_figures(connection, "true"),
        recent=_figures(connection, f"_batch_date > '{recent}'"),
        unit=unit,
        stretches=_stretches(connection, unit, first, last),
        products=_ranking(connection, f"{LINES} WHERE {SOLD}", TOP_PRODUCTS),
        categories=_ranking(connection, _grouped("category"), TOP_GROUPS),
        price_categories=_ranking(connection, _grouped("price_category"), TOP_GROUPS),
        new=_changes(connection, recent, f"first > '{recent}'") if first <= recent else None,
        vanished=_vanished(connection, recent) if first <= recent else None,
        unknown=_ranking(connection, f"{LINES} WHERE {SOLD} AND NOT in_catalog", TOP_CHANGES),
        unsold=_unsold(connection),
    )


def _stretches(connection: "DuckDBPyConnection", unit: Unit, first: dt.date, last: dt.date) -> list[Stretch]:
    """What was sold in each stretch of time from the first day to the last one."""
    rows = connection.execute(
        f"""SELECT date_trunc($unit, _batch_date)::DATE, count(DISTINCT product_id), {FIGURES} FROM {DAILY}
            WHERE _batch_date BETWEEN $first AND $last GROUP BY 1""",
        {"unit": unit.value, "first": first, "last": last},
    ).fetchall()
    found = {start: Figures(*figures) for start, *figures in rows}
    return [Stretch(start, found.get(start)) for start in starts(unit, first, last)]


def _figures(connection: "DuckDBPyConnection", condition: str) -> Figures:
    row = connection.execute(f"SELECT count(DISTINCT product_id), {FIGURES} FROM {DAILY} WHERE {condition}").fetchone()
    assert row
    return Figures(*row)


def _grouped(column: str) -> str:
    return f"""SELECT {column} AS name, count(*) AS products, sum(units_sold) AS units_sold, sum(revenue) AS revenue,
        '' AS product_id, NULL AS category FROM {PRODUCTS} WHERE {SOLD} GROUP BY {column}"""


def _changes(connection: "DuckDBPyConnection", start: dt.date, condition: str) -> Ranking:
    """Products by what they earned after `start`, of those whose first and last batch days fulfil a condition."""
    query = f"""SELECT name, 1 AS products, spans.units_sold, spans.revenue, product_id::VARCHAR AS product_id, category
        FROM ({SPANS}) AS spans LEFT JOIN {PRODUCTS} USING (product_id) WHERE {condition}"""
    return _ranking(connection, query, TOP_CHANGES, start=start)


def _vanished(connection: "DuckDBPyConnection", recent: dt.date) -> Ranking:
    earlier = recent - dt.timedelta(days=EARLIER_DAYS)
    return _changes(connection, earlier, f"last <= '{recent}' AND last > '{earlier}'")


def _ranking(connection: "DuckDBPyConnection", query: str, limit: int, **parameters: Any) -> Ranking:
    """The lines of a query that earned most, and the sum of all. The sums come with each line, in one scan."""
    rows = connection.execute(
        f"""SELECT name, products, units_sold::BIGINT, revenue, product_id, category,
                count(*) OVER (), sum(products) OVER (), sum(units_sold) OVER ()::BIGINT, sum(revenue) OVER ()
            FROM ({query}) AS lines ORDER BY revenue DESC, name, product_id LIMIT {limit}""",
        parameters,
    ).fetchall()
    shown = [
        Sold(name, Figures(products, units, revenue), product_id, category)
        for name, products, units, revenue, product_id, category, *_ in rows
    ]
    if not rows:
        return Ranking(shown, 0, Figures(0, 0, Decimal()))
    return Ranking(shown, rows[0][6], Figures(*rows[0][7:]))


def _unsold(connection: "DuckDBPyConnection") -> int:
    row = connection.execute(f"SELECT count(*) FROM {PRODUCTS} WHERE in_catalog AND NOT ({SOLD})").fetchone()
    return int(row[0]) if row else 0
