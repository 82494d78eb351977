"""`deliveries` in `defs.yaml`: what may be written, and what is said of mistakes."""

import datetime as dt
from typing import Any

import pytest

from orchestration_project.components.feed_deliveries import Deliveries
from orchestration_project.contracts import load_feed
from orchestration_project.ingest.options import feed_options
from orchestration_project.storage.calendar import DeliveryCalendar, DueAfter, DueAt
from orchestration_project_tests.components.test_file_feed import CONTRACT, failure, folder
from orchestration_project_tests.components.workbench import REPOSITORY, feeds

FEED = load_feed(REPOSITORY / "orchestration_project" / "defs" / "sales" / "sales.odcs.yaml")
ALL = frozenset(range(7))


def calendar(**fields: Any) -> DeliveryCalendar:
    return Deliveries(**fields).calendar(feed_options().batching, FEED)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param("mon-sat", {0, 1, 2, 3, 4, 5}, id="range"),
        pytest.param("sat-mon", {5, 6, 0}, id="range over the end of the week"),
        pytest.param("mon-wed, FRI,Sunday", {0, 1, 2, 4, 6}, id="list in one text"),
        pytest.param(["mon-tue", "sat"], {0, 1, 5}, id="list"),
        pytest.param("wed", {2}, id="one day"),
    ],
)
def test_days(days: str | list[str], expected: set[int]) -> None:
    """Weekdays are written as ranges and lists."""
    assert calendar(days=days).days == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"due": "22:00"}, DueAt(dt.time(22)), id="time"),
        pytest.param({"due": "6:30", "days_after": 1}, DueAt(dt.time(6, 30), 1), id="time of the next day"),
        pytest.param(
            {"due": "00:00", "days_after": 1}, DueAt(dt.time(), 1), id="midnight at the begin of the next day"
        ),
        pytest.param({"due": "24:00"}, DueAt(dt.time(), 1), id="midnight at the end of the day"),
        pytest.param({"due": "30m"}, DueAfter(dt.timedelta(minutes=30)), id="minutes after its end"),
        pytest.param({"due": "2d"}, DueAfter(dt.timedelta(days=2)), id="days after its end"),
        pytest.param({}, DueAfter(dt.timedelta(days=1)), id="as the contract says"),
    ],
)
def test_due(fields: dict[str, Any], expected: DueAt | DueAfter) -> None:
    """The deadline is a time of day or a time after the batch's end, and else the contract's."""
    assert calendar(**fields).deadline == expected


def test_in_a_file() -> None:
    """Dates may stand without quotes, hours as numbers; each batch is judged in the feed's time zone."""
    declared = {
        "due": "30m", "days": ["mon", "tue-fri"], "hours": [8, "10-11"], "since": dt.date(2024, 2, 1),
        "closed": [dt.date(2024, 12, 24), "12-31"], "holidays": "DE-BY",
    }  # fmt: skip
    with feeds(meters=folder(cadence="hourly", timezone="Europe/Berlin", deliveries=declared)) as defs:
        assert defs.resolve_all_asset_specs()
    found = calendar(**{**declared, "since": "2024-02-01", "closed": ["2024-12-24", "12-31"]})
    assert (found.hours, found.closed) == (frozenset({8, 10, 11}), frozenset({"2024-12-24", "12-31"}))
    assert found.since == dt.date(2024, 2, 1)


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        pytest.param({"day": "mon"}, ["deliveries", "day", "meters/defs.yaml"], id="unknown attribute"),
        pytest.param({"days": "mon-son", "due": "8:00"}, ["'son' is no weekday", "did you mean 'sun'?"], id="weekday"),
        pytest.param({"days": [], "due": "8:00"}, ["nothing is listed"], id="no day"),
        pytest.param({"due": 1320}, ['1320 is not a local time in quotes, such as "22:00"'], id="time without quotes"),
        pytest.param({"due": "25:00"}, ["'25:00' is not a local time"], id="no time"),
        pytest.param({"due": "soon"}, ["'soon' is not a local time", "30m, 2h or 1d"], id="no time at all"),
        pytest.param({"due": "2h", "days_after": 1}, ["days_after belongs to a local time"], id="days after a span"),
        pytest.param({"due": "8:00", "days_after": -1}, ["days_after", "greater than or equal to 0"], id="negative"),
        pytest.param({"due": "8:00", "since": "1.2.2024"}, ["'1.2.2024' is not a date"], id="since"),
        pytest.param({"due": "8:00", "closed": ["24.12."]}, ["'24.12.' is no day", '"12-24"'], id="closed"),
        pytest.param({"due": "8:00", "closed": ["02-30"]}, ["'02-30' is no day"], id="closed on no day"),
        pytest.param(
            {"due": "8:00", "hours": "8-20"}, ["hours are about hourly feeds, and this one is daily"], id="hours"
        ),
        pytest.param({"due": "8:00", "holidays": "DE-BX"}, ["no public holidays for 'DE-BX'", "BY"], id="region"),
        pytest.param({"days": "mon"}, ["deliveries need due", "latency"], id="nobody says when"),
    ],
)
def test_mistakes_are_explained(deliveries: dict[str, Any], expected: list[str]) -> None:
    """Each mistake stops loading and tells what is allowed."""
    text = failure(folder(deliveries=deliveries))
    assert all(part in text for part in expected), text


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        pytest.param({"due": "8:00"}, "some hours would be due before they are over", id="time of day"),
        pytest.param({"due": "1h", "hours": "8-24"}, "'24' is no hour; allowed: 0 to 23", id="hour"),
    ],
)
def test_mistakes_of_hourly_feeds(deliveries: dict[str, Any], expected: str) -> None:
    """An hour has to be over before it is due."""
    text = failure(folder(CONTRACT, cadence="hourly", deliveries=deliveries))
    assert expected in text, text
