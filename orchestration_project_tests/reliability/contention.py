"""Processes that use one warehouse at the same time: what each of them runs, and how tests start and end them."""

import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestration_project.contracts.feed import Feed, Required
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed
from orchestration_project_tests.reliability.evidence import effort

PATIENCE_SECONDS = effort(120, 1800)
HOLD_LOCK = """
import sys
from pathlib import Path
from orchestration_project.warehouse.duckdb_file import DuckdbFile
with DuckdbFile(Path(sys.argv[1])).connection("the big load"):
    print("ready", flush=True)
    sys.stdin.readline()
"""
HOLD_FILE = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only={read_only})
print("ready", flush=True)
sys.stdin.readline()
"""


def keyed() -> Feed:
    """A contract with a primary key, so that days depend on the days before them."""
    return feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), primary_key=("id",))


def load_days(folder: Path, rounds: Sequence[Sequence[int]]) -> None:
    """Load some days again and again, as one of several processes.

    Args:
        folder: the shop's.
        rounds: the days of each load, by number.
    """
    shop = Shop(folder, keyed())
    settings = replace(shop.settings, lock_timeout=PATIENCE_SECONDS)
    warehouse = Warehouse.from_settings(settings)
    for numbers in rounds:
        request = Request([day(number) for number in numbers], now=NOW)
        load(warehouse, settings, shop.feed, shop.options, request, lambda _: None)


@contextmanager
def at_once(folder: Path, *workers: Sequence[Sequence[int]]) -> Iterator[None]:
    """Processes that load; when the block ends they are waited for, and each must have ended well."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=load_days, args=(folder, rounds)) for rounds in workers]
    for process in processes:
        process.start()
    yield
    for process in processes:
        process.join(PATIENCE_SECONDS)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * len(processes)


@contextmanager
def holder(program: str, database: Path) -> "Iterator[subprocess.Popen[str]]":
    """A process that has got hold of the warehouse, until it reads a line or the block ends."""
    command = [sys.executable, "-c", program, str(database)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.kill()


def release(process: "subprocess.Popen[str]") -> None:
    """Let a holder end."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def wait_until_stopped(process: "subprocess.Popen[str]") -> None:
    """Wait until the system has stopped a process that was sent SIGSTOP."""
    status = Path(f"/proc/{process.pid}/status")
    while "State:\tT" not in status.read_text(encoding="utf-8"):
        time.sleep(0.01)
