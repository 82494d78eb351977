"""The whole thing as it is run: `dagster dev` with sensors on, flooded with files, and killed while it works."""

import random
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.reliability.deployment import PARTS, deployed
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried
from orchestration_project_tests.reliability.flood import deliver, hold_all_once, is_worked_off

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="the processes to kill are found in /proc")

EVERYTHING = tuple(PARTS)
KILLED = [
    pytest.param(EVERYTHING, id="everything"),
    *(
        pytest.param(parts, id=", ".join(parts))
        for parts in [*((part,) for part in PARTS), ("code server", "run server", "worker"), ("daemon", "worker")]
        if TORTURE
    ),
]
PATIENCE = effort(180, 600)


@pytest.mark.promise("load")
def test_a_flood_is_worked_off(tmp_path: Path) -> None:
    """Files that all arrive at once go through sensor, daemon and runs; nothing is left and every row is there once."""
    files = effort(60, 2000)
    with deployed(tmp_path) as deployment:
        deliver(deployment, files, rows=200, days=effort(6, 30))
        deployment.start()
        deployment.wait_until(lambda: is_worked_off(deployment), effort(180, 3600))
        hold_all_once(deployment, files, rows=200)
        tried(files)


@pytest.mark.promise("crash")
@pytest.mark.parametrize("moment", [pytest.param(number, id=f"moment {number}") for number in range(effort(1, 2))])
@pytest.mark.parametrize("killed", KILLED)
def test_a_kill_loses_nothing(tmp_path: Path, killed: tuple[str, ...], moment: int) -> None:
    """Parts of `dagster dev` are killed while a run is under way; started again, it has every file once."""
    files, rows = 12, 50
    with deployed(tmp_path) as deployment:
        deliver(deployment, files, rows, days=6)
        with deployment.warehouse.connection("another program, so that the run waits"):
            deployment.start()
            deployment.wait_until(lambda: deployment.runs(dg.DagsterRunStatus.STARTED), PATIENCE)
            if moment == 0:
                deployment.kill(*killed)
        if moment:
            time.sleep(random.Random(f"{killed} {moment}").uniform(0, 6))  # noqa: S311 - a moment, not a secret
            deployment.kill(*killed)
        if killed != ("worker",):
            deployment.restart()
        deployment.wait_until(lambda: is_worked_off(deployment), PATIENCE)
        hold_all_once(deployment, files, rows)
        tried()
