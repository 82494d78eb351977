"""Results as text."""

import pytest

from benchmarks.measure import Contender
from benchmarks.report import Section, Target, megabytes, seconds, table, times


@pytest.mark.parametrize(
    ("target", "line"),
    [
        pytest.param(Target("a to b", 1.25, 1.25), "- a to b: 1.25 x, aimed at <= 1.25 x: met", id="just met"),
        pytest.param(Target("a to b", 1.26, 1.25), "- a to b: 1.26 x, aimed at <= 1.25 x: **missed**", id="missed"),
        pytest.param(Target("c", 5.0, 2.5, at_least=True), "- c: 5.00 x, aimed at >= 2.5 x: met", id="more is better"),
        pytest.param(Target("d", 2.0, 1, unit="s"), "- d: 2.00 s, aimed at <= 1 s: **missed**", id="in seconds"),
        pytest.param(Target("e", None, 1), "- e: -, aimed at <= 1 x: not measured", id="unknown"),
    ],
)
def test_targets(target: Target, line: str) -> None:
    """A target tells what was found, what was aimed at, and whether that was met."""
    assert str(target) == line


def test_what_is_unknown_is_not_met() -> None:
    """A target whose contender failed does not count as met, on either side of the limit."""
    assert not Target("a", None, 1).met
    assert not Target("a", None, 1, at_least=True).met


def test_a_table_is_aligned() -> None:
    """Text stands left, figures stand right, and every line is as long as the others."""
    lines = table(["", "time"], [["baseline", "9.10 s"], ["platform", "12.0 s"]]).splitlines()
    assert lines == ["|          |   time |", "| -------- | -----: |", "| baseline | 9.10 s |", "| platform | 12.0 s |"]


def test_a_section_shows_failures_beside_the_figures() -> None:
    """Whoever failed is named with the end of what it said; whoever did not is not."""
    bad, good = Contender("bad", []), Contender("good", [])
    bad.failure = "it said:\nno"
    section = Section("Loads", "What.", ["", "time"], [["good", "1.00 s"]], [Target("a", 1, 2)])
    section.add_failures([bad, good])
    assert str(section).split("\n\n")[0:2] == ["## Loads", "What."]
    assert str(section).endswith("**bad failed:**\n\n```\nit said:\nno\n```\n")
    assert "good failed" not in str(section)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(seconds(9.994), "9.99 s", id="short"),
        pytest.param(seconds(123.45), "123.5 s", id="long"),
        pytest.param(megabytes(1_234_567_890), "1,235 MB", id="memory"),
        pytest.param(times(1 / 3), "0.33 x", id="ratio"),
        pytest.param(seconds(None) + megabytes(None) + times(None), "---", id="unknown"),
    ],
)
def test_figures(text: str, expected: str) -> None:
    """Figures have as many digits as they are worth."""
    assert text == expected
