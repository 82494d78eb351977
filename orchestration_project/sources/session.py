"""A feed's source as it was declared, and what is done with it: fetch, look what a fetch would take, fetch again.

Belongs here: memory, source and landing brought together, the same for Dagster and for the command. Does not belong
here: the order of a fetch (`fetch`), what Dagster shows of it (`components`).
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration_project.errors import PlatformError, SourceError, visible
from orchestration_project.settings import Settings, secret
from orchestration_project.sources.fetch import Log, fetch, finish_begun, plan
from orchestration_project.sources.kinds import KINDS, Opening
from orchestration_project.sources.memory import LastFetch, Memory, exclusive_memory, reading_memory
from orchestration_project.sources.model import FetchReport, Item, Limits, Source
from orchestration_project.storage.batches import Batching


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source as `defs.yaml` has it.

    Attributes:
        feed: the feed that it fetches for.
        kind: one of `KINDS`.
        options: what the kind understands.
        batching: of the feed.
        files: how many files one fetch takes at most.
        seconds: how long it begins further files.
        bytes: how large a file may be; None: as the settings say.
    """

    feed: str
    kind: str
    options: Any
    batching: Batching
    files: int
    seconds: float
    bytes: int | None = None

    def limits(self, settings: Settings) -> Limits:
        """How much one fetch takes."""
        return Limits(self.bytes or settings.max_file_bytes, self.files, self.seconds)

    def opened(self, now: dt.datetime, memory: Memory) -> Source:
        """The source, to be closed before the memory.

        Args:
            now: the present moment, with a time zone.
            memory: of the source.

        Raises:
            SourceError: it can't be opened.
            SettingsError: a variable that has a secret is not set.
        """

        def known(key: str) -> str | None:
            return memory.versions([key]).get(key)

        return KINDS[self.kind].open(self.options, Opening(self.feed, self.batching, now, secret, known))


@dataclass(frozen=True, slots=True)
class Planned:
    """An item that a fetch would take: why, whether it is `new` or `changed` since it was fetched."""

    item: Item
    why: str


def fetch_now(
    declared: DeclaredSource, settings: Settings, now: dt.datetime, log: Log, again: Iterable[str] = ()
) -> tuple[FetchReport, str]:
    """Fetch what is new, and note what came of it.

    Args:
        declared: the source.
        settings: where landing and memory are.
        now: the present moment, with a time zone.
        log: told of each file.
        again: keys of what is fetched once more, though it was fetched before.

    Returns:
        what was done, and the source's URL.

    Raises:
        SourceDown: the source could not be listed.
        SourceError: it refuses to be listed, another fetch is under way, or nothing of a key was fetched before.
    """
    with exclusive_memory(settings.fetched(declared.feed)) as memory:
        _forget(memory, settings.landing(declared.feed), again)
        try:
            with closing(declared.opened(now, memory)) as source:
                landing = settings.landing(declared.feed)
                report = fetch(source, memory, landing, declared.limits(settings), now, log)
                url = source.url
        except PlatformError as error:
            memory.note(LastFetch(now, error=str(error)))
            raise
        memory.note(noted(report, now))
    return report, url


def _forget(memory: Memory, landing: Path, keys: Iterable[str]) -> None:
    wanted = list(keys)
    for key in wanted:
        if memory.item(key) is None:
            raise SourceError(f"nothing of the key {visible(key)!r} was fetched yet; a fetch takes it if it is listed")
    if wanted and landing.is_dir():
        # Before anything is forgotten: what a killed fetch has begun may be among it.
        finish_begun(memory, landing)
    for key in wanted:
        memory.forget(key)


def noted(report: FetchReport, now: dt.datetime) -> LastFetch:
    """What is remembered of a fetch."""
    failed = {key: str(error) for key, error in report.failed.items()}
    return LastFetch(now, report.listed, len(report.landed), report.bytes, report.unchanged, report.left, failed)


def plan_now(declared: DeclaredSource, settings: Settings, now: dt.datetime) -> Iterator[Planned]:
    """What a fetch would take now. Nothing is taken, and nothing written.

    Raises:
        SourceDown: the source could not be listed.
        SourceError: it refuses to be listed.
    """
    with (
        reading_memory(settings.fetched(declared.feed)) as memory,
        closing(declared.opened(now, memory)) as source,
    ):
        for item, is_new in plan(source, memory):
            if is_new:
                yield Planned(item, "changed" if memory.versions([item.key]) else "new")
