"""Time on a chart: days where there are few, else weeks, months or years, without holes."""

import datetime as dt
from collections.abc import Iterator
from enum import StrEnum
from itertools import islice

MAX_BUCKETS = 100


class Unit(StrEnum):
    """How much time one bar of a chart stands for; the names are those of DuckDB's `date_trunc`."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


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


def _after(unit: Unit, start: dt.date) -> dt.date:
    days = {Unit.DAY: 1, Unit.WEEK: 7, Unit.MONTH: 31, Unit.YEAR: 366}[unit]
    return floor(unit, start + dt.timedelta(days=days))


def starts(unit: Unit, first: dt.date, last: dt.date) -> Iterator[dt.date]:
    """The first days of all buckets from the one of `first` to the one of `last`."""
    start = floor(unit, first)
    while start <= last:
        yield start
        start = _after(unit, start)


def unit_for(first: dt.date, last: dt.date) -> Unit:
    """The shortest unit that makes no more than `MAX_BUCKETS` buckets of a span; years if none does."""
    return next((unit for unit in Unit if _fits(starts(unit, first, last))), Unit.YEAR)


def _fits(found: Iterator[dt.date]) -> bool:
    return next(islice(found, MAX_BUCKETS, None), None) is None
