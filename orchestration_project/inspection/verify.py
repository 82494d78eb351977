"""Prove again that files, ledger and tables agree, and name what does not. Nothing is changed.

Under the warehouse's lock the ledger and the tables are read and the folders listed. The bytes in the archive are
hashed afterwards, so that loads do not wait for that.

Belongs here: the order of a verification, and what rebuilds a lost warehouse. A mart brings its own proof.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.errors import WarehouseBroken
from orchestration_project.ingest.batching import rebatching
from orchestration_project.ingest.from_archive import archived_batches
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import (
    OTHERWISE,
    PAGE,
    Finding,
    Proof,
    Verification,
    load_again,
    materialize,
    rebuild_of,
)
from orchestration_project.inspection.half_done import unknown_feeds
from orchestration_project.inspection.validated import validated_by_another
from orchestration_project.inspection.verify_files import Archive, quarantine_findings, take_stock
from orchestration_project.inspection.verify_tables import ledger_findings, ledger_lacks, sum_findings, table_findings
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.feed_rows import feeds_of_warehouse
from orchestration_project.warehouse.feed_tables import cleaned_table
from orchestration_project.warehouse.tables import exists, qualified

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REBATCHED = "was loaded under another batching"
LOST = "has to be rebuilt from the archive"


def verify(
    warehouse: Warehouse,
    settings: Settings,
    sources: Sequence[ConfiguredFeed],
    keys: Sequence[str] | None = None,
    proofs: Sequence[Proof] = (),
    watched: Collection[str] | None = None,
) -> Verification:
    """Compare what lies in the folders with the ledger and the tables.

    Args:
        warehouse: where the tables are.
        settings: where the files are.
        sources: the feeds to verify.
        keys: partition keys of the batches to verify; None for all, and then the marts and all other tables are read
            too.
        proofs: of the marts.
        watched: the names of all feeds, so that those without a definition are found; None: these are not looked for.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: there was no room for what DuckDB keeps on disk while it compares.
    """
    # Each step asks only what the one before has left to be asked: of a ledger that lacks columns, or a feed of another
    # batching, everything would disagree, and one finding says it better than thousands.
    found = Verification()
    if not warehouse.exists():
        lost = list(_rebuild(settings, sources, proofs))
        lost += _unknown(settings, {}, watched)
        found.findings = [_missing(warehouse), *lost] if lost else []
        return found
    try:
        with warehouse.connection("verification", read_only=True) as connection:
            ledger.stand_in(connection)
            found.findings += ledger_lacks(connection)
            readable = [] if found.findings else sources
            found.findings += _unknown(settings, feeds_of_warehouse(connection), watched)
            found.findings += (item for source in readable for item in _rebatched(connection, settings, source))
            rebatched = {item.feed for item in found.findings if item.what == REBATCHED}
            readable = [source for source in readable if source.name not in rebatched]
            archives = [_compare(connection, settings, source, keys, found) for source in readable]
            if keys is None:
                found.findings += _prove_marts(connection, proofs)
                _read_everything(connection, warehouse)
    # Nothing that was found in a broken file counts.
    except WarehouseBroken as error:
        found.findings = [_broken(warehouse, error), *_rebuild(settings, sources, proofs)]
        return found
    for archive in archives:
        found.findings += archive.findings(found)
    return found


def _unknown(settings: Settings, accepted: Mapping[str, int], watched: Collection[str] | None) -> Iterator[Finding]:
    for item in unknown_feeds(settings, accepted, watched) if watched is not None else ():
        expected, files = "a definition of the feed", item.told
        yield Finding(item.feed, "", "", "has files and no definition", expected, files, item.remedy)


def _rebatched(connection: "DuckDBPyConnection", settings: Settings, source: ConfiguredFeed) -> Iterator[Finding]:
    """A feed that was loaded under another batching: nothing else can be told of it before it is rebuilt."""
    if fault := rebatching(connection, source.name, source.options, settings.archive(source.name)):
        yield Finding(source.name, "", "", REBATCHED, "the one of defs.yaml", fault, rebuild_of(source.name))


def _compare(
    connection: "DuckDBPyConnection",
    settings: Settings,
    source: ConfiguredFeed,
    keys: Sequence[str] | None,
    found: Verification,
) -> Archive:
    """Compare a feed's tables with its ledger; returns its archive, listed and still to be hashed."""
    entries: list[ledger.Entry] = []
    last: dict[ledger_queries.Identity, int] = {}
    if exists(connection, ledger.TABLE):
        entries = ledger_queries.kept_entries(connection, source.feed.name)
        last = ledger_queries.known_deliveries(connection, source.feed.name, None, source.options.snapshot)
    odd = ledger_findings(source, entries)
    found.findings += [item for item in odd if keys is None or item.batch in keys]
    # Afterwards: which version of a file is the last is told by the entries of all batches.
    if keys is not None:
        entries = [entry for entry in entries if entry.batch in keys]
    rows = entries
    if source.feed.division and exists(connection, ledger.TABLE):
        rows = ledger_queries.placed_entries(connection, source.feed.name)
        rows = [entry for entry in rows if keys is None or entry.batch in keys]
    found.records += sum(entry.records or 0 for entry in rows if entry.status is ledger.Status.LOADED)
    found.notes += _otherwise(connection, source, keys)
    found.findings += table_findings(connection, source, rows, keys)
    found.findings += sum_findings(source, entries, rows if keys is None else None)
    found.findings += quarantine_findings(settings, source)
    return take_stock(settings, source, entries, last, keys)


