"""What a feed's factories share: contract and options, names, partitions and time zones, Dagster's view of columns."""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg

from orchestration_project.alerts.targets import FeedRoute
from orchestration_project.components.feed_history import UsualChanges
from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.contracts.rules import rule_in_words
from orchestration_project.hashes import SHOWN_DIGITS
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions
from orchestration_project.storage.batches import KEY_FORMATS, Cadence
from orchestration_project.warehouse.feed_tables import (
    VALID_FROM,
    cleaned_table,
    history_table,
    raw_table,
    rejected_table,
)

# DuckDB has one writer. `dagster.yaml` gives this pool one slot, so runs wait in Dagster's queue, where people see
# them, and not for a lock.
POOL = "warehouse"
OPERATIONS = "operations"
"""The group of assets that are about the platform itself: they read the feeds' tables but are no part of their jobs."""
DELIVERY_TAG = "delivery"
"""The tag of assets that are deliveries. They have jobs of their own, so that a dead target makes no load wait."""
NEEDED_GROUPS = {
    "hourly": ("year", "month", "day", "hour"),
    "daily": ("year", "month", "day"),
    "weekly": ("year", "month", "day"),
    "monthly": ("year", "month"),
    "yearly": ("year",),
}
HOUR, MONTHS, YEARS_AHEAD = dt.timedelta(hours=1), range(1, 13), 30
RANGE_START, RANGE_END, PARTITION = (
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
    "dagster/partition",
)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """How a feed's runs are asked for, when its checks warn, and who is told (None: whom the contract's team names)."""

    sensor_interval_seconds: int
    schedule: str
    warn_reject_rate: float
    volume_tolerance: float
    retries: int
    retry_minutes: float
    alerts: tuple[str, ...] | None = None
    changes: UsualChanges = field(default_factory=UsualChanges)


@dataclass(frozen=True, slots=True)
class FeedSpec:
    """A feed as its definitions see it; `contract` is the file that its `feed` was read from."""

    contract: Path
    feed: Feed
    options: FeedOptions
    monitoring: Monitoring

    @property
    def name(self) -> str:
        """The feed's name: x in `raw_x`."""
        return self.feed.name

    @property
    def configured(self) -> ConfiguredFeed:
        """The feed as the engine knows it."""
        return ConfiguredFeed(self.feed, self.options)

    @property
    def raw(self) -> dg.AssetKey:
        """Key of the raw table."""
        return dg.AssetKey(raw_table(self.feed))

    @property
    def cleaned(self) -> dg.AssetKey:
        """Key of the cleaned table."""
        return dg.AssetKey(cleaned_table(self.feed))

    @property
    def rejected(self) -> dg.AssetKey:
        """Key of the table of rejected records."""
        return dg.AssetKey(rejected_table(self.feed))

    @property
    def history(self) -> dg.AssetKey:
        """Key of the history, where the feed has one."""
        return dg.AssetKey(history_table(self.feed))

    @property
    def published(self) -> list[dg.AssetKey]:
        """Keys of the tables that are made from the raw table."""
        return [self.cleaned, self.rejected, *([self.history] if self.options.history else [])]

    @property
    def landing(self) -> dg.AssetKey:
        """Key of the drop folder."""
        return dg.AssetKey(f"landing_{self.name}")

    @property
    def owners(self) -> list[str]:
        """Owners in the form that Dagster takes."""
        return list(self.feed.owners)

    @property
    def route(self) -> FeedRoute:
        """Who takes the feed's alarms, beside those who take all: `alerts` of its `defs.yaml`, else its team."""
        if self.monitoring.alerts is not None:
            return FeedRoute(self.monitoring.alerts, required=True)
        return FeedRoute([owner.removeprefix("team:") for owner in self.feed.owners])

    @property
    def tags(self) -> dict[str, str]:
        """The contract's tags in the form that Dagster takes, the feed's name, and whether it holds personal data."""
        # Tags of a contract are free text; Dagster refuses a definition with other characters in a tag, or more than
        # 63.
        words = [re.sub(r"[^\w.-]+", "_", tag, flags=re.ASCII)[:63] for tag in self.feed.tags if tag]
        personal = ["personal_data"] if self.feed.personal_columns else []
        return {**dict.fromkeys([*words, *personal], ""), "feed": self.name}

    @property
    def partitions_def(self) -> dg.TimeWindowPartitionsDefinition | None:
        """A partition a batch; None for a snapshot feed."""
        return partitions_of(self.options)

    def keys_of_run(self, tags: Mapping[str, str]) -> set[str] | None:
        """The partition keys that a run's tags ask for; None when they name none."""
        partitions_def = self.partitions_def
        # A run for one partition has one tag, a backfill in one run has the two limits of its range.
        start, end = tags.get(RANGE_START, tags.get(PARTITION)), tags.get(RANGE_END, tags.get(PARTITION))
        if partitions_def is None or start is None or end is None:
            return None
        forget_ranges()
        return set(partitions_def.get_partition_keys_in_range(dg.PartitionKeyRange(start, end)))


