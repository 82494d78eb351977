"""Fetches of a source into a landing folder, also in processes that are killed on the way."""

import datetime as dt
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_project.failpoints import Fetching
from orchestration_project.sources.fetch import fetch
from orchestration_project.sources.memory import exclusive_memory, open_memory
from orchestration_project.sources.model import FetchReport, Limits, Source
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import acting
from orchestration_project_tests.reliability.victim import CONTEXT

NOW = dt.datetime(2024, 3, 9, 12, tzinfo=dt.UTC)

Landed = dict[str, tuple[bytes, float]]


@dataclass(frozen=True)
class Fetches:
    """A source and the folder that it is fetched into.

    Attributes:
        folder: has landing and memory.
        opened: opens the source; it has to be pickled for another process.
        environment: of that process.
    """

    folder: Path
    opened: Callable[[], Source]
    environment: Mapping[str, str] = field(default_factory=dict)

    def fetch(self, limit: int = 1 << 30) -> FetchReport:
        """Fetch what is new, no file of which may be larger than a limit."""
        with exclusive_memory(self.folder / "memory.sqlite") as memory, closing(self.opened()) as source:
            return fetch(source, memory, self.folder / "landing", Limits(limit), NOW, lambda _: None)

    def landed(self) -> Landed:
        """Bytes and time of each file in landing, hidden ones too."""
        return {path.name: (path.read_bytes(), path.stat().st_mtime) for path in (self.folder / "landing").iterdir()}

    def remembered(self) -> list[tuple[str, str, str]]:
        """Key, version and SHA-256 of what was fetched."""
        with open_memory(self.folder / "memory.sqlite") as memory:
            return [(file.key, file.version, file.sha256) for file in memory.items()]


def dies_at(
    point: Fetching, files: int, fetch_once: Callable[[], object], environment: Mapping[str, str] | None = None
) -> bool:
    """Fetch in another process, which is killed when it reaches a point with its n-th file; whether it came so far.

    Args:
        point: where.
        files: n.
        fetch_once: goes into the other process.
        environment: of that process, beyond this one's.
    """
    process = CONTEXT.Process(target=_fetch_until, args=(point, files, fetch_once, environment or {}))
    process.start()
    process.join()
    return process.exitcode == -signal.SIGKILL


def _fetch_until(point: Fetching, files: int, fetch_once: Callable[[], object], environment: Mapping[str, str]) -> None:
    os.environ.update(environment)  # noqa: TID251 - of a process that is about to die
    reached: list[Fetching] = []

    def count() -> None:
        reached.append(point)
        if len(reached) == files:
            os.kill(os.getpid(), signal.SIGKILL)

    with acting(point, count):
        fetch_once()


def assert_kills_cost_nothing(made: Callable[[Path], Fetches], folder: Path) -> None:
    """Kill a fetch at each point: the next one has all that an undisturbed one has, and nothing twice."""
    undisturbed = made(folder / "undisturbed")
    undisturbed.fetch()
    assert len(undisturbed.landed()) > 1
    for point in Fetching:
        for files in range(effort(2, 1), 3):
            disturbed = made(folder / f"{point.name}-{files}")
            assert dies_at(point, files, disturbed.fetch, disturbed.environment), point
            again = disturbed.fetch()
            assert not again.failed
            assert disturbed.landed() == undisturbed.landed(), point
            assert disturbed.remembered() == undisturbed.remembered(), point
            assert disturbed.fetch().unchanged == again.listed
            tried()
