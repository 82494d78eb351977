"""Kills on the way from a source to the tables: fetch and load end as undisturbed ones do, for each kind of source.

Each source is a real server. Beside landing, what counts is what comes of it: tables, ledger, archive and quarantine.
"""

import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.failpoints import Fetching, Point
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.reliability.fetched_feeds import FetchedFeed
from orchestration_project_tests.reliability.fetched_places import FIRST, LATER, NOW, PLACES, Place
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = pytest.mark.promise("crash")


@dataclass(frozen=True)
class Case:
    """A kind of source: its number among all, and the feed before the fetch that is going to die."""

    number: int
    before: FetchedFeed

    def copy(self, folder: Path) -> FetchedFeed:
        """The feed in another folder. What it fetches from is the same."""
        copied_folder(self.before.shop.folder, folder)
        return self.before.at(folder)


def _param(name: str) -> Any:
    _, group = PLACES[name]
    return pytest.param(name, marks=[pytest.mark.xdist_group(group)] if group else [])


@pytest.fixture(params=[_param(name) for name in PLACES])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """A feed that has the first day, while its source has later ones."""
    make, _ = PLACES[request.param]
    place: Place
    with make(request) as place:
        place.put(FIRST)
        before = place.feed(tmp_path / "before", place.first_fetch)
        before.fetch_and_load()
        place.put(LATER)
        yield Case([*PLACES].index(request.param), replace(before, now=NOW))


def deaths(steps: Sequence[str], number: int) -> dict[str, Callable[[FetchedFeed], bool]]:
    """The ways to die, by their names.

    In the short form a kind dies at each point of a fetch, with one of the files, and at some points of the load: these
    are the same for all kinds, so the kinds share them. In the long form it dies at each point and third statement.
    """
    where = defaultdict[str, list[int]](list)
    for index, name in enumerate(steps):
        where[name].append(index)
    if TORTURE:
        chosen = [*range(0, len(steps), 3), *(index for point in (*Fetching, *Point) for index in where[point])]
    else:
        chosen = [where[point][(number + turn) % len(where[point])] for turn, point in enumerate(Fetching)]
        chosen += [where[each][-1] for turn, each in enumerate(Point) if turn % len(PLACES) == number and where[each]]
    at_steps = {f"at step {step}: {steps[step]}": partial(FetchedFeed.dies_at, step=step) for step in {*chosen}}
    return {"with half of a file": FetchedFeed.dies_while_downloading, **at_steps}


def test_a_kill_at_any_step(case: Case, tmp_path: Path) -> None:
    """Wherever fetch or load die, the next ones end with the tables, the ledger and the files of undisturbed ones."""
    undisturbed = case.copy(tmp_path / "undisturbed")
    ways = deaths(undisturbed.steps(), case.number)
    expected = undisturbed.everything()
    for turn, (when, die) in enumerate(ways.items()):
        disturbed = case.copy(tmp_path / "disturbed")
        assert die(disturbed), when
        finish(disturbed, sensor_first=turn % 2 == 0)
        assert disturbed.everything() == expected, f"killed {when}"
        assert_nothing_is_new(disturbed, expected, when)
        shutil.rmtree(disturbed.shop.folder)
        tried()


def finish(feed: FetchedFeed, sensor_first: bool) -> None:
    """Fetch and load after a kill.

    Args:
        feed: whose fetch or load died.
        sensor_first: whether its sensor has loaded what was in landing before the next fetch comes.
    """
    if sensor_first:
        feed.load()
    # A file of rows since a cursor is named by its moment, and the moment of the killed fetch is over.
    later = feed.at(feed.shop.folder, minutes=1 if feed.repeats else 0)
    later.fetch_and_load()
    # A file that was on its way to quarantine is back in landing only when a load has begun, and may be too young for
    # this one. The sensor asks again for what is left.
    if feed.shop.landing():
        later.load()


def assert_nothing_is_new(feed: FetchedFeed, expected: dict[str, Any], when: str) -> None:
    """One more fetch lands nothing, or nothing that changes a row."""
    again = feed.at(feed.shop.folder, minutes=2)
    landed = again.fetch().landed
    if feed.repeats:
        again.load()
        assert again.everything() == expected, when
    else:
        assert not landed, when
