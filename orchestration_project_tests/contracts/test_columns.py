"""Properties as columns."""

from typing import Any

import pytest

from orchestration_project.contracts.columns import is_personal
from orchestration_project.contracts.feed import Column, Parsing, Required
from orchestration_project_tests.contracts.conftest import Load, Problems, contract


def text(name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "physicalType": "VARCHAR", **fields}


def custom(**values: Any) -> dict[str, Any]:
    return {"customProperties": [{"property": name, "value": value} for name, value in values.items()]}


def number(name: str = "n", **fields: Any) -> dict[str, Any]:
    return {"name": name, "physicalType": "DECIMAL(9,2)", **fields}


def test_column(load: Load) -> None:
    """What a contract says about a column is what the column says."""
    prop = text(
        physicalName="A b", required=True, unique=True, description="What\n it is", classification="Restricted",
        synonyms=[{"synonym": "AA"}], **custom(aliases=["x", "a B", "aa"], nullValues="n/a, -", trim=False),
    )  # fmt: skip
    assert load(contract(prop)).columns == (
        Column(
            name="a", sql_type="VARCHAR", source="A b", aliases=("AA", "x"), rules=(Required(),), unique=True,
            parsing=Parsing(null_words=("n/a", "-"), trim=False), description="What it is",
            classification="Restricted", personal=True,
        ),
    )  # fmt: skip


def test_numbers_as_they_are_written(load: Load) -> None:
    """How numbers are written is said for a feed on its server, and for a column on the column."""
    server = {
        "server": "x", "type": "local", "path": "x", "format": "csv",
        **custom(decimalSeparator=",", thousandsSeparator=".", currencySymbols="€, EUR", nullValues=["-"]),
    }  # fmt: skip
    feed = load(contract(text(), number("n"), number("m", **custom(thousandsSeparator="\u00a0")), servers=[server]))
    assert feed.columns[0].parsing == Parsing(null_words=("-",))
    assert feed.columns[1].parsing == Parsing(("-",), True, ",", ".", ("€", "EUR"))
    assert feed.columns[2].parsing.thousands_separator == "\u00a0"


def test_dates_as_they_are_written(load: Load) -> None:
    """A format and time zones are translated for the warehouse."""
    zoned = {"format": "dd.MM.yyyy HH:mmXXX", "timezone": True}
    local = {"defaultTimezone": "Europe/Berlin", "timezone": True, "format": "yyyy-MM-dd HH:mm:ss"}
    feed = load(
        contract(
            {"name": "a", "logicalType": "timestamp", "logicalTypeOptions": zoned},
            {"name": "b", "logicalType": "timestamp", "logicalTypeOptions": local},
            {"name": "c", "physicalType": "TIMESTAMP"},
        )
    )
    first, second, third = feed.columns
    assert (first.sql_type, first.parsing.date_format) == ("TIMESTAMPTZ", "%d.%m.%Y %H:%M%z")
    assert (first.parsing.has_timezone, first.parsing.utc_letter) == (True, True)
    assert (second.sql_type, second.parsing.has_timezone) == ("TIMESTAMPTZ", False)
    assert (second.parsing.default_timezone, second.parsing.date_width) == ("Europe/Berlin", 19)
    assert (third.sql_type, third.parsing) == ("TIMESTAMP", Parsing())


@pytest.mark.parametrize(
    ("classification", "personal"),
    [
        pytest.param("", False, id="none"),
        pytest.param("Public", False, id="public"),
        pytest.param("non-personal", False, id="non-personal"),
        pytest.param("internal", False, id="internal"),
        pytest.param("personal", True, id="personal"),
        pytest.param("PII", True, id="PII"),
        pytest.param("confidential", True, id="confidential"),
        pytest.param("persnal", True, id="unknown words are masked"),
    ],
)
def test_personal(classification: str, personal: bool) -> None:
    assert is_personal(classification) is personal


def test_derived_columns_follow_what_they_use(load: Load) -> None:
    """Source columns keep their places; derived ones share theirs in the order in which they can be computed."""
    feed = load(
        contract(
            text("c", transformLogic="B || 'c'"),
            text("a"),
            text("b", transformLogic="a || 'b'"),
            text("d", transformLogic="lower(a)"),
        )
    )
    assert [column.name for column in feed.columns] == ["b", "a", "c", "d"]
    assert [column.expression for column in feed.derived_columns] == ["\"a\" || 'b'", "\"b\" || 'c'", 'LOWER("a")']


