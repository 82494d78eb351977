"""How problems are told."""

from pathlib import Path

import pytest

from orchestration_project.contracts.errors import ContractError, Place, Problem, did_you_mean, listed
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
