"""What becomes of a shard that fails: it is done again, its remains go, and in the end the load says so or is whole."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration_project.errors import DiskFull, ShardFailed
from orchestration_project.ingest.shard import ShardResult, ShardTask, run_shard
from orchestration_project.ingest.shard_runners import ATTEMPTS, runner_of
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings
from orchestration_project_tests.ingest.sharded import ShardedShop, evidence
from orchestration_project_tests.ingest.shop import Shop, column, feed, named, options
from orchestration_project_tests.reliability.evidence import tried

pytestmark = pytest.mark.promise("crash")

CONTRACT = feed(column("id"), column("n", "INTEGER"), primary_key=("id",))


def fill(shop: Shop) -> Shop:
    """Deliver four files, and load them."""
    for number in range(1, 5):
        shop.deliver(named(number), f"id,n\na,{number}\nb{number},x\n")
    shop.load()
    return shop


class Faulty:
    """An executor that does something before it runs the n-th shard it is given, and after it."""

    calls = itertools.count(1)
    before: Callable[[int], None] = staticmethod(lambda _: None)
    after: Callable[[int, ShardResult], None] = staticmethod(lambda *_: None)

    @classmethod
    def run(cls, task: ShardTask) -> ShardResult:
        """Run a shard."""
        number = next(cls.calls)
        cls.before(number)
        result = run_shard(task)
        cls.after(number, result)
        return result


run = Faulty.run


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> type[Faulty]:
    """The executor, without a fault."""
    monkeypatch.setattr(Faulty, "calls", itertools.count(1))
    monkeypatch.setattr(Faulty, "before", staticmethod(lambda _: None))
    monkeypatch.setattr(Faulty, "after", staticmethod(lambda *_: None))
    return Faulty


def shop_of(folder: Path, executor: str = f"{__name__}:run") -> ShardedShop:
    """A shop with two shards."""
    return ShardedShop(folder, CONTRACT, options(), executor=executor)


def failing(*numbers: int, error: Exception) -> "staticmethod[[int], None]":
    """Fail at the n-th calls."""

    def fail(number: int) -> None:
        if number in numbers:
            raise error

    return staticmethod(fail)


def test_a_shard_that_fails_is_done_again(faulty: type[Faulty], tmp_path: Path) -> None:
    """One failure costs the work of one shard, is told without the record that it quotes, and changes nothing."""
    faulty.before = failing(1, error=ValueError("can't read 'Ann'"))
    shop = fill(shop_of(tmp_path / "a"))
    assert evidence(shop) == evidence(fill(Shop(tmp_path / "b", CONTRACT, options())))
    (told,) = [line for line in shop.told if "done again" in line]
    assert "Ann" not in told
    assert next(faulty.calls) == 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [pytest.param(OSError("gone"), ShardFailed, id="failed"), pytest.param(DiskFull("full"), DiskFull, id="disk")],
)
def test_a_shard_that_fails_always_ends_the_load(
    faulty: type[Faulty], error: Exception, expected: type[Exception], tmp_path: Path
) -> None:
    """It is tried a few times; then nothing was changed, files wait in landing, and the next load brings them."""
    faulty.before = failing(*range(1, 2 * ATTEMPTS + 1), error=error)
    shop = shop_of(tmp_path / "a")
    with pytest.raises(expected, match=r"failed 3 time.* Nothing was changed"):
        fill(shop)
    assert len(shop.landing()) == 4
    assert shop.table("raw") == []
    assert not [*tmp_path.glob("a/*.work")]
    faulty.before = failing(error=error)
    shop.load()
    assert evidence(shop) == evidence(fill(Shop(tmp_path / "b", CONTRACT, options())))


def test_a_damaged_result_is_no_result(faulty: type[Faulty], tmp_path: Path) -> None:
    """A file of a shard that was cut or changed on its way is noticed by its hash, and the shard is done again."""

    def damage(number: int, result: ShardResult) -> None:
        if number == 1 and result.validated:
            file = Path(result.validated.path)
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)

    faulty.after = staticmethod(damage)
    shop = fill(shop_of(tmp_path / "a"))
    assert evidence(shop) == evidence(fill(Shop(tmp_path / "b", CONTRACT, options())))
    assert any("is not what was written to it" in line for line in shop.told)


def test_a_file_at_fault_is_not_tried_again(faulty: type[Faulty], tmp_path: Path) -> None:
    """A refused file is a verdict: its shard is not done again for it."""
    shop = shop_of(tmp_path)
    shop.options = options(max_reject_rate=0.1)
    fill(shop)
    assert len(shop.quarantine()) == 4
    assert next(faulty.calls) == 3


@contextmanager
def killing(times: int) -> Iterator[list[int]]:
    """Kill the first processes that start below this one, with SIGKILL, each while it works."""
    killed, ended = list[int](), threading.Event()

    def watch() -> None:
        while not ended.is_set() and len(killed) < times:
            for pid in children():
                if pid not in killed and len(killed) < times and b"shard_process" in command_of(pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield killed
    finally:
        ended.set()
        watcher.join()


def children() -> list[int]:
    """The processes below this one."""
    found = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [int(pid) for path in found for pid in path.read_text().split()]


def command_of(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
def test_killed_processes_are_started_again(tmp_path: Path) -> None:
    """Shards whose processes are killed are done again by others, and the result is that of one process."""
    tried(2)
    shop = shop_of(tmp_path / "a", "processes")
    of_other_tests = {*children()}
    with killing(2) as killed:
        fill(shop)
    assert len(killed) == 2
    assert [line for line in shop.told if "was ended by signal 9" in line]
    assert evidence(shop) == evidence(fill(Shop(tmp_path / "b", CONTRACT, options())))
    assert not {*children()} - of_other_tests


def test_a_process_ends_with_the_load_that_started_it() -> None:
    """When its parent is gone, its input closes, and it does not go on for nobody."""
    command = [sys.executable, "-c", f"import {RUNNING} as p, sys; p._end_with_parent(sys.stdin.buffer)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        process.stdin.close()
        assert process.wait() == 3


RUNNING = "orchestration_project.ingest.shard_process"


def test_what_is_no_answer_is_told(tmp_path: Path) -> None:
    """A process that ends without a result says why in the error: here, it gets no task."""
    with runner_of("processes") as started, pytest.raises(ShardFailed, match="AttributeError"):
        started("no task")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["nowhere_at_all:run", f"{__name__}:no_such_function"])
def test_an_executor_that_is_not_there(name: str) -> None:
    """A function that can't be imported is told by its name."""
    with pytest.raises(SettingsError, match="can't be imported"), runner_of(name):
        pass


@pytest.mark.parametrize("text", ["threads", "ray:", "ray:host", "spark://host:1", "a.b:", ":c", "ray://h h:1"])
def test_other_executors_are_refused(text: str) -> None:
    """What is no executor is refused when settings are read."""
    with pytest.raises(SettingsError, match="SHARDS_EXECUTOR"):
        Settings.from_env({"SHARDS_EXECUTOR": text})


@pytest.mark.parametrize("text", ["processes", "ray", "ray:127.0.0.1:6379", "ray://head:10001", "my_project.spark:run"])
def test_executors(text: str) -> None:
    """What is an executor is taken as it stands."""
    assert Settings.from_env({"SHARDS_EXECUTOR": text}).shards_executor == text


def test_shards_are_off_and_cost_nothing_by_default() -> None:
    """A load without shards imports nothing of them."""
    code = (
        "import orchestration_project.definitions, orchestration_project.ingest.load, sys;"
        "print([name for name in sys.modules if 'shard' in name or name == 'ray'])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert found.stdout.strip() == "[]"
    assert Settings.from_env({}).shards is None
