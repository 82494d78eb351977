"""The states of a lake, as a connection that is open sees them: which one is the newest, and what changed since one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONFLICTS = ("Transaction conflict", "Failed to commit DuckLake transaction", "Exceeded the maximum retry")
"""Parts of DuckLake's messages when a commit fails: mostly somebody else has committed what it changes, too."""


def newest_snapshot(connection: "DuckDBPyConnection") -> int:
    """The number of a lake's newest snapshot; inside a transaction that of the one which it sees."""
    row = connection.execute("SELECT id FROM ducklake_current_snapshot(current_database())").fetchone()
    assert row, "a lake has a snapshot from the start"
    return int(row[0])


def snapshot_seen(connection: "DuckDBPyConnection") -> tuple[int, int]:
    """The snapshot of a lake that a statement would see now: its number, and its moment in microseconds since 1970."""
    number = newest_snapshot(connection)
    row = connection.execute(
        "SELECT epoch_us(snapshot_time) FROM ducklake_snapshots(current_database()) WHERE snapshot_id = $1", [number]
    ).fetchone()
    assert row, "the newest snapshot never expires"
    return number, int(row[0])


def changed_since(
    connection: "DuckDBPyConnection", snapshot: int, rows: Mapping[str, str], parameters: Mapping[str, object]
) -> bool:
    """Whether rows of a lake were written or deleted since a snapshot; so they count if it is expired.

    Args:
        connection: to the lake.
        snapshot: its number.
        rows: by table, which has been there then, a condition in SQL that says which of its rows.
        parameters: of the conditions.
    """
    newest = newest_snapshot(connection)
    if newest == snapshot:
        return False
    if not _exists(connection, snapshot):
        return True
    # Only the files that were written since are read, so it costs the same however large the tables are.
    changes = "ducklake_table_changes(current_database(), current_schema(), {}, {:d}, {:d})"
    found = (
        f"EXISTS (FROM {changes.format(literal(table), snapshot + 1, newest)} WHERE {condition})"
        for table, condition in rows.items()
    )
    return connection.execute(f"SELECT {' OR '.join(found)}", parameters).fetchone() == (True,)


def _exists(connection: "DuckDBPyConnection", snapshot: int) -> bool:
    found = connection.execute(
        "SELECT 1 FROM ducklake_snapshots(current_database()) WHERE snapshot_id = $1", [snapshot]
    ).fetchone()
    return found is not None


def is_conflict(error: Exception) -> bool:
    """Whether a commit failed, as it does when somebody else has committed what it changes, too."""
    return any(part in str(error) for part in CONFLICTS)
