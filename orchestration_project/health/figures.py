"""Figures of runs and of sizes over time, as pure functions.

Belongs here: arithmetic. Does not belong here: where runs and sizes come from.
"""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean

from orchestration_project.health import model
from orchestration_project.health.model import Kind, Measurement
from orchestration_project.health.run_history import FinishedRun

LAST = 10
P95 = 0.95
WINDOW = dt.timedelta(days=30)
GROWTH_WINDOW = dt.timedelta(days=7)
LEAST_SPAN = dt.timedelta(hours=12)
"""Of a shorter time a growth a day would only be a guess."""


def percentile(values: Iterable[float], share: float) -> float | None:
    """The smallest of the values that at least a share (0 to 1) of them do not exceed; None without values.

    Example: the 95th percentile of 1, 2, ..., 20 is 19.
    """
    ordered = sorted(values)
    # The nearest rank and no interpolation: the figure is the duration of a run that somebody can look at.
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def mean(values: Sequence[float]) -> float | None:
    """The mean; None without values."""
    return fmean(values) if values else None


def success_share(runs: Iterable[FinishedRun]) -> float | None:
    """The share (0 to 1) of the runs that succeeded; None if there is none to tell. Cancelled runs do not count."""
    counted = [run.succeeded for run in runs if run.succeeded or run.failed]
    return sum(counted) / len(counted) if counted else None


def durations(runs: Iterable[FinishedRun]) -> list[float]:
    """The seconds that successful and failed runs took, from the start of their process."""
    # A run that was cancelled in the queue has an end and no start.
    return [(run.ended - run.started).total_seconds() for run in runs if run.started and (run.succeeded or run.failed)]


def lags(runs: Iterable[FinishedRun]) -> list[float]:
    """The seconds from the moment for which a schedule planned a run to its real start, never below zero."""
    # The daemon and the run may be on two machines, whose clocks differ.
    return [max(0.0, (run.started - run.planned).total_seconds()) for run in runs if run.started and run.planned]


def of_runs(kind: Kind, subject: str, runs: Sequence[FinishedRun], last: Sequence[FinishedRun]) -> list[Measurement]:
    """The figures of a job or a schedule.

    Args:
        kind: of the subject.
        subject: its name.
        runs: those of the last 30 days, the oldest first.
        last: the last ten, whenever they were.
    """
    took, late = durations(runs), lags(runs) if kind is Kind.SCHEDULE else []
    return model.measured(
        kind,
        subject,
        **{
            model.RUNS: len(runs),
            model.LAST_10: success_share(last),
            model.LAST_30_DAYS: success_share(runs),
            model.DURATION_MEAN: mean(took),
            model.DURATION_P95: percentile(took, P95),
            model.LAST_SUCCESS: max((run.ended.timestamp() for run in runs if run.succeeded), default=None),
        },
        **({model.LAG_MEAN: mean(late), model.LAG_P95: percentile(late, P95)} if kind is Kind.SCHEDULE else {}),
    )


def grouped(
    runs: Iterable[FinishedRun], name_of: Callable[[FinishedRun], str], known: Iterable[str] = ()
) -> dict[str, list[FinishedRun]]:
    """The runs by a name, in order of names; runs without that name are left out.

    Args:
        runs: the runs.
        name_of: gives the name of a run.
        known: names that are told even if they have no run.
    """
    found: dict[str, list[FinishedRun]] = {name: [] for name in known}
    for run in runs:
        if name := name_of(run):
            found.setdefault(name, []).append(run)
    return dict(sorted(found.items()))


def growth(past: Mapping[dt.datetime, float], now: dt.datetime, size: float) -> float | None:
    """By how much a size grew a day, over up to 7 days; None if it is known for less than half a day.

    Args:
        past: earlier sizes by their moment.
        now: the present moment.
        size: the present size.
    """
    # From the first moment of the window, not from the measurement before: a warehouse grows by loads, in steps, and
    # one hour says nothing of a day.
    moments = [moment for moment in past if now - GROWTH_WINDOW <= moment <= now - LEAST_SPAN]
    if not moments:
        return None
    first = min(moments)
    return (size - past[first]) / ((now - first) / dt.timedelta(days=1))


def by_day(runs: Iterable[FinishedRun], last: dt.date, days: int) -> list[tuple[dt.date, list[FinishedRun]]]:
    """The runs that ended on each of the last days (in UTC), without holes.

    Args:
        runs: any runs; those of other days are left out.
        last: the last day.
        days: how many days.
    """
    # Days without a run are days with an empty list: left out, a week of silence would not be seen on the page.
    ended: dict[dt.date, list[FinishedRun]] = defaultdict(list)
    for run in runs:
        ended[run.ended.date()].append(run)
    return [(day, ended[day]) for day in (last - dt.timedelta(days=back) for back in reversed(range(days)))]
