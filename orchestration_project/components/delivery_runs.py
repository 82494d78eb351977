"""What starts a delivery: its job, and the sensor that watches the tables for new materializations.

A delivery is never a part of a feed's job. A run has the slot of each of its pools until it ends, so a dead target in
a feed's run would keep the one for the warehouse.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.delivery_assets import DeliverySpec
from orchestration_project.components.feed_runs import sensor_status
from orchestration_project.inspection.runs import UNFINISHED

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

INTERVAL_SECONDS = 60
PAUSE = dt.timedelta(minutes=15)
"""How long after a run that failed the next one is requested, until one succeeds."""


def build_job(name: str, specs: Sequence[DeliverySpec]) -> "UnresolvedAssetJobDefinition":
    """The job that brings the target up to date with all tables of a delivery."""
    return dg.define_asset_job(
        f"deliver_{name}",
        selection=dg.AssetSelection.assets(*(spec.key for spec in specs)),
        description=f"Brings the target of the delivery {name} up to date, and compares it with the warehouse.",
        executor_def=dg.in_process_executor,
    )


def build_sensor(
    name: str,
    specs: Sequence[DeliverySpec],
    job: "UnresolvedAssetJobDefinition",
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
) -> dg.SensorDefinition:
    """The sensor: one run for whatever was materialized since the last one, and again after a run that failed.

    The run names the partition that was materialized last, since Dagster wants one. It delivers what differs, whichever
    batches that are.

    Args:
        name: of the delivery.
        specs: its tables.
        job: what it runs.
        clock: tells the present moment, with a time zone.
    """

    @dg.sensor(
        name=f"deliver_{name}_sensor",
        job=job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(),
        description=f"Runs the delivery {name} when one of its tables was materialized, and again if that fails.",
    )
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if context.instance.get_runs(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED), limit=1):
            return dg.SkipReason("A delivery is under way.")
        newest = {spec.table.name: _newest(context.instance, spec.table.name) for spec in specs}
        numbers = {name: event.number for name, event in newest.items()}
        key = None
        if any(numbers.values()) and numbers != json.loads(context.cursor or "{}"):
            key = f"{name}:{max(numbers.values())}"
        elif failed := _failed(context.instance, job.name, clock() - PAUSE):
            # No key runs twice, so a run that failed is followed by one.
            key = f"{name}:after:{failed}"
        partitions = [newest[spec.table.name].partition for spec in specs if spec.table.feed]
        if key is None or (partitions and not any(partitions)):
            return dg.SkipReason("Nothing was materialized since the last delivery.")
        request = dg.RunRequest(key, partition_key=max(partitions) if partitions else None)
        return dg.SensorResult([request], cursor=json.dumps(numbers))

    return watch


@dataclass(frozen=True, slots=True)
class _Event:
    """A materialization: its number in the history, from 1, and its partition; 0 and empty if there is none."""

    number: int = 0
    partition: str = ""


def _newest(instance: dg.DagsterInstance, table: str) -> _Event:
    """A table's newest materialization."""
    records = instance.fetch_materializations(dg.AssetKey(table), limit=1).records
    return _Event(records[0].storage_id, records[0].partition_key or "") if records else _Event()


def _failed(instance: dg.DagsterInstance, job: str, before: dt.datetime) -> str:
    """The id of the job's last run, if that failed before a moment; else empty."""
    for record in instance.get_run_records(dg.RunsFilter(job_name=job), limit=1):
        failed = record.dagster_run.status is dg.DagsterRunStatus.FAILURE
        if failed and record.end_time is not None and record.end_time < before.timestamp():
            return record.dagster_run.run_id
    return ""
