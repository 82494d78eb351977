"""Measure what checks judge, in SQL over published batches: the contract's rules and metrics, the accounts of files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration_project.contracts.describe import rule_in_words
from orchestration_project.contracts.feed import MASK, Column, Comparison, Feed, MetricRule, QualityRule, SqlRule
from orchestration_project.errors import WarehouseError, without_values
from orchestration_project.formats.lines import ERROR_CODES
from orchestration_project.ingest.counts import RULE_OF_REASON, FileCount, count_records, nothing_of
from orchestration_project.ingest.keys import Key, keys_of
from orchestration_project.ingest.values import broken
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table, raw_table, rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.quoting import ident, idents, literal, literals
from orchestration_project.warehouse.tables import batch_filter

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SAMPLE_ROWS = 5
RECORD_REASONS = tuple(
    f"_raw_line: {code}"
    for code in sorted({*ERROR_CODES.values(), "repeated_header", "invalid_json", "nul_byte", "unreadable"})
)


@dataclass(frozen=True, slots=True)
class RuleCheck:
    """One rule of the contract as a check: its reasons in `rejected_x`, and how to see it broken in the cleaned table.

    `violations` is a SQL aggregate over `cleaned_x`; None when the table's types alone keep the rule. `exact` is one to
    ask if the first finds any, where that may find too many; it costs more. `columns` are the ones of `rejected_x` that
    show how a record broke it.
    """

    name: str
    description: str
    reasons: tuple[str, ...]
    violations: str | None
    columns: tuple[str, ...]
    exact: str | None = None


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """How often a rule was broken: by rejected records, and by published rows (only if somebody wrote to the table)."""

    published: int
    rejected: int


def rule_checks(feed: Feed) -> list[RuleCheck]:
    """The checks that a contract's rules give."""
    readable = "Every record can be split into the header's columns."
    checks = [RuleCheck("records_readable", readable, RECORD_REASONS, None, ("_raw_line",))]
    for column in feed.columns:
        if column.source is None or column.sql_type != "VARCHAR":
            words = f"is written as a {column.sql_type}" if column.source else f"fits {column.sql_type}"
            checks.append(_check(feed, column, "type", words, None))
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
    values = f"_batch_date, {idents(key.columns)}"
    by_hash, exact = (
        f"count(*) FILTER ({present}) - count(DISTINCT {value}) FILTER ({present})"
        for value in (f"hash({values})", f"({values})")
    )
    return RuleCheck(name, description, (key.reason,), by_hash, key.columns, exact)


def measure_rules(
    connection: "DuckDBPyConnection", feed: Feed, checks: Sequence[RuleCheck], batches: Sequence[Batch] | None
) -> dict[str, RuleFinding]:
    """Measure all rules with one scan of the cleaned and one of the rejected table."""
    condition = batch_filter(batches)
    cleaned = f"{ident(cleaned_table(feed))} WHERE {condition}"
    published = _counted(connection, cleaned, {check.name: check.violations for check in checks if check.violations})
    unsure = {check.name: check.exact for check in checks if check.exact and published[check.name]}
    published |= _counted(connection, cleaned, unsure)
    rejected = dict(
        connection.execute(
            f"""SELECT {RULE_OF_REASON}, count(*) FROM
                (SELECT unnest(_reasons) AS reason FROM {ident(rejected_table(feed))} WHERE {condition}) GROUP BY 1"""
        ).fetchall()
    )
    return {
        check.name: RuleFinding(published.get(check.name, 0), sum(rejected.get(reason, 0) for reason in check.reasons))
        for check in checks
    }


def _counted(connection: "DuckDBPyConnection", rows: str, aggregates: Mapping[str, str]) -> dict[str, int]:
    """The values of aggregates over some rows, by their names."""
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
    """A few records that were rejected for one of the reasons; of their values some columns', personal ones masked."""
    names = ["_file", "_row", *columns, "_reasons"]
    starts = " OR ".join(f"starts_with(reason, {literal(reason)})" for reason in reasons)
    rows = connection.execute(
        f"""SELECT {idents(names[:-1])}, array_to_string(_reasons, '; ')
            FROM {ident(rejected_table(feed))} WHERE {batch_filter(batches)}
            AND len(list_filter(_reasons, lambda reason: {starts})) > 0 ORDER BY _file, _row LIMIT {SAMPLE_ROWS}"""
    ).fetchall()
    return [masked(feed, dict(zip(names, row, strict=True))) for row in rows]


def masked(feed: Feed, row: Mapping[str, str | int | None]) -> dict[str, str | int | None]:
    """A row that may be shown: personal values are hidden, and so is raw text that may hold them."""
    hidden = feed.personal_columns | ({"_raw_line", "_rescued"} if feed.personal_columns else set())
    return {name: MASK if name in hidden and value is not None else value for name, value in row.items()}


@dataclass(frozen=True, slots=True)
class Measured:
    """A quality rule's number for one batch (None for a snapshot), and whether it is within the rule."""

    batch: Batch | None
    value: float | None
    passed: bool


def measure_quality(
    connection: "DuckDBPyConnection", feed: Feed, rule: QualityRule, batches: Sequence[Batch] | None
) -> list[Measured]:
    """Measure a quality rule of the contract, batch by batch."""
    values = (
        _sql_values(connection, feed, rule, batches)
        if isinstance(rule, SqlRule)
        else _metric_values(connection, feed, rule, batches)
    )
    return [Measured(batch, value, value is not None and holds(rule.comparison, value)) for batch, value in values]


