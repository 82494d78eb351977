"""What conditions are computed from, and what they are when they hold: plain data, no I/O.

    Observed -> conditions -> Alarm

How it is gathered is in `observe`; when an alarm is told, in `changes`.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestration_project.alerts.outbox import DeadTarget
from orchestration_project.publishing.lag import CopyStatus
from orchestration_project.storage.disks import Disk
from orchestration_project.storage.feed_state import CheckState, FeedState
from orchestration_project.warehouse.lock import Holder

if TYPE_CHECKING:
    # It imports Dagster, which the commands about alarms do without.
    from orchestration_project.health.run_history import FinishedRun, LastRuns

SHOWN = 3
"""How many files, batches or rows of an alarm are named; of all of them the number is told."""


class Severity(StrEnum):
    """An error needs somebody now: data is missing or wrong, or nothing works. A warning can wait until the morning."""

    ERROR = "error"
    WARN = "warn"


class Kind(StrEnum):
    """The kinds of alarms. The values are a part of alarms' ids, which people put into silences: they stay."""

    RUN_FAILED = "run_failed"
    CHECK_FAILED = "check_failed"
    BATCH_MISSING = "batch_missing"
    FILE_QUARANTINED = "file_quarantined"
    REJECT_RATE = "reject_rate"
    REJECTS_OPEN = "rejects_open"
    FILE_GIVEN_UP = "file_given_up"
    LANDING_FULL = "landing_full"
    CATALOGUE_SHRANK = "catalogue_shrank"
    VERIFICATION = "verification"
    DISK_SHORT = "disk_short"
    AUTOMATION_OFF = "automation_off"
    SUCCESS_RATE = "success_rate"
    NOTHING_MATERIALIZED = "nothing_materialized"
    WAREHOUSE_BUSY = "warehouse_busy"
    COPY_BEHIND = "copy_behind"
    TARGET_DEAD = "target_dead"
    NOT_WATCHED = "not_watched"


@dataclass(frozen=True, slots=True)
class Alarm:
    """A condition that holds now.

    Attributes:
        kind: which condition.
        subject: what it is about, such as a feed, a job or a check; empty for the platform.
        feed: whose owners are told; empty: those of the platform.
        severity: how soon somebody has to act.
        what: what is wrong, in a sentence.
        since: since when, as far as that is known; with a time zone.
        count: how many files, batches, runs it is about.
        items: the first of them.
        todo: what to do, with the command.
        run_id: the run to look at; empty if there is none.
    """

    kind: Kind
    subject: str
    feed: str
    severity: Severity
    what: str
    since: dt.datetime
    todo: str
    count: int = 1
    items: Sequence[str] = ()
    run_id: str = ""

    @property
    def id(self) -> str:
        """What tells it apart from others for as long as it is on, and in silences."""
        return f"{self.kind}:{self.subject}" if self.subject else str(self.kind)

    @property
    def level(self) -> int:
        """How bad it is: one more for each doubling, so that a flood of files is not a message a file."""
        # 1 -> 1, 2 and 3 -> 2, 4 to 7 -> 3, 1,000 -> 10.
        return self.count.bit_length()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on a condition is an alarm; `components.alerts` describes each for its users."""

    reject_days: float = 14
    landing_hours: float = 2
    shrunk_share: float = 0.2
    free_bytes: int = 2_000_000_000
    success_rate: float = 0.9
    success_runs: int = 10
    idle_hours: float = 25
    busy_minutes: float = 30
    failed_days: float = 30


@dataclass(frozen=True, slots=True)
class Files:
    """Some files: how many, since when the first is there, and the first few, each with what is to say of it."""

    count: int = 0
    since: dt.datetime | None = None
    first: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class MissingBatch:
    """A batch that is due and has no accepted file; `refused`: files came, and all of them were refused."""

    key: str
    due: dt.datetime
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FeedObserved:
    """What the folders and notes of a feed say.

    Attributes:
        name: the feed's name.
        missing: the batches that are due and have no accepted file.
        quarantined: refused files that nothing has replaced.
        given_up: files in landing that the sensor requests no more runs for.
        waiting: all other files in landing that should have been loaded; `since` is when the first of them arrived.
        state: what the last load noted; None before the first one.
        reject_limit: the reject rate above which the feed's check warns.
        snapshot: whether each file is the whole truth.
    """

    name: str
    missing: Sequence[MissingBatch] = ()
    quarantined: Files = Files()
    given_up: Files = Files()
    waiting: Files = Files()
    state: FeedState | None = None
    reject_limit: float = 1.0
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class JobRuns:
    """The runs of a job.

    Attributes:
        job: its name.
        feed: the feed that it loads; empty for other jobs.
        last: the last success and the last failure for each partition or range.
        by_hand: the successes that loaded the feed without the job, because somebody materialized its tables.
        newest: the newest finished runs, the oldest first.
        after: gives the partition key that follows another one; None for jobs whose partitions are unknown.
    """

    job: str
    feed: str
    last: "Sequence[LastRuns]" = ()
    by_hand: "Sequence[FinishedRun]" = ()
    newest: "Sequence[FinishedRun]" = ()
    after: Callable[[str], str] | None = None


def _no_error(run: "FinishedRun") -> str:  # noqa: ARG001 - it stands for one that looks it up
    return ""


@dataclass(frozen=True, slots=True)
class Observed:
    """All that conditions are computed from, at one moment.

    Attributes:
        now: the moment, with a time zone.
        feeds: the feeds that could be looked at.
        not_watched: why others could not, by feed.
        jobs: the jobs that there are.
        error_of: tells the first error of a failed run, without personal values. It is a function, because only runs
            that nothing has made good are asked for.
        checks: the last results of the checks that there are.
        feed_of: by asset, the feed that it belongs to.
        switched_off: sensors and schedules that are declared to be on, and are off.
        newest_materialization: None if nothing was ever materialized.
        disks: those with data of the platform.
        holder: who has the warehouse; None if nobody has.
        dead_targets: those that take no messages.
        copy: how the copy for readers stands; None if nobody has asked.
    """

    now: dt.datetime
    feeds: Sequence[FeedObserved] = ()
    not_watched: Mapping[str, str] = field(default_factory=dict)
    jobs: Sequence[JobRuns] = ()
    error_of: "Callable[[FinishedRun], str]" = _no_error
    checks: Sequence[CheckState] = ()
    feed_of: Mapping[str, str] = field(default_factory=dict)
    switched_off: Sequence[str] = ()
    newest_materialization: dt.datetime | None = None
    disks: Sequence[Disk] = ()
    holder: Holder | None = None
    dead_targets: Sequence[DeadTarget] = ()
    copy: CopyStatus | None = None
