"""What the product marts say, as SQL: names and columns of `product_warehouse`, its SELECT, its totals, its orphans.

No Dagster here: commands that only need a name start faster without it.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PRODUCTS, DAILY, SALES, CATALOGUE = "product_warehouse", "product_daily_sales", "cleaned_sales", "cleaned_products"
HISTORY = "products_history"
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
    "delisted_on": "DATE",
}
DESCRIPTIONS = {
    "product_id": "Product; from the catalogue, or from the sales files for a product that the catalogue lacks.",
    "product_code": "First three letters of the category in capitals and the id, padded to three digits.",
    "name": "Name in the newest catalogue that has the product.",
    "category": "Category in the newest catalogue that has the product.",
    "list_price": "Price in the newest catalogue that has the product.",
    "price_category": "Low below 25, Medium below 35, else High.",
    "orders": "Orders with the product; one that is spread over several batch days counts on each.",
    "units_sold": "Units sold since the first batch.",
    "revenue": "Revenue since the first batch.",
    "first_sold_on": "Day of the earliest sale.",
    "last_sold_on": "Day of the latest sale.",
    "revenue_7d": "Revenue of the 7 batch days that end with the newest one.",
    "revenue_30d": "Revenue of the 30 batch days that end with the newest one.",
    "in_catalog": "Whether the newest catalogue has the product.",
    "delisted_on": "Day of the catalogue from which on the product is missing; empty for one that is listed, and for"
    " one that was in no catalogue.",
}
OF_THE_CATALOGUE = ("product_id", "product_code", "name", "category", "list_price", "price_category")
MAY_BE_EMPTY = frozenset(OF_THE_CATALOGUE[1:]) | {"first_sold_on", "last_sold_on", "delisted_on"}
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
    HISTORY: {name: COLUMNS[name] for name in OF_THE_CATALOGUE} | {"valid_from": "DATE", "valid_to": "DATE"},
}
"""What the SELECT reads of each table."""

# The trailing windows end with the newest batch day of the table, not with the clock, so that the same sales always
# give the same row. The full join keeps products that were sold but are not listed, whose revenue would be missing in
# the total, and listed ones that nobody bought. Of products that were listed once the last version in the history tells
# what they were, so that a short catalogue takes no category from what was sold:
#
#    listed: 1 Kettle, 2 Lamp      once: 3 Pot until May 4      sold: 1 for 20.00, 3 for 8.00, 9 for 5.00
#    ->  1 Kettle 20.00 in_catalog,  2 Lamp 0 in_catalog,  3 Pot 8.00 delisted on May 4,  9 NULL 5.00
PRODUCT_SELECT = f"""
    WITH newest AS (SELECT max(_batch_date) AS day FROM {DAILY}),
    sold AS (
        SELECT product_id, sum(orders) AS orders, sum(units_sold) AS units_sold, sum(revenue) AS revenue,
            min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on,
            coalesce(sum(revenue) FILTER (_batch_date > newest.day - 7), 0) AS revenue_7d,
            coalesce(sum(revenue) FILTER (_batch_date > newest.day - 30), 0) AS revenue_30d
        FROM {DAILY}, newest GROUP BY product_id),
    once AS (
        SELECT *, row_number() OVER (PARTITION BY product_id ORDER BY valid_from DESC) AS age FROM {HISTORY}
        WHERE valid_to IS NOT NULL AND product_id NOT IN (SELECT product_id FROM {CATALOGUE})),
    known AS (
        SELECT {", ".join(OF_THE_CATALOGUE)}, NULL::DATE AS delisted_on FROM {CATALOGUE}
        UNION ALL SELECT {", ".join(OF_THE_CATALOGUE)}, valid_to AS delisted_on FROM once WHERE age = 1)
    SELECT coalesce(known.product_id, sold.product_id) AS product_id,
        known.product_code, known.name, known.category, known.list_price, known.price_category,
        coalesce(sold.orders, 0) AS orders, coalesce(sold.units_sold, 0) AS units_sold,
        coalesce(sold.revenue, 0) AS revenue, sold.first_sold_on, sold.last_sold_on,
        coalesce(sold.revenue_7d, 0) AS revenue_7d, coalesce(sold.revenue_30d, 0) AS revenue_30d,
        known.product_id IS NOT NULL AND known.delisted_on IS NULL AS in_catalog, known.delisted_on
    FROM known FULL JOIN sold ON known.product_id = sold.product_id ORDER BY 1"""


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
    """The products that were sold but were in no catalogue, with units and revenue, the dearest first."""
    return connection.execute(
        f"""SELECT product_id, units_sold, revenue FROM {PRODUCTS} WHERE NOT in_catalog AND name IS NULL
            ORDER BY revenue DESC, product_id"""
    ).fetchall()
