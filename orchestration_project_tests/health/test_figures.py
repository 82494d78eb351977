"""Figures of runs and sizes, against values that were worked out by hand."""

import datetime as dt

import pytest

from orchestration_project.health import figures, model
from orchestration_project.health.model import Kind
from orchestration_project_tests.health.runs import NOW, finished

DAY = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param(range(1, 21), 0.95, 19, id="95 % of twenty"),
        pytest.param(range(1, 101), 0.95, 95, id="95 % of a hundred"),
        pytest.param([7.5], 0.95, 7.5, id="of one"),
        pytest.param([3, 1, 2], 0.5, 2, id="the middle one"),
        pytest.param([3, 1, 2], 0.0, 1, id="the least"),
        pytest.param([3, 1, 2], 1.0, 3, id="the greatest"),
        pytest.param([], 0.95, None, id="of none"),
    ],
)
def test_percentile(values: list[float], share: float, expected: float | None) -> None:
    """A percentile is one of the values, the smallest that enough of them do not exceed."""
    assert figures.percentile(values, share) == expected


def test_figures_of_a_schedule() -> None:
    """Runs are counted, cancelled ones neither succeed nor fail, and durations and lags are those of real starts."""
    runs = [
        finished(took=10, lag=1, ended=NOW - DAY),
        finished("FAILURE", took=20, lag=3),
        finished("FAILURE", took=None, lag=5),
        finished("CANCELED", took=1000, lag=0),
    ]
    found = {item.metric.name: item.value for item in figures.of_runs(Kind.SCHEDULE, "s", runs, runs[:1])}
    assert found == {
        model.RUNS: 4,
        model.LAST_10: 1.0,
        model.LAST_30_DAYS: pytest.approx(1 / 3),
        model.DURATION_MEAN: 15,
        model.DURATION_P95: 20,
        model.LAST_SUCCESS: (NOW - DAY).timestamp(),
        model.LAG_MEAN: pytest.approx(4 / 3),
        model.LAG_P95: 3,
    }


def test_nothing_is_told_of_what_is_not_known() -> None:
    """Of runs that were all cancelled in the queue there is only their number."""
    runs = [finished("CANCELED", took=None)]
    assert [(item.metric.name, item.value) for item in figures.of_runs(Kind.JOB, "j", runs, runs)] == [(model.RUNS, 1)]


def test_a_run_before_its_time_has_no_lag() -> None:
    """Clocks of two machines may differ; a lag is never below zero."""
    assert figures.lags([finished(lag=-2)]) == [0]


def test_runs_are_grouped_by_name() -> None:
    """Each name has its runs, in order of names; runs without one are left out, known names are not."""
    runs = [finished(job="b"), finished(job="a"), finished(job=""), finished(job="b")]
    found = figures.grouped(runs, lambda run: run.job, ["c", "a"])
    assert {name: len(own) for name, own in found.items()} == {"a": 1, "b": 2, "c": 0}


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param({NOW - 2 * DAY: 100.0, NOW - DAY: 700.0}, 200.0, id="from the first that is known"),
        pytest.param({NOW - 8 * DAY: 0.0, NOW - 5 * DAY: 400.0}, 20.0, id="over a week at most"),
        pytest.param({NOW - 4 * DAY: 900.0}, -100.0, id="it may shrink"),
        pytest.param({NOW - dt.timedelta(hours=6): 100.0}, None, id="too short a time"),
        pytest.param({}, None, id="nothing known"),
    ],
)
def test_growth(past: dict[dt.datetime, float], expected: float | None) -> None:
    """Growth is what a store gained, divided by the days."""
    assert figures.growth(past, NOW, 500.0) == expected


def test_days_have_no_holes() -> None:
    """Each of the last days is told, those without runs too, and no other."""
    runs = [finished(ended=NOW - 5 * DAY), finished(ended=NOW - 2 * DAY), finished()]
    days = figures.by_day(runs, NOW.date(), 3)
    assert [(day.isoformat(), len(own)) for day, own in days] == [
        ("2026-03-16", 1),
        ("2026-03-17", 0),
        ("2026-03-18", 1),
    ]
