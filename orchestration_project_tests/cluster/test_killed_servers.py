"""The servers of a cluster that are killed under a run and started again: nothing is lost and nothing counts twice."""

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.cluster.machines import Cluster, cluster, lake_cluster
from orchestration_project_tests.cluster.processes import processes_about
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.reliability.flood import deliver, hold_all_once, is_worked_off
from orchestration_project_tests.servers.postgres import postgres_server

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
    """Start all parts, and wait for a run."""
    shop.start("code server", "worker 1", "worker 2", "daemon")
    return shop.begun(PATIENCE)


def finish(shop: Cluster) -> None:
    """Wait until all files are worked off, and prove that each of them counts once."""
    shop.wait_until(lambda: is_worked_off(shop), PATIENCE)
    hold_all_once(shop, FILES, ROWS)
    tried()


def test_the_broker_is_killed(shop: Cluster) -> None:
    """A run goes on without the broker, is not taken for dead when it is back, and the workers take runs again."""
    run = begun(shop)
    with shop.held(run):
        shop.redis.stop()
        time.sleep(AWAY_SECONDS)
        shop.redis.start()
        # Longer than a dead worker stays unnoticed.
        time.sleep(4 * AWAY_SECONDS)
    finish(shop)
    assert run.run_id in {other.run_id for other in shop.runs(dg.DagsterRunStatus.SUCCESS)}
    deliver(shop, FILES, ROWS, DAYS, FILES)
    shop.wait_until(lambda: is_worked_off(shop), PATIENCE)
    hold_all_once(shop, 2 * FILES, ROWS)
    tried()


def test_the_history_is_killed(shop: Cluster) -> None:
    """PostgreSQL dies under a run and comes back: the run fails or ends, and what it left is loaded."""
    with shop.held(begun(shop)):
        shop.postgres.stop(signal.SIGQUIT)
    time.sleep(AWAY_SECONDS)
    shop.postgres.start()
    for name in ("daemon", "code server"):
        if shop.parts[name].poll() is not None:  # a service manager starts it again
            shop.start(name)
    finish(shop)


@pytest.mark.parametrize("killed", ["store", "catalog"])
def test_a_server_of_a_lake_is_killed(killed: str, tmp_path: Path) -> None:
    """S3, or the PostgreSQL of the catalog, dies in the middle of a load: the run fails, and what it left is loaded."""
    with (
        postgres_server() as catalog,
        lake_cluster(tmp_path / "cluster", catalog=catalog) as shop,
        shop.inside(),
    ):
        deliver(shop, FILES, ROWS, DAYS)
        assert shop.store
        run = begun(shop)
        process = shop.pids_of(run)[-1]
        shop.wait_until(lambda: catalog.is_used_by(process), PATIENCE)
        with shop.held(run):
            assert catalog.is_used_by(process), "the load has ended too early"
            if killed == "store":
                shop.store.stop()
            else:
                catalog.stop(signal.SIGQUIT)
        if killed == "catalog":
            shop.wait_until(lambda: run.run_id in {other.run_id for other in failed(shop)}, PATIENCE)
            assert "WarehouseDown" in told(shop, run)
        time.sleep(AWAY_SECONDS)
        (shop.store if killed == "store" else catalog).start()
        finish(shop)


def failed(shop: Cluster) -> Sequence[dg.DagsterRun]:
    """The runs that have failed."""
    return shop.runs(dg.DagsterRunStatus.FAILURE)


def told(shop: Cluster, run: dg.DagsterRun) -> str:
    """The errors of a run's steps."""
    with shop.instance() as instance:
        entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return "\n".join(str(entry.dagster_event and entry.dagster_event.event_specific_data) for entry in entries)


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files that PostgreSQL's user may enter, too, which a test's own folder is not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_who_stops_make_cluster_has_nothing_left(temporary: Path) -> None:
    """After Ctrl+C while everything runs, nothing of it runs any more, no file stays, and the command says so."""
    with subprocess.Popen(
        [sys.executable, "-m", "orchestration_project_tests.cluster"],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while "are in landing" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130
    assert "Left running: nothing" in rest
    assert processes_about(temporary) == []
    assert list(temporary.iterdir()) == []
