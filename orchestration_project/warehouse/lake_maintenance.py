"""What keeps a lake small: few large files instead of many small ones, and no files of states that nobody reads.

Each load writes files of its own, and a lake keeps all of its states with their files. DuckLake's own functions expire
states, put files together and delete what is left. Each of them commits by itself, so a kill loses nothing: the next
run goes on.

Belongs here: the order and the limits of these functions. When they run is told by the component `LakeMaintenance`.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.warehouse.lake import NAME, Lake
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PURPOSE = "maintenance of the lake"
REWRITTEN_FROM = 0.1
"""A file is written anew when this part of its rows is deleted; until then each reader skips them."""


@dataclass(frozen=True, slots=True)
class Size:
    """The files of the tables as they are now, with the files that tell deleted rows, and their bytes."""

    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Maintained:
    """What was done.

    Attributes:
        before, after: the size of the present tables.
        expired: how many old snapshots can't be read any more.
        deleted: how many files of them were deleted.
        snapshots: how many snapshots are left.
        oldest: when the oldest of them was made, with a time zone.
        unknown: files below the lake's data, older than the grace, that belong to no table: a killed load has left
            them, or somebody else put them there. They are not touched.
    """

    before: Size
    after: Size
    expired: int
    deleted: int
    snapshots: int
    oldest: dt.datetime
    unknown: list[str]


def maintain(
    lake: Lake, now: dt.datetime, keep: dt.timedelta, grace: dt.timedelta, log: Callable[[str], None]
) -> Maintained:
    """Expire old snapshots, put small files together, and delete files that no snapshot has any more.

    Loads wait for it to end. Readers of the lake don't: a file that no snapshot has stays for the grace.

    Args:
        lake: it must exist.
        now: the present moment, with a time zone.
        keep: how old snapshots are that stay readable; the newest one always is.
        grace: for how long a file stays that no snapshot has any more, since a query may be reading it.
        log: takes a line of progress.

    Raises:
        WarehouseBusy: somebody else held the lake for too long.
        WarehouseBroken: the catalog or a file can't be read.
        WarehouseDown: the database of the catalog, or the object store, does not answer.
    """
    left = _moment(now - grace)
    with lake.connection(PURPOSE) as connection:
        before = _size(connection)
        # In this order: files of expired snapshots need not be put together, and only then are they free to delete.
        expired = _called(connection, "ducklake_expire_snapshots", f"older_than => {_moment(now - keep)}")
        rewritten = _called(connection, "ducklake_rewrite_data_files", f"delete_threshold => {REWRITTEN_FROM}")
        merged = _called(connection, "ducklake_merge_adjacent_files")
        deleted = _called(connection, "ducklake_cleanup_old_files", f"older_than => {left}")
        unknown = _called(connection, "ducklake_delete_orphaned_files", f"dry_run => true, older_than => {left}")
        log(f"expired: {len(expired)} snapshot(s); tables with new files: {len(rewritten) + len(merged)}")
        count, oldest = _snapshots(connection)
        after = _size(connection)
    return Maintained(before, after, len(expired), len(deleted), count, oldest, [str(path) for path, *_ in unknown])


def _called(connection: "DuckDBPyConnection", function: str, options: str = "") -> list[tuple[object, ...]]:
    separator = ", " if options else ""
    return connection.execute(f"CALL {function}({literal(NAME)}{separator}{options})").fetchall()


def _moment(moment: dt.datetime) -> str:
    return f"{literal(moment.isoformat())}::TIMESTAMPTZ"


def _size(connection: "DuckDBPyConnection") -> Size:
    row = connection.execute(
        f"""SELECT coalesce(sum(file_count + delete_file_count), 0)::BIGINT,
                coalesce(sum(file_size_bytes + delete_file_size_bytes), 0)::BIGINT
            FROM ducklake_table_info({literal(NAME)})"""
    ).fetchone()
    return Size(*row) if row else Size(0, 0)


def _snapshots(connection: "DuckDBPyConnection") -> tuple[int, dt.datetime]:
    """How many snapshots there are, and when the oldest one was made. There is always the newest."""
    moments = connection.execute(f"SELECT snapshot_time FROM ducklake_snapshots({literal(NAME)})").fetchall()
    return len(moments), min(moment for (moment,) in moments)
