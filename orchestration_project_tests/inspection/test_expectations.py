"""What the calendar and the accepted batches say together."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.options import ConfiguredFeed, feed_options, promised_calendar
from orchestration_project.inspection.expectations import (
    DeliveryState,
    Freshness,
    expectations,
    standing,
)
from orchestration_project.storage.calendar import DeliveryCalendar, DueAt

DAY, WEEK = dt.timedelta(days=1), dt.timedelta(weeks=1)
NOW = dt.datetime(2024, 3, 9, 12, tzinfo=dt.UTC)
"""A Saturday."""


def day(number: int) -> dt.date:
    return dt.date(2024, 3, number)


def moment(number: int) -> dt.datetime:
    return dt.datetime(2024, 3, number, tzinfo=dt.UTC)


def declared(mode: str = "batches", **fields: Any) -> ConfiguredFeed:
    """A feed that delivers from Monday to Saturday, by 22:00."""
    options = feed_options(mode=mode)
    found = DeliveryCalendar(options.batching, DueAt(dt.time(22)), days=frozenset(range(6)), **fields)
    return ConfiguredFeed(Feed("f", "1", ()), replace(options, calendar=found))


def promised(**levels: Any) -> ConfiguredFeed:
    """A feed whose contract has service levels."""
    options, feed = feed_options(), Feed("f", "1", (), **levels)
    return ConfiguredFeed(feed, replace(options, calendar=promised_calendar(feed, options.batching)))


@pytest.mark.parametrize(
    ("source", "accepted", "first_load", "expected"),
    [
        pytest.param(declared(), [], None, (Freshness.NOTHING_LOADED, None, ()), id="nothing came yet"),
        pytest.param(
            declared(since=day(7)), [], None, (Freshness.LATE, day(7), (day(7), day(8))), id="nothing came since a day"
        ),
        pytest.param(declared(), [day(8)], None, (Freshness.FRESH, day(9), ()), id="all came"),
        pytest.param(declared(), [day(8), day(9)], None, (Freshness.FRESH, day(11), ()), id="next is after Sunday"),
        pytest.param(declared(), [day(6), day(8)], None, (Freshness.LATE, day(7), (day(7),)), id="one between"),
        pytest.param(declared(), [day(6)], moment(10), (Freshness.LATE, day(7), (day(7), day(8))), id="load in future"),
        pytest.param(declared(), [day(6)], moment(9), (Freshness.PAST, day(9), ()), id="due before the first load"),
        pytest.param(declared(), [day(6)], moment(8), (Freshness.LATE, day(8), (day(8),)), id="one due after it"),
        pytest.param(
            declared(since=day(7)),
            [day(6)],
            moment(9),
            (Freshness.LATE, day(7), (day(7), day(8))),
            id="due before the first load, but declared",
        ),
        pytest.param(declared("snapshot"), [day(1), day(8)], None, (Freshness.FRESH, day(9), ()), id="snapshot"),
        pytest.param(
            declared("snapshot"), [day(1), day(6)], None, (Freshness.LATE, day(8), (day(8),)), id="old snapshot"
        ),
        pytest.param(promised(), [day(8)], None, (Freshness.NO_LATENCY, None, ()), id="nobody says when"),
        pytest.param(promised(frequency=DAY), [day(8)], None, (Freshness.NO_LATENCY, None, ()), id="only how often"),
    ],
)
def test_standing(
    source: ConfiguredFeed,
    accepted: list[dt.date],
    first_load: dt.datetime | None,
    expected: tuple[Freshness, dt.date | None, tuple[dt.date, ...]],
) -> None:
    """A feed is late with the oldest batch that is missing; else it is told when the next one is due."""
    found = standing(source, accepted, first_load, NOW)
    assert (found.freshness, found.due and found.due.date(), found.missing) == expected


@pytest.mark.parametrize(
    ("levels", "first_load", "expected"),
    [
        pytest.param({"latency": DAY}, None, (Freshness.LATE, moment(8)), id="latency"),
        pytest.param({"latency": 3 * DAY}, None, (Freshness.FRESH, moment(10)), id="longer latency"),
        pytest.param({"available_at": (dt.time(9),)}, None, (Freshness.LATE, moment(8) - DAY / 8 * 5), id="time"),
        pytest.param({"latency": DAY, "frequency": WEEK}, None, (Freshness.FRESH, moment(14)), id="weekly data"),
        pytest.param(
            {"latency": DAY / 8, "frequency": 3 * DAY}, None, (Freshness.LATE, moment(9) + DAY / 8), id="late"
        ),
        pytest.param(
            {"latency": DAY / 8, "frequency": 3 * DAY}, moment(9) + DAY / 4, (Freshness.PAST, None), id="past"
        ),
    ],
)
def test_standing_by_the_contract(
    levels: dict[str, Any], first_load: dt.datetime | None, expected: tuple[Freshness, dt.datetime | None]
) -> None:
    """The contract's latency, frequency and times tell when the batch after the newest one is due."""
    found = standing(promised(**levels), [day(5)], first_load, NOW)
    assert (found.freshness, found.due) == (expected[0], expected[1] or found.due)


def test_a_batch_is_waited_for_three_months() -> None:
    """Who never delivered a day long ago is not told of it for ever; a run that asks for it still is."""
    source = declared(since=dt.date(2023, 1, 2))
    found = standing(source, [dt.date(2023, 1, 2), *(NOW.date() - days * DAY for days in range(91))], None, NOW)
    assert {batch for batch in found.missing if batch < NOW.date() - 93 * DAY} == set()
    (asked,) = expectations(source, ["2023-01-03"], [dt.date(2023, 1, 2)], NOW, NOW)
    assert (asked.state, str(asked)) == (DeliveryState.MISSING, "2023-01-03 was expected by 2023-01-03 22:00 UTC")


def test_arrivals() -> None:
    """Each batch that is asked for came, is missing, is waited for, or is not expected."""
    asked = [f"2024-03-{number:02}" for number in (1, 2, 3, 8, 9)]
    found = expectations(declared(), asked, [day(2)], NOW, NOW)
    states = (
        DeliveryState.NOT_EXPECTED,
        DeliveryState.CAME,
        DeliveryState.NOT_EXPECTED,
        DeliveryState.MISSING,
        DeliveryState.WAITING,
    )
    assert tuple(item.state for item in found) == states
    assert expectations(promised(), asked, [day(2)], NOW, NOW) == []


def test_a_contract_promises_nothing_of_the_past() -> None:
    """Days that were due before the feed's first load are not expected by the contract, only by a declared calendar."""
    source, asked = promised(latency=DAY), ["2024-03-05", "2024-03-06"]
    past, due = expectations(source, asked, [day(2)], moment(7), NOW)
    assert str(past) == "2024-03-05 is not expected: it was due before the feed's first load"
    assert str(due) == "2024-03-06 was expected by 2024-03-08 00:00 UTC"
