"""The part that a load has in a landing in a store: which objects it takes, and which of them are dealt with.

Belongs here: what the request, the ledger and the archive say of objects. What is done in the store, and why nothing is
lost there, is in `storage.object_landing`.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused
from orchestration_project.hashes import shown
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.report import Report
from orchestration_project.ingest.session import Session
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile, find_archived
from orchestration_project.storage.landing import object_landing
from orchestration_project.storage.members import kept_zips, version_in
from orchestration_project.warehouse import ledger_queries

if TYPE_CHECKING:
    from orchestration_project.storage.object_landing import ObjectLanding
    from orchestration_project.storage.object_notes import ObjectNote


def take_objects(
    settings: Settings, feed: Feed, options: FeedOptions, request: Request, log: Callable[[str], None]
) -> "ObjectLanding | None":
    """Fetch the objects of the batches asked for, and those without one, into landing.

    It needs no warehouse, so nobody has to wait for it.

    Args:
        settings: where landing is.
        feed: the contract.
        options: how the feed is run.
        request: the batches asked for.
        log: takes a line of progress.

    Returns:
        The landing; None if the load takes nothing from a store.

    Raises:
        ObjectStoreError: the store can't be used.
    """
    landing = object_landing(settings, feed.name) if request.read and request.landing else None
    if landing is None:
        return None
    latest = options.batching.current(request.now)
    asked = None if request.batches is None else set(request.batches)

    def wanted(file: FoundFile) -> bool:
        try:
            batch = options.batching.batch_for(file)
        # As a file without a batch, it is refused by whatever load comes first.
        except FileRefused:
            return True
        return batch <= latest and (asked is None or batch in asked)

    fetched, left = landing.take(wanted, dt.datetime.now(dt.UTC))
    if fetched:
        log(f"{feed.name}: {fetched} object(s) fetched from {landing.store.url}")
    if left:
        log(f"{feed.name}: {left} object(s) left there: another machine has claimed them, or they were written anew")
    return landing


def mark_objects(session: Session, landing: "ObjectLanding | None") -> None:
    """Note which objects are dealt with. The load has committed, and its files have left landing."""
    if landing is None:
        return
    from orchestration_project.storage.object_notes import Dealt

    undecided = landing.undecided()
    landing.mark({note: Dealt.ARCHIVED if _is_archived(session, note) else Dealt.GIVEN_BACK for note in undecided})


def _is_archived(session: Session, note: "ObjectNote") -> bool:
    """Whether the archive has the bytes of an object, by the ledger and by what is there."""
    place = ledger_queries.archived_as(session.connection, session.feed.name, note.name, note.sha256)
    found = find_archived(session.archive / place) if place is not None else None
    if found is not None and (found.cold or not session.settings.archive_url):
        return True
    # The ledger knows what was in a zip archive, but not the archive itself.
    return any(version_in(kept.path) == shown(note.sha256) for kept in kept_zips(session.archive, note.name))


def release_objects(landing: "ObjectLanding | None", report: Report) -> Report:
    """Take off the store what was dealt with; returns the report with what could not be.

    After the warehouse is free. A store that does not answer then costs nothing: the next load does it.
    """
    if landing is None:
        return report
    return replace(report, stuck={**report.stuck, **landing.release()})
