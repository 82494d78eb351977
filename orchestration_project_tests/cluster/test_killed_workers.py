"""Workers of a cluster that are killed or stopped, with real servers and processes: nothing is lost, nothing stays."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.cluster.machines import Cluster, cluster
from orchestration_project_tests.cluster.processes import processes_of
from orchestration_project_tests.reliability.evidence import TORTURE, measured, tried
from orchestration_project_tests.reliability.flood import deliver, hold_all_once, is_worked_off

pytestmark = [
    pytest.mark.promise("crash"),
    pytest.mark.xdist_group("cluster"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="the processes to kill are found in /proc"),
]

FILES, ROWS, DAYS = 12, 50, 6
# What is waited for comes within a minute; on a machine that is shared it may take longer, and no test fails for that.
PATIENCE = 600
# A worker whose name another one has, too, such as one that an older start has left behind.
TWIN = (
    "from orchestration_project.cli.main import main; from orchestration_project.components import celery_worker;"
    " celery_worker.worker_name = lambda: 'twin@%h'; main(['worker'])"
)
long_form = pytest.mark.skipif(not TORTURE, reason="in the long form, `make torture`")


@dataclass
class Shop:
    """A running cluster, and the files that it got until now."""

    cluster: Cluster
    files: int = 0

    @contextmanager
    def held_run(self) -> Iterator[dg.DagsterRun]:
        """A run that a worker is at, and that stands still until the block ends."""
        deliver(self.cluster, FILES, ROWS, DAYS, self.files)
        self.files += FILES
        run = self.cluster.begun(PATIENCE)
        with self.cluster.held(run):
            yield run

    def finish(self) -> None:
        """Wait until all files are worked off, and prove that each of them counts once."""
        self.cluster.wait_until(lambda: is_worked_off(self.cluster), PATIENCE)
        hold_all_once(self.cluster, self.files, ROWS)
        tried()

    def seconds_until_failed(self, run: dg.DagsterRun) -> float:
        """How long it takes until Dagster knows that a run is dead."""
        failed = dg.DagsterRunStatus.FAILURE
        known = lambda: run.run_id in {other.run_id for other in self.cluster.runs(failed)}  # noqa: E731 - a question
        return self.cluster.wait_until(known, PATIENCE)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A running cluster without workers."""
    with cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.start("code server", "daemon")
        yield Shop(made)


@pytest.fixture
def workers(shop: Shop) -> Iterator[Cluster]:
    """The cluster with two workers of its own making."""
    shop.cluster.start("worker 1", "worker 2")
    yield shop.cluster
    for name in [name for name in shop.cluster.parts if name.startswith("worker")]:
        shop.cluster.stop(name)


@pytest.mark.found("A run whose worker was killed stayed started for ever, and its files in landing.")
def test_a_killed_worker(shop: Shop, workers: Cluster) -> None:
    """It takes the process of its run along; Dagster notices, and another worker does the run anew."""
    with shop.held_run() as run:
        name = workers.worker_of(run)
        group = workers.parts[name].pid
        workers.kill(name)
        workers.wait_until(lambda: not processes_of(group), PATIENCE)
        seconds = shop.seconds_until_failed(run)
    measured(f"A killed worker was noticed after {seconds:.0f} s.")
    shop.finish()
    (retry,) = [other for other in workers.runs() if other.tags.get("dagster/parent_run_id") == run.run_id]
    assert retry.is_success


@long_form
@pytest.mark.found("SIGTERM ended the command and left the worker behind.")
def test_a_stopped_worker(shop: Shop, workers: Cluster) -> None:
    """On SIGTERM it lets its run end and ends itself, without a process left; nothing failed."""
    with shop.held_run() as run:
        name = workers.worker_of(run)
        workers.parts[name].terminate()
    assert workers.stop(name, PATIENCE)
    shop.finish()
    assert run.run_id in {other.run_id for other in workers.runs(dg.DagsterRunStatus.SUCCESS)}


@long_form
@pytest.mark.found("A worker that had the name of a killed one answered for it.")
def test_a_twin_of_a_killed_worker(shop: Shop) -> None:
    """A worker with the name of the killed one does not answer for it."""
    cluster = shop.cluster
    for name in ("worker twin 1", "worker twin 2"):
        cluster.run(name, "-c", TWIN)
    with shop.held_run() as run:
        cluster.kill(cluster.worker_of(run))
        measured(f"A killed worker with a twin was noticed after {shop.seconds_until_failed(run):.0f} s.")
    shop.finish()
    for name in ("worker twin 1", "worker twin 2"):
        cluster.stop(name)
