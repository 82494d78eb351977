"""Floods: many files at once, a long time of ticks, files that come, grow and go meanwhile."""

import datetime as dt
import os
import random
from pathlib import Path

import pytest

from orchestration_project.storage.files import discover
from orchestration_project.storage.sensor_cursor import read_cursor
from orchestration_project.storage.sensor_evaluation import MAX_REQUESTS, MAX_UNDER_WAY
from orchestration_project_tests.ingest.shop import Shop, day, named
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.storage.simulation import Simulation

pytestmark = pytest.mark.promise("load")

TICK = 30.0
DAY_OF_TICKS = int(24 * 3600 / TICK)


class Weather:
    """What happens to a landing folder in a day: everything that may, at random but repeatably."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - chance for a simulation, not a secret
        self.simulation = Simulation()
        self.growing: list[str] = []
        self.written = 0

    def blow(self) -> None:
        """Thirty seconds of arrivals, writes, losses and runs that end."""
        for happens, chance in [(self._arrive, 0.4), (self._grow, 0.5), (self._vanish, 0.03), (self._end, 0.5)]:
            if self.dice.random() < chance:
                happens()

    def _arrive(self) -> None:
        today = dt.datetime.fromtimestamp(self.simulation.now, dt.UTC).date()
        for_day = self.dice.choice(
            [
                str(today),
                str(today - dt.timedelta(days=self.dice.randrange(400))),
                str(today + dt.timedelta(days=self.dice.randrange(3))),
                "1999-01-01",
                "without a date",
            ]
        )
        name = f"{self.written}_{for_day}.csv"
        self.written += 1
        self.simulation.write(name, age=self.dice.choice([0.0, 0.0, 5.0, 86400.0, -300.0, -1e7]))
        if self.dice.random() < 0.1:
            self.growing.append(name)

    def _grow(self) -> None:
        for name in self.growing:
            if name in self.simulation.files:
                self.simulation.write(name, size=self.simulation.files[name].size + 100)
        if self.growing and self.dice.random() < 0.05:
            self.growing.pop(0)

    def _vanish(self) -> None:
        if self.simulation.files:
            self.simulation.take_away(self.dice.choice(sorted(self.simulation.files)))

    def _end(self) -> None:
        for run_key in list(self.simulation.under_way):
            if self.dice.random() < 0.7:
                self.simulation.end(run_key, succeeds=self.dice.random() < 0.8)


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"day {seed}") for seed in range(effort(3, 30))])
def test_a_day_of_ticks(seed: int) -> None:
    """Through 24 hours of arrivals and failures the queue keeps its bounds, and leaves what failed five times alone."""
    weather = Weather(seed)
    simulation = weather.simulation
    for _ in range(DAY_OF_TICKS):
        weather.blow()
        simulation.tick(TICK)
        tried()
    assert len(simulation.keys) <= weather.written * MAX_REQUESTS
    simulation.work_off()
    today = str(dt.datetime.fromtimestamp(simulation.now, dt.UTC).date())
    left = {name.partition("_")[2].removesuffix(".csv") for name in simulation.files}
    cursor = read_cursor(simulation.cursor, simulation.now)
    given_up = {batch for batch, last in cursor.batches.items() if last.requests == MAX_REQUESTS}
    assert {for_day for for_day in left if for_day <= today} <= given_up


@pytest.mark.found("The sensor's cursor had an entry a file: 20 MB for 100,000 files, written at each tick.")
@pytest.mark.parametrize("days", [1, 3650])
def test_the_cursor_and_the_requests_do_not_grow_with_the_files(days: int) -> None:
    """However many files lie in landing, the cursor has an entry a batch, and few runs wait."""
    files = 100_000
    simulation = Simulation()
    for number in range(files):
        simulation.write(f"{number}_{day(61) - dt.timedelta(days=number % days)}.csv", age=3600)
    requests, _evaluation = simulation.tick(TICK)
    assert 1 <= len(requests) <= MAX_UNDER_WAY
    assert len(simulation.cursor or "") <= 300 + 200 * min(days, 100 * MAX_UNDER_WAY)
    tried(files)


def test_a_tick_lists_the_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is listed once, and each entry asked once, whatever else it holds."""
    listings: list[Path] = []
    scandir = os.scandir

    def counted(folder: Path) -> object:
        listings.append(folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", counted)
    for number in range(300):
        (tmp_path / named(1, str(number))).touch()
        (tmp_path / f".{number}.part").touch()
    assert len(discover(tmp_path)) == 300
    assert listings == [tmp_path]


@pytest.mark.parametrize(
    "days",
    [
        pytest.param(1, id="one batch"),
        pytest.param(50, id="fifty batches"),
    ],
)
def test_thousands_of_files_in_one_load(tmp_path: Path, days: int) -> None:
    """As many files as one run is given are loaded at once, every row of each once."""
    shop, files, rows = Shop(tmp_path), effort(400, 4_000), 5
    for number in range(files):
        lines = [f"{number}-{row},{row}" for row in range(rows)]
        shop.deliver(named(number % days + 1, f"{number:05}"), "\n".join(["id,n", *lines, ""]))
    report = shop.load()
    assert len(report.entries) == files
    assert shop.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM cleaned_f") == [
        {"n": files * rows, "ids": files * rows}
    ]
    assert shop.rows("SELECT count(*) AS n FROM raw_f JOIN file_ledger ON _file = file AND status = 'loaded'") == [
        {"n": files * rows}
    ]
    assert shop.landing() == []
    assert len(shop.archive()) == files
    tried(files)
