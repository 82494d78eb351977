"""What a status says, as plain data, and which of it needs a person. No I/O here."""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from orchestration_project.errors import visible

PAGE = "docs/recover.md"


class Source(StrEnum):
    """What is asked answers, is not there yet, is held by another, is of an older release, or can't be read."""

    READY = "ready"
    NONE = "none"
    BUSY = "busy"
    OUTDATED = "outdated"
    BROKEN = "broken"


class Freshness(StrEnum):
    """Whether the newest batch is as new as the contract's latency asks."""

    FRESH = "fresh"
    LATE = "late"
    NO_LATENCY = "no_latency"
    NOTHING_LOADED = "nothing_loaded"


@dataclass(frozen=True, slots=True)
class Answer:
    """Where something was asked, whether it answered, and if not, why; `holder` is who has the warehouse."""

    where: str
    state: Source
    detail: str = ""
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class Landing:
    """What lies in a drop folder.

    Attributes:
        waiting: how many files.
        oldest_seconds: how long ago the oldest was last written to; None when there is none.
        settling: how many are still being written.
        running: how many are in a run; None if the history could not be asked, as for the next.
        given_up: names of those that the sensor asked for in vain.
    """

    waiting: int
    oldest_seconds: float | None
    settling: int
    running: int | None
    given_up: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A refused file, why, and whether another was accepted in its place since; None when that can't be told."""

    file: str
    rule: str
    reason: str
    refused_at: str
    replaced: bool | None


@dataclass(frozen=True, slots=True)
class Run:
    """The last run that loaded a feed, or was to."""

    run_id: str
    job: str
    status: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """How it stands with a feed.

    Attributes:
        feed: its name.
        newest_batch: partition key; from the archive where the ledger could not be asked.
        freshness: of that batch.
        next_batch_due: when the batch after it is late.
        landing: the drop folder.
        quarantined: the refused files.
        open_rejects: rejected records that nobody has corrected or waived; None if the ledger could not be asked.
        last_run: None if there is none, or the history could not be asked.
    """

    feed: str
    newest_batch: str | None
    freshness: Freshness
    next_batch_due: dt.datetime | None
    landing: Landing
    quarantined: Sequence[Quarantined]
    open_rejects: int | None
    last_run: Run | None

    @property
    def refused(self) -> list[Quarantined]:
        """The refused files that nothing is known to have replaced."""
        return [item for item in self.quarantined if not item.replaced]


@dataclass(frozen=True, slots=True)
class Stray:
    """A folder of landing that no feed watches, and how many files lie there."""

    folder: str
    files: int


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand."""

    checked_at: dt.datetime
    warehouse: Answer
    history: Answer
    feeds: Sequence[FeedStatus]
    strays: Sequence[Stray]
    archived: bool

    @property
    def problems(self) -> list[str]:
        """What needs a person."""
        return [*self._of_all(), *(f"{feed.feed}: {what}" for feed in self.feeds for what in _problems(feed))]

    @property
    def unknown(self) -> list[str]:
        """What could not be told."""
        asked = (("ledger", self.warehouse), ("history", self.history))
        return [f"the {what} could not be asked: {it.detail}" for what, it in asked if it.state in _UNTOLD]

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 when something needs a person, 2 when that could not be told."""
        return 1 if self.problems else 2 if self.unknown else 0

    def as_dict(self) -> dict[str, object]:
        """As plain data."""
        told = {"exit_code": self.exit_code, "problems": self.problems, "unknown": self.unknown}
        return told | {name: value for name, value in asdict(self).items() if name != "archived"}

    def _of_all(self) -> Iterator[str]:
        if self.warehouse.state is Source.BROKEN:
            yield f"the warehouse can't be used ({PAGE}): {self.warehouse.detail}"
        if self.warehouse.state is Source.NONE and self.archived:
            yield f"there is no warehouse, but an archive: rebuild the one from the other ({PAGE})"
        for stray in self.strays:
            yield f"{stray.files} file(s) lie in {visible(stray.folder)}, which no feed watches"


_UNTOLD = (Source.BUSY, Source.OUTDATED, Source.BROKEN)


def _problems(feed: FeedStatus) -> Iterator[str]:
    if feed.freshness is Freshness.LATE:
        yield f"the batch after {feed.newest_batch} is late, it was due {feed.next_batch_due:%F %R %Z}"
    if feed.landing.given_up:
        yield f"{len(feed.landing.given_up)} file(s) were asked for in vain and given up"
    if refused := [item for item in feed.quarantined if item.replaced is False]:
        yield f"{len(refused)} file(s) in quarantine were not replaced"
    if feed.last_run and feed.last_run.status == "FAILURE":
        yield f"the last run failed ({feed.last_run.run_id})"
