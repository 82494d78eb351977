"""How the text of files is read: custom properties, date formats and time zones."""

from typing import Any

import pytest

from orchestration_project.contracts.feed import Parsing
from orchestration_project_tests.contracts.conftest import Load, Problems, contract, custom, number, text


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
    ("physical", "options", "zoned"),
    [
        pytest.param("TIMESTAMPTZ", {}, True, id="type"),
        pytest.param("timestamp with time zone", {}, True, id="its other name"),
        pytest.param("TIMESTAMPTZ", {"defaultTimezone": "Europe/Berlin"}, False, id="zone of texts without one"),
        pytest.param("TIMESTAMPTZ", {"format": "yyyy-MM-dd HH:mm"}, False, id="format without an offset"),
        pytest.param("TIMESTAMP", {}, False, id="type without a zone"),
    ],
)
@pytest.mark.promise("input")
@pytest.mark.found("A TIMESTAMPTZ without `timezone: true` took only texts without an offset, as if they were UTC.")
def test_a_type_with_a_zone_means_texts_with_one(
    physical: str, options: dict[str, str], zoned: bool, load: Load
) -> None:
    """The type implies the option, unless the contract says in which zone texts without an offset are."""
    column = {"name": "a", "logicalType": "timestamp", "physicalType": physical, "logicalTypeOptions": options}
    assert load(contract(column)).columns[0].parsing.has_timezone is zoned


def test_custom_properties_of_other_tools_are_ignored(load: Load) -> None:
    """What is not ours says nothing, also when another vendor's name is like one of ours."""
    other = [{"property": "dbtModel", "value": 1}, {"property": "nullvalues", "value": 1, "vendor": "soda"}]
    assert load(contract(text(customProperties=other))).columns[0].parsing == Parsing()


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        pytest.param(
            [text(), text("b", transformLogic="a", **custom(trim=False))], "trim has no effect", id="derived parsing"
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
)
def test_refused(properties: list[dict[str, Any]], message: str, problems: Problems) -> None:
    found = problems(contract(*properties))
    assert any(message in problem for problem in found), found
