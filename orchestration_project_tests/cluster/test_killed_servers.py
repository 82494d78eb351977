"""The servers of a cluster that are killed under a run and started again: nothing is lost and nothing counts twice."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.cluster.machines import Cluster, cluster
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.reliability.flood import deliver, hold_all_once, is_worked_off

pytestmark = [
    pytest.mark.promise("crash"),
    pytest.mark.xdist_group("cluster"),
    pytest.mark.skipif(not TORTURE, reason="in the long form, `make torture`"),
]

FILES, ROWS, DAYS = 12, 50, 6
PATIENCE = 900
AWAY_SECONDS = 15


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Cluster]:
    """A running cluster with two workers and files in landing."""
    with cluster(tmp_path / "cluster") as made:
        deliver(made, FILES, ROWS, DAYS)
        yield made


def begun(shop: Cluster) -> dg.DagsterRun:
    """Start all parts, and wait until a run is under way."""
    shop.start("code server", "worker 1", "worker 2", "daemon")
    shop.wait_until(lambda: shop.runs(dg.DagsterRunStatus.STARTED), PATIENCE)
    return shop.runs(dg.DagsterRunStatus.STARTED)[0]


def finish(shop: Cluster) -> None:
    """Wait until all files are worked off, and prove that each of them counts once."""
    shop.wait_until(lambda: is_worked_off(shop), PATIENCE)
    hold_all_once(shop, FILES, ROWS)
    tried()


def test_the_broker_is_killed(shop: Cluster) -> None:
    """A run goes on without the broker, is not taken for dead when it is back, and the workers take runs again."""
    with shop.warehouse.connection("another program, so that the run waits"):
        run = begun(shop)
        shop.redis.stop()
        time.sleep(AWAY_SECONDS)
        shop.redis.start()
        time.sleep(AWAY_SECONDS)
    finish(shop)
    assert run.run_id in {other.run_id for other in shop.runs(dg.DagsterRunStatus.SUCCESS)}
    deliver(shop, FILES, ROWS, DAYS, FILES)
    shop.wait_until(lambda: is_worked_off(shop), PATIENCE)
    hold_all_once(shop, 2 * FILES, ROWS)
    tried()


def test_the_history_is_killed(shop: Cluster) -> None:
    """PostgreSQL dies under a run and comes back: the run fails or ends, and what it left is loaded."""
    with shop.warehouse.connection("another program, so that the run waits"):
        begun(shop)
        shop.postgres.stop(signal.SIGQUIT)
    time.sleep(AWAY_SECONDS)
    shop.postgres.start()
    for name in ("daemon", "code server"):
        if shop.parts[name].poll() is not None:  # a service manager starts it again
            shop.start(name)
    finish(shop)