def holds(comparison: Comparison, value: float) -> bool:
    """Whether a number is within what the contract asks for; the between operators include their limits."""
    limit = comparison.limits[0]
    match comparison.operator:
        case "mustBe":
            return value == limit
        case "mustNotBe":
            return value != limit
        case "mustBeGreaterThan":
            return value > limit
        case "mustBeGreaterOrEqualTo":
            return value >= limit
        case "mustBeLessThan":
            return value < limit
        case "mustBeLessOrEqualTo":
            return value <= limit
        case "mustBeBetween":
            return limit <= value <= comparison.limits[1]
        case "mustNotBeBetween":
            return not limit <= value <= comparison.limits[1]


def _metric_values(
    connection: "DuckDBPyConnection", feed: Feed, rule: MetricRule, batches: Sequence[Batch] | None
) -> list[tuple[Batch | None, float | None]]:
    table, metric = ident(cleaned_table(feed)), _metric(rule)
    value = f"100.0 * ({metric}) / count(*)" if rule.percent else metric
    if batches is None:
        row = connection.execute(f"SELECT ({value})::DOUBLE FROM {table}").fetchone()
        return [(None, row[0] if row else None)]
    rows = connection.execute(
        f"SELECT _batch_date, ({value})::DOUBLE FROM {table} WHERE {batch_filter(batches)} GROUP BY 1"
    ).fetchall()
    found: dict[Batch, float | None] = dict(rows)
    # A batch of which nothing was published has no group: it has 0 rows, and 0 of them are null, missing or doubled.
    return [(batch, found.get(batch, 0.0)) for batch in batches]


def _metric(rule: MetricRule) -> str:
    column = ident(rule.columns[0]) if rule.columns else ""
    match rule.metric:
        case "rowCount":
            return "count(*)"
        case "nullValues":
            return f"count(*) FILTER ({column} IS NULL)"
        case "missingValues":
            words = [word for word in rule.missing_values if word is not None]
            null = f"{column} IS NULL" if None in rule.missing_values or not rule.missing_values else "false"
            return f"count(*) FILTER ({null} OR {column}::VARCHAR IN ({literals(words or [''])}))"
        case "invalidValues":
            wrong = [f"{column}::VARCHAR NOT IN ({literals(rule.valid_values)})"] if rule.valid_values else []
            wrong += (
                [f"NOT regexp_matches({column}::VARCHAR, {literal(rule.pattern)})"] if rule.pattern is not None else []
            )
            return f"count(*) FILTER ({column} IS NOT NULL AND ({' OR '.join(wrong) or 'false'}))"
        case "duplicateValues":
            columns, present = idents(rule.columns), " AND ".join(f"{ident(name)} IS NOT NULL" for name in rule.columns)
            return f"count(*) FILTER ({present}) - count(DISTINCT ({columns})) FILTER ({present})"


def _sql_values(
    connection: "DuckDBPyConnection", feed: Feed, rule: SqlRule, batches: Sequence[Batch] | None
) -> Iterator[tuple[Batch | None, float | None]]:
    for batch in batches if batches is not None else [None]:
        condition = "true" if batch is None else batch_filter([batch])
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW _batch AS SELECT * FROM {ident(cleaned_table(feed))} WHERE {condition}"
        )
        yield batch, _number(connection, feed, rule)


def _number(connection: "DuckDBPyConnection", feed: Feed, rule: SqlRule) -> float | None:
    """The number that a query returns.

    Raises:
        WarehouseError: it returns something else or can't be run; what the rows hold is not told.
    """
    import duckdb

    rule_name = f"{feed.name}: the query of the quality rule {rule.name!r}"
    try:
        row = connection.execute(rule.query.replace("{table}", "_batch")).fetchone()
    except duckdb.Error as error:
        raise WarehouseError(f"{rule_name} can't be run: {without_values(error)}. Correct it in the contract") from None
    if row is None or row[0] is None:
        return None
    if not isinstance(row[0], int | float | Decimal):
        raise WarehouseError(
            f"{rule_name} returns a value of the type {type(row[0]).__name__}; it has to return one number"
        )
    return float(row[0])


@dataclass(frozen=True, slots=True)
class Balance:
    """A file's records, counted in its bytes (`records`, by the ledger) and in the tables."""

    records: int
    counted: FileCount

    @property
    def even(self) -> bool:
        """Whether every record is somewhere, once."""
        found = self.counted
        return self.records == found.records == found.cleaned + found.rejected + found.blank


def balances(
    connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None, keys: Sequence[str] | None
) -> list[Balance]:
    """Hold the ledger's count of each loaded file against the tables; who lacks a file counts 0 of it.

    Args:
        connection: to the warehouse.
        feed: the contract.
        batches: the batches to look at; None for all.
        keys: their partition keys, as the ledger has them.
    """
    condition = "true" if keys is None else f"batch IN ({literals(keys)})" if keys else "false"
    listed = connection.execute(
        f"SELECT file, version, records FROM {LEDGER} WHERE feed = $1 AND status = 'loaded' AND {condition}",
        [feed.name],
    ).fetchall()
    expected = {(file, version): records or 0 for file, version, records in listed}
    counted = {(count.file, count.version): count for count in count_records(connection, feed, batches)}
    return [
        Balance(expected.get(identity, 0), counted.get(identity) or nothing_of(*identity))
        for identity in sorted({*expected, *counted})
    ]


def unexpected_columns(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> dict[str, int]:
    """The columns that the contract does not know, and in how many records they have a value."""
    rows = connection.execute(
        f"""SELECT key, count(*) FROM (SELECT unnest(json_keys(_rescued)) AS key FROM {ident(raw_table(feed))}
            WHERE _rescued IS NOT NULL AND {batch_filter(batches)}) GROUP BY 1 ORDER BY 2 DESC, 1"""
    ).fetchall()
    return dict(rows)
