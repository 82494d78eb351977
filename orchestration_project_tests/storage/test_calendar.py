"""Which batches are expected, and when they are due."""

import datetime as dt
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.storage.batches import Batch, Batching, Cadence
from orchestration_project.storage.calendar import (
    Deadline,
    DeliveryCalendar,
    DueAfter,
    DueAt,
    holidays_of,
    require_region,
)

BERLIN = ZoneInfo("Europe/Berlin")
TEN_PM = DueAt(dt.time(22))
NOON = dt.time(12)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MON_TO_SAT = frozenset(range(6))


def calendar(cadence: Cadence = Cadence.DAILY, deadline: Deadline = TEN_PM, **fields: Any) -> DeliveryCalendar:
    # As `defs.yaml` demands: no hour is due before it is over.
    if cadence is Cadence.HOURLY and isinstance(deadline, DueAt):
        deadline = replace(deadline, days_after=max(1, deadline.days_after))
    start: Batch = hour("2020-01-01 00:00") if cadence is Cadence.HOURLY else dt.date(2020, 1, 1)
    return DeliveryCalendar(Batching(cadence, start, timezone=BERLIN), deadline, **fields)


def hour(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


@pytest.mark.parametrize(
    ("fields", "batch", "why_not"),
    [
        pytest.param({}, day("2024-12-22"), "", id="every day is open"),
        pytest.param({"days": MON_TO_SAT}, day("2024-12-21"), "", id="open weekday"),
        pytest.param({"days": MON_TO_SAT}, day("2024-12-22"), "Sunday", id="other weekday"),
        pytest.param({"closed": frozenset({"2024-12-24"})}, day("2024-12-24"), "closed", id="closed once"),
        pytest.param({"closed": frozenset({"2024-12-24"})}, day("2025-12-24"), "", id="not in another year"),
        pytest.param({"closed": frozenset({"12-31"})}, day("2025-12-31"), "closed", id="closed every year"),
        pytest.param({"holidays": "DE-BY"}, day("2024-01-06"), "holiday: Epiphany", id="holiday of a part"),
        pytest.param({"holidays": "DE"}, day("2024-01-06"), "", id="no holiday of the whole country"),
        pytest.param({"holidays": "DE"}, day("2024-04-01"), "holiday: Easter Monday", id="movable holiday"),
        pytest.param({"since": day("2024-02-01")}, day("2024-01-31"), "before the first batch", id="before the first"),
        pytest.param({"since": day("2024-02-01")}, day("2024-02-01"), "", id="the first"),
        pytest.param({}, day("2019-12-31"), "before the first batch", id="before the feed's start"),
    ],
)
def test_days(fields: dict[str, Any], batch: Batch, why_not: str) -> None:
    """A day is expected unless something speaks against it, and that is told."""
    found = calendar(**fields)
    assert (found.why_not(batch), found.expects(batch)) == (why_not, not why_not)


@pytest.mark.parametrize(
    ("cadence", "fields", "batch", "why_not"),
    [
        pytest.param(Cadence.WEEKLY, {"days": MON_TO_SAT}, day("2024-12-23"), "", id="week with open days"),
        pytest.param(
            Cadence.WEEKLY,
            {"days": frozenset({1}), "closed": frozenset({"2024-12-24"})},
            day("2024-12-23"),
            "none of its days is open",
            id="week whose only open day is closed",
        ),
        pytest.param(
            Cadence.MONTHLY,
            {"closed": frozenset(f"08-{number:02}" for number in range(1, 32))},
            day("2024-08-01"),
            "none of its days is open",
            id="closed month",
        ),
        pytest.param(
            Cadence.MONTHLY, {"closed": frozenset({"08-01"})}, day("2024-08-01"), "", id="month with a holiday"
        ),
        pytest.param(Cadence.HOURLY, {"hours": frozenset(range(8, 20))}, hour("2024-08-01 19:00"), "", id="open hour"),
        pytest.param(
            Cadence.HOURLY,
            {"hours": frozenset(range(8, 20))},
            hour("2024-08-01 20:00"),
            "outside of the hours of delivery",
            id="other hour",
        ),
        pytest.param(Cadence.HOURLY, {"days": MON_TO_SAT}, hour("2024-12-22 10:00"), "Sunday", id="hour of a Sunday"),
    ],
)
def test_other_cadences(cadence: Cadence, fields: dict[str, Any], batch: Batch, why_not: str) -> None:
    """A week or a month is expected if any of its days is open; an hour if its day and its hour are."""
    assert calendar(cadence, **fields).why_not(batch) == why_not


@pytest.mark.parametrize(
    ("cadence", "deadline", "batch", "due"),
    [
        pytest.param(Cadence.DAILY, TEN_PM, day("2024-01-15"), "2024-01-15 22:00+01:00", id="on the day"),
        pytest.param(Cadence.DAILY, DueAt(NOON, 2), day("2024-01-15"), "2024-01-17 12:00+01:00", id="days after"),
        pytest.param(Cadence.WEEKLY, DueAt(NOON, 1), day("2024-01-15"), "2024-01-22 12:00+01:00", id="week"),
        pytest.param(Cadence.MONTHLY, DueAt(NOON, 3), day("2024-02-01"), "2024-03-03 12:00+01:00", id="month"),
        pytest.param(Cadence.DAILY, DueAfter(DAY), day("2024-01-15"), "2024-01-17 00:00+01:00", id="a day after"),
        pytest.param(Cadence.HOURLY, DueAfter(HOUR / 2), hour("2024-01-15 08:00"), "2024-01-15 09:30+01:00", id="hour"),
        pytest.param(
            Cadence.DAILY, DueAfter(DAY * 0, (NOON,)), day("2024-01-15"), "2024-01-16 12:00+01:00", id="time of the end"
        ),
        pytest.param(
            Cadence.DAILY, DueAfter(DAY, (NOON,)), day("2024-01-15"), "2024-01-17 12:00+01:00", id="time after a delay"
        ),
        pytest.param(
            Cadence.DAILY,
            DueAfter(DAY * 0, (NOON, dt.time(9, tzinfo=dt.timezone(-8 * HOUR)), dt.time(4, tzinfo=dt.UTC))),
            day("2024-01-15"),
            "2024-01-16 05:00+01:00",
            id="the first of several times, in their zones",
        ),
        pytest.param(
            Cadence.DAILY, DueAt(dt.time(2, 30)), day("2024-03-31"), "2024-03-31 03:30+02:00", id="time that is skipped"
        ),
        pytest.param(
            Cadence.DAILY,
            DueAt(dt.time(2, 30)),
            day("2024-10-27"),
            "2024-10-27 02:30+01:00",
            id="time that comes twice",
        ),
        pytest.param(
            Cadence.DAILY, DueAfter(DAY), day("2024-03-30"), "2024-04-01 00:00+02:00", id="a day with 23 hours after"
        ),
        pytest.param(
            Cadence.HOURLY,
            DueAfter(HOUR),
            hour("2024-10-27 02:00:01"),
            "2024-10-27 04:00+01:00",
            id="second hour of one name",
        ),
        pytest.param(
            Cadence.HOURLY, DueAt(NOON, 1), hour("2024-01-15 23:00"), "2024-01-16 12:00+01:00", id="hour, the next noon"
        ),
        pytest.param(
            Cadence.HOURLY, DueAt(NOON, 1), hour("2024-01-15 00:00"), "2024-01-16 12:00+01:00", id="hour after midnight"
        ),
        pytest.param(Cadence.DAILY, DueAt(dt.time(), 1), day("2024-02-29"), "2024-03-01 00:00+01:00", id="midnight"),
    ],
)
def test_due(cadence: Cadence, deadline: Deadline, batch: Batch, due: str) -> None:
    """A batch is due at a local time, whatever clocks do."""
    found = calendar(cadence, deadline).due(batch)
    assert found.isoformat(" ", "minutes") == due
    assert found.tzinfo == BERLIN


def test_expected_until_now() -> None:
    """Expected are the batches from the first one on that are due by now, without the days that are not open."""
    found = calendar(days=MON_TO_SAT, closed=frozenset({"2024-12-24"}))
    before, after = (dt.datetime(2024, 12, 26, 21, minute, tzinfo=BERLIN) for minute in (59, 0))
    assert found.expected(day("2024-12-21"), before) == [day(f"2024-12-{number}") for number in (21, 23, 25)]
    assert found.expected(day("2024-12-21"), after + HOUR)[-1] == day("2024-12-26")
    assert next(found.next_expected(before)) == day("2024-12-26")
    assert found.beginning(day("2024-12-25")).expected(day("2024-12-21"), before) == [day("2024-12-25")]
    assert found.beginning(None) == found


def test_nothing_is_expected_of_a_feed_that_is_always_closed() -> None:
    """Looking for the next batch comes to an end."""
    closed = calendar(days=frozenset())
    assert list(closed.next_expected(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))) == []


