"""`DailySummary`: a message a day that tells what came in, and what the shop counts of that day.

Belongs here: the job and its schedule, and where the figures come from. The words are in `alerts.summary`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field, field_validator

from orchestration_project.alerts.targets import read_routing
from orchestration_project.components.feed_spec import POOL, time_zone
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.components.sql_table import sql_table
from orchestration_project.settings import Settings
from orchestration_project.storage.sqlite_files import transaction
from orchestration_project.warehouse.connection import Warehouse, reading
from orchestration_project.warehouse.mart_definition import MartError, compile_select
from orchestration_project.warehouse.tables import BATCH, Columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    # What only the run needs is imported by it: the definitions are loaded far more often.
    from orchestration_project.alerts.outbox import Message
    from orchestration_project.alerts.summary import Figure, Summary
    from orchestration_project.alerts.targets import Routing

NAME = "daily_summary"
DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Figures:
    """A SELECT with a row for each day, and the tables that it reads with their columns."""

    query: str
    inputs: Mapping[str, Columns]


class Moment(dg.Config):
    """Until when is told: `until`, an ISO moment with a zone; empty: until now."""

    until: str = ""


class DailySummary(dg.Component, dg.Model, dg.Resolvable):
    """A message a day to those who take all messages: files, rows, rejects, refused files, figures, alarms.

    Makes the job `daily_summary_job` and the schedule `daily_summary_schedule`, which starts switched on where the
    setting `DAILY_SUMMARY` says so.
    """

    schedule: Annotated[str, Field(description="Cron expression: when it is sent.")] = "0 7 * * *"
    timezone: Annotated[str, Field(description="Time zone of the schedule; the day told of is the one before.")] = "UTC"
    figures: Annotated[
        str | None,
        dg.Resolver(
            lambda context, path: str(context.resolve_source_relative_path(path)) if path else None,
            model_field_type=str | None,
        ),
        Field(
            description="Path of a file with one SELECT that gives a row for each `_batch_date`; each other column is a"
            " figure, told under its name."
        ),
    ] = None
    inputs: Annotated[Sequence[str], Field(description="The marts of type `SqlTable` that this SELECT reads.")] = ()
    input_columns: Annotated[
        dict[str, dict[str, str]] | None, Field(description="Other tables that it reads, with columns and types.")
    ] = None
    report: Annotated[
        str | None, Field(description="A file below `$DATA_DIR` that the message names, if it is there.")
    ] = None

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        return time_zone(value)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The job and its schedule."""
        figures = self._figures(context.component_tree)
        feeds = feeds_of(context.component_tree)
        job = build_job(self, [spec.name for spec in feeds], figures)
        return with_platform(dg.Definitions(jobs=[job], schedules=[build_schedule(self, job)]))

    def _figures(self, tree: dg.ComponentTree) -> Figures | None:
        if self.figures is None:
            return None
        inputs = {name: sql_table(tree, name).mart.columns for name in self.inputs} | (self.input_columns or {})
        try:
            query, columns = compile_select(Path(self.figures).read_text(encoding="utf-8"), inputs)
        except MartError as error:
            raise dg.DagsterInvalidDefinitionError(f"{NAME}: {Path(self.figures).name}: {error}") from error
        if BATCH not in columns:
            raise dg.DagsterInvalidDefinitionError(
                f"{NAME}: {Path(self.figures).name}: it gives no column {BATCH}, so it is not known which day a row is"
                " about"
            )
        return Figures(query, inputs)


