"""`feed_batching`: the batching that a feed's files were loaded with, one row a feed.

It also says whether new tables wait for the archive tree that they were made from: `tree` is its folder, `renamed_from`
the feed whose files came with it. Both are empty but between a rebuild's commit and the moves of its folders.
"""

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from orchestration_project.warehouse.tables import columns_of, ensure_table, exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "feed_batching"
# Under another cadence a correction gets another batch than the file that it corrects, and both count: its records were
# doubled. So a load compares what it was given with what the feed was loaded with, and refuses until a rebuild.
COLUMNS = {
    "feed": "VARCHAR",
    "mode": "VARCHAR",
    "cadence": "VARCHAR",
    "start_date": "VARCHAR",
    "batch_pattern": "VARCHAR",
    "timezone": "VARCHAR",
    "undated": "VARCHAR",
    "batch_column": "VARCHAR",
    "tree": "VARCHAR",
    "renamed_from": "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class LoadedWith:
    """The attributes of a feed's `defs.yaml` that decide which batch a file is for, and what makes it the same file."""

    mode: str
    cadence: str
    start_date: str
    batch_pattern: str
    timezone: str
    undated: str
    batch_column: str = ""

    def changes(self, other: "LoadedWith") -> dict[str, str]:
        """By attribute, what it was and what it is now."""
        before, after = asdict(self), asdict(other)
        return {name: f"{before[name]!r}, now {after[name]!r}" for name in before if before[name] != after[name]}


NAMES = [field.name for field in fields(LoadedWith)]


def ensure_batching(connection: "DuckDBPyConnection") -> None:
    """Make sure that the table exists."""
    ensure_table(connection, TABLE, COLUMNS)


def loaded_with(connection: "DuckDBPyConnection", feed: str) -> LoadedWith | None:
    """What a feed was loaded with; None before its first load."""
    if not exists(connection, TABLE):
        return None
    # Who only reads finds the table of an older release without the column, and who writes finds NULL in it.
    present = columns_of(connection, TABLE)
    listed = ", ".join(f"coalesce({name}, '')" if name in present else "''" for name in NAMES)
    row = connection.execute(f"SELECT {listed} FROM {TABLE} WHERE feed = $1", [feed]).fetchone()
    return None if row is None else LoadedWith(*map(str, row))


def note_batching(connection: "DuckDBPyConnection", feed: str, found: LoadedWith) -> None:
    """Note what a feed is loaded with."""
    values = asdict(found)
    # INSERT OR REPLACE would need a primary key, which DuckLake refuses, and would empty the columns of a rebuild.
    changed = ", ".join(f"{name} = ${name}" for name in NAMES)
    if loaded_with(connection, feed) is None:
        connection.execute(f"INSERT INTO {TABLE} (feed) VALUES ($1)", [feed])
    connection.execute(f"UPDATE {TABLE} SET {changed} WHERE feed = $feed", {"feed": feed} | values)


def note_tree(connection: "DuckDBPyConnection", feed: str, tree: str, renamed_from: str) -> None:
    """Note which archive tree a feed's tables wait for, and whose files came with it; empty: for none."""
    # Written in the transaction that commits the rebuilt tables. The folders move afterwards; after a kill, whoever
    # finds a tree here moves them.
    connection.execute(
        f"UPDATE {TABLE} SET tree = $tree, renamed_from = $renamed_from WHERE feed = $feed",
        {"feed": feed, "tree": tree, "renamed_from": renamed_from},
    )


def waiting_tree(connection: "DuckDBPyConnection", feed: str) -> tuple[str, str]:
    """Which archive tree a feed's tables wait for, and whose files came with it; both empty if for none."""
    if not exists(connection, TABLE):
        return "", ""
    row = connection.execute(f"SELECT tree, renamed_from FROM {TABLE} WHERE feed = $1", [feed]).fetchone()
    tree, renamed_from = row or (None, None)  # a feed that was never rebuilt has NULL there
    return str(tree or ""), str(renamed_from or "")
