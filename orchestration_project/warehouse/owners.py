"""`table_owners`: the asset that writes each table which is no feed's, so that no other asset replaces it.

A row counts only while its table exists: who drops a table also gives it free.
"""

from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseError
from orchestration_project.warehouse import file_batches, history_days, ledger, published, renewal, waivers
from orchestration_project.warehouse.feed_tables import PLATFORM_COLUMNS, PREFIXES
from orchestration_project.warehouse.tables import SCHEMA, columns_of, ensure_table, exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# `shop_a/orders` and `shop_b/orders` once wrote to one `main.orders`, and an asset `my/cleaned_x` replaced the table of
# the feed `x` in a run that succeeded.
TABLE = "table_owners"
COLUMNS = {"table_schema": "VARCHAR", "table_name": "VARCHAR", "asset": "VARCHAR"}
RECORDS = frozenset(
    {
        TABLE,
        ledger.TABLE,
        file_batches.TABLE,
        published.TABLE,
        renewal.TABLE,
        history_days.TABLE,
        waivers.TABLE,
        waivers.TAKEN,
    }
)
"""The tables in which the platform keeps its records."""
# DuckDB's names have no case.
SAME_TABLE = "lower(table_schema) = lower($1) AND lower(table_name) = lower($2)"


def claim(
    connection: "DuckDBPyConnection", asset: str, table: str, schema: str = SCHEMA, *, platform: bool = False
) -> None:
    """Record an asset as the owner of a table that it is about to write.

    A table that nobody is recorded for is one of an older release, or made by hand: the first asset to write it has it.

    Args:
        connection: inside the transaction that writes the table.
        asset: the asset's key.
        table: the table's name; it need not exist yet.
        schema: the table's schema.
        platform: whether the asset is of the platform itself, a mart.

    Raises:
        WarehouseError: another asset or the platform owns the table.
    """
    owner = owner_of(connection, table, schema)
    if owner == asset:
        return
    if owner is None and not platform and is_platforms(connection, table, schema):
        raise WarehouseError(
            f"{schema}.{table} is a table of the platform, {asset} can't replace it: give the asset another name,"
            " key_prefix or `schema` metadata"
        )
    if owner is not None:
        raise WarehouseError(
            f"{schema}.{table} belongs to the asset {owner}, {asset} can't replace it: give {asset} another name,"
            " key_prefix or `schema` metadata. If the table is to change hands, drop it, or delete its row in"
            f" {SCHEMA}.{TABLE}"
        )
    ensure_table(connection, TABLE, COLUMNS)
    # A row may be left of a table that was dropped, which gave the name free.
    connection.execute(f"DELETE FROM {SCHEMA}.{TABLE} WHERE {SAME_TABLE}", [schema, table])
    connection.execute(f"INSERT INTO {SCHEMA}.{TABLE} VALUES ($1, $2, $3)", [schema, table, asset])


def owner_of(connection: "DuckDBPyConnection", table: str, schema: str = SCHEMA) -> str | None:
    """The asset that is recorded as the owner of a table; None if there is none, or no such table."""
    if not (exists(connection, TABLE) and columns_of(connection, table, schema)):
        return None
    row = connection.execute(f"SELECT asset FROM {SCHEMA}.{TABLE} WHERE {SAME_TABLE}", [schema, table]).fetchone()
    return None if row is None else str(row[0])


def refuse_owned(connection: "DuckDBPyConnection", table: str) -> None:
    """Make sure that no asset with a frame has made a table that a feed is about to write.

    Raises:
        WarehouseError: one has.
    """
    if owner := owner_of(connection, table):
        raise WarehouseError(
            f"{SCHEMA}.{table} belongs to the asset {owner}, and a feed needs the name: give {owner} another name,"
            " key_prefix or `schema` metadata, and drop the table"
        )


def is_platforms(connection: "DuckDBPyConnection", table: str, schema: str = SCHEMA) -> bool:
    """Whether a table is the platform's own, by its name and its columns: those of older releases have no record."""
    if schema.lower() != SCHEMA:
        return False
    name = table.lower()
    if name in RECORDS:
        return True
    columns = columns_of(connection, table)
    # The name alone is not enough: `raw_data` may be anybody's. Nor is the column alone: any frame may have a `_file`.
    feeds = name.startswith(PREFIXES) and columns.keys() >= set(PLATFORM_COLUMNS)
    feeds = feeds or (name.endswith(history_days.table_of("")) and history_days.is_history(connection, table))
    marts = (columns_of(connection, f"{table}_built"), columns if name.endswith("_built") else {})
    return feeds or any({"_batch_date", "content"} <= built.keys() for built in marts)
