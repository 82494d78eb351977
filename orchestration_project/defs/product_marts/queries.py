"""What the product marts say, as SQL: names and columns of `product_warehouse`, its SELECT, its totals, its orphans.

No Dagster here: commands that only need a name start faster without it.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PRODUCTS, DAILY, SALES, CATALOGUE = "product_warehouse", "product_daily_sales", "cleaned_sales", "cleaned_products"
KEY = ("product_id",)
COLUMNS = {
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
DESCRIPTIONS = {
    "product_id": "Product; from the catalogue, or from the sales files for a product that the catalogue lacks.",
    "product_code": "First three letters of the category in capitals and the id, padded to three digits.",
    "name": "Name in the catalogue.",
    "category": "Category in the catalogue.",
    "list_price": "Price in the catalogue.",
    "price_category": "Low below 25, Medium below 35, else High.",
    "orders": "Orders with the product; one that is spread over several batch days counts on each.",
    "units_sold": "Units sold since the first batch.",
    "revenue": "Revenue since the first batch.",
    "first_sold_on": "Day of the earliest sale.",
    "last_sold_on": "Day of the latest sale.",
    "revenue_7d": "Revenue of the 7 batch days that end with the newest one.",
    "revenue_30d": "Revenue of the 30 batch days that end with the newest one.",
    "in_catalog": "Whether the newest catalogue has the product.",
}
OF_THE_CATALOGUE = ("product_id", "product_code", "name", "category", "list_price", "price_category")
MAY_BE_EMPTY = frozenset(OF_THE_CATALOGUE[1:]) | {"first_sold_on", "last_sold_on"}
SOURCES = {
    DAILY: {
        "_batch_date": "DATE",
        "product_id": "INTEGER",
        "orders": "BIGINT",
        "units_sold": "BIGINT",
        "revenue": "DECIMAL(38,2)",
        "first_sold_on": "DATE",
        "last_sold_on": "DATE",
    },
    CATALOGUE: {name: COLUMNS[name] for name in OF_THE_CATALOGUE},
}
"""What the SELECT reads of each table."""

# The trailing windows end with the newest batch day of the table, not with the clock, so that the same sales always
# give the same row. The full join keeps products that were sold but are not listed, whose revenue would be missing in
# the total, and listed ones that nobody bought:
#
#    listed: 1 Kettle, 2 Lamp      sold: 1 for 20.00, 9 for 5.00
#    ->  1 Kettle 20.00 in_catalog,  2 Lamp 0 in_catalog,  9 NULL 5.00 not in_catalog
PRODUCT_SELECT = f"""
    WITH newest AS (SELECT max(_batch_date) AS day FROM {DAILY}),
    sold AS (
        SELECT product_id, sum(orders) AS orders, sum(units_sold) AS units_sold, sum(revenue) AS revenue,
            min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on,
            coalesce(sum(revenue) FILTER (_batch_date > newest.day - 7), 0) AS revenue_7d,
            coalesce(sum(revenue) FILTER (_batch_date > newest.day - 30), 0) AS revenue_30d
        FROM {DAILY}, newest GROUP BY product_id)
    SELECT coalesce(listed.product_id, sold.product_id) AS product_id,
        listed.product_code, listed.name, listed.category, listed.list_price, listed.price_category,
        coalesce(sold.orders, 0) AS orders, coalesce(sold.units_sold, 0) AS units_sold,
        coalesce(sold.revenue, 0) AS revenue, sold.first_sold_on, sold.last_sold_on,
        coalesce(sold.revenue_7d, 0) AS revenue_7d, coalesce(sold.revenue_30d, 0) AS revenue_30d,
        listed.product_id IS NOT NULL AS in_catalog
    FROM {CATALOGUE} AS listed FULL JOIN sold ON listed.product_id = sold.product_id ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class SoldTotals:
    """What was sold altogether."""

    units: int
    revenue: Decimal


def totals(connection: "DuckDBPyConnection", name: str) -> SoldTotals:
    """Units and revenue over all of the cleaned sales or of a mart."""
    units, revenue = ("quantity", "total_amount") if name == SALES else ("units_sold", "revenue")
    row = connection.execute(
        f"SELECT coalesce(sum({units}), 0)::BIGINT, coalesce(sum({revenue}), 0) FROM {name}"
    ).fetchone()
    assert row
    return SoldTotals(*row)


def orphans(connection: "DuckDBPyConnection") -> list[tuple[int, int, Decimal]]:
    """The products that were sold but are not in the catalogue, with units and revenue, the dearest first."""
    return connection.execute(
        f"SELECT product_id, units_sold, revenue FROM {PRODUCTS} WHERE NOT in_catalog ORDER BY revenue DESC, product_id"
    ).fetchall()
