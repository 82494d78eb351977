"""The product marts: sales by product and day, and the product warehouse, with their checks."""

from collections.abc import Collection, Mapping, Sequence, Set

import dagster as dg
import pandas as pd

from orchestration_project.components import pictures
from orchestration_project.components.column_lineage import lineage_metadata
from orchestration_project.components.feed_metadata import Metadata, compared, table
from orchestration_project.components.feed_spec import POOL, FeedSpec
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.lineage import query_lineage
from orchestration_project.components.resources import Platform
from orchestration_project.defs.product_marts import aggregate
from orchestration_project.defs.sales_report.sales import read_newest
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.published import changed_outside

OWNERS = ["team:sales_data"]
ROWS_SHOWN = 20
DAYS_SHOWN = 60

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
    sales = context.load_component("sales", expected_type=FileFeed).spec
    return dg.Definitions(
        assets=[_daily_sales(sales), product_warehouse],
        asset_checks=[_matches_cleaned_sales(sales), totals_match, orphan_products],
    )


def _daily_sales(sales: FeedSpec) -> dg.AssetsDefinition:
    batching = sales.options.batching

    @dg.asset(
        name=aggregate.DAILY,
        deps=[aggregate.SALES],
        partitions_def=sales.partitions_def,
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
            newest = read_newest(connection, DAYS_SHOWN)
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
        # Once a run, not on each of its days.
        if len(newest) > 1:
            chart = dg.MetadataValue.md(pictures.revenue(newest, "day").markdown)
            context.add_asset_metadata({"newest_days": chart}, partition_key=batching.key(max(asked)))
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


def _matches_cleaned_sales(sales: FeedSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=aggregate.DAILY,
        blocking=True,
        pool=POOL,
        description="Units and revenue of each product equal the cleaned sales: added up again for the batch days of"
        " the run, for all days in a run that names none. The others were made from what is published, and neither side"
        " has been written to since, told by numbers of rows and sums of days.",
    )
    def matches_cleaned_sales(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        asked = sales.keys_of_run(context.run.tags)
        days = None if asked is None else sorted(map(sales.options.batching.from_key, asked))
        with platform.warehouse.transaction(f"check of {aggregate.DAILY}") as connection:
            aggregate.ensure_daily_sales(connection)
            stale = {*aggregate.outdated_days(connection), *aggregate.differing_days(connection, days)}
            fault = _fault(stale, changed_outside(connection, aggregate.SALES))
        return dg.AssetCheckResult(
            passed=not fault,
            description=fault or "Every batch day equals the cleaned sales.",
            metadata={
                **compared(
                    "units and revenue of every batch day as in the cleaned sales", f"{len(stale)} days that differ"
                ),
                "stale_days": len(stale),
                "days_added_up": "all" if days is None else len(days),
            },
        )

    return matches_cleaned_sales


@dg.asset_check(asset=aggregate.PRODUCTS, blocking=True, pool=POOL, additional_deps=[aggregate.SALES])
def totals_match(platform: Platform) -> dg.AssetCheckResult:
    """Units and revenue over all products equal the sums over all batch days, each of which is up to date."""
    with platform.warehouse.transaction(f"check of {aggregate.PRODUCTS}") as connection:
        aggregate.ensure_daily_sales(connection)
        aggregate.ensure_sources(connection, aggregate.PRODUCTS)
        found, sold = (aggregate.totals(connection, table) for table in (aggregate.PRODUCTS, aggregate.DAILY))
        fault = _fault(aggregate.outdated_days(connection), changed_outside(connection, aggregate.SALES))
    if not fault and found != sold:
        fault = f"Materialize {aggregate.PRODUCTS} again: it is not up to date."
    expected, told = (f"{side.units} units and {side.revenue} revenue" for side in (sold, found))
    return dg.AssetCheckResult(
        passed=not fault,
        description=fault or f"{told}, as in the daily sales.",
        metadata={**compared(expected, told), "units": found.units, "revenue": float(found.revenue)},
    )


def _fault(stale: Collection[Batch], changed: Collection[Batch]) -> str:
    """What is wrong with the daily mart or the sales that it is made from, and what to do; empty if nothing is."""
    if changed:
        what = f"{aggregate.SALES} has more or fewer rows than were loaded for {len(changed)} batch day(s)"
        return f"{what}; load them again: {_listed(changed)}"
    if stale:
        what = f"{len(stale)} batch day(s) differ from the cleaned sales"
        return f"{what}; materialize {aggregate.DAILY} again: {_listed(stale)}"
    return ""


def _listed(days: Collection[Batch]) -> str:
    shown = ", ".join(f"{day:%Y-%m-%d}" for day in sorted(days)[:ROWS_SHOWN])
    return f"{shown} and {len(days) - ROWS_SHOWN} more" if len(days) > ROWS_SHOWN else shown


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
