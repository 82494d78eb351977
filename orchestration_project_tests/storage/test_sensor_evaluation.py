"""What the sensor does at a tick: pure functions, so mostly properties that hold for every sequence of ticks."""

import datetime as dt
from collections.abc import Collection
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from orchestration_project.storage.batches import Batch, Batching, Cadence
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.sensor_cursor import BatchRequest, SensorCursor
from orchestration_project.storage.sensor_evaluation import (
    BACKOFF_SECONDS,
    BRIDGED_GAP,
    MAX_BATCHES,
    MAX_FILES,
    MAX_REQUESTS,
    MAX_UNDER_WAY,
    MAX_UNSETTLED,
    Evaluation,
    evaluate,
    group_by_batch,
    ranges,
)
from orchestration_project_tests.storage.simulation import DAILY, NOW, SETTLE, Simulation

DAY = dt.date(2024, 1, 1)
MOMENT = dt.datetime.fromtimestamp(NOW, dt.UTC)


def day(number: int) -> dt.date:
    return DAY + dt.timedelta(days=number - 1)


def named(number: int, name: str = "s") -> str:
    return f"{name}_{day(number)}.csv"


def found(name: str = named(1), mtime: float = NOW - 3600, size: int = 5) -> FoundFile:
    return FoundFile(f"landing/{name}", name, size, int(mtime * 1e9))


def evaluated(
    files: list[FoundFile], cursor: SensorCursor, now: float = NOW, under_way: Collection[str] = ()
) -> Evaluation:
    return evaluate(group_by_batch(files, DAILY, MOMENT), cursor, now, SETTLE, under_way)


# -- one tick ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mtime", "seen_at", "settled"),
    [
        pytest.param(NOW - 10, None, True, id="old enough"),
        pytest.param(NOW - 9, None, False, id="just written"),
        pytest.param(NOW + 9e6, None, False, id="from the future, seen now"),
        pytest.param(NOW + 9e6, NOW - 9, False, id="from the future, just seen"),
        pytest.param(NOW + 9e6, NOW - 10, True, id="from the future, seen before"),
        pytest.param(NOW + 9e6, NOW + 99, False, id="seen before the clock was set back"),
        pytest.param(0, None, True, id="1970"),
    ],
)
def test_settling(mtime: float, seen_at: float | None, settled: bool) -> None:
    """A file has settled when its clock or ours says so."""
    cursor = SensorCursor(NOW)
    if seen_at is not None:
        cursor = evaluated([found(mtime=mtime)], cursor, now=seen_at).cursor
    result = evaluated([found(mtime=mtime)], cursor)
    assert (list(result.ready), result.settling) == (([day(1)], 0) if settled else ([], 1))


def test_a_file_from_the_future_that_is_written_to_waits() -> None:
    """A file whose clock is ahead settles once it was seen unchanged; each write begins that time anew."""
    cursor = evaluated([found(mtime=NOW + 500)], SensorCursor(NOW), now=NOW - 60).cursor
    again = evaluated([found(mtime=NOW + 501)], cursor)
    assert (list(again.ready), again.settling) == ([], 1)


def test_files_from_the_future_are_watched_in_turns() -> None:
    """However many files have a clock that is ahead, the cursor has few of them, and all have their turn."""
    files = [found(f"{number}_{day(1)}.csv", NOW + 1e6) for number in range(2 * MAX_UNSETTLED)]
    cursor, now = SensorCursor(NOW), NOW
    for _ in range(4):
        result = evaluated(files, cursor, now)
        assert len(result.cursor.unsettled) <= MAX_UNSETTLED
        assert result.settling + sum(batch.files for batch in result.ready.values()) == len(files)
        cursor, now = result.cursor, now + 30
        files = files[MAX_UNSETTLED:] if result.ready else files
    assert result.settling == 0
    assert not evaluated([], cursor, now).cursor.unsettled


@pytest.mark.parametrize(
    ("after", "ready"),
    [
        pytest.param([found()], False, id="the same file"),
        pytest.param([found(size=6)], True, id="another size"),
        pytest.param([found(mtime=NOW - 7200)], True, id="another modification time"),
        pytest.param([found(), found(named(1, "t"))], True, id="one more"),
        pytest.param([found(), found(named(1, "t"), NOW - 1)], False, id="one more that is being written"),
    ],
)
def test_a_change_starts_anew(after: list[FoundFile], ready: bool) -> None:
    """A batch that was given up is ready again as soon as its settled files are others."""
    digest = evaluated([found()], SensorCursor(NOW)).ready[day(1)].digest
    given_up = SensorCursor(NOW, 5, {str(day(1)): BatchRequest(digest, MAX_REQUESTS, NOW, "key")})
    result = evaluated(after, given_up)
    assert list(result.ready) == ([day(1)] if ready else [])
    assert result.given_up == ([] if ready else [named(1)])
    assert not ready or result.ready[day(1)].requests == 0


