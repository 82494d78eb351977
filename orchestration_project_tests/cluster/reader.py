"""A reader of a lake with a program of its own: DuckDB alone, by the catalog in PostgreSQL. It holds up nobody.

python -m orchestration_project_tests.cluster.reader "SELECT ..."     prints each row as a JSON list of texts
"""

import json
import sys

import duckdb
import psycopg

from orchestration_project.settings import Settings
from orchestration_project.warehouse.extensions import load
from orchestration_project.warehouse.lake_s3 import secret_of
from orchestration_project.warehouse.tables import literal


def rows(query: str, settings: Settings) -> list[list[str]]:
    """The rows of a query, as texts."""
    # As libpq writes it: DuckDB's extension takes no password with marks in an URL.
    address = psycopg.conninfo.make_conninfo(settings.warehouse_url.removeprefix("ducklake:"))
    with duckdb.connect(config={"allow_persistent_secrets": "true"}) as connection:
        for extension in ("ducklake", "postgres_scanner", "httpfs"):
            load(connection, extension)
        connection.execute(secret_of(settings.lake_data))
        connection.execute(f"ATTACH {literal(f'ducklake:postgres:{address}')} AS lake (READ_ONLY)")
        connection.execute("USE lake")
        return [[str(value) for value in row] for row in connection.execute(query).fetchall()]


if __name__ == "__main__":
    for found in rows(sys.argv[1], Settings.from_env()):
        print(json.dumps(found))  # noqa: T201 - it is what the program is for
