"""What is kept of alarms: it comes back as it was, several processes write it, and a fault says what to do."""

import sqlite3
import threading
from pathlib import Path

import pytest

from orchestration_project.alerts import store
from orchestration_project.alerts.changes import Silence, Standing
from orchestration_project.storage.sqlite_files import transaction
from orchestration_project_tests.alerts.samples import DAY, HOUR, NOW, alarm


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "alarms.sqlite"


def test_what_is_written_is_read(path: Path) -> None:
    """Each field of an alarm, of what was told of it and of a silence comes back."""
    found = Standing(
        alarm(items=("a\n", 'b"'), run_id="r", count=3), NOW, off_since=NOW + HOUR, told_at=NOW + DAY, told_level=2
    )
    silence = Silence(found.alarm.id, NOW, NOW + DAY, "Ada", "test")
    with store.open_store(path) as connection:
        assert store.last_evaluation(connection) is None
        store.write_standings(connection, {found.alarm.id: found}, NOW)
        store.add_silence(connection, silence)
    with store.open_store(path) as connection:
        assert store.read_standings(connection) == {found.alarm.id: found}
        assert store.read_silences(connection) == [silence]
        assert store.last_evaluation(connection) == NOW


def test_a_silence_ends_the_one_before(path: Path) -> None:
    """The last word on an alarm counts; who said what before is kept."""
    with store.open_store(path) as connection:
        store.add_silence(connection, Silence("a", NOW, NOW + DAY, "Ada", "long"))
        store.add_silence(connection, Silence("b", NOW, NOW + DAY, "Ada", "another"))
        store.add_silence(connection, Silence("a", NOW + HOUR, NOW + 2 * HOUR, "Bob", "short"))
        held = [item.reason for item in store.read_silences(connection) if item.holds(NOW + 1.5 * HOUR)]
        assert sorted(held) == ["another", "short"]
        assert store.end_silences(connection, "a", NOW + 1.6 * HOUR) == 1
        assert store.end_silences(connection, "a", NOW + 1.7 * HOUR) == 0
        assert [item.reason for item in store.read_silences(connection) if item.holds(NOW + 1.7 * HOUR)] == ["another"]
        assert len(store.read_silences(connection)) == 3


def test_a_write_that_fails_changes_nothing(path: Path) -> None:
    """What was told and what is to be sent are committed together, or neither is."""
    with store.open_store(path) as connection:
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            store.write_standings(connection, {"a": Standing(alarm(what=None), NOW), "b": Standing(alarm(), NOW)}, NOW)
        assert store.read_standings(connection) == {}


def test_several_processes_write(path: Path) -> None:
    """Who writes at the same time waits, and nothing is lost."""

    def silence(number: int) -> None:
        with store.open_store(path) as connection:
            store.add_silence(connection, Silence(f"a{number}", NOW, NOW + DAY, "Ada", "test"))

    threads = [threading.Thread(target=silence, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.open_store(path) as connection:
        assert len(store.read_silences(connection)) == 8


def test_alarms_of_a_newer_release_are_left_out(path: Path) -> None:
    """A kind of alarm that this release does not know stops nothing."""
    with store.open_store(path) as connection:
        store.write_standings(connection, {"a": Standing(alarm(), NOW)}, NOW)
        connection.execute("UPDATE alarms SET kind = 'of_tomorrow'")
        assert store.read_standings(connection) == {}


@pytest.mark.parametrize("newer", [pytest.param(True, id="of a newer release"), pytest.param(False, id="damaged")])
def test_a_file_that_can_t_be_used_says_what_to_do(path: Path, newer: bool) -> None:
    """A damaged file, or one of a newer release, is named, with what can be done; it stays as it is."""
    path.parent.mkdir()
    if newer:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_text("no database at all, whatever its name says" * 100, encoding="utf-8")
    before = path.read_bytes()
    with (
        pytest.raises(store.AlarmStoreError, match=r"alarms\.sqlite .*move (the file|it) away"),
        store.open_store(path),
    ):
        pass
    assert path.read_bytes() == before
