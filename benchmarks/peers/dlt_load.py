"""dlt loads the files as text, with their names and record numbers; SQL makes the other tables.

    python -m benchmarks.peers.dlt_load DATA_DIR

It keeps no ledger of contents and no archive.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import dlt
import duckdb
import pyarrow as pa
from dlt.common.storages.fsspec_filesystem import FileItemDict
from dlt.sources.filesystem import filesystem

from benchmarks import rules

CHUNK = 100_000


@dlt.transformer(name="raw_sales")
def records(files: list[FileItemDict]) -> Iterator[pa.Table]:
    """The records of files by DuckDB's reader and Arrow: the fastest way that dlt has for CSV."""
    for file in files:
        query = f"SELECT '{file['file_name']}' AS file, row_number() OVER () AS record, *"
        with duckdb.connect() as connection:
            path = file["file_url"].removeprefix("file://")
            reader = connection.execute(f"{query} FROM read_csv('{path}', all_varchar = true)").to_arrow_reader(CHUNK)
            yield from (pa.Table.from_batches([batch]) for batch in reader)


def main(data: Path) -> None:
    """Load the sales files and make the other tables."""
    warehouse = str(data / "warehouse.duckdb")
    pipeline = dlt.pipeline(
        "sales",
        pipelines_dir=str(data / "dlt"),
        destination=dlt.destinations.duckdb(warehouse),
        dataset_name="loaded",
    )
    files = filesystem(bucket_url=str(data / "landing/sales"), file_glob="*.csv")
    pipeline.run(files | records, loader_file_format="parquet")
    with duckdb.connect(warehouse) as connection:
        connection.execute("BEGIN")
        _publish(connection)
        _marts(connection, data)
        connection.execute("COMMIT")


def _publish(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute(
        f"""CREATE TEMP TABLE validated AS
            WITH trimmed AS (SELECT {rules.TRIMMED}, file, record FROM loaded.raw_sales),
            typed AS (SELECT *, {rules.TYPED} FROM trimmed)
            SELECT {", ".join(rules.VALUES)}, file, record, file[7:16]::DATE AS batch_date, {rules.REASONS} AS reasons
            FROM typed"""
    )
    connection.execute(
        """CREATE TEMP TABLE duplicates AS
            SELECT file, record, ['order_id: duplicate_key'] AS reasons
            FROM validated JOIN (SELECT order_id FROM validated WHERE reasons IS NULL GROUP BY ALL HAVING count(*) > 1)
                USING (order_id) WHERE reasons IS NULL
            QUALIFY row_number() OVER (PARTITION BY order_id ORDER BY file, record DESC) > 1"""
    )
    connection.execute(
        """CREATE TABLE cleaned_sales AS
            SELECT * EXCLUDE (reasons) FROM validated ANTI JOIN duplicates USING (file, record) WHERE reasons IS NULL"""
    )
    connection.execute(
        f"""CREATE TABLE rejected_sales AS
            SELECT {", ".join(rules.TEXTS)}, file, record, bad.reasons FROM loaded.raw_sales
            JOIN (SELECT file, record, reasons FROM validated WHERE reasons IS NOT NULL UNION ALL FROM duplicates) bad
            USING (file, record)"""
    )


def _marts(connection: duckdb.DuckDBPyConnection, data: Path) -> None:
    connection.execute(
        """CREATE TABLE product_daily_sales AS
            SELECT batch_date, product_id, count(DISTINCT order_id) AS orders, sum(quantity)::BIGINT AS units_sold,
                sum(total_amount) AS revenue, min(sold_at)::DATE AS first_sold_on, max(sold_at)::DATE AS last_sold_on
            FROM cleaned_sales GROUP BY ALL ORDER BY ALL"""
    )
    connection.execute(
        f"""CREATE TABLE product_warehouse AS
            SELECT product_id, name, category, list_price, sum(orders) AS orders, sum(units_sold) AS units_sold,
                sum(revenue) AS revenue, min(first_sold_on) AS first_sold_on, max(last_sold_on) AS last_sold_on
            FROM read_json('{data}/landing/products/*.json') FULL JOIN product_daily_sales USING (product_id)
            GROUP BY ALL ORDER BY ALL"""
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
