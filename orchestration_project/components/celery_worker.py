"""A worker that takes runs from the queues of a cluster, one process a run, and leaves none of them behind.

`dagster-celery worker start` puts a program of its own before the worker: SIGTERM ends that one, and the worker stays,
with a name that the next worker gets too. Here the command is the worker. What it forks dies with it, also by kill -9:
otherwise the run of a killed worker goes on, while run monitoring starts the same run elsewhere.

Belongs here: how a worker is started. What it is asked for is in `celery_launcher`.
"""

import ctypes
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from celery import Celery
from celery.signals import worker_process_init
from dagster_celery.tasks import create_execute_job_task, create_resume_job_task

from orchestration_project.components.celery_launcher import CeleryLauncher
from orchestration_project.errors import PlatformError

PR_SET_PDEATHSIG = 1
"""Of Linux: the signal that a process gets when its parent ends."""


class ClusterError(PlatformError):
    """A worker can't be started here."""


def run_worker(home: Path, queues: Sequence[str], runs: int, log_level: str) -> None:
    """Take runs from queues until SIGTERM: then no new ones, and it ends with those that are under way.

    Args:
        home: `$DAGSTER_HOME`, with the `dagster.yaml` of the cluster.
        queues: their names; none: the launcher's default queue.
        runs: how many at a time.
        log_level: of Celery's log, such as `INFO`.

    Raises:
        ClusterError: the `dagster.yaml` has another run launcher.
    """
    app, default_queue = _app_of(home)
    parent = os.getpid()
    worker_process_init.connect(lambda **_: die_with(parent), weak=False)
    app.worker_main(
        [
            "worker",
            f"--hostname={worker_name()}",
            f"--queues={','.join(queues) or default_queue}",
            f"--concurrency={runs}",
            f"--loglevel={log_level}",
            # Forked, so that the worker itself has time to answer. Workers don't have to know each other.
            "--pool=prefork",
            "--without-gossip",
        ]
    )


def worker_name() -> str:
    """A name that no other worker has or had; %h is the machine's name. The process id helps whoever looks for it."""
    # In containers the machine's name and the process id may both be those of the worker before.
    return f"{os.getpid()}-{secrets.token_hex(4)}@%h"


def die_with(parent: int) -> None:
    """Have the system kill this process as soon as its parent ends. Systems other than Linux can't do that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before it was asked for
            os.kill(os.getpid(), signal.SIGKILL)


def _app_of(home: Path) -> tuple[Celery, str]:
    """Celery as the launcher has it, so that both have one configuration; and the launcher's default queue."""
    with dg.DagsterInstance.from_config(str(home)) as instance:
        launcher = instance.run_launcher
        if not isinstance(launcher, CeleryLauncher):
            raise ClusterError(
                f"{home / 'dagster.yaml'} names the run launcher {type(launcher).__name__}, which starts runs itself;"
                " a worker needs CeleryLauncher, as in deploy/cluster/dagster.yaml"
            )
        create_execute_job_task(launcher.celery)
        create_resume_job_task(launcher.celery)
        return launcher.celery, launcher.default_queue