def build_job(summary: DailySummary, feeds: Sequence[str], figures: Figures | None) -> dg.JobDefinition:
    """The job, of one step: read, write one message into the outbox.

    Args:
        summary: its attributes.
        feeds: the names of all feeds.
        figures: what the shop counts.
    """

    @dg.op(name=NAME, pool=POOL, description="Puts the message of the day into the outbox.")
    def put_summary(context: dg.OpExecutionContext, config: Moment, platform: Platform) -> None:
        from orchestration_project.alerts.summary import compose_summary

        settings, zone = platform.settings, ZoneInfo(summary.timezone)
        until = dt.datetime.fromisoformat(config.until) if config.until else dt.datetime.now(dt.UTC)
        purpose = f"{NAME}, run {context.run_id}"
        told = read_summary(settings, purpose, feeds, figures, until.astimezone(zone), summary.report)
        # Without the routes of feeds: who is told of one feed's alarms did not ask for a summary of all.
        message, routing = compose_summary(told), read_routing(settings, {})
        put(settings, message, routing)
        context.log.info(message.subject if routing.configured else "ALERT_URLS names nobody to tell.")
        context.add_output_metadata({"message": dg.MetadataValue.text(f"{message.subject}\n\n{message.body}")})

    @dg.job(
        name=f"{NAME}_job",
        executor_def=dg.in_process_executor,
        description="Tells what came in during the last 24 hours, what the shop counts of the day before, and which"
        " alarms are on.",
    )
    def job() -> None:
        put_summary()

    return job


def build_schedule(summary: DailySummary, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """The schedule of the job; each run tells of the 24 hours before its planned time, however late it starts."""
    # Off even where AUTOMATION is on: a message a day is for those who asked for it.
    on = Settings.from_env().daily_summary

    @dg.schedule(
        name=f"{NAME}_schedule",
        job=job,
        cron_schedule=summary.schedule,
        execution_timezone=summary.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED,
        description="Sends the summary of the day; off unless DAILY_SUMMARY=on.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        until = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(until, run_config=dg.RunConfig({NAME: Moment(until=until)}))

    return schedule


def read_summary(
    settings: Settings,
    purpose: str,
    feeds: Sequence[str],
    figures: Figures | None,
    until: dt.datetime,
    report: str | None,
) -> "Summary":
    """What is told, from one state of the warehouse. Nothing is written to it.

    Args:
        settings: where everything is.
        purpose: what the reader does, shown to whoever waits.
        feeds: their names.
        figures: what the shop counts.
        until: the end of the 24 hours, in the zone whose day before is told of.
        report: a file below the data folder.
    """
    from orchestration_project.alerts.summary import Summary, came_in

    day = until.date() - DAY
    # Files and figures from one state of the warehouse, or a load in between would make them contradict each other.
    with reading(
        Warehouse.from_settings(settings), purpose, figures.inputs if figures else None, shared=False
    ) as connection:
        came, counted = came_in(connection, feeds, until), figures_of(connection, figures, day)
    page = settings.data_dir / report if report else None
    links = {"Report": str(page)} if page and page.is_file() else {}
    links |= {"UI": settings.ui_url} if settings.ui_url else {}
    return Summary(day, until, came, counted, _alarms(settings), links)


def figures_of(connection: "DuckDBPyConnection", figures: Figures | None, day: dt.date) -> dict[str, "Figure"]:
    """The figures of a day by name; empty if there is no row of it."""
    if figures is None:
        return {}
    # The batches of an hourly feed are moments, so they are cut to days.
    found = connection.execute(f"SELECT * FROM ({figures.query}) WHERE {BATCH}::DATE = $day", {"day": day})
    names, row = [name for name, *_ in found.description or ()], found.fetchone()
    return {name: value for name, value in zip(names, row, strict=True) if name != BATCH} if row else {}


def _alarms(settings: Settings) -> list[str]:
    from orchestration_project.alerts import store

    with store.open_store(store.path_of(settings)) as connection:
        standings = store.read_standings(connection).values()
    return [standing.alarm.what for standing in standings if standing.off_since is None]


def put(settings: Settings, message: "Message", routing: "Routing") -> None:
    """Put the message into the outbox and have it sent."""
    from orchestration_project.alerts import outbox, sender, store

    # A run does not wait for a mail server. The message is a row first; a process of its own sends it.
    with store.open_store(store.path_of(settings)) as connection, transaction(connection):
        outbox.put(connection, [message], routing, dt.datetime.now(dt.UTC))
    sender.start(settings)
