"""Fetches of a REST API into a folder, as the core does them."""

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestration_project.sources import rest_session
from orchestration_project.sources.fetch import fetch
from orchestration_project.sources.memory import open_memory
from orchestration_project.sources.model import FetchReport, Limits
from orchestration_project.sources.rest import open_rest
from orchestration_project.sources.rest_options import RestOptions
from orchestration_project.storage.batches import Batching, Cadence

NOW = dt.datetime(2024, 1, 3, 4, 5, 6, tzinfo=dt.UTC)
MONTHLY = Batching(Cadence.MONTHLY, dt.date(2023, 11, 1))


@dataclass
class Fetcher:
    """One source over one folder. Each fetch is a minute after the one before."""

    folder: Path
    options: Mapping[str, Any]
    batching: Batching = MONTHLY
    limit: int = 1 << 20
    minutes: int = 0
    secrets: Mapping[str, str] = field(default_factory={"API_KEY": "hush-hush"}.copy)
    told: list[str] = field(default_factory=list)

    @property
    def landing(self) -> Path:
        """Where files land."""
        return self.folder / "landing"

    def fetch(self) -> FetchReport:
        """Fetch."""
        # A pause of seconds would be for servers, not for tests.
        rest_session.FIRST_PAUSE = 0.001
        logging.getLogger("urllib3").setLevel(logging.INFO)
        now = NOW + dt.timedelta(minutes=self.minutes)
        self.minutes += 1
        source = open_rest(RestOptions(**self.options), "products", self.batching, now, self.secrets.__getitem__)
        with open_memory(self.folder / "memory.sqlite") as memory:
            return fetch(source, memory, self.landing, Limits(self.limit), now, self.told.append)

    def failure(self) -> str:
        """Fetch what can't be fetched; returns why, after making sure that nothing landed of it."""
        before = self.files()
        report = self.fetch()
        assert self.files() == before
        assert [*self.landing.iterdir()] == [self.landing / name for name in before]
        (error,) = report.failed.values()
        return f"{type(error).__name__}: {error}"

    def files(self) -> dict[str, str]:
        """The files that landed."""
        found = self.landing.iterdir() if self.landing.is_dir() else ()
        return {path.name: path.read_text() for path in sorted(found)}

    @property
    def cursor(self) -> str | None:
        """What is remembered as cursor."""
        with open_memory(self.folder / "memory.sqlite") as memory:
            return memory.cursor
