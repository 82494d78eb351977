"""`waivers`: who lets which rejects be, and why. The files in the archive are the truth; this is for queries."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse.quoting import literal
from orchestration_project.warehouse.tables import ensure_table, is_empty

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
TAKEN = "waivers_taken"
TAKEN_COLUMNS = {"feed": "VARCHAR", "listing": "VARCHAR", "waivers": "BIGINT"}
"""Which state of the archive the table has: what identifies it, and how many waivers that gave."""
VALUES = ", ".join(f"unnest(${name}::{sql_type}[]) AS {name}" for name, sql_type in COLUMNS.items())

Row = tuple[str, str, str, "dt.datetime"]
"""Reject, who, why and when (naive UTC)."""


def ensure_waivers(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists, and the note of what it was filled from."""
    ensure_table(connection, TABLE, COLUMNS)
    ensure_table(connection, TAKEN, TAKEN_COLUMNS)


def has_taken(connection: "DuckDBPyConnection", feed: str, listing: str) -> bool:
    """Whether the table holds what the archive says in the state that `listing` identifies (empty: no waivers)."""
    row = connection.execute(
        f"""SELECT coalesce((SELECT (listing, waivers) FROM {TAKEN} WHERE feed = $feed), ('', 0))
            = ($listing, (SELECT count(*) FROM {TABLE} WHERE feed = $feed))""",
        {"feed": feed, "listing": listing},
    ).fetchone()
    return row == (True,)


def replace_waivers(connection: "DuckDBPyConnection", feed: str, rows: Sequence[Row], listing: str) -> list[str]:
    """Make the table hold these waivers of a feed, one a reject, and no others; `listing` identifies their source.

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
    connection.execute(f"DELETE FROM {TAKEN} WHERE feed = $1", [feed])
    connection.execute(f"INSERT INTO {TAKEN} VALUES ($1, $2, $3)", [feed, listing, len(rows)])
    return [reject for (reject,) in changed]


def has_waivers(connection: "DuckDBPyConnection", feed: str) -> bool:
    """Whether a feed has waivers."""
    return not is_empty(connection, f"{TABLE} WHERE feed = {literal(feed)}")
