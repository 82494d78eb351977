"""The stage that reads: every record of the files that come in, as text, into the staging relation.

Reading is done outside of the transaction: DuckDB reads what a transaction has not committed yet with one thread.
"""

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration_project.errors import FileRefused
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.prepare import Prepared
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.ingest.candidates import Candidates, lost_file
from orchestration_project.ingest.discover import prepare_counted
from orchestration_project.ingest.divide import divide
from orchestration_project.ingest.ignored import mark_ignored, shown_in
from orchestration_project.ingest.model import Apart, Staged
from orchestration_project.ingest.plan import make_plan
from orchestration_project.ingest.relations import KEPT, LEFT_OUT, REMOVED, STAGED_APART
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import ensure_bytes
from orchestration_project.storage.cold import local_path
from orchestration_project.storage.files import find_archived
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import BATCH_DATE, IS_IN_RAW, Entry
from orchestration_project.warehouse.tables import batch_filter, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def read(session: Session, candidates: Candidates, before: Staged | None = None) -> Staged:
    """Decide which files come in and which go out, and read the records of those that come in.

    Args:
        session: outside of a transaction.
        candidates: with how the latest of each name is read.
        before: what was read in vain, since some of its files proved unfit. Nothing is read again unless other files
            take their places.

    Raises:
        FilesUnfit: names the files that can't be loaded.
        WarehouseError: a file of the archive can't be read any more.
    """
    plan = make_plan(
        candidates.fresh, candidates.current, session.feed, session.options, session.request, session.archive
    ).with_decided(candidates.decided)
    _note_removed(session, plan.removals)
    loads = {(str(session.batching.from_key(entry.batch)), entry.file, entry.version) for entry in plan.loads}
    # After one unfit file all files of a load were once read a second time.
    if before and loads <= {_identity(file) for file in before.files}:
        narrowed = _narrowed(session, Staged(candidates, plan, 0, files=before.files, apart=before.apart), loads)
        return replace(narrowed, relation=divide(session.connection, session.feed, narrowed.relation, before.files))
    ready = _ready_files(session, candidates, plan.loads)
    records = sum(file.prepared.records or 0 for file in ready)
    if ready:
        size = sum(entry.bytes for entry in plan.loads)
        session.tell(f"reading {len(ready)} file(s), {size:,} bytes")
    with session.timed("read") as done:
        apart = _read_apart(session, ready)
        if apart is None:
            stage(session.connection, session.feed, session.batching.sql_type, ready)
            mark_ignored(session.connection, session.feed, ready)
        relation = divide(session.connection, session.feed, _shown(session, apart), ready)
        done(records)
    reached(Point.STAGED)
    return Staged(candidates, plan, records, relation, files=ready, apart=apart)


def _read_apart(session: Session, ready: Sequence[ReadyFile]) -> Apart | None:
    """Read and validate in shards; None where that is not wanted, or of no use."""
    if not session.settings.shards:
        return None
    # Imported by those alone who ask for shards.
    from orchestration_project.ingest.sharding import read_apart, shards_of

    shards = shards_of(session, ready)
    return read_apart(session, ready, shards) if shards else None


def _shown(session: Session, apart: Apart | None) -> str:
    """The relation of all that was read, each record in the batch of its delivery."""
    return STAGED_APART if apart else shown_in(session.feed)


def _identity(file: ReadyFile) -> tuple[str, str, str]:
    return file.batch, file.name, file.version


