"""How a feed is run, beyond what its contract says: the attributes of its `defs.yaml` as plain data."""

import datetime as dt
import re
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from orchestration_project.contracts.division import Division, division_of
from orchestration_project.contracts.feed import Feed
from orchestration_project.storage.batches import Batch, Batching, Cadence, floor
from orchestration_project.storage.calendar import DeliveryCalendar, DueAfter
from orchestration_project.warehouse.ledger_queries import Identity

Mode = Literal["batches", "snapshot"]
Undated = Literal["delivery", "replace"]
RepeatedBytes = Literal["warn", "load", "refuse"]
CadenceName = Literal["hourly", "daily", "weekly", "monthly", "yearly"]
# What holds where a `defs.yaml` says nothing: the component and the functions below take it from here.
MODE: Mode = "batches"
CADENCE: CadenceName = "daily"
START_DATE = "2010-01-01"
TIMEZONE = "UTC"
SETTLE_SECONDS = 10.0
GRACE_HOURS = 24.0
KEY_LOOK_BACK_DAYS = 7
MAX_REJECT_RATE = 0.9
UNDATED: Undated = "delivery"
REPEATED_BYTES: RepeatedBytes = "warn"
REPEATED = "repeated_bytes"
"""The rule by which a file is refused, and the name of the check."""


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a feed is run, beyond what its contract says.

    Attributes:
        batching: how files fall into batches.
        snapshot: whether each file is the whole truth, the newest replacing all others.
        key_look_back: how far back a key of an earlier batch makes a later record a duplicate.
        max_reject_rate: share (0 to 1) of a file's records that may break the contract before the file is refused as a
            whole.
        settle_seconds: how long a file must have been left alone before the sensor asks for it, and before a load takes
            it where nobody can tell whether somebody still writes to it.
        grace: how long a file is watched for changes after it was taken off landing.
        by_name: whether a name is the same file whatever its batch, so that newer bytes replace it.
        repeated_bytes: what becomes of a file that has the same bytes as the file of another batch.
        history: whether a snapshot feed keeps every snapshot, and has a table of what each key was and when.
        division: by which column files that span batches are divided; None if each file is for one batch.
        calendar: which batches are expected and when; None if nobody says. It decides no row.
    """

    batching: Batching
    snapshot: bool = False
    key_look_back: dt.timedelta = dt.timedelta(days=KEY_LOOK_BACK_DAYS)
    max_reject_rate: float = MAX_REJECT_RATE
    settle_seconds: float = SETTLE_SECONDS
    grace: dt.timedelta = dt.timedelta(hours=GRACE_HOURS)
    by_name: bool = False
    repeated_bytes: RepeatedBytes = REPEATED_BYTES
    history: bool = False
    division: Division | None = None
    calendar: DeliveryCalendar | None = None

    def identity(self, batch: str, file: str) -> Identity:
        """What makes a delivery of a file the same file as another: the partition key and the name, or the name."""
        # With the name alone, each day's `export.csv` once deleted the rows of the day before.
        return ("" if self.by_name else batch, file)

    @property
    def undated_deliveries(self) -> bool:
        """Whether names need not have a date, and each batch's file of a name is another one."""
        return self.batching.pattern is None and not self.by_name and not self.snapshot


def feed_options(
    mode: str = MODE,
    cadence: str = CADENCE,
    start_date: str = START_DATE,
    batch_pattern: str | None = None,
    timezone: str = TIMEZONE,
    settle_seconds: float = SETTLE_SECONDS,
    key_look_back_days: int = KEY_LOOK_BACK_DAYS,
    max_reject_rate: float = MAX_REJECT_RATE,
    grace_hours: float = GRACE_HOURS,
    undated: str = UNDATED,
    repeated_bytes: RepeatedBytes = REPEATED_BYTES,
    history: bool = False,
    batch_column: str | None = None,
) -> FeedOptions:
    """How a feed is run, from the attributes of its `defs.yaml`, where each of them is described.

    Raises:
        ValueError: a date, a time zone or a regular expression can't be read.
    """
    snapshot = mode == "snapshot"
    # A snapshot has no partitions; its archive keeps one folder a day.
    step = Cadence.DAILY if snapshot else Cadence(cadence)
    start = dt.datetime.combine(dt.date.fromisoformat(start_date), dt.time())
    pattern = re.compile(batch_pattern) if batch_pattern else None
    batching = Batching(step, floor(step, start), pattern, ZoneInfo(timezone), undated_by_age=snapshot)
    return FeedOptions(
        batching,
        snapshot,
        dt.timedelta(days=key_look_back_days),
        max_reject_rate,
        settle_seconds,
        dt.timedelta(hours=grace_hours),
        # Elsewhere names tell their batches, or each file replaces the ones before it anyway.
        by_name=(undated == "replace" or bool(batch_column)) and not snapshot and not batch_pattern,
        # A snapshot is the whole truth of its day, changed or not.
        repeated_bytes="load" if snapshot else repeated_bytes,
        history=history,
        division=division_of(batch_column, cadence, Batching.date(batching.start), timezone),
    )


LONGEST = {
    Cadence.HOURLY: dt.timedelta(hours=1),
    Cadence.DAILY: dt.timedelta(days=1),
    Cadence.WEEKLY: dt.timedelta(weeks=1),
    Cadence.MONTHLY: dt.timedelta(days=31),
    Cadence.YEARLY: dt.timedelta(days=366),
}
"""The longest batch of each cadence."""


def promised_deadline(feed: Feed) -> DueAfter | None:
    """When a batch is due by the service levels of a contract; None if it promises nothing."""
    if feed.latency is None and not feed.available_at:
        return None
    return DueAfter(feed.latency or dt.timedelta(), feed.available_at)


def promised_calendar(feed: Feed, batching: Batching) -> DeliveryCalendar | None:
    """The calendar that the service levels of a contract give: each batch is expected.

    None if they don't say when a batch is due, or if data comes less often than there are batches: then it is not known
    for which of them.
    """
    # A catalogue that comes weekly into a feed of days would be missing on six of seven.
    deadline = promised_deadline(feed)
    if deadline is None or (feed.frequency and feed.frequency > LONGEST[batching.cadence]):
        return None
    return DeliveryCalendar(batching, deadline, declared=False)


@dataclass(frozen=True, slots=True)
class ConfiguredFeed:
    """A feed as the engine knows it: its contract, and how it is run.

    Attributes:
        feed: the contract.
        options: how it is run.
        definitions: module of the Dagster definitions that have the feed, for the commands that messages tell.
    """

    feed: Feed
    options: FeedOptions
    definitions: str = "orchestration_project.definitions"

    @property
    def name(self) -> str:
        """The feed's name: x in `raw_x`."""
        return self.feed.name

    @property
    def job(self) -> str:
        """The name of the job that loads it."""
        return f"{self.name}_job"

    @property
    def sensor(self) -> str:
        """The name of the sensor that watches its drop folder."""
        return f"{self.name}_files_sensor"

    @property
    def schedule(self) -> str:
        """The name of the schedule that loads its last complete batch."""
        return f"{self.name}_{self.options.batching.cadence}_schedule"

    def key_of(self, batch: Batch | None) -> str:
        """The partition key of a value of `_batch_date`; empty for one that is no batch of the feed."""
        if batch is None or batch < self.options.batching.start:
            return ""
        return self.options.batching.key(batch)
