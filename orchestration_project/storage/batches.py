"""Which batch a file is for: cadence, start of a batch, the key of its partition. No I/O here.

Where clocks are put back, an hour of the day comes twice, and each of the two is a batch:

    Europe/Berlin       batch (`_batch_date`)   key, as Dagster has it
    2:00 to 3:00        2024-10-27 02:00:00     2024-10-27-02:00
    2:00 to 3:00 again  2024-10-27 02:00:01     2024-10-27-02:00+0100
    3:00 to 4:00        2024-10-27 03:00:00     2024-10-27-03:00

The second of them begins with a second of its own: so batches sort as time goes.
"""

import datetime as dt
import re
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

from orchestration_project.errors import FileRefused
from orchestration_project.storage.dates_in_names import moment_of, start_of
from orchestration_project.storage.files import FoundFile

Batch = dt.date | dt.datetime
"""The start of a batch: a date, or for hourly feeds a naive datetime in the feed's time zone."""

AGAIN = dt.timedelta(seconds=1)
"""What is added to an hour that comes for the second time."""
HOUR = dt.timedelta(hours=1)
REPAIR = re.compile(r"(?is).*\.repair\.csv(\.gz|\.zst)?")
REPAIRED_DAY = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\.")
REPAIRED_HOUR = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})-(?P<hour>\d{2})(?P<offset>[+-]\d{4})?\.")


