"""How a feed is run, beyond what its contract says: the attributes of its `defs.yaml` as plain data."""

import datetime as dt
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from orchestration_project.contracts.feed import Feed
from orchestration_project.storage.batches import Batch, Batching, Cadence, floor


@dataclass(frozen=True, slots=True)
class FeedOptions:
    """How a feed is run, beyond what its contract says.

    Attributes:
        batching: how files fall into batches.
        snapshot: whether each file is the whole truth, the newest replacing all others.
        key_look_back: how far back a key of an earlier batch makes a later record a duplicate.
        max_reject_rate: share (0 to 1) of a file's records that may break the contract before the file is refused as a
            whole.
        settle_seconds: how long a file must have been left alone before the sensor asks for it.
    """

    batching: Batching
    snapshot: bool = False
    key_look_back: dt.timedelta = dt.timedelta(days=7)
    max_reject_rate: float = 0.9
    settle_seconds: float = 10


def feed_options(
    mode: str = "batches",
    cadence: str = "daily",
    start_date: str = "2010-01-01",
    batch_pattern: str | None = None,
    timezone: str = "UTC",
    settle_seconds: float = 10,
    key_look_back_days: int = 7,
    max_reject_rate: float = 0.9,
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
    return FeedOptions(batching, snapshot, dt.timedelta(days=key_look_back_days), max_reject_rate, settle_seconds)


@dataclass(frozen=True, slots=True)
class ConfiguredFeed:
    """A feed as the engine knows it: its contract, and how it is run."""

    feed: Feed
    options: FeedOptions

    @property
    def name(self) -> str:
        """The feed's name: x in `raw_x`."""
        return self.feed.name

    def key_of(self, batch: Batch | None) -> str:
        """The partition key of a value of `_batch_date`; empty for one that is no batch of the feed."""
        if batch is None or batch < self.options.batching.start:
            return ""
        return self.options.batching.key(batch)
