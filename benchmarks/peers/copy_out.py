"""DuckDB's own way out: one statement, as a script has it that somebody writes by hand.

    python -m benchmarks.peers.copy_out WAREHOUSE TABLE URL

A folder and S3 get Parquet files by day, PostgreSQL gets a table without keys. Nobody compares both sides, and nobody
knows what was copied before: a changed day copies everything again.
"""

import os
import sys
from importlib import import_module
from pathlib import Path

import duckdb

TO_FILES = "COPY {table} TO '{url}/{table}' (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (_batch_date))"


def main(warehouse: str, table: str, url: str) -> None:
    """Copy a table."""
    scheme = url.partition("://")[0] if "://" in url else ""
    # A connection that is read-only itself could not write to PostgreSQL.
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{warehouse}' AS warehouse (READ_ONLY)")
        connection.execute("USE warehouse")
        if scheme == "postgresql":
            load_extension(connection, "postgres_scanner")
            connection.execute(f"ATTACH '{url}' AS target (TYPE postgres)")
            connection.execute(f"CREATE TABLE target.public.{table} AS FROM {table}")
            return
        if scheme == "s3":
            load_extension(connection, "httpfs")
            _use_credentials(connection)
        else:
            Path(url).mkdir(parents=True, exist_ok=True)
        connection.execute(TO_FILES.format(table=table, url=url))


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension from its wheel: DuckDB itself would fetch it from its makers' server."""
    (folder,) = import_module(f"duckdb_extension_{name}").__path__
    connection.execute(f"LOAD '{folder}/extensions/v{duckdb.__version__}/{name}.duckdb_extension'")


def _use_credentials(connection: duckdb.DuckDBPyConnection) -> None:
    given = os.environ  # noqa: TID251 - it is a script of its own
    endpoint = given["AWS_ENDPOINT_URL"].removeprefix("http://")
    connection.execute(
        f"""CREATE SECRET (TYPE s3, KEY_ID '{given["AWS_ACCESS_KEY_ID"]}', SECRET '{given["AWS_SECRET_ACCESS_KEY"]}',
            REGION '{given["AWS_REGION"]}', ENDPOINT '{endpoint}', USE_SSL false, URL_STYLE 'path')"""
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
