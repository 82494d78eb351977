"""Runs publish at their end: readers who poll or stay connected meet no load, and see whole runs only."""

import datetime as dt
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import dagster as dg
import duckdb
import pandas as pd
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import PLATFORM, STEPWISE, Platform
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, materializations, project, value
from orchestration_project_tests.reliability.evidence import effort, measured, tried
from orchestration_project_tests.reliability.readers import Reader, paused, reading

pytestmark = [pytest.mark.promise("concurrency"), pytest.mark.usefixtures("published")]

FIRST = dt.date(2024, 1, 15)
LOADS, PAIRS, SECONDS = effort(3, 50), effort(2, 40), effort(0, 600)
"""Loads beside readers, how many of them are done without readers too, and how long all of that takes at least."""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Workbench]:
    """The project with a catalogue and one day of sales, all assets made."""
    with one_day(tmp_path / "data") as bench:
        yield bench


@contextmanager
def one_day(data_dir: Path) -> Iterator[Workbench]:
    """The same in a folder."""
    bench = Workbench(project(), data_dir)
    with bench.instance:
        bench.drop("products", "products.json", catalogue((1, "Kettle", "Kitchen", 20.0)))
        bench.run("raw_products", "cleaned_products", "rejected_products")
        load(bench, 0)
        yield bench


def load(bench: Workbench, number: int) -> None:
    """Deliver a day and run the feed's job, marts and all."""
    day = str(FIRST + dt.timedelta(days=number))
    bench.drop("sales", f"sales_{day}.csv", sales(sale(f"A{number}", quantity=number + 1, day=day)))
    bench.run(job="sales_job", first=day)


