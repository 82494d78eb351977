"""Compare a feed's history with its ledger, its raw table and its newest snapshot, as `verify` tells it.

What is compared is in `history`; that of the published tables is in `verify_tables`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Finding, load_again, rebuild_from_archive
from orchestration_project.inspection.history import disagreements, unfounded_versions
from orchestration_project.warehouse.feed_tables import history_layout, history_table, raw_table
from orchestration_project.warehouse.history_days import TABLE as DAYS
from orchestration_project.warehouse.ledger import BATCH_DATE, IS_IN_RAW, Entry
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import columns_of, exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def history_findings(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, entries: Sequence[Entry]
) -> Iterator[Finding]:
    """What a feed's history does not have as its snapshots have it.

    A warehouse of a release that had none is no finding: the next load makes it of the archive.

    Args:
        connection: to the warehouse.
        source: the feed.
        entries: the ledger's entries.
    """
    feed, table = source.feed, history_table(source.feed)
    present = columns_of(connection, table)
    if not present or not exists(connection, DAYS):
        return
    again, rebuilt = load_again(source, ()), rebuild_from_archive(source.name)
    if lacking := [name for name in history_layout(feed) if name not in present]:
        what, found = f"lacks the column(s) {', '.join(lacking)}", ", ".join(present)
        yield Finding(feed.name, "", table, what, ", ".join(history_layout(feed)), found, again)
        return
    for item in disagreements(connection, feed):
        yield Finding(feed.name, "", table, item.what, item.expected, item.found, rebuilt)
    if number := unfounded_versions(connection, feed):
        what = f"has versions of records that {raw_table(feed)} does not have"
        yield Finding(feed.name, "", table, what, "0 versions", str(number), rebuilt)
    yield from _raw_findings(connection, source, entries, again)


def _raw_findings(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, entries: Sequence[Entry], again: str
) -> Iterator[Finding]:
    """The earlier snapshots that the raw table does not have with as many records as the ledger, and unknown ones."""
    raw = ident(raw_table(source.feed))
    newest = max((entry.batch for entry in entries if not entry.repair), default="")
    rows = connection.execute(
        f"""
        WITH counted AS (
            SELECT _batch_date, _file, _file_version, count(*) AS rows FROM {raw} GROUP BY ALL),
        listed AS (
            SELECT batch, file, version, {BATCH_DATE}::DATE AS day, records FROM {LEDGER}
            WHERE feed = $1 AND {IS_IN_RAW})
        SELECT coalesce(batch, _batch_date::VARCHAR) AS found, coalesce(file, _file), records, rows
        FROM listed FULL JOIN counted ON day = _batch_date AND file = _file AND version = _file_version
        WHERE coalesce(records, 0) <> coalesce(rows, 0) AND found < $2 ORDER BY ALL""",
        [source.name, newest],
    ).fetchall()
    for batch, file, records, found in rows:
        what = f"is not in {raw_table(source.feed)} with all its records"
        yield Finding(source.name, batch, file, what, f"{records or 0} records", f"{found or 0} records", again)
