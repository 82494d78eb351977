"""The operations page: how runs, deliveries, stores and disks do. Its template is beside this module."""

import datetime as dt
from collections.abc import Mapping, Sequence

from orchestration_project.components.charts import Bar, Chart, percent, time_bars
from orchestration_project.components.pages.heat_map import WEEKDAYS, arrival_times, heat_map
from orchestration_project.components.pages.skeleton import KILO, SHARED, SIZES, render_page, seconds, size
from orchestration_project.health.deliveries import NEEDS_ATTENTION, Delivery, State
from orchestration_project.health.operations import Operations, RunsOfDay

PAGE = "operations.html"
BATCHES_SHOWN = 30


def render_operations(operations: Operations) -> str:
    """The page as HTML."""
    return render_page(
        SHARED,
        PAGE,
        operations=operations,
        weekdays=WEEKDAYS,
        states=list(State),
        success=success_chart(operations.days),
        took=duration_chart(operations.days),
        sizes=[size_chart(name, values) for name, values in operations.sizes.items() if len(values) > 1],
        heat_map=heat_map,
        arrival_times=arrival_times,
        attention=attention,
    )


def attention(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """The newest batches that somebody should look at, the newest first."""
    return [item for item in reversed(deliveries) if item.state in NEEDS_ATTENTION][:BATCHES_SHOWN]


def success_chart(days: Sequence[RunsOfDay]) -> Chart:
    """The share of runs that succeeded, day by day."""
    bars = [
        Bar(item.day, item.share, f"{item.day}: {percent(item.share)} of {item.runs} run(s)")
        if item.runs
        else Bar(item.day, None, f"{item.day}: no run")
        for item in days
    ]
    return time_bars("Runs that succeeded, per day", bars, percent=True)


def duration_chart(days: Sequence[RunsOfDay]) -> Chart:
    """How long runs took, day by day."""
    bars = [Bar(item.day, item.mean, f"{item.day}: {seconds(item.mean) if item.runs else 'no run'}") for item in days]
    return time_bars("Mean duration of a run in seconds, per day", bars)


def size_chart(name: str, sizes: Mapping[dt.date, float]) -> Chart:
    """The size of a store, day by day, in the unit that fits the largest.

    Args:
        name: of the store.
        sizes: by day; days without one were not measured.
    """
    power = min(len(SIZES), max(1, (len(str(round(max(sizes.values())))) - 1) // 3))
    first, last = min(sizes), max(sizes)
    days = [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]
    bars = [
        Bar(day, sizes[day] / KILO**power, f"{day}: {size(sizes[day])}")
        if day in sizes
        else Bar(day, None, f"{day}: not measured")
        for day in days
    ]
    return time_bars(f"Size of the {name} in {SIZES[power - 1]}, per day", bars)
