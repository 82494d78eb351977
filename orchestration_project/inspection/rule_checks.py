"""What the checks of a feed find in its tables: broken rules, samples, the balance of each file, unexpected columns.

Belongs here: the SQL of those checks, over published batches. The quality metrics and queries of a contract are in
`quality`. Whether a check passes is decided in `components.check_results`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import MASK, Column, Feed
from orchestration_project.contracts.rules import rule_in_words
from orchestration_project.formats.lines import ERROR_CODES
from orchestration_project.ingest.conditions import broken
from orchestration_project.ingest.counts import RULE_OF_REASON, FileCount, count_records, nothing_of
from orchestration_project.ingest.divide import RULE as BATCH
from orchestration_project.ingest.fill_down import FILL_DOWN
from orchestration_project.ingest.keys import Key, keys_of
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import IGNORED, cleaned_table, raw_table, rejected_table
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import BATCH_DATE
from orchestration_project.warehouse.tables import batch_filter, ident, idents, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 5
# What says that a record could not be split or read. All of them are one check: they are no rule of a contract.
RECORD_REASONS = tuple(
    f"_raw_line: {code}"
    for code in sorted({*ERROR_CODES.values(), "repeated_header", "invalid_json", "nul_byte", "unreadable"})
)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One rule of the contract as a check.

    Attributes:
        name: the check's name.
        description: the rule in words.
        reasons: how the reasons in `rejected_x` begin that this rule gives.
        violations: a SQL aggregate over `cleaned_x` that counts rows that break the rule; None if the types of the
            table exclude such rows.
        columns: the columns of `rejected_x` that show how a record broke the rule.
        exact: a slower aggregate for a rule whose `violations` may count too many; None if they are exact.
    """

    name: str
    description: str
    reasons: tuple[str, ...]
    violations: str | None
    columns: tuple[str, ...]
    exact: str | None = None


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """How many published rows and how many rejected records break a rule.

    Published rows do so only if somebody wrote to the table from outside.
    """

    published: int
    rejected: int


def rule_checks(feed: Feed) -> list[RuleCheck]:
    """The checks that a contract's rules give."""
    readable = "Every record can be split into the header's columns."
    checks = [RuleCheck("records_readable", readable, RECORD_REASONS, None, ("_raw_line",))]
    for column in feed.columns:
        # Any text is a VARCHAR, unless an expression computes it, which may fail.
        if column.source is None or column.sql_type != "VARCHAR":
            words = f"is written as a {column.sql_type}" if column.source else f"fits {column.sql_type}"
            checks.append(_check(feed, column, "type", words, None))
        if column.fill_down:
            words = "is told by the record itself or by one above it that could be read"
            checks.append(_check(feed, column, FILL_DOWN, words, None))
        if feed.division and feed.division.column == column.name:
            words = "tells a batch that is neither before start_date nor after the delivery of the file"
            checks.append(_check(feed, column, BATCH, words, None))
        for rule in column.rules:
            violations = f"count(*) FILTER ({broken(rule, column)})"
            checks.append(_check(feed, column, rule.rule, rule_in_words(rule), violations))
    return checks + [_key_check(feed, key) for key in keys_of(feed)]


def _check(feed: Feed, column: Column, rule: str, words: str, violations: str | None) -> RuleCheck:
    description = f"{column.name} {words} (contract: {rule})."
    reasons, shown = (f"{column.name}: {rule}",), feed.sources_of(column)
    return RuleCheck(f"{column.name}_{rule}", description, reasons, violations, shown)