def pattern_problem(pattern: str, cadence: str) -> str | None:
    """Why a pattern can't find batches of a cadence in names; None if it can."""
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        return f"batch_pattern {pattern!r} is not a regular expression: {error}"
    # Now, or each file of the feed would be refused for a mistake that is not the sender's.
    if missing := [name for name in NEEDED_GROUPS[cadence] if name not in groups]:
        lacking = ", ".join(missing)
        return f"batch_pattern {pattern!r} lacks the named group(s) {lacking}; write them like (?P<year>\\d{{4}})"
    return None


def keys_of(context: dg.AssetExecutionContext) -> list[str]:
    """The partition keys that a run is for."""
    forget_ranges()
    return list(context.partition_keys)


def forget_ranges() -> None:
    """Have Dagster work out the partition keys of a range anew.

    It remembers them by the range's limits, and Python takes the two hours of one name in a zone for the same limit.
    """
    dg.TimeWindowPartitionsDefinition.get_partition_keys_in_time_window.cache_clear()


def partitions_of(options: FeedOptions) -> dg.TimeWindowPartitionsDefinition | None:
    """A partition a batch, the current one included; None for a snapshot feed."""
    batching = options.batching
    if options.snapshot:
        return None
    # Without `end_offset` the partitions end with the last batch that is over, but files of the current one are loaded
    # too. Dagster's weeks start on Sunday, the feeds' on Monday: `day_offset`.
    zone, start = batching.timezone.key, batching.key(batching.start)
    match batching.cadence:
        case Cadence.HOURLY:
            return dg.HourlyPartitionsDefinition(start, timezone=zone, end_offset=1)
        case Cadence.DAILY:
            return dg.DailyPartitionsDefinition(start, timezone=zone, end_offset=1)
        case Cadence.WEEKLY:
            return dg.WeeklyPartitionsDefinition(start, timezone=zone, end_offset=1, day_offset=1)
        case Cadence.MONTHLY:
            return dg.MonthlyPartitionsDefinition(start, timezone=zone, end_offset=1)
        case Cadence.YEARLY:
            form, new_year = KEY_FORMATS[Cadence.YEARLY], "0 0 1 1 *"
            return dg.TimeWindowPartitionsDefinition(
                start, fmt=form, cron_schedule=new_year, timezone=zone, end_offset=1
            )


def has_whole_hours(zone: ZoneInfo, first: int) -> bool:
    """Whether clocks in a zone change by whole hours and never back by more than one, from the first year on."""
    # The offsets at the months' beginnings show it, because changed clocks stay so for months. On Lord Howe Island they
    # move by half an hour: an hour there begins at another minute afterwards. If two hours come again, their batches
    # are not in order of time when they are sorted by name.
    months = (
        dt.datetime(year, month, 1, tzinfo=zone) for year in range(first, first + YEARS_AHEAD) for month in MONTHS
    )
    offsets = [month.utcoffset() or dt.timedelta() for month in months]
    return all(before - after <= HOUR and not (before - after) % HOUR for before, after in pairwise(offsets))


