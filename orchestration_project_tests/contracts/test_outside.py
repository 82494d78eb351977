"""Columns that are not in the records: what a contract may say of them, and what is refused."""

from typing import Any

import pytest

from orchestration_project.contracts.outside import FillDown, ValueFrom
from orchestration_project_tests.contracts.conftest import Load, Problems, contract, custom, text


def from_(**value: Any) -> dict[str, Any]:
    """A text column `s` whose value comes from elsewhere."""
    return text("s", **custom(valueFrom=value))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"fileName": r"store(\d+)"}, ValueFrom("fileName", r"store(\d+)"), id="file name"),
        pytest.param({"preamble": "Shop: (.+)"}, ValueFrom("preamble", "Shop: (.+)"), id="preamble"),
        pytest.param({"constant": " 007 "}, ValueFrom("constant", "007"), id="constant"),
    ],
)
def test_value_from(value: dict[str, Any], expected: ValueFrom, load: Load) -> None:
    """The origin is kept; the column is one of the raw table and not of the records."""
    feed = load(contract(text(), from_(**value)))
    assert [(item.name, item.value_from) for item in feed.given_columns] == [("s", expected)]
    assert [item.name for item in feed.source_columns] == ["a", "s"]
    assert [item.name for item in feed.record_columns] == ["a"]


def test_sheet_names(load: Load) -> None:
    """A workbook's column may be the name of its sheet."""
    servers = [{"server": "landing", "type": "local", "path": "landing", "format": "xlsx"}]
    feed = load(contract(text(), from_(sheetName=True), servers=servers))
    assert feed.given_columns[0].value_from == ValueFrom("sheetName")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(True, FillDown(), id="to the next value"),
        pytest.param({"within": "a"}, FillDown("a"), id="within a group"),
        pytest.param(False, None, id="not at all"),
    ],
)
def test_fill_down(value: Any, expected: FillDown | None, load: Load) -> None:
    """How far a value is filled down is kept."""
    feed = load(contract(text(), text("s", **custom(fillDown=value))))
    assert feed.columns[1].fill_down == expected


JSON = {"servers": [{"server": "landing", "type": "local", "path": "landing", "format": "json"}]}


@pytest.mark.parametrize(
    ("column", "fields", "message"),
    [
        pytest.param(text("s", **custom(valueFrom="store")), {}, "found 'store'; allowed: one of", id="no origin"),
        pytest.param(from_(fileName="(a)", constant="b"), {}, "allowed: one of", id="two origins"),
        pytest.param(from_(filename="(a)"), {}, "allowed: fileName", id="a slip"),
        pytest.param(from_(fileName="store"), {}, "0 groups; allowed: one", id="no group"),
        pytest.param(from_(preamble="(a)(b)"), {}, "2 groups; allowed: one", id="two groups"),
        pytest.param(from_(preamble="(a"), {}, "not a regular expression", id="no expression"),
        pytest.param(from_(preamble=7), {}, "allowed: a regular expression", id="a number for a pattern"),
        pytest.param(from_(constant=7), {}, "allowed: text (put it in quotes)", id="a number"),
        pytest.param(from_(constant=" "), {}, "allowed: text", id="nothing"),
        pytest.param(from_(sheetName="x"), {}, "allowed: true", id="a sheet's name"),
        pytest.param(from_(sheetName=True), {}, "csv files have no sheets", id="no sheets"),
        pytest.param(from_(preamble="(a)"), JSON, "json files have no lines above", id="no preamble"),
        pytest.param(text("s", **custom(fillDown="yes")), {}, "allowed: true, false, or within", id="a word"),
        pytest.param(text("s", **custom(fillDown={"within": "b"})), {}, "allowed: a column's name", id="no such group"),
        pytest.param(text("s", **custom(fillDown={"within": "s"})), {}, "needs a column that each", id="its own group"),
        pytest.param(
            text("s", **custom(valueFrom={"constant": "x"}, fillDown=True)), {}, "fillDown has no effect", id="both"
        ),
        pytest.param(
            text("s", transformLogic="upper(a)", **custom(valueFrom={"constant": "x"})),
            {},
            "valueFrom has no effect",
            id="computed",
        ),
    ],
)
def test_refused(column: dict[str, Any], fields: dict[str, Any], message: str, problems: Problems) -> None:
    """What can't be meant is a problem that says what is allowed."""
    found = problems(contract(text(), column, **fields))
    assert any(message in problem for problem in found), found


def test_something_is_read(problems: Problems) -> None:
    """A contract of which nothing stands in the records is refused."""
    assert any("at least one column" in problem for problem in problems(contract(from_(constant="x"))))