def _key_check(feed: Feed, key: Key) -> RuleCheck:
    primary = key.columns == feed.primary_key
    name, rule = ("primary_key", "primaryKey") if primary else (f"{key.columns[0]}_unique", "unique")
    description = (
        f"{', '.join(key.columns)} occurs once, in a batch and as far back as the feed looks (contract: {rule})."
    )
    present = " AND ".join(f"{ident(column)} IS NOT NULL" for column in key.columns)
    # Distinct hashes cost far less than distinct values. Two values with one hash look like a duplicate, so whatever is
    # found is counted exactly.
    values = f"_batch_date, {idents(key.columns)}"
    by_hash, exact = (
        f"count(*) FILTER ({present}) - count(DISTINCT {value}) FILTER ({present})"
        for value in (f"hash({values})", f"({values})")
    )
    return RuleCheck(name, description, (key.reason,), by_hash, key.columns, exact)


def measure_rules(
    connection: "DuckDBPyConnection", feed: Feed, checks: Sequence[RuleCheck], batches: Sequence[Batch] | None
) -> dict[str, RuleFinding]:
    """How often each rule was broken, by name of its check: one scan of the cleaned and one of the rejected table.

    Args:
        connection: to the warehouse.
        feed: the contract.
        checks: the rules.
        batches: the batches to look at; None for all.
    """
    condition = batch_filter(batches)
    cleaned = f"{ident(cleaned_table(feed))} WHERE {condition}"
    published = _counted(connection, cleaned, {check.name: check.violations for check in checks if check.violations})
    unsure = {check.name: check.exact for check in checks if check.exact and published[check.name]}
    # Published rows break a rule only if somebody wrote to the table, so the slow count is hardly ever made.
    published |= _counted(connection, cleaned, unsure)
    rejected = dict(connection.execute(_reasons_query(feed, condition)).fetchall())
    return {
        check.name: RuleFinding(published.get(check.name, 0), sum(rejected.get(reason, 0) for reason in check.reasons))
        for check in checks
    }


def _reasons_query(feed: Feed, condition: str) -> str:
    """How many rejected records have each reason, without the reason's details."""
    return f"""WITH reasons AS (
            SELECT unnest(_reasons) AS _reason FROM {ident(rejected_table(feed))} WHERE {condition})
        SELECT {RULE_OF_REASON}, count(*) FROM reasons GROUP BY 1"""


def _counted(connection: "DuckDBPyConnection", rows: str, aggregates: Mapping[str, str]) -> dict[str, int]:
    """The values of SQL aggregates over some rows, by their names."""
    if not aggregates:
        return {}
    counts = connection.execute(f"SELECT {', '.join(aggregates.values())} FROM {rows}").fetchone() or ()
    return dict(zip(aggregates, counts, strict=True))


def sample_rejected(
    connection: "DuckDBPyConnection",
    feed: Feed,
    reasons: Sequence[str],
    columns: Sequence[str],
    batches: Sequence[Batch] | None,
) -> list[dict[str, str | int | None]]:
    """A few rejected records, in order of file and row. Personal values are masked.

    Args:
        connection: to the warehouse.
        feed: the contract.
        reasons: how the reasons begin that a record must have one of.
        columns: the columns to show, beside `_file`, `_row` and `_reasons`.
        batches: the batches to look at; None for all.
    """
    # By the beginning: a reason ends with details, such as which record has the key.
    names = ["_file", "_row", *columns, "_reasons"]
    starts = " OR ".join(f"starts_with(_reason, {literal(reason)})" for reason in reasons)
    rows = connection.execute(
        f"""SELECT {idents(names[:-1])}, array_to_string(_reasons, '; ')
            FROM {ident(rejected_table(feed))} WHERE {batch_filter(batches)}
            AND len(list_filter(_reasons, lambda _reason: {starts})) > 0 ORDER BY _file, _row LIMIT {SAMPLE_ROWS}"""
    ).fetchall()
    return [masked(feed, dict(zip(names, row, strict=True))) for row in rows]


