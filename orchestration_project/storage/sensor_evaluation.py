"""What a feed's sensor does at a tick: find the batches that are ready, and plan the runs to request. Pure functions.

    group_by_batch   the files in landing, by batch
    evaluate         which batches are ready, settling, in a run, or given up
    plan_requests    the runs to request now, and the cursor that remembers them

A batch is known by a digest of the names, sizes and modification times of its settled files. So no file is overlooked
because of its age, and a batch in which any file changes starts anew.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import islice
from math import inf

from orchestration_project.errors import FileRefused
from orchestration_project.hashes import digest_of
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.sensor_cursor import BatchRequest, SensorCursor

MAX_REQUESTS = 5
"""The number of runs for the same files of a batch; then the batch is given up until one of its files changes."""
BACKOFF_SECONDS = 60.0
"""The pause before the second request for the same files; it doubles with each further one."""
BRIDGED_GAP = 3
"""The number of batches without a file that a range may reach over: an empty batch costs less than another run."""
MAX_BATCHES, MAX_FILES = 100, 10_000
"""The most that one run loads. It bounds the memory of a run, and what is lost when it fails.

A single batch with more files is still one run.
"""
MAX_UNDER_WAY = 10
"""The most runs that are queued or running: one loads at a time, so more would only fill Dagster's queue."""
MAX_UNSETTLED = 1000
"""The most files that are watched for changes at a time. It bounds the size of the cursor."""

FilesByBatch = Mapping[Batch, Sequence[FoundFile]]


@dataclass(frozen=True, slots=True)
class ReadyBatch:
    """A batch that a run can be requested for.

    Attributes:
        digest: of its settled files.
        files: how many these are.
        requests: how many runs were requested before for exactly these files.
    """

    digest: str
    files: int
    requests: int = 0


NO_FILES = ReadyBatch("", 0)


