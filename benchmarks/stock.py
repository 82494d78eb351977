"""The stock way: a project as tutorials write it, with pandas and the stock IO manager. The same tables, less in them.

It keeps no record numbers, no ledger and no archive: what it costs to have those is part of the comparison.
"""

import os
from pathlib import Path

import dagster as dg
import pandas as pd
from dagster_duckdb_pandas import DuckDBPandasIOManager

DATA = Path(os.environ["DATA_DIR"])  # noqa: TID251 - it is a project of its own
DAILY = dg.DailyPartitionsDefinition("2024-01-01")
RANGE = dg.BackfillPolicy.single_run()
BY_DAY = {"partition_expr": "CAST(batch_date AS TIMESTAMP)"}


@dg.asset(partitions_def=DAILY, backfill_policy=RANGE, metadata=BY_DAY)
def raw_sales(context: dg.AssetExecutionContext) -> pd.DataFrame:
    """The files of the days asked for."""
    frames = [
        pd.read_csv(DATA / "landing/sales" / f"sales_{day}.csv", dtype=str).assign(batch_date=day)
        for day in context.partition_keys
    ]
    return pd.concat(frames, ignore_index=True)


def typed(raw: pd.DataFrame) -> pd.DataFrame:
    """The records with values instead of texts, as far as they have any."""
    return raw.assign(
        product_id=pd.to_numeric(raw["product_id"], errors="coerce"),
        quantity=pd.to_numeric(raw["quantity"], errors="coerce"),
        price=pd.to_numeric(raw["price"], errors="coerce"),
        sold_at=pd.to_datetime(raw["sold_at"], format="%Y-%m-%d %H:%M:%S", errors="coerce"),
    )


def broken(frame: pd.DataFrame) -> pd.DataFrame:
    """For each rule, whether a record breaks it."""
    rules = pd.DataFrame(
        {
            "order_id": ~frame["order_id"].str.fullmatch(r"[A-Za-z0-9_-]{1,40}", na=False),
            "product_id": ~(frame["product_id"] >= 1),
            "quantity": ~frame["quantity"].between(1, 10_000),
            "price": ~(frame["price"] >= 0),
            "sold_at": frame["sold_at"].isna(),
            "channel": ~frame["channel"].isin(["store", "online", "marketplace", "phone"]),
        }
    )
    sound = frame[~rules.any(axis=1)]
    again = sound.index[sound.duplicated("order_id", keep="last")]
    return rules.assign(duplicate=frame.index.isin(again))


@dg.asset(partitions_def=DAILY, backfill_policy=RANGE, metadata=BY_DAY)
def cleaned_sales(raw_sales: pd.DataFrame) -> pd.DataFrame:
    """Typed rows that hold the rules, each key once."""
    frame = typed(raw_sales)
    frame = frame[~broken(frame).any(axis=1)]
    return frame.assign(total_amount=frame["quantity"] * frame["price"])


@dg.asset(partitions_def=DAILY, backfill_policy=RANGE, metadata=BY_DAY)
def rejected_sales(raw_sales: pd.DataFrame) -> pd.DataFrame:
    """The other records, with the rules that they broke."""
    rules = broken(typed(raw_sales))
    rules = rules[rules.any(axis=1)]
    reasons = rules.apply(lambda row: ", ".join(rules.columns[row]), axis=1)
    return raw_sales.loc[rules.index].assign(reasons=reasons)


@dg.asset(partitions_def=DAILY, backfill_policy=RANGE, metadata=BY_DAY)
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


@dg.asset(backfill_policy=RANGE)
def cleaned_products() -> pd.DataFrame:
    """The catalogue."""
    return pd.concat([pd.read_json(path) for path in sorted((DATA / "landing/products").glob("*.json"))])


@dg.asset(backfill_policy=RANGE)
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
    assets=[raw_sales, cleaned_sales, rejected_sales, product_daily_sales, cleaned_products, product_warehouse],
    asset_checks=[totals_match],
    resources={"io_manager": DuckDBPandasIOManager(database=str(DATA / "warehouse.duckdb"), schema="main")},
    executor=dg.in_process_executor,
)
