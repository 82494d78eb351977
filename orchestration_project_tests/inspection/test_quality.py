"""The quality rules of a contract, measured on tables that are filled by hand."""

import datetime as dt
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Comparison, MetricRule, Operator, QualityRule, SqlRule
from orchestration_project.inspection.quality import Measured, holds, measure_quality
from orchestration_project_tests.inspection.orders import FEED, MONDAY, SUNDAY, TUESDAY

ZERO = Comparison("mustBe", (0,))


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
