"""`waivers`: the rejects that somebody accepts as they are, with the reason.

The files in the archive are the truth. The table is a copy of them for queries.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import ensure_table, is_empty, literal

if TYPE_CHECKING:
    import datetime as dt

    from duckdb import DuckDBPyConnection

# Files, because a lost warehouse has to come back with them: what a person decided stands in no delivery.
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
"""One row a feed: which state of the archive was copied, and how many waivers that gave."""
VALUES = ", ".join(f"unnest(${name}::{sql_type}[]) AS {name}" for name, sql_type in COLUMNS.items())

Row = tuple[str, str, str, "dt.datetime"]
"""`_reject_id`, who, why and when (naive UTC)."""


def ensure_waivers(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists, and the table that says what was copied."""
    ensure_table(connection, TABLE, COLUMNS)
    ensure_table(connection, TAKEN, TAKEN_COLUMNS)


def has_taken(connection: "DuckDBPyConnection", feed: str, listing: str) -> bool:
    """Whether the table is a copy of the archive.

    Rows are counted, too: somebody may have written to the table.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        listing: identifies the state of the archive; empty if it has no waivers.
    """
    # So a load reads the files only when they have changed: their number grows with the years.
    row = connection.execute(
        f"""WITH copied AS (SELECT listing, waivers FROM {TAKEN} WHERE feed = $feed),
        present AS (SELECT count(*) AS waivers FROM {TABLE} WHERE feed = $feed)
        SELECT coalesce(copied.listing, '') = $listing AND coalesce(copied.waivers, 0) = present.waivers
        FROM present LEFT JOIN copied ON true""",
        {"feed": feed, "listing": listing},
    ).fetchone()
    return row == (True,)


def replace_waivers(connection: "DuckDBPyConnection", feed: str, rows: Sequence[Row], listing: str) -> list[str]:
    """Make the table hold exactly these waivers of a feed.

    Args:
        connection: inside a transaction.
        feed: the feed's name.
        rows: the waivers, one a reject.
        listing: identifies the state of the archive that they are from.

    Returns:
        The `_reject_id` of each waiver that is new, changed or gone.
    """
    listed = [(feed, *row) for row in rows]
    given = {name: [row[index] for row in listed] for index, name in enumerate(COLUMNS)}
    # What has changed is told by reject, so that only the batches of these are published again.
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _waivers AS SELECT {VALUES}", given)
    changed = connection.execute(_changed_query(), [feed]).fetchall()
    if changed:
        connection.execute(f"DELETE FROM {TABLE} WHERE feed = $1", [feed])
        connection.execute(f"INSERT INTO {TABLE} BY NAME FROM _waivers")
    connection.execute(f"DELETE FROM {TAKEN} WHERE feed = $1", [feed])
    connection.execute(f"INSERT INTO {TAKEN} VALUES ($1, $2, $3)", [feed, listing, len(rows)])
    return [reject for (reject,) in changed]


def _changed_query() -> str:
    """A changed waiver is in both differences, so its reject would come twice."""
    return f"""WITH held AS NOT MATERIALIZED (FROM {TABLE} WHERE feed = $1),
        added AS ((FROM _waivers) EXCEPT (FROM held)),
        removed AS ((FROM held) EXCEPT (FROM _waivers)),
        changed AS (FROM added UNION ALL FROM removed)
        SELECT DISTINCT reject_id FROM changed ORDER BY 1"""


def has_waivers(connection: "DuckDBPyConnection", feed: str) -> bool:
    """Whether a feed has waivers."""
    return not is_empty(connection, f"{TABLE} WHERE feed = {literal(feed)}")