def _otherwise(connection: "DuckDBPyConnection", source: ConfiguredFeed, keys: Sequence[str] | None) -> Iterator[str]:
    """A note of the batches that were validated by another contract, if there are any."""
    batches = validated_by_another(connection, source)
    if batches := [key for key in batches if keys is None or key in keys]:
        yield f"{source.feed.name}: {OTHERWISE.format(len(batches))}: {load_again(source, batches)}"


def _missing(warehouse: Warehouse) -> Finding:
    remedy = f"move it back to where it was, or rebuild every feed ({PAGE})"
    return Finding("", "", warehouse.name, "the warehouse is missing", warehouse.where, warehouse.lost, remedy)


def _broken(warehouse: Warehouse, error: WarehouseBroken) -> Finding:
    remedy = f"move {warehouse.to_move}, then rebuild every feed ({PAGE})"
    return Finding("", "", warehouse.name, "the warehouse can't be read", warehouse.readable, str(error), remedy)


def _rebuild(settings: Settings, sources: Sequence[ConfiguredFeed], proofs: Sequence[Proof]) -> Iterator[Finding]:
    """What rebuilds each feed that has archived files, and then the marts."""
    batches: dict[str, list[str]] = {}
    for source in sources:
        root = settings.archive(source.feed.name)
        files = {key: len(archived(root, key)) for key, _ in archived_batches(root, source.options.batching)}
        if number := sum(files.values()):
            batches[cleaned_table(source.feed)] = sorted(files)
            expected, remedy = f"the rows of {number} archived file(s)", rebuild_of(source.name)
            yield Finding(source.feed.name, "", "", LOST, expected, "none", remedy)
    yield from _rebuild_marts(batches, proofs)


def _rebuild_marts(batches: Mapping[str, Sequence[str]], proofs: Sequence[Proof]) -> Iterator[Finding]:
    """A command for the marts of each feed's batches; the one that comes last makes those without batches, too."""
    # A command takes one range of partitions, and each feed has its own.
    parts = {table: [proof.table for proof in proofs if proof.batches_of == table] for table in batches}
    parts = {table: marts for table, marts in parts.items() if marts}
    whole = [proof.table for proof in proofs if proof.batches_of is None] if batches else []
    for number, (table, marts) in enumerate(parts.items(), 1):
        made = marts + whole if number == len(parts) else marts
        yield _lost_mart(made, f"what is made from {table}", batches[table])
    if whole and not parts:
        yield _lost_mart(whole, "what is made from the feeds", [])


def _lost_mart(tables: Sequence[str], expected: str, keys: Sequence[str]) -> Finding:
    return Finding("", "", tables[-1], LOST, expected, "none", materialize(tables, keys))


def _prove_marts(connection: "DuckDBPyConnection", proofs: Sequence[Proof]) -> Iterator[Finding]:
    # Before the first load of an input there is nothing to prove, and a query on a missing table would end all of it.
    for proof in proofs:
        if all(exists(connection, table) for table in (proof.table, *proof.needs)):
            yield from proof.find(connection)


def _read_everything(connection: "DuckDBPyConnection", warehouse: Warehouse) -> None:
    """Read every column of every table, so that a damaged block shows, whatever else needs it.

    Raises:
        WarehouseBroken: names the table.
    """
    # DuckDB checks the checksum of a block when it reads it, and count(*) reads none. A hash of whole rows reads every
    # block, and bit_xor keeps nothing.
    tables = connection.execute(
        """SELECT schema_name, table_name FROM duckdb_tables()
            WHERE database_name = current_database() AND NOT internal AND NOT temporary ORDER BY ALL"""
    ).fetchall()
    for schema, table in tables:
        with warehouse.clear_faults(f"reading {table}"):
            name = qualified(connection, table, schema)
            connection.execute(f"SELECT bit_xor(hash(_whole)) FROM {name} AS _whole").fetchall()
