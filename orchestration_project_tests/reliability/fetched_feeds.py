"""A feed that is fetched and loaded, also by processes that are killed on the way."""

import datetime as dt
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.failpoints import Fetching
from orchestration_project.sources.model import FetchReport
from orchestration_project.sources.session import DeclaredSource, fetch_now
from orchestration_project.storage.writers import TAKEN
from orchestration_project_tests.ingest.shop import Shop
from orchestration_project_tests.reliability.stops import acting
from orchestration_project_tests.reliability.victim import CONTEXT, killed, steps_of

TIMES = ("run_id", "modified_at", "seen_at", "loaded_at")
"""The columns of the ledger that tell when, and by which run."""


@dataclass(frozen=True)
class FetchedFeed:
    """A feed and its source.

    Attributes:
        shop: the feed with its folders.
        declared: its source.
        now: the moment of each fetch and load.
        environment: what the source is opened with.
        repeats: whether a fetch may bring the newest record once more, which its key absorbs.
    """

    shop: Shop
    declared: DeclaredSource
    now: dt.datetime
    environment: Mapping[str, str] = field(default_factory=dict)
    repeats: bool = False

    def at(self, folder: Path, minutes: int = 0) -> "FetchedFeed":
        """The same in another folder, some minutes later."""
        return replace(self, shop=replace(self.shop, folder=folder), now=self.now + dt.timedelta(minutes=minutes))

    def fetch(self) -> FetchReport:
        """Fetch once, all there is."""
        with pytest.MonkeyPatch.context() as patched:
            for name, value in {"NO_PROXY": "*", **self.environment}.items():
                patched.setenv(name, value)
            report, _ = fetch_now(self.declared, self.shop.settings, self.now, self.shop.told.append)
        assert not report.failed
        return report

    def load(self) -> None:
        """Load what landed."""
        self.shop.load(now=self.now)

    def fetch_and_load(self) -> None:
        """Fetch, and load what landed."""
        self.fetch()
        self.load()

    def steps(self) -> list[str]:
        """Fetch and load; returns the steps that were taken."""
        return steps_of(self.fetch_and_load, None)

    def dies_at(self, step: int) -> bool:
        """Fetch and load in another process, which is killed at a step; tells whether it came so far."""
        return killed(self.fetch_and_load, step)

    def dies_while_downloading(self) -> bool:
        """Fetch in another process, which is killed when it has one half of a file; tells whether it came so far."""
        process = CONTEXT.Process(target=_download_half, args=(self,))
        process.start()
        process.join()
        return process.exitcode == -signal.SIGKILL

    def everything(self) -> dict[str, Any]:
        """All that has to be as after an undisturbed run: tables, ledger, files."""
        name, settings = self.shop.feed.name, self.shop.settings
        if self.repeats:
            return {"landing": self.shop.landing(), **self._but_for_repetitions()}
        files = {
            str(path.relative_to(self.shop.folder)): path.read_bytes()
            for root in (settings.archive(name), settings.quarantine(name))
            for path in sorted(root.rglob("*"))
            if path.is_file() and path.suffix != ".json" and TAKEN not in path.parts
        }
        ledger = self.shop.rows(f"SELECT * EXCLUDE ({', '.join(TIMES)}) FROM file_ledger ORDER BY ALL")
        parts = self.shop.rows("SELECT * FROM file_batches ORDER BY ALL")
        tables = self.shop.tables()
        # A source that tells no time of its files gives them that of the fetch.
        for row in tables["rejected"]:
            del row["_rejected_at"]
        return {**tables, "ledger": ledger, "parts": parts, "files": files, "landing": self.shop.landing()}

    def _but_for_repetitions(self) -> dict[str, Any]:
        """The rows by their values alone, without those that came once more."""
        rows = "SELECT _batch_date, id, n FROM cleaned_f ORDER BY ALL"
        broken = "SELECT id, n, _reasons FROM rejected_f WHERE _reasons[1] NOT LIKE 'id: duplicate_key%' ORDER BY ALL"
        return {"cleaned": self.shop.rows(rows), "rejected": self.shop.rows(broken)}


def _download_half(feed: FetchedFeed) -> None:
    def halve_and_die() -> None:
        (part,) = feed.shop.settings.landing(feed.shop.feed.name).glob(".*.fetching")
        os.truncate(part, part.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    with acting(Fetching.DOWNLOADED, halve_and_die):
        feed.fetch()
