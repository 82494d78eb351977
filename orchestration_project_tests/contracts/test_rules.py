"""logicalTypeOptions and enum as rules."""

from decimal import Decimal
from typing import Any, get_args

import pytest

from orchestration_project.contracts.feed import Bound, Comparison, Length, MultipleOf, OneOf, Operator, Pattern, Rule
from orchestration_project.contracts.rules import COMPARISONS, comparison_in_words
from orchestration_project_tests.contracts.conftest import Load, Problems, contract


def column(physical: str, options: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    extra = {"logicalTypeOptions": options} if options else {}
    return contract({"name": "a", "physicalType": physical, **extra, **fields})


def yaml_column(physical: str, options: str) -> str:
    return (
        "{apiVersion: v3.1.0, kind: DataContract, id: x, version: '1', schema: [{name: f, properties: "
        f"[{{name: a, physicalType: '{physical}', logicalTypeOptions: {options}}}]}}]}}"
    )


@pytest.mark.parametrize(
    ("physical", "options", "rules"),
    [
        pytest.param("varchar(9)", "{minLength: 2}", [Length("minLength", 2), Length("maxLength", 9)], id="lengths"),
        pytest.param("varchar(9)", "{maxLength: 5}", [Length("maxLength", 5)], id="the tighter length"),
        pytest.param("varchar", "{minLength: 0}", [], id="no length"),
        pytest.param("varchar", "{pattern: '^a+$'}", [Pattern("^a+$")], id="pattern"),
        pytest.param("varchar", "{format: password}", [], id="password limits nothing"),
        pytest.param("integer", "{minimum: 1, exclusiveMaximum: 10}",
                     [Bound("minimum", "1"), Bound("exclusiveMaximum", "10")], id="integer"),
        pytest.param("decimal(18,2)", "{minimum: 0.10}", [Bound("minimum", "0.10")], id="decimal digits are kept"),
        pytest.param("decimal(18,2)", "{maximum: 9999999999999999.99}",
                     [Bound("maximum", "9999999999999999.99")], id="more digits than a float has"),
        pytest.param("decimal(18,2)", "{exclusiveMinimum: -1e3}", [Bound("exclusiveMinimum", "-1000")], id="exponent"),
        pytest.param("decimal(18,2)", "{multipleOf: 0.05}", [MultipleOf("0.05")], id="multiple"),
        pytest.param("date", "{minimum: '2020-01-31'}", [Bound("minimum", "2020-01-31")], id="ISO date"),
        pytest.param("date", "{format: dd.MM.yyyy, minimum: 31.01.2020}",
                     [Bound("minimum", "2020-01-31")], id="date in the column's format"),
        pytest.param("timestamp", "{maximum: 2020-01-31}", [Bound("maximum", "2020-01-31 00:00:00")], id="midnight"),
        pytest.param("timestamptz", "{minimum: '2020-07-01 00:00:00', defaultTimezone: Europe/Berlin}",
                     [Bound("minimum", "2020-06-30 22:00:00+00:00")], id="local time"),
        pytest.param("timestamptz", "{minimum: '2020-07-01 00:00:00+10:00'}",
                     [Bound("minimum", "2020-06-30 14:00:00+00:00")], id="offset"),
        pytest.param("time", "{maximum: 12:30:00}", [Bound("maximum", "12:30:00")], id="time"),
    ],
)  # fmt: skip
def test_options(physical: str, options: str, rules: list[Rule], load: Load) -> None:
    assert list(load(yaml_column(physical, options)).columns[0].rules) == rules


@pytest.mark.parametrize(
    ("physical", "options", "message"),
    [
        pytest.param(
            "integer", {"minimum": 5, "maximum": 4}, "no value can fulfil minimum 5 and maximum 4", id="range"
        ),
        pytest.param("integer", {"exclusiveMinimum": 1, "exclusiveMaximum": 2}, "no value can fulfil", id="gap"),
        pytest.param("decimal(9,2)", {"minimum": 1, "exclusiveMaximum": 1}, "no value can fulfil", id="empty"),
        pytest.param("date", {"minimum": "2021-01-01", "maximum": "2020-01-01"}, "no value can fulfil", id="dates"),
        pytest.param("tinyint", {"maximum": 300}, "which TINYINT can't hold; allowed: -128 to 127", id="type's range"),
        pytest.param("utinyint", {"minimum": -1}, "can't hold", id="unsigned"),
        pytest.param("decimal(4,2)", {"maximum": 100}, "can't hold; allowed: -99.99 to 99.99", id="decimal's range"),
        pytest.param("integer", {"minimum": 1.5}, "only whole numbers", id="fraction"),
        pytest.param("integer", {"minimum": "x"}, "allowed: a number", id="no number"),
        pytest.param("integer", {"minimum": True}, "allowed: a number", id="boolean"),
        pytest.param("integer", {"multipleOf": 0}, "more than 0", id="multiple of 0"),
        pytest.param("integer", {"format": "i65"}, "found 'i65'; allowed: i8", id="number format"),
        pytest.param(
            "integer", {"pattern": "a"}, "pattern: column 'a': not an option of a INTEGER column", id="pattern"
        ),
        pytest.param("varchar", {"minimum": 1}, "not an option of a VARCHAR column", id="minimum of a text"),
        pytest.param("varchar", {"minLenght": 1}, "did you mean 'minLength'?", id="typing error"),
        pytest.param("boolean", {"format": "x"}, "none is allowed", id="boolean's option"),
        pytest.param("varchar", {"minLength": 3, "maxLength": 2}, "at least 3 and at most 2", id="lengths"),
        pytest.param("varchar(2)", {"minLength": 3}, "at least 3 and at most 2", id="length of the type"),
        pytest.param("varchar", {"minLength": -1}, "a whole number from 0 on", id="negative length"),
        pytest.param("varchar", {"pattern": "(?=a)"}, "lookahead", id="lookahead"),
        pytest.param("varchar", {"pattern": 1}, "a regular expression in quotes", id="pattern's type"),
        pytest.param("varchar", {"format": "date-time"}, "use logicalType timestamp", id="date as text"),
        pytest.param("varchar", {"format": "byte"}, "allowed: email", id="format that can't be tested"),
        pytest.param("varchar", {"format": "emal"}, "did you mean 'email'?", id="format's typing error"),
        pytest.param("date", {"minimum": "yesterday"}, "a date in ISO 8601", id="no date"),
        pytest.param("date", {"format": "YYYY"}, "the letter 'Y'", id="date format"),
        pytest.param("timestamp", {"minimum": "2020-01-01T00:00:00Z"}, "TIMESTAMP: no offset", id="offset"),
        pytest.param("timestamp", {"defaultTimezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'?", id="zone"),
        pytest.param(
            "timestamp", {"timezone": False, "format": "yyyy-MM-ddX"}, "the format has an offset", id="no zone"
        ),
        pytest.param("timestamptz", {"timezone": False}, "contradicts physicalType TIMESTAMPTZ", id="zone's type"),
        pytest.param("time", {"timezone": True}, "a time with an offset is not supported", id="time with an offset"),
    ],
)
def test_refused_options(physical: str, options: dict[str, Any], message: str, problems: Problems) -> None:
    assert any(message in problem for problem in problems(column(physical, options))), problems(
        column(physical, options)
    )


@pytest.mark.parametrize(
    ("physical", "values", "texts"),
    [
        pytest.param("varchar", ["a", "NO", "a"], ("a", "NO"), id="text"),
        pytest.param("integer", [1, "2", Decimal(3)], ("1", "2", "3"), id="integer"),
        pytest.param("date", ["2020-01-01"], ("2020-01-01",), id="date"),
        pytest.param("boolean", [True], ("true",), id="boolean"),
        pytest.param("varchar", ["a", None], ("a",), id="null says nothing"),
    ],
)
def test_enum(physical: str, values: list[Any], texts: tuple[str, ...], load: Load) -> None:
    entries = [
        {"value": int(value) if isinstance(value, Decimal) else value, "label": str(n)}
        for n, value in enumerate(values)
    ]
    assert load(column(physical, enum=entries)).columns[0].rules == (OneOf(texts),)


@pytest.mark.parametrize(
    ("physical", "value", "message"),
    [
        pytest.param(
            "varchar", 7, "enum[0].value: column 'a': found 7; the column is VARCHAR: put the value", id="number"
        ),
        pytest.param("integer", "x", "found 'x'; allowed: a number", id="text"),
        pytest.param("date", "x", "ISO 8601", id="date"),
        pytest.param("boolean", "yes", "allowed: true or false", id="boolean"),
        pytest.param("varchar", None, "needs a value that is not null", id="null"),
    ],
)
def test_refused_enum(physical: str, value: Any, message: str, problems: Problems) -> None:
    assert any(message in problem for problem in problems(column(physical, enum=[{"value": value}])))


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        pytest.param(Comparison("mustBe", (0,)), "0", id="equal"),
        pytest.param(Comparison("mustNotBe", (7,)), "other than 7", id="not equal"),
        pytest.param(Comparison("mustBeLessThan", (2.5,)), "less than 2.5", id="less"),
        pytest.param(Comparison("mustBeBetween", (1, 1_000)), "between 1 and 1000", id="between"),
    ],
)
def test_comparisons_in_words(comparison: Comparison, words: str) -> None:
    """A comparison reads as the end of a sentence, its limits without needless zeros."""
    assert comparison_in_words(comparison) == words


def test_every_operator_has_words() -> None:
    """No operator of the standard is left without words."""
    assert set(COMPARISONS) == set(get_args(Operator))
