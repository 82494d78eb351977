"""What became of each batch, and when files arrive."""

import datetime as dt
from dataclasses import replace

import pytest

from orchestration_project.health.deliveries import State, by_weekday, deliveries, first_shown
from orchestration_project.ingest.options import ConfiguredFeed, feed_options
from orchestration_project.storage.calendar import DeliveryCalendar, DueAt
from orchestration_project.warehouse.ledger_batches import Arrival
from orchestration_project_tests.health.runs import NOW
from orchestration_project_tests.ingest.shop import column, feed

MON_TO_SAT = frozenset(range(6))


def source(cadence: str = "daily", expected: bool = True) -> ConfiguredFeed:
    """A feed in Berlin that delivers from Monday to Saturday by 22:00."""
    options = feed_options(cadence=cadence, timezone="Europe/Berlin")
    calendar = DeliveryCalendar(options.batching, DueAt(dt.time(22)), MON_TO_SAT) if expected else None
    return ConfiguredFeed(feed(column("a")), replace(options, calendar=calendar))


def at(text: str) -> dt.datetime:
    """A moment in UTC, as the ledger has it."""
    return dt.datetime.fromisoformat(text)


LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ARRIVALS = [
    Arrival("2026-03-12", at("2026-03-12T20:59"), 1, 0),
    Arrival("2026-03-13", at("2026-03-13T21:01"), 2, 1),
    Arrival("2026-03-14", None, 0, 3),
    Arrival("2026-03-15", at("2026-03-15T08:00"), 1, 0),
    Arrival("2026-03-16", None, 1, 0),
]


def states(
    feed: ConfiguredFeed, first_accepted: str = "2026-03-12", first_load: dt.datetime = LONG_AGO
) -> dict[str, str]:
    found = deliveries(feed, ARRIVALS, first_accepted, first_load, NOW)
    return {item.key: f"{item.state}: {item.why}" if item.why else str(item.state) for item in found}


def test_each_batch_has_a_state() -> None:
    """In time, late, refused, missing, awaited or not expected: the calendar and the ledger decide."""
    assert {key: state for key, state in states(source()).items() if key > "2026-03-10"} == {
        "2026-03-11": "not expected: before the first batch",
        "2026-03-12": "came",
        "2026-03-13": "late: due 2026-03-13 22:00, came 2026-03-13 22:01",
        "2026-03-14": "refused: 3 file(s) refused",
        "2026-03-15": "came",
        "2026-03-16": "came",
        "2026-03-17": "missing: due 2026-03-17 22:00",
        "2026-03-18": "awaited: due 2026-03-18 22:00",
    }


def test_deliveries_of_the_past_are_not_late() -> None:
    """What was due before the platform saw the feed for the first time came when it could."""
    first_load = dt.datetime(2026, 3, 13, 21, 1, tzinfo=dt.UTC)
    assert states(source(), first_load=first_load)["2026-03-13"] == "came"


@pytest.mark.parametrize(
    ("since", "state"),
    [
        pytest.param(None, "not expected: it was due before the feed's first load", id="since the first batch"),
        pytest.param(dt.date(2026, 3, 1), "missing: due 2026-03-17 22:00", id="since a day that the calendar says"),
    ],
)
def test_what_was_due_before_the_first_load_is_missing_only_if_somebody_says_so(
    since: dt.date | None, state: str
) -> None:
    """Whoever loads files of the past waits for none of them, unless the calendar holds since then."""
    feed = source()
    assert feed.options.calendar
    feed = replace(feed, options=replace(feed.options, calendar=replace(feed.options.calendar, since=since)))
    assert states(feed, first_load=NOW)["2026-03-17"] == state


def test_of_a_feed_that_never_came_nothing_is_missing() -> None:
    """Without a first batch nobody knows since when to wait."""
    found = deliveries(source(), [], "", None, NOW)
    assert {(item.state, item.why) for item in found} == {(State.NOT_EXPECTED, "no file of the feed was ever accepted")}


def test_a_newer_snapshot_is_enough() -> None:
    """Of a feed of which each file is the whole truth, only what should have come after the newest file is missing."""
    feed = source()
    feed = replace(feed, options=replace(feed.options, snapshot=True))
    found = {item.key: item.state for item in deliveries(feed, ARRIVALS[:1], "2026-01-01", LONG_AGO, NOW)}
    assert (found["2026-03-11"], found["2026-03-13"]) == (State.NOT_EXPECTED, State.MISSING)


def test_without_a_calendar_nothing_is_late_or_missing() -> None:
    """Of a feed that nobody expects anything of, it is told what came and what was refused."""
    found = set(states(source(expected=False)).values())
    assert found == {"came", "refused: 3 file(s) refused", "not expected: nobody says when it is expected"}


@pytest.mark.parametrize(
    ("cadence", "first", "count"),
    [
        pytest.param("hourly", "2026-03-05 00:00:00", 13 * 24 + 14, id="two weeks of hours"),
        pytest.param("daily", "2025-09-22", 25 * 7 + 3, id="half a year of days, from a Monday on"),
        pytest.param("weekly", "2025-03-24", 52, id="a year of weeks"),
        pytest.param("monthly", "2023-03-01", 37, id="three years of months"),
        pytest.param("yearly", "2016-01-01", 11, id="ten years"),
    ],
)
def test_how_far_is_looked_back(cadence: str, first: str, count: int) -> None:
    """The longer a batch, the longer the time that is shown; it ends with the present batch."""
    feed = source(cadence)
    found = deliveries(feed, [], "", None, NOW)
    assert (str(found[0].batch), len(found)) == (first, count)
    assert found[-1].batch == feed.options.batching.current(NOW)


def test_no_batch_is_shown_from_before_the_feed_began() -> None:
    """A feed that starts today has one batch."""
    options = feed_options(start_date=NOW.date().isoformat())
    assert first_shown(options.batching, NOW) == NOW.date()
    assert len(deliveries(ConfiguredFeed(feed(column("a")), options), [], "", None, NOW)) == 1


def test_arrivals_are_told_by_weekday_in_the_feeds_own_time() -> None:
    """The first files of batches, by the weekday on which they came; those of before 90 days are forgotten."""
    old = Arrival("2025-11-01", at("2025-11-01T10:00"), 1, 0)
    found = by_weekday([old, *ARRIVALS], source().options.batching, NOW)
    assert [(item.weekday, item.earliest.isoformat("minutes"), item.latest.isoformat("minutes")) for item in found] == [
        (3, "21:59", "21:59"),
        (4, "22:01", "22:01"),
        (6, "09:00", "09:00"),
    ]


def test_the_middle_arrival_is_a_real_one() -> None:
    """Half of the files came by the middle time."""
    arrivals = [
        Arrival(f"2026-03-{day:02}", at(f"2026-03-16T{hour}:00"), 1, 0)
        for day, hour in ((2, "06"), (3, "07"), (4, "20"))
    ]
    (monday,) = by_weekday(arrivals, source().options.batching, NOW)
    assert (monday.middle, len(monday.times)) == (dt.time(8), 3)
