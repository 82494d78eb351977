"""Where a record of a file is now: the versions of the file, and what became of the record in each that counts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import PlatformError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.lookup.mart_rows import FollowedMart, fed_rows
from orchestration_project.inspection.lookup.model import FileVersion, Located, Record, RecordState
from orchestration_project.inspection.lookup.records import READ, Identity, record_of
from orchestration_project.inspection.lookup.versions import (
    LANDING,
    Asked,
    Sources,
    described,
    known_versions,
    loaded_twin,
    outside_ledger,
)
from orchestration_project.inspection.reading import warehouse_to_read
from orchestration_project.inspection.verify_tables import ledger_lacks
from orchestration_project.settings import Settings
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.feed_tables import layouts, tables_of
from orchestration_project.warehouse.ledger import IN_RAW, Entry, Status
from orchestration_project.warehouse.tables import ident, literal, stand_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VERSIONS_SHOWN = 10
"""More are counted only: a name without a date may have come every day for years."""
ORDER = [Status.LOADED, Status.KEPT, Status.DUPLICATE, Status.WITHDRAWN, Status.SUPERSEDED, Status.QUARANTINED]


def where(settings: Settings, sources: Sources, marts: Sequence[FollowedMart], asked: Asked, row: int) -> Located:
    """Where a record is.

    Args:
        settings: where warehouse and files are.
        sources: the feeds by name.
        marts: the marts that records are followed into.
        asked: which file.
        row: the record's number in it, as `_row` has it.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        PlatformError: the warehouse can't be read, or is one of an older release.
    """
    needed = READ | {ledger.TABLE: ledger.COLUMNS | ledger.VALIDATED_AS}
    with reading(warehouse_to_read(settings), f"look-up in {asked.name}", needed, shared=False) as connection:
        ensure_readable(connection)
        known, notes = known_versions(connection, asked)
        entries = _in_order(known)
        files = [_told(connection, settings, sources, marts, entry, row) for entry in entries[:VERSIONS_SHOWN]]
    waiting = list(outside_ledger(settings, sources, asked, known))
    is_landed = asked.folder is not None and asked.folder.parts[0] == LANDING
    ordered = [*waiting, *files] if is_landed else [*files, *waiting]
    return Located(row, ordered, len(known) - len(files), notes)


def ensure_readable(connection: "DuckDBPyConnection") -> None:
    """Make sure that the ledger has the columns of today.

    Raises:
        PlatformError: it lacks some.
    """
    for lacking in ledger_lacks(connection):
        raise PlatformError(f"{ledger.TABLE} {lacking.what}; the next load adds them")


def _in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Those whose records count come first, then the newest batches and deliveries."""
    newest = sorted(entries, key=lambda entry: (entry.batch, entry.delivery, entry.feed), reverse=True)
    return sorted(newest, key=lambda entry: ORDER.index(entry.status))


def _told(
    connection: "DuckDBPyConnection",
    settings: Settings,
    sources: Sources,
    marts: Sequence[FollowedMart],
    entry: Entry,
    row: int,
) -> FileVersion:
    file, source = described(connection, settings, sources, entry), sources.get(entry.feed)
    loaded: Entry | None = entry
    if source and entry.status is Status.DUPLICATE:
        loaded = loaded_twin(connection, source, entry)
    if source is None or loaded is None or loaded.status not in IN_RAW:
        return file
    batching = source.options.batching
    if not batching.is_key(loaded.batch):
        return file
    stand_in(connection, layouts(source.feed, batching.sql_type))
    identity = Identity(batching.from_key(loaded.batch), loaded.file, loaded.version, row)
    if source.feed.division:
        identity = _in_own_batch(connection, source.feed, identity)
    record = record_of(connection, source, identity)
    if record.state.is_found:
        fed = dict.fromkeys(tables_of(source.feed), identity.condition)
        return replace(file, record=replace(record, marts=fed_rows(connection, marts, fed)))
    return _without_record(connection, source, file, identity, record, loaded.records or 0)


def _in_own_batch(connection: "DuckDBPyConnection", feed: Feed, identity: Identity) -> Identity:
    """The record of a divided file, in the batch that it is in; that of the delivery if there is no such record."""
    found = connection.execute(
        f"""SELECT _batch_date FROM {ident(tables_of(feed)[0])}
            WHERE {_of_whole(identity)} AND _row = {identity.row:d} LIMIT 1"""
    ).fetchone()
    return replace(identity, batch=found[0]) if found else identity


def _of_whole(identity: Identity) -> str:
    """A condition on the rows of all records of a file, in whatever batch they are."""
    return f"_file = {literal(identity.file)} AND _file_version = {literal(identity.version)}"


def _without_record(
    connection: "DuckDBPyConnection",
    source: ConfiguredFeed,
    file: FileVersion,
    identity: Identity,
    record: Record,
    records: int,
) -> FileVersion:
    """A loaded file that has no such record, or of which the tables do not agree."""
    consecutive = source.feed.source.consecutive
    if record.state is RecordState.CONTRADICTORY or (consecutive and identity.row <= records):
        contradictory = replace(record, state=RecordState.CONTRADICTORY)
        todo = f"`orchestration-project verify {source.name}` tells what disagrees, and what to do"
        return replace(file, what=f"{file.what}; its tables contradict each other", todo=todo, record=contradictory)
    if not records:
        numbers = "it has no records"
    elif consecutive:
        numbers = f"its records have the numbers 1 to {records}"
    else:
        first, last = _rows_of_sheet(connection, source, identity)
        numbers = f"its records are in the rows {first} to {last} of the sheet, below the header"
    return replace(file, what=f"{file.what}; there is no record {identity.row}: {numbers}", record=record)


def _rows_of_sheet(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity
) -> tuple[object, object]:
    """The numbers of the first and the last record of a workbook."""
    whole = _of_whole(identity) if source.feed.division else identity.of_file
    found = connection.execute(
        f"SELECT min(_row), max(_row) FROM {ident(tables_of(source.feed)[0])} WHERE {whole}"
    ).fetchone()
    return found or (None, None)
