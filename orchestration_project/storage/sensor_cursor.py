"""Landing as a queue: which batches are due, which wait, and which have been asked for in vain.

A batch is known by a digest of the names, sizes and modification times of its settled files: none is overlooked because
of its age, and a batch in which anything changes starts anew. The state between two looks is a small JSON document with
an entry for each batch that was asked for, however many files it has.
"""

import datetime as dt
import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from math import inf

from orchestration_project.errors import FileRefused
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.storage.files import FoundFile

MAX_REQUESTS = 5
BACKOFF_SECONDS = 60.0
BRIDGED_GAP = 3
"""So many batches without a file may lie inside one range: loading an empty batch is cheaper than another run."""
MAX_BATCHES, MAX_FILES = 100, 10_000
"""What one run loads at most, but for a batch with more files: it bounds its memory, and what is lost when it fails."""
MAX_UNDER_WAY = 10
"""So many runs are queued or running at most: one loads at a time, so more of them would only fill Dagster's queue."""
MAX_UNSETTLED = 1000
"""So many files are watched for changes at a time: those whose own time does not say yet that they were left alone."""

Placed = Mapping[Batch, Sequence[FoundFile]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The last request for a batch: for which files, the how manieth for just these, when, and the run's key."""

    digest: str
    requests: int
    at: float
    run_key: str


@dataclass(frozen=True, slots=True)
class State:
    """What is known between two looks.

    Attributes:
        since: when it was begun; it makes run keys differ from those that a lost state gave.
        requests: how many there were since then.
        batches: the last request for each batch that lies in landing.
        unsettled: when a file that was just written, or comes from the future, was first seen as it is.
    """

    since: float
    requests: int = 0
    batches: dict[str, Asked] = field(default_factory=dict)
    unsettled: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """A batch to be asked for: its settled files, and how many requests there were for just these."""

    digest: str
    files: int
    requests: int = 0


NOTHING = Due("", 0)


@dataclass(slots=True)
class Look:
    """One look into landing: the state to keep, and what is to be done.

    Attributes:
        state: as it is before anything is asked for.
        lying: the batches that lie there.
        due: those to be asked for.
        settling: how many files are still being written.
        running: how many are in a run.
        given_up: the names of those that were asked for in vain.
    """

    state: State
    lying: Set[Batch]
    due: dict[Batch, Due] = field(default_factory=dict)
    settling: int = 0
    running: int = 0
    given_up: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run to be asked for: its key, its first and its last batch."""

    run_key: str
    start: Batch
    end: Batch


def read_state(cursor: str | None, now: float) -> State:
    """The state from the text that `write_state` made; a new one when there is none or it can't be read."""
    try:
        found = json.loads(cursor or "")
        batches = {str(batch): _asked(**asked) for batch, asked in found["batches"].items()}
        unsettled = {str(identity): float(seen_at) for identity, seen_at in found["unsettled"].items()}
        return State(float(found["since"]), int(found["requests"]), batches, unsettled)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return State(now)  # the files themselves are the truth: a lost state costs repeated requests, never a file


def _asked(digest: str, requests: int, at: float, run_key: str) -> Asked:
    return Asked(str(digest), max(1, int(requests)), float(at), str(run_key))


def write_state(state: State) -> str:
    """The state as text."""
    return json.dumps(asdict(state), separators=(",", ":"))


def place(files: Iterable[FoundFile], batching: Batching, now: dt.datetime) -> dict[Batch, list[FoundFile]]:
    """Files by the batch whose run takes them in; those for a batch that has not begun are left out.

    Any run of the feed puts a file away that has no batch of its own, so the current batch's is asked.
    """
    current = batching.current(now)
    placed: dict[Batch, list[FoundFile]] = defaultdict(list)
    for found in files:
        try:
            batch = batching.batch_of(found.name, found.modified_at)
        except FileRefused:
            batch = current
        if batching.start <= batch <= current:
            placed[batch].append(found)
    return dict(placed)


def look(placed: Placed, state: State, now: float, settle_seconds: float, under_way: Collection[str]) -> Look:
    """Decide what is due.

    Args:
        placed: what lies in landing, by batch.
        state: what was known of it at the last look.
        now: seconds since the epoch.
        settle_seconds: how long a file must have been left alone.
        under_way: the keys of the runs that are still to end.
    """
    unsettled, waiting = _settling(placed, state, now, settle_seconds)
    keys = {str(batch) for batch in placed}
    kept = {key: asked for key, asked in state.batches.items() if key in keys or asked.run_key in under_way}
    found = Look(replace(state, batches=kept, unsettled=unsettled), placed.keys(), settling=len(waiting))
    for batch, files in placed.items():
        if settled := [file for file in files if file.name not in waiting]:
            _judge(found, batch, settled, now, under_way)
    return found


def _settling(placed: Placed, state: State, now: float, settle_seconds: float) -> tuple[dict[str, float], set[str]]:
    """Since when files are seen as they are that are too young by their own clock, and the names of those that wait."""
    latest = int((now - settle_seconds) * 1e9)
    young = {
        _digest([_identity(file)]): file.name for files in placed.values() for file in files if file.mtime_ns > latest
    }
    # A time after now is from before the clock was set back.
    known = {identity: at for identity in young if (at := state.unsettled.get(identity, inf)) <= now}
    room = max(0, MAX_UNSETTLED - len(known))
    seen = known | dict.fromkeys(islice((identity for identity in young if identity not in known), room), now)
    waiting = {name for identity, name in young.items() if now - seen.get(identity, now) < settle_seconds}
    return seen, waiting


def _judge(found: Look, batch: Batch, settled: Sequence[FoundFile], now: float, under_way: Collection[str]) -> None:
    """Note in which state a batch with settled files is."""
    asked, digest = found.state.batches.get(str(batch)), _digest(map(_identity, settled))
    if asked and asked.run_key in under_way:
        found.running += len(settled)
    elif asked is None or asked.digest != digest:
        found.due[batch] = Due(digest, len(settled))
    elif asked.requests >= MAX_REQUESTS:
        found.given_up += [file.name for file in settled]
    elif not 0 <= now - asked.at < BACKOFF_SECONDS * 2 ** (asked.requests - 1):
        found.due[batch] = Due(digest, len(settled), asked.requests)


def _identity(file: FoundFile) -> str:
    return f"{file.name}/{file.signature}"


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def ask(
    name: str, found: Look, batching: Batching, now: float, room: int, together: bool
) -> tuple[list[Wanted], State]:
    """What to ask for now, and the state in which that is noted.

    Args:
        name: what the run keys begin with.
        found: what is due.
        batching: how the feed's files fall into batches.
        now: seconds since the epoch.
        room: how many runs may be asked for; what is left is due at the next look.
        together: whether one run loads all batches.
    """
    batches, wanted = dict(found.state.batches), []
    for number, run in enumerate(_runs(found, batching, together)[:room], found.state.requests + 1):
        parts = [str(found.state.since), str(number), *(found.due[batch].digest for batch in run)]
        # A key never runs twice: the number makes it new, the files make it the same after a crash before it is noted.
        run_key = f"{name}:{run[0]}...{run[-1]}:{_digest(parts)}"
        wanted.append(Wanted(run_key, run[0], run[-1]))
        # What arrives meanwhile in an empty batch between them waits for this run too.
        for batch in run if together else _span(run, batching):
            due = found.due.get(batch, NOTHING)
            batches[str(batch)] = Asked(due.digest, due.requests + 1, now, run_key)
    return wanted, replace(found.state, requests=found.state.requests + len(wanted), batches=batches)


def _runs(found: Look, batching: Batching, together: bool) -> list[list[Batch]]:
    """The batches that are due, in runs: new ones first, then the oldest.

    Batches that failed are not joined with those that did not, and a last request is for one batch alone, so that one
    that always fails does not take others with it.
    """
    if together:
        return [sorted(found.due)] if found.due else []
    runs: list[list[Batch]] = []
    for requests in range(MAX_REQUESTS):
        sizes = {batch: due.files for batch, due in found.due.items() if due.requests == requests}
        alone = requests == MAX_REQUESTS - 1
        runs += [[batch] for batch in sorted(sizes)] if alone else ranges(sizes, batching, found.lying - sizes.keys())
    return runs


def ranges(sizes: Mapping[Batch, int], batching: Batching, apart: Set[Batch] = frozenset()) -> list[list[Batch]]:
    """Batches as few ranges: neighbours join, and so do batches with a small gap between them.

    Args:
        sizes: the number of files of each batch.
        batching: how batches follow each other.
        apart: batches that must not lie inside a range.
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


def _steps(end: Batch, batch: Batch, batching: Batching, apart: Set[Batch]) -> int:
    """How many batches further a batch is; 0 when it can't join."""
    for steps in range(1, BRIDGED_GAP + 2):
        end = batching.after(end)
        if end == batch:
            return steps
        if end in apart:
            return 0
    return 0
