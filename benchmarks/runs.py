"""What Dagster noted of a run: read from the history of the DAGSTER_HOME that the run used."""

from pathlib import Path

import dagster as dg

from benchmarks.measure import Failed


def step_seconds(home: Path, first: str) -> float:
    """The time of the newest run from the start of a step to the end of the last one.

    Args:
        home: the run's DAGSTER_HOME.
        first: the step from which on time counts.

    Raises:
        Failed: there is no run, or it has no such step.
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = instance.get_runs(limit=1)
        stats = instance.get_run_step_stats(runs[0].run_id) if runs else []
    began = [step.start_time for step in stats if step.step_key == first and step.start_time]
    ended = [step.end_time for step in stats if step.end_time]
    if not began or not ended:
        raise Failed(f"no run in {home} has a step {first!r} that ended")
    return max(ended) - began[0]
