"""Which batches of a feed are expected, and by when each of them is due. No I/O here.

Belongs here: the calendar of a feed as plain data, and what it says of a batch. What a `defs.yaml` may say of it is in
`components.feed_deliveries`, what a contract says in `ingest.options`. Whether a batch has come is asked elsewhere.

Example: a shop that is open from Monday to Saturday and delivers by 22:00 on the same day.

    batch             expected              due
    2024-12-20 (Fri)  yes                   2024-12-20 22:00
    2024-12-22 (Sun)  no: Sunday
    2024-12-24 (Tue)  no: closed            (closed: [2024-12-24])
    2024-12-25 (Wed)  no: holiday           (holidays: DE-BY)
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.storage.batches import Batch, Batching, Cadence

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ALL_DAYS = frozenset(range(7))
ALL_HOURS = frozenset(range(24))
DAY = dt.timedelta(days=1)
MONTH, YEAR = 31 * DAY, 366 * DAY
BEFORE_THE_FIRST = "before the first batch"
INSTALL = "pip install 'orchestration-project[calendar]'"


@dataclass(frozen=True, slots=True)
class DueAt:
    """A batch is due at a time of day in the feed's time zone, some days after its last day."""

    at: dt.time
    days_after: int = 0

    def moment(self, batching: Batching, batch: Batch) -> dt.datetime:
        """When a batch is due; of a time that comes twice the second, of one that clocks skip the one after it."""
        hourly = batching.cadence is Cadence.HOURLY
        last = Batching.date(batch) if hourly else Batching.date(batching.after(batch)) - DAY
        return _local(last + self.days_after * DAY, self.at, batching.timezone)

    @property
    def delayed_by(self) -> dt.timedelta:
        """No batch is due longer after its end than this."""
        return (self.days_after + 1) * DAY


@dataclass(frozen=True, slots=True)
class DueAfter:
    """A batch is due some time after its end, or at the next time of day after that.

    Attributes:
        delay: how long after its end.
        times: times of day, in the feed's time zone unless they have an offset; the first to come counts.
    """

    delay: dt.timedelta
    times: tuple[dt.time, ...] = ()

    def moment(self, batching: Batching, batch: Batch) -> dt.datetime:
        """When a batch is due. A day after midnight is midnight, though a change of clocks makes it 23 or 25 hours."""
        end = batching.begin(batching.after(batch))
        if batching.cadence is Cadence.HOURLY:
            # In UTC: after an hour, a delay is time that passes; after a day, it is time on the wall clock.
            over = (end + self.delay).astimezone(batching.timezone)
        else:
            over = end.astimezone(batching.timezone) + self.delay
        return min((_next(over, time) for time in self.times), default=over)

    @property
    def delayed_by(self) -> dt.timedelta:
        """No batch is due longer after its end than this."""
        # A time of day comes within a day, which has 25 hours where clocks are put back.
        return self.delay + 2 * DAY


Deadline = DueAt | DueAfter


def _local(day: dt.date, at: dt.time, zone: "ZoneInfo") -> dt.datetime:
    # Berlin's skipped 2:30 in March is 3:30 with fold 0 and 1:30 with fold 1; of the two 2:30 in October, fold 1 is the
    # second. So the later one is right in both cases.
    both = [dt.datetime.combine(day, at.replace(fold=fold), zone).astimezone(dt.UTC) for fold in (0, 1)]
    return max(both).astimezone(zone)


def _next(moment: dt.datetime, at: dt.time) -> dt.datetime:
    """The first moment with a time of day that is not before a moment."""
    zone = moment.tzinfo
    assert zone
    day = moment.astimezone(at.tzinfo or zone).date()
    # Today's may be over. With an offset of its own, `today` is the day there.
    found = (dt.datetime.combine(day + days * DAY, at, at.tzinfo or zone) for days in (0, 1))
    return next(item for item in found if item >= moment).astimezone(zone)


