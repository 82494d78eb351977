"""What is in a warehouse, so that several of them can be compared: prints JSON.

    python -m benchmarks.contents

Belongs here: digests of all tables, and figures of each day. The settings name the warehouse, which is only read.
"""

import json
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Failed, run
from benchmarks.session import BIN, Session
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.tables import columns_of, idents, qualified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyConnection

COMMAND = (str(BIN / "python"), "-m", "benchmarks.contents")
OF_A_RUN = frozenset({"run_id", "seen_at", "loaded_at", "made_at"})
"""Columns that tell which run has made a row, and when: two loads of the same files differ in them."""
TABLES = """SELECT schema_name, table_name FROM duckdb_tables()
    WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY ALL"""
DAYS = """WITH
    raw AS (SELECT _batch_date AS day, count(*) AS records, count(DISTINCT (_file_version, _row)) AS numbered
        FROM raw_sales GROUP BY 1),
    cleaned AS (SELECT _batch_date AS day, count(*) AS cleaned, sum(total_amount)::VARCHAR AS revenue
        FROM cleaned_sales GROUP BY 1),
    rejected AS (SELECT _batch_date AS day, count(*) AS rejected FROM rejected_sales GROUP BY 1),
    files AS (SELECT batch_date AS day, count(*) AS files FROM file_ledger
        WHERE feed = 'sales' AND status = 'loaded' GROUP BY 1)
    SELECT day::VARCHAR, records, numbered, cleaned, coalesce(rejected, 0), revenue, files
    FROM raw FULL JOIN cleaned USING (day) FULL JOIN rejected USING (day) FULL JOIN files USING (day) ORDER BY day"""


def contents(warehouse: Warehouse) -> dict[str, Any]:
    """The tables of a warehouse, and what it has of each day of sales.

    Returns:
        `tables`: by name, the columns with their types, the number of rows, and the sum of their hashes, which does not
        depend on their order. `days`: by day, its records, how many numbers they have, how many were cleaned and
        rejected, revenue, and files.
    """
    with warehouse.connection("benchmark", read_only=True) as connection:
        tables = {".".join(names): _digest(connection, *names) for names in connection.execute(TABLES).fetchall()}
        days = {day: figures for day, *figures in connection.execute(DAYS).fetchall()}
    return {"tables": tables, "days": days}


def _digest(connection: "DuckDBPyConnection", schema: str, table: str) -> list[Any]:
    columns = {
        name: sql_type for name, sql_type in columns_of(connection, table, schema).items() if name not in OF_A_RUN
    }
    row = connection.execute(
        f"SELECT count(*), sum(hash({idents(columns)}))::VARCHAR FROM {qualified(connection, table, schema)}"
    ).fetchone()
    return [columns, *(row or ())]


def contents_of(session: Session, environment: "Mapping[str, str]") -> dict[str, Any]:
    """What is in the warehouse of an environment, by a process of its own.

    Raises:
        Failed: it can't be read.
    """
    log = session.work / "contents.log"
    run(COMMAND, environment, log)
    found: dict[str, Any] = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return found


def ensure_equal(found: dict[str, Any], expected: dict[str, Any], what: str) -> None:
    """Compare what two warehouses have.

    Args:
        found: by name, of one.
        expected: the same of another one.
        what: such as `lake-sqlite and file`, for the message.

    Raises:
        Failed: they differ; names where.
    """
    if differing := sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)):
        first = differing[0]
        raise Failed(f"{what} differ in {', '.join(differing)}; {first}: {found.get(first)} and {expected.get(first)}")


if __name__ == "__main__":
    print(json.dumps(contents(Warehouse.from_settings(Settings.from_env()))))  # noqa: T201 - it is what it is for
