"""One fetch: list what a source has, leave out what is remembered, download, land, remember.

Belongs here: the order of these steps, which is the same for every kind of source, and what a kill between two of them
leaves. Does not belong here: how a source is asked (a module for each kind), when a fetch is due (`components`).
"""

import datetime as dt
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from orchestration_project.errors import PlatformError, SourceDown, SourceError, visible
from orchestration_project.failpoints import Fetching, reached
from orchestration_project.sources.memory import Memory, Remembered
from orchestration_project.sources.model import (
    Fetched,
    FetchReport,
    Item,
    Landed,
    Limits,
    Source,
)
from orchestration_project.storage.archive import ensure_folder, flush
from orchestration_project.storage.files import is_unfinished, sha256_of

# Hidden, so that no load and no sensor lists it; in landing itself, since a rename is one step only within a file
# system, and a feed's landing may be a link to another one.
PART = ".fetching"
ASKED_AT_ONCE = 500
"""How many keys the memory is asked for at once."""
DIGESTS = 1 << 128
DOWN_IN_A_ROW = 3
"""After so many items in a row that failed because the source is down, the fetch ends."""

Log = Callable[[str], object]


@dataclass(slots=True)
class _Fetch:
    """A fetch that is under way."""

    source: Source
    memory: Memory
    landing: Path
    limits: Limits
    now: dt.datetime
    log: Log
    failed: dict[str, PlatformError] = field(default_factory=dict)
    landed: list[Landed] = field(default_factory=list)
    unchanged: int = 0
    empty: int = 0
    down: int = 0
    passed: str | None = None


def plan(source: Source, memory: Memory) -> Iterator[tuple[Item, bool]]:
    """What the source has, each with whether it is new: not remembered, or of another version."""
    listed = iter(source.list(memory.cursor))
    while group := list(islice(listed, ASKED_AT_ONCE)):
        known = memory.versions([item.key for item in group])
        yield from ((item, known.get(item.key) != item.version) for item in group)


def fetch(source: Source, memory: Memory, landing: Path, limits: Limits, now: dt.datetime, log: Log) -> FetchReport:
    """Fetch what is new into landing.

    An item that can't be fetched costs itself only. Nothing that a killed fetch has begun is left behind or lost.

    Args:
        source: where from.
        memory: of the source, exclusively.
        landing: the feed's drop folder; it is made when it is not there.
        limits: how much at most.
        now: the present moment, with a time zone.
        log: told of each file.

    Raises:
        SourceDown: the source could not be listed. What it did not give of single items is in the report.
        SourceError: it refuses to be listed.
    """
    ensure_folder(landing)
    finish_begun(memory, landing)
    under_way = _Fetch(source, memory, landing, limits, now, log)
    ends_at, listed, left, newest, digest = time.monotonic() + limits.seconds, 0, 0, None, 0
    for item, is_new in plan(source, memory):
        listed += 1
        digest = (digest + _digest(item)) % DIGESTS
        newest = max(filter(None, [newest, item.modified_at]), default=None)
        if not is_new:
            under_way.unchanged += 1
            under_way.passed = item.cursor or under_way.passed
        elif len(under_way.landed) >= limits.files or time.monotonic() > ends_at or under_way.down >= DOWN_IN_A_ROW:
            left += 1
        else:
            _take(under_way, item)
    # Items that were there before have no fetch of their own that would move the cursor.
    if not left and not under_way.failed:
        memory.move(under_way.passed)
    return FetchReport(
        listed,
        under_way.landed,
        under_way.unchanged,
        under_way.empty,
        left,
        under_way.failed,
        newest,
        f"{digest:032x}",
    )


def _digest(item: Item) -> int:
    # Added up, a sum of them does not depend on the order in which a source lists.
    return int.from_bytes(hashlib.sha256(f"{item.key}\0{item.version}".encode(errors="surrogateescape")).digest()[:16])


def finish_begun(memory: Memory, landing: Path) -> None:
    """Finish what a killed fetch has begun: rename what it remembered, remove what it did not."""
    for file in memory.begun():
        _rename(memory, landing, file)
    for unfinished in landing.glob(f".*{PART}"):
        unfinished.unlink(missing_ok=True)


