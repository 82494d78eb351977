"""The stage that publishes: valid records go to `cleaned_x`, the others to `rejected_x` with every reason, at once.

New records join `raw_x` in the same transaction, and every file's records are accounted for before the commit.
"""

from collections.abc import Sequence

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.counts import (
    FileCount,
    count_reasons,
    count_records,
    nothing_of,
    of_files,
    reject_id,
)
from orchestration_project.ingest.fill_down import filled_columns, rejected_text, text_name
from orchestration_project.ingest.fingerprints import version_of
from orchestration_project.ingest.history import count_kept, newest_day, remember
from orchestration_project.ingest.keys import ages_select
from orchestration_project.ingest.model import Plan, Published, Staged, Unique
from orchestration_project.ingest.repairs import resolve
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.validate import validation_of
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import ledger, ledger_batches
from orchestration_project.warehouse.feed_tables import (
    PLATFORM_COLUMNS,
    cleaned_table,
    history_table,
    raw_table,
    rejected_table,
)
from orchestration_project.warehouse.file_batches import write_part_counts
from orchestration_project.warehouse.history_days import size_of
from orchestration_project.warehouse.published import note_published
from orchestration_project.warehouse.tables import batch_filter, ident, idents, replace_batches
from orchestration_project.warehouse.waivers import has_waivers

# What the chart in a run's metadata shows, whichever batches the run was about.
NEWEST_DAYS = 60


def publish(session: Session, unique: Unique) -> Published:
    """Replace the published rows of the batches, add the new records to `raw_x`, and account for every file.

    Args:
        session: inside the transaction.
        unique: what is published; nothing is, where only `raw_x` was asked for.

    Raises:
        WarehouseError: the records of a file do not balance.
    """
    connection, feed, staged = session.connection, session.feed, unique.validated.staged
    if session.request.publish:
        # Before the staged records join the raw table: until then the view `_records` has each of them once, not
        # twice.
        with session.timed("published") as done:
            done(_replace_published(session, unique))
        # Marts find by this what they have to make again, without a look at the rows.
        whole = None if session.options.snapshot else unique.batches
        note_published(connection, cleaned_table(feed), whole, validation_of(feed))
        if session.options.history:
            remember(session, unique)
        reached(Point.PUBLISHED)
    insert_staged(session, staged)
    reached(Point.INSERTED)
    # Most feeds have neither repairs nor waivers, and this would read all of their rejects.
    if session.request.publish and _has_closed(session):
        resolve(connection, feed, unique.batches)
    # Counted in the tables, not summed up from what the steps before reported: so that it is a second opinion.
    counts, kept = _counted(session, unique)
    _balance(session, staged.plan, [*counts, *kept])
    reached(Point.COUNTED)
    return Published(
        entries=staged.plan.entries,
        batches=None if session.options.snapshot else unique.batches,
        counts=counts,
        reasons=count_reasons(connection, feed, unique.batches),
        newest=ledger_batches.newest_days(connection, feed.name, NEWEST_DAYS),
        history=size_of(connection, feed.name, history_table(feed)) if session.options.history else None,
    )


def _replace_published(session: Session, unique: Unique) -> int:
    """Replace the published rows of the batches; returns how many there are now.

    `_reject_id` and `_rejected_at` (when the file was last modified, UTC) depend on the file alone: a re-run or a
    rebuild gives the same.
    """
    connection, feed, batches, shown = session.connection, session.feed, unique.batches, "true"
    if session.options.history:
        # Of the days that were validated, these tables have the newest: they are replaced as a whole.
        batches, shown = None, batch_filter(newest_day(session))
    cleaned = _replace_cleaned(session, unique, batches, shown)
    rejected = replace_batches(connection, rejected_table(feed), batches, _rejected_select(feed, unique, shown))
    return cleaned + rejected


def _replace_cleaned(session: Session, unique: Unique, batches: Sequence[Batch] | None, shown: str) -> int:
    """Replace the valid rows of the batches; returns how many there are now."""
    connection, feed, validated = session.connection, session.feed, unique.validated
    apart = validated.staged.apart
    if apart and apart.cleaned:
        # Imported by those alone whose shards wrote files of a lake.
        from orchestration_project.ingest.shard_files import add_cleaned, can_add_cleaned

        if can_add_cleaned(session, apart):
            here = _cleaned_select(feed, unique, shown, validated.changeable)
            inserted = replace_batches(connection, cleaned_table(feed), batches, here)
            return inserted + add_cleaned(session, apart, unique)
    select = _cleaned_select(feed, unique, shown, validated.relation)
    return replace_batches(connection, cleaned_table(feed), batches, select)


