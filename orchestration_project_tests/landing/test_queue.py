"""Landing as a queue: pure functions, so mostly properties that hold for every sequence of looks."""

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.landing.batches import Batch, Batching, Cadence
from orchestration_project.landing.files import FoundFile
from orchestration_project.landing.queue import (
    BACKOFF_SECONDS,
    BRIDGED_GAP,
    MAX_REQUESTS,
    Waiting,
    asked,
    look,
    ranges,
    read_state,
    write_state,
)

NOW = 1_700_000_000.0
SETTLE = 10.0
DAILY = Batching(Cadence.DAILY, dt.date(2010, 1, 1))

names = st.text(min_size=1, max_size=12)
moments = st.floats(0, 4e9)
waitings = st.builds(Waiting, st.text(max_size=9), moments, st.integers(0, 9), moments, st.text(max_size=9))
states = st.dictionaries(names, waitings, max_size=5)


def found(name: str = "a.csv", mtime: float = NOW - 3600, size: int = 5) -> FoundFile:
    return FoundFile(Path("landing") / name, name, size, int(mtime * 1e9))


def never(run_key: str) -> bool:
    return False


@given(states)
def test_state_survives_the_cursor(state: dict[str, Waiting]) -> None:
    """What is written is read back, whatever the file names are."""
    assert read_state(write_state(state)) == state


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.text() | json_values.map(json.dumps) | st.none())
def test_any_cursor_can_be_read(cursor: str | None) -> None:
    """A cursor of whatever content gives a state with which a look works."""
    look([found()], read_state(cursor), NOW, SETTLE, never)


@given(st.dictionaries(names, st.tuples(moments, st.integers(0, 9)), max_size=6), states, moments)
def test_every_file_is_in_one_place(files: dict[str, tuple[float, int]], state: dict[str, Waiting], now: float) -> None:
    """Each file that lies there is known afterwards, none is in two lists, and what is gone is forgotten."""
    listed = [found(name, mtime, size) for name, (mtime, size) in files.items()]
    result = look(listed, state, now, SETTLE, lambda run_key: len(run_key) % 2 == 0)
    assert set(result.state) == set(files)
    placed = [*(item.name for item in result.due), *result.settling, *result.running, *result.given_up]
    assert len(placed) == len(set(placed))
    assert set(placed) <= set(files)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=40), st.floats(0, 2e9))
def test_a_file_is_asked_for_at_most_five_times(pauses: list[float], mtime: float) -> None:
    """However often one looks, an unchanged file is asked for at most five times, at growing distances."""
    state, now, requests = dict[str, Waiting](), NOW, list[float]()
    for pause in pauses:
        now += pause
        result = look([found(mtime=mtime)], state, now, SETTLE, never)
        state = result.state
        if result.due:
            asked(state, result.due, f"key {now}", now)
            requests.append(now)
    assert len(requests) <= MAX_REQUESTS
    for number, (earlier, later) in enumerate(pairwise(requests)):
        assert later - earlier >= BACKOFF_SECONDS * 2**number


@pytest.mark.parametrize(
    ("mtime", "seen_at", "settled"),
    [
        pytest.param(NOW - 10, NOW, True, id="old enough"),
        pytest.param(NOW - 9, NOW, False, id="just written"),
        pytest.param(NOW + 9e6, NOW, False, id="from the future, seen now"),
        pytest.param(NOW + 9e6, NOW - 10, True, id="from the future, seen before"),
        pytest.param(0, NOW, True, id="1970"),
    ],
)
def test_settling(mtime: float, seen_at: float, settled: bool) -> None:
    """A file has settled when its clock or ours says so."""
    file = found(mtime=mtime)
    result = look([file], {file.name: Waiting(file.signature, seen_at)}, NOW, SETTLE, never)
    assert (result.due, result.settling) == (([file], []) if settled else ([], [file.name]))


@pytest.mark.parametrize("change", [{"size": 6}, {"mtime": NOW - 7200}])
def test_a_change_starts_anew(change: dict[str, float]) -> None:
    """Another size or modification time is another file: its requests count from zero."""
    before = found()
    given_up = {before.name: Waiting(before.signature, NOW, MAX_REQUESTS, NOW, "key")}
    after = found(**change)  # type: ignore[arg-type]  # one of two keywords
    result = look([after], given_up, NOW, SETTLE, never)
    assert result.due == [after]
    assert result.state[after.name].requests == 0
    assert look([before], given_up, NOW, SETTLE, never).given_up == [before.name]


def test_a_running_run_is_waited_for() -> None:
    """A file whose run has not ended is not due, also after the last attempt."""
    file = found()
    state = {file.name: Waiting(file.signature, NOW, MAX_REQUESTS, 0, "key")}
    assert look([file], state, NOW, SETTLE, lambda run_key: run_key == "key").running == [file.name]


days = st.dates(dt.date(2010, 1, 1), dt.date(2011, 12, 31))


@given(st.lists(days, max_size=30))
def test_ranges_hold_every_batch_once(batches: list[dt.date]) -> None:
    """Ranges are in order, apart from each other by more than the bridged gap, and begin and end with a batch."""
    result = ranges(batches, DAILY)
    assert {batch for start, end in result for batch in batches if start <= batch <= end} == set(batches)
    assert all(start <= end and {start, end} <= set(batches) for start, end in result)
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(result)]
    assert all(gap > dt.timedelta(BRIDGED_GAP + 1) for gap in gaps)


@pytest.mark.parametrize(
    ("cadence", "batches", "expected"),
    [
        pytest.param(Cadence.DAILY, [1, 5], [(1, 5)], id="three days bridged"),
        pytest.param(Cadence.DAILY, [1, 6], [(1, 1), (6, 6)], id="four days not"),
        pytest.param(Cadence.WEEKLY, [1, 29], [(1, 29)], id="three weeks bridged"),
    ],
)
def test_small_gaps_are_bridged(cadence: Cadence, batches: list[int], expected: list[tuple[int, int]]) -> None:
    """A few batches without a file do not cost another run."""
    batching = Batching(cadence, dt.date(2010, 1, 1))

    def day(number: int) -> Batch:
        return dt.date(2024, 1, number)

    found_ranges = ranges([day(number) for number in batches], batching)
    assert found_ranges == [(day(start), day(end)) for start, end in expected]
