"""One tick of the sales sensor over a landing folder with many files; prints the seconds that it took.

python -m benchmarks.tick FILES
"""

import datetime as dt
import os
import sys
import time

import click
import dagster as dg

from benchmarks.data import days
from orchestration_project.components.resources import Platform
from orchestration_project.definitions import defs
from orchestration_project.settings import Settings

FIRST, BATCHES = dt.date(2020, 1, 1), 1000


def main(files: int) -> None:
    """Deliver files and evaluate the sensor once, with the instance of DAGSTER_HOME."""
    landing = Settings.from_env().landing("sales")
    landing.mkdir(parents=True)
    settled = time.time() - 3600
    batches = days(BATCHES, FIRST)
    for number in range(files):
        path = landing / f"sales_{batches[number % BATCHES]}_{number}.csv"
        path.touch()
        os.utime(path, (settled, settled))
    project = defs()
    sensor = project.resolve_sensor_def("sales_files_sensor")
    with dg.DagsterInstance.get() as instance:
        context = dg.build_sensor_context(
            instance, repository_def=project.get_repository_def(), resources={"platform": Platform()}
        )
        began = time.perf_counter()
        requests = sensor.evaluate_tick(context).run_requests
        seconds = time.perf_counter() - began
    if not requests:
        raise SystemExit("the sensor asked for nothing")
    click.echo(seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]))
