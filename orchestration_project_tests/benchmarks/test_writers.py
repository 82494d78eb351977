"""Several writers of a lake: they load what they should, and what PostgreSQL tells of their waits is read."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from benchmarks.data import days
from benchmarks.measure import Failed
from benchmarks.parts import shards
from benchmarks.parts.writers import SMALL, Batches, Writers, efficiency, ensure_whole, measure, milliseconds, waits_in
from benchmarks.session import Session
from benchmarks.warehouses import OPTIONS
from orchestration_project_tests.servers.postgres import postgres_server

WHOLE = [10, 10, 8, 2, "12.50", 1]
"""Records, their numbers, cleaned and rejected ones, revenue, files."""


@pytest.mark.xdist_group("lake writers")
def test_writers_share_the_days(tmp_path: Path) -> None:
    """One writer and two of them, with a lake together or each, load every day once; waits and holds are told."""
    section = measure(Batches("Writers", 3, 20, 2), Session(tmp_path, rounds=1))
    assert section.failures == {}
    assert [row[0] for row in section.rows] == ["1 writer", "2 writers, 1 lake", "2 writers, 2 lakes"]
    for row in section.rows:
        assert row[1] == "1"
        assert "-" not in row[5:]
    assert "3 days of 20 records" in section.intro


@pytest.mark.xdist_group("lake writers")
def test_shards_make_the_same_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A load in two shards is compared with one in a process, and nothing has failed."""
    monkeypatch.setattr(shards, "MONTH", replace(shards.MONTH, days=4, rows=25))
    section = shards.measure(Session(tmp_path, rounds=1))
    assert section.failures == {}
    assert [row[0] for row in section.rows] == ["1 process", "2 shards", "1 process, 2 threads"]


def test_servers_that_do_not_start_are_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The section says so, and the session goes on."""
    monkeypatch.setattr("benchmarks.warehouses.OPTIONS", ("no_such_option=1",))
    section = measure(Batches("Writers", 2, 20, 2), Session(tmp_path))
    assert "no_such_option" in section.failures["the servers"]
    assert section.rows == []


@pytest.mark.parametrize(
    "figures",
    [
        pytest.param([20, 10, 16, 4, "25.00", 1], id="loaded twice"),
        pytest.param([9, 9, 8, 1, "12.50", 1], id="a record is missing"),
        pytest.param([10, 10, 8, 1, "12.50", 1], id="neither cleaned nor rejected"),
        pytest.param([10, 10, 8, 2, "12.50", 2], id="two files"),
        pytest.param([None, None, 8, 2, "12.50", 1], id="no records as text"),
        pytest.param([10, 10, None, 2, None, 1], id="none cleaned"),
        pytest.param([10, 10, 8, 2, "12.50", None], id="no file"),
    ],
)
def test_a_day_that_is_not_whole_is_a_failure(figures: list[object]) -> None:
    """Whatever is wrong with it; the others may be right."""
    ensure_whole({"2024-01-01": WHOLE, "2024-01-02": WHOLE}, days(2), 10)
    with pytest.raises(Failed, match="2024-01-02 has"):
        ensure_whole({"2024-01-01": WHOLE, "2024-01-02": figures}, days(2), 10)


@pytest.mark.parametrize("found", [["2024-01-01"], ["2024-01-01", "2024-01-02", "2024-01-03"]])
def test_a_day_that_is_not_there_is_a_failure(found: list[str]) -> None:
    """Or one that nobody has asked for."""
    with pytest.raises(Failed, match="and not 2024-01-01, 2024-01-02"):
        ensure_whole(dict.fromkeys(found, WHOLE), days(2), 10)


def test_waits_are_read_from_the_log_of_the_server() -> None:
    """Each statement that got an advisory lock counts, with parameters or without, from a place in the log on."""
    with postgres_server(*OPTIONS) as server:
        first = psycopg.connect(server.url(), autocommit=True, application_name="a load (process 11 on here)")
        second = psycopg.connect(server.url(), autocommit=True, application_name="a load (process 12 on here)")
        with first, second:
            first.execute("SELECT pg_advisory_lock(7)")
            said = server.log.stat().st_size
            waiter = threading.Thread(target=second.execute, args=("SELECT pg_advisory_lock(%s)", [7]))
            waiter.start()
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while first.execute(waiting).fetchone() == (0,):
                time.sleep(0.01)
            assert waits_in(server.log, said) == []
            first.execute("SELECT pg_advisory_unlock(7)")
            waiter.join()
            assert [process for _, process, _ in waits_in(server.log, said)] == [12]
            assert [process for _, process, _ in waits_in(server.log, 0)] == [11, 12]


def test_waits_belong_to_their_loads(tmp_path: Path) -> None:
    """Those of its process while it ran, all together; a load without any can't be told of."""
    crowd = Writers(Session(tmp_path), None, SMALL, "2 writers")  # type: ignore[arg-type] # no server is asked
    first = {"process": 1, "began": 10.0, "ended": 14.0, "held": [1.0, 0.5]}
    second = {"process": 2, "began": 11.0, "ended": 19.0, "held": [2.0]}
    waits = [(10.5, 1, 0.25), (12.0, 1, 0.5), (15.0, 1, 100.0), (16.0, 2, 4.0)]
    crowd.take([first, second], waits)
    assert (crowd.times, crowd.loads, crowd.waits, crowd.holds) == ([9.0], [4.0, 8.0], [0.75, 4.0], [1.5, 2.0])
    with pytest.raises(Failed, match="nobody knows"):
        crowd.take([first, second], waits[:3])


@pytest.mark.parametrize(
    ("own", "alone", "found"),
    [
        pytest.param([5.0, 50.0, 5.0], [10.0, 100.0, 10.0], 1.0, id="each round by itself"),
        pytest.param([10.0], [10.0], 0.5, id="nothing won"),
        pytest.param([], [10.0], None, id="failed"),
        pytest.param([10.0], [10.0, 10.0], None, id="failed later"),
    ],
)
def test_efficiency_of_two(own: list[float], alone: list[float], found: float | None) -> None:
    """The time of one, over twice the time of two."""
    assert efficiency(own, alone, 2) == found


def test_short_times_have_a_digit_more() -> None:
    """What takes less than a tenth of a second."""
    assert (milliseconds(0.00031), milliseconds(1.5)) == ("0.3 ms", "1,500 ms")
