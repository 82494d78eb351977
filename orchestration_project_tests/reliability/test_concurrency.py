"""Processes that work at the same time, on the same files and days: rows count once, and nobody waits for ever."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from orchestration_project.components.retries import failed_for_a_while
from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.watch import Watch, spec_of
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.reliability.contention import (
    HOLD_FILE,
    HOLD_LOCK,
    at_once,
    holder,
    keyed,
    load_days,
    release,
    wait_until_stopped,
)
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried

pytestmark = pytest.mark.promise("concurrency")

DAYS = range(1, 5)


def content(number: int, version: int) -> str:
    """A day's file: records of its own, one that is broken, and keys that other days and versions have too."""
    own = "".join(f"d{number}v{version}r{row},{row}\n" for row in range(20))
    return f"id,n\n{own}shared{number // 2},{version}\nshared{version},{number}\nbroken,x\n"


def replace_file(shop: Shop, number: int, version: int) -> None:
    """Deliver a version of a day's file as a careful sender does: under another name, then renamed."""
    partial = shop.deliver(f"{named(number)}.part", content(number, version), minute=10 * version + number)
    partial.rename(partial.with_suffix(""))


def undisturbed(folder: Path, versions: dict[int, int]) -> Shop:
    """A shop in which one process loaded the last version of every file, once."""
    shop = Shop(folder, keyed())
    for number, version in versions.items():
        replace_file(shop, number, version)
    shop.load()
    return shop


@pytest.mark.parametrize("seed", range(effort(2, 5)))
def test_loads_at_once_give_what_one_load_gives(tmp_path: Path, seed: int) -> None:
    """Whatever days several processes load at the same time while files arrive, the tables are those of one load."""
    dice = random.Random(seed)  # noqa: S311 - it shuffles work
    shop, versions = Shop(tmp_path / "busy", keyed()), dict.fromkeys(DAYS, 1)
    for number in DAYS:
        replace_file(shop, number, version=1)
    workers = [[dice.sample(DAYS, dice.randint(1, 4)) for _ in range(effort(4, 20))] for _ in range(3)]
    with at_once(shop.folder, *workers):
        for version in range(2, effort(4, 12)):
            for number in dice.sample(DAYS, 2):
                replace_file(shop, number, version)
                versions[number] = version
    shop.load(*shop.due())
    tried(sum(map(len, workers)))
    expected = undisturbed(tmp_path / "calm", versions)
    assert shop.tables() == expected.tables()
    assert shop.landing() == []
    loaded = "SELECT file, version, cleaned, rejected FROM file_ledger WHERE status = 'loaded' ORDER BY ALL"
    assert shop.rows(loaded) == expected.rows(loaded)


def test_disjoint_days_at_once(tmp_path: Path) -> None:
    """Processes that load different days wait for each other, and each day is there once."""
    shop = Shop(tmp_path, keyed())
    for number in DAYS:
        replace_file(shop, number, version=1)
    with at_once(tmp_path, *([[number]] for number in DAYS)):
        pass
    assert shop.tables() == undisturbed(tmp_path / "calm", dict.fromkeys(DAYS, 1)).tables()


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckdbFile:
    """A warehouse with a table, and little patience."""
    warehouse = DuckdbFile(tmp_path / "warehouse.duckdb", lock_timeout=0.3, threads=1)
    use(warehouse)
    return warehouse


def use(warehouse: DuckdbFile) -> None:
    """Use the warehouse for a moment."""
    with warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER)")


@pytest.mark.parametrize("read_only", [True, False])
def test_a_reader_that_holds_the_file(warehouse: DuckdbFile, read_only: bool) -> None:
    """A program that has the file open, if only to read it, is named by its process, with what to do about it."""
    with (
        holder(HOLD_FILE.format(read_only=read_only), warehouse.database) as process,
        pytest.raises(WarehouseBusy, match=rf"held open outside the platform.*PID {process.pid}.*Close that program"),
    ):
        use(warehouse)
    use(warehouse)


def test_a_reader_that_goes_is_waited_for(warehouse: DuckdbFile) -> None:
    """Who closes the file in time costs the others a wait and no error."""
    with holder(HOLD_FILE.format(read_only=True), warehouse.database) as process:
        with pytest.raises(WarehouseBusy):
            use(warehouse)
        release(process)
        use(replace(warehouse, lock_timeout=60))


