"""`make cluster`: a whole cluster on this machine, with a worker killed in the middle of a load, and proven figures.

Belongs here: what happens in which order, and what is told. The processes are in `machines`, the files and figures in
`deliveries`. Whatever ends it, also Ctrl+C, nothing that it started is left running.
"""

import json
import signal
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.cluster.deliveries import Delivery, online_retail, sample
from orchestration_project_tests.cluster.machines import Cluster, lake_cluster
from orchestration_project_tests.cluster.processes import processes_about
from orchestration_project_tests.cluster.visitors import Visitor
from orchestration_project_tests.servers.access import Proxy, proxy

PATIENCE = 1800
# Folders of the usage reports, which are switched off. The web server goes on when it can't make them.
TOLERATED = {"logs", ".logs_queue"}


def main(source: str) -> int:
    """Run all of it, on files of Online Retail or, without them, on the sample; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="cluster_") as made:
        folder = Path(made)
        delivery = online_retail(Path(source), folder / "retail") if source else sample(folder / "sample")
        try:
            with lake_cluster(folder / "cluster", delivery.root, delivery.definitions) as cluster:
                show(cluster, delivery)
        finally:
            left = processes_about(folder)
            tell(f"Left running: {left or 'nothing'}")
    return 1 if left else 0


def show(cluster: Cluster, delivery: Delivery) -> None:
    """Start everything, deliver, kill a worker, wait, look through the proxy, compare.

    Raises:
        AssertionError: something is not as it should be.
    """
    tell("PostgreSQL, Redis and an S3 server run.")
    urls = [cluster.url(name) for name in ("webserver", "read-only webserver")]
    cluster.start("code server", "webserver", "read-only webserver", "worker 1", "worker 2", "daemon")
    cluster.wait_until(lambda: all(map(answers, urls)), PATIENCE)
    tell(f"Code server, two web servers ({', '.join(urls)}), daemon and two workers run.")
    delivery.deliver(cluster.settings.data_dir / "landing")
    tell(f"{delivery.files} files are in landing.")
    tell(kill_a_worker(cluster))
    cluster.wait_until(lambda: is_worked_off(cluster), PATIENCE)
    retried = [run for run in cluster.runs() if "dagster/parent_run_id" in run.tags and run.is_success]
    assert retried, "no run was started again"
    tell(f"Run {retried[0].run_id[:8]} was started in its place, and all files are loaded.")
    compare(cluster, delivery)
    behind = {"operators": cluster.ports["webserver"], "readers": cluster.ports["read-only webserver"]}
    with proxy(cluster.folder / "proxy", cluster.settings.data_dir, behind=behind) as entrance:
        look_in(cluster, entrance, retried[0].run_id)
    compare(cluster, delivery)
    written = {path.name for path in cluster.home.iterdir()} - {"dagster.yaml"} - TOLERATED
    assert not written, f"DAGSTER_HOME has {written}; a container with a read-only root can't write there"


def answers(url: str) -> bool:
    """Whether a web server answers."""
    with suppress(OSError), urllib.request.urlopen(f"{url}/server_info", timeout=10) as page:  # noqa: S310
        return bool(page.status == 200)
    return False


def kill_a_worker(cluster: Cluster) -> str:
    """Kill a worker in the middle of a run, and wait until Dagster has noticed; returns what to tell of it."""
    while True:
        run = cluster.begun(PATIENCE)
        # A run that ends before it can be held is none to be killed; then there is another one.
        with suppress(ProcessLookupError), cluster.held(run):
            name = cluster.worker_of(run)
            cluster.kill(name)
            seconds = cluster.wait_until(partial(has_failed, cluster, run.run_id), PATIENCE)
            return f"{name} was killed in the middle of run {run.run_id[:8]}; after {seconds:.0f} s Dagster knew."


def has_failed(cluster: Cluster, run_id: str) -> bool:
    """Whether Dagster says that a run has failed."""
    return run_id in {run.run_id for run in cluster.runs(dg.DagsterRunStatus.FAILURE)}


def is_worked_off(cluster: Cluster) -> bool:
    """Whether landing is empty and no run is under way."""
    landing = cluster.settings.data_dir / "landing"
    return not any(path.is_file() for path in landing.glob("*/*")) and all(run.is_finished for run in cluster.runs())


def compare(cluster: Cluster, delivery: Delivery) -> None:
    """Compare the figures that another process reads from the lake with those of the files."""
    line = cluster.command("orchestration_project_tests.cluster.reader", delivery.query)
    found = dict(zip(delivery.figures, map(Decimal, json.loads(line)), strict=True))
    for name, value in found.items():
        tell(f"  {name}: {value:,}")
    assert found == delivery.figures, f"the files say {dict(delivery.figures)}"
    tell("All figures are those of the files. Another process read them, from the catalog in PostgreSQL and from S3.")


def look_in(cluster: Cluster, entrance: Proxy, run: str) -> None:
    """Come in through the proxy: nobody gets anything, a reader sees a run, an operator has it done once more."""
    nobody = Visitor(entrance)
    assert nobody.statuses() == [401] * 3
    reader, operator = (Visitor.logged_in(entrance, name) for name in ("bob", "ann"))
    assert reader.status_of(run) == operator.status_of(run) == "SUCCESS"
    refusal = reader.launch_again(run)
    assert refusal == "UnauthorizedError", refusal
    tell(f"The proxy ({entrance.url}) lets nobody in without a log-in; a reader sees the run, but can't start it.")
    again = operator.launch_again(run)
    cluster.wait_until(lambda: reader.status_of(again) in ("SUCCESS", "FAILURE"), PATIENCE)
    assert reader.status_of(again) == "SUCCESS", cluster.logs()
    tell(f"An operator has started it again, and run {again[:8]} has loaded the same files: nothing may count twice.")


def tell(line: str) -> None:
    """Print a line at once."""
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)  # noqa: T201 - it is what the program is for


def stopped(number: int, _frame: object) -> None:
    """End as after Ctrl+C, when somebody sends SIGTERM."""
    raise KeyboardInterrupt(number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stopped)
    try:
        code = main(sys.argv[1] if len(sys.argv) > 1 else "")
    except KeyboardInterrupt:
        code = 130
    except (AssertionError, pytest.skip.Exception, pytest.fail.Exception) as error:
        tell(f"It failed: {error}")
        code = 1
    sys.exit(code)
