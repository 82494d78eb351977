"""Shards on a Ray cluster: each is a task of Ray's, on whichever node has room."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestration_project.errors import ShardFailed, without_values
from orchestration_project.ingest.shard import ShardResult, ShardTask, run_shard
from orchestration_project.setting_values import SettingsError

if TYPE_CHECKING:
    from orchestration_project.ingest.shard_runners import Runner

REACHED_SECONDS = 10.0
"""How long the head node may take to answer."""


@contextmanager
def on_ray(executor: str) -> Iterator["Runner"]:
    """Runs each shard on the cluster of an address; leaving it ends what still runs there.

    Args:
        executor: `ray` for the cluster of which this machine is a node, `ray:HOST:PORT` for the one with that address,
            `ray://HOST:PORT` for one that is reached through Ray's client server.

    Raises:
        SettingsError: Ray is not installed.
        ShardFailed: the cluster can't be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise SettingsError(
            f"SHARDS_EXECUTOR={executor} needs Ray: pip install 'orchestration-project[ray]'"
        ) from error
    with _connected(executor):
        # Not tried again by Ray itself: what is left of a dead attempt has to be removed first. A worker for each call,
        # so that the memory of one shard is free before the next begins.
        remote = ray.remote(max_retries=0, max_calls=1)(run_shard)
        running = set[ray.ObjectRef[ShardResult]]()

        def run(task: ShardTask) -> ShardResult:
            reference = remote.options(
                num_cpus=task.threads, scheduling_strategy="SPREAD", name=f"{task.feed.name}: shard {task.number}"
            ).remote(task)
            running.add(reference)
            try:
                result: ShardResult = ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                raise ShardFailed(f"{type(error.cause).__name__}: {without_values(error.cause)}") from error
            except ray.exceptions.RayError as error:
                raise ShardFailed(f"{type(error).__name__}: {without_values(error)}") from error
            finally:
                running.discard(reference)
            return result

        try:
            yield run
        finally:
            for reference in [*running]:
                ray.cancel(reference, force=True)


@contextmanager
def _connected(executor: str) -> Iterator[None]:
    import ray

    # Whoever has connected this process before goes on to use the connection.
    if ray.is_initialized():
        yield
        return
    place = executor.removeprefix("ray").lstrip(":/")
    address = executor if executor.startswith("ray://") else place or "auto"
    try:
        if place:
            _ensure_reachable(place)
        with _signals_kept():
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ShardFailed(f"the Ray cluster of SHARDS_EXECUTOR={executor} can't be reached: {error}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _ensure_reachable(place: str) -> None:
    """Make sure that somebody listens at `HOST:PORT`: Ray would try for four minutes before it says so."""
    host, _, port = place.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), REACHED_SECONDS).close()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep this process's own answer to SIGTERM: Ray puts its own in its place, by which a run ends without a word."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        # In other threads Ray leaves it alone, and Python lets nobody change it.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
