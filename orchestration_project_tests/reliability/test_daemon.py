"""The whole thing as it is run: `dagster dev` with sensors on, flooded with files, and killed while it works."""

import os
import random
import time
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.reliability.deployment import PARTS, Deployment, deployed
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried

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


def deliver(deployment: Deployment, files: int, rows: int, days: int) -> None:
    """Put settled sales files in landing, spread over days; no record is in two of them."""
    landing = deployment.settings.landing("sales")
    landing.mkdir(parents=True, exist_ok=True)
    settled = time.time() - 3600
    for number in range(files):
        day = f"2024-01-{number % days + 1:02}"
        lines = [sale(f"A{number}-{row}", day=day) for row in range(rows)]
        path = landing / f"sales_{day}_{number:05}.csv"
        path.write_text(sales(*lines), encoding="utf-8")
        os.utime(path, (settled, settled))


def is_worked_off(deployment: Deployment) -> bool:
    """Whether landing is empty, every run has ended and the last one well: one that was killed is started again."""
    runs = deployment.runs()
    ended = bool(runs) and all(run.is_finished for run in runs) and runs[0].is_success
    return ended and not any(deployment.settings.landing("sales").iterdir())


def hold_all_once(deployment: Deployment, files: int, rows: int) -> None:
    """Every file is in the archive, in the ledger and in the tables once, every record of it accounted for."""
    with deployment.warehouse.connection("test") as connection:
        records, orders = connection.execute("SELECT count(*), count(DISTINCT order_id) FROM cleaned_sales").fetchall()[
            0
        ]
        raw = connection.execute("SELECT count(*) FROM raw_sales").fetchall()[0][0]
        balanced = "status = 'loaded' AND records = $rows AND records = cleaned + rejected + blank_records"
        ledger = connection.execute(
            f"SELECT count(*), count(DISTINCT file), count(*) FILTER ({balanced}) FROM file_ledger", {"rows": rows}
        ).fetchall()[0]
        published = connection.execute("SELECT sum(orders) FROM product_daily_sales").fetchall()[0][0]
    assert records == orders == raw == published == files * rows
    assert ledger == (files, files, files)
    assert len(list(deployment.settings.archive("sales").glob("20*/**/*.csv"))) == files


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
