"""The report's queries: sales from the marts; files, quality over time and rejects from the ledger and `rejected_x`.

Each returns a few rows, however much was sold.
"""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from orchestration_project.components.charts import Quality, Unit, starts, unit_for
from orchestration_project.contracts.feed import Feed
from orchestration_project.defs.sales_report.model import (
    Accounts,
    FeedState,
    Figures,
    File,
    Ranking,
    Reason,
    Sales,
    Sold,
    Stretch,
)
from orchestration_project.ingest.counts import RULE_OF_REASON
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.expectations import Freshness, standing
from orchestration_project.inspection.rule_checks import sample_rejected
from orchestration_project.warehouse import ledger, ledger_batches
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import columns_of, exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILES_SHOWN = 1000
REASONS_SHOWN = 10
VALUE_LENGTH = 80
# Attempts are records of a repair file that failed to correct a reject: it is open already, and counts once.
OPEN = "rejected - repaired - waived - attempts"


def read_feed(connection: "DuckDBPyConnection", source: ConfiguredFeed, now: dt.datetime) -> FeedState:
    """How a feed stands.

    Args:
        connection: to a warehouse that has a ledger.
        source: the feed.
        now: the moment of the report.
    """
    feed, batching = source.feed, source.options.batching
    batches = ledger_batches.loaded_batches(connection, feed.name)
    newest = batches[-1] if batches else None
    delivered = map(batching.from_key, ledger_batches.delivered_batches(connection, feed.name))
    stands = standing(source, {*delivered}, ledger_batches.first_load(connection, feed.name), now)
    unit, quality = _quality(connection, feed)
    reasons, more = _reasons(connection, feed)
    return FeedState(
        name=feed.name,
        title=feed.title or feed.name,
        files=_files_by_status(connection, feed),
        accounts=_accounts(connection, feed),
        newest=newest,
        due=stands.due,
        overdue=stands.freshness is Freshness.LATE,
        unit=unit,
        quality=quality,
        reasons=reasons,
        more_reasons=more,
    )


