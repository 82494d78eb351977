"""`FileFeed`: a feed of files as a Dagster component. One contract and one `defs.yaml` make a feed."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field, field_validator, model_validator

from orchestration_project.components.feed_assets import build_feed_assets, landing_spec
from orchestration_project.components.feed_checks import build_feed_checks
from orchestration_project.components.feed_deliveries import Deliveries
from orchestration_project.components.feed_history import UsualChanges, history_problem
from orchestration_project.components.feed_runs import build_job, build_schedule, build_sensor
from orchestration_project.components.feed_sources import sources_of
from orchestration_project.components.feed_spec import (
    FeedSpec,
    Monitoring,
    has_whole_hours,
    pattern_problem,
    time_zone,
)
from orchestration_project.components.project import with_platform
from orchestration_project.contracts import load_feed
from orchestration_project.contracts.division import attribute_problem, division_problem
from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.options import (
    CADENCE,
    GRACE_HOURS,
    KEY_LOOK_BACK_DAYS,
    MAX_REJECT_RATE,
    MODE,
    REPEATED_BYTES,
    SETTLE_SECONDS,
    START_DATE,
    TIMEZONE,
    UNDATED,
    CadenceName,
    FeedOptions,
    Mode,
    RepeatedBytes,
    Undated,
    feed_options,
    promised_calendar,
)
from orchestration_project.ingest.patterns import refused_conditions, refused_patterns


class FileFeed(dg.Component, dg.Model, dg.Resolvable):
    """Files of one kind, as their contract describes them, become `raw_x`, `cleaned_x` and `rejected_x`.

    Makes the assets with their checks, the job `x_job`, the sensor `x_files_sensor` and a schedule.
    """

    contract: Annotated[
        str,
        dg.Resolver(lambda context, path: str(context.resolve_source_relative_path(path)), model_field_type=str),
        Field(description="Path of the contract (Open Data Contract Standard), relative to this file."),
    ]
    mode: Annotated[
        Mode,
        Field(
            description="`batches`: each file belongs to a batch, tables are partitioned. `snapshot`: each file is the"
            " whole truth."
        ),
    ] = MODE
    cadence: Annotated[
        CadenceName,
        Field(description="How often a batch is delivered. Weeks start on Monday."),
    ] = CADENCE
    start_date: Annotated[str, Field(description="First batch, `YYYY-MM-DD`; files for earlier ones are refused.")] = (
        START_DATE
    )
    batch_pattern: Annotated[
        str | None,
        Field(
            description="Regular expression that finds a file's batch in its name: named groups year, month, day, hour,"
            " as the cadence needs them. A year may have two digits, a month may be a name. A name in which it finds"
            " two batches is refused. A group offset (`+0100`, `+01:00` or `Z`) may tell the zone of a name; of an"
            " hour that comes twice when clocks are put back, it alone tells which one is meant. Without a pattern the"
            " batch is the time at which the file was last modified; so it is for the undated files of a snapshot feed."
        ),
    ] = None
    batch_column: Annotated[
        str | None,
        Field(
            description="Column whose date tells a record's batch, for files that span days: each record is in its own"
            " day's batch. A newer file of the name replaces the one before in all of its batches. A record without a"
            " date, with one before `start_date`, or with one after the file was last modified is rejected by"
            " `<column>: batch`."
        ),
    ] = None
    timezone: Annotated[str, Field(description="Time zone in which batches begin and the schedule runs.")] = TIMEZONE
    settle_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long a file must have been left alone before the sensor asks for it, and before any load"
            " takes it where the file system can't tell whether somebody still writes to it.",
        ),
    ] = SETTLE_SECONDS
    grace_hours: Annotated[
        float,
        Field(
            ge=0,
            description="How long a file is watched for changes after a load took it off landing. What its writer still"
            " adds comes in as a correction. The file takes disk space for so long.",
        ),
    ] = GRACE_HOURS
    key_look_back_days: Annotated[
        int,
        Field(
            ge=0,
            description="How many days back a record with the same primary key makes a later one a duplicate; 0: within"
            " its batch only.",
        ),
    ] = KEY_LOOK_BACK_DAYS
    max_reject_rate: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="Share of a file's records that may break the contract before the file is refused as a whole.",
        ),
    ] = MAX_REJECT_RATE
    undated: Annotated[
        Undated,
        Field(
            description="What a name without a date means. `delivery`: each batch's file of that name is another one."
            " `replace`: the name is the file, and newer bytes replace it, whatever their day."
        ),
    ] = UNDATED
    repeated_bytes: Annotated[
        RepeatedBytes,
        Field(
            description="What becomes of a file with the same bytes as the file of another batch. `warn`: it is loaded,"
            " and the check `repeated_bytes` names both. `load`: it is loaded. `refuse`: it goes to quarantine. A"
            " snapshot feed loads it."
        ),
    ] = REPEATED_BYTES
    warn_reject_rate: Annotated[
        float, Field(ge=0, le=1, description="Share of rejected records above which the check `reject_rate` warns.")
    ] = 0.05
    volume_tolerance: Annotated[
        float,
        Field(
            ge=1,
            description="How many times larger or smaller than the median of comparable batches before it a batch may"
            " always be. The check `volume` learns wider limits, never narrower ones.",
        ),
    ] = 3
    deliveries: Annotated[
        Deliveries | None,
        Field(
            description="When batches are expected, and by when each is due. A batch that is due and has no accepted"
            " file fails its checks. Left out: as the contract's `slaProperties` say."
        ),
    ] = None
    schedule: Annotated[
        str, Field(description="Cron expression of the schedule that loads the last complete batch and sweeps landing.")
    ] = "0 6 * * *"
    sensor_interval_seconds: Annotated[int, Field(ge=1, description="How often the sensor looks into landing.")] = 30
    retries: Annotated[
        int,
        Field(
            ge=0,
            description="How often a run is tried again that failed because the warehouse was busy, or for a fault of"
            " disk or network. What the data or a check is at fault for is never tried again.",
        ),
    ] = 2
    retry_minutes: Annotated[
        float,
        Field(gt=0, description="Minutes until the first of these retries; each further one waits twice as long."),
    ] = 5
    alerts: Annotated[
        Sequence[str] | None,
        Field(
            description="Who is told of this feed's alarms, beside the URLs without a name: names of URLs in"
            " `ALERT_URLS`, or mail addresses. Without it, the contract's team and its members; `[]`: nobody else."
        ),
    ] = None
    history: Annotated[
        bool,
        Field(description="Of a snapshot feed: `raw_x` keeps each day's file, `x_history` has each key's versions."),
    ] = False
    usual_changes: Annotated[
        UsualChanges | None,
        Field(
            description="Of a feed with a history: what a snapshot may change unwarned. `max_gone`: which share"
            " of the keys may be missing (0.2). `max_moves`: by column, by which share a number may move."
        ),
    ] = None

    @field_validator("start_date")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        try:
            return dt.date.fromisoformat(value).isoformat()
        except ValueError:
            raise ValueError(f"{value!r} is not a date in the form YYYY-MM-DD") from None

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        return time_zone(value)

    @model_validator(mode="after")
    def _attributes_fit(self) -> "FileFeed":
        zone, snapshot, pattern = self.timezone, self.mode == "snapshot", self.batch_pattern
        if self._cadence == "hourly" and not has_whole_hours(ZoneInfo(zone), int(self.start_date[:4])):
            raise ValueError(
                f"clocks in {zone} are changed by part of an hour, or back by more than one, so its hours"
                " can't be batches; name another timezone, such as UTC, or deliver daily"
            )
        if pattern is not None and (problem := pattern_problem(pattern, self._cadence)):
            raise ValueError(problem)
        if self.undated == "replace" and pattern:
            raise ValueError("undated: replace is about names without a date, but batch_pattern asks for one")
        if problem := attribute_problem(self.batch_column, snapshot, self.cadence, pattern):
            raise ValueError(problem)
        if self.deliveries and (problem := self.deliveries.problem(self._cadence)):
            raise ValueError(f"deliveries: {problem}")
        if snapshot and self.repeated_bytes == "refuse":
            raise ValueError("repeated_bytes: refuse does not fit mode: snapshot, which loads each file as it comes")
        return self

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The feed's definitions."""
        spec = self.spec
        job = build_job(spec)
        return with_platform(
            dg.Definitions(
                assets=[landing_spec(spec, sources_of(context.component_tree, spec.name)), build_feed_assets(spec)],
                asset_checks=[build_feed_checks(spec)],
                jobs=[job],
                sensors=[build_sensor(spec, job)],
                schedules=[build_schedule(spec, job)],
            )
        )

    @cached_property
    def spec(self) -> FeedSpec:
        """The feed; its contract is read once."""
        # What DuckDB refuses of patterns and conditions is passed in: `contracts` does not know DuckDB, and all
        # problems are told at once.
        return self.spec_of(load_feed(Path(self.contract), None, refused_patterns, refused_conditions))

    def spec_of(self, feed: Feed) -> FeedSpec:
        """A contract and these attributes, as the factories need them."""
        monitoring = Monitoring(
            self.sensor_interval_seconds,
            self.schedule,
            self.warn_reject_rate,
            self.volume_tolerance,
            self.retries,
            self.retry_minutes,
            None if self.alerts is None else tuple(self.alerts),
            self.usual_changes or UsualChanges(),
        )
        snapshot, changes = self.mode == "snapshot", self.usual_changes
        problem = history_problem(feed, snapshot, self.history, changes) or division_problem(feed, self.batch_column)
        if problem:
            raise dg.DagsterInvalidDefinitionError(f"feed {feed.name}: {problem}")
        options, batching = self.options, self.options.batching
        calendar = self.deliveries.calendar(batching, feed) if self.deliveries else promised_calendar(feed, batching)
        divided = replace(feed, division=options.division)
        return FeedSpec(Path(self.contract), divided, replace(options, calendar=calendar), monitoring)

    @property
    def options(self) -> FeedOptions:
        """How the feed is run, as these attributes say."""
        return feed_options(
            mode=self.mode,
            cadence=self.cadence,
            start_date=self.start_date,
            batch_pattern=self.batch_pattern,
            timezone=self.timezone,
            settle_seconds=self.settle_seconds,
            grace_hours=self.grace_hours,
            key_look_back_days=self.key_look_back_days,
            max_reject_rate=self.max_reject_rate,
            undated=self.undated,
            repeated_bytes=self.repeated_bytes,
            history=self.history,
            batch_column=self.batch_column,
        )

    @property
    def _cadence(self) -> str:
        # A snapshot has no partitions; its archive keeps one folder a day.
        return "daily" if self.mode == "snapshot" else self.cadence


def feeds_of(tree: dg.ComponentTree) -> list[FeedSpec]:
    """The feeds below a `defs` folder, by name. A tree reads each contract once."""
    return sorted((feed.spec for feed in tree.get_all_components(of_type=FileFeed)), key=lambda spec: spec.name)
