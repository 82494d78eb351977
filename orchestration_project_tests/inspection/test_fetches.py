"""What `status` says of a feed's source, from what the source's last fetches have left."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.fetches import FetchStatus, fetch_status
from orchestration_project.inspection.status import status_of
from orchestration_project.sources.memory import LastFetch, Remembered, open_memory
from orchestration_project_tests.ingest.shop import NOW, Shop

pytestmark = pytest.mark.promise("seen")

HOUR = dt.timedelta(hours=1)


def fetched(shop: Shop, last: LastFetch, *modified: dt.datetime | None) -> None:
    """Have the source remember a fetch, and files that were modified at these moments."""
    with open_memory(shop.settings.fetched("f")) as memory:
        for number, moment in enumerate(modified):
            memory.remember(Remembered(f"{number}", "v", f"{number}.csv", "0", 1, None, moment, last.at), None)
        memory.note(last)


def status(shop: Shop) -> FetchStatus:
    """The source's status."""
    return fetch_status(shop.settings, "f", NOW)


def test_the_last_fetch(tmp_path: Path) -> None:
    """Its figures are told, and the age of the newest file of all fetches, in whatever zone the source tells times."""
    shop, tokyo = Shop(tmp_path), dt.timezone(9 * HOUR)
    moments = (None, (NOW - 2 * HOUR).astimezone(tokyo), NOW - 3 * HOUR)
    fetched(shop, LastFetch(NOW - HOUR, listed=9, landed=3, bytes=70, left=2), *moments)
    assert status(shop) == FetchStatus(NOW - HOUR, 9, 3, 70, 2, {}, "", 3, 7200.0)


def test_a_source_without_times(tmp_path: Path) -> None:
    """Where the source tells no times, nobody says how old its files are."""
    shop = Shop(tmp_path)
    fetched(shop, LastFetch(NOW), None)
    assert (status(shop).files, status(shop).lag_seconds) == (1, None)


def test_before_the_first_fetch(tmp_path: Path) -> None:
    """Nothing was fetched, and nothing is wrong."""
    assert (status(Shop(tmp_path)), [*FetchStatus().problems]) == (FetchStatus(), [])


def test_what_needs_a_person(tmp_path: Path) -> None:
    """A source that could not be listed, and items that could not be fetched, are told until a fetch succeeds."""
    shop = Shop(tmp_path)
    fetched(shop, LastFetch(NOW, error="the server does not answer"))
    assert [*status(shop).problems] == ["fetching fails: the server does not answer"]
    fetched(shop, LastFetch(NOW, 3, failed={"a.csv": "it is too large", "b.csv": "it is too large"}))
    (problem,) = status(shop).problems
    assert problem == "2 item(s) of the source could not be fetched, such as a.csv: it is too large"
    fetched(shop, LastFetch(NOW, 3))
    assert not [*status(shop).problems]


def test_a_memory_that_is_damaged(tmp_path: Path) -> None:
    """It is told with what to do, and the status of the feed goes on."""
    shop = Shop(tmp_path)
    path = shop.settings.fetched("f")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 100)
    (feed,) = status_of(shop.settings, [ConfiguredFeed(shop.feed, shop.options)], ["f"], NOW, ["f"]).feeds
    assert feed.source
    assert "move it away" in feed.source.error


def test_asking_changes_nothing(tmp_path: Path) -> None:
    """Not a byte of the memory changes, and none is made; a feed without a source has no status of one."""
    shop = Shop(tmp_path)
    specs = [ConfiguredFeed(shop.feed, shop.options)]
    status_of(shop.settings, specs, ["f"], NOW, ["f"])
    assert not shop.settings.fetched("f").parent.exists()
    fetched(shop, LastFetch(NOW), NOW)
    before = {path.name: path.read_bytes() for path in shop.settings.fetched("f").parent.iterdir()}
    (asked,) = status_of(shop.settings, specs, ["f"], NOW, ["f"]).feeds
    assert asked.source
    assert {path.name: path.read_bytes() for path in shop.settings.fetched("f").parent.iterdir()} == before
    (unasked,) = status_of(shop.settings, specs, ["f"], NOW).feeds
    assert unasked.source is None
