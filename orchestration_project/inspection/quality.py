"""Measure the quality rules of a contract, batch by batch: the standard's library metrics, and queries.

The other checks of a feed are in `rule_checks`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Comparison, Feed, MetricRule, QualityRule, SqlRule
from orchestration_project.errors import WarehouseError, without_values
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table
from orchestration_project.warehouse.tables import batch_filter, ident, idents, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Measured:
    """A quality rule's number for one batch (None for a snapshot), and whether it is within the rule."""

    batch: Batch | None
    value: float | None
    passed: bool


def measure_quality(
    connection: "DuckDBPyConnection", feed: Feed, rule: QualityRule, batches: Sequence[Batch] | None
) -> list[Measured]:
    """Measure a quality rule of the contract, batch by batch.

    Args:
        connection: to the warehouse.
        feed: the contract.
        rule: one of its quality rules.
        batches: the batches to look at; None for a snapshot, whose table is measured as a whole.
    """
    values = (
        _sql_values(connection, feed, rule, batches)
        if isinstance(rule, SqlRule)
        else _metric_values(connection, feed, rule, batches)
    )
    return [Measured(batch, value, value is not None and holds(rule.comparison, value)) for batch, value in values]


def counts_rows(rule: QualityRule) -> bool:
    """Whether a rule is about the number of rows of a batch."""
    return isinstance(rule, MetricRule) and rule.metric == "rowCount"


def measure_absent(rule: QualityRule, batches: Sequence[Batch]) -> list[Measured]:
    """Measure a rule about the row count for batches that should have come and did not: they have 0 rows."""
    return [Measured(batch, 0.0, holds(rule.comparison, 0.0)) for batch in batches]


def holds(comparison: Comparison, value: float) -> bool:
    """Whether a number is what the contract asks for. The limits of the between operators are inside."""
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
    """The metric's value for each batch, with one scan."""
    # As DOUBLE: a comparison is with a number of the contract, and counts are exact in it up to 2^53.
    table, metric = ident(cleaned_table(feed)), _metric(rule)
    value = f"100.0 * ({metric}) / count(*)" if rule.percent else metric
    if batches is None:
        row = connection.execute(f"SELECT ({value})::DOUBLE FROM {table}").fetchone()
        return [(None, row[0] if row else None)]
    rows = connection.execute(
        f"SELECT _batch_date, ({value})::DOUBLE FROM {table} WHERE {batch_filter(batches)} GROUP BY 1"
    ).fetchall()
    found: dict[Batch, float | None] = dict(rows)
    # A batch without published rows has no group. It has 0 rows, so 0 of them are null, missing or duplicates.
    return [(batch, found.get(batch, 0.0)) for batch in batches]


def _metric(rule: MetricRule) -> str:
    """A SQL aggregate that counts the rows that a library metric of the standard means."""
    column = ident(rule.columns[0]) if rule.columns else ""
    match rule.metric:
        case "rowCount":
            return "count(*)"
        case "nullValues":
            return f"count(*) FILTER ({column} IS NULL)"
        case "missingValues":
            # None stands for NULL in the standard's list. An IN of nothing is no SQL.
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
            # NULL is no duplicate of NULL, and a key with a NULL in it is none.
            columns, present = idents(rule.columns), " AND ".join(f"{ident(name)} IS NOT NULL" for name in rule.columns)
            return f"count(*) FILTER ({present}) - count(DISTINCT ({columns})) FILTER ({present})"


def _sql_values(
    connection: "DuckDBPyConnection", feed: Feed, rule: SqlRule, batches: Sequence[Batch] | None
) -> Iterator[tuple[Batch | None, float | None]]:
    """The value of the contract's query for each batch. A view gives the query the rows of one batch only."""
    # A view, since the contract's SQL may name one table only. It is made anew for each batch, so that no batch's
    # number depends on the rows of others.
    for batch in batches if batches is not None else [None]:
        condition = "true" if batch is None else batch_filter([batch])
        connection.execute(
            f"CREATE OR REPLACE TEMP VIEW _batch AS SELECT * FROM {ident(cleaned_table(feed))} WHERE {condition}"
        )
        yield batch, _number(connection, feed, rule)


def _number(connection: "DuckDBPyConnection", feed: Feed, rule: SqlRule) -> float | None:
    """The number that the contract's query returns; None for NULL or no row.

    Raises:
        WarehouseError: the query can't be run or returns something else. The message has no value of a row.
    """
    import duckdb

    rule_name = f"{feed.name}: the query of the quality rule {rule.name!r}"
    try:
        row = connection.execute(rule.query.replace("{table}", "_batch")).fetchone()
    except duckdb.Error as error:
        # `from None`: DuckDB's message quotes values, and a traceback is shown in the run's log.
        raise WarehouseError(f"{rule_name} can't be run: {without_values(error)}. Correct it in the contract") from None
    if row is None or row[0] is None:
        return None
    # `true` is 1 to Python, so a query may also say whether all is well.
    if not isinstance(row[0], int | float | Decimal):
        raise WarehouseError(
            f"{rule_name} returns a value of the type {type(row[0]).__name__}; it has to return one number"
        )
    return float(row[0])
