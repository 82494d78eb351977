"""The marts as SQL over published tables: products by day, and one row a product."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.published import TABLE as PUBLISHED_BATCHES
from orchestration_project.warehouse.published import ensure_published
from orchestration_project.warehouse.quoting import literal
from orchestration_project.warehouse.tables import batch_filter, columns_of, ensure_table, exists, replace_batches

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAILY, PRODUCTS = "product_daily_sales", "product_warehouse"
SALES, CATALOGUE = "cleaned_sales", "cleaned_products"
BUILT = "product_daily_sales_built"
"""What each day of the daily mart was made from, and its sums at that time."""

DAILY_COLUMNS = {
    "_batch_date": "DATE",
    "product_id": "INTEGER",
    "orders": "BIGINT",
    "units_sold": "BIGINT",
    "revenue": "DECIMAL(38,2)",
    "first_sold_on": "DATE",
    "last_sold_on": "DATE",
}
BUILT_COLUMNS = {"_batch_date": "DATE", "content": "HUGEINT", "units_sold": "BIGINT", "revenue": "DECIMAL(38,2)"}
PRODUCT_COLUMNS = {
    "product_id": "INTEGER",
    "product_code": "VARCHAR",
    "name": "VARCHAR",
    "category": "VARCHAR",
    "list_price": "DECIMAL(18,2)",
    "price_category": "VARCHAR",
    "orders": "BIGINT",
    "units_sold": "BIGINT",
    "revenue": "DECIMAL(38,2)",
    "first_sold_on": "DATE",
    "last_sold_on": "DATE",
    "revenue_7d": "DECIMAL(38,2)",
    "revenue_30d": "DECIMAL(38,2)",
    "in_catalog": "BOOLEAN",
}
SOURCE_COLUMNS: Mapping[str, Mapping[str, str]] = {
    SALES: {
        "order_id": "VARCHAR",
        "product_id": "INTEGER",
        "quantity": "INTEGER",
        "total_amount": "DECIMAL(18,2)",
        "sold_at": "TIMESTAMP",
        "_batch_date": "DATE",
        "_file": "VARCHAR",
        "_file_version": "VARCHAR",
        "_row": "BIGINT",
    },
    CATALOGUE: {
        name: PRODUCT_COLUMNS[name]
        for name in ("product_id", "product_code", "name", "category", "list_price", "price_category")
    },
    DAILY: DAILY_COLUMNS,
    PRODUCTS: PRODUCT_COLUMNS,
}

DAILY_SELECT = f"""
    SELECT _batch_date, product_id, count(DISTINCT order_id) AS orders, sum(quantity) AS units_sold,
        sum(total_amount) AS revenue, min(sold_at)::DATE AS first_sold_on, max(sold_at)::DATE AS last_sold_on
    FROM {SALES} WHERE {{condition}} GROUP BY _batch_date, product_id ORDER BY _batch_date, product_id"""

DAY_SUMS = f"SELECT _batch_date, sum(units_sold) AS units_sold, sum(revenue) AS revenue FROM {DAILY} GROUP BY 1"
PUBLISHED = f"FROM {PUBLISHED_BATCHES} WHERE table_name = {literal(SALES)}"
BUILT_SELECT = f"""
    FROM ({DAY_SUMS}) LEFT JOIN (SELECT _batch_date::DATE AS _batch_date, content {PUBLISHED}) USING (_batch_date)"""

# Orders are counted a day: an order that is spread over several batch days counts on each of them. The trailing windows
# end with the newest batch day of the table, not with the clock, so that the same sales always give the same row.
PRODUCT_SELECT = f"""
    WITH sold AS (
        SELECT product_id, sum(orders) AS orders, sum(units_sold) AS units_sold, sum(revenue) AS revenue,
            min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on,
            coalesce(sum(revenue) FILTER (_batch_date > newest - 7), 0) AS revenue_7d,
            coalesce(sum(revenue) FILTER (_batch_date > newest - 30), 0) AS revenue_30d
        FROM {DAILY}, (SELECT max(_batch_date) AS newest FROM {DAILY}) GROUP BY product_id)
    SELECT coalesce(c.product_id, s.product_id) AS product_id,
        c.product_code, c.name, c.category, c.list_price, c.price_category,
        coalesce(s.orders, 0) AS orders, coalesce(s.units_sold, 0) AS units_sold, coalesce(s.revenue, 0) AS revenue,
        s.first_sold_on, s.last_sold_on,
        coalesce(s.revenue_7d, 0) AS revenue_7d, coalesce(s.revenue_30d, 0) AS revenue_30d,
        c.product_id IS NOT NULL AS in_catalog
    FROM {CATALOGUE} c FULL JOIN sold s ON c.product_id = s.product_id ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Totals:
    """What was sold altogether."""

    units: int
    revenue: Decimal


