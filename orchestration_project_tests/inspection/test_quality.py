"""What checks measure, on tables that are filled by hand."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.contracts.feed import (
    MASK,
    Bound,
    Column,
    Comparison,
    Feed,
    Length,
    MetricRule,
    MultipleOf,
    OneOf,
    Operator,
    Pattern,
    QualityRule,
    Required,
    Rule,
    SqlRule,
    TextFormat,
)
from orchestration_project.ingest.counts import FileCount, nothing_of
from orchestration_project.inspection.quality import (
    Measured,
    balances,
    holds,
    masked,
    measure_quality,
    measure_rules,
    rule_checks,
    sample_rejected,
    unexpected_columns,
)
from orchestration_project.warehouse.feed_tables import cleaned_layout, raw_layout, rejected_layout
from orchestration_project.warehouse.ledger import ensure_ledger
from orchestration_project.warehouse.tables import ensure_table

MONDAY, TUESDAY, SUNDAY = dt.date(2024, 1, 15), dt.date(2024, 1, 16), dt.date(2024, 1, 21)
ZERO = Comparison("mustBe", (0,))
FEED = Feed(
    name="orders",
    version="1.0.0",
    columns=(
        Column("id", "VARCHAR", "id", rules=(Required(),)),
        Column("size", "INTEGER", "size", rules=(Bound("minimum", "1"),)),
        Column("buyer", "VARCHAR", "buyer", personal=True, unique=True),
    ),
    primary_key=("id",),
)
ROWS: list[tuple[str, int | None, str | None, dt.date]] = [
    ("a", 1, "Ann", MONDAY),
    ("b", 2, "-", MONDAY),
    ("c", None, None, MONDAY),
    ("c", 7, "Ann", MONDAY),
    ("d", 3, "Eve", TUESDAY),
]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """The feed's tables with the rows above published, and one rejected on each day."""
    with duckdb.connect() as connection:
        ensure_ledger(connection)
        ensure_table(connection, "raw_orders", raw_layout(FEED, "DATE"))
        ensure_table(connection, "cleaned_orders", cleaned_layout(FEED, "DATE"))
        ensure_table(connection, "rejected_orders", rejected_layout(FEED, "DATE"))
        connection.executemany(
            "INSERT INTO cleaned_orders (id, size, buyer, _batch_date, _file, _file_version)"
            " VALUES (?, ?, ?, ?, 'f', 'v')",
            [list(row) for row in ROWS],
        )
        connection.execute(
            """INSERT INTO rejected_orders (id, buyer, _batch_date, _file, _file_version, _row, _raw_line, _reasons)
               VALUES ('x', 'Zoe', '2024-01-15', 'f', 'v', 5, NULL,
                ['size: minimum', 'id: duplicate_key (kept: f/v/1)']),
               (NULL, NULL, '2024-01-16', 'g', 'w', 1, 'Zoe;;', ['_raw_line: too_few_columns'])"""
        )
        yield connection


def measure(
    connection: duckdb.DuckDBPyConnection, rule: QualityRule, *batches: dt.date
) -> dict[dt.date | None, float | None]:
    return {item.batch: item.value for item in measure_quality(connection, FEED, rule, list(batches) or None)}


def metric(name: Any, *columns: str, **arguments: Any) -> MetricRule:
    return MetricRule(name, name, ZERO, columns, **arguments)


@pytest.mark.parametrize(
    ("operator", "inside", "outside"),
    [
        pytest.param("mustBe", [5], [4, 6], id="mustBe"),
        pytest.param("mustNotBe", [4, 6], [5], id="mustNotBe"),
        pytest.param("mustBeGreaterThan", [5.1], [5, 4], id="mustBeGreaterThan"),
        pytest.param("mustBeGreaterOrEqualTo", [5, 6], [4.9], id="mustBeGreaterOrEqualTo"),
        pytest.param("mustBeLessThan", [4.9], [5, 6], id="mustBeLessThan"),
        pytest.param("mustBeLessOrEqualTo", [5, 4], [5.1], id="mustBeLessOrEqualTo"),
        pytest.param("mustBeBetween", [5, 7, 9], [4.9, 9.1], id="mustBeBetween"),
        pytest.param("mustNotBeBetween", [4.9, 9.1], [5, 7, 9], id="mustNotBeBetween"),
    ],
)
def test_operators(operator: Operator, inside: list[float], outside: list[float]) -> None:
    """Each operator of the standard, limits included as it says."""
    comparison = Comparison(operator, (5, 9) if "Between" in operator else (5,))
    assert all(holds(comparison, value) for value in inside)
    assert not any(holds(comparison, value) for value in outside)


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_operators_come_in_opposites(value: float, first: float, second: float) -> None:
    """Of an operator and its opposite exactly one holds, for every number."""
    limits = tuple(sorted((first, second)))
    pairs: list[tuple[Operator, Operator]] = [
        ("mustBe", "mustNotBe"),
        ("mustBeGreaterThan", "mustBeLessOrEqualTo"),
        ("mustBeLessThan", "mustBeGreaterOrEqualTo"),
        ("mustBeBetween", "mustNotBeBetween"),
    ]
    for one, other in pairs:
        assert holds(Comparison(one, limits), value) != holds(Comparison(other, limits), value)


