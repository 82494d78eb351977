"""`product_warehouse`: one row a product, made by a SELECT, stored as a DataFrame by the IO manager, with its checks.

It is the example of a mart in Python. One that is a SELECT over other tables needs none: see `product_daily_sales`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from orchestration_project.components.check_states import noted
from orchestration_project.components.feed_metadata import compared, lineage_metadata, query_lineage, table
from orchestration_project.components.feed_spec import POOL
from orchestration_project.components.proofs import ProvenTable
from orchestration_project.components.resources import Platform
from orchestration_project.components.sql_table import sql_table
from orchestration_project.components.sql_table_assets import MartSpec, table_schema, what_is_wrong
from orchestration_project.defs.product_marts.queries import (
    CATALOGUE,
    COLUMNS,
    DAILY,
    DESCRIPTIONS,
    HISTORY,
    KEY,
    MAY_BE_EMPTY,
    PRODUCT_SELECT,
    PRODUCTS,
    SALES,
    SOURCES,
    orphans,
    totals,
)
from orchestration_project.inspection.findings import Finding, Proof, materialize
from orchestration_project.warehouse import marts
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.mart_definition import Mart

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

GROUP, OWNERS = "product_marts", ["team:sales_data"]
ROWS_SHOWN = 20


class ProductWarehouse(ProvenTable):
    """The mart as a component, so that `verify` finds its proof."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The asset and its checks."""
        daily = sql_table(context.component_tree, DAILY)
        return dg.Definitions(assets=[build_product_warehouse()], asset_checks=[_totals_match(daily), _orphans()])

    def proof(self, tree: dg.ComponentTree) -> Proof:  # noqa: ARG002 - what it is made from has other proofs
        """Units and revenue over all products against the cleaned sales."""
        return Proof(PRODUCTS, _unlike_sales, (SALES,))

    def mart(self, tree: dg.ComponentTree) -> Mart:  # noqa: ARG002 - the SELECT is a constant
        """The SELECT whose rows are stored."""
        return Mart(PRODUCTS, PRODUCT_SELECT, SOURCES, COLUMNS, KEY)


@dg.component_instance
def product_warehouse(context: dg.ComponentLoadContext) -> ProductWarehouse:  # noqa: ARG001 - Dagster passes it
    """What Dagster loads from this module."""
    return ProductWarehouse()


def build_product_warehouse() -> dg.AssetsDefinition:
    """The asset `product_warehouse`."""

    @dg.asset(
        name=PRODUCTS,
        deps=[DAILY, CATALOGUE, HISTORY],
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name=GROUP,
        kinds={"duckdb", "pandas"},
        owners=OWNERS,
        description="One row a product: what the catalogue says of it and what it has sold.\n\nProducts that the newest"
        " catalogue lacks are kept, with `in_catalog` false: as an earlier catalogue had them, or, if none had, with"
        " their sales alone.",
        metadata={
            "dagster/table_name": f"main.{PRODUCTS}",
            "dagster/column_schema": table_schema(COLUMNS, DESCRIPTIONS, KEY, MAY_BE_EMPTY),
        },
    )
    def make_products(context: dg.AssetExecutionContext, platform: Platform) -> pd.DataFrame:
        with reading(platform.warehouse, f"{PRODUCTS}, run {context.run.run_id}", SOURCES) as connection:
            # Rows rather than a frame of DuckDB's making: that one turns DECIMAL into floating point.
            rows = connection.execute(PRODUCT_SELECT).fetchall()
        context.add_asset_metadata(lineage_metadata(query_lineage(PRODUCT_SELECT, SOURCES)))
        # And as objects: pandas would make floating point of whole numbers, too, where one of them is NULL.
        return pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)

    return make_products


def _totals_match(daily: MartSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=PRODUCTS,
        blocking=True,
        pool=POOL,
        additional_deps=[SALES],
        description="Units and revenue over all products equal the sums over all batch days, each of which is up to"
        " date.",
    )
    def totals_match(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        with reading(platform.warehouse, f"check of {PRODUCTS}", {PRODUCTS: COLUMNS}) as connection:
            marts.stand_in_tables(connection, daily.mart)
            # The daily mart has a row a product and day. Whether it equals the sales, which are far more rows, is
            # compared by its own check; here it is only asked whether it is up to date.
            found, sold = (totals(connection, name) for name in (PRODUCTS, DAILY))
            wrong = what_is_wrong(connection, daily, {*marts.outdated_batches(connection, daily.mart)})
        if not wrong and found != sold:
            wrong = f"Materialize {PRODUCTS} again: it is not up to date."
        expected, told = (f"{side.units} units and {side.revenue} revenue" for side in (sold, found))
        result = dg.AssetCheckResult(
            passed=not wrong,
            description=wrong or f"{told}, as in the daily sales.",
            metadata={**compared(expected, told), "units": found.units, "revenue": float(found.revenue)},
        )
        return noted(context, platform, PRODUCTS, "totals_match", result)

    return totals_match


def _orphans() -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=PRODUCTS, pool=POOL, description="Every product that was sold is, or was, in a catalogue.")
    def orphan_products(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        with reading(platform.warehouse, f"check of {PRODUCTS}", {PRODUCTS: COLUMNS}) as connection:
            found = orphans(connection)
        metadata = compared("no orphans", f"{len(found)} orphans") | {"orphans": dg.MetadataValue.int(len(found))}
        if found:
            metadata["sample"] = table(
                [
                    {"product_id": product, "units_sold": units, "revenue": str(revenue)}
                    for product, units, revenue in found[:ROWS_SHOWN]
                ]
            )
        result = dg.AssetCheckResult(
            passed=not found,
            # Such products are in the table and marked, so no revenue is lost.
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(found)} sold product(s) were in no catalogue." if found else "None.",
            metadata=metadata,
        )
        return noted(context, platform, PRODUCTS, "orphan_products", result)

    return orphan_products


def _unlike_sales(connection: "DuckDBPyConnection") -> Iterator[Finding]:
    listed, sold = (totals(connection, name) for name in (PRODUCTS, SALES))
    if listed != sold:
        expected, found = (f"{side.units} units, {side.revenue} revenue" for side in (sold, listed))
        again = materialize([PRODUCTS], [])
        yield Finding("", "", PRODUCTS, "totals differ from the cleaned sales", expected, found, again)