def _narrowed(session: Session, staged: Staged, loads: Set[tuple[str, str, str]]) -> Staged:
    """What was read, without the files that do not come in after all."""
    connection, left_out = session.connection, [*({*map(_identity, staged.files)} - loads)]
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {LEFT_OUT}
            (_batch_date {session.batching.sql_type}, _file VARCHAR, _file_version VARCHAR)"""
    )
    connection.execute(
        f"INSERT INTO {LEFT_OUT} SELECT unnest($batches), unnest($files), unnest($versions)",
        {name: [row[index] for row in left_out] for index, name in enumerate(("batches", "files", "versions"))},
    )
    # A view over what was read, since the files that are left out are few and a copy of the others is not.
    kept = f"FROM {_shown(session, staged.apart)} ANTI JOIN {LEFT_OUT} USING (_batch_date, _file, _file_version)"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {KEPT} AS {kept}")
    records = sum(file.prepared.records or 0 for file in staged.files if _identity(file) in loads)
    session.tell(f"{len(left_out)} file(s) are left out; the others need not be read again")
    return replace(staged, records=records, relation=KEPT, apart=_apart_from(session, staged.apart))


def _apart_from(session: Session, apart: Apart | None) -> Apart | None:
    """What shards have made, without the files that are left out."""
    if apart is None:
        return None
    from orchestration_project.ingest.sharding import without_left_out

    return without_left_out(session, KEPT, LEFT_OUT)


def _ready_files(session: Session, candidates: Candidates, loads: Sequence[Entry]) -> list[ReadyFile]:
    """The files to read. One that was a duplicate until now is no candidate: its bytes are in the archive."""
    prepared = {candidate.key: candidate.prepared for candidate in candidates.latest}
    ready = []
    for entry in loads:
        batch = str(session.batching.from_key(entry.batch))
        # A correction of the file that held its bytes can make a duplicate count long after it came.
        how = prepared.get((batch, entry.file)) or _from_archive(session, entry)
        ready.append(ReadyFile(how, batch, entry.version, session.work))
    return ready


def _from_archive(session: Session, entry: Entry) -> Prepared:
    path = session.archive / str(entry.archived_as)
    try:
        ensure_bytes(path, entry.sha256)
        if file := find_archived(path):
            path = local_path(file, session.settings.cold_archive_url, session.work)
        limit = session.settings.max_file_bytes
        return prepare_counted(session.connection, session.feed, path, entry.file, session.work, limit)
    except (FileRefused, OSError) as error:
        raise lost_file(entry.file, error) from error


def _note_removed(session: Session, removals: Sequence[Entry]) -> None:
    """Fill `_removed` with the files of some entries, and those in the batches asked for that no load has brought."""
    connection, batching = session.connection, session.batching
    make_removed(connection, batching.sql_type)
    connection.execute(
        f"INSERT INTO {REMOVED} SELECT unnest($batches), unnest($files), unnest($versions)",
        {
            "batches": [str(batching.from_key(entry.batch)) for entry in removals],
            "files": [entry.file for entry in removals],
            "versions": [entry.version for entry in removals],
        },
    )
    if session.feed.division:
        # Not from `file_batches`: rows that somebody moved to another batch have to go, too.
        connection.execute(
            f"""INSERT INTO {REMOVED} SELECT DISTINCT _batch_date, _file, _file_version
                FROM {ident(raw_table(session.feed))} SEMI JOIN {REMOVED} USING (_file, _file_version)
                ANTI JOIN {REMOVED} USING (_batch_date, _file, _file_version)"""
        )
    # Rows that no loaded file has brought once stayed: after the ledger had lost entries, no count balanced and each
    # load failed.
    if session.request.read:
        connection.execute(
            f"INSERT INTO {REMOVED} {_unknown_files(session)}",
            {"feed": session.feed.name},
        )


def has_unknown_files(session: Session) -> bool:
    """Whether the raw table has rows of files that the ledger does not have as loaded."""
    # The table as a whole is to be a source, whatever batches are asked for.
    everything = replace(session, request=replace(session.request, batches=None))
    query = f"FROM ({_unknown_files(everything)}) LIMIT 1"
    return session.connection.execute(query, {"feed": session.feed.name}).fetchone() is not None


def make_removed(connection: "DuckDBPyConnection", batch_type: str) -> None:
    """Make an empty `_removed`."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {REMOVED} (_batch_date {batch_type}, _file VARCHAR, _file_version VARCHAR)"
    )


def _unknown_files(session: Session) -> str:
    """Query of the files in the raw table that the ledger does not have as loaded: somebody else wrote their rows."""
    return f"""
        WITH present AS (
            SELECT DISTINCT _batch_date, _file, _file_version
            FROM {ident(raw_table(session.feed))} WHERE {batch_filter(session.request.batches)}),
        loaded AS (FROM {placed(session.connection)} WHERE feed = $feed AND {IS_IN_RAW})
        FROM present ANTI JOIN loaded
        ON file = _file AND version = _file_version AND _batch_date = {BATCH_DATE}"""