@pytest.mark.found("Who waited could be told of a process that was killed long ago.")
def test_a_holder_that_is_killed(warehouse: DuckdbFile) -> None:
    """The lock of a killed process is free at once, and the note that it left names nobody any more."""
    note = warehouse.database.with_name(f"{warehouse.database.name}.holder.json")
    with holder(HOLD_LOCK, warehouse.database) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    left = note.read_text(encoding="utf-8")
    assert str(process.pid) in left
    with holder(HOLD_LOCK, warehouse.database) as other:
        note.write_text(left, encoding="utf-8")
        with pytest.raises(WarehouseBusy, match="in use by another process;") as caught:
            use(warehouse)
        assert str(process.pid) not in str(caught.value)
        other.kill()
    use(warehouse)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks into /proc")
def test_a_holder_that_hangs(warehouse: DuckdbFile) -> None:
    """A holder that neither goes on nor ends is waited for no longer than allowed, and named with what it does."""
    with holder(HOLD_LOCK, warehouse.database) as process:
        process.send_signal(signal.SIGSTOP)
        wait_until_stopped(process)
        with pytest.raises(WarehouseBusy, match=rf"process {process.pid} on .* \(the big load, .*or stop it, and run"):
            use(warehouse)
    use(warehouse)


@pytest.mark.found("A warehouse in a folder that can't be used failed with an error that named neither setting.")
@pytest.mark.parametrize(
    "obstacle", ["file in the place of the folder", "folder in the place of the lock", "read-only"]
)
def test_a_warehouse_that_cannot_be_locked(obstacle: str, tmp_path: Path) -> None:
    """Where the lock can't be made, the error names the path and the settings that choose it, at once."""
    folder = tmp_path / "folder"
    if obstacle.startswith("file"):
        folder.write_text("", encoding="utf-8")
    elif obstacle.startswith("folder"):
        (folder / "warehouse.duckdb.lock").mkdir(parents=True)
    else:
        folder.mkdir(mode=0o500)
        if os.access(folder, os.W_OK):
            pytest.skip("the superuser may write anywhere")
    with pytest.raises(WarehouseError, match=r"warehouse\.duckdb\.lock can't be locked: .*DATA_DIR and WAREHOUSE_URL"):
        use(DuckdbFile(folder / "warehouse.duckdb", lock_timeout=60))


def test_a_note_that_cannot_be_written_stops_nobody(warehouse: DuckdbFile) -> None:
    """The note of who holds the lock is only for those who wait."""
    warehouse.database.with_name(f"{warehouse.database.name}.holder.json").mkdir()
    use(warehouse)


@pytest.fixture
def benches(tmp_path: Path) -> Iterator[list[Workbench]]:
    """Two installations, each with a history of its own, on one data folder."""
    with ExitStack() as stack:
        instances = [stack.enter_context(dg.DagsterInstance.ephemeral()) for _ in range(2)]
        yield [Workbench(project(), tmp_path, instance) for instance in instances]


def test_two_sensors_on_one_landing_folder(benches: list[Workbench]) -> None:
    """Two installations that see the same files ask for the same runs; the second one finds nothing left to load."""
    benches[0].drop("sales", "sales_2024-01-15.csv", sales(sale("A1"), sale("A2")), modified=1_700_000_000)
    watches = [Watch(bench, spec_of("sales")) for bench in benches]
    asked = [watch.tick() for watch in watches]
    assert [len(found) for found in asked] == [1, 1]
    assert all(watch.launch(request).success for watch, (request,) in zip(watches, asked, strict=True))
    assert benches[0].query("SELECT order_id FROM cleaned_sales ORDER BY 1") == [("A1",), ("A2",)]
    assert benches[0].query("SELECT count(*) FROM file_ledger") == [(1,)]