def masked(feed: Feed, row: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    """A row with personal values masked, and with them raw text, which may hold such values."""
    hidden = hidden_columns(feed)
    return {name: MASK if name in hidden and value is not None else value for name, value in row.items()}


def hidden_columns(feed: Feed) -> frozenset[str]:
    """The columns of a feed's tables whose values are not shown."""
    # Where no column is personal the raw line shows best what is wrong with a record.
    return feed.personal_columns | ({"_raw_line", "_rescued"} if feed.personal_columns else frozenset())


@dataclass(frozen=True, slots=True)
class Balance:
    """A file's records: `records` is the ledger's count, made in the file's bytes; `counted` is made in the tables."""

    records: int
    counted: FileCount

    @property
    def even(self) -> bool:
        """Whether each record is in exactly one place: cleaned, rejected, blank or ignored."""
        return self.records == self.counted.records and self.counted.balanced


def balances(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None, keys: Sequence[str] | None
) -> list[Balance]:
    """The ledger's and the tables' count of each loaded file. A file that one of both lacks counts 0 there.

    Args:
        connection: to the warehouse.
        feed: the contract.
        batches: the batches to look at; None for all.
        keys: their partition keys, as the ledger has them.
    """
    # An empty list is no SQL, and no batches are no files.
    condition = "true" if keys is None else f"batch IN ({literals(keys)})" if keys else "false"
    listed = connection.execute(
        f"""SELECT {BATCH_DATE}, file, version, records FROM {placed(connection)}
            WHERE feed = $1 AND status = 'loaded' AND {condition}""",
        [feed.name],
    ).fetchall()
    # As text: the ledger gives moments, the tables of a daily feed days, and to Python a day is never its midnight.
    expected = {(str(begin), file, version): records or 0 for begin, file, version, records in listed}
    counted = {
        (_begin(count.batch), count.file, count.version): count for count in count_records(connection, feed, batches)
    }
    return [
        Balance(expected.get(identity, 0), counted.get(identity) or nothing_of(*identity[1:]))
        for identity in sorted({*expected, *counted})
    ]


def _begin(batch: Batch | None) -> str:
    moment = batch if isinstance(batch, dt.datetime) or batch is None else dt.datetime.combine(batch, dt.time())
    return str(moment)


def sample_ignored(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None
) -> dict[str, tuple[int, list[dict[str, str | int | None]]]]:
    """How many records each rule ignores, and the first few of them, by the rule's name. Personal values are masked.

    Args:
        connection: to the warehouse.
        feed: the contract; it has rules for ignored records.
        batches: the batches to look at; None for all.
    """
    names = ["_file", "_row", *(column.name for column in feed.source_columns), "_raw_line"]
    rows = connection.execute(
        f"""WITH numbered AS (
            SELECT {IGNORED}, {idents(names)}, count(*) OVER (PARTITION BY {IGNORED}) AS _times,
                row_number() OVER (PARTITION BY {IGNORED} ORDER BY _file, _row) AS _nth
            FROM {ident(raw_table(feed))} WHERE {IGNORED} IS NOT NULL AND {batch_filter(batches)})
        SELECT {IGNORED}, _times, {idents(names)} FROM numbered WHERE _nth <= {SAMPLE_ROWS} ORDER BY {IGNORED}, _nth"""
    ).fetchall()
    found: dict[str, tuple[int, list[dict[str, str | int | None]]]] = {rule.name: (0, []) for rule in feed.ignored}
    for rule, times, *values in rows:
        sample = found.get(rule, (0, []))[1]
        sample.append(masked(feed, dict(zip(names, values, strict=True))))
        found[rule] = (times, sample)
    return found


def unexpected_columns(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> dict[str, int]:
    """The columns that the contract does not know, and how many records have them; the most frequent first."""
    rows = connection.execute(
        f"""WITH unexpected AS (
            SELECT unnest(json_keys(_rescued)) AS key FROM {ident(raw_table(feed))}
            WHERE _rescued IS NOT NULL AND {batch_filter(batches)})
        SELECT key, count(*) FROM unexpected GROUP BY 1 ORDER BY 2 DESC, 1"""
    ).fetchall()
    return dict(rows)