def copied(bench: Workbench, sql: str) -> list[tuple[object, ...]]:
    """Rows of the copy."""
    with duckdb.connect(str(bench.data_dir / "published" / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@dataclass
class Pairs:
    """The same loads beside readers, and in another warehouse without them: how many times as long the former take."""

    beside: Workbench
    alone: Workbench
    readers: tuple[Reader, ...]
    others: tuple[Reader, ...]
    ratios: list[float] = field(default_factory=list)
    cpu_ratios: list[float] = field(default_factory=list)

    def load(self, number: int) -> None:
        """Load a day twice. Which of both is first changes from day to day, since the second may find things warm."""
        taken: dict[bool, tuple[float, float]] = {}
        alone_first = len(self.ratios) % 2 == 0
        for is_alone in (alone_first, not alone_first):
            with paused(*self.others, *(self.readers if is_alone else ())):
                began, cpu = time.perf_counter(), time.process_time()
                load(self.alone if is_alone else self.beside, number)
                taken[is_alone] = (time.perf_counter() - began, time.process_time() - cpu)
        self.ratios.append(taken[False][0] / taken[True][0])
        self.cpu_ratios.append(taken[False][1] / taken[True][1])

    def __str__(self) -> str:
        return (
            f"{median(self.ratios):.2f} times as long as without them, {median(self.cpu_ratios):.2f} times in CPU"
            f" seconds (medians of {len(self.ratios)} pairs, from {min(self.ratios):.2f} to {max(self.ratios):.2f})"
        )


def test_readers_beside_loads(bench: Workbench, tmp_path: Path) -> None:
    """No read fails or is unbalanced while one polls and one stays: 3 loads here, in the long form 50 in 10 minutes.

    What readers cost loads is measured in pairs and reported. It decides nothing: they share the machine's cores.
    """
    copy, began = bench.data_dir / "published" / "warehouse.duckdb", time.monotonic()
    with (
        one_day(tmp_path / "alone") as alone,
        reading(copy, "polls") as polling,
        reading(copy, "polls", pause=1) as asking,
        reading(copy, "stays") as staying,
    ):
        busy = Pairs(bench, alone, (polling, staying), (asking,))
        usual = Pairs(bench, alone, (asking, staying), (polling,))
        for number in range(1, LOADS + 1):
            (busy, usual)[number % 2].load(number) if number <= PAIRS else load(bench, number)
            time.sleep(max(0.0, began + number * SECONDS / LOADS - time.monotonic()))
    for reader in (polling, asking, staying):
        assert reader.failures == []
        assert reader.unbalanced == []
        assert reader.reads > 0
    assert len(staying.states) == 1
    assert copied(bench, "SELECT count(*) FROM cleaned_sales") == [(LOADS + 1,)]
    reads = polling.reads + asking.reads + staying.reads
    minutes = (time.monotonic() - began) / 60
    measured(f"{LOADS} loads in {minutes:.1f} minutes, {reads:,} reads beside them: 0 failed, 0 unbalanced")
    measured(f"A load beside a reader that polls without a pause and one that stays connected took {busy}")
    measured(f"A load beside a reader that connects once a second and one that stays connected took {usual}")
    tried(reads)


def test_a_step_that_fails(bench: Workbench) -> None:
    """What the steps before it have committed is published, and the failed run tells nothing else."""

    @dg.asset
    def first(platform: Platform) -> None:
        with platform.warehouse.transaction("test") as connection:
            connection.execute("CREATE TABLE hers AS SELECT 1 AS n")

    @dg.asset(deps=[first])
    def second() -> None:
        raise ValueError

    own = Workbench(with_platform(dg.Definitions([first, second])), bench.data_dir)
    with own.instance:
        assert not own.run(raise_on_error=False).success
    assert copied(bench, "FROM hers") == [(1,)]


def test_a_frame_of_ones_own(bench: Workbench) -> None:
    """An asset that only the IO manager stores is published like all others."""

    @dg.asset
    def mine() -> pd.DataFrame:
        return pd.DataFrame({"n": [1, 2]})

    own = Workbench(with_platform(dg.Definitions([mine])), bench.data_dir)
    with own.instance:
        own.run()
    assert copied(bench, "SELECT sum(n)::INTEGER FROM mine") == [(3,)]


def test_a_process_for_each_step() -> None:
    """With another executor the end of a process is not that of the run, so it publishes nothing."""
    found = with_platform(dg.Definitions(), executor=dg.multiprocess_executor)
    assert (found.resources or {})["platform"] is STEPWISE
    assert (with_platform(dg.Definitions()).resources or {})["platform"] is PLATFORM


def test_commands_publish(bench: Workbench) -> None:
    """A command that writes publishes at its end; `publish` says what it did, and `status` how the copy stands."""
    with bench.environment():
        run = CliRunner()
        done = run.invoke(main, ["withdraw", "sales", f"sales_{FIRST}.csv", "--reason", "a test"])
        assert done.exit_code == 0, done.output
        assert copied(bench, "FROM cleaned_sales") == []
        with duckdb.connect(str(bench.data_dir / "warehouse.duckdb")) as connection:
            connection.execute("CREATE TABLE mine AS SELECT 1 AS n")
        assert "warehouse.duckdb  behind by" in run.invoke(main, ["status"]).output
        assert "1 files were written" in run.invoke(main, ["publish"]).output
        assert "Nothing was written: the copy was current" in run.invoke(main, ["publish"]).output
        assert "warehouse.duckdb  current, of" in run.invoke(main, ["status"]).output


def test_queries_name_the_copy(bench: Workbench) -> None:
    """The query of open rejects says which file it is to be asked of."""
    bench.drop("sales", f"sales_{FIRST}.csv", sales(sale("A0"), sale("A1", quantity="x")))
    told = materializations(bench.run(job="sales_job", first=str(FIRST)), "rejected_sales")
    first = value(told[str(FIRST)].metadata, "open_rejects_sql").splitlines()[1]
    assert first == f"-- duckdb -readonly {bench.data_dir / 'published' / 'warehouse.duckdb'}"


def test_a_read_only_folder(bench: Workbench) -> None:
    """A process that may not write sees the copy, even where nobody could make a file beside it."""
    folder = bench.data_dir / "published"
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    code = "import duckdb, sys; print(duckdb.connect(sys.argv[1], read_only=True).sql('SELECT 1 FROM cleaned_sales'))"
    try:
        done = subprocess.run([sys.executable, "-c", code, str(folder / "warehouse.duckdb")], check=True, timeout=60)
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert done.returncode == 0
