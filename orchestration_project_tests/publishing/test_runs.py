"""When publishing happens: at the end of a run, of several that overlap at the end of the last one."""

import datetime as dt
import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from orchestration_project.publishing.lag import LONGEST_WAIT, NEEDS_A_PERSON, NOTE, CopyState, copy_status
from orchestration_project.publishing.manifest import read_manifest
from orchestration_project.publishing.runs import begin, end, publishing
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.publishing.copies import HEAD, held, published, shown


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A day is loaded and published."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), f"{HEAD}a,1\n")
    with publishing(shop.settings, print):
        shop.load()
    assert shown(shop.settings) == held(shop.settings)
    return shop


def more(shop: Shop, number: int) -> None:
    """A run's step loads another day."""
    shop.deliver(named(number), f"{HEAD}x{number},{number}\n")
    shop.load()


def status(shop: Shop) -> CopyState:
    return copy_status(shop.settings, dt.datetime.now(dt.UTC)).state


def test_runs_that_overlap_are_published_together(shop: Shop) -> None:
    """Between the steps of a run nothing is published, whatever other runs end meanwhile."""
    before = shown(shop.settings)
    first, second = begin(shop.settings, print), begin(shop.settings, print)
    more(shop, 2)
    end(shop.settings, second, print)
    assert shown(shop.settings) == before
    assert status(shop) is CopyState.BEHIND
    more(shop, 3)
    end(shop.settings, first, print)
    assert shown(shop.settings) == held(shop.settings)
    assert status(shop) is CopyState.CURRENT


def test_runs_that_overlap_without_end(shop: Shop) -> None:
    """After an hour the copy waits no longer; it says so, and the next end of a run publishes what is whole."""
    endless, other = begin(shop.settings, print), begin(shop.settings, print)
    more(shop, 2)
    end(shop.settings, other, print)
    long_ago = time.time() - LONGEST_WAIT - 1
    os.utime(shop.settings.published / NOTE, (long_ago, long_ago))
    published(shop)
    assert shown(shop.settings) == held(shop.settings)
    manifest = read_manifest(shop.settings.published)
    assert manifest is not None
    assert manifest.among_runs
    assert status(shop) is CopyState.BEHIND
    end(shop.settings, endless, print)
    assert status(shop) is CopyState.CURRENT


def hold(settings: Settings) -> None:
    """Begin a run and die in it."""
    begin(settings, print)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_run_puts_nothing_off(shop: Shop) -> None:
    """What a killed process has committed is published by the next run."""
    more(shop, 2)
    process = multiprocessing.get_context("spawn").Process(target=hold, args=(shop.settings,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert status(shop) is CopyState.BEHIND
    with publishing(shop.settings, print):
        pass
    assert shown(shop.settings) == held(shop.settings)


def test_a_run_that_fails_is_published(shop: Shop) -> None:
    """What its steps have committed before is seen."""

    def fail() -> None:
        with publishing(shop.settings, print):
            more(shop, 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shown(shop.settings) == held(shop.settings)


def test_what_can_not_be_published_is_told(shop: Shop) -> None:
    """A warehouse in use fails no run: a line tells it, and `status` the lag, in the end that somebody must act."""
    told: list[str] = []
    before = shown(shop.settings)
    with publishing(shop.settings, told.append):
        more(shop, 2)
        holder = shop.warehouse.connection("a long load")
        holder.__enter__()
    assert "The published copy is behind the warehouse" in told[-1]
    assert "a long load" in told[-1]
    holder.__exit__(None, None, None)
    assert shown(shop.settings) == before
    now = dt.datetime.now(dt.UTC)
    found, later = (copy_status(shop.settings, now + dt.timedelta(seconds=add)) for add in (0, NEEDS_A_PERSON + 60))
    assert (found.state, found.needs_a_person) == (CopyState.BEHIND, False)
    assert later.needs_a_person


def test_a_note_of_a_lag_that_is_over(shop: Shop) -> None:
    """What one process failed to publish, and another one has published, puts no later run among others."""
    (shop.settings.published / NOTE).touch()
    published(shop)
    assert not (shop.settings.published / NOTE).exists()


def test_a_warehouse_that_is_gone(shop: Shop) -> None:
    """Readers keep what they have, and `status` does not call it current."""
    before = shown(shop.settings)
    shop.lose_warehouse()
    with publishing(shop.settings, print):
        pass
    assert shown(shop.settings) == before
    assert status(shop) is CopyState.BEHIND


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    """Without it a run leaves no folder."""
    settings = Settings(data_dir=tmp_path, publish=False)
    with publishing(settings, print):
        pass
    assert not settings.published.exists()
    assert copy_status(settings, dt.datetime.now(dt.UTC)).state is CopyState.OFF
