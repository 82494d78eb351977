"""A feed's sensor with a clock that is set by hand, as the daemon would use it."""

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from orchestration_project.components.feed_assets import build_feed_assets
from orchestration_project.components.feed_runs import build_job, build_schedule, build_sensor
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.resources import Platform
from orchestration_project.contracts import load_feed
from orchestration_project_tests.components.sales_files import sales
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC).timestamp()
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
DEFS = REPOSITORY / "orchestration_project" / "defs"


def spec_of(name: str, **attributes: str | float | dict[str, str] | None) -> FeedSpec:
    """One of the project's contracts, run with other attributes."""
    settings = {"contract": f"{name}.odcs.yaml", "batch_pattern": DATE, **attributes}
    feed = FileFeed.model_validate(settings)
    return feed.spec_of(load_feed(DEFS / name / f"{name}.odcs.yaml"))


@dataclass
class Watch:
    """A feed's sensor with a clock that is set by hand, as the daemon would use it."""

    bench: Workbench
    spec: FeedSpec
    now: float = NOW
    cursor: str | None = None
    requested: list[dg.RunRequest] = field(default_factory=list)
    said: str = ""

    def drop(self, name: str, *lines: str, age: float = 60) -> Path:
        """Deliver a file that was last written to some seconds ago."""
        return self.bench.drop(self.spec.name, name, sales(*lines), modified=self.now - age)

    def tick(self, seconds: float = 30) -> list[dg.RunRequest]:
        """Let time pass and the sensor tick; returns the requests."""
        self.now += seconds
        sensor = build_sensor(self.spec, build_job(self.spec), clock=lambda: self.now)
        with self.bench.environment():
            context = dg.build_sensor_context(
                instance=self.bench.instance,
                cursor=self.cursor,
                resources={"platform": Platform()},
                repository_def=self.bench.defs.get_repository_def(),
            )
            data = sensor.evaluate_tick(context)
        self.cursor, self.said = data.cursor, data.skip_message or ""
        self.requested += data.run_requests or []
        return list(data.run_requests or [])

    def launch(self, request: dg.RunRequest, raise_on_error: bool = True) -> dg.ExecuteInProcessResult:
        """Run what was requested, with the tags that the daemon gives."""
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        job = f"{self.spec.name}_job"
        return self.bench.run(job=job, first=request.partition_key, tags=tags, raise_on_error=raise_on_error)


def batches(requests: list[dg.RunRequest]) -> list[tuple[str, str]]:
    """The range of each request."""
    names = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")
    return [
        (request.partition_key, request.partition_key)
        if request.partition_key
        else (request.tags[names[0]], request.tags[names[1]])
        for request in requests
    ]


def swept(bench: Workbench, spec: FeedSpec, moment: dt.datetime) -> list[dg.RunRequest]:
    """What the schedule requests at a moment."""
    job, resources = build_job(spec), {"platform": Platform()}
    schedule = build_schedule(spec, job)
    with bench.environment():
        context = dg.build_schedule_context(
            instance=bench.instance,
            scheduled_execution_time=moment,
            resources=resources,
            repository_def=dg.Definitions(
                assets=[build_feed_assets(spec)], jobs=[job], resources=resources
            ).get_repository_def(),
        )
        return list(schedule.evaluate_tick(context).run_requests or [])