def test_a_running_run_is_waited_for() -> None:
    """A batch whose run has not ended is not ready: not after its last attempt, not once it was empty in between."""
    cursor = SensorCursor(NOW, 5, {str(day(1)): BatchRequest("digest", MAX_REQUESTS, 0, "key")})
    assert evaluated([found()], cursor, under_way={"key"}).running == 1
    emptied = evaluated([], cursor, under_way={"key"}).cursor
    assert evaluated([found()], emptied, under_way={"key"}).running == 1
    assert list(evaluated([found()], emptied).ready) == [day(1)]


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    """A request that seems to have been made in the future does not hold up the next one."""
    digest = evaluated([found()], SensorCursor(NOW)).ready[day(1)].digest
    cursor = SensorCursor(NOW, 1, {str(day(1)): BatchRequest(digest, 1, NOW + 9e6, "key")})
    assert evaluated([found()], cursor).ready[day(1)].requests == 1


def test_nothing_is_grouped_before_a_feed_begins() -> None:
    """With a first batch in the future every file waits, those without a batch too."""
    later = Batching(Cadence.DAILY, dt.date(2025, 1, 1), DAILY.pattern)
    assert group_by_batch([found("2025-01-01.csv"), found("notes.csv"), found(named(1))], later, MOMENT) == {}


# -- sequences of ticks ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=40), st.floats(0, 2e9))
def test_a_run_is_requested_at_most_five_times_for_a_file(pauses: list[float], age: float) -> None:
    """However many ticks there are, runs for an unchanged file are requested five times, with growing pauses."""
    simulation, requests = Simulation(), list[float]()
    simulation.write(named(1), age)
    for pause in pauses:
        if simulation.tick(pause)[0]:
            requests.append(simulation.now)
        simulation.end_all(succeeds=False)
    assert len(requests) <= MAX_REQUESTS
    for number, (earlier, later) in enumerate(pairwise(requests)):
        assert later - earlier >= BACKOFF_SECONDS * 2**number


numbers = st.integers(1, 70)  # the simulated present is day 61
ages = st.sampled_from([0.0, 3600.0, 1e10, -5.0, -1e8])


class SensorMachine(RuleBasedStateMachine):
    """Files that come, grow and go, runs that succeed and fail, a cursor that gets lost, and ticks in between."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation = Simulation()

    @rule(number=numbers, name=st.sampled_from("ab"), age=ages, size=st.integers(0, 3))
    def write(self, number: int, name: str, age: float, size: int) -> None:
        """A file is delivered, or written to."""
        self.simulation.write(named(number, name), age, size)

    @rule(name=st.sampled_from(["notes.csv", "x_1999-01-01.csv"]), age=ages)
    def write_one_without_a_batch(self, name: str, age: float) -> None:
        """A file comes that is to be refused."""
        self.simulation.write(name, age)

    @precondition(lambda self: self.simulation.files)
    @rule(data=st.data())
    def take_away(self, data: st.DataObject) -> None:
        """A file vanishes."""
        self.simulation.take_away(data.draw(st.sampled_from(sorted(self.simulation.files))))

    @rule(seconds=st.sampled_from([1.0, 30.0, 60.0, 600.0, 86400.0]))
    def tick(self, seconds: float) -> None:
        """The sensor ticks."""
        self.simulation.tick(seconds)

    @precondition(lambda self: self.simulation.under_way)
    @rule(data=st.data(), succeeds=st.booleans())
    def end(self, data: st.DataObject, succeeds: bool) -> None:
        """A run ends."""
        self.simulation.end(data.draw(st.sampled_from(sorted(self.simulation.under_way))), succeeds)

    @rule(cursor=st.none() | st.just("garbage"))
    def lose_cursor(self, cursor: str | None) -> None:
        """The cursor is lost."""
        self.simulation.lose_cursor(cursor)

    def teardown(self) -> None:
        """What fails is given up and reported; what is requested anew after that is loaded."""
        simulation = self.simulation
        # What has no batch of its own begins anew with each day, so all this happens on one.
        simulation.now += 86400 - (simulation.now - NOW) % 86400
        simulation.work_off(succeeds=False)
        given_up = simulation.tick()[1].given_up
        today = str(dt.datetime.fromtimestamp(simulation.now, dt.UTC).date())
        assert sorted(given_up) == [name for name in sorted(simulation.files) if name[2:12] <= today or "_" not in name]
        simulation.lose_cursor()
        simulation.work_off()
        assert all(name[2:12] > today for name in simulation.files)


TestSensor = SensorMachine.TestCase
TestSensor.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_one_bad_batch_does_not_take_others_with_it() -> None:
    """When a run over many batches fails for one of them, the last attempt is for each batch alone."""
    simulation = Simulation()
    for number in range(1, 8):
        simulation.write(named(number), 3600)
    for _ in range(MAX_REQUESTS):
        for run in simulation.tick(3600)[0]:
            simulation.end(run.run_key, succeeds=not run.start <= day(3) <= run.end)
    assert list(simulation.files) == [named(3)]
    assert len(simulation.keys) == MAX_REQUESTS - 1 + 7


def test_a_file_for_a_batch_inside_a_range_waits_for_its_run() -> None:
    """A file for a batch that was empty when a run over its range was requested waits for that run to end."""
    simulation = Simulation()
    simulation.write(named(1), 3600)
    simulation.write(named(3), 3600)
    (run,) = simulation.tick()[0]
    simulation.write(named(2), 3600)
    assert simulation.tick(1)[0] == []
    simulation.end(run.run_key, succeeds=False)
    assert [(run.start, run.end) for run in simulation.tick(1)[0]] == [(day(2), day(2))]


def test_new_batches_do_not_join_failing_ones() -> None:
    """A batch that arrives beside one that fails has a run of its own, before and after that one was given up."""
    simulation = Simulation()
    simulation.write(named(2), 3600)
    simulation.tick()
    simulation.end_all(succeeds=False)
    for _ in range(MAX_REQUESTS + 2):
        simulation.write(named(1), 3600)
        simulation.write(named(3), 3600)
        new, *others = simulation.tick(3600)[0]
        assert not new.start <= day(2) <= new.end
        simulation.end(new.run_key)
        for run in others:
            simulation.end(run.run_key, succeeds=not run.start <= day(2) <= run.end)
    simulation.end_all()
    assert named(2) in simulation.files


def test_few_runs_are_under_way_at_once() -> None:
    """Batches that can't join wait until one of the runs has ended, and the oldest are first."""
    simulation = Simulation()
    for month in range(30):
        simulation.write(named(61 - 10 * month), 3600)
    planned, _evaluation = simulation.tick()
    assert [run.start for run in planned] == [day(61 - 10 * month) for month in reversed(range(20, 30))]
    assert len(planned) == MAX_UNDER_WAY
    assert simulation.tick()[0] == []
    simulation.end(planned[3].run_key)
    assert [run.start for run in simulation.tick()[0]] == [day(61 - 190)]
    simulation.work_off()
    assert not simulation.files


