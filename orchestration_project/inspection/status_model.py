"""The status of the platform as plain data, and which of it needs a person. No I/O here.

The names of the fields and the values of the enums are those of `status --json`.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from orchestration_project.errors import visible
from orchestration_project.inspection.expectations import Freshness
from orchestration_project.inspection.fetches import FetchStatus
from orchestration_project.inspection.findings import OTHERWISE, PAGE
from orchestration_project.publishing.lag import CopyState, CopyStatus


class Availability(StrEnum):
    """Whether a store can be read: it can, there is none yet, it is in use, it is of an older release, it is broken."""

    READY = "ready"
    NONE = "none"
    BUSY = "busy"
    OUTDATED = "outdated"
    BROKEN = "broken"


class FinishedBy(StrEnum):
    """How it is told that nobody writes to a file any more: Linux says that nobody has it open, or by its age alone."""

    LEASE = "lease"
    SETTLE_TIME = "settle_time"


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The warehouse, or the run history: where it is, and whether it can be read.

    Attributes:
        where: its path.
        state: whether it can be read.
        detail: why not.
        holder: who has the warehouse, when it is busy.
    """

    where: str
    state: Availability
    detail: str = ""
    holder: str | None = None


@dataclass(frozen=True, slots=True)
class LandingStatus:
    """What is in a drop folder.

    Attributes:
        waiting: how many files.
        oldest_seconds: how long ago the oldest was last written to; None when there is none.
        settling: how many are still being written.
        running: how many are in a run that has not ended; None if the history could not be read.
        given_up: names of files that stayed after all runs that the sensor requested for them; None as above.
        not_looked_at: how many files are left alone: links, unfinished ones, all in subfolders.
        finished_by: how it is told that a file is finished: nobody has it open (`lease`), or `settle_time`.
    """

    waiting: int
    oldest_seconds: float | None
    settling: int
    running: int | None
    given_up: Sequence[str] | None
    not_looked_at: int
    finished_by: FinishedBy


