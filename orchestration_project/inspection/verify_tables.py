"""Compare a feed's tables with its ledger: every record of every loaded file is in them, at its place, once.

The comparison with the files is in `verify_files`; the order of all comparisons is in `verify`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.given import naming_of
from orchestration_project.ingest.counts import FileCount, count_records, nothing_of
from orchestration_project.ingest.fingerprints import reading_of
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.ingest.values import is_data
from orchestration_project.inspection.findings import Finding, load_again, rebuild_from_archive
from orchestration_project.inspection.verify_history import history_findings
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import layouts, raw_table, tables_of
from orchestration_project.warehouse.file_batches import TABLE as FILE_BATCHES
from orchestration_project.warehouse.ledger import COLUMNS, Entry, Status
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.ledger_batches import ignored_records
from orchestration_project.warehouse.settle import left_out, settle
from orchestration_project.warehouse.tables import batch_filter, columns_of, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS_AT_ONCE = 2_000_000  # about the number that one statement compares: more would need more memory

Origin = tuple[str, str, Batch | None]
"""File, version and batch: what the rows of one delivery have in common."""


def ledger_lacks(connection: "DuckDBPyConnection") -> Iterator[Finding]:
    """The columns that the ledger should have and does not."""
    # `validated_as` is not asked for: a ledger of release 0.1 is right without it.
    present = columns_of(connection, LEDGER)
    if lacking := [name for name in COLUMNS if present and name not in present]:
        what, found = f"lacks the column(s) {', '.join(lacking)}", ", ".join(present)
        yield Finding("", "", LEDGER, what, ", ".join(COLUMNS), found, rebuild_from_archive())


def ledger_findings(source: ConfiguredFeed, entries: Sequence[Entry]) -> Iterator[Finding]:
    """Where the ledger's entries of a feed contradict each other, which only a write from outside can cause.

    Each version of a file has one entry. The last delivery of each file is current, and `settle` derives the status of
    the current ones. Withdrawn ones don't count. What an earlier release has left out by its rule is no contradiction:
    `status` tells of it.
    """
    snapshot, identity = source.options.snapshot, source.options.identity
    versions = Counter(entry.identity for entry in entries)
    counting = [entry for entry in entries if entry.status is not Status.WITHDRAWN]
    ordered = sorted(counting, key=lambda entry: entry.delivery)
    last = {identity(entry.batch, entry.file): entry for entry in ordered}
    settled = settle([*last.values()], snapshot, source.options.history, naming_of(source.feed))
    right = {entry.identity: entry.status for entry in settled}
    excepted = _former_snapshots([*last.values()]) if snapshot else _left_out([*last.values()])
    current = {identity(entry.batch, entry.file) for entry in entries if entry.status is not Status.SUPERSEDED}
    # A load reads again what has no current version. In a snapshot feed most files have none (see `known_deliveries`).
    known = current if not snapshot or not current else set(last)
    rebuilt = rebuild_from_archive(source.name)
    for entry in entries:
        times, status = versions[entry.identity], right.get(entry.identity, Status.SUPERSEDED)
        again = identity(entry.batch, entry.file) not in known
        remedy = load_again(source, [entry.batch]) if again else rebuilt
        if entry.identity in excepted:
            continue
        if times > 1:
            what = f"has {times} entries in the ledger for the version {entry.version}"
            yield Finding(entry.feed, entry.batch, entry.file, what, "1 entry", f"{times} entries", rebuilt)
        elif entry.status not in (status, Status.WITHDRAWN):
            what = f"is {entry.status} in the ledger"
            yield Finding(entry.feed, entry.batch, entry.file, what, str(status), str(entry.status), remedy)


def _left_out(last: Sequence[Entry]) -> set[tuple[str, str, str]]:
    return {entry.identity for entry in left_out(last)}


def _former_snapshots(last: Sequence[Entry]) -> set[tuple[str, str, str]]:
    """The versions of a snapshot feed that stand as an earlier release has settled them, if it has.

    For it, the first of the files with the newest bytes was loaded, and the others were its duplicates.
    """
    files = [entry for entry in last if not entry.repair]
    newest = max(files, key=lambda entry: entry.rank, default=None)
    loaded = [entry for entry in files if entry.status is Status.LOADED]
    if newest is None or [entry.sha256 for entry in loaded] != [newest.sha256] or newest.status is not Status.DUPLICATE:
        return set()
    return {
        entry.identity
        for entry in last
        if entry.sha256 == newest.sha256 or (entry.repair and entry.batch == loaded[0].batch)
    }


def table_findings(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, entries: Sequence[Entry], keys: Sequence[str] | None
) -> Iterator[Finding]:
    """What is in the feed's tables but not in the ledger, and the other way round.

    Args:
        connection: to the warehouse.
        source: the feed.
        entries: the ledger's entries of the batches.
        keys: partition keys of the batches; None for all.
    """
    feed, batching = source.feed, source.options.batching
    loaded = [entry for entry in entries if entry.status is Status.LOADED]
    # To count the rows of a table that is not there would be an error, and its absence says all.
    if absent := list(_absent(connection, source, loaded)):
        yield from absent if loaded else ()
        return
    everything = keys is None or source.options.snapshot
    batches = None if everything else [batching.from_key(key) for key in keys or ()]
    if source.options.history:
        # The published tables have the newest day alone; those before it are proven by the history.
        batches = sorted({batching.from_key(entry.batch) for entry in loaded})
        yield from history_findings(connection, source, entries)
    counts = count_records(connection, feed, batches)
    odd = _odd_records(connection, source, counts)
    # What is left in it after the tables' files are taken out are loaded files without any row.
    listed = {(entry.file, entry.version, entry.batch): entry for entry in loaded}
    ignored = ignored_records(connection, feed.name)
    for count in counts:
        key = source.key_of(count.batch)
        entry = listed.pop((count.file, count.version, key), None)
        unread = ignored.get((count.file, count.version, key), 0)
        strange = odd.get((count.file, count.version, count.batch), "")
        if finding := _difference(source, key, entry, unread, count, strange):
            yield finding
    for entry in listed.values():
        count = nothing_of(entry.file, entry.version)
        if finding := _difference(
            source, entry.batch, entry, ignored.get((entry.file, entry.version, entry.batch), 0), count, ""
        ):
            yield finding


def sum_findings(source: ConfiguredFeed, entries: Sequence[Entry], parts: Sequence[Entry] | None) -> Iterator[Finding]:
    """The divided files whose batches do not add up to them.

    Args:
        source: the feed.
        entries: the ledger's entries.
        parts: an entry for each batch of each file; None where not all batches are looked at.
    """
    if source.feed.division is None or parts is None:
        return
    sums: Counter[tuple[str, str]] = Counter()
    for part in parts:
        sums[part.file, part.version] += part.records or 0
    for entry in entries:
        found = sums[entry.file, entry.version]
        if entry.status is Status.LOADED and found != (entry.records or 0):
            what, remedy = f"does not have all its records in {FILE_BATCHES}", load_again(source, [entry.batch])
            yield Finding(entry.feed, entry.batch, entry.file, what, f"{entry.records} records", str(found), remedy)


def _absent(connection: "DuckDBPyConnection", source: ConfiguredFeed, loaded: Sequence[Entry]) -> Iterator[Finding]:
    """The tables and columns that the feed should have and the warehouse does not."""
    feed = source.feed
    again = load_again(source, (entry.batch for entry in loaded))
    # A load fills a column that is new in the contract from the files. One that somebody dropped it would leave empty.
    readable = any(entry.read_as != reading_of(feed) for entry in loaded)
    for table, layout in layouts(feed, source.options.batching.sql_type).items():
        present = columns_of(connection, table)
        if not present:
            expected = f"the rows of {len(loaded)} file(s)"
            yield Finding(feed.name, "", table, "is not in the warehouse", expected, "no such table", again)
        elif lacking := [name for name in layout if name not in present]:
            remedy = again if readable or table != raw_table(feed) else rebuild_from_archive(feed.name)
            what, found = f"lacks the column(s) {', '.join(lacking)}", ", ".join(present)
            yield Finding(feed.name, "", table, what, ", ".join(layout), found, remedy)


def _difference(
    source: ConfiguredFeed, key: str, entry: Entry | None, ignored: int, count: FileCount, odd: str
) -> Finding | None:
    """The finding for the rows of one file and batch, if there is one. `ignored` is the ledger's count of these."""
    found = _counts_in_words(count.records, count.cleaned, count.rejected, count.blank, count.ignored)
    remedy = load_again(source, [key]) if key else rebuild_from_archive(source.name)
    if entry is None:
        what = f"has rows in {_named(source)} but is not loaded, says the ledger"
        return Finding(source.feed.name, key, count.file, what, "no rows", found, remedy)
    in_ledger = (entry.records, entry.cleaned, entry.rejected, entry.blank_records, ignored)
    in_tables = (count.records, count.cleaned, count.rejected, count.blank, count.ignored)
    if in_ledger == in_tables and count.balanced and not odd:
        return None
    what = odd or f"is not in {_named(source)} with all its records, each once"
    return Finding(source.feed.name, key, entry.file, what, _counts_in_words(*in_ledger), found, remedy)


