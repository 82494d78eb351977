"""Processes that load days of sales at the same time: prints JSON.

    python -m benchmarks.writers PLAN.json      [{"settings": {"DATA_DIR": ...}, "loads": [["2024-01-01"], ...]}, ...]

There is a process for each entry of the plan. They begin together, when all of them have started; files are in landing
already. Belongs here: loading, and noting when. Does not belong here: Dagster, which would take longer than a load.
"""

import datetime as dt
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any

import duckdb  # noqa: F401 - the first load of each process would have to wait for it

from benchmarks.session import ROOT
from orchestration_project.contracts import load_feed
from orchestration_project.failpoints import AnyPoint, Point, listen
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import feed_options
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse

CONTRACT = ROOT / "benchmarks/shop/defs/sales/sales.odcs.yaml"
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
PATIENCE_SECONDS = 600.0
_gate: "Barrier | None" = None


@dataclass(slots=True)
class Load:
    """One load.

    Attributes:
        process: its id.
        began, ended: in seconds since 1970.
        held: how long it had the lock, each time.
    """

    process: int
    began: float
    ended: float = 0.0
    held: list[float] = field(default_factory=list)


def write(settings: dict[str, str], loads: Sequence[Sequence[str]]) -> list[Load]:
    """Load some days, as one of several processes; waits for the others first.

    Args:
        settings: beside those of this process's environment.
        loads: the days of each load.
    """
    inherited = os.environ  # noqa: TID251 - it is handed on
    given = Settings.from_env({**inherited, "WAREHOUSE_LOCK_TIMEOUT": str(PATIENCE_SECONDS), **settings})
    warehouse, feed = Warehouse.from_settings(given), load_feed(CONTRACT)
    options = feed_options(start_date="2020-01-01", batch_pattern=DATE)
    done: list[Load] = []
    listen(lambda point: _note(done[-1], point))
    if _gate:
        _gate.wait(PATIENCE_SECONDS)
    for days in loads:
        done.append(Load(os.getpid(), time.time()))
        load(warehouse, given, feed, options, Request([*map(dt.date.fromisoformat, days)]), lambda _: None)
        done[-1].ended = time.time()
    return done


def _note(current: Load, point: AnyPoint) -> None:
    if point == Point.LOCKED:
        current.held.append(-time.monotonic())
    elif point == Point.UNLOCKED:
        current.held[-1] += time.monotonic()


def _enter(gate: "Barrier") -> None:
    global _gate  # noqa: PLW0603 - of this process
    _gate = gate


def run_plan(plan: Sequence[dict[str, Any]]) -> list[Load]:
    """Run all writers of a plan; returns the loads of all of them.

    Raises:
        An error of a load, or that a process has died.
    """
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(len(plan))
    with ProcessPoolExecutor(len(plan), context, _enter, (gate,)) as processes:
        waiting = [processes.submit(write, **writer) for writer in plan]
        return [item for writer in waiting for item in writer.result()]


if __name__ == "__main__":
    done = run_plan(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps([asdict(item) for item in done]))  # noqa: T201 - it is what it is for
