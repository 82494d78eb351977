"""Fetches of a source into a landing folder."""

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.sources.fetch import fetch
from orchestration_project.sources.memory import exclusive_memory, open_memory
from orchestration_project.sources.model import FetchReport, Limits, Source

NOW = dt.datetime(2024, 3, 9, 12, tzinfo=dt.UTC)

Landed = dict[str, tuple[bytes, float]]


@dataclass(frozen=True)
class Fetches:
    """A source and the folder that it is fetched into.

    Attributes:
        folder: has landing and memory.
        opened: opens the source.
    """

    folder: Path
    opened: Callable[[], Source]

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