@dataclass(frozen=True, slots=True)
class DeliveryCalendar:
    """Which batches of a feed are expected, and when they are due.

    A batch is expected if it has an open day; an hour also has to be one of `hours`. So a week is not expected only if
    all of its days are closed.

    Attributes:
        batching: how batches follow each other.
        deadline: when a batch is due.
        days: the weekdays that are open; Monday is 0.
        hours: the hours of a day for which an hourly feed delivers.
        closed: days that are not open, as `2024-12-24`, or as `12-24` for every year.
        holidays: the region whose public holidays are not open, such as DE-BY; empty for none.
        since: the first batch that is expected; None for the feed's first accepted one, see `beginning`.
        declared: whether it is the feed's own. If not, it is what the contract promises: that is no calendar of the
            past, so nothing is expected that was due before the feed's first load.
    """

    batching: Batching
    deadline: Deadline
    days: frozenset[int] = ALL_DAYS
    hours: frozenset[int] = ALL_HOURS
    closed: frozenset[str] = frozenset()
    holidays: str = ""
    since: Batch | None = None
    declared: bool = True

    def beginning(self, first: Batch | None) -> "DeliveryCalendar":
        """The calendar from the feed's first accepted batch on, unless it says itself since when it holds."""
        return self if self.since is not None or first is None else replace(self, since=first)

    def expects(self, batch: Batch) -> bool:
        """Whether a batch is expected."""
        return not self.why_not(batch)

    def why_not(self, batch: Batch) -> str:
        """Why a batch is not expected, in a few words; empty if it is."""
        if batch < (self.batching.start if self.since is None else self.since):
            return BEFORE_THE_FIRST
        if isinstance(batch, dt.datetime) and batch.hour not in self.hours:
            return "outside of the hours of delivery"
        reasons = [self._why_shut(day) for day in self._days_of(batch)]
        if not all(reasons):
            return ""
        return reasons[0] if len(reasons) == 1 else "none of its days is open"

    def due(self, batch: Batch) -> dt.datetime:
        """When a batch is due, in the feed's time zone."""
        return self.deadline.moment(self.batching, batch)

    def expected(self, first: Batch, now: dt.datetime) -> list[Batch]:
        """The expected batches that are due by `now` (with a time zone), in order.

        Args:
            first: the first that counts; the cost is that of all batches from there on.
            now: the present moment.
        """
        return [batch for batch in self._from(first, now) if self.expects(batch) and self.due(batch) <= now]

    def next_expected(self, now: dt.datetime) -> Iterator[Batch]:
        """The expected batches that are not due at `now`, in order, as far as they begin within a year."""
        # A batch that began long ago may still become due.
        first = self.batching.current(now - self.reach)
        for batch in self._from(first, now + YEAR):
            if self.expects(batch) and self.due(batch) > now:
                yield batch

    @property
    def reach(self) -> dt.timedelta:
        """No batch is due longer after its begin than this."""
        # Not a year for all: each batch of that time is looked at.
        return (YEAR if self.batching.cadence is Cadence.YEARLY else MONTH) + self.deadline.delayed_by

    def _from(self, first: Batch, until: dt.datetime) -> Iterator[Batch]:
        batch = max(first, self.batching.start if self.since is None else self.since)
        while self.batching.begin(batch) <= until:
            yield batch
            batch = self.batching.after(batch)

    def _days_of(self, batch: Batch) -> Sequence[dt.date]:
        first = Batching.date(batch)
        if self.batching.cadence in (Cadence.HOURLY, Cadence.DAILY):
            return [first]
        days = (Batching.date(self.batching.after(batch)) - first).days
        return [first + number * DAY for number in range(days)]

    def _why_shut(self, day: dt.date) -> str:
        if day.weekday() not in self.days:
            return WEEKDAYS[day.weekday()]
        if not self.closed.isdisjoint((f"{day:%Y-%m-%d}", f"{day:%m-%d}")):
            return "closed"
        if self.holidays and (name := holidays_of(self.holidays, day.year).get(day)):
            return f"holiday: {name}"
        return ""


@lru_cache(maxsize=256)
def holidays_of(region: str, year: int) -> Mapping[dt.date, str]:
    """The names of a region's public holidays in a year, by day.

    Raises:
        ValueError: as `require_region`.
    """
    require_region(region)
    import holidays

    country, _, subdivision = region.partition("-")
    # In English where the package has it: its default follows the locale, and otherwise in Python 3.13 than in 3.11.
    return dict(holidays.country_holidays(country, subdiv=subdivision or None, years=year, language="en_US"))


def require_region(region: str) -> None:
    """Make sure that the public holidays of a region are known.

    Raises:
        ValueError: they are not, or the package that knows them is not installed.
    """
    try:
        # It takes a quarter of a second, so only a feed that needs it pays for it.
        import holidays
    except ImportError:
        raise ValueError(
            f"the public holidays of {region!r} need the package holidays: {INSTALL}, or list the days as `closed`"
        ) from None
    known = holidays.list_supported_countries(include_aliases=True)
    country, _, subdivision = region.partition("-")
    if country not in known:
        raise ValueError(
            f"there are no public holidays for {region!r}: {country!r} is no code of a country as in ISO 3166, such as"
            f" DE, or of a part of one, such as DE-BY{did_you_mean(country, known)}"
        )
    if subdivision and subdivision not in known[country]:
        parts = ", ".join(known[country])
        raise ValueError(
            f"there are no public holidays for {region!r}"
            + (f": the parts of {country} are {parts}" if parts else f": {country} has no parts; write {country}")
            + did_you_mean(subdivision, known[country])
        )
