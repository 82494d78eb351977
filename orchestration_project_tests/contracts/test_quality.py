"""Quality rules."""

import re
from typing import Any

import pytest

from orchestration_project.contracts.feed import Comparison, MetricRule, SqlRule
from orchestration_project_tests.contracts.conftest import Load, Problems, contract

COLUMNS = [{"name": "a", "physicalType": "VARCHAR"}, {"name": "n", "physicalType": "INTEGER"}]


def with_rules(*rules: dict[str, Any], column: str | None = None) -> dict[str, Any]:
    """A contract with rules of the object, or of one column."""
    if column is None:
        return contract(*COLUMNS, quality=list(rules))
    return contract(*({**prop, "quality": list(rules)} if prop["name"] == column else prop for prop in COLUMNS))


@pytest.mark.parametrize(
    ("operator", "value", "limits"),
    [
        pytest.param("mustBe", 0, (0.0,), id="mustBe"),
        pytest.param("mustNotBe", 1, (1.0,), id="mustNotBe"),
        pytest.param("mustBeGreaterThan", 1.5, (1.5,), id="mustBeGreaterThan"),
        pytest.param("mustBeGreaterOrEqualTo", 1, (1.0,), id="mustBeGreaterOrEqualTo"),
        pytest.param("mustBeLessThan", 1, (1.0,), id="mustBeLessThan"),
        pytest.param("mustBeLessOrEqualTo", 1, (1.0,), id="mustBeLessOrEqualTo"),
        pytest.param("mustBeBetween", [1, 2], (1.0, 2.0), id="mustBeBetween"),
        pytest.param("mustNotBeBetween", [1, 2], (1.0, 2.0), id="mustNotBeBetween"),
    ],
)
def test_operators(operator: Any, value: Any, limits: tuple[float, ...], load: Load) -> None:
    (rule,) = load(with_rules({"metric": "rowCount", operator: value})).quality
    assert rule == MetricRule("row_count", "rowCount", Comparison(operator, limits))


ZERO = Comparison("mustBe", (0.0,))


@pytest.mark.parametrize(
    ("column", "rule", "expected"),
    [
        pytest.param("a", {"metric": "nullValues", "unit": "percent", "severity": "error"},
                     MetricRule("a_null_values", "nullValues", ZERO, ("a",), percent=True, blocking=True),
                     id="nullValues"),
        pytest.param("a", {"metric": "missingValues", "arguments": {"missingValues": [None, "", "n/a"]}},
                     MetricRule("a_missing_values", "missingValues", ZERO, ("a",), missing_values=(None, "", "n/a")),
                     id="missingValues"),
        pytest.param("n", {"metric": "missingValues", "arguments": {"missingValues": [None, "n/a", -1]}},
                     MetricRule("n_missing_values", "missingValues", ZERO, ("n",), missing_values=(None, "-1")),
                     id="a word can't be in a column of numbers"),
        pytest.param("n", {"metric": "invalidValues", "arguments": {"validValues": [1, None, "2"]}},
                     MetricRule("n_invalid_values", "invalidValues", ZERO, ("n",), valid_values=("1", "2")),
                     id="valid"),
        pytest.param("a", {"metric": "invalidValues", "arguments": {"pattern": "^x"}, "description": "All\n x"},
                     MetricRule("a_invalid_values", "invalidValues", ZERO, ("a",), pattern="^x", description="All x"),
                     id="pattern"),
        pytest.param("a", {"metric": "duplicateValues"},
                     MetricRule("a_duplicate_values", "duplicateValues", ZERO, ("a",)), id="duplicates"),
        pytest.param(None, {"metric": "duplicateValues", "arguments": {"properties": ["N", "a"]}},
                     MetricRule("duplicate_values", "duplicateValues", ZERO, ("n", "a")),
                     id="duplicates of the object"),
        pytest.param("a", {"type": "sql", "query": "SELECT COUNT(*) FROM ${table} WHERE ${column} = 'x'"},
                     SqlRule("a_sql", 'SELECT COUNT(*) FROM {table} AS "f" WHERE "a" = \'x\'', ZERO), id="sql"),
    ],
)  # fmt: skip
def test_rules(column: str | None, rule: dict[str, Any], expected: MetricRule | SqlRule, load: Load) -> None:
    assert load(with_rules({"mustBe": 0, **rule}, column=column)).quality == (expected,)


