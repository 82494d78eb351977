"""Progress: seldom, true and without any effect on the work."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.ingest.session import INTERVAL_SECONDS, Progress, pace


def test_it_tells_how_far_the_work_has_come() -> None:
    """With three seconds an item, every second item is the first after five seconds: it tells what was done before."""
    lines: list[str] = []
    seconds = itertools.count(0, 3)
    done = list(Progress(lines.append, lambda: float(next(seconds))).of("abcde", "f: files hashed", 5))
    assert done == list("abcde")
    assert lines == ["f: files hashed: 1 of 5 in 6.0 s, 0 a second", "f: files hashed: 3 of 5 in 12.0 s, 0 a second"]


@given(st.lists(st.floats(min_value=0, max_value=20), max_size=50))
def test_lines_are_never_closer_than_the_interval(steps: list[float]) -> None:
    """Whatever the items take, all of them come through, and two lines are an interval apart."""
    moments = itertools.accumulate(steps, initial=0.0)
    now = 0.0
    told: list[float] = []

    def clock() -> float:
        nonlocal now
        now = next(moments)
        return now

    assert list(Progress(lambda _: told.append(now), clock).of(steps, "work")) == steps
    assert all(later - earlier >= INTERVAL_SECONDS for earlier, later in itertools.pairwise([0.0, *told]))


@pytest.mark.parametrize(
    ("done", "seconds", "expected"),
    [
        pytest.param(10_000, 4.0, "10,000 in 4.0 s, 2,500 a second", id="long"),
        pytest.param(7, 0.0, "7 in 0.0 s", id="no-time"),
        pytest.param(0, 2.0, "0 in 2.0 s, 0 a second", id="nothing"),
    ],
)
def test_pace(done: int, seconds: float, expected: str) -> None:
    """A rate is told for work that took a second or more."""
    assert pace(done, seconds) == expected
