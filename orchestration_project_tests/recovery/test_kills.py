"""Kills: what dies by SIGKILL at any step of a rebuild, withdrawal or drop is finished or undone by what comes next."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.errors import RecoveryError
from orchestration_project.failpoints import Point, Recovery
from orchestration_project.ingest.batching import settle_killed
from orchestration_project.recovery.drop import drop_feed
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named
from orchestration_project_tests.recovery.archives import zip_delivered, zip_taken_back, zip_withdrawn
from orchestration_project_tests.recovery.stock import CONTRACT, HEAD, rebuilt, weekly, whole
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.victim import killed, steps_of

pytestmark = pytest.mark.promise("crash")

POINTS = {*Point, *Recovery}


def small(folder: Path) -> Shop:
    """Three days, a key that recurs, a correction, a duplicate and a refused file."""
    shop = Shop(folder, CONTRACT)
    shop.deliver(named(1), f"{HEAD}a,1\nb,2\n,3\n")
    shop.deliver(named(2), f"{HEAD}b,4\nc,5\n")
    shop.load()
    shop.deliver(named(1), f"{HEAD}z,1\nb,2\n")
    shop.deliver(named(2, "t"), f"{HEAD}b,4\nc,5\n")
    shop.deliver(named(9), f"{HEAD}q,-1\n")
    shop.deliver(named(9, "u"), "no header at all\n")
    shop.load()
    return shop


def rebuilt_weekly(shop: Shop) -> None:
    rebuilt(replace(shop, options=weekly(shop.options)))


def withdrawn(shop: Shop) -> None:
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(named(1)), "Ada", "test", NOW, print)


def taken_back(shop: Shop) -> None:
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(named(1)), NOW, print)


def zip_away(shop: Shop) -> None:
    zip_delivered(shop)
    zip_withdrawn(shop)


def dropped(shop: Shop) -> None:
    drop_feed(shop.warehouse, shop.settings, "f", [], NOW)


def settled(shop: Shop) -> None:
    settle_killed(shop.warehouse, shop.settings, [shop.feed.name])


def loaded(shop: Shop) -> None:
    shop.load(day(2))


WORK = [
    pytest.param(lambda _: None, rebuilt_weekly, settled, id="rebuild"),
    pytest.param(lambda _: None, withdrawn, loaded, id="withdraw"),
    pytest.param(withdrawn, taken_back, loaded, id="undo"),
    pytest.param(zip_delivered, zip_withdrawn, loaded, id="withdraw a zip archive"),
    pytest.param(zip_away, zip_taken_back, loaded, id="undo of a zip archive"),
]


def chosen(steps: list[str]) -> list[int]:
    """The steps to die at: each kind of point, and in between some statements."""
    last = {name: index for index, name in enumerate(steps) if name in POINTS}
    return sorted({*last.values(), *range(0, len(steps), effort(71, 9))})


@pytest.mark.parametrize(("prepare", "work", "settle"), WORK)
def test_a_kill_at_any_step(
    prepare: Callable[[Shop], None], work: Callable[[Shop], None], settle: Callable[[Shop], None], tmp_path: Path
) -> None:
    """After the next command or load everything is as before, or as if nobody had been killed; then it can be done."""
    shop = small(tmp_path / "before")
    prepare(shop)
    before = whole(shop)
    undisturbed = shop.copied(tmp_path / "undisturbed")
    steps = steps_of(partial(work, undisturbed), None)
    finished = whole(undisturbed)
    for fatal in chosen(steps):
        disturbed = shop.copied(tmp_path / f"dies at {fatal}")
        assert killed(partial(work, disturbed), fatal), steps[fatal]
        settle(disturbed)
        found = whole(disturbed)
        if same(found, before):
            work(disturbed)
            found = whole(disturbed)
        assert same(found, finished), f"killed at step {fatal}: {steps[fatal]}"
        shutil.rmtree(disturbed.folder)
        tried()


def test_a_kill_of_a_drop(tmp_path: Path) -> None:
    """Whatever step it dies at, the next one drops the rest, and every file is kept."""
    shop = small(tmp_path / "before")
    kept = len(shop.archive())
    steps = steps_of(partial(dropped, shop.copied(tmp_path / "undisturbed")), None)
    for fatal in chosen(steps):
        disturbed = shop.copied(tmp_path / f"dies at {fatal}")
        assert killed(partial(dropped, disturbed), fatal), steps[fatal]
        # All may be done already: then nobody knows the feed any more.
        with suppress(RecoveryError):
            dropped(disturbed)
        assert disturbed.rows("FROM file_ledger") == []
        assert not disturbed.settings.archive("f").exists()
        found = [path for path in disturbed.folder.glob("dropped/*/archive/**/*.csv") if ".taken" not in path.parts]
        assert len(found) == kept, f"killed at step {fatal}: {steps[fatal]}"
        tried()


def same(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether two states are the same; pytest would show all of both."""
    return found == expected
