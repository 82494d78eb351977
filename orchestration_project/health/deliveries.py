"""What became of each recent batch of a feed, and at what time of the day files arrive. No I/O here.

Belongs here: the calendar and the ledger put side by side. Does not belong here: how it is drawn.

Example: a feed that delivers from Monday to Saturday by 22:00.

    batch             due               first file seen     state
    2024-12-19 (Thu)  2024-12-19 22:00  2024-12-19 21:40    came
    2024-12-20 (Fri)  2024-12-20 22:00  2024-12-21 07:15    late
    2024-12-21 (Sat)  2024-12-21 22:00  only refused ones   refused
    2024-12-22 (Sun)                                        not expected
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.expectations import DeliveryState, expectation
from orchestration_project.storage.batches import Batch, Batching, Cadence
from orchestration_project.storage.calendar import DeliveryCalendar
from orchestration_project.warehouse.ledger_batches import Arrival

SHOWN = {Cadence.HOURLY: 14 * 24, Cadence.DAILY: 26 * 7, Cadence.WEEKLY: 52, Cadence.MONTHLY: 36, Cadence.YEARLY: 10}
LONGEST = {Cadence.WEEKLY: 7, Cadence.MONTHLY: 31, Cadence.YEARLY: 366}
"""How many batches are looked back at, and the days of the longest of those that have several."""
ARRIVALS_OF = dt.timedelta(days=90)


class State(StrEnum):
    """What became of a batch."""

    CAME = "came"
    LATE = "late"
    REFUSED = "refused"
    MISSING = "missing"
    AWAITED = "awaited"
    NOT_EXPECTED = "not expected"


NEEDS_ATTENTION = frozenset({State.LATE, State.REFUSED, State.MISSING})


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch of a feed.

    Attributes:
        batch: its start.
        key: its partition key.
        state: what became of it.
        why: more about that, in a few words; may be empty.
    """

    batch: Batch
    key: str
    state: State
    why: str = ""


@dataclass(frozen=True, slots=True)
class WeekdayArrivals:
    """When the first files of batches arrived on a weekday (0 is Monday), in the feed's time zone."""

    weekday: int
    times: tuple[dt.time, ...]

    @property
    def earliest(self) -> dt.time:
        """The earliest time of the day."""
        return min(self.times)

    @property
    def middle(self) -> dt.time:
        """The time at which half of them had arrived."""
        return median_low(self.times)

    @property
    def latest(self) -> dt.time:
        """The latest time of the day."""
        return max(self.times)


def first_shown(batching: Batching, now: dt.datetime) -> Batch:
    """The first batch that is looked back at; daily ones begin with a whole week."""
    current = batching.current(now)
    # Whole days of hours and whole weeks of days, since the page draws them as columns.
    if batching.cadence is Cadence.HOURLY:
        days = SHOWN[Cadence.HOURLY] // 24 - 1
        first: Batch = dt.datetime.combine(Batching.date(current) - dt.timedelta(days=days), dt.time())
    elif batching.cadence is Cadence.DAILY:
        monday = Batching.date(current) - dt.timedelta(days=Batching.date(current).weekday())
        first = monday - dt.timedelta(days=SHOWN[Cadence.DAILY] - 7)
    else:
        step = dt.timedelta(days=LONGEST[batching.cadence])
        # Taken for the longest, so that there are never too few; `floor` makes it the start of a batch.
        first = Batching.date(current) - (SHOWN[batching.cadence] - 1) * step
        first = Batching.date(batching.floor(dt.datetime.combine(first, dt.time())))
    return max(first, batching.start)


def deliveries(
    source: ConfiguredFeed,
    arrivals: Sequence[Arrival],
    first_accepted: str,
    first_load: dt.datetime | None,
    now: dt.datetime,
) -> list[Delivery]:
    """What became of each batch, from the first that is looked back at to the present one.

    Args:
        source: the feed.
        arrivals: what came for its batches.
        first_accepted: the partition key of its first accepted batch ever; empty without any.
        first_load: when its first file was loaded. What was due before is of the past: neither late nor, unless the
            calendar says since when it holds, missing.
        now: the present moment, with a time zone.
    """
    batching, calendar = source.options.batching, source.options.calendar
    # A calendar without `since` would expect batches from before anybody used the platform, and the page would be full
    # of missing ones. It holds from the first accepted batch, and what was due before the first load is not waited for.
    waits_from = first_load if calendar and calendar.since is None else None
    if calendar and batching.is_key(first_accepted):
        calendar = calendar.beginning(batching.from_key(first_accepted))
    came = {arrival.batch: arrival for arrival in arrivals}
    newest = max((arrival.batch for arrival in arrivals if arrival.accepted), default="")
    found = []
    for batch in _batches(batching, now):
        key = batching.key(batch)
        arrival = came.get(key)
        if arrival and arrival.accepted:
            state, why = _of_accepted(arrival, batch, calendar, first_load)
        elif arrival and arrival.refused:
            state, why = State.REFUSED, f"{arrival.refused} file(s) refused"
        # Each file of a snapshot is the whole truth: a day without one has lost nothing, once a newer one came.
        elif source.options.snapshot and key < newest:
            state, why = State.NOT_EXPECTED, "a newer file is the whole truth"
        else:
            state, why = _of_nothing(batch, calendar, waits_from, now)
        found.append(Delivery(batch, key, state, why))
    return found


def _batches(batching: Batching, now: dt.datetime) -> Iterator[Batch]:
    batch, last = first_shown(batching, now), batching.current(now)
    while batch <= last:
        yield batch
        batch = batching.after(batch)


def _of_accepted(
    arrival: Arrival, batch: Batch, calendar: DeliveryCalendar | None, first_load: dt.datetime | None
) -> tuple[State, str]:
    if calendar is None or arrival.first_seen is None or not calendar.expects(batch):
        return State.CAME, ""
    # The first file decides: a correction weeks later does not make the batch late.
    due, seen = calendar.due(batch), arrival.first_seen.replace(tzinfo=dt.UTC)
    if seen <= due or (first_load and due < first_load):
        return State.CAME, ""
    return State.LATE, f"due {due:%F %R}, came {seen.astimezone(due.tzinfo):%F %R}"


def _of_nothing(
    batch: Batch, calendar: DeliveryCalendar | None, waits_from: dt.datetime | None, now: dt.datetime
) -> tuple[State, str]:
    if calendar is None:
        return State.NOT_EXPECTED, "nobody says when it is expected"
    found = expectation(calendar, batch, (), waits_from, now)
    if found.state is DeliveryState.NOT_EXPECTED:
        return State.NOT_EXPECTED, found.why_not
    return (State.MISSING if found.state is DeliveryState.MISSING else State.AWAITED), f"due {found.due:%F %R}"


def by_weekday(arrivals: Sequence[Arrival], batching: Batching, now: dt.datetime) -> list[WeekdayArrivals]:
    """At what times of the day first files arrived in the last 90 days; weekdays without any are left out."""
    times: Mapping[int, list[dt.time]] = defaultdict(list)
    for arrival in arrivals:
        # When a load first saw it, in the feed's zone: a sender at night is at night in summer and in winter.
        seen = arrival.first_seen and arrival.first_seen.replace(tzinfo=dt.UTC)
        if seen and seen >= now - ARRIVALS_OF:
            local = seen.astimezone(batching.timezone)
            times[local.weekday()].append(local.time())
    return [WeekdayArrivals(weekday, tuple(sorted(times[weekday]))) for weekday in sorted(times)]
