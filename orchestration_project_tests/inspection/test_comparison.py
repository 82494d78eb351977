"""What size of a batch is usual."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.inspection.comparison import compared_with, limits_of, volumes
from orchestration_project.storage.batches import Batch, Batching, Cadence

DAILY = Batching(Cadence.DAILY, dt.date(2024, 1, 1))
SATURDAYS = [f"{dt.date(2024, 3, 2) + weeks * dt.timedelta(weeks=1):%F}" for weeks in range(9)]


@pytest.mark.parametrize(
    ("cadence", "batch", "first", "last"),
    [
        pytest.param(Cadence.DAILY, dt.date(2024, 4, 27), "2024-04-20", "2024-03-02", id="daily: the same weekday"),
        pytest.param(
            Cadence.HOURLY,
            dt.datetime(2024, 4, 27, 8),  # noqa: DTZ001 - batches are in the feed's own time
            "2024-04-20-08:00",
            "2024-03-02-08:00",
            id="hourly: the same hour of the same weekday",
        ),
        pytest.param(Cadence.WEEKLY, dt.date(2024, 4, 22), "2024-04-15", "2024-02-26", id="weekly: the weeks before"),
        pytest.param(
            Cadence.MONTHLY, dt.date(2024, 10, 1), "2024-09-01", "2024-02-01", id="monthly: the months before"
        ),
        pytest.param(Cadence.YEARLY, dt.date(2024, 1, 1), "2023-01-01", "2016-01-01", id="yearly: the years before"),
    ],
)
def test_what_a_batch_is_compared_with(cadence: Cadence, batch: Batch, first: str, last: str) -> None:
    """A batch is compared with eight earlier ones that are like it."""
    start: Batch = dt.datetime(2010, 1, 1) if cadence is Cadence.HOURLY else dt.date(2010, 1, 1)  # noqa: DTZ001
    found = compared_with(Batching(cadence, start), batch)
    assert (len(found), found[0], found[-1]) == (8, first, last)


def test_a_batch_is_not_compared_with_what_the_feed_cannot_have() -> None:
    """Before the feed's first batch there is nothing."""
    assert compared_with(DAILY, dt.date(2024, 1, 15)) == ["2024-01-08", "2024-01-01"]


@pytest.mark.parametrize(
    ("sizes", "factor", "limits"),
    [
        pytest.param([100, 104], 3, None, id="too few"),
        pytest.param([100, 104, 96, 100, 160, 100, 92, 108], 3, (100, 100 / 3, 300), id="never under the factor"),
        pytest.param([100, 104, 96, 100, 160, 100, 92, 108], 1, (100, 79.2, 120.8), id="learned"),
        pytest.param([100, 900, 500, 50, 1000], 1.5, (500, 0, 2576), id="a feed that varies"),
        pytest.param([7, 7, 7], 2, (7, 3.5, 14), id="a feed that never varies"),
        pytest.param([0, 0, 0], 3, (0, 0, 0), id="a feed that is always empty"),
    ],
)
def test_limits(sizes: list[int], factor: float, limits: tuple[float, float, float] | None) -> None:
    """The limits are as far from the median as the sizes vary, and never closer than the factor."""
    found = limits_of(sizes, factor)
    assert (found and (found.median, found.smallest, found.largest)) == (limits and pytest.approx(limits, abs=1))


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=8), st.floats(1, 100))
def test_limits_hold_the_median_and_the_factor(sizes: list[int], factor: float) -> None:
    """Whatever the sizes, nothing within the factor of their median is unusual."""
    found = limits_of(sizes, factor)
    assert found
    assert 0 <= found.smallest <= found.median / factor <= found.median <= found.median * factor <= found.largest


def test_saturdays_are_compared_with_saturdays() -> None:
    """A Saturday that is as weak as a Monday is unusual; a feed that is too new has no limits."""
    sizes = dict.fromkeys(SATURDAYS, 1000) | {"2024-04-29": 100, SATURDAYS[-1]: 100}
    saturday, monday = volumes(DAILY, [SATURDAYS[-1], "2024-04-29"], sizes, 3)
    assert (saturday.usual, saturday.limits and saturday.limits.median) == (False, 1000)
    assert (monday.usual, monday.limits) == (True, None)
