"""A landing folder, a clock and runs that exist in memory only: the sensor as the daemon would drive it."""

import datetime as dt
import re
from dataclasses import dataclass, field

from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.sensor_cursor import SensorCursor, read_cursor, write_cursor
from orchestration_project.storage.sensor_evaluation import (
    MAX_BATCHES,
    MAX_REQUESTS,
    MAX_UNDER_WAY,
    MAX_UNSETTLED,
    Evaluation,
    FilesByBatch,
    PlannedRun,
    evaluate,
    group_by_batch,
    plan_requests,
)

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC).timestamp()
SETTLE = 10.0
DAILY = Batching(Cadence.DAILY, dt.date(2010, 1, 1), re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"))
BYTES_A_BATCH, BYTES_A_FILE_WATCHED = 200, 60


@dataclass
class Simulation:
    """What lies in landing, the cursor, the runs under way, and the keys of all runs that were ever requested.

    Each tick is checked against what a sensor must never do.
    """

    batching: Batching = DAILY
    now: float = NOW
    cursor: str | None = None
    files: dict[str, FoundFile] = field(default_factory=dict)
    changed_at: dict[str, float] = field(default_factory=dict)
    under_way: dict[str, PlannedRun] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)

    def write(self, name: str, age: float = 0.0, size: int = 5) -> None:
        """A file appears or is written to; its own clock says that this was `age` seconds ago."""
        self.files[name] = FoundFile(f"landing/{name}", name, size, max(0, int((self.now - age) * 1e9)))
        self.changed_at[name] = self.now

    def take_away(self, name: str) -> None:
        """A file vanishes."""
        self.files.pop(name, None)

    def tick(self, seconds: float = 30.0) -> tuple[list[PlannedRun], Evaluation]:
        """Time passes and the sensor ticks; the runs that it requests are under way from then on."""
        self.now += seconds
        grouped = group_by_batch(self.files.values(), self.batching, dt.datetime.fromtimestamp(self.now, dt.UTC))
        evaluation = evaluate(grouped, read_cursor(self.cursor, self.now), self.now, SETTLE, self.under_way)
        room = max(0, MAX_UNDER_WAY - len(self.under_way))
        planned, cursor = plan_requests("f", evaluation, self.batching, self.now, room, together=False)
        self.cursor = write_cursor(cursor)
        self._check(planned, grouped, cursor)
        return planned, evaluation

    def _check(self, planned: list[PlannedRun], grouped: FilesByBatch, cursor: SensorCursor) -> None:
        running = [run for key, run in self.under_way.items() if key not in self.forgotten]
        for run in planned:
            assert run.run_key not in self.keys
            covered = [batch for batch in grouped if run.start <= batch <= run.end]
            assert not any(other.start <= batch <= other.end for batch in covered for other in running)
            assert all(cursor.batches[str(batch)].run_key == run.run_key for batch in covered)
            assert all(any(map(self._is_settled, grouped[batch])) for batch in covered)
            self.under_way[run.run_key] = run
            self.keys.append(run.run_key)
        assert len(self.under_way) <= MAX_UNDER_WAY
        known = len(grouped) + MAX_BATCHES * MAX_UNDER_WAY
        watched = min(MAX_UNSETTLED, len(self.files))
        assert len(self.cursor or "") <= BYTES_A_BATCH * (1 + known) + BYTES_A_FILE_WATCHED * watched

    def _is_settled(self, file: FoundFile) -> bool:
        left_alone = self.now - self.changed_at[file.name]
        return max(left_alone, self.now - file.mtime_ns / 1e9) >= SETTLE

    def lose_cursor(self, cursor: str | None = None) -> None:
        """The cursor is replaced by something else, and with it goes what was known of the runs under way."""
        self.cursor = cursor
        self.forgotten |= self.under_way.keys()

    def end(self, run_key: str, succeeds: bool = True) -> None:
        """A run ends; one that succeeds takes all files of its batches out of landing."""
        run = self.under_way.pop(run_key)
        if succeeds:
            grouped = group_by_batch(self.files.values(), self.batching, dt.datetime.fromtimestamp(self.now, dt.UTC))
            for batch, files in grouped.items():
                if run.start <= batch <= run.end:
                    for file in files:
                        self.take_away(file.name)

    def end_all(self, succeeds: bool = True) -> None:
        """All runs end."""
        for run_key in list(self.under_way):
            self.end(run_key, succeeds)

    def work_off(self, succeeds: bool = True, ticks: int = 200) -> None:
        """Tick every quarter of an hour, all runs ending before the next, until nothing more is requested."""
        quiet = 0
        for _ in range(ticks):
            self.end_all(succeeds)
            planned, _evaluation = self.tick(960)
            quiet = 0 if planned else quiet + 1
            if quiet == MAX_REQUESTS:
                return
        raise AssertionError(f"still requesting runs after {ticks} ticks")
