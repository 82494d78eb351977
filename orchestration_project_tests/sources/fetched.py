"""A source and its landing, small enough that a test shows all that matters."""

import datetime as dt
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_project.sources.fetch import fetch
from orchestration_project.sources.memory import exclusive_memory
from orchestration_project.sources.model import FetchReport, Limits, Source
from orchestration_project_tests.ingest.shop import NOW, Shop

LIMIT = 1_000_000_000


@dataclass(frozen=True)
class Fetcher:
    """A feed that is fetched.

    Attributes:
        shop: the feed and its folders.
        opener: opens its source.
        limits: of each fetch.
    """

    shop: Shop
    opener: Callable[[], Source]
    limits: Limits = field(default_factory=lambda: Limits(LIMIT))

    @property
    def landing(self) -> Path:
        """Where files land."""
        return self.shop.settings.landing(self.shop.feed.name)

    def fetch(self, now: dt.datetime = NOW) -> FetchReport:
        """Fetch once."""
        with (
            closing(self.opener()) as source,
            exclusive_memory(self.shop.settings.fetched(self.shop.feed.name)) as memory,
        ):
            return fetch(source, memory, self.landing, self.limits, now, self.shop.told.append)

    def landed(self) -> dict[str, bytes]:
        """The files in landing, unfinished ones included, by name."""
        return {path.name: path.read_bytes() for path in self.landing.glob("*")}