@dataclass(frozen=True, slots=True)
class QuarantinedFile:
    """A refused file.

    Attributes:
        file: its name.
        batch: the partition key of its batch; empty where it has none.
        rule, reason: why it was refused.
        refused_at: when, as text.
        replaced: whether another file was accepted in its place since; None if the ledger could not be read.
    """

    file: str
    batch: str
    rule: str
    reason: str
    refused_at: str
    replaced: bool | None


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run that loaded a feed, or failed to."""

    run_id: str
    job: str
    status: str
    started_at: dt.datetime | None
    ended_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class FeedStatus:
    """The status of a feed.

    Attributes:
        feed: its name.
        newest_batch: partition key; from the archive if the ledger could not be read.
        freshness: whether a batch is late.
        next_batch_due: when the oldest missing batch was due; if none is missing, when the next one is.
        landing: the drop folder.
        quarantined: the refused files.
        left_out: the places in the archive of files that an earlier release took for repetitions and left out; None if
            the ledger could not be read.
        open_rejects: rejected records that nobody has corrected or waived; None if the ledger could not be read.
        validated_otherwise: batches that were validated by another contract; None if the ledger could not be read.
        load_again: the command that loads these batches again; empty if there are none.
        last_run: None if there is none, or the history could not be read.
        rebatching: why no file can be loaded before the feed is rebuilt: its batching is another one now.
        half_done: what a kill left half done of a rebuild or a withdrawal, with what to do; None if the ledger could
            not be read: somebody may be at it.
        missing: the partition keys of the batches that were expected and did not come, in order.
        source: what its source fetched last; None if it has none.
    """

    feed: str
    newest_batch: str | None
    freshness: Freshness
    next_batch_due: dt.datetime | None
    landing: LandingStatus
    quarantined: Sequence[QuarantinedFile]
    left_out: Sequence[str] | None
    open_rejects: int | None
    last_run: LastRun | None
    validated_otherwise: Sequence[str] | None = None
    load_again: str = ""
    rebatching: str = ""
    half_done: Sequence[str] | None = None
    missing: Sequence[str] = ()
    source: FetchStatus | None = None

    @property
    def refused(self) -> list[QuarantinedFile]:
        """The refused files that nothing is known to have replaced."""
        return [item for item in self.quarantined if not item.replaced]


@dataclass(frozen=True, slots=True)
class UnwatchedFolder:
    """A folder of landing that no feed watches, and how many files are in it."""

    folder: str
    files: int


@dataclass(frozen=True, slots=True)
class UnknownFeed:
    """A feed without a definition, and how many accepted files it has; 0: refused or exported ones alone."""

    feed: str
    files: int

    @property
    def told(self) -> str:
        """What it has."""
        return f"{self.files} accepted file(s)" if self.files else "refused or exported files"

    @property
    def remedy(self) -> str:
        """What to do."""
        return (
            f"if it was renamed: `orchestration-project rebuild NEWNAME --from {self.feed}`;"
            f" if it was removed: `orchestration-project drop-feed {self.feed}`"
        )


NO_COPY = CopyStatus("", CopyState.OFF)


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """The status of the platform.

    Attributes:
        checked_at: with a time zone.
        warehouse, history: whether they can be read.
        feeds: the feeds that were asked about.
        strays: files in landing that no feed will load.
        archived: whether the archive has files of any of the feeds.
        unknown_feeds: feeds that have files and no definition.
        published: the copy for readers.
    """

    checked_at: dt.datetime
    warehouse: StoreStatus
    history: StoreStatus
    feeds: Sequence[FeedStatus]
    strays: Sequence[UnwatchedFolder]
    archived: bool
    unknown_feeds: Sequence[UnknownFeed] = ()
    published: CopyStatus = NO_COPY

    @property
    def problems(self) -> list[str]:
        """What needs a person."""
        return [*self._overall(), *(f"{feed.feed}: {what}" for feed in self.feeds for what in _problems(feed))]

    @property
    def unknown(self) -> list[str]:
        """What could not be found out."""
        stores = (("ledger", self.warehouse), ("history", self.history))
        return [f"the {what} could not be asked: {it.detail}" for what, it in stores if it.state in _UNREADABLE]

    @property
    def notes(self) -> list[str]:
        """What is worth knowing and nothing is wrong with."""
        return [
            f"{feed.feed}: {OTHERWISE.format(len(feed.validated_otherwise))}: {feed.load_again}"
            for feed in self.feeds
            if feed.validated_otherwise
        ]

    @property
    def exit_code(self) -> int:
        """0 when all is well, 1 when something needs a person, 2 when that could not be found out."""
        # What is known to be wrong comes before what is not known: a busy warehouse must not hide a file given up.
        return 1 if self.problems else 2 if self.unknown else 0

    def as_dict(self) -> dict[str, object]:
        """As plain data, as `status --json` prints it."""
        conclusions = {"exit_code": self.exit_code, "problems": self.problems, "unknown": self.unknown}
        conclusions["notes"] = self.notes
        return conclusions | {name: value for name, value in asdict(self).items() if name != "archived"}

    def _overall(self) -> Iterator[str]:
        if self.warehouse.state is Availability.BROKEN:
            yield f"the warehouse can't be used ({PAGE}): {self.warehouse.detail}"
        if self.warehouse.state is Availability.NONE and self.archived:
            yield f"there is no warehouse, but an archive: rebuild the one from the other ({PAGE})"
        if self.published.needs_a_person:
            yield (
                f"the published copy is {self.published.detail or 'behind the warehouse for more than two hours'}: run"
                " `orchestration-project publish`, which publishes, or tells why it can't"
            )
        # A sender chooses the names of files, and of folders if it may: they must not act on the terminal.
        for stray in self.strays:
            yield f"{stray.files} file(s) lie in {visible(stray.folder)}, which no feed watches"
        for item in self.unknown_feeds:
            yield f"{visible(item.feed)} has {item.told} and no definition: {visible(item.remedy)}"


# NONE is not among them: where there is no store yet, nothing is unknown.
_UNREADABLE = (Availability.BUSY, Availability.OUTDATED, Availability.BROKEN)


def _problems(feed: FeedStatus) -> Iterator[str]:
    if feed.rebatching:
        yield f"{visible(feed.rebatching)}: set it back or run `orchestration-project rebuild {feed.feed}`"
    yield from map(visible, feed.half_done or ())
    # A feed without a calendar has no list of missing batches, only the newest one.
    if feed.freshness is Freshness.LATE:
        late, others = feed.missing[:1], len(feed.missing) - 1
        which = f"batch {late[0]}" if late else f"batch after {feed.newest_batch}"
        more = f"; {others} later one(s) did not come either" if others > 0 else ""
        yield f"the {which} is late, it was due {feed.next_batch_due:%F %R %Z}{more}"
    if feed.landing.given_up:
        yield f"{len(feed.landing.given_up)} file(s) were asked for in vain and given up"
    # `is False`: None means that the ledger could not be asked, and nobody is called for what may be settled.
    if refused := [item for item in feed.quarantined if item.replaced is False]:
        yield f"{len(refused)} file(s) in quarantine were not replaced"
    if feed.left_out:
        yield (
            f"{len(feed.left_out)} archived file(s) were left out by an earlier release, which took them for"
            f" repetitions: `orchestration-project rebuild {feed.feed}` brings them in"
        )
    if feed.last_run and feed.last_run.status == "FAILURE":
        yield f"the last run failed ({feed.last_run.run_id})"
    if feed.source:
        yield from feed.source.problems
