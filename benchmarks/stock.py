"""The stock way: a project as tutorials write it, with pandas and the stock IO manager. The same tables, less in them.

It keeps no rejects, no provenance, no ledger and no archive: what it costs to have those is part of the comparison.
"""

import os
from pathlib import Path

import dagster as dg
import pandas as pd
from dagster_duckdb_pandas import DuckDBPandasIOManager

DATA = Path(os.environ["DATA_DIR"])
DAILY = dg.DailyPartitionsDefinition("2024-01-01")
PARTITIONED = {
    "partitions_def": DAILY,
    "backfill_policy": dg.BackfillPolicy.single_run(),
    "metadata": {"partition_expr": "CAST(batch_date AS TIMESTAMP)"},
}


@dg.asset(**PARTITIONED)
def raw_sales(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """The files of the days asked for."""
    frames = [
        pd.read_csv(DATA / "landing/sales" / f"sales_{day}.csv", dtype=str).assign(batch_date=day)
        for day in context.partition_keys
    ]
    return pd.concat(frames, ignore_index=True)


@dg.asset(**PARTITIONED)
def cleaned_sales(raw_sales: pd.DataFrame) -> pd.DataFrame:
    """Typed rows that hold the rules, each key once."""
    frame = raw_sales.assign(
        order_line=pd.to_numeric(raw_sales["order_line"], errors="coerce"),
        product_id=pd.to_numeric(raw_sales["product_id"], errors="coerce"),
        quantity=pd.to_numeric(raw_sales["quantity"], errors="coerce"),
        unit_price=pd.to_numeric(raw_sales["unit_price"], errors="coerce"),
        sold_at=pd.to_datetime(raw_sales["sold_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce"),
    )
    holds = (
        frame["order_id"].notna()
        & (frame["order_line"] >= 1)
        & (frame["product_id"] >= 1)
        & frame["store_id"].notna()
        & frame["channel"].isin(["store", "online", "marketplace", "phone"])
        & frame["quantity"].between(1, 10_000)
        & (frame["unit_price"] >= 0)
        & frame["sold_at"].notna()
    )
    frame = frame[holds].drop_duplicates(["order_id", "order_line"], keep="last")
    return frame.assign(total_amount=frame["quantity"] * frame["unit_price"])


@dg.asset(**PARTITIONED)
def product_daily_sales(cleaned_sales: pd.DataFrame) -> pd.DataFrame:
    """Products by day."""
    return (
        cleaned_sales.groupby(["batch_date", "product_id"])
        .agg(
            orders=("order_id", "nunique"),
            units_sold=("quantity", "sum"),
            revenue=("total_amount", "sum"),
            first_sold_on=("sold_at", "min"),
            last_sold_on=("sold_at", "max"),
        )
        .reset_index()
    )


@dg.asset(backfill_policy=dg.BackfillPolicy.single_run())
def cleaned_products() -> pd.DataFrame:
    """The catalogue."""
    return pd.concat([pd.read_json(path) for path in sorted((DATA / "landing/products").glob("*.json"))])


@dg.asset(backfill_policy=dg.BackfillPolicy.single_run())
def product_warehouse(product_daily_sales: pd.DataFrame, cleaned_products: pd.DataFrame) -> pd.DataFrame:
    """A row a product."""
    sold = (
        product_daily_sales.groupby("product_id")
        .agg(
            orders=("orders", "sum"),
            units_sold=("units_sold", "sum"),
            revenue=("revenue", "sum"),
            first_sold_on=("first_sold_on", "min"),
            last_sold_on=("last_sold_on", "max"),
        )
        .reset_index()
    )
    return cleaned_products.merge(sold, on="product_id", how="outer")


@dg.asset_check(asset=product_warehouse, additional_ins={"product_daily_sales": dg.AssetIn("product_daily_sales")})
def totals_match(product_warehouse: pd.DataFrame, product_daily_sales: pd.DataFrame) -> dg.AssetCheckResult:
    """Revenue over all products equals the revenue over all days."""
    found, sold = product_warehouse["revenue"].sum(), product_daily_sales["revenue"].sum()
    return dg.AssetCheckResult(passed=bool(abs(found - sold) < 0.01))


defs = dg.Definitions(
    assets=[raw_sales, cleaned_sales, product_daily_sales, cleaned_products, product_warehouse],
    asset_checks=[totals_match],
    resources={"io_manager": DuckDBPandasIOManager(database=str(DATA / "warehouse.duckdb"), schema="main")},
    executor=dg.in_process_executor,
)