@pytest.mark.parametrize(
    ("rule", "monday", "tuesday"),
    [
        pytest.param(metric("rowCount"), 4, 1, id="rows"),
        pytest.param(metric("nullValues", "size"), 1, 0, id="null"),
        pytest.param(metric("nullValues", "size", percent=True), 25, 0, id="null, percent"),
        pytest.param(metric("missingValues", "buyer"), 1, 0, id="missing: NULL by default"),
        pytest.param(metric("missingValues", "buyer", missing_values=("-",)), 1, 0, id="missing: words only"),
        pytest.param(metric("missingValues", "buyer", missing_values=(None, "-")), 2, 0, id="missing: both"),
        pytest.param(metric("invalidValues", "buyer", valid_values=("Ann",)), 1, 1, id="invalid: values"),
        pytest.param(metric("invalidValues", "buyer", pattern="^[A-Z]"), 1, 0, id="invalid: pattern"),
        pytest.param(metric("invalidValues", "size", valid_values=("1", "2", "3")), 1, 0, id="invalid: numbers"),
        pytest.param(
            metric("invalidValues", "buyer", valid_values=("Ann", "-"), pattern="^[A-Z]", percent=True),
            25,
            100,
            id="invalid: both, percent",
        ),
        pytest.param(metric("duplicateValues", "id"), 1, 0, id="duplicates"),
        pytest.param(metric("duplicateValues", "buyer", percent=True), 25, 0, id="duplicates, percent"),
        pytest.param(metric("duplicateValues", "id", "buyer"), 0, 0, id="duplicates of several columns"),
    ],
)
def test_metrics(connection: duckdb.DuckDBPyConnection, rule: MetricRule, monday: float, tuesday: float) -> None:
    """Each library metric, batch by batch, in rows and in percent."""
    assert measure(connection, rule, MONDAY, TUESDAY) == {MONDAY: monday, TUESDAY: tuesday}


def test_metrics_of_a_snapshot(connection: duckdb.DuckDBPyConnection) -> None:
    """Without batches the whole table is measured."""
    assert measure(connection, metric("rowCount")) == {None: 5}


def test_a_batch_without_published_rows_counts_zero(connection: duckdb.DuckDBPyConnection) -> None:
    """When all records of a batch were rejected, it has 0 rows and 0 percent of them are anything."""
    assert measure(connection, metric("rowCount"), SUNDAY) == {SUNDAY: 0}
    assert measure(connection, metric("nullValues", "size", percent=True), SUNDAY) == {SUNDAY: 0}


def test_queries_see_one_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """A query of the contract is asked for each batch, and sees its rows only."""
    rule = SqlRule("large", "SELECT max(size) FROM {table}", Comparison("mustBeLessThan", (5,)))
    assert measure_quality(connection, FEED, rule, [MONDAY, TUESDAY, SUNDAY]) == [
        Measured(MONDAY, 7, passed=False),
        Measured(TUESDAY, 3, passed=True),
        Measured(SUNDAY, None, passed=False),
    ]
    assert measure(connection, rule) == {None: 7}


def test_rules_are_counted_on_both_sides(connection: duckdb.DuckDBPyConnection) -> None:
    """Rejected records count for the rules in their reasons, published rows that break one are seen."""
    connection.execute("UPDATE cleaned_orders SET size = 0 WHERE id IN ('a', 'd')")
    found = measure_rules(connection, FEED, rule_checks(FEED), [MONDAY])
    counts = {name: (item.published, item.rejected) for name, item in found.items()}
    assert counts == {
        "records_readable": (0, 0),
        "id_required": (0, 0),
        "size_type": (0, 0),
        "size_minimum": (1, 1),
        "primary_key": (1, 1),
        "buyer_unique": (1, 0),
    }
    everywhere = measure_rules(connection, FEED, rule_checks(FEED), None)
    assert (everywhere["size_minimum"].published, everywhere["records_readable"].rejected) == (2, 1)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        pytest.param(Required(), "is given", id="required"),
        pytest.param(Bound("minimum", "1"), "is at least 1", id="minimum"),
        pytest.param(Bound("exclusiveMinimum", "0"), "is more than 0", id="exclusiveMinimum"),
        pytest.param(Bound("maximum", "9"), "is at most 9", id="maximum"),
        pytest.param(Bound("exclusiveMaximum", "2024-01-01"), "is less than 2024-01-01", id="exclusiveMaximum"),
        pytest.param(MultipleOf("0.05"), "is a multiple of 0.05", id="multipleOf"),
        pytest.param(Length("minLength", 2), "has at least 2 characters", id="minLength"),
        pytest.param(Length("maxLength", 8), "has at most 8 characters", id="maxLength"),
        pytest.param(Pattern("^a"), "matches `^a`", id="pattern"),
        pytest.param(TextFormat("email", ".*"), "is written as email", id="format"),
        pytest.param(OneOf(("Y", "N")), "is one of Y, N", id="enum"),
    ],
)
def test_rules_in_words(rule: Rule, words: str) -> None:
    """A check's description says in words what the rule asks for."""
    feed = Feed("orders", "1", (Column("code", "VARCHAR", "code", rules=(rule,)),))
    _, check = rule_checks(feed)
    assert (check.name, check.description) == (f"code_{rule.rule}", f"code {words} (contract: {rule.rule}).")