def _named(source: ConfiguredFeed) -> str:
    return ", ".join(tables_of(source.feed))


def _counts_in_words(records: int | None, *parts: int | None) -> str:
    named = zip(parts, ("cleaned", "rejected", "blank", "ignored"), strict=True)
    return f"{records} records: " + ", ".join(f"{count} {name}" for count, name in named)


def _odd_records(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, counts: Sequence[FileCount]
) -> Mapping[Origin, str]:
    """The files with records that are not in the tables as they should be, with what is wrong in words."""
    found: dict[Origin, str] = {}
    for batches in _portions(counts):
        odd = connection.execute(odd_records_sql(source.feed, batches)).fetchall()
        found |= {
            (file, version, batch): _odd_in_words(source.feed.name, *numbers) for file, version, batch, *numbers in odd
        }
    return found


def odd_records_sql(feed: Feed, batches: Sequence[Batch]) -> str:
    """A query for the files of some batches with records that are not in the tables as they should be.

    Every record has one raw row, and one row in the cleaned and rejected tables together, or none if it is no data:
    blank or ignored. `copies` counts a record's raw rows; `surplus` is its published rows less one for each raw row
    that is data.

        row  raw  cleaned  rejected     copies  surplus
        1    1    1        0            1       0        right
        2    1    0        0            1       -1       not published
        3    1    1        1            1       1        published twice
        4    0    0        1            0       1        no raw row

    The query's columns are `_file`, `_file_version`, `_batch_date` and four numbers of records: those with several raw
    rows, those without a raw row, those published too often, and those that were not published.
    """
    raw, cleaned, rejected = map(ident, tables_of(feed))
    # One GROUP BY over the rows of all tables finds what is missing and what is there twice on either side; joins of
    # the tables would need one for each of these cases. Records that are right are dropped before files are counted.
    identity, chosen = "_batch_date, _file, _file_version, _row", batch_filter(batches)
    return f"""
        WITH occurrences AS (
            SELECT {identity}, 1 AS copies, 0 AS surplus FROM {raw} WHERE {chosen}
            UNION ALL
            SELECT {identity}, 0 AS copies, -1 AS surplus FROM {raw} WHERE {chosen} AND ({is_data(feed)})
            UNION ALL
            SELECT {identity}, 0 AS copies, 1 AS surplus FROM {cleaned} WHERE {chosen}
            UNION ALL
            SELECT {identity}, 0 AS copies, 1 AS surplus FROM {rejected} WHERE {chosen}),
        odd_records AS (
            SELECT {identity}, sum(copies) AS copies, sum(surplus) AS surplus FROM occurrences
            GROUP BY ALL HAVING sum(copies) <> 1 OR sum(surplus) <> 0)
        SELECT
            _file, _file_version, _batch_date,
            count(*) FILTER (copies > 1),
            count(*) FILTER (copies = 0),
            count(*) FILTER (copies = 1 AND surplus > 0),
            count(*) FILTER (copies = 1 AND surplus < 0)
        FROM odd_records GROUP BY ALL"""


def _odd_in_words(name: str, several: int, lost: int, doubled: int, missing: int) -> str:
    kinds = {
        f"record numbers that several rows of raw_{name} have": several,
        f"records of cleaned_{name} or rejected_{name} that raw_{name} does not have": lost,
        "records that are published more than once, or though they are blank or ignored": doubled,
        "records that are neither cleaned nor rejected nor blank nor ignored": missing,
    }
    return "has " + ", ".join(f"{count} {what}" for what, count in kinds.items() if count)


def _portions(counts: Sequence[FileCount]) -> Iterator[list[Batch]]:
    """The batches in portions of about as many rows as are compared at once."""
    # By whole batches, which the tables are filtered by; so a batch larger than a portion is one of its own.
    sizes: dict[Batch, int] = defaultdict(int)
    for count in counts:
        if count.batch is not None:
            sizes[count.batch] += count.records + count.cleaned + count.rejected
    portion: list[Batch] = []
    rows = 0
    for batch, size in sorted(sizes.items()):
        if portion and rows + size > ROWS_AT_ONCE:
            yield portion
            portion, rows = [], 0
        portion.append(batch)
        rows += size
    if portion:
        yield portion