def test_two_sensors_on_one_folder_share_no_cursor() -> None:
    """Each sensor requests runs for what it sees, and none again for what the other's run has taken away."""
    one = Simulation()
    other = Simulation(files=one.files, changed_at=one.changed_at)
    one.write(named(1), 3600)
    assert len(one.tick()[0]) == len(other.tick()[0]) == 1
    one.end_all()
    other.end_all()
    assert one.tick(3600)[0] == other.tick(3600)[0] == []
    one.write(named(1, "t"), 3600)
    assert len(one.tick()[0]) == len(other.tick()[0]) == 1


# -- ranges ------------------------------------------------------------------------------------------------------------

days = st.dates(dt.date(2010, 1, 1), dt.date(2011, 12, 31))


@settings(deadline=None)
@given(
    st.dictionaries(days, st.sampled_from([0, 1, MAX_FILES // 3, 2 * MAX_FILES]), max_size=150),
    st.sets(days, max_size=9),
)
def test_ranges_hold_every_batch_once(sizes: dict[dt.date, int], apart: set[dt.date]) -> None:
    """Ranges are in order, bounded in batches and files, and none reaches over a batch that is kept apart."""
    result = ranges(sizes, DAILY, lambda batch: batch in apart - sizes.keys())
    assert [batch for run in result for batch in run] == sorted(sizes)
    for run in result:
        assert run[-1].toordinal() - run[0].toordinal() < MAX_BATCHES
        assert len(run) == 1 or sum(sizes[batch] for batch in run) <= MAX_FILES
        assert not any(run[0] <= batch <= run[-1] for batch in apart - sizes.keys())


@settings(deadline=None)
@given(st.sets(days, max_size=30))
def test_small_gaps_do_not_cost_a_run(batches: set[dt.date]) -> None:
    """Ranges of few files are apart from each other by more than the bridged gap, unless they are as long as may be."""
    result = ranges(dict.fromkeys(batches, 1), DAILY)
    for earlier, later in pairwise(result):
        far = later[0].toordinal() - earlier[-1].toordinal() > BRIDGED_GAP + 1
        assert far or later[0].toordinal() - earlier[0].toordinal() >= MAX_BATCHES


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
    sizes: dict[Batch, int] = {day(number): 1 for number in batches}
    found_ranges = ranges(sizes, Batching(cadence, dt.date(2010, 1, 1)))
    assert [(run[0], run[-1]) for run in found_ranges] == [(day(start), day(end)) for start, end in expected]
