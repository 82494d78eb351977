"""Kills while the published copy is made: readers see the state before or after, and the next run heals."""

import shutil
from pathlib import Path

import pytest

from orchestration_project import failpoints
from orchestration_project.publishing.runs import publishing
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.publishing.copies import HEAD, held, published, shown, shown_where_it_is
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = pytest.mark.promise("crash")

POINTS = [*failpoints.Publishing]


def prepared(folder: Path, days: int) -> Shop:
    """Two days are published; a correction of the second and, if asked for, more days are loaded and not published."""
    shop = Shop(folder)
    shop.deliver(named(1), f"{HEAD}a,1\n,2\n")
    shop.deliver(named(2), f"{HEAD}b,1\n")
    shop.load()
    published(shop)
    shop.deliver(named(2), f"{HEAD}b,2\nc,x\n")
    for number in range(3, 3 + days):
        shop.deliver(named(number), f"{HEAD}d{number},1\n")
    shop.load()
    return shop


class Publishing:
    """Publishes what a shop holds; a class, so that another process can be given it."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop

    def __call__(self) -> None:
        """Do what the end of a run does."""
        with publishing(self.shop.settings, print):
            pass


def fatal_steps(steps: list[str]) -> list[int]:
    """The steps at which to kill: all of them, or the named ones, once each."""
    if TORTURE:
        return list(range(len(steps)))
    return [steps.index(point) for point in POINTS]


def test_a_kill_at_any_step(tmp_path: Path) -> None:
    """Readers see all tables of the state before or all of that after; the next run publishes what the warehouse has.

    After that nothing of the kill is left but files that the time of keeping has not passed for yet.
    """
    model = prepared(tmp_path / "model", 1)
    before = shown(model.settings)
    copied_folder(tmp_path / "model", tmp_path / "counted")
    steps = steps_of(Publishing(Shop(tmp_path / "counted")), None)
    after = held(model.settings)
    assert before != after
    seen = set()
    for fatal in fatal_steps(steps):
        shop = Shop(copied_folder(tmp_path / "model", tmp_path / f"killed {fatal}"))
        assert killed(Publishing(shop), fatal)
        found = shown_where_it_is(shop.settings)
        assert found in (before, after), steps[fatal]
        seen.add(found == after)
        Publishing(shop)()
        assert shown(shop.settings) == held(shop.settings) == after, steps[fatal]
        shutil.rmtree(shop.folder)
        tried()
    assert seen == {False, True}


def test_a_kill_of_the_first_publishing(tmp_path: Path) -> None:
    """There is no copy, or a whole one; the next run makes it."""
    shop = Shop(tmp_path / "model")
    shop.deliver(named(1), f"{HEAD}a,1\n,2\n")
    shop.load()
    copied_folder(tmp_path / "model", tmp_path / "counted")
    steps = steps_of(Publishing(Shop(tmp_path / "counted")), None)
    for fatal in fatal_steps(steps):
        killed_shop = Shop(copied_folder(tmp_path / "model", tmp_path / f"killed {fatal}"))
        assert killed(Publishing(killed_shop), fatal)
        assert shown_where_it_is(killed_shop.settings) in ({}, held(shop.settings)), steps[fatal]
        Publishing(killed_shop)()
        assert shown(killed_shop.settings) == held(shop.settings), steps[fatal]
        tried()
