"""What the report says of feeds: files, accounts, quality over time and rejects, from the ledger and `rejected_x`."""

import datetime as dt
from typing import TYPE_CHECKING

from orchestration_project.components.time_series import Quality, Unit, starts, unit_for
from orchestration_project.contracts.feed import Feed
from orchestration_project.defs.sales_report.model import Accounts, FeedState, File, Reason
from orchestration_project.ingest.counts import RULE_OF_REASON
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.rule_checks import sample_rejected
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import columns_of, exists

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILES_SHOWN = 1000
REASONS_SHOWN = 10
VALUE_LENGTH = 80
OPEN = "rejected - repaired - waived - attempts"


def read_feed(connection: "DuckDBPyConnection", source: ConfiguredFeed, now: dt.datetime) -> FeedState:
    """How a feed stands.

    Args:
        connection: to a warehouse that has a ledger.
        source: the feed.
        now: the moment of the report.
    """
    feed, batching = source.feed, source.options.batching
    batches = ledger_queries.loaded_batches(connection, feed.name)
    newest = batches[-1] if batches else None
    due = batching.next_due(batching.from_key(newest), feed.latency) if newest and feed.latency else None
    unit, quality = _quality(connection, feed)
    reasons, more = _reasons(connection, feed)
    return FeedState(
        name=feed.name,
        title=feed.title or feed.name,
        files=_files_by_status(connection, feed),
        accounts=_accounts(connection, feed),
        newest=newest,
        due=due,
        overdue=due is not None and now > due,
        unit=unit,
        quality=quality,
        reasons=reasons,
        more_reasons=more,
    )


def read_files(connection: "DuckDBPyConnection") -> tuple[list[File], int]:
    """The newest entries of the ledger, and how many there are."""
    rows = connection.execute(
        f"""SELECT feed, batch, file, version, status, bytes, records, cleaned, rejected, blank_records, reason, seen_at
            FROM {LEDGER} ORDER BY seen_at DESC NULLS LAST, feed, batch DESC, file, version LIMIT {FILES_SHOWN}"""
    ).fetchall()
    count = connection.execute(f"SELECT count(*) FROM {LEDGER}").fetchone()
    return [File(*row) for row in rows], count[0] if count else 0


def _files_by_status(connection: "DuckDBPyConnection", feed: Feed) -> dict[str, int]:
    rows = connection.execute(
        f"SELECT status, count(*) FROM {LEDGER} WHERE feed = $1 GROUP BY 1", [feed.name]
    ).fetchall()
    return {status.value: 0 for status in ledger.Status if status is not ledger.Status.RECEIVED} | dict(rows)


def _accounts(connection: "DuckDBPyConnection", feed: Feed) -> Accounts:
    counts = ("records", "cleaned", "rejected", "blank_records", OPEN, "repaired", "waived")
    sums = ", ".join(f"coalesce(sum({count}), 0)::BIGINT" for count in counts)
    row = connection.execute(
        f"SELECT {sums} FROM {LEDGER} WHERE feed = $1 AND status = 'loaded'", [feed.name]
    ).fetchone()
    assert row
    return Accounts(*row)


def _quality(connection: "DuckDBPyConnection", feed: Feed) -> tuple[Unit, list[Quality]]:
    loaded = f"FROM {LEDGER} WHERE feed = $feed AND status = 'loaded'"
    span = connection.execute(f"SELECT min(batch_date), max(batch_date) {loaded}", {"feed": feed.name}).fetchone()
    assert span
    first, last = span
    if first is None:
        return Unit.DAY, []
    unit = unit_for(first, last)
    rows = connection.execute(
        f"""SELECT date_trunc($unit, batch_date)::DATE, coalesce(sum(cleaned), 0)::BIGINT,
            coalesce(sum(rejected), 0)::BIGINT {loaded} GROUP BY 1""",
        {"feed": feed.name, "unit": unit.value},
    ).fetchall()
    found = {start: counts for start, *counts in rows}
    return unit, [Quality(start, *found.get(start, (None, None))) for start in starts(unit, first, last)]


def _reasons(connection: "DuckDBPyConnection", feed: Feed) -> tuple[list[Reason], int]:
    """The most frequent reasons, each with an example, and how many others there are."""
    table = rejected_table(feed)
    if not exists(connection, table):
        return [], 0
    counted = connection.execute(
        f"""SELECT {RULE_OF_REASON} AS rule, count(*) AS records FROM (SELECT unnest(_reasons) AS _reason
            FROM {ident(table)}) GROUP BY 1 ORDER BY 2 DESC, 1"""
    ).fetchall()
    (rejected,) = connection.execute(f"SELECT count(*) FROM {ident(table)}").fetchone() or (0,)
    # A table that was last written under an older contract may lack a column, which only its next load adds.
    current = {column.name for column in feed.source_columns} <= columns_of(connection, table).keys()
    found = [
        Reason(rule, records, records / rejected, *(_example(connection, feed, rule) if current else ("", 0, "")))
        for rule, records in counted[:REASONS_SHOWN]
    ]
    return found, max(0, len(counted) - REASONS_SHOWN)


def _example(connection: "DuckDBPyConnection", feed: Feed, rule: str) -> tuple[str, int, str]:
    """One of the records that broke a rule: its file, its number, and the values that the rule is about."""
    known = {column.name for column in feed.source_columns} | {"_raw_line"}
    columns = [name for name in rule.partition(":")[0].split(", ") if name in known]
    record = sample_rejected(connection, feed, [rule], columns, None)[0]
    values = ", ".join(f"{name} = {_cut(record[name])}" for name in columns)
    return str(record["_file"]), int(record["_row"] or 0), values


def _cut(value: str | int | None) -> str:
    text = "(empty)" if value is None else str(value)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"
