"""`file_ledger`: every version of every file that was ever delivered, written in the transaction that writes its rows.

`settle` decides, as a pure function, which of the delivered versions a feed's tables consist of.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestration_project.warehouse.quoting import ident, literal
from orchestration_project.warehouse.tables import batch_filter, ensure_table, exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "file_ledger"
VERSION_LENGTH = 16

COLUMNS = {
    "feed": "VARCHAR",
    "file": "VARCHAR",
    "version": "VARCHAR",
    "sha256": "VARCHAR",
    "batch": "VARCHAR",
    "batch_date": "DATE",
    "modified_at": "TIMESTAMP",
    "bytes": "BIGINT",
    "status": "VARCHAR",
    "repair": "BOOLEAN",
    "records": "BIGINT",
    "blank_records": "BIGINT",
    "cleaned": "BIGINT",
    "rejected": "BIGINT",
    "repaired": "BIGINT",
    "waived": "BIGINT",
    "attempts": "BIGINT",
    "reason": "VARCHAR",
    "archived_as": "VARCHAR",
    "delivery": "INTEGER",
    "contract_version": "VARCHAR",
    "read_as": "VARCHAR",
    "run_id": "VARCHAR",
    "seen_at": "TIMESTAMP",
    "loaded_at": "TIMESTAMP",
}

COUNTS = ("records", "blank_records", "cleaned", "rejected", "repaired", "waived", "attempts")


class Status(StrEnum):
    """What became of a version: it is in the tables, it was replaced, another file carries its bytes, it was refused.

    RECEIVED is what a new version is before `settle` has decided; it is never written.
    """

    RECEIVED = "received"
    LOADED = "loaded"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. Times are naive UTC; `archived_as` is relative to the feed's archive.

    `repair` tells whether it is a repair file. Of the `rejected` records, `repaired` and `waived` ones are closed;
    `attempts` are those of a repair file that failed to correct a reject, which is counted where it is; the others are
    open.
    """

    feed: str
    file: str
    sha256: str
    batch: str
    batch_date: dt.date | None
    modified_at: dt.datetime
    bytes: int
    status: Status
    records: int | None = None
    blank_records: int | None = None
    cleaned: int | None = None
    rejected: int | None = None
    reason: str | None = None
    archived_as: str | None = None
    delivery: int = 1
    contract_version: str | None = None
    read_as: str | None = None
    run_id: str | None = None
    seen_at: dt.datetime | None = None
    loaded_at: dt.datetime | None = None
    repair: bool = False
    repaired: int | None = None
    waived: int | None = None
    attempts: int | None = None

    @property
    def version(self) -> str:
        """The first 16 hex digits of the SHA-256: `_file_version` in the tables."""
        return self.sha256[:VERSION_LENGTH]

    @property
    def rank(self) -> tuple[str, dt.datetime, str]:
        """Orders files by batch, then age, then name."""
        return (self.batch, self.modified_at, self.file)


def settle(entries: Sequence[Entry], snapshot: bool) -> list[Entry]:
    """Decide which files a feed's tables consist of, whatever order they came in.

    Bytes count once: of several files with the same bytes the one for the earliest batch keeps them, within a batch the
    oldest (modification time, then name). Files without records are exempt: nothing can be counted twice. In a snapshot
    feed the newest bytes are the whole truth, with the repairs of them, and supersede all others.

    Args:
        entries: the current version of each file, with any status.
        snapshot: whether each file is the whole truth.

    Returns:
        The same entries with the status LOADED, DUPLICATE or SUPERSEDED.
    """
    counting = _newest(entries) if snapshot else list(entries)
    holders: dict[str, list[Entry]] = defaultdict(list)
    for entry in counting:
        holders[entry.sha256 if entry.records != 0 or snapshot else entry.file].append(entry)
    names = {entry.file for entry in counting}
    settled = [replace(entry, status=Status.SUPERSEDED) for entry in entries if entry.file not in names]
    for same_bytes in holders.values():
        keeper = min(same_bytes, key=lambda entry: entry.rank)
        settled += [
            replace(entry, status=Status.LOADED if entry is keeper else Status.DUPLICATE) for entry in same_bytes
        ]
    return settled


def _newest(entries: Sequence[Entry]) -> list[Entry]:
    """The files with the newest bytes of a snapshot feed, and the repairs of them, which were made since."""
    snapshots = [entry for entry in entries if not entry.repair]
    if not snapshots:
        return []
    newest = max(snapshots, key=lambda entry: entry.rank).sha256
    holders = [entry for entry in snapshots if entry.sha256 == newest]
    keeper = min(holders, key=lambda entry: entry.rank)
    repairs = [entry for entry in entries if entry.repair and entry.batch == keeper.batch]
    return holders + [entry for entry in repairs if entry.modified_at > keeper.modified_at]


def of_repairs(feed: str) -> str:
    """A condition on `_file` that holds for the records of a feed's repair files."""
    return f"_file IN (SELECT file FROM {TABLE} WHERE feed = {literal(feed)} AND repair)"


def ensure_ledger(connection: "DuckDBPyConnection") -> None:
    """Make sure that the ledger exists."""
    ensure_table(connection, TABLE, COLUMNS)