def environment(data_dir: Path, home: Path) -> dict[str, str]:
    """What a shell of its own has in its environment, for one Dagster home."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    inherited = dict(os.environ)  # noqa: TID251 - the commands run as they would from this shell
    return inherited | {"DATA_DIR": str(data_dir), "DAGSTER_HOME": str(home), "PYTHONPATH": str(REPOSITORY)}


def run_all(commands: list[tuple[list[str], dict[str, str]]]) -> list[str]:
    """Run commands at the same time; each must end well. Returns what they printed."""
    running = [
        subprocess.Popen(
            [sys.executable, "-m", *command],
            env=env,
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command, env in commands
    ]
    printed = [process.communicate(timeout=240)[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(running), printed
    return printed


@pytest.mark.found(
    "Processes that started at once on an empty DAGSTER_HOME left a database that none could open again."
)
def test_commands_at_once_on_an_empty_home(tmp_path: Path) -> None:
    """A history that several processes begin at once is made once; of runs at once on one day one loads its rows."""
    home, data_dir = tmp_path / "home", tmp_path / "data"
    shell = environment(data_dir, home)
    Workbench(project(), data_dir).drop("sales", "sales_2024-01-15.csv", sales(sale("A1"), sale("A2")))
    run_all([(["orchestration_project", "make-history", str(home)], shell)] * 2)
    command = ["dagster", "asset", "materialize", "-m", "orchestration_project.definitions"]
    command += ["--select", "raw_sales,cleaned_sales,rejected_sales", "--partition", "2024-01-15"]
    run_all([(command, shell)] * 2)
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as connection:
        assert connection.execute("SELECT order_id FROM cleaned_sales ORDER BY 1").fetchall() == [("A1",), ("A2",)]
        assert connection.execute("SELECT status, count(*) FROM file_ledger GROUP BY 1").fetchall() == [("loaded", 1)]
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 2


@contextmanager
def daemon(shell: dict[str, str], log: Path) -> Iterator[None]:
    """Dagster's daemon with sensors and schedules switched on."""
    command = [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", "workspace.yaml"]
    environment = shell | {"AUTOMATION": "on"}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=output, stderr=output) as process,
    ):
        try:
            yield
        finally:
            process.terminate()


def runs_of(home: Path) -> list[dg.DagsterRun]:
    """The runs of an installation."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return list(instance.get_runs())


def gave_way(home: Path, run: dg.DagsterRun) -> bool:
    """Whether a run of an installation failed because somebody else had the warehouse."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return failed_for_a_while(instance, run.run_id)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something has come about; fail when it takes too long."""
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(1)


@pytest.mark.skipif(not TORTURE, reason="takes two minutes; `make torture` runs it")
def test_two_daemons_and_a_command_line(tmp_path: Path) -> None:
    """Runs that two daemons ask for and one of the command line take turns on the same files; each row counts once."""
    data_dir, homes = tmp_path / "data", [tmp_path / "home", tmp_path / "other home"]
    shells = [environment(data_dir, home) for home in homes]
    for home, shell in zip(homes, shells, strict=True):
        run_all([(["orchestration_project", "make-history", str(home)], shell)])
    bench = Workbench(project(), data_dir)
    days = [f"2024-01-{number}" for number in range(15, 19)]
    for number, moment in enumerate(days):
        bench.drop("sales", f"sales_{moment}.csv", sales(sale(f"A{number}", day=moment)), modified=1_700_000_000)
    command = ["dagster", "asset", "materialize", "-m", "orchestration_project.definitions"]
    command += ["--select", "raw_sales,cleaned_sales,rejected_sales", "--partition-range", f"{days[0]}...{days[-1]}"]
    with daemon(shells[0], tmp_path / "one.log"), daemon(shells[1], tmp_path / "two.log"):
        with holder(HOLD_LOCK, data_dir / "warehouse.duckdb") as process:
            wait_for(lambda: all(runs_of(home) for home in homes))
            release(process)
            run_all([(command, shells[0])])
        wait_for(lambda: all(run.is_finished for home in homes for run in runs_of(home)))
    # A run of a sensor gives way after a moment, and is requested again if its files are still there then.
    assert [run for home in homes for run in runs_of(home) if not (run.is_success or gave_way(home, run))] == []
    assert sum(len(runs_of(home)) for home in homes) > 2
    assert bench.query("SELECT order_id FROM cleaned_sales ORDER BY 1") == [
        (f"A{number}",) for number in range(len(days))
    ]
    assert bench.landing("sales") == []


def test_loads_take_turns_without_the_lock_file(tmp_path: Path) -> None:
    """Somebody who removes the lock file meanwhile takes the note of who holds it away, and not the exclusion."""
    shop = Shop(tmp_path, keyed())
    replace_file(shop, 1, version=1)
    shop.load()
    with holder(HOLD_LOCK, shop.settings.database):
        Path(f"{shop.settings.database}.lock").unlink()
        with pytest.raises(WarehouseBusy, match="held open outside the platform"):
            shop.load()
    load_days(tmp_path, [[1]])
    assert len(shop.table("raw")) == 23
