"""No load takes a file that somebody writes to. Where nobody can tell, it waits until young files have settled."""

import time
from collections.abc import Callable, Iterator, Set

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile
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


def must_settle(file: FoundFile, now: float, settle_seconds: float) -> bool:
    """Whether a file is too young to be taken, and nobody can tell whether somebody writes to it."""
    return is_young(file, now, settle_seconds) and writing_to(file.path) is Writing.UNKNOWN


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
    match writing_to(file.path):
        case Writing.SOMEBODY:
            raise FileChanged(file.name, "was open for writing")
        case Writing.UNKNOWN if is_young(file, now, settle_seconds) and file not in settled:
            raise FileChanged(file.name, "had not settled")


def _asked(settings: Settings, feed: Feed, options: FeedOptions, request: Request) -> Iterator[FoundFile]:
    """The files of the batches asked for, and those without one."""
    wanted = None if request.batches is None else set(request.batches)
    for file in delivered(settings.landing(feed.name), settings.archive(feed.name)):
        try:
            if wanted is None or options.batching.batch_for(file) in wanted:
                yield file
        except FileRefused:
            yield file
