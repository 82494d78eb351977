"""Dagster's history, made before anybody uses it."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from orchestration_project.components import history
from orchestration_project.components.history import MADE, HistoryError, make_history

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Dagster home with the project's configuration and no history."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    return tmp_path


def test_all_databases_are_made_once(home: Path) -> None:
    """The databases of runs, events and schedules are there afterwards; a second time nothing is touched."""
    make_history(home)
    databases = {path.name: path.stat().st_mtime_ns for path in home.rglob("*.db")}
    assert set(databases) == {"runs.db", "index.db", "schedules.db"}
    make_history(home)
    assert {path.name: path.stat().st_mtime_ns for path in home.rglob("*.db")} == databases


def test_who_waits_too_long_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that hangs while it makes the history does not stop the others for ever."""
    monkeypatch.setattr(history, "PATIENCE_SECONDS", 0.1)
    with FileLock(home / f"{MADE}.lock"), pytest.raises(HistoryError, match="stop it and try again"):
        make_history(home)
    assert not (home / MADE).exists()


def test_make_targets_that_start_dagster_make_the_history_first() -> None:
    """`make run` and `make dev` depend on the target that makes the history."""
    lines = (REPOSITORY / "Makefile").read_text(encoding="utf-8").splitlines()
    for target in ("run", "dev"):
        (rule,) = [line for line in lines if line.startswith(f"{target}:")]
        assert "history" in rule.partition("##")[0].split()
