"""Notes of loads and checks: what they keep from before, and that a fault in writing them stops nobody."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.settings import Settings
from orchestration_project.storage.feed_state import (
    CheckState,
    FeedState,
    forget_state,
    read_checks,
    read_state,
    record_checks,
    record_state,
)
from orchestration_project_tests.alerts.samples import DAY, NOW


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def told() -> list[str]:
    return []


def result(passed: bool, *batches: str, severity: str = "error", name: str = "c", asset: str = "a") -> CheckState:
    return CheckState(asset, name, passed, severity, f"about {','.join(batches)}", batches, "r", NOW)


def test_what_is_recorded_is_read(settings: Settings, told: list[str]) -> None:
    """The state of a feed comes back as it was; without one there is none."""
    assert read_state(settings, "f") is None
    state = FeedState(NOW, 3, "2024-01-01", NOW - DAY, {"2024-01-01": 0.5}, {"2024-01-01": 7}, NOW - DAY)
    record_state(settings, "f", state, told.append)
    assert read_state(settings, "f") == state
    forget_state(settings, "f")
    assert read_state(settings, "f") is None
    assert told == []


def test_rates_of_other_batches_and_the_first_load_are_kept(settings: Settings, told: list[str]) -> None:
    """A load tells the rates of its own batches; of all, those of the newest seven are kept."""
    for day in range(1, 10):
        record_state(settings, "f", FeedState(NOW, reject_rates={f"{day}": day / 10}), told.append)
    record_state(settings, "f", FeedState(NOW, reject_rates={"5": 0.0}, first_load=NOW), told.append)
    record_state(settings, "f", FeedState(NOW, first_load=NOW + DAY), told.append)
    state = read_state(settings, "f")
    assert state
    assert state.reject_rates == {"3": 0.3, "4": 0.4, "5": 0.0, "6": 0.6, "7": 0.7, "8": 0.8, "9": 0.9}
    assert state.first_load == NOW


@pytest.mark.parametrize(
    ("results", "failed"),
    [
        pytest.param([result(False, "1"), result(True, "2")], ("1",), id="another day passes"),
        pytest.param([result(False, "1"), result(True, "1")], None, id="the day passes"),
        pytest.param([result(False, "1", "2"), result(True, "1")], ("2",), id="one of two days passes"),
        pytest.param([result(False, "1"), result(False, "2")], ("1", "2"), id="another day fails too"),
        pytest.param([result(False, "1"), result(True)], None, id="all of the table passes"),
        pytest.param([result(False), result(True, "2")], None, id="a table's failure, then a day passes"),
        pytest.param([result(False, "1", severity="warn"), result(True, "2")], None, id="a warning is of its run"),
        pytest.param([result(False, "1"), result(False, "2", severity="warn")], ("1",), id="another day warns"),
    ],
)
def test_a_failure_stays_until_its_own_batch_passes(
    settings: Settings, told: list[str], results: list[CheckState], failed: tuple[str, ...] | None
) -> None:
    """A check that failed for a day goes on failing until that day is checked again."""
    for item in results:
        record_checks(settings, [item], told.append)
    (found,) = read_checks(settings)
    assert (found.batches if found.failed else None) == failed


def test_checks_of_an_asset_are_kept_side_by_side(settings: Settings, told: list[str]) -> None:
    """A run that evaluates some checks leaves the results of the others; keys may have slashes."""
    record_checks(settings, [result(True, name="c"), result(True, name="d")], told.append)
    record_checks(settings, [result(False, name="d"), result(True, asset="x/y")], told.append)
    found = [(item.asset, item.name, item.passed) for item in read_checks(settings)]
    assert found == [("a", "c", True), ("a", "d", False), ("x/y", "c", True)]


def test_writers_at_the_same_time_lose_nothing(settings: Settings, told: list[str]) -> None:
    """Each writer's result is there in the end, and no reader ever finds half a file."""

    def write(number: int) -> None:
        record_checks(settings, [result(True, name=f"c{number}")], told.append)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
        read_checks(settings)
    for thread in threads:
        thread.join()
    assert len(read_checks(settings)) == 20
    assert told == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": "x"}', '{"at": null}', '[{"name": 1}]', "nul\0"])
def test_a_damaged_note_is_no_note(settings: Settings, told: list[str], content: str) -> None:
    """What can't be read is not there, and is written anew."""
    for path in (settings.data_dir / "state" / "f.json", settings.data_dir / "state" / "checks" / "a.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert read_state(settings, "f") is None
    assert read_checks(settings) == []
    state = FeedState(NOW)
    record_state(settings, "f", state, told.append)
    record_checks(settings, [result(True)], told.append)
    assert read_state(settings, "f") == state
    assert read_checks(settings) == [result(True)]


def test_a_disk_that_takes_nothing_is_logged(settings: Settings, told: list[str]) -> None:
    """A note that can't be written makes no load fail."""
    (settings.data_dir / "state").write_text("in the way", encoding="utf-8")
    record_state(settings, "f", FeedState(NOW), told.append)
    record_checks(settings, [replace(result(True))], told.append)
    assert len(told) == 2
    assert all("was not written" in line for line in told)