def test_rejected_samples_are_masked(connection: duckdb.DuckDBPyConnection) -> None:
    """Samples show where a record is, the values that a rule is about and every reason; personal ones stay hidden."""
    connection.execute("UPDATE rejected_orders SET _reasons = ['size: minimum', 'buyer: unique'] WHERE id = 'x'")
    rules = {rule.name: rule for rule in rule_checks(FEED)}

    def sampled(name: str, batches: list[dt.date] | None) -> list[dict[str, str | int | None]]:
        return sample_rejected(connection, FEED, rules[name].reasons, rules[name].columns, batches)

    where = {"_file": "f", "_row": 5, "_reasons": "size: minimum; buyer: unique"}
    assert sampled("size_minimum", [MONDAY]) == [where | {"size": None}]
    assert sampled("buyer_unique", [MONDAY]) == [where | {"buyer": MASK}]
    assert sampled("size_minimum", [TUESDAY]) == []
    (line,) = sampled("records_readable", None)
    assert line["_raw_line"] == MASK


def test_samples_of_a_computed_column_show_what_it_is_computed_from(connection: duckdb.DuckDBPyConnection) -> None:
    """A rejected record has no computed values, so those that they would come from are shown."""
    double = Column("double", "INTEGER", None, expression='"size" * 2', uses=("size",), rules=(Bound("maximum", "9"),))
    again = Column("again", "INTEGER", None, expression='"double"', uses=("double",), rules=(Bound("maximum", "9"),))
    rules = {rule.name: rule for rule in rule_checks(replace(FEED, columns=(*FEED.columns, double, again)))}
    assert {name: rules[name].columns for name in ("double_maximum", "again_maximum", "primary_key")} == {
        "double_maximum": ("size",),
        "again_maximum": ("size",),
        "primary_key": ("id",),
    }


def test_nothing_is_masked_without_personal_columns() -> None:
    """A contract that calls nothing personal hides nothing."""
    feed = Feed("orders", "1", (Column("id", "VARCHAR", "id"),))
    row: dict[str, str | int | None] = {"id": "a", "_raw_line": "a;b"}
    assert masked(feed, row) == row


def test_balances(connection: duckdb.DuckDBPyConnection) -> None:
    """The ledger's count of a file is held against raw and against both sides; files of one side only are uneven."""
    connection.execute("UPDATE cleaned_orders SET _file = 'g', _file_version = 'w' WHERE id = 'd'")
    connection.execute(
        """INSERT INTO raw_orders BY NAME
           SELECT 'x' AS id, _batch_date, _file, _file_version FROM cleaned_orders
           UNION ALL SELECT 'x', _batch_date, _file, _file_version FROM rejected_orders"""
    )
    connection.execute(
        """INSERT INTO file_ledger (feed, file, version, batch, status, records) VALUES
           ('orders', 'f', 'v', '2024-01-15', 'loaded', 5), ('orders', 'g', 'w', '2024-01-16', 'loaded', 3),
           ('orders', 'h', 'x', '2024-01-16', 'loaded', 1), ('orders', 'f', 'old', '2024-01-15', 'superseded', 9)"""
    )
    found = balances(connection, FEED, [MONDAY, TUESDAY], ["2024-01-15", "2024-01-16"])
    assert [(item.records, item.even, item.counted) for item in found] == [
        (5, True, FileCount(MONDAY, "f", "v", records=5, blank=0, cleaned=4, rejected=1)),
        (3, False, FileCount(TUESDAY, "g", "w", records=2, blank=0, cleaned=1, rejected=1)),
        (1, False, nothing_of("h", "x")),
    ]
    assert [item.counted.file for item in balances(connection, FEED, [MONDAY], ["2024-01-15"])] == ["f"]
    assert balances(connection, FEED, [], []) == []


def test_unexpected_columns(connection: duckdb.DuckDBPyConnection) -> None:
    """Rescued values are counted by column, the most frequent first."""
    connection.execute(
        """INSERT INTO raw_orders (_batch_date, _rescued) VALUES
           ('2024-01-15', '{"till": "7"}'), ('2024-01-15', '{"shop": "1", "till": "8"}'),
           ('2024-01-16', '{"other": ""}')"""
    )
    assert list(unexpected_columns(connection, FEED, [MONDAY]).items()) == [("till", 2), ("shop", 1)]