def time_zone(name: str) -> str:
    """The name of a time zone as the system knows it.

    Raises:
        ValueError: there is none of that name.
    """
    # `Mars` is a LookupError, `../x` a ValueError; `Europe`, a folder among the system's zones, is an OSError.
    try:
        return ZoneInfo(name).key
    except (ValueError, OSError, LookupError):
        raise ValueError(f"{name!r} is not a time zone; write it like Europe/Berlin") from None


def file_schema(feed: Feed) -> dg.TableSchema:
    """What a file's columns have to look like, under the headers that they have there."""
    columns = [
        _contract_column(column.source or column.name, column.sql_type, column, feed) for column in feed.record_columns
    ]
    return dg.TableSchema(columns, constraints=_table_constraints(feed))


def table_schema(columns: dict[str, str], feed: Feed, raw: bool = False, versions: bool = False) -> dg.TableSchema:
    """A table's columns with the contract's descriptions and, unless it is `raw`, constraints.

    Of a table of `versions` those of single values hold, and its key has the day from which a version holds.
    """
    key = dg.TableConstraints([f"primary key: {', '.join([*feed.primary_key, VALID_FROM])}"])
    known = {column.name: column for column in feed.columns}
    return dg.TableSchema(
        [
            _contract_column(name, sql_type, known[name], replace(feed, primary_key=()) if versions else feed, raw)
            if name in known
            else dg.TableColumn(name, sql_type, PLATFORM_DESCRIPTIONS[name])
            for name, sql_type in columns.items()
        ],
        constraints=key if versions else None if raw else _table_constraints(feed),
    )


def _contract_column(name: str, sql_type: str, column: Column, feed: Feed, raw: bool = False) -> dg.TableColumn:
    computed = f"Computed: `{column.expression}`" if column.expression else ""
    tags = {"classification": column.classification} if column.classification else {}
    constraints = None if raw else _column_constraints(column, feed)
    return dg.TableColumn(name, sql_type, " ".join([column.description, computed]).strip() or None, constraints, tags)


def _column_constraints(column: Column, feed: Feed) -> dg.TableColumnConstraints:
    of_values = [rule_in_words(rule).removeprefix("is ") for rule in column.rules if not isinstance(rule, Required)]
    return dg.TableColumnConstraints(
        nullable=not column.required,
        unique=column.unique or feed.primary_key == (column.name,),
        other=[*(["primary key"] if column.name in feed.primary_key else []), *of_values],
    )


def _table_constraints(feed: Feed) -> dg.TableConstraints | None:
    return dg.TableConstraints([f"primary key: {', '.join(feed.primary_key)}"]) if feed.primary_key else None


PLATFORM_DESCRIPTIONS = {
    "_batch_date": "Start of the batch that the file is for.",
    "_file": "Logical name of the file that the record came in.",
    "_file_version": f"First {SHOWN_DIGITS} hex digits of the SHA-256 of the file's bytes.",
    "_row": "Number of the record in its file, from 1, in file order; in a workbook, of its row.",
    "_rescued": "Values of columns that the contract does not know, as JSON.",
    "_raw_line": "Text of a record that could not be split into columns.",
    "_parse_error": "What was wrong with a record that could not be split.",
    "_repairs": "Of a record of a repair file: `_reject_id` of the reject that it corrects.",
    "_ignored": "Of a record that is no data: the rule of the contract by which it is ignored.",
    "_reasons": "Every rule that the record broke, as `column: rule`.",
    "_reject_id": "Identifies the rejected record; the same after a re-run or a rebuild.",
    "_rejected_at": "Modification time (UTC) of the file that the record came in.",
    "valid_from": "First day on which the version held: the day of the snapshot that brought it.",
    "valid_to": "Day of the first snapshot that lacks the key or has other values; empty while the version holds.",
    "is_current": "Whether the newest snapshot has the version.",
    "_resolved_by": "Repair file that corrected the record, or who waived it and why; empty while it is open.",
}
