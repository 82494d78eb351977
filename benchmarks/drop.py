"""From a file in the drop folder to its rows in `product_warehouse`, under `dagster dev` with the sensors on.

With `watch` beside it, and without.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.measure import Failed, last_lines
from benchmarks.session import BIN, ROOT, Session, inherited

PATIENCE = 180.0
POLL_SECONDS = 0.2
STOPPING_SECONDS = 20.0
LOCAL = "127.0.0.1"
PRODUCTS = dg.AssetKey("product_warehouse")


@dataclass(frozen=True, slots=True)
class Arrival:
    """How long a file took to its rows in the product table, in seconds.

    Attributes:
        total: from the moment at which it lay in landing.
        starting: the part of it in which its run waited in Dagster's queue and its process started. No run starts
            faster, whoever asks for it.
    """

    total: float
    starting: float


def arrival(session: Session, file: Path, watched: bool = False) -> Arrival:
    """Drop a sales file and wait for the product table, with `watch` beside the sensor or without.

    Raises:
        Failed: it did not come about in time.
    """
    data, home = session.data_dir("drop"), session.dagster_home("drop")
    landing = data / "landing/sales"
    landing.mkdir(parents=True)
    with ExitStack() as stack:
        port = _free_port()
        stack.enter_context(_running(session, [str(BIN / "dagster"), "dev", "--host", LOCAL, "--port", str(port)]))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        _wait(lambda: _is_watching(instance), session.log, "the sensor was not evaluated")
        if watched:
            command = [str(BIN / "orchestration-project"), "watch", "--url", f"http://{LOCAL}:{port}"]
            stack.enter_context(_running(session, command))
            _wait(lambda: b"Watching" in session.log.read_bytes(), session.log, "nobody watched")
        shutil.copyfile(file, landing / f"{file.name}.part")
        (landing / f"{file.name}.part").rename(landing / file.name)
        dropped = time.time()
        _wait(lambda: instance.get_latest_materialization_event(PRODUCTS), session.log, "no product table was made")
        event = instance.get_latest_materialization_event(PRODUCTS)
        assert event
        record = instance.get_run_record_by_id(event.run_id)
    assert record
    assert record.start_time
    return Arrival(event.timestamp - dropped, record.start_time - record.create_timestamp.timestamp())


def _is_watching(instance: dg.DagsterInstance) -> bool:
    data = [state.instigator_data for state in instance.all_instigator_state() if state.name == "sales_files_sensor"]
    return any(getattr(item, "last_tick_timestamp", None) for item in data)


def _wait(holds: Callable[[], object], log: Path, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(f"{otherwise} within {PATIENCE:g} s; dagster dev said:\n{last_lines(log)}")
        time.sleep(POLL_SECONDS)


@contextmanager
def _running(session: Session, command: Sequence[str]) -> Iterator[None]:
    """A command while the block runs; none of its processes is left afterwards."""
    environment = {**inherited(), **session.environment("drop"), "AUTOMATION": "on", "PYTHONUNBUFFERED": "1"}
    with session.log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - the command is written here
            command, env=environment, cwd=ROOT, stdout=output, stderr=output, start_new_session=True
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOPPING_SECONDS)
            # What did not end with its parent.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((LOCAL, 0))
        return int(listener.getsockname()[1])
