"""Landing as a queue: which files are due, which wait, and which have been asked for in vain.

The state between two looks is a small JSON document that knows only the files that lie there. A file is known by name,
size and modification time together, so none is overlooked because of its age, and one that is written to starts anew.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from orchestration_project.landing.batches import Batch, Batching
from orchestration_project.landing.files import FoundFile

MAX_REQUESTS = 5
BACKOFF_SECONDS = 60.0
BRIDGED_GAP = 3
"""So many batches without a file may lie inside one range: loading an empty batch is cheaper than another run."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is known of a file in landing: its signature, when it was first seen so, and the last request for it."""

    signature: str
    seen_at: float
    requests: int = 0
    asked_at: float = 0.0
    run_key: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """One look into landing: the state to keep, and the files by what is to be done with them."""

    state: dict[str, Waiting]
    due: list[FoundFile]
    settling: list[str]
    running: list[str]
    given_up: list[str]


def read_state(cursor: str | None) -> dict[str, Waiting]:
    """The state from the text that `write_state` made; empty when there is none or it can't be read."""
    try:
        return {name: _waiting(**fields) for name, fields in json.loads(cursor or "{}").items()}
    except (ValueError, TypeError, AttributeError):
        return {}  # the files themselves are the truth: a lost state costs repeated requests, never a file


def _waiting(signature: str, seen_at: float, requests: int, asked_at: float, run_key: str) -> Waiting:
    return Waiting(str(signature), float(seen_at), int(requests), float(asked_at), str(run_key))


def write_state(state: dict[str, Waiting]) -> str:
    """The state as text."""
    return json.dumps({name: asdict(waiting) for name, waiting in state.items()}, separators=(",", ":"))


def look(
    files: Sequence[FoundFile],
    state: dict[str, Waiting],
    now: float,
    settle_seconds: float,
    is_running: Callable[[str], bool],
) -> Look:
    """Decide what is due.

    Args:
        files: what lies in landing.
        state: what was known of it at the last look.
        now: seconds since the epoch.
        settle_seconds: how long a file must have been left alone.
        is_running: tells whether the run with a run key is still to end.
    """
    result = Look({}, [], [], [], [])
    for found in files:
        waiting = state.get(found.name)
        if waiting is None or waiting.signature != found.signature:
            waiting = Waiting(found.signature, now)
        result.state[found.name] = waiting
        settled = now - waiting.seen_at >= settle_seconds or now - found.mtime_ns / 1e9 >= settle_seconds
        if not settled:
            result.settling.append(found.name)
        elif waiting.requests and is_running(waiting.run_key):
            result.running.append(found.name)
        elif waiting.requests >= MAX_REQUESTS:
            result.given_up.append(found.name)
        elif not waiting.requests or now - waiting.asked_at >= BACKOFF_SECONDS * 2 ** (waiting.requests - 1):
            result.due.append(found)
    return result


def asked(state: dict[str, Waiting], files: Iterable[FoundFile], run_key: str, now: float) -> None:
    """Note in the state that files were asked for."""
    for found in files:
        waiting = state[found.name]
        state[found.name] = replace(waiting, requests=waiting.requests + 1, asked_at=now, run_key=run_key)


def ranges(batches: Iterable[Batch], batching: Batching) -> list[tuple[Batch, Batch]]:
    """Batches as few ranges: neighbours join, and so do batches with a small gap between them."""
    found: list[tuple[Batch, Batch]] = []
    for batch in sorted(set(batches)):
        if found and batch <= _reach(found[-1][1], batching):
            found[-1] = (found[-1][0], batch)
        else:
            found.append((batch, batch))
    return found


def _reach(batch: Batch, batching: Batching) -> Batch:
    for _ in range(BRIDGED_GAP + 1):
        batch = batching.after(batch)
    return batch
