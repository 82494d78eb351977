"""Questions to `file_ledger` about files: which versions a feed has, which of them count, which have to be read again.

Belongs here: queries that only read the ledger. Those about batches are in `ledger_batches`; the table, its rows and
writing are in `ledger`.

DuckDB materializes a named table expression that a query uses several times, with all its columns. So the queries say
`NOT MATERIALIZED`, which keeps the filters in the scans.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from orchestration_project.warehouse.file_batches import TABLE as FILE_BATCHES
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import IS_IN_RAW, TABLE, Entry, Status
from orchestration_project.warehouse.tables import exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FIELDS = [field.name for field in fields(Entry)]
ENTRY = ", ".join(FIELDS)
"""The columns of an entry, in the order of its fields."""
STATUS = FIELDS.index("status")
Identity = tuple[str, str]
"""What tells a feed's files apart: batch and name, or a name alone (with an empty batch)."""


def current_entries(
    connection: "DuckDBPyConnection",
    feed: str,
    delivered: Iterable[tuple[str, str, str]],
    snapshot: bool,
    by_name: bool = False,
) -> list[Entry]:
    """The current versions of the files that a delivery may change.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        delivered: batch (partition key), name and SHA-256 of the files of the delivery.
        snapshot: whether each file of the feed replaces all files before it.
        by_name: whether a name is the same file in every batch.

    Returns:
        The entries with the status loaded or duplicate of the delivered files, and of the files of their batches with
        the same bytes as one of them, now or before: another file may become the one that is loaded. In a snapshot
        feed, the last version of every file, superseded or not: when another snapshot is the newest, its repairs count,
        or another file with its bytes.
    """
    if snapshot:
        return last_entries(connection, feed, by_name)
    return entries_by(connection, _current_versions_query(_identity(by_name)), _delivered(feed, delivered))


def last_entries(connection: "DuckDBPyConnection", feed: str, by_name: bool = False) -> list[Entry]:
    """The last accepted version of each file of a feed that was not withdrawn, whatever became of it."""
    # By delivery, which counts the versions of a name in the order in which they came. Their times may say otherwise.
    identity = _identity(by_name)
    query = f"""WITH accepted AS NOT MATERIALIZED (
            FROM {TABLE} WHERE feed = $feed AND status NOT IN ('quarantined', 'withdrawn')),
        last AS (SELECT ({identity}, max(delivery)) FROM accepted GROUP BY {identity})
        SELECT {ENTRY} FROM accepted WHERE ({identity}, delivery) IN (FROM last)"""
    return entries_by(connection, query, {"feed": feed})


DELIVERED = "SELECT unnest($batches) AS batch, unnest($files) AS file, unnest($hashes) AS sha256"
"""Query of the rows that `_delivered` gives as parameters."""


def _delivered(feed: str, rows: Iterable[tuple[str, str, str]]) -> dict[str, object]:
    listed = list(rows)
    columns = {name: [row[index] for row in listed] for index, name in enumerate(("batches", "files", "hashes"))}
    return {"feed": feed, **columns}


def _identity(by_name: bool) -> str:
    return "file" if by_name else "batch, file"


def _current_versions_query(identity: str) -> str:
    """The query of `current_entries`, over the parameters of `_delivered`.

    The ledger has a (bytes 1, loaded), b (bytes 1, duplicate), c (bytes 2, loaded); `a` comes with bytes 2. The answer
    is all three: `a` is replaced, so `b` counts from now on, and `a` repeats what `c` has.
    """
    return f"""WITH current AS NOT MATERIALIZED (
            FROM {TABLE} WHERE feed = $feed AND status IN ('loaded', 'duplicate')),
        delivered AS ({DELIVERED}),
        named AS NOT MATERIALIZED (SELECT ({identity}) FROM delivered),
        replaced AS (SELECT (batch, sha256) FROM current WHERE ({identity}) IN (FROM named))
        SELECT {ENTRY} FROM current
        WHERE ({identity}) IN (FROM named) OR (batch, sha256) IN (SELECT (batch, sha256) FROM delivered)
        OR (batch, sha256) IN (FROM replaced)"""


