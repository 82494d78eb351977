"""Where shards run: in processes of this machine, on a Ray cluster, or where a function of somebody's own takes them.

A runner takes one task and returns its result, in the thread that calls it. Which shard is tried again, and how often,
is decided here for all of them. A file that is at fault is a result, and no reason to try again.
"""

import importlib
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from orchestration_project.errors import DiskFull, PlatformError, ShardFailed, without_values
from orchestration_project.ingest.shard import ShardFailure, ShardResult, ShardTask
from orchestration_project.setting_values import SHARD_PROCESSES, SettingsError

ATTEMPTS = 3
TOLD_BYTES = 2000
"""How much is kept of what a process has written before it died."""
MODULE = "orchestration_project.ingest.shard_process"

Runner = Callable[[ShardTask], ShardResult]


def run_all(tasks: Sequence[ShardTask], executor: str, log: Callable[[str], None]) -> list[ShardResult]:
    """Run all shards at the same time, each until it has a result or has failed too often.

    Args:
        tasks: what there is to do.
        executor: where, as `SHARDS_EXECUTOR` says.
        log: takes a line of progress.

    Raises:
        ShardFailed: one failed each time it was tried; the others are stopped.
        DiskFull: it failed because a disk was full.
    """
    results, stopped = list[ShardResult](), threading.Event()
    # The runner is left first: its shards are stopped, and so the threads that wait for them end.
    with ThreadPoolExecutor(len(tasks)) as pool, runner_of(executor) as run:
        try:
            waiting = [pool.submit(_until_done, task, run, log, stopped) for task in tasks]
            for done in as_completed(waiting):
                results.append(done.result())
                log(f"{len(results)} of {len(tasks)} shard(s) done")
        finally:
            stopped.set()
    return sorted(results, key=lambda result: result.number)


def _until_done(task: ShardTask, run: Runner, log: Callable[[str], None], stopped: threading.Event) -> ShardResult:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return _proved(run(task))
        # Whatever it is: a node that died looks different in each library, and all of them may pass.
        except Exception as error:
            told = (
                str(error) if isinstance(error, PlatformError) else f"{type(error).__name__}: {without_values(error)}"
            )
            _clear(task)
            if stopped.is_set() or attempt == ATTEMPTS:
                raise _final(
                    error, f"shard {task.number} of {task.of} failed {attempt} time(s), last: {told}"
                ) from error
            log(f"shard {task.number} of {task.of} failed and is done again: {told}")
    raise AssertionError  # the loop ends by a result or an error


def _proved(result: ShardResult) -> ShardResult:
    """The result itself, whose files are as they were written."""
    for part in (result.records, result.validated, result.cleaned):
        if part and not part.is_whole:
            raise ShardFailed(f"{part.path} is not what was written to it")
    return result


def _final(error: Exception, told: str) -> PlatformError:
    kind = DiskFull if isinstance(error, DiskFull) else ShardFailed
    return kind(f"{told}. Nothing was changed; run again, or unset SHARDS to load in one process (docs/shards.md)")


def _clear(task: ShardTask) -> None:
    """Remove what attempts of a task have left."""
    for folder in task.folder.glob(f"{task.number}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def runner_of(executor: str) -> AbstractContextManager[Runner]:
    """The runner that `SHARDS_EXECUTOR` names; leaving it stops what still runs.

    Raises:
        SettingsError: there is none of that name.
    """
    if executor == SHARD_PROCESSES:
        return processes()
    if executor == "ray" or executor.startswith(("ray:", "ray://")):
        from orchestration_project.ingest.shard_ray import on_ray

        return on_ray(executor)
    return _own(executor)


@contextmanager
def _own(name: str) -> Iterator[Runner]:
    """The function `package.module:name` of somebody else."""
    module, _, function = name.partition(":")
    try:
        yield getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise SettingsError(f"SHARDS_EXECUTOR={name!r} can't be imported: {error}") from error


@contextmanager
def processes() -> Iterator[Runner]:
    """Runs each shard in a process of its own on this machine."""
    running = _Processes()
    try:
        yield running.run
    finally:
        running.stop()


@dataclass(slots=True)
class _Processes:
    """The processes that were started, until they end."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    started: "set[subprocess.Popen[bytes]]" = field(default_factory=set)
    stopped: bool = False

    def run(self, task: ShardTask) -> ShardResult:
        """Start a process, give it the task and wait for its answer."""
        process = self._start()
        try:
            answer, told = _exchange(process, pickle.dumps(task))
        finally:
            with self.lock:
                self.started.discard(process)
        if not answer:
            raise ShardFailed(f"its process {_ended(process.returncode)}{told}")
        result: ShardResult | ShardFailure = pickle.loads(answer)  # noqa: S301 - from the process that was started here
        if isinstance(result, ShardFailure):
            raise (DiskFull if result.disk_full else ShardFailed)(result.told)
        return result

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.lock:
            if self.stopped:
                raise ShardFailed("the load has ended")
            # Not `multiprocessing`: it refuses to start processes below a process of its own that is a daemon.
            process = subprocess.Popen(  # noqa: S603 - of this package itself
                [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            self.started.add(process)
            return process

    def stop(self) -> None:
        """End all that still run; none starts any more."""
        with self.lock:
            self.stopped = True
            for process in self.started:
                process.kill()


def _exchange(process: "subprocess.Popen[bytes]", task: bytes) -> tuple[bytes, str]:
    """Give a process its task; returns its answer and the end of what else it wrote, when it has ended."""
    assert process.stdin
    assert process.stdout
    assert process.stderr
    told = list[bytes]()
    # Read beside the answer: a process that fills one pipe while the other is read would wait for ever.
    listener = threading.Thread(target=lambda stream: told.append(stream.read()[-TOLD_BYTES:]), args=(process.stderr,))
    listener.start()
    with process.stdin, process.stdout, process.stderr:
        try:
            # The input stays open until the answer is there: the process ends when it closes.
            process.stdin.write(task)
            process.stdin.flush()
            answer = process.stdout.read()
        except BrokenPipeError:
            answer = b""
        process.wait()
        listener.join()
    # The last line of a traceback: the others are code.
    lines = b"".join(told).decode(errors="replace").strip().splitlines()
    return answer, f": {lines[-1]}" if lines and not answer else ""


def _ended(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