def _take(under_way: _Fetch, item: Item) -> None:
    part = under_way.landing / f".{uuid.uuid4().hex}{PART}"
    try:
        _require_name(under_way.memory, item)
        before = under_way.memory.item(item.key)
        _require_place(under_way, item, before)
        got = under_way.source.fetch(item, part, under_way.limits.bytes)
        under_way.down, under_way.passed = 0, None
        if under_way.failed:
            # With a cursor that has passed an item which failed, no fetch would come back to it.
            got = replace(got, cursor=None)
        if got.empty:
            _require_rows(item, got, before)
            under_way.memory.move(got.cursor)
            under_way.empty += 1
        else:
            _land(under_way, item, got, part, before)
    except SourceError as error:
        under_way.down += isinstance(error, SourceDown)
        under_way.failed[item.key] = error
        under_way.log(f"{visible(item.key)} was not fetched: {error}")
    finally:
        part.unlink(missing_ok=True)


def _require_name(memory: Memory, item: Item) -> None:
    if item.problem:
        raise SourceError(item.problem)
    name = item.name
    if not name or name != Path(name).name or name.startswith(".") or is_unfinished(name) or "\0" in name:
        raise SourceError(f"{visible(item.key)} would land as {visible(name)!r}, which is no name of a file to load")
    other = memory.key_of(name)
    if other is not None and other != item.key:
        raise SourceError(
            f"{visible(item.key)} and {visible(other)} would both land as {visible(name)!r}; the source's `name` has to"
            " tell them apart"
        )


def _require_place(under_way: _Fetch, item: Item, before: Remembered | None) -> None:
    """Make sure that what lies in landing under an item's name was fetched before: the item replaces it."""
    try:
        size = (under_way.landing / item.name).lstat().st_size
    except FileNotFoundError:
        return
    if before is None or (before.name, before.bytes) != (item.name, size):
        raise SourceError(
            f"{visible(item.key)} would replace {visible(item.name)!r} in landing, which somebody else has dropped; it"
            " is fetched when that file was loaded or moved away"
        )


def _require_rows(item: Item, got: Fetched, before: Remembered | None) -> None:
    """Refuse that what had rows has none any more: those in the warehouse would stay, and nobody be told."""
    if before and got.whole:
        raise SourceError(
            f"{visible(item.key)} has nothing any more, and had something when {visible(before.name)!r} was fetched; if"
            " that is right, withdraw that file"
        )


def _land(under_way: _Fetch, item: Item, got: Fetched, part: Path, before: Remembered | None) -> None:
    modified_at = got.modified_at or item.modified_at
    _secure(part, modified_at)
    reached(Fetching.DOWNLOADED)
    file = Remembered(
        item.key,
        got.version or item.version,
        item.name,
        sha256_of(part),
        part.stat().st_size,
        got.records,
        modified_at,
        under_way.now,
        part.name,
    )
    # Of a source that tells no version, or another one for the same bytes. With another time it is another delivery.
    if before and (before.sha256, before.modified_at) == (file.sha256, modified_at):
        under_way.memory.remember(replace(before, version=file.version), got.cursor)
        under_way.unchanged += 1
        return
    under_way.memory.remember(file, got.cursor)
    reached(Fetching.REMEMBERED)
    _rename(under_way.memory, under_way.landing, file)
    under_way.landed.append(Landed(item, file.sha256, file.bytes, file.records))
    under_way.log(f"{visible(item.key)} landed as {visible(item.name)!r}, {file.bytes:,} bytes")


def _rename(memory: Memory, landing: Path, file: Remembered) -> None:
    part = landing / (file.part or "")
    # It is gone if the kill came after the rename.
    if part.is_file():
        part.replace(landing / file.name)
        flush(landing)
    reached(Fetching.LANDED)
    memory.renamed(file.key)
    reached(Fetching.NOTED)


def _secure(part: Path, modified_at: dt.datetime | None) -> None:
    """Flush a file to disk, and give it the time at which it was last modified at the source."""
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    if modified_at is not None:
        moment = int(modified_at.timestamp() * 1_000_000) * 1000
        os.utime(part, ns=(moment, moment))