@dataclass(frozen=True, slots=True)
class Repetition:
    """A file, and the loaded file of another batch that has the same bytes."""

    batch: str
    file: str
    other_batch: str
    other_file: str


def repetitions(connection: "DuckDBPyConnection", feed: str, files: Iterable[tuple[str, str, str]]) -> list[Repetition]:
    """Which files have the bytes of a loaded file of another batch: the nearest one before it, else one after it.

    Files without records and repair files don't count.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        files: batch (partition key), name and SHA-256.
    """
    # The nearest before: a price list that did not change is told to repeat yesterday's, not the first of its kind.
    found = connection.execute(
        f"""WITH asked AS ({DELIVERED}),
        loaded AS (
            SELECT batch, file, sha256 FROM {TABLE}
            WHERE feed = $feed AND status = 'loaded' AND repair IS NOT true AND records > 0)
        SELECT asked.batch, asked.file, loaded.batch, loaded.file
        FROM asked JOIN loaded ON loaded.sha256 = asked.sha256 AND loaded.batch <> asked.batch
        QUALIFY row_number() OVER (PARTITION BY asked.batch, asked.file ORDER BY loaded.batch > asked.batch,
            CASE WHEN loaded.batch < asked.batch THEN loaded.batch END DESC, loaded.batch, loaded.file) = 1
        ORDER BY ALL""",
        _delivered(feed, files),
    ).fetchall()
    return [Repetition(*row) for row in found]


def loaded_files(
    connection: "DuckDBPyConnection", feed: str, batches: Sequence[str] | None
) -> list[tuple[str, str, str]]:
    """Batch, name and SHA-256 of the loaded files of some batches (None: all); repairs and empty files left out.

    A file that is divided is one of each batch that has records of it.
    """
    return connection.execute(
        f"""WITH divided AS ({_divided_files(connection)})
        SELECT batch, file, sha256 FROM {TABLE} WHERE feed = $feed AND status = 'loaded' AND repair IS NOT true
            AND records > 0 AND ($all OR batch IN (SELECT unnest($keys)) OR (file, version) IN (FROM divided))
        ORDER BY ALL""",
        {"feed": feed, "all": batches is None, "keys": list(batches or ())},
    ).fetchall()


def _divided_files(connection: "DuckDBPyConnection") -> str:
    """Query of the names and versions of the divided files that have records in the batches `$keys`."""
    if not exists(connection, FILE_BATCHES):
        return f"SELECT file, version FROM {TABLE} LIMIT 0"
    return f"SELECT file, version FROM {FILE_BATCHES} WHERE feed = $feed AND batch IN (SELECT unnest($keys))"


def placed_entries(connection: "DuckDBPyConnection", feed: str) -> list[Entry]:
    """The entries of a feed's loaded files; of one that is divided, an entry for each batch with the counts of it."""
    query = f"SELECT {ENTRY} FROM {placed(connection)} WHERE feed = $feed AND status = 'loaded'"
    return sorted(entries_by(connection, query, {"feed": feed}), key=lambda entry: (entry.batch, entry.file))


def within_rate(connection: "DuckDBPyConnection", feed: str, limit: float) -> set[tuple[str, str]]:
    """File and version of the loaded files of which at most a share of the records is rejected."""
    rows = connection.execute(
        f"""SELECT file, version FROM {TABLE}
            WHERE feed = $1 AND {IS_IN_RAW} AND coalesce(rejected, 0) <= coalesce(records, 0) * $2::DOUBLE""",
        [feed, limit],
    ).fetchall()
    return set(rows)