def _counted(session: Session, unique: Unique) -> tuple[list[FileCount], list[FileCount]]:
    """The counts of the files in the published tables, and those of the earlier snapshots of a history."""
    connection, feed, batches = session.connection, session.feed, unique.batches
    if not session.options.history:
        return count_records(connection, feed, batches), []
    newest = newest_day(session)
    earlier = [batch for batch in batches or () if batch not in newest] if session.request.publish else []
    return count_records(connection, feed, newest), count_kept(connection, feed, unique, earlier)


def _cleaned_select(feed: Feed, unique: Unique, shown: str, validated: str) -> str:
    columns = idents([*(column.name for column in feed.columns), *PLATFORM_COLUMNS, "_rescued"])
    return f"""SELECT {columns} FROM {validated} ANTI JOIN {unique.relation} USING (_rid)
        WHERE _reasons IS NULL AND {shown}"""


def _rejected_select(feed: Feed, unique: Unique, shown: str) -> str:
    """Query of the rejected records: their text, with the reasons of those that break a rule or are duplicates.

    Of the many records only the text is read. Where the few rejected ones come from is known of them.
    """
    texts, origin = idents([column.name for column in feed.source_columns]), idents(PLATFORM_COLUMNS)
    listed = ", ".join(f"{rejected_text(feed, column)} AS {ident(column.name)}" for column in feed.source_columns)
    return f"""
        WITH rejected AS (
            SELECT _rid, {origin}, _reasons FROM {unique.validated.relation} WHERE _reasons IS NOT NULL AND {shown}
            UNION ALL SELECT _rid, {origin}, list(reason ORDER BY reason)
            FROM {unique.relation} WHERE {shown} GROUP BY _rid, {origin}),
        texts AS (SELECT _rid, {listed}, _rescued, _raw_line FROM {_with_filled(feed, unique)}),
        ages AS ({ages_select(feed)})
        SELECT {texts}, {origin}, _rescued, _raw_line, _reasons,
            {reject_id(feed)} AS _reject_id, _modified_at AS _rejected_at
        FROM texts JOIN rejected USING (_rid)
        LEFT JOIN ages USING (_batch_date, _file, _file_version)"""


def _with_filled(feed: Feed, unique: Unique) -> str:
    """The records, with the texts that were filled down."""
    validated = unique.validated
    names = [text_name(feed, column) for column in filled_columns(feed)]
    if not names:
        return validated.records
    return f"{validated.records} LEFT JOIN (SELECT _rid, {idents(names)} FROM {validated.relation}) USING (_rid)"


def insert_staged(session: Session, staged: Staged) -> None:
    """Add the staged records to the raw table; the view `_records` holds until then."""
    if staged.apart and staged.apart.raw:
        from orchestration_project.ingest.shard_files import add_raw

        if add_raw(session, staged.apart):
            return
    table = ident(raw_table(session.feed))
    session.connection.execute(f"INSERT INTO {table} BY NAME SELECT * EXCLUDE (_rid) FROM {staged.relation}")


def _has_closed(session: Session) -> bool:
    """Whether rejects of the feed have ever been repaired or waived."""
    connection, feed = session.connection, session.feed.name
    return bool(ledger_batches.repaired_batches(connection, feed)) or has_waivers(connection, feed)


def _balance(session: Session, plan: Plan, counts: Sequence[FileCount]) -> None:
    """Write each file's counts to the ledger; a file whose records do not balance stops the load.

    Raises:
        WarehouseError: names the file and its counts.
    """
    feed = session.feed
    key_of = session.batching.key
    found = {(key_of(count.batch), count.file, count.version): count for count in counts if count.batch}
    whole = of_files(counts) if feed.division else {}
    for entry in plan.loads:
        # A file of which no table has a row must be missed here, not left out. The batches of a divided file are all
        # published when it comes in, so they are its sum.
        count = whole.get((entry.file, entry.version)) or found.setdefault(
            (entry.batch, entry.file, entry.version), nothing_of(entry.file, entry.version)
        )
        # The ledger has what the file's own reader counted; the tables have what DuckDB read.
        if entry.records not in (None, count.records):
            raise WarehouseError(
                f"{feed.name}: {entry.file!r} has {entry.records} records, but {count.records} were read"
            )
    # A new file without records is done once it is read: no table will ever tell of it.
    settled = {key: count for key, count in found.items() if session.request.publish or count.batch is None}
    for count in settled.values():
        if not count.balanced:
            raise WarehouseError(
                f"{feed.name}: {count.file!r} does not balance: {count.records} records were read,"
                f" {count.cleaned} are cleaned, {count.rejected} rejected, {count.blank} blank, {count.ignored} ignored"
            )
    rows = {key: count.written for key, count in settled.items()}
    version = version_of(feed, session.options)
    if feed.division:
        parts = {key: rows.pop(key) for key, count in settled.items() if count.batch}
        write_part_counts(session.connection, feed.name, parts, version)
    ledger.write_counts(session.connection, feed.name, rows, version)