@dataclass(slots=True)
class Evaluation:
    """What one tick of the sensor found in landing.

    Attributes:
        cursor: without what is not in landing any more, before any run is requested.
        present: the batches that have files in landing.
        ready: the batches to request runs for.
        settling: how many files are still being written.
        running: how many files are in a run that has not ended.
        given_up: the names of the files that stayed in landing after `MAX_REQUESTS` runs.
    """

    cursor: SensorCursor
    present: Set[Batch]
    ready: dict[Batch, ReadyBatch] = field(default_factory=dict)
    settling: int = 0
    running: int = 0
    given_up: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to request: its key, its first and its last batch."""

    run_key: str
    start: Batch
    end: Batch


def group_by_batch(files: Iterable[FoundFile], batching: Batching, now: dt.datetime) -> dict[Batch, list[FoundFile]]:
    """The files by the batch whose run takes them; files for a batch that has not begun are left out.

    Every run of the feed also moves files without a batch to quarantine, so these count for the current batch.
    """
    current = batching.current(now)
    grouped: dict[Batch, list[FoundFile]] = defaultdict(list)
    for found in files:
        try:
            batch = batching.batch_for(found)
        except FileRefused:
            batch = current
        # A batch to come has no partition yet, so no run could be requested for it.
        if batching.start <= batch <= current:
            grouped[batch].append(found)
    return dict(grouped)


def evaluate(
    files: FilesByBatch,
    cursor: SensorCursor,
    now: float,
    settle_seconds: float,
    under_way: Collection[str],
    written: Set[str] = frozenset(),
) -> Evaluation:
    """Find out which batches are ready.

    Args:
        files: what is in landing, by batch.
        cursor: what the sensor remembers of the last tick.
        now: seconds since the epoch.
        settle_seconds: a file has settled when nobody has written to it for so long.
        under_way: the keys of the runs that have not ended.
        written: the names of files that somebody has open for writing; they have not settled, however old they are.
    """
    unsettled, young = _settling(files, cursor, now, settle_seconds)
    waiting = young | {file.name for members in files.values() for file in members if file.name in written}
    keys = {str(batch) for batch in files}
    # A batch whose files were taken away keeps its entry until its run ends: files may come again before that.
    kept = {key: entry for key, entry in cursor.batches.items() if key in keys or entry.run_key in under_way}
    evaluation = Evaluation(replace(cursor, batches=kept, unsettled=unsettled), files.keys(), settling=len(waiting))
    for batch, members in files.items():
        if settled := [file for file in members if file.name not in waiting]:
            _classify(evaluation, batch, settled, now, under_way)
    return evaluation


def _settling(
    files: FilesByBatch, cursor: SensorCursor, now: float, settle_seconds: float
) -> tuple[dict[str, float], set[str]]:
    """For files that are too young by their own clock: when each was first seen as it is, and the names that wait.

    A file's own clock may be wrong, even ahead of ours. So a file settles when its own time or ours says so.
    """
    latest = int((now - settle_seconds) * 1e9)
    young = {
        _digest([_identity(file)]): file.name
        for members in files.values()
        for file in members
        if file.mtime_ns > latest
    }
    # A time after now is from before our clock was set back: it would delay the file.
    known = {identity: at for identity in young if (at := cursor.unsettled.get(identity, inf)) <= now}
    # The others wait for their turn: whoever has settled leaves room.
    room = max(0, MAX_UNSETTLED - len(known))
    seen = known | dict.fromkeys(islice((identity for identity in young if identity not in known), room), now)
    waiting = {name for identity, name in young.items() if now - seen.get(identity, now) < settle_seconds}
    return seen, waiting


def _classify(
    evaluation: Evaluation, batch: Batch, settled: Sequence[FoundFile], now: float, under_way: Collection[str]
) -> None:
    """Note whether a batch with settled files is ready, in a run, given up, or waits for its next request."""
    last, digest = evaluation.cursor.batches.get(str(batch)), _digest(map(_identity, settled))
    # First of all: whatever has changed meanwhile, its files are in a run that may still take them.
    if last and last.run_key in under_way:
        evaluation.running += len(settled)
    # Also after it was given up: somebody has changed a file, so it deserves new attempts.
    elif last is None or last.digest != digest:
        evaluation.ready[batch] = ReadyBatch(digest, len(settled))
    elif last.requests >= MAX_REQUESTS:
        evaluation.given_up += [file.name for file in settled]
    # A request that lies in the future is from before our clock was set back: it delays nothing.
    elif not 0 <= now - last.at < BACKOFF_SECONDS * 2 ** (last.requests - 1):
        evaluation.ready[batch] = ReadyBatch(digest, len(settled), last.requests)


def _identity(file: FoundFile) -> str:
    # Only the files of zip archives have slashes in their names, and hardly a name ends like a signature. Another
    # separator would make deployed sensors forget what they have requested.
    return f"{file.name}/{file.signature}"


def _digest(parts: Iterable[str]) -> str:
    return digest_of("/".join(parts))


def plan_requests(
    name: str,
    evaluation: Evaluation,
    batching: Batching,
    now: float,
    room: int,
    together: bool,
    expects: Callable[[Batch], bool] = lambda _: False,
) -> tuple[list[PlannedRun], SensorCursor]:
    """The runs to request now, and the cursor that remembers them.

    Args:
        name: what the run keys begin with.
        evaluation: what this tick found.
        batching: how the feed's files fall into batches.
        now: seconds since the epoch.
        room: how many runs may be requested; what is left stays ready for the next tick.
        together: whether one run loads all batches.
        expects: whether a batch is expected: without a file it shares no run with others.
    """
    cursor, ready = evaluation.cursor, evaluation.ready
    batches, planned = dict(cursor.batches), []
    for number, run in enumerate(_runs(evaluation, batching, together, expects)[:room], cursor.requests + 1):
        parts = [str(cursor.since), str(number), *(ready[batch].digest for batch in run)]
        # No key runs twice: the number makes each request's key new. After a crash before the cursor is stored, number
        # and files are the same, and so is the key: Dagster then does not start a second run.
        run_key = f"{name}:{run[0]}...{run[-1]}:{_digest(parts)}"
        planned.append(PlannedRun(run_key, run[0], run[-1]))
        # Files may arrive for an empty batch inside the range; they wait for this run too.
        for batch in run if together else _span(run, batching):
            item = ready.get(batch, NO_FILES)
            batches[str(batch)] = BatchRequest(item.digest, item.requests + 1, now, run_key)
    return planned, replace(cursor, requests=cursor.requests + len(planned), batches=batches)


def _runs(
    evaluation: Evaluation, batching: Batching, together: bool, expects: Callable[[Batch], bool]
) -> list[list[Batch]]:
    """The ready batches in runs: new batches first, then the oldest.

    Batches whose runs failed do not share a run with others. The last request is for one batch alone. So a batch that
    always fails does not make others fail. Nor does one that is expected and has no file: its checks stop its run.
    """
    if together:
        return [sorted(evaluation.ready)] if evaluation.ready else []
    runs: list[list[Batch]] = []
    for requests in range(MAX_REQUESTS):
        sizes = {batch: item.files for batch, item in evaluation.ready.items() if item.requests == requests}
        alone = requests == MAX_REQUESTS - 1
        others = evaluation.present - sizes.keys()

        # A run over a range has all batches in it, and would take what belongs to another run.
        def apart(batch: Batch, others: Set[Batch] = others) -> bool:
            return batch in others or expects(batch)

        runs += [[batch] for batch in sorted(sizes)] if alone else ranges(sizes, batching, apart)
    return runs


def ranges(
    sizes: Mapping[Batch, int], batching: Batching, apart: Callable[[Batch], bool] = lambda _: False
) -> list[list[Batch]]:
    """Batches as few ranges: neighbours join, and so do batches with a small gap between them.

    Example: of daily batches 1, 2, 5 and 20 January come the ranges [1, 2, 5] and [20].

    Args:
        sizes: the number of files of each batch.
        batching: how batches follow each other.
        apart: which batches may not lie in a gap inside a range.
    """
    found: list[list[Batch]] = []
    length = files = 0
    for batch, size in sorted(sizes.items()):
        steps = _steps(found[-1][-1], batch, batching, apart) if found else 0
        length, files = length + steps, files + size
        if steps and length <= MAX_BATCHES and files <= MAX_FILES:
            found[-1].append(batch)
        else:
            found.append([batch])
            length, files = 1, size
    return found


def _span(run: Sequence[Batch], batching: Batching) -> Iterator[Batch]:
    """All batches from the first to the last of a run."""
    batch = run[0]
    while batch <= run[-1]:
        yield batch
        batch = batching.after(batch)


def _steps(end: Batch, batch: Batch, batching: Batching, apart: Callable[[Batch], bool]) -> int:
    """How many batches lie from the end of a range to a later batch; 0 when the batch can't join the range."""
    for steps in range(1, BRIDGED_GAP + 2):
        end = batching.after(end)
        if end == batch:
            return steps
        if apart(end):
            return 0
    return 0
