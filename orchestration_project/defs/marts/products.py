"""The product marts: sales by product and day, and the product warehouse, with their checks."""

from collections.abc import Mapping, Sequence, Set

import dagster as dg
import pandas as pd

from orchestration_project.components.column_lineage import lineage_metadata
from orchestration_project.components.feed_metadata import Metadata, compared, table
from orchestration_project.components.feed_spec import POOL, partitions_of
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.resources import Platform
from orchestration_project.ingest.model import FeedOptions
from orchestration_project.landing.batches import Batch
from orchestration_project.transforms import aggregate
from orchestration_project.transforms.lineage import query_lineage

OWNERS = ["team:sales_data"]
ROWS_SHOWN = 20

DAILY_DESCRIPTIONS = {
    "_batch_date": "Batch day that the sales were delivered for.",
    "product_id": "Product as the sales files name it.",
    "orders": "Orders with the product on that batch day.",
    "units_sold": "Units sold.",
    "revenue": "Sum of quantity times unit price.",
    "first_sold_on": "Day of the earliest sale.",
    "last_sold_on": "Day of the latest sale.",
}
PRODUCT_DESCRIPTIONS = {
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


DAILY_KEY, PRODUCT_KEY = ("_batch_date", "product_id"), ("product_id",)
OF_THE_CATALOGUE = {"product_code", "name", "category", "list_price", "price_category"}
OF_SALES = {"first_sold_on", "last_sold_on"}


def _schema(
    columns: Mapping[str, str], descriptions: Mapping[str, str], key: Sequence[str], nullable: Set[str] = frozenset()
) -> dg.TableSchema:
    constraints = {
        name: dg.TableColumnConstraints(
            nullable=name in nullable, unique=[name] == list(key), other=["primary key"] if name in key else []
        )
        for name in columns
    }
    return dg.TableSchema(
        [dg.TableColumn(name, sql_type, descriptions[name], constraints[name]) for name, sql_type in columns.items()],
        dg.TableConstraints([f"primary key: {', '.join(key)}"]),
    )


@dg.definitions
def product_marts(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The marts; the daily one is partitioned as the sales feed is."""
    sales = context.load_component("sales", expected_type=FileFeed)
    return dg.Definitions(
        assets=[_daily_sales(sales.options), product_warehouse],
        asset_checks=[matches_cleaned_sales, totals_match, orphan_products],
    )


def _daily_sales(options: FeedOptions) -> dg.AssetsDefinition:
    batching = options.batching

    @dg.asset(
        name=aggregate.DAILY,
        deps=[aggregate.SALES],
        partitions_def=partitions_of(options),
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name="marts",
        kinds={"duckdb", "sql"},
        owners=OWNERS,
        description="What each product sold on each batch day: orders, units and revenue. Days on which the cleaned"
        " sales have changed since are computed again too.",
        metadata={
            "partition_expr": "_batch_date",
            "dagster/table_name": f"main.{aggregate.DAILY}",
            "dagster/column_schema": _schema(aggregate.DAILY_COLUMNS, DAILY_DESCRIPTIONS, DAILY_KEY),
        },
    )
    def product_daily_sales(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        asked = [batching.from_key(key) for key in context.partition_keys]
        with platform.warehouse.transaction(f"{aggregate.DAILY}, run {context.run.run_id}") as connection:
            rows = aggregate.replace_daily_sales(connection, asked)
        for day, count in rows.items():
            key = batching.key(day)
            metadata: Metadata = {"dagster/partition_row_count": dg.MetadataValue.int(count)}
            if day == max(asked):
                # It is the same for all days, and this is the event that comes last.
                metadata |= _lineage(aggregate.DAILY_SELECT.format(condition="true"))
            if day in asked:
                context.add_asset_metadata(metadata, partition_key=key)
            else:
                context.log_event(dg.AssetMaterialization(aggregate.DAILY, partition=key, metadata=metadata))
        return dg.MaterializeResult()

    return product_daily_sales


@dg.asset(
    deps=[aggregate.DAILY, aggregate.CATALOGUE],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=POOL,
    group_name="marts",
    kinds={"duckdb", "pandas"},
    owners=OWNERS,
    metadata={
        "dagster/table_name": f"main.{aggregate.PRODUCTS}",
        "dagster/column_schema": _schema(
            aggregate.PRODUCT_COLUMNS, PRODUCT_DESCRIPTIONS, PRODUCT_KEY, nullable=OF_THE_CATALOGUE | OF_SALES
        ),
    },
)
def product_warehouse(context: dg.AssetExecutionContext, platform: Platform) -> pd.DataFrame:
    """One row a product: what the catalogue says of it and what it has sold.

    Products that were sold but are not in the newest catalogue are kept, with `in_catalog` false.
    """
    with platform.warehouse.transaction(f"{aggregate.PRODUCTS}, run {context.run.run_id}") as connection:
        aggregate.ensure_sources(connection, aggregate.SALES, aggregate.CATALOGUE, aggregate.DAILY)
        # Rows rather than a frame of DuckDB's making: that one turns DECIMAL into floating point.
        rows = connection.execute(aggregate.PRODUCT_SELECT).fetchall()
    context.add_asset_metadata(_lineage(aggregate.PRODUCT_SELECT))
    return pd.DataFrame(rows, columns=list(aggregate.PRODUCT_COLUMNS), dtype=object)


def _lineage(query: str) -> Metadata:
    return lineage_metadata(query_lineage(query, aggregate.SOURCE_COLUMNS))


@dg.asset_check(asset=aggregate.DAILY, blocking=True, pool=POOL)
def matches_cleaned_sales(platform: Platform) -> dg.AssetCheckResult:
    """Units and revenue of every batch day equal the cleaned sales."""
    with platform.warehouse.transaction(f"check of {aggregate.DAILY}") as connection:
        aggregate.ensure_sources(connection, aggregate.SALES, aggregate.DAILY)
        stale = aggregate.stale_days(connection)
    description = _stale_text(stale) if stale else "Every batch day equals the cleaned sales."
    found = compared("units and revenue of every batch day as in the cleaned sales", f"{len(stale)} days that differ")
    return dg.AssetCheckResult(passed=not stale, description=description, metadata={**found, "stale_days": len(stale)})


@dg.asset_check(asset=aggregate.PRODUCTS, blocking=True, pool=POOL, additional_deps=[aggregate.SALES])
def totals_match(platform: Platform) -> dg.AssetCheckResult:
    """Units and revenue over all products equal the sums over all cleaned sales, to the cent."""
    with platform.warehouse.transaction(f"check of {aggregate.PRODUCTS}") as connection:
        aggregate.ensure_sources(connection, aggregate.SALES, aggregate.DAILY, aggregate.PRODUCTS)
        found, sold = aggregate.totals(connection)
        stale = aggregate.stale_days(connection) if found != sold else []
    expected, told = (f"{side.units} units and {side.revenue} revenue" for side in (sold, found))
    description = f"{told}, as in the cleaned sales."
    if found != sold:
        description = _stale_text(stale) if stale else f"Materialize {aggregate.PRODUCTS} again: it is not up to date."
    return dg.AssetCheckResult(
        passed=found == sold,
        description=description,
        metadata={**compared(expected, told), "units": found.units, "revenue": float(found.revenue)},
    )


def _stale_text(stale: Sequence[Batch]) -> str:
    days = ", ".join(str(day) for day in stale[:ROWS_SHOWN])
    more = f" and {len(stale) - ROWS_SHOWN} more" if len(stale) > ROWS_SHOWN else ""
    return f"{len(stale)} batch day(s) differ from the cleaned sales; materialize {aggregate.DAILY} again: {days}{more}"


@dg.asset_check(asset=aggregate.PRODUCTS, pool=POOL)
def orphan_products(platform: Platform) -> dg.AssetCheckResult:
    """Every product that was sold is in the catalogue."""
    with platform.warehouse.transaction(f"check of {aggregate.PRODUCTS}") as connection:
        aggregate.ensure_sources(connection, aggregate.PRODUCTS)
        orphans = aggregate.orphans(connection)
    metadata = compared("no orphans", f"{len(orphans)} orphans") | {"orphans": dg.MetadataValue.int(len(orphans))}
    if orphans:
        metadata["sample"] = table(
            [
                {"product_id": orphan, "units_sold": units, "revenue": str(revenue)}
                for orphan, units, revenue in orphans[:ROWS_SHOWN]
            ]
        )
    return dg.AssetCheckResult(
        passed=not orphans,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(orphans)} sold product(s) are not in the newest catalogue." if orphans else "None.",
        metadata=metadata,
    )
