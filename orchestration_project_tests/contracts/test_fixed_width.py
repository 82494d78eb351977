"""Fixed width files in contracts: places of columns, how lines are cut, and impossible layouts."""

from typing import Any

import pytest

from orchestration_project.contracts.feed import FileFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project_tests.contracts.conftest import Load, Problems, contract, custom, text


def at(position: Any, width: Any, name: str = "a", **fields: Any) -> dict[str, Any]:
    """A text column at a place."""
    return text(name, **custom(position=position, width=width), **fields)


def fixed(*columns: dict[str, Any], encoding: str | None = None, **layout: Any) -> dict[str, Any]:
    """A contract of fixed width files."""
    server = {"server": "x", "type": "local", "path": "x", "format": "fixed_width"}
    given = {"encoding": encoding} if encoding else {}
    return contract(*columns, servers=[{**server, **given, **(custom(**layout) if layout else {})}])


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        pytest.param({}, FixedWidth(), id="nothing"),
        pytest.param({"recordWidth": 80}, FixedWidth(80), id="recordWidth"),
        pytest.param({"headerLine": True}, FixedWidth(header_line=True), id="headerLine"),
        pytest.param({"trimmedLines": True}, FixedWidth(trimmed_lines=True), id="trimmedLines"),
        pytest.param({"countBytes": True, "headerLine": False}, FixedWidth(count_bytes=True), id="countBytes"),
    ],
)
def test_layouts(layout: dict[str, Any], expected: FixedWidth, load: Load) -> None:
    """A server tells how lines are cut, a column which characters it has."""
    feed = load(fixed(at(3, 4), at(1, 2, "b"), text("c", transformLogic="a || b"), **layout))
    assert (feed.source.format, feed.source.fixed) == (FileFormat.FIXED_WIDTH, expected)
    assert [column.span for column in feed.columns] == [Span(3, 4), Span(1, 2), None]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(fixed(text()), "column 'a': needs the custom properties position and width", id="no place"),
        pytest.param(fixed(text(**custom(position=1))), "column 'a': position needs width beside it", id="no width"),
        pytest.param(fixed(text(**custom(width=1))), "column 'a': width needs position beside it", id="no position"),
        pytest.param(fixed(at(0, 1)), "found 0; allowed: a whole number from 1 to 1,000,000", id="position 0"),
        pytest.param(fixed(at(1, -1)), "found -1; allowed", id="negative width"),
        pytest.param(fixed(at("1", 1)), "found '1'; allowed", id="text"),
        pytest.param(fixed(at(True, 1)), "found true; allowed", id="true"),
        pytest.param(fixed(at(1, 2.5)), "found 2.5; allowed", id="fraction"),
        pytest.param(fixed(at(1, 1_000_001)), "allowed: a whole number from 1 to", id="too wide"),
        pytest.param(
            fixed(at(1, 4), at(4, 2, "b")),
            "column 'b': characters 4-5 overlap with 1-4 of column 'a'; each character belongs to one column",
            id="overlap",
        ),
        pytest.param(
            fixed(at(1, 9), at(2, 1, "b"), at(5, 1, "c")), "column 'c': characters 5-5 overlap with 1-9", id="inside"
        ),
        pytest.param(fixed(at(3, 4), recordWidth=5), "ends at character 6, beyond recordWidth 5", id="beyond the line"),
        pytest.param(fixed(at(1, 1), recordWidth="x"), "found 'x'; allowed: a whole number", id="recordWidth"),
        pytest.param(fixed(at(1, 1), headerLine=1), "found 1; allowed: true or false", id="headerLine"),
        pytest.param(fixed(at(1, 1), headerline=True), "did you mean 'headerLine'?", id="typing error"),
        pytest.param(fixed(at(1, 1), delimiter=";"), "delimiter has no effect on fixed_width files", id="delimiter"),
        pytest.param(
            fixed(at(1, 1), encoding="shift_jis_2004", countBytes=True),
            "is not supported for shift_jis_2004",
            id="bytes of two code points",
        ),
        pytest.param(contract(at(1, 1)), "position and width have no effect", id="another format"),
        pytest.param(
            fixed(at(1, 1), text("b", transformLogic="a", **custom(position=2, width=1))),
            "position has no effect: a column with transformLogic is computed",
            id="computed",
        ),
    ],
)
def test_problems(document: dict[str, Any], message: str, problems: Problems) -> None:
    """What is impossible, or would do nothing, is reported where it stands."""
    assert message in "\n".join(problems(document))
