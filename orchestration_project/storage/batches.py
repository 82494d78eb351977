"""Which batch a file is for: cadence, start of a batch, the key of its partition. No I/O here."""

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from orchestration_project.errors import FileRefused
from orchestration_project.storage.files import FoundFile

Batch = dt.date | dt.datetime
"""The start of a batch: a date, or for hourly feeds a naive datetime in the feed's time zone."""

GROUPS = ("year", "month", "day", "hour")
REPAIR = re.compile(r"(?is).*\.repair\.csv(\.gz|\.zst)?")
REPAIRED_DAY = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\.")
REPAIRED_HOUR = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})-(?P<hour>\d{2})\.")


class Cadence(StrEnum):
    """How often a feed delivers a batch."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


KEY_FORMATS = {
    Cadence.HOURLY: "%Y-%m-%d-%H:%M",
    Cadence.DAILY: "%Y-%m-%d",
    Cadence.WEEKLY: "%Y-%m-%d",
    Cadence.MONTHLY: "%Y-%m-%d",
}


def is_any_key(name: str) -> bool:
    """Whether a folder is named like a batch of any cadence."""
    return any(_reads_as(name, form) for form in set(KEY_FORMATS.values()))


def _reads_as(name: str, form: str) -> bool:
    try:
        return dt.datetime.strptime(name, form).strftime(form) == name
    except ValueError:
        return False


def is_repair(name: str) -> bool:
    """Whether a file is named as a repair file: corrected rejects that come back."""
    return REPAIR.fullmatch(name) is not None


def floor(cadence: Cadence, moment: dt.datetime) -> Batch:
    """The start of the batch that a local moment falls into."""
    match cadence:
        case Cadence.HOURLY:
            return moment.replace(minute=0, second=0, microsecond=0)
        case Cadence.DAILY:
            return moment.date()
        case Cadence.WEEKLY:
            return moment.date() - dt.timedelta(days=moment.weekday())
        case Cadence.MONTHLY:
            return moment.date().replace(day=1)


def _start(found: re.Match[str] | None) -> dt.datetime:
    """The moment from the date groups of a match.

    Raises:
        KeyError: there is no match, or its expression lacks a group.
        TypeError: a group took no part in the match.
        ValueError: there is no such moment.
    """
    parts = {group: int(found[group]) for group in GROUPS if group in found.re.groupindex} if found else {}
    return dt.datetime(parts["year"], parts["month"], parts.get("day", 1), parts.get("hour", 0))


@dataclass(frozen=True, slots=True)
class Batching:
    """How a feed's files fall into batches.

    `pattern` is searched in a file's name and has the named groups year, month and, as far as the cadence needs them,
    day and hour. None: the batch is the one in which the file was last modified. `undated_by_age` allows names without
    a date beside dated ones: they count by their modification time. Weeks start on Monday. A repair file's name begins
    with its batch, whatever the pattern.
    """

    cadence: Cadence
    start: Batch
    pattern: re.Pattern[str] | None = None
    timezone: ZoneInfo = ZoneInfo("UTC")
    undated_by_age: bool = False

    def batch_for(self, file: FoundFile) -> Batch:
        """The batch of a file that was found; of one that was taken off landing before, the batch it was taken for.

        If its name tells the batch, that is the one, since the feed may have another cadence by now.

        Raises:
            FileRefused: as `batch_of`, or there is no date for the time at which it was last modified.
        """
        if file.taken and not self.is_dated(file.name) and self.is_key(file.taken.key):
            return self.from_key(file.taken.key)
        if not file.has_date:
            raise FileRefused(
                "impossible_time",
                f"{file.name!r} was last modified in a year for which there is no date, says its file system: give it"
                " another time with `touch`, then deliver it again",
            )
        return self.batch_of(file.name, file.modified_at)

    def batch_of(self, name: str, modified_at: dt.datetime) -> Batch:
        """The batch of a file.

        Args:
            name: the file's logical name.
            modified_at: when it was last modified, with a time zone.

        Raises:
            FileRefused: the name has no date where the pattern expects one, or one before the feed's start.
        """
        batch = self.floor(self._repaired(name) if is_repair(name) else self._moment(name, modified_at))
        if batch < self.start:
            raise FileRefused(
                "batch_out_of_range",
                f"{name!r} is for batch {self.key(batch)}, before the feed's start_date {self.key(self.start)}:"
                " set an earlier start_date in the feed's defs.yaml, or correct the file's name",
            )
        return batch

    def _repaired(self, name: str) -> dt.datetime:
        found = (REPAIRED_HOUR if self.cadence is Cadence.HOURLY else REPAIRED_DAY).match(name)
        try:
            return _start(found)
        except (KeyError, ValueError):
            raise FileRefused(
                "no_batch_in_name",
                f"{name!r} does not tell the batch that it repairs: name it like {self.repair_name(self.start)}",
            ) from None

    def repair_name(self, batch: Batch, number: int = 1) -> str:
        """The name of the `number`-th repair file for a batch."""
        key = batch.strftime("%Y-%m-%d-%H" if self.cadence is Cadence.HOURLY else "%Y-%m-%d")
        return f"{key}.repair.csv" if number == 1 else f"{key}.{number}.repair.csv"

    def _moment(self, name: str, modified_at: dt.datetime) -> dt.datetime:
        found = self.pattern.search(name) if self.pattern else None
        if self.pattern is None or (found is None and self.undated_by_age):
            return modified_at.astimezone(self.timezone).replace(tzinfo=None)
        try:
            return _start(found)
        except (KeyError, TypeError, ValueError):
            raise FileRefused(
                "no_batch_in_name",
                f"{name!r} does not tell its batch: its name must match {self.pattern.pattern!r} with a valid date",
            ) from None

    def floor(self, moment: dt.datetime) -> Batch:
        """The start of the batch that a local moment falls into."""
        return floor(self.cadence, moment)

    def after(self, batch: Batch) -> Batch:
        """The batch that follows, which is also the moment at which this one ends."""
        match self.cadence:
            case Cadence.HOURLY:
                return batch + dt.timedelta(hours=1)
            case Cadence.DAILY:
                return batch + dt.timedelta(days=1)
            case Cadence.WEEKLY:
                return batch + dt.timedelta(days=7)
            case Cadence.MONTHLY:
                return (batch + dt.timedelta(days=31)).replace(day=1)

    def next_due(self, newest: Batch, latency: dt.timedelta) -> dt.datetime:
        """When the batch after the newest one counts as late: at its end plus the latency."""
        end = self.after(self.after(newest))
        moment = end if isinstance(end, dt.datetime) else dt.datetime.combine(end, dt.time())
        return moment.replace(tzinfo=self.timezone) + latency

    def current(self, now: dt.datetime) -> Batch:
        """The batch that is under way at `now` (with a time zone)."""
        return self.floor(now.astimezone(self.timezone).replace(tzinfo=None))

    def key(self, batch: Batch) -> str:
        """The partition key of a batch."""
        return batch.strftime(self.key_format)

    @property
    def key_format(self) -> str:
        """The form of partition keys, for `strftime`, which DuckDB has too."""
        return KEY_FORMATS[self.cadence]

    def from_key(self, key: str) -> Batch:
        """The batch of a partition key."""
        return self.floor(dt.datetime.strptime(key, self.key_format))

    @staticmethod
    def date(batch: Batch) -> dt.date:
        """The day of a batch."""
        return batch.date() if isinstance(batch, dt.datetime) else batch

    def is_key(self, key: str) -> bool:
        """Whether a text is the partition key of a batch that the feed can have."""
        return _reads_as(key, self.key_format) and self.key(self.from_key(key)) == key

    def is_dated(self, name: str) -> bool:
        """Whether a file's name alone tells its batch; else its modification time does."""
        return is_repair(name) or (self.pattern is not None and self.pattern.search(name) is not None)

    @property
    def sql_type(self) -> str:
        """The DuckDB type of `_batch_date`: a date, or a timestamp where a day has several batches."""
        return "TIMESTAMP" if self.cadence is Cadence.HOURLY else "DATE"
