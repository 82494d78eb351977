"""`file_ledger`: one row for every version of every file that was delivered.

Belongs here: the table, its rows, and writing. The rows of a file and its ledger row are written in one transaction.
Which versions count is decided in `settle`. Questions to the table are in `ledger_queries` and `ledger_batches`.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestration_project.hashes import shown
from orchestration_project.warehouse import tables
from orchestration_project.warehouse.tables import ensure_table, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "file_ledger"

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
# Apart: the ledgers of release 0.1 lack it, and readers, which may not add it, have to do without. It is written with
# the counts of the records, so no `Entry` has it.
VALIDATED_AS = {"validated_as": "VARCHAR"}
"""One more column: the contract by which a file's records were validated."""
# The same: ledgers of before lack it.
IGNORED = {"ignored": "BIGINT"}
"""One more column: how many records are no data, by the contract."""
ADDED = VALIDATED_AS | IGNORED
TYPES = COLUMNS | ADDED
IDENTITY = ("feed", "batch", "file", "version")
"""The columns that identify a row."""
# In one place: the keys were once turned into dates in two ways, of which one did not know the second of two hours.
BATCH_DATE = """(try_strptime(left(batch, 16), ['%Y-%m-%d-%H:%M', '%Y-%m-%d'])
    + to_seconds(CASE WHEN length(batch) > 16 THEN 1 ELSE 0 END))"""
"""SQL for the `_batch_date` of an entry's batch; NULL for a file without a batch. A key has at most 16 characters,
unless it has the offset of an hour that comes for the second time (see `storage.batches`)."""
OPEN_REJECTS = "(coalesce(rejected, 0) - coalesce(repaired, 0) - coalesce(waived, 0) - coalesce(attempts, 0))"
"""SQL for the rejects of a loaded file that nobody has corrected or waived."""
COUNTS = ("records", "blank_records", "cleaned", "rejected", "repaired", "waived", "attempts", *IGNORED)
"""The columns that say what became of a file's records."""


class Status(StrEnum):
    """What became of a version of a file.

    RECEIVED: new, `settle` has not decided yet; this status is never written. LOADED: its records are in the tables.
    KEPT: an earlier snapshot of a feed with a history, which has its records from the raw table. SUPERSEDED: a later
    delivery replaced it. DUPLICATE: another file of its batch with the same bytes is loaded.
    QUARANTINED: the file was refused as a whole. WITHDRAWN: it was accepted, and somebody took it back.
    """

    RECEIVED = "received"
    LOADED = "loaded"
    KEPT = "kept"
    SUPERSEDED = "superseded"
    DUPLICATE = "duplicate"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"


IN_RAW = (Status.LOADED, Status.KEPT)
"""What files have whose records are in the raw table."""
IS_IN_RAW = f"status IN ({literals(IN_RAW)})"
"""The same as a SQL condition."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. Times are naive UTC; `archived_as` is a path relative to the feed's archive.

    `repair` says whether it is a repair file. The `rejected` records are split: `repaired` and `waived` ones are
    closed. `attempts` are records of a repair file that failed to correct a reject; that reject is counted with its own
    file. The rest is open.
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
        """The first hex digits of the SHA-256: `_file_version` in the tables."""
        return shown(self.sha256)

    @property
    def identity(self) -> tuple[str, str, str]:
        """Batch (partition key), name and SHA-256: what tells the versions of a feed's files apart."""
        return self.batch, self.file, self.sha256

    @property
    def rank(self) -> tuple[str, dt.datetime, str]:
        """Sort key: batch, then modification time, then name."""
        return (self.batch, self.modified_at, self.file)


def of_repairs(feed: str) -> str:
    """A SQL condition on `_file`: the record came in one of the feed's repair files."""
    return f"_file IN (SELECT file FROM {TABLE} WHERE feed = {literal(feed)} AND repair)"


def ensure_ledger(connection: "DuckDBPyConnection") -> None:
    """Make sure that the ledger exists."""
    ensure_table(connection, TABLE, COLUMNS | ADDED)


def stand_in(connection: "DuckDBPyConnection") -> None:
    """Give this connection an empty ledger if the warehouse has none, so that a reader needs no special case."""
    tables.stand_in(connection, {TABLE: COLUMNS | ADDED})


def write_entries(connection: "DuckDBPyConnection", entries: Sequence[Entry]) -> None:
    """Insert entries; one with the same feed, file and version is replaced."""
    if not entries:
        return
    # Not INSERT OR REPLACE: that needs a primary key, which DuckLake refuses.
    values = {name: [getattr(entry, name) for entry in entries] for name in COLUMNS}
    written = {name: values[name] for name in IDENTITY}
    # Of a version that is replaced, nothing counts the records any more: what was counted once stays.
    kept = {tuple(row): count for *row, count in connection.execute(_ignored_query(), written).fetchall()}
    values["ignored"] = [kept.get(row) for row in zip(*written.values(), strict=True)]
    connection.execute(_delete_query(), written)
    connection.execute(f"INSERT INTO {TABLE} BY NAME SELECT {_rows_of(COLUMNS | IGNORED)}", values)


def write_counts(
    connection: "DuckDBPyConnection",
    feed: str,
    counts: Mapping[tuple[str, str, str], Sequence[int]],
    validated_as: str | None = None,
) -> None:
    """Write what became of each file's records.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        counts: the numbers for the columns `COUNTS`, by batch (partition key), file and version.
        validated_as: identifies the contract by which they have been validated now; None if they have not.
    """
    names = (*IDENTITY[1:], *COUNTS)
    rows = [(*key, *numbers) for key, numbers in counts.items()]
    values = {name: [row[index] for row in rows] for index, name in enumerate(names)}
    connection.execute(_update_query(names), {"feed": feed, "validated_as": validated_as} | values)


def _rows_of(columns: Iterable[str]) -> str:
    """SELECT items that make rows of one list parameter a column.

    One statement then takes any number of files; `executemany` takes 0.4 ms a row.
    """
    return ", ".join(f"unnest(${name}::{TYPES[name]}[]) AS {name}" for name in columns)


def _delete_query() -> str:
    identity = ", ".join(IDENTITY)
    return f"""WITH written AS (SELECT {_rows_of(IDENTITY)})
        DELETE FROM {TABLE} WHERE ({identity}) IN (SELECT ({identity}) FROM written)"""


def _ignored_query() -> str:
    identity = ", ".join(IDENTITY)
    return f"""WITH written AS (SELECT {_rows_of(IDENTITY)})
        SELECT {identity}, ignored FROM {TABLE} SEMI JOIN written USING ({identity}) WHERE ignored IS NOT NULL"""


def ignored_of(connection: "DuckDBPyConnection") -> str:
    """SQL for a file's number of ignored records, also where the ledger is that of a release without them."""
    return "coalesce(ignored, 0)" if IGNORED.keys() <= tables.columns_of(connection, TABLE).keys() else "0::BIGINT"


def _update_query(names: Sequence[str]) -> str:
    """The query of `write_counts`."""
    # The number of records was counted in the bytes. It stays, or the tables would be checked against themselves.
    changes = ", ".join(f"{name} = counted.{name}" for name in COUNTS if name != "records")
    same = " AND ".join(f"{TABLE}.{name} = counted.{name}" for name in IDENTITY[1:])
    return f"""WITH counted AS (SELECT {_rows_of(names)})
        UPDATE {TABLE} SET records = coalesce({TABLE}.records, counted.records), {changes},
            validated_as = coalesce($validated_as, validated_as)
        FROM counted
        WHERE feed = $feed AND {same}"""
