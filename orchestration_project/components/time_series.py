"""Figures over time, and the charts of them that any feed or mart has: cleaned rows, rejected share, a total.

Belongs here: days, weeks, months and years without holes, and which figure a bar shows. How bars are drawn is in
`charts`; the figures of one shop are where its report is.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import islice

from orchestration_project.components.charts import Bar, Chart, time_bars

MAX_BUCKETS = 100
LEAST_SHARE = 0.001
DASH = "-"
Figure = int | float | Decimal


class Unit(StrEnum):
    """How much time one bar of a chart stands for; the names are those of DuckDB's `date_trunc`."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Quality:
    """The records of one day, week, month or year of a feed; without batches both are None."""

    start: dt.date
    cleaned: int | None
    rejected: int | None

    @property
    def share(self) -> float | None:
        """The share of records that were rejected; None if there was none to validate."""
        records = (self.cleaned or 0) + (self.rejected or 0)
        return (self.rejected or 0) / records if records else None


def floor(unit: Unit, day: dt.date) -> dt.date:
    """The first day of the bucket that a day falls into; weeks start on Monday, as those of `date_trunc` do."""
    match unit:
        case Unit.DAY:
            return day
        case Unit.WEEK:
            return day - dt.timedelta(days=day.weekday())
        case Unit.MONTH:
            return day.replace(day=1)
        case Unit.YEAR:
            return day.replace(month=1, day=1)


def starts(unit: Unit, first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """The first days of all buckets from the one of `first` to the one of `last`."""
    start = floor(unit, first)
    while start <= last:
        yield start
        start = _after(unit, start)


def _after(unit: Unit, start: dt.date) -> dt.date:
    days = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.YEAR: 366}[unit]
    return floor(unit, start + dt.timedelta(days=days))


def unit_for(first: dt.date, last: dt.date) -> Unit:
    """The shortest unit that makes no more than `MAX_BUCKETS` buckets of a span; years if none does."""
    return next((unit for unit in Unit if _are_few(starts(unit, first, last))), Unit.YEAR)


def _are_few(buckets: Iterator[dt.date]) -> bool:
    return next(islice(buckets, MAX_BUCKETS, None), None) is None


def whole(value: Figure | None) -> str:
    """A number with its thousands set apart; a dash where nothing is known."""
    return DASH if value is None else f"{value:,}"


def percent(value: float | None) -> str:
    """A share of 1. A share above nothing is never written as nothing."""
    if value is None:
        return DASH
    return f"<{LEAST_SHARE:.1%}" if 0 < value < LEAST_SHARE else f"{value:.1%}"


def cleaned_rows(quality: Sequence[Quality], unit: str) -> Chart:
    """Cleaned rows over time."""
    return time_bars(f"Cleaned rows per {unit}", _bars(((item.start, item.cleaned) for item in quality), whole))


def reject_share(quality: Sequence[Quality], unit: str) -> Chart:
    """The share of rejected records over time."""
    shares = ((item.start, item.share) for item in quality)
    return time_bars(f"Share of rejected records per {unit}", _bars(shares, percent), percent=True, warn=True)


def total(
    name: str, values: Iterable[tuple[dt.date, Figure | None]], unit: str, written: Callable[[Figure], str] = whole
) -> Chart:
    """A total over time.

    Args:
        name: what is added up.
        values: by start of the day, week, month or year, in order and without holes; None: no batch.
        unit: what a bar stands for, in words.
        written: how a value is written.
    """
    return time_bars(f"{name} per {unit}", _bars(values, written))


def _bars(heights: Iterable[tuple[dt.date, Figure | None]], written: Callable[..., str]) -> list[Bar]:
    return [
        Bar(start, None, f"{start}: no batch")
        if height is None
        else Bar(start, float(height), f"{start}: {written(height)}")
        for start, height in heights
    ]
