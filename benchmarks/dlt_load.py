"""dlt loads the same files into DuckDB: text and numbers as it finds them, without rules, rejects or aggregates.

python -m benchmarks.dlt_load DATA_DIR
"""

import sys
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_csv_duckdb


def main(data: Path) -> None:
    """Load the sales files by DuckDB's reader and Arrow, the fastest way that dlt has for CSV."""
    files = filesystem(bucket_url=str(data / "landing/sales"), file_glob="*.csv")
    reader = read_csv_duckdb(use_pyarrow=True, chunk_size=100_000, all_varchar=True)
    pipeline = dlt.pipeline(
        "sales",
        pipelines_dir=str(data / "dlt"),
        destination=dlt.destinations.duckdb(str(data / "warehouse.duckdb")),
        dataset_name="main_data",
    )
    pipeline.run((files | reader).with_name("raw_sales"), loader_file_format="parquet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