def ensure_sources(connection: "DuckDBPyConnection", *tables: str) -> None:
    """Make sure that tables can be queried before their first load: an empty one is made where there is none."""
    for table in tables:
        if not columns_of(connection, table):
            ensure_table(connection, table, SOURCE_COLUMNS[table])


def replace_daily_sales(connection: "DuckDBPyConnection", batches: Iterable[Batch]) -> dict[Batch, int]:
    """Replace batch days of `product_daily_sales`: those given, and all others that are out of date.

    A load may have published other batches again than the ones it was asked for: because of a key they share, or
    because a file's bytes came for an earlier batch.

    Returns:
        The number of rows of each day that was replaced.
    """
    ensure_daily_sales(connection)
    days = sorted({*batches, *outdated_days(connection)})
    replace_batches(connection, DAILY, days, DAILY_SELECT.format(condition=batch_filter(days)))
    replace_batches(connection, BUILT, days, f"{BUILT_SELECT} WHERE {batch_filter(days)}")
    rows = connection.execute(
        f"SELECT _batch_date, count(*) FROM {DAILY} WHERE {batch_filter(days)} GROUP BY 1"
    ).fetchall()
    return dict.fromkeys(days, 0) | dict(rows)


def ensure_daily_sales(connection: "DuckDBPyConnection") -> None:
    """Make sure that the daily mart exists, and the list of what its days were made from.

    In a warehouse from before there was this list, the days that equal the cleaned sales are taken for up to date.
    """
    ensure_sources(connection, SALES, DAILY)
    ensure_table(connection, DAILY, DAILY_COLUMNS)
    ensure_published(connection, SALES)
    if not exists(connection, BUILT):
        ensure_table(connection, BUILT, BUILT_COLUMNS)
        right = f"WHERE NOT ({batch_filter(differing_days(connection))})"
        replace_batches(connection, BUILT, None, f"{BUILT_SELECT} {right}")


def outdated_days(connection: "DuckDBPyConnection") -> list[Batch]:
    """The batch days of `product_daily_sales` that were written to, or made from other sales than are published now.

    The cleaned sales themselves are not read: what a day was made from is held against what is published of it.
    """
    rows = connection.execute(
        f"""SELECT _batch_date FROM (SELECT _batch_date::DATE AS _batch_date, content {PUBLISHED}) AS published
            FULL JOIN (FROM {BUILT}) AS built USING (_batch_date) FULL JOIN ({DAY_SUMS}) AS mart USING (_batch_date)
            WHERE published.content IS DISTINCT FROM built.content
            OR (built.units_sold, built.revenue) IS DISTINCT FROM (mart.units_sold, mart.revenue) ORDER BY 1"""
    ).fetchall()
    return [day for (day,) in rows]


def differing_days(connection: "DuckDBPyConnection", batches: Sequence[Batch] | None = None) -> list[Batch]:
    """The batch days (None: of all) on which a product's units or revenue are not those of its cleaned sales."""
    condition = batch_filter(batches)
    rows = connection.execute(
        f"""SELECT DISTINCT _batch_date
            FROM (SELECT _batch_date, product_id, units_sold AS units, revenue FROM {DAILY} WHERE {condition}) AS mart
            FULL JOIN (SELECT _batch_date, product_id, sum(quantity) AS units, sum(total_amount) AS revenue
                FROM {SALES} WHERE {condition} GROUP BY ALL) AS sold
            USING (_batch_date, product_id)
            WHERE (mart.units, mart.revenue) IS DISTINCT FROM (sold.units, sold.revenue) ORDER BY 1"""
    ).fetchall()
    return [day for (day,) in rows]


def totals(connection: "DuckDBPyConnection", table: str) -> Totals:
    """Units and revenue over all of the cleaned sales or of a mart."""
    units, revenue = ("quantity", "total_amount") if table == SALES else ("units_sold", "revenue")
    row = connection.execute(
        f"SELECT coalesce(sum({units}), 0)::BIGINT, coalesce(sum({revenue}), 0) FROM {table}"
    ).fetchone()
    assert row
    return Totals(*row)


def orphans(connection: "DuckDBPyConnection") -> list[tuple[int, int, Decimal]]:
    """The products that were sold but are not in the catalogue, with units and revenue, the dearest first."""
    return connection.execute(
        f"SELECT product_id, units_sold, revenue FROM {PRODUCTS} WHERE NOT in_catalog ORDER BY revenue DESC, product_id"
    ).fetchall()