class Cadence(StrEnum):
    """How often a feed delivers a batch."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


# Dagster's own forms: a key is also the name of a partition and of a folder in the archive.
KEY_FORMATS = {**dict.fromkeys(Cadence, "%Y-%m-%d"), Cadence.HOURLY: "%Y-%m-%d-%H:%M"}
HOUR_KEY_LENGTH = len("2024-10-27-02:00")


def is_any_key(name: str) -> bool:
    """Whether a folder is named like a batch of any cadence."""
    forms = {*KEY_FORMATS.values(), f"{KEY_FORMATS[Cadence.HOURLY]}%z"}
    return any(_reads_as(name, form) for form in forms)


def _reads_as(name: str, form: str) -> bool:
    try:
        # And written again: strptime also takes 2024-3-7, which is no key.
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
        case Cadence.YEARLY:
            return moment.date().replace(month=1, day=1)


@dataclass(frozen=True, slots=True)
class Batching:
    """How a feed's files fall into batches.

    `pattern` is searched in a file's name and has the named groups year and, as far as the cadence needs them, month,
    day and hour. With the group offset (`+0100`, `+01:00`, `Z`) the name tells a moment, in whatever zone. None: the
    batch is the one in which the file was last modified. `undated_by_age` allows names without a date beside dated
    ones: they count by their modification time. Weeks start on Monday. A repair file's name begins with its batch.
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
            FileRefused: as `batch_of`, its name tells two batches, or its time has no date.
        """
        # Its time tells when somebody last wrote to it, which may be a day later.
        if file.taken and not self.is_dated(file.name) and self.is_key(file.taken.key):
            return self.from_key(file.taken.key)
        if not file.has_date:
            raise FileRefused(
                "impossible_time",
                f"{file.name!r} was last modified in a year for which there is no date, says its file system: give it"
                " another time with `touch`, then deliver it again",
            )
        batch = self.batch_of(file.name, file.modified_at)
        return batch if file.taken else self._the_only(file.name, batch)

    def batch_of(self, name: str, modified_at: dt.datetime) -> Batch:
        """The batch of a file.

        Args:
            name: the file's logical name.
            modified_at: when it was last modified, with a time zone.

        Raises:
            FileRefused: the name has no date where the pattern expects one, one before the feed's start, or an hour
                that clocks skip or that comes twice.
        """
        batch = self._repaired(name) if is_repair(name) else self._delivered(name, modified_at)
        if batch < self.start:
            raise FileRefused(
                "batch_out_of_range",
                f"{name!r} is for batch {self.key(batch)}, before the feed's start_date {self.key(self.start)}:"
                " set an earlier start_date in the feed's defs.yaml, or correct the file's name",
            )
        return batch

    def _repaired(self, name: str) -> Batch:
        form = REPAIRED_HOUR if self.cadence is Cadence.HOURLY else REPAIRED_DAY
        found = form.match(name.rpartition("/")[2])
        try:
            if told := moment_of(found):
                return self.current(told)
            # As in keys, the hour alone means the first of two.
            return self._existing(name, self.floor(start_of(found)))
        except (KeyError, ValueError, OverflowError):
            raise FileRefused(
                "no_batch_in_name",
                f"{name!r} does not tell the batch that it repairs: name it like {self.repair_name(self.start)}",
            ) from None

    def repair_name(self, batch: Batch, number: int = 1) -> str:
        """The name of the `number`-th repair file for a batch."""
        key = batch.strftime("%Y-%m-%d-%H" if self.cadence is Cadence.HOURLY else "%Y-%m-%d") + self._offset(batch)
        return f"{key}.repair.csv" if number == 1 else f"{key}.{number}.repair.csv"

    def _delivered(self, name: str, modified_at: dt.datetime) -> Batch:
        found = next(iter(self._dates(name)), None)
        if self.pattern is None or (found is None and self.undated_by_age):
            return self.current(modified_at)
        try:
            return self._told(name, found)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise FileRefused(
                "no_batch_in_name",
                f"{name!r} does not tell its batch: its name must match {self.pattern.pattern!r} with a valid date",
            ) from None

    def _dates(self, name: str) -> list[re.Match[str]]:
        # The file's own name first: its zip archive may have the date of the month.
        dates = ([*self.pattern.finditer(part)] for part in reversed(name.split("/")) if self.pattern)
        return next(filter(None, dates), [])

    def _the_only(self, name: str, batch: Batch) -> Batch:
        """The batch. Raises FileRefused for a name with dates of other batches."""
        # Asked of new files only: those that were once accepted for the first of their dates stay where they are.
        for found in self._dates(name)[1:] if not is_repair(name) else ():
            other = batch
            with suppress(KeyError, TypeError, ValueError, OverflowError, FileRefused):
                other = self._told(name, found)
            if other != batch and other >= self.start:
                raise FileRefused(
                    "ambiguous_batch",
                    f"{name!r} tells {self.key(batch)} and {self.key(other)}: let batch_pattern match one of them only",
                )
        return batch

    def _told(self, name: str, found: re.Match[str] | None) -> Batch:
        """The batch that a match tells. Raises as `start_of`, and FileRefused as `_existing` and `_single`."""
        if moment := moment_of(found):
            return self.current(moment)
        start = start_of(found, by_year=self.cadence is Cadence.YEARLY)
        return self._single(name, self._existing(name, self.floor(start)))

    def _existing(self, name: str, batch: Batch) -> Batch:
        """The batch. Raises FileRefused for an hour that clocks skip."""
        # In UTC and back: 2:00, which Berlin skips in March, comes back as 3:00.
        if self.cadence is Cadence.HOURLY and self.current(self.begin(batch)) != batch:
            raise FileRefused(
                "no_such_hour",
                f"{name!r} is for {batch:%Y-%m-%d %H:%M}, an hour that clocks in {self.timezone.key} skip: correct its"
                " name, or set the timezone in the feed's defs.yaml in which its sender names files",
            )
        return batch

    def _single(self, name: str, batch: Batch) -> Batch:
        """The batch. Raises FileRefused for an hour that comes twice."""
        # Else the file of the second hour would pass for a correction of the first one's file, and replace it.
        if isinstance(batch, dt.datetime) and (second := self._offset(batch + AGAIN)):
            first = f"{batch.replace(tzinfo=self.timezone):%z}"
            raise FileRefused(
                "ambiguous_hour",
                f"{name!r} is for {batch:%Y-%m-%d %H:%M}, an hour that comes twice in {self.timezone.key}, with the"
                f" offsets {first} and {second}: name the file with the one that is meant, and let batch_pattern in the"
                r" feed's defs.yaml find it: (?P<offset>[+-]\d{4})?",
            )
        return batch

    def floor(self, moment: dt.datetime) -> Batch:
        """As the function `floor`; of an hour that comes twice, the first."""
        return floor(self.cadence, moment)

    def current(self, moment: dt.datetime) -> Batch:
        """The batch that is under way at a moment (with a time zone)."""
        local = moment.astimezone(self.timezone)
        batch = self.floor(local.replace(tzinfo=None, fold=0))
        return batch + AGAIN if local.fold and self.cadence is Cadence.HOURLY else batch

    def begin(self, batch: Batch) -> dt.datetime:
        """The moment, in UTC, at which a batch begins."""
        start = batch if isinstance(batch, dt.datetime) else dt.datetime.combine(batch, dt.time())
        fold = int(bool(start.second))
        return start.replace(second=0, fold=fold, tzinfo=self.timezone).astimezone(dt.UTC)

    def _offset(self, batch: Batch) -> str:
        """The offset of an hour that comes for the second time, as keys have it; empty for all other batches."""
        if not isinstance(batch, dt.datetime) or not batch.second:
            return ""
        first, second = (batch.replace(fold=fold, tzinfo=self.timezone) for fold in (0, 1))
        # Of an hour that is skipped, the second reading is the earlier moment.
        return f"{second:%z}" if first.astimezone(dt.UTC) < second.astimezone(dt.UTC) else ""

    def after(self, batch: Batch) -> Batch:
        """The batch that follows, which is also the moment at which this one ends."""
        match self.cadence:
            case Cadence.HOURLY:
                begin = self.begin(batch)
                # Of an hour that is skipped, the next one has begun already.
                return self.current(begin) if self.current(begin) != batch else self.current(begin + HOUR)
            case Cadence.DAILY:
                return batch + dt.timedelta(days=1)
            case Cadence.WEEKLY:
                return batch + dt.timedelta(days=7)
            case Cadence.MONTHLY:
                # 31 days after the first of any month lie in the next one.
                return (batch + dt.timedelta(days=31)).replace(day=1)
            case Cadence.YEARLY:
                return batch.replace(year=batch.year + 1)

    def last_complete(self, now: dt.datetime) -> Batch:
        """The batch that ended last before `now` (with a time zone)."""
        return self.current(self.begin(self.current(now)) - dt.timedelta(microseconds=1))

    def key(self, batch: Batch) -> str:
        """The partition key of a batch."""
        return batch.strftime(KEY_FORMATS[self.cadence]) + self._offset(batch)

    def from_key(self, key: str) -> Batch:
        """The batch of a partition key.

        Raises:
            ValueError: it is none.
        """
        form = KEY_FORMATS[self.cadence]
        if self.cadence is Cadence.HOURLY and len(key) > HOUR_KEY_LENGTH:
            return self.current(dt.datetime.strptime(key, f"{form}%z"))
        return self.floor(dt.datetime.strptime(key, form))

    @staticmethod
    def date(batch: Batch) -> dt.date:
        """The day of a batch."""
        return batch.date() if isinstance(batch, dt.datetime) else batch

    def is_key(self, key: str) -> bool:
        """Whether a text is the partition key of a batch that the feed can have."""
        try:
            return self.key(self.from_key(key)) == key
        except ValueError:
            return False

    def is_dated(self, name: str) -> bool:
        """Whether a file's name alone tells its batch; else its modification time does."""
        return is_repair(name) or bool(self._dates(name))

    def without_date(self, name: str) -> str:
        """A file's name without what tells its batch, so that the files of one sender have one name on all days."""
        return "/".join(self.pattern.sub("", part, count=1) for part in name.split("/")) if self.pattern else name

    @property
    def sql_type(self) -> str:
        """The DuckDB type of `_batch_date`: a date, or a timestamp where a day has several batches."""
        return "TIMESTAMP" if self.cadence is Cadence.HOURLY else "DATE"
