"""What a feed's sensor remembers between two ticks: one small JSON text, with its reader and its writer.

What the sensor does with it at a tick is in `sensor_evaluation`. The cursor has an entry for each batch that a run was
requested for, however many files the batch has. A batch is known by a digest of its files, see `sensor_evaluation`.

Example, shortened:

    {"since": 1709294400.0, "requests": 1, "batches": {"2024-01-15":
        {"digest": "0f6a", "requests": 1, "at": 1709294430.0, "run_key": "sales:2024-01-15...2024-01-15:77d1"}},
     "unsettled": {}}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """The last run that was requested for a batch.

    The names of the fields are those in the JSON text: deployed sensors have cursors with them.

    Attributes:
        digest: of the files that it was requested for.
        requests: how many runs were requested for exactly these files, this one included.
        at: when, in seconds since the epoch.
        run_key: the key of the run.
    """

    digest: str
    requests: int
    at: float
    run_key: str


@dataclass(frozen=True, slots=True)
class SensorCursor:
    """What the sensor remembers between two ticks. The names of the fields are those in the JSON text.

    Attributes:
        since: when this cursor was begun, in seconds since the epoch. It is part of each run key, so that a new cursor
            gives other keys than a lost one did.
        requests: how many runs were requested since then.
        batches: the last request for each batch that has files in landing, by the batch as text.
        unsettled: when a file that looks too young was first seen as it is, by a digest of the file.
    """

    since: float
    requests: int = 0
    batches: dict[str, BatchRequest] = field(default_factory=dict)
    unsettled: dict[str, float] = field(default_factory=dict)


def read_cursor(text: str | None, now: float) -> SensorCursor:
    """The cursor of a text that `write_cursor` made; a new one when there is no text or it can't be read.

    Args:
        text: what Dagster keeps for the sensor.
        now: seconds since the epoch, at which a new cursor begins.
    """
    try:
        found = json.loads(text or "")
        batches = {str(batch): _batch_request(**entry) for batch, entry in found["batches"].items()}
        unsettled = {str(identity): float(seen_at) for identity, seen_at in found["unsettled"].items()}
        return SensorCursor(float(found["since"]), int(found["requests"]), batches, unsettled)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        # The files are the truth: a lost cursor costs repeated requests, never a file.
        return SensorCursor(now)


def _batch_request(digest: str, requests: int, at: float, run_key: str) -> BatchRequest:
    # The pause before the next request doubles with their number: with 0 and less it would be halved.
    return BatchRequest(str(digest), max(1, int(requests)), float(at), str(run_key))


def write_cursor(cursor: SensorCursor) -> str:
    """The cursor as JSON text."""
    # Dagster writes it to its database at each tick, twice a minute. With an entry for each file it had 20 MB for
    # 100,000 files.
    return json.dumps(asdict(cursor), separators=(",", ":"))


def write_requests(cursor: SensorCursor, run_key: str) -> str:
    """The requests that a run answers, as JSON text: the entries of a cursor for it.

    A run that somebody else than the sensor asks for carries them as a tag: `with_requests` reads it.
    """
    entries = {batch: asdict(entry) for batch, entry in cursor.batches.items() if entry.run_key == run_key}
    return json.dumps(entries, separators=(",", ":"))


def with_requests(cursor: SensorCursor, texts: Mapping[str, str]) -> SensorCursor:
    """The cursor with the requests that somebody else made since it was written.

    Without them the sensor would ask a second time for files that are in such a run.

    Args:
        cursor: what the sensor remembers.
        texts: what `write_requests` gave, by the key of the run.
    """
    known = {entry.run_key for entry in cursor.batches.values()}
    batches = dict(cursor.batches)
    for run_key, text in texts.items():
        if run_key in known:
            continue
        try:
            entries = {str(batch): _batch_request(**entry) for batch, entry in json.loads(text).items()}
        # A tag can be written by anybody; whoever spoils it gets a second run, which finds nothing to load.
        except (ValueError, TypeError, AttributeError, ArithmeticError):
            continue
        batches |= {batch: entry for batch, entry in entries.items() if entry.run_key == run_key}
    return replace(cursor, batches=batches)
