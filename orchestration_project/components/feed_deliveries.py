"""`deliveries` of a feed's `defs.yaml`: when batches are expected, in the words of a person.

Belongs here: the attributes, what they may say, and the calendar that they give. What a calendar says of a batch is in
`storage.calendar`.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import dagster as dg
from pydantic import Field, field_validator

from orchestration_project.contracts.errors import did_you_mean, listed
from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.options import promised_deadline
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.calendar import (
    ALL_HOURS,
    WEEKDAYS,
    Deadline,
    DeliveryCalendar,
    DueAfter,
    DueAt,
    require_region,
)

NAMES_OF_DAYS = tuple(name[:3].casefold() for name in WEEKDAYS)
# "22:00", "6:30" and, for midnight after a day, "24:00"
CLOCK = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})")
# "30m", "2h", "1d"; also "2 h"
SPAN = re.compile(r"(?P<number>\d+)\s*(?P<unit>[mhd])")
UNITS = {"m": dt.timedelta(minutes=1), "h": dt.timedelta(hours=1), "d": dt.timedelta(days=1)}
DUE_FORMS = (
    'a local time in quotes, such as "22:00" or "24:00", or how long after the batch\'s end, such as 30m, 2h or 1d'
)


class Deliveries(dg.Model, dg.Resolvable):
    """When batches of a feed are expected. What it leaves out of `due`, the contract's service levels say."""

    due: Annotated[
        str | int | None,
        Field(
            description='By when a batch is there: a local time in quotes (`"22:00"`, of the batch\'s last day), or how'
            " long after its end (`30m`, `2h`, `1d`). Left out: as the contract's `latency` and `timeOfAvailability`"
            " say.",
        ),
    ] = None
    days_after: Annotated[
        int, Field(ge=0, description="How many days after the batch's last day the local time of `due` is.")
    ] = 0
    days: Annotated[
        str | Sequence[str],
        Field(
            description="The open weekdays, as ranges and lists: `mon-sat`, `mon-fri, sun`. A week or a month is"
            " expected if any of its days is open."
        ),
    ] = "mon-sun"
    hours: Annotated[
        str | int | Sequence[str | int] | None,
        Field(
            description="For which hours of a day an hourly feed delivers: `8-19` are those from 8:00 to 20:00. Left"
            " out: all."
        ),
    ] = None
    since: Annotated[
        str | None,
        Field(
            description="The first batch that is expected, `YYYY-MM-DD`. Left out: the first that was ever accepted;"
            " then nobody is told of batches that were due before the feed's first load."
        ),
    ] = None
    holidays: Annotated[
        str,
        Field(
            description="The country, or part of one, whose public holidays are not open: `DE`, `DE-BY`, `US-CA`. Needs"
            " the package `holidays`, which the extra `calendar` installs."
        ),
    ] = ""
    closed: Annotated[
        Sequence[str],
        Field(description='More days that are not open: `2024-12-24`, or `"12-24"` for every year.'),
    ] = ()

    @field_validator("due")
    @classmethod
    def _is_a_time(cls, value: str | int | None) -> str | None:
        # YAML takes 22:00 without quotes for the number 1320.
        if value is not None and (isinstance(value, int) or (_clock(value) is None and _span(value) is None)):
            raise ValueError(f"{value!r} is not {DUE_FORMS}")
        return value

    @field_validator("days")
    @classmethod
    def _are_weekdays(cls, value: str | Sequence[str]) -> str | Sequence[str]:
        _numbers(value, _weekday, len(WEEKDAYS))
        return value

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, value: str | int | Sequence[str | int] | None) -> str | int | Sequence[str | int] | None:
        if value is not None:
            _numbers(value, _hour, len(ALL_HOURS))
        return value

    @field_validator("since")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        return None if value is None else _date(value).isoformat()

    @field_validator("holidays")
    @classmethod
    def _is_a_region(cls, value: str) -> str:
        if value:
            require_region(value)
        return value

    @field_validator("closed")
    @classmethod
    def _are_days(cls, value: Sequence[str]) -> list[str]:
        return [_closed_day(day) for day in value]

    def problem(self, cadence: str) -> str:
        """Why these attributes do not fit a feed's cadence; empty if they do."""
        at_a_time = self.due is not None and _clock(self.due) is not None
        # `due: "12:00"` would be before the hour that begins at 20:00 of the same day.
        if cadence == Cadence.HOURLY and at_a_time and not self.days_after:
            return (
                f"by due: {self.due!r} some hours would be due before they are over: write how long after its end an"
                " hour is due, such as 30m, or set days_after"
            )
        if cadence != Cadence.HOURLY and self.hours is not None:
            return f"hours are about hourly feeds, and this one is {cadence}"
        if self.days_after and not at_a_time:
            return 'days_after belongs to a local time: due: "22:00". For a time after the batch\'s end write due: 2d'
        return ""

    def calendar(self, batching: Batching, feed: Feed) -> DeliveryCalendar:
        """The calendar of a feed.

        Raises:
            DagsterInvalidDefinitionError: neither `due` nor the contract says when a batch is due.
        """
        deadline = self._deadline() or promised_deadline(feed)
        if deadline is None:
            raise dg.DagsterInvalidDefinitionError(
                f"{feed.name}: deliveries need due: {DUE_FORMS}. Or set a latency in the contract's slaProperties"
            )
        # Floored to a batch below: a Wednesday is in the week that began on Monday.
        since = None if self.since is None else dt.datetime.combine(_date(self.since), dt.time())
        return DeliveryCalendar(
            batching,
            deadline,
            days=_numbers(self.days, _weekday, len(WEEKDAYS)),
            hours=ALL_HOURS if self.hours is None else _numbers(self.hours, _hour, len(ALL_HOURS)),
            closed=frozenset(self.closed),
            holidays=self.holidays,
            since=None if since is None else batching.floor(since),
        )

    def _deadline(self) -> Deadline | None:
        if self.due is None:
            return None
        if (clock := _clock(self.due)) is not None:
            # `dt.time` has no 24:00. It is 0:00 of the next day.
            hour, minute = divmod(clock // UNITS["m"], 60)
            return DueAt(dt.time(hour % 24, minute), self.days_after + hour // 24)
        span = _span(self.due)
        return None if span is None else DueAfter(span)


def _clock(text: str | int) -> dt.timedelta | None:
    """How long after midnight a time of day from 0:00 to 24:00 is; None for another text."""
    found = CLOCK.fullmatch(str(text))
    if not found or int(found["minute"]) > 59:
        return None
    passed = dt.timedelta(hours=int(found["hour"]), minutes=int(found["minute"]))
    return passed if passed <= dt.timedelta(days=1) else None


def _span(text: str | int) -> dt.timedelta | None:
    """How long `30m`, `2h` or `1d` are; None for another text."""
    found = SPAN.fullmatch(str(text))
    return int(found["number"]) * UNITS[found["unit"]] if found else None


def _numbers(value: "str | int | Sequence[str | int]", number: Callable[[str], int], count: int) -> frozenset[int]:
    """The numbers that ranges and lists of words mean; a range may go over the end, as sat-mon.

    Raises:
        ValueError: a word means none, or there is no word.
    """
    parts = [str(value)] if isinstance(value, str | int) else map(str, value)
    words = [word.strip() for part in parts for word in part.split(",")]
    if not any(words):
        raise ValueError("nothing is listed; leave it out for all")
    return frozenset(item for word in words for item in _range(word, number, count))


def _range(word: str, number: Callable[[str], int], count: int) -> Iterator[int]:
    first, dash, last = (part.strip() for part in word.partition("-"))
    #    "mon-fri" of 7   ->  0, 1, 2, 3, 4
    #    "sat-mon" of 7   ->  5, 6, 0
    #    "sun" of 7       ->  6
    #    "22-2" of 24     ->  22, 23, 0, 1, 2
    start, end = number(first), number(last if dash else first)
    yield from ((start + step) % count for step in range((end - start) % count + 1))


def _weekday(word: str) -> int:
    short = word.casefold()
    names = [name.casefold() for name in WEEKDAYS]
    if short in names:
        return names.index(short)
    if short not in NAMES_OF_DAYS:
        raise ValueError(
            f"{word!r} is no weekday; allowed: {listed(NAMES_OF_DAYS)}, in ranges and lists such as mon-fri, sun"
            f"{did_you_mean(word, [*NAMES_OF_DAYS, *WEEKDAYS])}"
        )
    return NAMES_OF_DAYS.index(short)


def _hour(word: str) -> int:
    if not word.isdecimal() or int(word) not in ALL_HOURS:
        raise ValueError(f"{word!r} is no hour; allowed: 0 to 23, in ranges and lists such as 8-12, 14-19")
    return int(word)


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a date in the form YYYY-MM-DD") from None


def _closed_day(text: str) -> str:
    """A day as `2024-12-24`, or as `12-24`."""
    # Every year has to be able to close on 29 February, and 2024 is a year that has it.
    whole = f"2024-{text}" if re.fullmatch(r"\d{2}-\d{2}", text) else text
    try:
        found = dt.date.fromisoformat(whole)
    except ValueError:
        raise ValueError(
            f'{text!r} is no day; write it like 2024-12-24, or in quotes like "12-24" for every year'
        ) from None
    return f"{found:%m-%d}" if whole != text else found.isoformat()
