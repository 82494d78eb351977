"""The report's charts: which figures over time each of them shows. Dagster's UI has the same ones."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import TypeVar

from orchestration_project.components.charts import Bar, Chart, time_bars
from orchestration_project.components.charts_data import Quality, Stretch
from orchestration_project.components.number_formats import money, percent, whole

Height = TypeVar("Height", int, float, Decimal)


def revenue(stretches: Sequence[Stretch], unit: str) -> Chart:
    """Revenue over time."""
    heights = ((item.start, item.figures.revenue if item.figures else None) for item in stretches)
    return time_bars(f"Revenue per {unit}", _bars(heights, money))


def units(stretches: Sequence[Stretch], unit: str) -> Chart:
    """Units sold over time."""
    heights = ((item.start, item.figures.units if item.figures else None) for item in stretches)
    return time_bars(f"Units sold per {unit}", _bars(heights, whole))


def rows(quality: Sequence[Quality], unit: str) -> Chart:
    """Cleaned rows over time."""
    heights = ((item.start, item.cleaned) for item in quality)
    return time_bars(f"Cleaned rows per {unit}", _bars(heights, whole))


def reject_share(quality: Sequence[Quality], unit: str) -> Chart:
    """The share of rejected records over time."""
    heights = ((item.start, item.share) for item in quality)
    return time_bars(f"Share of rejected records per {unit}", _bars(heights, percent), percent=True, warn=True)


def _bars(heights: Iterable[tuple[date, Height | None]], written: Callable[[Height], str]) -> list[Bar]:
    return [
        Bar(start, None, f"{start}: no batch")
        if height is None
        else Bar(start, float(height), f"{start}: {written(height)}")
        for start, height in heights
    ]