def known_deliveries(
    connection: "DuckDBPyConnection", feed: str, batches: Sequence[str] | None, snapshot: bool
) -> dict[Identity, int]:
    """The number of the last delivery of each file, by batch and name, that has a current version.

    A file without one is left out: only a write from outside can take it away. Two kinds are listed all the same: most
    files of a snapshot feed, unless no file of the feed has one; and files whose name was superseded by that of another
    batch, where the deliveries of a name are numbered on.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        batches: partition keys of the batches whose files are asked for; None for all.
        snapshot: whether each file of the feed replaces all files before it.
    """
    # A load reads every archived file whose number is above the one here. So a file that lost its current version, and
    # is left out for it, is read again. One that is left out for no reason would be read by each load.
    rows = connection.execute(
        f"""WITH accepted AS NOT MATERIALIZED (FROM {TABLE} WHERE feed = $feed AND status <> 'quarantined'),
        current AS (FROM accepted WHERE status <> 'superseded'),
        named AS (SELECT file, max(delivery) AS last FROM accepted GROUP BY file)
        SELECT batch, file, max(delivery) FROM accepted JOIN named USING (file)
        WHERE $all OR batch IN (SELECT unnest($keys)) GROUP BY batch, file
        HAVING bool_or(status <> 'superseded') OR max(delivery) < max(last)
        OR ($snapshot AND EXISTS (FROM current))""",
        {"feed": feed, "all": batches is None, "keys": list(batches or ()), "snapshot": snapshot},
    ).fetchall()
    return {(batch, file): delivery for batch, file, delivery in rows}


def kept_entries(connection: "DuckDBPyConnection", feed: str) -> list[Entry]:
    """The entries of a feed whose files are in the archive, in order of batch, file and delivery."""
    query = f"SELECT {ENTRY} FROM {TABLE} WHERE feed = $feed AND status <> 'quarantined'"
    found = entries_by(connection, query, {"feed": feed})
    return sorted(found, key=lambda entry: (entry.batch, entry.file, entry.delivery))


def entries_by(connection: "DuckDBPyConnection", query: str, parameters: Mapping[str, object]) -> list[Entry]:
    """The entries that a query gives; it selects the columns `ENTRY`."""
    rows = connection.execute(query, parameters).fetchall()
    return [Entry(**dict(zip(FIELDS, row, strict=True)) | {"status": Status(row[STATUS])}) for row in rows]


def archived_as(connection: "DuckDBPyConnection", feed: str, file: str, sha256: str) -> str | None:
    """Where in the archive a version belongs that counts or counted; None if the ledger knows none."""
    # Not where a withdrawn file lies: it was taken aside, and its zip archive may bring it again. Several batches may
    # have it; the one that came last is the one that is on its way.
    row = connection.execute(
        f"""SELECT archived_as FROM {TABLE} WHERE feed = $1 AND file = $2 AND sha256 = $3 AND archived_as IS NOT NULL
            AND status <> 'withdrawn' ORDER BY seen_at DESC NULLS LAST, batch DESC LIMIT 1""",
        [feed, file, sha256],
    ).fetchone()
    return None if row is None else str(row[0])


def refused_files(connection: "DuckDBPyConnection", feed: str, run_id: str) -> list[tuple[str, str]]:
    """The files that a run refused, with the reason."""
    return connection.execute(
        f"SELECT file, reason FROM {TABLE} WHERE feed = $1 AND status = 'quarantined' AND run_id = $2 ORDER BY 1",
        [feed, run_id],
    ).fetchall()


def replaced_versions(connection: "DuckDBPyConnection", feed: str, files: Iterable[str]) -> list[Entry]:
    """The versions of some files that others have replaced, in order of delivery."""
    query = f"""SELECT {ENTRY} FROM {TABLE} WHERE feed = $feed AND status = 'superseded'
        AND file IN (SELECT unnest($files)) ORDER BY delivery"""
    return entries_by(connection, query, {"feed": feed, "files": list(files)})


def withdrawn_entries(connection: "DuckDBPyConnection", feed: str) -> list[Entry]:
    """The entries of the files that were taken back."""
    query = f"SELECT {ENTRY} FROM {TABLE} WHERE feed = $feed AND status = 'withdrawn'"
    return entries_by(connection, query, {"feed": feed})


def entries_of_versions(
    connection: "DuckDBPyConnection", feed: str, versions: Iterable[tuple[str, str, str]]
) -> list[Entry]:
    """The accepted entries of some versions of files, told by batch (partition key), name and SHA-256."""
    query = f"""WITH wanted AS ({DELIVERED})
        SELECT {ENTRY} FROM {TABLE} SEMI JOIN wanted USING (batch, file, sha256)
        WHERE feed = $feed AND status <> 'quarantined'"""
    return entries_by(connection, query, _delivered(feed, versions))
