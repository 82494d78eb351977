"""A worker of a cluster: its name, and what becomes of its processes. Whole workers are tested in `cluster`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration_project.components.celery_worker import worker_name

pytestmark = pytest.mark.promise("crash")

# A parent with a child that dies with it. The child tells its id, then waits for the end of its input.
FAMILY = """
import os, sys
from orchestration_project.components.celery_worker import die_with
parent = os.getpid()
if os.fork() == 0:
    die_with(parent)
    print(os.getpid(), flush=True)
sys.stdin.read()
"""


def test_no_two_workers_have_a_name() -> None:
    """Each start makes a new name, also in the same process, as in containers where all have the same id."""
    assert len({worker_name() for _ in range(1000)}) == 1000
    assert worker_name().startswith(f"{os.getpid()}-")
    assert worker_name().endswith("@%h")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process together with its parent")
def test_a_child_dies_with_its_parent() -> None:
    """When the parent is killed without warning, the system kills the child."""
    with subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        parent.send_signal(signal.SIGKILL)
        # The child has the other end of this pipe, so it ends when the child does.
        assert parent.stdout.read() == b""
        assert parent.wait() == -signal.SIGKILL
