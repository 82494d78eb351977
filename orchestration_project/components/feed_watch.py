"""The runs that `watch` asks for: what the feed's sensor would ask for, as soon as a file is whole.

The sensor looks every 30 seconds, and takes a file only when it has been left alone for the settle time. Who is told
by the kernel that a writer has closed its file need not wait for either. The keys of the runs are the sensor's own, and
each run carries what the sensor would have noted of it. So the sensor asks for nothing twice, and it stays the safety
net: what is missed here, it finds.

Belongs here: which runs to ask for. Does not belong here: events (`cli.watch`), talking to Dagster (`dagster_api`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from orchestration_project.components.feed_runs import REQUESTED, plan_runs
from orchestration_project.components.feed_spec import PARTITION, FeedSpec
from orchestration_project.inspection.runs import RUN_KEY
from orchestration_project.settings import Settings
from orchestration_project.storage.landing import waiting_files
from orchestration_project.storage.sensor_cursor import read_cursor, write_requests
from orchestration_project.storage.writers import Writing, is_young, writing_to

SENSOR = "dagster/sensor_name"
BUSY_SECONDS = 3.0
"""When to look again while a run has the batch of a file: no event tells of its end."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be asked for now.

    Attributes:
        runs: the tags of each run to ask for.
        again: in how many seconds to look again though nothing happens; None: only when something happens.
    """

    runs: tuple[Mapping[str, str], ...]
    again: float | None = None


def runs_to_ask_for(
    spec: FeedSpec, settings: Settings, cursor: str | None, under_way: Mapping[str, Mapping[str, str]], now: float
) -> Asked:
    """The runs to ask for: those for files that nobody writes to, and that no run has.

    Args:
        spec: the feed.
        settings: where the files are.
        cursor: the text of its sensor's cursor; None: the sensor has not looked yet, and is left the first word.
        under_way: the tags of the runs of the feed's job that have not ended, by their keys.
        now: seconds since the epoch.
    """
    if cursor is None:
        return Asked(())
    files = waiting_files(settings, spec.name)
    patience, states = spec.options.settle_seconds, {file.name: writing_to(file.path) for file in files}
    # Where it can't be told, age tells, as for the sensor.
    young = {file.name for file in files if states[file.name] is Writing.UNKNOWN and is_young(file, now, patience)}
    written = young | {name for name, state in states.items() if state is Writing.SOMEBODY}
    plan = plan_runs(spec, files, written, read_cursor(cursor, now), under_way, now, settle_seconds=0)
    runs = tuple(
        {
            **request.tags,
            **({PARTITION: request.partition_key} if request.partition_key else {}),
            RUN_KEY: str(request.run_key),
            SENSOR: spec.configured.sensor,
            REQUESTED: write_requests(plan.cursor, str(request.run_key)),
        }
        for request in plan.requests
    )
    if plan.evaluation.running:
        return Asked(runs, BUSY_SECONDS)
    return Asked(runs, patience if young else None)
