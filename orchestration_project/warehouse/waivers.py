"""`waivers`: who lets which rejects be, and why. The files in the archive are the truth; this is for queries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import ensure_table

if TYPE_CHECKING:
    import datetime as dt

    from duckdb import DuckDBPyConnection

TABLE = "waivers"
COLUMNS = {
    "feed": "VARCHAR",
    "reject_id": "VARCHAR",
    "waived_by": "VARCHAR",
    "because": "VARCHAR",
    "waived_at": "TIMESTAMP",
}
VALUES = ", ".join(f"unnest(${name}::{sql_type}[]) AS {name}" for name, sql_type in COLUMNS.items())

Row = tuple[str, str, str, "dt.datetime"]
"""Reject, who, why and when (naive UTC)."""


def ensure_waivers(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def replace_waivers(connection: "DuckDBPyConnection", feed: str, rows: Sequence[Row]) -> list[str]:
    """Make the table hold these waivers of a feed, one a reject, and no others.

    Returns:
        The rejects whose waiver is another one now.
    """
    listed = [(feed, *row) for row in rows]
    given = {name: [row[index] for row in listed] for index, name in enumerate(COLUMNS)}
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _waivers AS SELECT {VALUES}", given)
    held = f"FROM {TABLE} WHERE feed = $1"
    changed = connection.execute(
        f"""SELECT DISTINCT reject_id FROM (
            ((FROM _waivers) EXCEPT ({held})) UNION ALL (({held}) EXCEPT (FROM _waivers))) ORDER BY 1""",
        [feed],
    ).fetchall()
    if changed:
        connection.execute(f"DELETE {held}", [feed])
        connection.execute(f"INSERT INTO {TABLE} BY NAME FROM _waivers")
    return [reject for (reject,) in changed]


def has_waivers(connection: "DuckDBPyConnection", feed: str) -> bool:
    """Whether a feed has waivers."""
    return bool(connection.execute(f"SELECT 1 FROM {TABLE} WHERE feed = $1 LIMIT 1", [feed]).fetchone())
