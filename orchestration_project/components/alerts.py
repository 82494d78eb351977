"""`Alerts`: the sensor that finds out which alarms are on, and tells the changes.

Belongs here: the thresholds as a `defs.yaml` has them, and one evaluation in Dagster's terms. What is observed, when a
condition is an alarm, when it is told and in which words is in `alerts`.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import Field

from orchestration_project.alerts.targets import FeedRoute, read_routing
from orchestration_project.components.feed_runs import sensor_status
from orchestration_project.components.feed_spec import OPERATIONS, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    from orchestration_project.alerts.changes import Rules
    from orchestration_project.alerts.model import Thresholds

SENSOR = "alerts_sensor"
GIGABYTE = 1_000_000_000


class Alerts(dg.Component, dg.Model, dg.Resolvable):
    """Alarms of all feeds, jobs and checks of the project: told when they come, get worse, stay and are over.

    Makes the sensor `alerts_sensor`. A project has this component once.
    """

    interval_seconds: Annotated[int, Field(ge=1, description="How often it is looked which alarms are on.")] = 60
    settle_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long an alarm has to be on, or off, before that is told. What comes and goes faster is one"
            " alarm.",
        ),
    ] = 120
    again_minutes: Annotated[
        float, Field(ge=0, description="The shortest time between two messages that an alarm is worse.")
    ] = 30
    remind_hours: Annotated[float, Field(gt=0, description="How often an alarm that stays on is told again.")] = 24
    reject_days: Annotated[float, Field(ge=0, description="How long rejects may be open.")] = 14
    landing_hours: Annotated[
        float, Field(gt=0, description="How long a file may wait in landing after it arrived.")
    ] = 2
    shrunk_share: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="By which share of its records a snapshot may be smaller than the largest of the three before.",
        ),
    ] = 0.2
    free_gigabytes: Annotated[
        float, Field(ge=0, description="How much room there has to be on each disk that is written to.")
    ] = 2
    success_rate: Annotated[
        float, Field(ge=0, le=1, description="Share of the last `success_runs` runs of a job that have to succeed.")
    ] = 0.9
    success_runs: Annotated[int, Field(ge=1, description="Over how many runs of a job that share is counted.")] = 10
    idle_hours: Annotated[
        float, Field(gt=0, description="How long nothing at all may be materialized, once anything was.")
    ] = 25
    busy_minutes: Annotated[
        float, Field(gt=0, description="How long one process may have the warehouse at a stretch.")
    ] = 30
    failed_days: Annotated[
        float, Field(gt=0, description="After how many days a failed run that nothing made good is let be.")
    ] = 30

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """The sensor, for all feeds below the `defs` folder.

        Raises:
            SettingsError: an URL of `ALERT_URLS` can't be used, or a feed's `alerts` names what is not there.
        """
        from orchestration_project.alerts.services import require_usable

        # Now, and not when the first alarm is on: a mistake in an URL shows at `dg check defs`, not in the night in
        # which nobody is told.
        feeds, settings = feeds_of(context.component_tree), Settings.from_env()
        require_usable(read_routing(settings, routes_of(feeds)).configured, settings.data_dir)
        return with_platform(dg.Definitions(sensors=[build_alerts_sensor(self, feeds)]))

    @property
    def limits(self) -> "Thresholds":
        """From when on a condition is an alarm."""
        from orchestration_project.alerts.model import Thresholds

        return Thresholds(
            self.reject_days,
            self.landing_hours,
            self.shrunk_share,
            int(self.free_gigabytes * GIGABYTE),
            self.success_rate,
            self.success_runs,
            self.idle_hours,
            self.busy_minutes,
            self.failed_days,
        )

    @property
    def rules(self) -> "Rules":
        """How patient telling is."""
        from orchestration_project.alerts.changes import Rules

        return Rules(
            dt.timedelta(seconds=self.settle_seconds),
            dt.timedelta(minutes=self.again_minutes),
            dt.timedelta(hours=self.remind_hours),
        )


def routes_of(feeds: Sequence[FeedSpec]) -> dict[str, FeedRoute]:
    """Who takes the alarms of each feed, beside those who take all."""
    return {spec.name: spec.route for spec in feeds}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def build_alerts_sensor(
    alerts: Alerts, feeds: Sequence[FeedSpec], clock: Callable[[], dt.datetime] = _now
) -> dg.SensorDefinition:
    """The sensor. It requests no runs.

    Args:
        alerts: thresholds and patience.
        feeds: all feeds of the project.
        clock: tells the moment, with a time zone.
    """

    @dg.sensor(
        name=SENSOR,
        minimum_interval_seconds=alerts.interval_seconds,
        default_status=sensor_status(),
        description="Finds out which alarms are on, and tells their owners what has changed.",
    )
    def alerts_sensor(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SkipReason:
        # Each run loads the definitions, and only this sensor watches. So what watches is imported by the tick.
        from orchestration_project.alerts.evaluation import evaluate
        from orchestration_project.alerts.observe import FeedToWatch, declared_in

        assert context.repository_def
        settings = platform.settings
        evaluated = evaluate(
            context.instance,
            settings,
            [FeedToWatch(spec.configured, spec.monitoring.warn_reject_rate) for spec in feeds],
            # Of the whole project, not of the feeds: jobs and checks that somebody wrote in Python are watched, too.
            declared_in(context.repository_def, SENSOR, OPERATIONS),
            read_routing(settings, routes_of(feeds)),
            alerts.limits,
            alerts.rules,
            clock(),
        )
        for line in evaluated.told:
            context.log.info(line)
        # A tick that requests no run has one place in the UI for what it found: the reason why it was skipped.
        return dg.SkipReason(evaluated.summary)

    return alerts_sensor