def read_files(connection: "DuckDBPyConnection") -> tuple[list[File], int]:
    """The newest entries of the ledger, and how many there are."""
    rows = connection.execute(
        # No entry has to have a `seen_at`. Batch, file and version make the order one and the same, so that the same
        # ledger gives the same page, byte for byte.
        f"""SELECT feed, batch, file, version, status, bytes, records, cleaned, rejected, blank_records,
                CASE WHEN records IS NOT NULL THEN {ledger.ignored_of(connection)} END, reason, seen_at
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
    counts = (
        "records",
        "cleaned",
        "rejected",
        "blank_records",
        ledger.ignored_of(connection),
        OPEN,
        "repaired",
        "waived",
    )
    sums = ", ".join(f"coalesce(sum({count}), 0)::BIGINT" for count in counts)
    row = connection.execute(
        f"SELECT {sums} FROM {LEDGER} WHERE feed = $1 AND status = 'loaded'", [feed.name]
    ).fetchone()
    assert row
    return Accounts(*row)


def _quality(connection: "DuckDBPyConnection", feed: Feed) -> tuple[Unit, list[Quality]]:
    # From the ledger, which has a row for each file, not from the tables: the report must not cost more as years pass.
    loaded = f"FROM {LEDGER} WHERE feed = $feed AND status = 'loaded'"
    span = connection.execute(f"SELECT min(batch_date), max(batch_date) {loaded}", {"feed": feed.name}).fetchone()
    assert span
    first, last = span
    if first is None:
        return Unit.DAY, []
    unit = unit_for(first, last)
    rows = connection.execute(
        # A day or week without batches has no row here, and gets its place below: that something is missing has to be
        # seen.
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
        # A record that broke three rules counts under each of them, so shares may add up to more than all. Reasons name
        # the record that a key was kept for; the rule is what they begin with, or each duplicate would be a reason of
        # its own:
        #    ["quantity: minimum", "id: duplicate_key (kept: a.csv row 3)"]  ->  quantity: minimum, id: duplicate_key
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
    # The sample masks what the contract calls personal. Only the columns of the rule are shown, "a, b: duplicate_key"
    # has two.
    record = sample_rejected(connection, feed, [rule], columns, None)[0]
    values = ", ".join(f"{name} = {_cut(record[name])}" for name in columns)
    return str(record["_file"]), int(record["_row"] or 0), values


def _cut(value: str | int | None) -> str:
    text = "(empty)" if value is None else str(value)
    return text if len(text) <= VALUE_LENGTH else f"{text[:VALUE_LENGTH]}…"


DAILY, PRODUCTS = "product_daily_sales", "product_warehouse"
MARTS = {
    DAILY: {"_batch_date": "DATE", "product_id": "INTEGER", "units_sold": "BIGINT", "revenue": "DECIMAL(38,2)"},
    PRODUCTS: {
        "product_id": "INTEGER",
        "name": "VARCHAR",
        "category": "VARCHAR",
        "price_category": "VARCHAR",
        "orders": "BIGINT",
        "units_sold": "BIGINT",
        "revenue": "DECIMAL(38,2)",
        "in_catalog": "BOOLEAN",
    },
}
"""What the queries read of each mart."""
TOP_PRODUCTS = 15
TOP_GROUPS = 12
TOP_CHANGES = 8
RECENT_DAYS, EARLIER_DAYS = 7, 30
FIGURES = "coalesce(sum(units_sold), 0)::BIGINT, coalesce(sum(revenue), 0)"
SOLD = "orders > 0"
LINES = f"SELECT name, 1 AS products, units_sold, revenue, product_id::VARCHAR AS product_id, category FROM {PRODUCTS}"
# First and last day and recent figures of each product in one scan of the daily mart: the filters are beside the sums,
# because a WHERE would take away the days that tell whether a product is new.
SPANS = f"""
    SELECT product_id, min(_batch_date) AS first, max(_batch_date) AS last,
        coalesce(sum(units_sold) FILTER (_batch_date > $start), 0) AS units_sold,
        coalesce(sum(revenue) FILTER (_batch_date > $start), 0) AS revenue
    FROM {DAILY} GROUP BY product_id"""


def read_sales(connection: "DuckDBPyConnection") -> Sales | None:
    """What the marts say; None before the first sale.

    Args:
        connection: to a warehouse that has the marts, or something that stands in for them.
    """
    span = connection.execute(
        f"SELECT min(_batch_date), max(_batch_date), count(DISTINCT _batch_date) FROM {DAILY}"
    ).fetchone()
    assert span
    first, last, days = span
    if not days:
        return None
    # The report looks back from the newest batch, not from the clock. So a page of old sales is no page of zeros. The
    # conditions below have this date in their text; it comes from the table, and is a date.
    recent = last - dt.timedelta(days=RECENT_DAYS)
    unit = unit_for(first, last)
    return Sales(
        first=first,
        last=last,
        days=days,
        total=_figures(connection, "true"),
        recent=_figures(connection, f"_batch_date > '{recent}'"),
        unit=unit,
        stretches=_stretches(connection, unit, first, last),
        products=_ranking(connection, f"{LINES} WHERE {SOLD}", TOP_PRODUCTS),
        categories=_ranking(connection, _grouped("category"), TOP_GROUPS),
        price_categories=_ranking(connection, _grouped("price_category"), TOP_GROUPS),
        new=_changes(connection, recent, f"first > '{recent}'") if first <= recent else None,
        vanished=_vanished(connection, recent) if first <= recent else None,
        unknown=_ranking(connection, f"{LINES} WHERE {SOLD} AND NOT in_catalog", TOP_CHANGES),
        unsold=_unsold(connection),
    )


def _stretches(connection: "DuckDBPyConnection", unit: Unit, first: dt.date, last: dt.date) -> list[Stretch]:
    """What was sold in each stretch of time from the first day to the last one."""
    rows = connection.execute(
        f"""SELECT date_trunc($unit, _batch_date)::DATE, count(DISTINCT product_id), {FIGURES} FROM {DAILY}
            WHERE _batch_date BETWEEN $first AND $last GROUP BY 1""",
        {"unit": unit.value, "first": first, "last": last},
    ).fetchall()
    found = {start: Figures(*figures) for start, *figures in rows}
    return [Stretch(start, found.get(start)) for start in starts(unit, first, last)]


def _figures(connection: "DuckDBPyConnection", condition: str) -> Figures:
    row = connection.execute(f"SELECT count(DISTINCT product_id), {FIGURES} FROM {DAILY} WHERE {condition}").fetchone()
    assert row
    return Figures(*row)


def _grouped(column: str) -> str:
    return f"""SELECT {column} AS name, count(*) AS products, sum(units_sold) AS units_sold, sum(revenue) AS revenue,
        '' AS product_id, NULL AS category FROM {PRODUCTS} WHERE {SOLD} GROUP BY {column}"""


def _changes(connection: "DuckDBPyConnection", start: dt.date, condition: str) -> Ranking:
    """Products by what they earned after `start`, of those whose first and last batch days fulfil a condition."""
    query = f"""SELECT name, 1 AS products, spans.units_sold, spans.revenue, product_id::VARCHAR AS product_id, category
        FROM ({SPANS}) AS spans LEFT JOIN {PRODUCTS} USING (product_id) WHERE {condition}"""
    return _ranking(connection, query, TOP_CHANGES, start=start)


def _vanished(connection: "DuckDBPyConnection", recent: dt.date) -> Ranking:
    earlier = recent - dt.timedelta(days=EARLIER_DAYS)
    return _changes(connection, earlier, f"last <= '{recent}' AND last > '{earlier}'")


def _ranking(connection: "DuckDBPyConnection", query: str, limit: int, **parameters: Any) -> Ranking:
    """The lines of a query that earned most, and the sum of all. The sums come with each line, in one scan."""
    rows = connection.execute(
        # Windows are computed before LIMIT cuts, so each line has the number and the sums of all lines:
        #    a 30, b 20, c 10 LIMIT 2  ->  a 30 (3 lines, 60), b 20 (3 lines, 60)
        f"""SELECT name, products, units_sold::BIGINT, revenue, product_id, category,
                count(*) OVER (), sum(products) OVER (), sum(units_sold) OVER ()::BIGINT, sum(revenue) OVER ()
            FROM ({query}) AS lines ORDER BY revenue DESC, name, product_id LIMIT {limit}""",
        parameters,
    ).fetchall()
    shown = [
        Sold(name, Figures(products, units, revenue), product_id, category)
        for name, products, units, revenue, product_id, category, *_ in rows
    ]
    if not rows:
        return Ranking(shown, 0, Figures(0, 0, Decimal()))
    return Ranking(shown, rows[0][6], Figures(*rows[0][7:]))


def _unsold(connection: "DuckDBPyConnection") -> int:
    row = connection.execute(f"SELECT count(*) FROM {PRODUCTS} WHERE in_catalog AND NOT ({SOLD})").fetchone()
    return int(row[0]) if row else 0