DEADLINES = st.one_of(
    st.builds(DueAt, st.times().map(lambda at: at.replace(second=0, microsecond=0)), st.integers(0, 9)),
    st.builds(DueAfter, st.timedeltas(dt.timedelta(), dt.timedelta(days=9))),
)


@settings(deadline=None)
@given(
    st.sampled_from(list(Cadence)),
    st.frozensets(st.integers(0, 6)),
    st.frozensets(st.integers(0, 23)),
    DEADLINES,
    st.datetimes(dt.datetime(2024, 1, 1), dt.datetime(2025, 1, 1), timezones=st.just(BERLIN)),  # noqa: DTZ001
)
def test_expected_are_those_that_are_due(
    cadence: Cadence, days: frozenset[int], hours: frozenset[int], deadline: Deadline, now: dt.datetime
) -> None:
    """Of all batches around a moment, those are expected by it that the calendar expects and that are due."""
    found = calendar(cadence, deadline, days=days, hours=hours)
    batching = found.batching
    first = batch = batching.current(now - dt.timedelta(days=50 if cadence is Cadence.MONTHLY else 12))
    batches = []
    while batch <= batching.current(now + dt.timedelta(days=1)):
        batches.append(batch)
        batch = batching.after(batch)
    assert found.expected(first, now) == [item for item in batches if found.expects(item) and found.due(item) <= now]
    dues = [found.due(item) for item in batches]
    assert dues == sorted(dues)
    following = next(found.next_expected(now), None)
    assert following is None or (found.due(following) > now and found.expects(following))
    assert all(found.due(item) - batching.begin(item) <= found.reach for item in batches)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        pytest.param("XX", "'XX' is no code of a country as in ISO 3166", id="no country"),
        pytest.param("DE-by", "did you mean 'BY'?", id="typing error"),
        pytest.param("DE-XX", "the parts of DE are BB, BE", id="no part"),
        pytest.param("VA-1", "VA has no parts; write VA", id="country without parts"),
    ],
)
def test_unknown_regions(region: str, message: str) -> None:
    """A region of which no holidays are known is refused, with what is allowed."""
    with pytest.raises(ValueError, match="there are no public holidays") as caught:
        require_region(region)
    assert message in str(caught.value)


def test_holidays_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package that knows holidays it is told how to install it, and what to do without."""
    monkeypatch.setitem(__import__("sys").modules, "holidays", None)
    holidays_of.cache_clear()
    with pytest.raises(ValueError, match=r"pip install 'orchestration-project\[calendar\]', or list the days"):
        holidays_of("DE", 2024)
