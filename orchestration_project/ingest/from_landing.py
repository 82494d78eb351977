"""Candidates from landing: files that nobody writes to, each with its batch and the hash of its bytes.

No load takes a file that somebody writes to. Where nobody can tell, it waits until young files have settled, before it
takes the warehouse's lock. What a load takes from the archive is in `from_archive`.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence, Set

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.candidates import Candidate, Refused
from orchestration_project.ingest.from_archive import refusal_of, withdrawn_bytes
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.session import Session
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import archived, batch_keys, ensure_storable
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile, fingerprint, map_files
from orchestration_project.storage.withdrawals import Withdrawal
from orchestration_project.storage.writers import Writing, delivered, is_young, writing_to


def settled_files(
    settings: Settings, feed: Feed, options: FeedOptions, request: Request, log: Callable[[str], None]
) -> Set[FoundFile]:
    """The young files that may be taken since they were left alone while this waited; without any it does not wait.

    Args:
        settings: where the files are.
        feed: the contract.
        options: how long a file has to be left alone.
        request: the batches asked for.
        log: takes a line of progress.
    """
    if not request.read:
        return frozenset()
    now, patience = time.time(), options.settle_seconds
    waiting = {file for file in _asked(settings, feed, options, request) if must_settle(file, now, patience)}
    if waiting:
        # By its own time a file may be from the future: then it is left alone when this has waited for all of it.
        seconds = max(min(patience, file.mtime_ns / 1e9 + patience - now) for file in waiting)
        log(
            f"{feed.name}: waiting {seconds:.1f} s for {len(waiting)} file(s) to settle: it can't be told here whether"
            " somebody still writes to them"
        )
        time.sleep(seconds)
    return waiting


def _asked(settings: Settings, feed: Feed, options: FeedOptions, request: Request) -> Iterator[FoundFile]:
    """The files of the batches asked for, and those without one."""
    wanted = None if request.batches is None else set(request.batches)
    for file in delivered(settings.landing(feed.name), settings.archive(feed.name)):
        try:
            if wanted is None or options.batching.batch_for(file) in wanted:
                yield file
        # Refused files are waited for, too: what is refused for a part that its writer has not written yet would be
        # good a second later.
        except FileRefused:
            yield file


def must_settle(file: FoundFile, now: float, settle_seconds: float) -> bool:
    """Whether a file is too young to be taken, and nobody can tell whether somebody writes to it."""
    return not file.is_member and is_young(file, now, settle_seconds) and writing_to(file.path) is Writing.UNKNOWN


def landed(
    session: Session, settled: Set[FoundFile], noted: Iterable[Withdrawal], apart: Set[str] = frozenset()
) -> tuple[list[Candidate], list[Refused], list[str]]:
    """The files that wait for a load, those that have to be refused, and the names of those that are being written to.

    Args:
        session: of the load.
        settled: young files that were left alone while the load waited for them.
        noted: the withdrawn files.
        apart: the names of files that are not looked at: zip archives of which is told otherwise.
    """
    now, patience = time.time(), session.options.settle_seconds

    def hashed(item: tuple[FoundFile, Batch]) -> str:
        # Before the hash: to read a large file that is being written to is time for nothing.
        ensure_left_alone(item[0], settled, now, patience)
        return fingerprint(item[0])

    # Among the delivered ones are files that were written to after they had been taken off landing.
    listed = delivered(session.settings.landing(session.feed.name), session.archive)
    placed, unplaced = _placed(session, [file for file in listed if file.name not in apart])
    refused, changed = _left_alone(unplaced, settled, now, patience)
    candidates, withdrawn = [], withdrawn_bytes(noted)
    tried = map_files(hashed, placed, lambda item: item[0].size)
    for (found, batch), digest in session.progress.of(tried, f"{session.feed.name}: files hashed"):
        if isinstance(digest, FileChanged):
            changed.append(found.name)
        elif isinstance(digest, FileRefused):
            refused.append(Refused(found, digest, batch))
        elif error := _outdated(session, found):
            refused.append(Refused(found, error, batch, digest))
        elif note := withdrawn.get((session.batching.key(batch), digest)):
            refused.append(Refused(found, refusal_of(session.feed.name, found, note), batch, digest))
        else:
            candidates.append(Candidate(found, batch, digest))
            reached(Point.FINGERPRINTED)
    return candidates, refused, changed


def _placed(session: Session, listed: Sequence[FoundFile]) -> tuple[list[tuple[FoundFile, Batch]], list[Refused]]:
    """The files of the batches asked for, and those that have no batch. One for a batch to come waits in landing."""
    reached(Point.LISTED)
    latest = session.batching.current(session.request.now)
    wanted = None if session.request.batches is None else set(session.request.batches)
    placed, refused = [], []
    for found in listed:
        try:
            ensure_storable(found.name)
            batch = session.batching.batch_for(found)
        except FileRefused as error:
            refused.append(Refused(found, error))
        else:
            # Others are left in landing, not refused: a batch to come has begun when a later load looks again.
            if batch <= latest and (wanted is None or batch in wanted):
                placed.append((found, batch))
    return placed, refused


def _left_alone(
    refused: Iterable[Refused], settled: Set[FoundFile], now: float, settle_seconds: float
) -> tuple[list[Refused], list[str]]:
    """The files that nobody writes to, and the names of the others."""
    alone, changed = [], []
    for item in refused:
        try:
            ensure_left_alone(item.file, settled, now, settle_seconds)
        except FileChanged as error:
            changed.append(error.name)
        else:
            alone.append(item)
    return alone, changed


def ensure_left_alone(file: FoundFile, settled: Set[FoundFile], now: float, settle_seconds: float) -> None:
    """Make sure that nobody writes to a file.

    Args:
        file: as it was listed.
        settled: young files that were left alone while the load waited for them.
        now: seconds since the epoch.
        settle_seconds: how long a file must have been left alone, where nobody can tell.

    Raises:
        FileChanged: somebody does, or may.
    """
    # The platform has unpacked it, and its archive had settled.
    if file.is_member:
        return
    match writing_to(file.path):
        case Writing.SOMEBODY:
            raise FileChanged(file.name, "was open for writing")
        case Writing.UNKNOWN if is_young(file, now, settle_seconds) and file not in settled:
            raise FileChanged(file.name, "had not settled")


def _outdated(session: Session, file: FoundFile) -> FileRefused | None:
    """Why a file that was written to after it was taken off landing may not come in: a later delivery has its place."""
    if file.taken is None or not file.taken.key:
        return None
    # Under `undated: replace` the newer file may be in any batch.
    keys = batch_keys(session.archive) if session.options.by_name else [file.taken.key]
    same = (item.file for key in keys for item in archived(session.archive, key) if item.file.name == file.name)
    if all(item.mtime_ns <= file.taken.mtime_ns for item in same):
        return None
    return FileRefused(
        "delivered_anew",
        f"{file.name!r} was written to after it was loaded, and a newer file of its name was loaded since: see which of"
        " them is right, and deliver that one",
    )
