"""What components have in common whose asset does the platform's own work once a night: attributes, job, schedule."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import dagster as dg
from pydantic import Field

from orchestration_project.components.feed_runs import schedule_status
from orchestration_project.components.resources import Platform
from orchestration_project.errors import PlatformError
from orchestration_project.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# The first night of a large archive takes long. What runs longer is ended as hung.
LONGEST_SECONDS = 86_400


class Nightly(dg.Component, dg.Model, dg.Resolvable):
    """A component whose asset works once a night."""

    retries: Annotated[
        int,
        Field(ge=0, description="How often a night is tried again that something busy, or down, has stopped."),
    ] = 3
    retry_minutes: Annotated[float, Field(gt=0, description="Minutes before each of these.")] = 10
    owners: Annotated[Sequence[str], Field(description="Owners: mail addresses, or `team:` and a name.")] = ()

    @contextmanager
    def tried_again(self) -> Iterator[None]:
        """Have the step run again after a fault that passes by itself: a place that is down, a busy warehouse."""
        try:
            yield
        except PlatformError as error:
            if not error.transient or not self.retries:
                raise
            raise dg.RetryRequested(self.retries, self.retry_minutes * 60) from error


def nightly_job(asset: dg.AssetsDefinition, description: str) -> "UnresolvedAssetJobDefinition":
    """The job `x_job` of an asset x."""
    return dg.define_asset_job(
        f"{asset.key.to_user_string()}_job",
        selection=dg.AssetSelection.assets(asset),
        description=description,
        tags={"dagster/max_runtime": str(LONGEST_SECONDS)},
        executor_def=dg.in_process_executor,
    )


def nightly_schedule(
    name: str, hour: int, description: str, why_not: Callable[[Settings], str | None]
) -> dg.ScheduleDefinition:
    """The schedule of the job `x_job` of an asset x.

    Args:
        name: of the asset.
        hour: when it ticks, UTC.
        description: for people.
        why_not: tells why there is nothing to do, by the settings of that moment; None: there is.
    """

    @dg.schedule(
        name=f"{name}_nightly_schedule",
        job_name=f"{name}_job",
        cron_schedule=f"0 {hour} * * *",
        execution_timezone="UTC",
        default_status=schedule_status(),
        description=description,
    )
    def tick(platform: Platform) -> dg.RunRequest | dg.SkipReason:
        skipped = why_not(platform.settings)
        return dg.SkipReason(skipped) if skipped else dg.RunRequest()

    return tick