@pytest.mark.parametrize(
    ("properties", "told"),
    [
        pytest.param([text("1a")], "schema[0].properties[0].name: column '1a': allowed: a letter", id="digit first"),
        pytest.param([text("_file")], "allowed: a letter", id="platform's names"),
        pytest.param([text("a b")], "goes to physicalName", id="header as name"),
        pytest.param([text("a"), text("A")], "already that of properties[0]", id="name twice"),
        pytest.param([text("a"), text("b", physicalName=" A ")], "is also that of column 'a'", id="header twice"),
        pytest.param([text("a"), text("b", **custom(aliases="x,A"))], "is also that of column 'a'", id="alias twice"),
        pytest.param([text(physicalName=" ")], "is blank", id="blank header"),
        pytest.param([text(transformLogic="a || 'x'")], "in a circle", id="own value"),
        pytest.param(
            [text("x"), text("a", transformLogic="b"), text("b", transformLogic="a")],
            "the transformLogic of a, b use each other in a circle", id="circle",
        ),
        pytest.param([text(transformLogic="'x'")], "at least one column that is read from the file", id="only derived"),
        pytest.param(
            [text(), text("b", transformLogic="a", physicalName="B")], "computed, not read from the file", id="header"
        ),
        pytest.param([text("RowId")], "DuckDB's own name", id="rowid"),
        pytest.param([text(), text("b", transformLogic="a", unique=True)], "is not supported", id="unique derived"),
        pytest.param([text(), text("b", transformLogic="a", primaryKey=True)], "is not supported", id="derived key"),
        pytest.param(
            [text(), text("b", transformLogic="a", **custom(trim=False))], "trim has no effect", id="derived parsing"
        ),
        pytest.param([{"name": "a", "logicalType": "object", "properties": []}], "object is not supp", id="object"),
        pytest.param([text(items={"physicalType": "INT"})], "nested values are not supported", id="items"),
        pytest.param([text(semanticType="measure")], "measure is an aggregate", id="measure"),
        pytest.param([text(primaryKeyPosition=1)], "no effect without `primaryKey: true`", id="position of no key"),
        pytest.param(
            [text("a", primaryKey=True, primaryKeyPosition=1), text("b", primaryKey=True, primaryKeyPosition=1)],
            "the same primaryKeyPosition: 1, 1", id="position twice",
        ),
        pytest.param([text(**custom(decimalSeparator=","))], "no effect on a VARCHAR column", id="number's property"),
        pytest.param([number(**custom(decimalSeparator=";"))], "allowed: '.', ','", id="decimal separator"),
        pytest.param([number(**custom(thousandsSeparator="."))], "are both '.'", id="same separators"),
        pytest.param([number(**custom(currencySymbols=["1"]))], "a currency's sign", id="currency"),
        pytest.param([text(**custom(trim="no"))], "allowed: true or false", id="trim"),
        pytest.param([text(**custom(nullValues=[0]))], "found 0; allowed: text (put it in quotes)", id="null word"),
        pytest.param([text(**custom(null_values="x"))], "not known; did you mean 'nullValues'?", id="name"),
        pytest.param([text(**custom(delimiter=";"))], "it belongs to a server", id="wrong place"),
    ],
)  # fmt: skip
def test_refused(properties: list[dict[str, Any]], told: str, problems: Problems) -> None:
    assert any(told in problem for problem in problems(contract(*properties))), problems(contract(*properties))


def test_custom_properties_of_other_tools_are_ignored(load: Load) -> None:
    """What is not ours says nothing, also when another vendor's name is like one of ours."""
    other = [{"property": "dbtModel", "value": 1}, {"property": "nullvalues", "value": 1, "vendor": "soda"}]
    assert load(contract(text(customProperties=other))).columns[0].parsing == Parsing()


def test_primary_key(load: Load) -> None:
    """Key columns are required and come by position, those without one last."""
    feed = load(
        contract(
            text("a", primaryKey=True),
            text("b", primaryKey=True, primaryKeyPosition=2, required=False),
            text("c", primaryKey=True, primaryKeyPosition=1),
            text("d"),
        )
    )
    assert feed.primary_key == ("c", "b", "a")
    assert [column.required for column in feed.columns] == [True, True, True, False]
