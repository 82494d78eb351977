"""Warehouses with a long past, quickly: the days before the first one are made by SQL from that one.

A day made so differs from a delivered one in its date, its order numbers and the identity of its file. The archive has
no file for it, which only a verification would miss.
"""

import datetime as dt
from pathlib import Path

import duckdb

from benchmarks.session import ROOT
from benchmarks.shop import defs as shop
from orchestration_project.components.project import component_tree
from orchestration_project.components.sql_table import sql_table
from orchestration_project.defs.product_marts.queries import DAILY, SALES
from orchestration_project.warehouse import marts, published

DAY, FILE = "(_batch_date - {shift})", "'sales_' || (_batch_date - {shift}) || '.csv'"
DIGITS = "replace(({day} - {{shift}})::VARCHAR, '-', '')"
VERSION = f"{DIGITS.format(day='_batch_date')} || '00000000'"
"""Made of the day: a hash for each of millions of rows would take longer than to copy them."""
ORDER = f"'S' || {DIGITS.format(day='_batch_date')} || order_id[10:]"
REJECT = f"left(sha256(concat_ws('/', 'sales', {FILE}, {VERSION}, _row)), 16)"
SHIFTED = {"_batch_date": DAY, "_file": FILE, "_file_version": VERSION}
CHANGES = {
    "raw_sales": SHIFTED | {"order_id": ORDER},
    "cleaned_sales": SHIFTED | {"order_id": ORDER, "sold_at": "sold_at - to_days({shift})"},
    "rejected_sales": SHIFTED | {"order_id": ORDER, "_reject_id": REJECT},
    "product_daily_sales": {
        "_batch_date": DAY,
        "first_sold_on": "first_sold_on - {shift}",
        "last_sold_on": "last_sold_on - {shift}",
    },
}
"""What of a row is another one so many days before, by table."""
LEDGER_FILE = "'sales_' || (batch_date - {shift}) || '.csv'"
LEDGER_VERSION = f"{DIGITS.format(day='batch_date')} || '00000000'"
LEDGER = {
    "file": LEDGER_FILE,
    "version": LEDGER_VERSION,
    "sha256": f"rpad({LEDGER_VERSION}, 64, '0')",
    "batch": "(batch_date - {shift})::VARCHAR",
    "batch_date": "batch_date - {shift}",
    "archived_as": f"(batch_date - {{shift}}) || '/' || {LEDGER_FILE}",
}


def lengthen(warehouse: Path, first: dt.date, days: int) -> None:
    """Give a warehouse that holds one day of sales the days before it.

    Args:
        warehouse: the DuckDB file.
        first: the day that it holds.
        days: how many days it shall hold.
    """
    with duckdb.connect(str(warehouse)) as connection:
        made = 1
        # Twice as many at a time, so that a thousand days take ten statements a table.
        while made < days:
            copied = min(made, days - made)
            newest = f"DATE '{first}' - {copied}"
            for table, changes in CHANGES.items():
                _copy(connection, table, changes, made, f"_batch_date > {newest}")
            _copy(connection, "file_ledger", LEDGER, made, f"feed = 'sales' AND batch_date > {newest}")
            made += copied
        _note(connection)
        connection.execute("CHECKPOINT")


def _note(connection: duckdb.DuckDBPyConnection) -> None:
    """Let the platform note what the days hold, as it does in a warehouse from before it took such notes."""
    with component_tree(shop, ROOT) as tree:
        daily = sql_table(tree, DAILY).mart
    connection.execute(f"DELETE FROM {published.TABLE} WHERE table_name = '{SALES}'")
    connection.execute(f"DROP TABLE IF EXISTS {daily.built}")
    marts.make_tables(connection, daily)


def _copy(
    connection: duckdb.DuckDBPyConnection, table: str, changes: dict[str, str], shift: int, condition: str
) -> None:
    changed = ", ".join(f"{value.format(shift=shift)} AS {name}" for name, value in changes.items())
    connection.execute(f"INSERT INTO {table} SELECT * REPLACE ({changed}) FROM {table} WHERE {condition}")
