"""A process that works on a feed and dies by SIGKILL between two of its steps: a named point, or before a statement."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration_project.failpoints import listen
from orchestration_project.storage.writers import TAKEN
from orchestration_project_tests.ingest.shop import Shop

# A fork of a server that has imported the modules starts in a few milliseconds, and has no threads of this process.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__, "orchestration_project_tests.reliability.deliverers"])


class Clock:
    """Counts the steps of a process and kills it at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal = fatal
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        """A step is reached."""
        # Several threads may take steps at once, and pass the fatal one together.
        if self.fatal is not None and len(self.steps) >= self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.steps.append(name)


class Watched:
    """A connection whose statements are steps."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, clock: Clock) -> None:
        self.connection, self.clock = connection, clock

    def execute(self, sql: str, *parameters: object) -> object:
        """Execute a statement."""
        self.clock.step(f"before {' '.join(sql.split())[:60]}")
        return self.connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def steps_of(work: Callable[[], object], fatal: int | None) -> list[str]:
    """Do something in this process; returns the steps that were taken unless one of them was fatal."""
    clock, connect = Clock(fatal), duckdb.connect
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(duckdb, "connect", lambda *args, **kwargs: Watched(connect(*args, **kwargs), clock))
        listen(clock.step)
        try:
            work()
        finally:
            listen(None)
    return clock.steps


def killed(work: Callable[[], object], fatal: int) -> bool:
    """Do something in another process and kill it at a step; returns whether it lived to take that step."""
    process = CONTEXT.Process(target=steps_of, args=(work, fatal))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def steps_of_load(shop: Shop, fatal: int | None, request: dict[str, Any]) -> list[str]:
    """Load in this process; returns the steps that were taken unless one of them was fatal."""
    return steps_of(partial(shop.load, *request.pop("batches", ()), **request), fatal)


def killed_load(shop: Shop, fatal: int, request: dict[str, Any]) -> bool:
    """Load in another process and kill it at a step; returns whether it lived to take that step."""
    return killed(partial(shop.load, *request.pop("batches", ()), **request), fatal)


def killed_after(shop: Shop, seconds: float, request: dict[str, Any]) -> bool:
    """Load in another process and kill it after a while; returns whether it was still at work."""
    process = CONTEXT.Process(target=steps_of_load, args=(shop, None, request))
    process.start()
    process.join(seconds)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def everything(shop: Shop) -> dict[str, Any]:
    """All that a load leaves behind: rows, ledger, and every file with its bytes and its modification time.

    But for files that are only watched: which these are depends on how often a load had to begin.
    """
    settings, name = shop.settings, shop.feed.name
    folders = (settings.landing(name), settings.archive(name), settings.quarantine(name))
    files = {
        str(path.relative_to(shop.folder)): (path.read_bytes(), path.stat().st_mtime_ns * (path.suffix != ".json"))
        for folder in folders
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and TAKEN not in path.parts
    }
    left = sorted(path.name for path in shop.folder.glob("warehouse.duckdb?*"))
    noted = {name: f"SELECT * FROM {name} ORDER BY ALL" for name in ("file_ledger", "file_batches")}
    return {**shop.tables(), **shop.asked(noted), "files": files, "beside the warehouse": left}
