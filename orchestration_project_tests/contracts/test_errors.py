"""How problems are told."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.errors import ContractError, Place, Problem, did_you_mean, listed, read_yaml
from orchestration_project.errors import PlatformError


def test_error_names_the_file_and_each_problem_on_its_own_line() -> None:
    """The text of an error is one line for the file and one for each problem."""
    error = ContractError(Path("a/b.odcs.yaml"), [Problem("schema[0].name", "is missing"), Problem("", "is empty")])
    assert str(error).splitlines() == [
        "contract a/b.odcs.yaml has 2 problems:",
        "  schema[0].name: is missing",
        "  is empty",
    ]
    assert isinstance(error, PlatformError)


def test_error_tells_the_same_problem_once() -> None:
    """A problem that two checks find is told once."""
    assert ContractError(Path("c"), [Problem("a", "b"), Problem("a", "b")]).problems == (Problem("a", "b"),)


def test_place_collects_what_is_reported_below_it() -> None:
    """Problems of every place below a place land in its list, with path and subject."""
    place = Place()
    place.key("schema").item(0).key("properties").item(3).about("column 'x'").key("a", "b").problem("is wrong")
    assert [str(problem) for problem in place.problems] == ["schema[0].properties[3].a.b: column 'x': is wrong"]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        pytest.param("minimun", "minimum", id="typing error"),
        pytest.param("null_values", "nullValues", id="other spelling"),
        pytest.param("NULLVALUES", "nullValues", id="case"),
        pytest.param("zzz", "", id="nothing close"),
    ],
)
def test_did_you_mean(word: str, meant: str) -> None:
    assert did_you_mean(word, ["minimum", "nullValues"]) == (f"; did you mean {meant!r}?" if meant else "")


def test_long_lists_are_cut() -> None:
    """Of very many words only the first are told."""
    assert listed(range(70)).endswith("58, 59, ... (10 more)")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("NO", "NO", id="Norway"),
        pytest.param("yes", "yes", id="yes is text"),
        pytest.param("true", True, id="true"),
        pytest.param("12:30:00", "12:30:00", id="time of day"),
        pytest.param("2024-01-31", "2024-01-31", id="date"),
        pytest.param("0.10", Decimal("0.10"), id="decimals are exact"),
        pytest.param("99999999999999.99", Decimal("99999999999999.99"), id="many digits"),
        pytest.param("1e3", Decimal("1e3"), id="exponent"),
        pytest.param("007", 7, id="leading zeros are decimal"),
        pytest.param("0x1F", 31, id="hexadecimal"),
        pytest.param("0o17", 15, id="octal"),
        pytest.param("1_000", "1_000", id="underscores are text"),
        pytest.param("~", None, id="null"),
        pytest.param("=", "=", id="a lone equals sign"),
        pytest.param("[1, {a: b}]", [1, {"a": "b"}], id="nested"),
    ],
)
def test_plain_values(text: str, value: Any) -> None:
    place = Place()
    assert read_yaml(f"key: {text}", place) == {"key": value}
    assert place.problems == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: 1\nb: 2\na: 3", "line 3: the key 'a' is already on line 1", id="duplicate key"),
        pytest.param("x:\n  - a: 1\n    a: 2", "line 3: the key 'a' is already on line 2", id="nested duplicate key"),
        pytest.param("a: [1\nb: 2", "line 2: not valid YAML", id="syntax"),
        pytest.param("a: 1\n---\nb: 2", "line 2: not valid YAML", id="two documents"),
        pytest.param("", "empty", id="empty"),
        pytest.param("# nothing", "empty", id="only comments"),
        pytest.param("a: &x [*x]", "contains itself", id="recursion"),
        pytest.param("a: " + "[" * 60 + "]" * 60, "nested too deeply", id="depth"),
        pytest.param("[" * 5000, "nested too deeply", id="depth beyond the parser's"),
        pytest.param("a: !!python/object/apply:os.system [ls]", "tag", id="python object"),
        pytest.param("a: !!timestamp 2020-01-01", "tag", id="other tag"),
        pytest.param("a: !!int x", "not a number", id="wrong explicit number"),
        pytest.param("a: !!bool x", "neither true nor false", id="wrong explicit boolean"),
        pytest.param("1: x", "a key must be text", id="number as key"),
        pytest.param("? [a]\n: x", "a key must be text", id="list as key"),
        pytest.param("a: 1e999", "not a number that can be used", id="huge exponent"),
        pytest.param("a: .nan", "not a number that can be used", id="not a number"),
        pytest.param("a: " + "9" * 400, "not a number that can be used", id="very long number"),
        pytest.param('a: "\\ud800"', "surrogate", id="half a character"),
        pytest.param('a: "\\0"', "NUL", id="NUL"),
        pytest.param("a: \x07", "not valid YAML", id="control character"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    place = Place()
    assert read_yaml(text, place) is None
    assert message in str(place.problems[0])


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!<?|> \n'\"#1.,~", max_size=60))
def test_no_text_crashes_the_reader(text: str) -> None:
    """Every text is read or has a problem."""
    place = Place()
    value = read_yaml(text, place)
    assert value is None or not place.problems


@pytest.mark.promise("security")
@pytest.mark.found("a contract of a few lines with aliases of aliases kept the process busy for minutes")
def test_aliases_of_aliases() -> None:
    """A text is refused for what it stands for, not for its length; aliases as people use them are fine."""
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 9)]
    place = Place()
    assert read_yaml("\n".join(lines), place) is None
    assert "its aliases make more than 100,000 values of it" in str(place.problems[0])
    assert read_yaml("\n".join(lines[:4]), Place()) is not None
