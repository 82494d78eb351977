"""Stretches of time on a chart, and the numbers that stand there."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.components.time_series import MAX_BUCKETS, Unit, floor, percent, starts, unit_for, whole

FIRST = dt.date(2024, 1, 15)


@pytest.mark.parametrize(
    ("days", "unit"),
    [
        pytest.param(1, Unit.DAY, id="one day"),
        pytest.param(100, Unit.DAY, id="as many days as fit"),
        pytest.param(101, Unit.WEEK, id="one day more"),
        pytest.param(1000, Unit.MONTH, id="years of days"),
        pytest.param(10000, Unit.YEAR, id="decades"),
    ],
)
def test_unit(days: int, unit: Unit) -> None:
    """The longer the span, the longer the stretches."""
    assert unit_for(FIRST, FIRST + dt.timedelta(days=days - 1)) is unit


@settings(deadline=None)
@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)), st.integers(0, 20000))
def test_stretches_cover_the_span_without_holes(first: dt.date, days: int) -> None:
    """Each day of a span falls into one of the stretches, which follow each other and are not too many."""
    last = first + dt.timedelta(days=days)
    unit = unit_for(first, last)
    found = list(starts(unit, first, last))
    assert found == sorted(set(found))
    assert found[0] == floor(unit, first) <= first
    assert found[-1] == floor(unit, last) <= last
    assert len(found) <= MAX_BUCKETS
    assert {floor(unit, day) for day in (first, last, first + (last - first) / 2)} <= set(found)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(whole(1234567), "1,234,567", id="count"),
        pytest.param(percent(0.0123), "1.2%", id="share"),
        pytest.param(percent(0.00001), "<0.1%", id="a little is not nothing"),
        pytest.param(percent(0.0), "0.0%", id="nothing"),
        pytest.param(whole(None), "-", id="count that is not known"),
        pytest.param(percent(None), "-", id="share that is not known"),
    ],
)
def test_numbers(found: str, expected: str) -> None:
    """Each kind of number has one form; nothing known is a dash."""
    assert found == expected
