"""From a file in the drop folder to its rows in `product_warehouse`, under `dagster dev` with the sensors on."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg

from benchmarks.measure import Failed, last_lines
from benchmarks.session import BIN, ROOT, Session, inherited

PATIENCE = 180.0
POLL_SECONDS = 0.2
STOPPING_SECONDS = 20.0
PRODUCTS = dg.AssetKey("product_warehouse")


def seconds_to_products(session: Session, file: Path) -> float:
    """Drop a sales file and wait for the product table.

    Raises:
        Failed: it did not come about in time.
    """
    data, home = session.data_dir("drop"), session.dagster_home("drop")
    landing = data / "landing/sales"
    landing.mkdir(parents=True)
    with _dagster_dev(session), dg.DagsterInstance.from_config(str(home)) as instance:
        _wait(lambda: _is_watching(instance), session.log, "the sensor was not evaluated")
        shutil.copyfile(file, landing / f"{file.name}.part")
        (landing / f"{file.name}.part").rename(landing / file.name)
        dropped = time.time()
        _wait(lambda: instance.get_latest_materialization_event(PRODUCTS), session.log, "no product table was made")
        event = instance.get_latest_materialization_event(PRODUCTS)
    assert event
    return event.timestamp - dropped


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
def _dagster_dev(session: Session) -> Iterator[None]:
    """`dagster dev` while the block runs; none of its processes is left afterwards."""
    command = [str(BIN / "dagster"), "dev", "--host", "127.0.0.1", "--port", str(_free_port())]
    environment = {**inherited(), **session.environment("drop"), "AUTOMATION": "on"}
    with session.log.open("wb") as output:
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
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