def stand_in(connection: "DuckDBPyConnection") -> None:
    """Have statements of this connection that ask the ledger find an empty one where the warehouse has none."""
    if not exists(connection, TABLE):
        listed = ", ".join(f"{name} {sql_type}" for name, sql_type in COLUMNS.items())
        connection.execute(f"CREATE TEMP TABLE {TABLE} ({listed})")


def current_entries(
    connection: "DuckDBPyConnection", feed: str, files: Iterable[str], hashes: Iterable[str], snapshot: bool
) -> list[Entry]:
    """The current versions (loaded or duplicate) of the named files and of every file whose bytes are concerned.

    Bytes are concerned when a delivery carries them or when a named file carried them until now (another file may then
    inherit them). In a snapshot feed the last version of every file is, superseded or not: when another snapshot is
    the newest, the repairs of it count, or another holder of its bytes.
    """
    if snapshot:
        return _entries(
            connection,
            f"""feed = $feed AND status <> 'quarantined' AND (file, delivery) IN (
                SELECT (file, max(delivery)) FROM {TABLE} WHERE feed = $feed AND status <> 'quarantined' GROUP BY file)
            """,
            {"feed": feed},
        )
    names, versions = list(files), list(hashes)
    return _entries(
        connection,
        f"""feed = $feed AND status IN ('loaded', 'duplicate') AND (
            file IN (SELECT unnest($names)) OR sha256 IN (SELECT unnest($versions))
            OR sha256 IN (SELECT sha256 FROM {TABLE} WHERE feed = $feed AND status IN ('loaded', 'duplicate')
            AND file IN (SELECT unnest($names))))""",
        {"feed": feed, "names": names, "versions": versions},
    )


def unfaithful_entries(
    connection: "DuckDBPyConnection",
    feed: str,
    raw: str,
    batches: Mapping[str, object] | None,
    read_as: str,
    key_format: str,
) -> list[Entry]:
    """The loaded files of some batches (None: of all) whose rows are not what reading them now would give.

    They were read under another contract, or the raw table does not have their rows under their batch once each. The
    sums of the row numbers and of their squares tell the latter in one pass without a set of all rows.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        raw: its raw table.
        batches: by partition key, the value of `_batch_date`.
        read_as: identifies what of the contract decides how files are read.
        key_format: the form of partition keys.
    """
    condition = "true" if batches is None else batch_filter(batches.values())
    return _entries(
        connection,
        f"""feed = $feed AND (file, version) IN (
            SELECT (file, version) FROM {TABLE} LEFT JOIN (
                SELECT _batch_date, _file, _file_version, count(*) AS rows, sum(_row) AS sum,
                    sum(_row::HUGEINT * _row) AS squares
                FROM {ident(raw)} WHERE {condition} GROUP BY ALL)
            ON file = _file AND version = _file_version AND batch = strftime(_batch_date, $key_format)
            WHERE feed = $feed AND status = 'loaded' AND ($all OR batch IN (SELECT unnest($keys)))
            AND (coalesce(rows, 0) IS DISTINCT FROM records OR read_as IS DISTINCT FROM $read_as
                OR sum <> records * (records + 1) // 2
                OR squares <> records::HUGEINT * (records + 1) * (2 * records + 1) // 6))""",
        {
            "feed": feed,
            "all": batches is None,
            "keys": list(batches or ()),
            "read_as": read_as,
            "key_format": key_format,
        },
    )


def known_deliveries(
    connection: "DuckDBPyConnection", feed: str, batches: Sequence[str] | None, snapshot: bool
) -> dict[str, int]:
    """The files of some batches (None: of all) that the ledger knows, with the number of the last delivery of each.

    A file that lost its current version, as only a write from outside can bring about, is not known; nor are those of a
    snapshot feed, where most have none, if all did.
    """
    rows = connection.execute(
        f"""WITH own AS (FROM {TABLE} WHERE feed = $feed AND status <> 'quarantined')
            SELECT file, max(delivery) FROM own
            WHERE ($all OR file IN (SELECT file FROM own WHERE batch IN (SELECT unnest($keys))))
            GROUP BY file HAVING bool_or(status <> 'superseded')
            OR ($snapshot AND EXISTS (FROM own WHERE status <> 'superseded'))""",
        {"feed": feed, "all": batches is None, "keys": list(batches or ()), "snapshot": snapshot},
    ).fetchall()
    return dict(rows)


def kept_entries(connection: "DuckDBPyConnection", feed: str) -> list[Entry]:
    """The entries of a feed whose files are in the archive, in order of batch, file and delivery."""
    found = _entries(connection, "feed = $feed AND status <> 'quarantined'", {"feed": feed})
    return sorted(found, key=lambda entry: (entry.batch, entry.file, entry.delivery))


def archived_as(connection: "DuckDBPyConnection", feed: str, file: str, sha256: str) -> str | None:
    """Where in the archive a version belongs; None if the ledger does not know it."""
    row = connection.execute(
        f"SELECT archived_as FROM {TABLE} WHERE feed = $1 AND file = $2 AND sha256 = $3 AND archived_as IS NOT NULL",
        [feed, file, sha256],
    ).fetchone()
    return None if row is None else str(row[0])


