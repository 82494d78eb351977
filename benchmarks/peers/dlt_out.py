"""dlt brings a table out: from DuckDB by Arrow, to files of Parquet or to PostgreSQL by COPY, the fastest ways it has.

    python -m benchmarks.peers.dlt_out WAREHOUSE TABLE URL FOLDER

FOLDER is for what dlt keeps in between. It replaces the whole table. Nobody compares both sides.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import dlt
import duckdb
import pyarrow as pa

CHUNK = 100_000


def batches(warehouse: str, table: str) -> Iterator[pa.Table]:
    """The rows of a table."""
    with duckdb.connect(warehouse, read_only=True) as connection:
        reader = connection.execute(f"FROM {table}").to_arrow_reader(CHUNK)
        yield from (pa.Table.from_batches([batch]) for batch in reader)


def destination(url: str) -> tuple[Any, Literal["csv", "parquet"]]:
    """The destination of dlt for an URL, and the format of files that it loads fastest."""
    if url.startswith("postgresql://"):
        return dlt.destinations.postgres(url), "csv"
    if not url.startswith("s3://"):
        return dlt.destinations.filesystem(Path(url).as_uri()), "parquet"
    given = os.environ  # noqa: TID251 - it is a script of its own
    credentials = {
        "aws_access_key_id": given["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
        "region_name": given["AWS_REGION"],
        "endpoint_url": given["AWS_ENDPOINT_URL"],
    }
    return dlt.destinations.filesystem(url, credentials=credentials), "parquet"


def main(warehouse: str, table: str, url: str, folder: str) -> None:
    """Bring a table out."""
    target, file_format = destination(url)
    pipeline = dlt.pipeline("out", pipelines_dir=folder, destination=target, dataset_name="out")
    resource = dlt.resource(batches(warehouse, table), name=table, write_disposition="replace")
    pipeline.run(resource, loader_file_format=file_format).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
