"""What a load makes of the files that shards wrote for a lake: it adds them to tables, instead of writing rows anew.

Until the commit they belong to no table. From then on they are DuckLake's, which puts them together and deletes them as
it does its own. A file is only added where its rows are those that an INSERT would make, and where DuckLake will find
all of them again. Else the load inserts its rows.
"""

import re
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.errors import ObjectStoreError, without_values
from orchestration_project.ingest.keys import IDENTITY
from orchestration_project.ingest.model import Apart, Unique
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.shard_lake import LakeFolder
from orchestration_project.storage.objects import StoredObject, open_objects
from orchestration_project.warehouse.feed_tables import cleaned_layout, cleaned_table, raw_layout, raw_table
from orchestration_project.warehouse.lake import LEFT_SECONDS, NAME, Lake
from orchestration_project.warehouse.lake_s3 import secret_of
from orchestration_project.warehouse.lock import is_running
from orchestration_project.warehouse.tables import (
    batch_filter,
    canonical,
    columns_of,
    ident,
    is_empty,
    is_lake,
    literal,
    literals,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDER = "_shards"
"""Below the lake's data. No schema of the platform has a name that begins so."""
# Of any other type DuckLake 1.5.5 compares the smallest and largest values of a file's parts as text, too.
COMPARED = re.compile(
    r"VARCHAR|BOOLEAN|U?(TINY|SMALL|BIG)?INT(EGER)?|DECIMAL\(.*\)|FLOAT|DOUBLE|TIME|(DATE|TIMESTAMP.*)"
)
YEAR = r"\d{4}-[-0-9:.+ ]*"
"""A pattern of moments that are in the same order as their texts."""


def lake_folder(session: Session) -> LakeFolder | None:
    """Where the shards of a load write; None if its warehouse is no lake.

    Raises:
        SettingsError: there are no credentials for the lake's object store.
    """
    if not is_lake(session.connection):
        return None
    lake = Lake.of(session.settings)
    # The load's work folder has a name that no other process has, and that tells whose it is.
    url, secret = f"{lake.data}{FOLDER}/{session.work.name}/", secret_of(lake.data) if lake.is_remote else ""
    if not lake.is_remote:
        Path(url).mkdir(parents=True, exist_ok=True)
    return LakeFolder(url, secret)


def add_raw(session: Session, apart: Apart) -> bool:
    """Add the files of shards to the raw table, and insert the rows that the load itself has read.

    Args:
        session: inside the transaction.
        apart: what the shards made.

    Returns:
        Whether the raw table has all of them now; if not, it has none of them.
    """
    connection, feed, table = session.connection, session.feed, raw_table(session.feed)
    if not (apart.raw and _can_add(connection, table, raw_layout(feed, session.batching.sql_type), apart.raw)):
        return False
    _add(connection, table, apart.raw)
    if not is_empty(connection, apart.here):
        connection.execute(f"INSERT INTO {ident(table)} BY NAME SELECT * EXCLUDE (_rid) FROM {apart.here}")
    return True


def can_add_cleaned(session: Session, apart: Apart) -> bool:
    """Whether the files of shards may be added to the cleaned table. Inside the transaction."""
    # Of a history the table has the rows of the newest day alone.
    if session.options.history or not apart.cleaned:
        return False
    layout = cleaned_layout(session.feed, session.batching.sql_type)
    return _can_add(session.connection, cleaned_table(session.feed), layout, apart.cleaned)


def add_cleaned(session: Session, apart: Apart, unique: Unique) -> int:
    """Add the files of shards to the cleaned table, without the records that are duplicates.

    Args:
        session: inside the transaction.
        apart: what the shards made.
        unique: tells the duplicates.

    Returns:
        The number of rows added.
    """
    connection, table, duplicates = session.connection, cleaned_table(session.feed), unique.relation
    _add(connection, table, apart.cleaned)
    row = connection.execute(f"SELECT sum(num_rows) FROM parquet_file_metadata([{literals(apart.cleaned)}])").fetchone()
    rows = int(row[0]) if row else 0
    if is_empty(connection, duplicates):
        return rows
    deleted = connection.execute(
        f"""DELETE FROM {ident(table)} WHERE {batch_filter(unique.batches)}
            AND ({IDENTITY}) IN (SELECT ({IDENTITY}) FROM {duplicates})"""
    ).fetchone()
    return rows - (int(deleted[0]) if deleted else 0)


def _can_add(connection: "DuckDBPyConnection", table: str, layout: Mapping[str, str], files: Sequence[str]) -> bool:
    """Whether files may be added to a table of a lake.

    Args:
        connection: inside the transaction.
        table: the table's name.
        layout: the files' columns and types; they may have more, which are of no table.
        files: at least one.
    """
    types = canonical(connection, layout)
    if columns_of(connection, table) != types or not all(map(COMPARED.fullmatch, types.values())):
        return False
    return not _is_out_of_order(connection, types, files)


def _is_out_of_order(connection: "DuckDBPyConnection", types: Mapping[str, str], files: Sequence[str]) -> bool:
    """Whether files have moments before the year 1, after 9999 or without an end.

    Of a file that is added DuckLake compares their texts, `10001-01-01` with `2024-01-01`. A query for such moments
    then skipped the file.
    """
    moments = [name for name, sql_type in types.items() if sql_type.startswith(("DATE", "TIMESTAMP"))]
    row = connection.execute(
        f"""SELECT count(*) FROM parquet_metadata([{literals(files)}]) WHERE path_in_schema IN ({literals(moments)})
            AND NOT (regexp_full_match(stats_min_value, {literal(YEAR)})
                AND regexp_full_match(stats_max_value, {literal(YEAR)}))"""
    ).fetchone()
    return row != (0,)


def _add(connection: "DuckDBPyConnection", table: str, files: Sequence[str]) -> None:
    # Their further columns are the load's own. No part of a path is a column, as in `data/day=1/x.parquet`.
    connection.execute(
        f"""CALL ducklake_add_data_files({literal(NAME)}, {literal(table)}, [{literals(files)}],
            ignore_extra_columns => true, hive_partitioning => false)"""
    )


def remove_own(session: Session) -> None:
    """Remove what the shards of this load wrote and no table has, and that of killed loads. After the transaction."""
    import duckdb

    lake, name = Lake.of(session.settings), session.work.name
    try:
        if any(open_objects(lake.data).list(f"{FOLDER}/{name}")):
            # The catalog itself says which files no state of the lake has, and it will not delete itself.
            unknown = session.connection.execute(
                f"CALL ducklake_delete_orphaned_files({literal(NAME)}, dry_run => true, cleanup_all => true)"
            ).fetchall()
            remove_left(lake, [path for (path,) in unknown], name)
    except (ObjectStoreError, duckdb.Error) as error:
        # The load has ended well or badly already, and maintenance removes them later.
        session.tell(f"files that shards have left were not removed: {without_values(error)}")


def remove_left(lake: Lake, unknown: Iterable[str], own: str = "") -> list[str]:
    """Remove the files of shards among those that no table has, if their loads have ended.

    Args:
        lake: whose they are.
        unknown: files below the lake's data that its catalog does not know.
        own: the name of a load's folder whose files are removed in any case.

    Returns:
        What was removed.

    Raises:
        ObjectStoreError: it can't be removed.
    """
    written = f"{lake.data}{FOLDER}/"
    keys = {path.removeprefix(lake.data) for path in unknown if path.startswith(written)}
    store = open_objects(lake.data)
    left = [found.key for found in store.list(FOLDER) if found.key in keys and _is_left(found, own)] if keys else []
    store.delete(left)
    if not lake.is_remote:
        for folder in {Path(lake.data, key).parent for key in left}:
            with suppress(OSError):  # others are in it
                folder.rmdir()
    return [f"{lake.data}{key}" for key in left]


def _is_left(found: StoredObject, own: str) -> bool:
    """Whether nobody will add a file any more: its load has ended, or it is older than any load can be."""
    name = found.key.split("/")[1]
    # From the right: a host's name may have dots in it.
    host, pid, _ = [*name.rsplit(".", 2), "", ""][:3]
    if name == own:
        return True
    if host == socket.gethostname() and pid.isdecimal():
        return not is_running(int(pid))
    return time.time() - found.modified_at.timestamp() > LEFT_SECONDS