def test_documentation_is_ignored(load: Load) -> None:
    """Rules in prose, and rules of other engines that only inform, make no check."""
    rules = [
        {"type": "text", "description": "Looks good."},
        {"type": "custom", "engine": "soda", "implementation": "x", "severity": "info"},
    ]
    assert load(with_rules(*rules)).quality == ()


def test_names_are_valid_and_unique(load: Load) -> None:
    """Every rule has a name of its own that Dagster takes, whatever the contract calls it."""
    rule = {"metric": "rowCount", "mustBe": 0}
    document = with_rules(
        rule, rule, {**rule, "name": "Größe > 0!"}, {**rule, "name": "???"}, {**rule, "name": "Row Count"}
    )
    names = [rule.name for rule in load(document).quality]
    assert len({name.casefold() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names)
    assert names[:3] == ["row_count", "row_count_2", "Gr_e_0"]


@pytest.mark.parametrize(
    ("column", "rule", "message"),
    [
        pytest.param(
            None, {"metric": "rowCount", "severity": "critical"}, "allowed: error, warning, info", id="severity"
        ),
        pytest.param(None, {"metric": "rowCount", "severity": "eror"}, "did you mean 'error'?", id="severity's error"),
        pytest.param(
            None, {"metric": "rowCount", "unit": "percent"}, "nothing to be a percentage of", id="row percent"
        ),
        pytest.param("a", {"metric": "nullValues", "unit": "kg"}, "allowed: rows, percent", id="unit"),
        pytest.param("a", {"metric": "rowCount"}, "move it to the object's quality", id="rows of a column"),
        pytest.param(None, {"metric": "nullValues"}, "move it to that property's quality", id="nulls of the object"),
        pytest.param(None, {"metric": "duplicateValues"}, "needs a list of its columns", id="duplicates of what"),
        pytest.param(
            None, {"metric": "duplicateValues", "arguments": {"properties": ["b"]}}, "unknown column 'b'", id="b"
        ),
        pytest.param(
            "a", {"metric": "missingValues"}, "needs a list of the values that count as missing", id="missing"
        ),
        pytest.param(
            "a", {"metric": "missingValues", "arguments": {"missingValues": [0]}}, "put the value in", id="type"
        ),
        pytest.param("a", {"metric": "invalidValues"}, "needs validValues, pattern or both", id="invalid"),
        pytest.param(
            "n", {"metric": "invalidValues", "arguments": {"validValues": ["x"]}}, "allowed: a number", id="x"
        ),
        pytest.param(
            "n", {"metric": "invalidValues", "arguments": {"pattern": "x"}}, "a pattern tests text", id="text"
        ),
        pytest.param("a", {"metric": "invalidValues", "arguments": {"pattern": "("}}, "regular expression", id="regex"),
        pytest.param(
            "a",
            {"metric": "invalidValues", "arguments": {"validvalues": []}},
            "did you mean 'validValues'?",
            id="argument",
        ),
        pytest.param("a", {"type": "library"}, "metric is missing", id="no metric"),
        pytest.param("a", {"description": "x"}, "'mustBe' was unexpected", id="nothing but an operator"),
        pytest.param("a", {"metric": "nullValues", "mustBe": "x"}, "allowed: a number", id="text limit"),
        pytest.param("a", {"metric": "nullValues", "mustBe": True}, "allowed: a number", id="boolean limit"),
        pytest.param("a", {"type": "sql", "query": "select 1 from x"}, "may only read ${table}", id="query"),
    ],
)
def test_refused(column: str | None, rule: dict[str, Any], message: str, problems: Problems) -> None:
    found = problems(with_rules({"mustBe": 0, **rule}, column=column))
    assert any(message in problem for problem in found), found


def test_rules_of_other_engines_are_refused(problems: Problems) -> None:
    """A rule that this platform can't run would silently pass."""
    (problem,) = problems(with_rules({"type": "custom", "engine": "soda", "implementation": "x", "severity": "error"}))
    assert "custom rules (engine 'soda') are not run" in problem


def test_limits_in_the_wrong_order_are_refused(problems: Problems) -> None:
    """The smaller limit of a range goes first."""
    (problem,) = problems(with_rules({"metric": "rowCount", "mustBeBetween": [2, 1]}))
    assert problem == "schema[0].quality[0].mustBeBetween: found [2, 1]; the smaller limit goes first"
