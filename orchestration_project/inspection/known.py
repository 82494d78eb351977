"""What the ledger knows of a file's name and bytes, and what a load would therefore do with the file. Reads only."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import PlatformError
from orchestration_project.ingest.model import Candidate, Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import make_plan
from orchestration_project.inspection.verify_tables import ledger_lacks
from orchestration_project.settings import Settings
from orchestration_project.storage.withdrawals import withdrawals
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity
from orchestration_project.warehouse.tables import exists

PATIENCE_SECONDS = 2.0
"""How long to wait for a warehouse that is in use: a command that only reads should not keep a person waiting."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says about a file.

    Attributes:
        loads: whether a load would bring in the file's rows.
        what: the same in words, with the reason.
    """

    loads: bool
    what: str


def warehouse_to_read(settings: Settings) -> Warehouse:
    """The warehouse for a command that only reads: it waits for a short time at most."""
    return replace(Warehouse.from_settings(settings), lock_timeout=min(settings.lock_timeout, PATIENCE_SECONDS))


def known_of(
    settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate
) -> tuple[Known | None, list[str]]:
    """What the ledger says about a file; None, with the reason as a note, if it could not be read.

    Args:
        settings: where warehouse and archive are.
        feed: the contract.
        options: how the feed is run.
        candidate: the file, prepared.
    """
    if not settings.database.exists():
        return Known(loads=True, what="new: there is no warehouse yet"), []
    try:
        current = _current(settings, feed, options, candidate)
    except PlatformError as error:
        return None, [f"whether its name or bytes are known could not be checked: {error}"]
    return _outcome(current, settings, feed, options, candidate), []


def _current(settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate) -> dict[Identity, Entry]:
    """The ledger's current entries of the file and of all files of its batch with the same bytes."""
    with warehouse_to_read(settings).connection(f"explanation of {candidate.file.name}", read_only=True) as connection:
        if not exists(connection, ledger.TABLE):
            return {}
        for lacking in ledger_lacks(connection):
            raise PlatformError(f"{ledger.TABLE} {lacking.what}; the next load adds them")
        delivered = (options.batching.key(candidate.batch), candidate.name, candidate.sha256)
        found = ledger_queries.current_entries(connection, feed.name, [delivered], options.snapshot, options.by_name)
    return {options.identity(entry.batch, entry.file): entry for entry in found}


def _outcome(
    current: Mapping[Identity, Entry], settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate
) -> Known:
    """The outcome of a load, found with the plan that a load makes, so that both agree."""
    key = options.batching.key(candidate.batch)
    name, identity = candidate.name, options.identity(key, candidate.name)
    before = current.get(identity)
    for found in withdrawals(settings.archive(feed.name)):
        if (found.key, found.note.sha256) == (key, candidate.sha256):
            return Known(loads=False, what=f"refused: these bytes were {found.note.told}")
    if before and before.sha256 == candidate.sha256 and before.status is not Status.SUPERSEDED:
        return Known(loads=False, what="delivered before: the ledger has the same bytes under the same name")
    plan = make_plan({identity: [candidate]}, current, feed, options, Request(None), settings.archive(feed.name))
    status = next((item.status for item in plan.entries if (item.file, item.sha256) == (name, candidate.sha256)), None)
    if status is Status.DUPLICATE:
        others = [entry.file for entry in current.values() if entry.sha256 == candidate.sha256 and entry.file != name]
        return Known(loads=False, what=f"a duplicate: {', '.join(sorted(others))} has the same bytes and keeps them")
    if status is not Status.LOADED:
        return Known(loads=False, what="outdated: a newer snapshot is loaded")
    if before and before.sha256 != candidate.sha256:
        return Known(loads=True, what=f"a correction: replaces the {before.records} records of {before.version}")
    gone = sorted(entry.file for entry in plan.removals if entry.file != name)
    return Known(loads=True, what=f"new, and replaces {', '.join(gone)}" if gone else "new")