def loaded_batches(
    connection: "DuckDBPyConnection", feed: str, first: str | None = None, last: str | None = None
) -> list[str]:
    """The partition keys of the batches that have loaded files, from the first to the last (None: of all), in order."""
    rows = connection.execute(
        f"""SELECT DISTINCT batch FROM {TABLE} WHERE feed = $feed AND status = 'loaded'
            AND batch BETWEEN coalesce($first, batch) AND coalesce($last, batch) ORDER BY 1""",
        {"feed": feed, "first": first, "last": last},
    ).fetchall()
    return [batch for (batch,) in rows]


def repaired_batches(connection: "DuckDBPyConnection", feed: str) -> list[str]:
    """The partition keys of the batches that have loaded repair files."""
    rows = connection.execute(
        f"SELECT DISTINCT batch FROM {TABLE} WHERE feed = $1 AND status = 'loaded' AND repair ORDER BY 1", [feed]
    ).fetchall()
    return [batch for (batch,) in rows]


def batch_sizes(connection: "DuckDBPyConnection", feed: str) -> dict[str, int]:
    """How many records the loaded files of each batch have, by partition key; those of repairs are not new."""
    rows = connection.execute(
        f"""SELECT batch, coalesce(sum(records) FILTER (repair IS NOT true), 0)::BIGINT FROM {TABLE}
            WHERE feed = $1 AND status = 'loaded' GROUP BY 1""",
        [feed],
    ).fetchall()
    return {batch: records or 0 for batch, records in rows}


@dataclass(frozen=True, slots=True)
class DayCount:
    """The records of the loaded files of a day's batches."""

    day: dt.date
    cleaned: int
    rejected: int


def newest_days(connection: "DuckDBPyConnection", feed: str, limit: int) -> list[DayCount]:
    """What became of the records of the newest batch days of a feed, in order of days."""
    rows = connection.execute(
        f"""SELECT batch_date, coalesce(sum(cleaned), 0)::BIGINT, coalesce(sum(rejected), 0)::BIGINT FROM {TABLE}
            WHERE feed = $1 AND status = 'loaded' GROUP BY 1 ORDER BY 1 DESC LIMIT {limit:d}""",
        [feed],
    ).fetchall()
    return [DayCount(*row) for row in reversed(rows)]


def refused_files(connection: "DuckDBPyConnection", feed: str, run_id: str) -> list[tuple[str, str]]:
    """The files that a run refused, with the reason."""
    return connection.execute(
        f"SELECT file, reason FROM {TABLE} WHERE feed = $1 AND status = 'quarantined' AND run_id = $2 ORDER BY 1",
        [feed, run_id],
    ).fetchall()


def _entries(connection: "DuckDBPyConnection", condition: str, parameters: Mapping[str, object]) -> list[Entry]:
    names = list(Entry.__dataclass_fields__)
    rows = connection.execute(f"SELECT {', '.join(names)} FROM {TABLE} WHERE {condition}", parameters).fetchall()
    found = [Entry(**dict(zip(names, row, strict=True))) for row in rows]
    return [replace(entry, status=Status(entry.status)) for entry in found]


def write_entries(connection: "DuckDBPyConnection", entries: Sequence[Entry]) -> None:
    """Insert or replace entries; feed, file and version identify one."""
    if not entries:
        return
    # Lists that are unnested together are one statement for any number of files; executemany takes 0.4 ms a row.
    values = ", ".join(f"unnest(${name}::{sql_type}[]) AS {name}" for name, sql_type in COLUMNS.items())
    parameters = {name: [getattr(entry, name) for entry in entries] for name in COLUMNS}
    identity = ("feed", "file", "version")
    connection.execute(
        f"DELETE FROM {TABLE} WHERE (feed, file, version) IN"
        f" (SELECT ({', '.join(f'unnest(${name}::VARCHAR[])' for name in identity)}))",
        {name: parameters[name] for name in identity},
    )
    connection.execute(f"INSERT INTO {TABLE} BY NAME SELECT {values}", parameters)


def write_counts(
    connection: "DuckDBPyConnection", feed: str, counts: Sequence[tuple[str, str, int, int, int, int, int, int, int]]
) -> None:
    """Write what became of each file's records: rows of file, version, and the columns `COUNTS`.

    A number of records that was counted in the file's bytes stays: it is what the tables are held against.
    """
    names = ("file", "version", *COUNTS)
    values = ", ".join(f"unnest(${name}::{COLUMNS[name]}[]) AS {name}" for name in names)
    taken_over = ", ".join(f"{name} = counted.{name}" for name in COUNTS if name != "records")
    connection.execute(
        f"""UPDATE {TABLE} SET records = coalesce({TABLE}.records, counted.records), {taken_over}
            FROM (SELECT {values}) AS counted
            WHERE feed = $feed AND {TABLE}.file = counted.file AND {TABLE}.version = counted.version""",
        {"feed": feed} | {name: [count[index] for count in counts] for index, name in enumerate(names)},
    )
