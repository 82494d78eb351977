"""Whether another session has changed what a load rests on, where others may write while it reads.

On a lake a load holds the lock only while it writes. What it has read and decided until then may be outdated: another
load has brought the same file, or another file of the same batch. So the first thing under the lock is to ask here what
was committed since the load began. Where that concerns it, all is decided anew before anything is written.

What a load asks inside its transaction (waivers, repairs, the keys of other batches) is of that moment anyway.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain

from orchestration_project.errors import WarehouseBusy, WarehouseDown
from orchestration_project.ingest.model import Staged, Validated
from orchestration_project.ingest.session import Session
from orchestration_project.warehouse import batching, ledger, renewal
from orchestration_project.warehouse.connection import is_alone
from orchestration_project.warehouse.snapshots import changed_since, newest_snapshot

FEED = "feed = $feed"
MADE_WITH = {renewal.TABLE: FEED, batching.TABLE: FEED}
"""The rows that say with which contract, and in which batches, the tables of a feed were made."""


class Overtaken(WarehouseDown):
    """Somebody else has committed what a load rests on; nothing was changed, and all of it is decided anew.

    Attributes:
        staged: what was read in vain, of which nothing need be read again; None if reading did not end.
    """

    def __init__(self, message: str, staged: Staged | None = None) -> None:
        super().__init__(message)
        self.staged = staged


def begin(session: Session) -> int | None:
    """The state of the warehouse that a load begins with; None if nobody else can write before it ends."""
    return None if is_alone(session.connection) else newest_snapshot(session.connection)


def ensure_not_overtaken(session: Session, begun: int | None, validated: Validated) -> None:
    """Make sure that nothing that a load rests on was changed since it began.

    Args:
        session: inside the transaction, alone.
        begun: as `begin` gave it.
        validated: what the load is about to write.

    Raises:
        Overtaken: it was; nothing is written yet.
    """
    if begun is None:
        return
    feed, staged = session.feed.name, validated.staged
    found = staged.candidates
    entries = [item.entry for item in found.decided]
    candidates = [*chain.from_iterable(found.fresh.values()), *(candidate for candidate, _ in found.known)]
    hashes = {item.sha256 for item in candidates} | {item.sha256 for item in found.refused}
    asked = {
        "feed": feed,
        "all": validated.batches is None or session.options.snapshot or session.feed.division is not None,
        "batches": sorted({*map(session.batching.key, validated.batches or ()), *(entry.batch for entry in entries)}),
        # By name: under `undated: replace` it is one file in all batches. By bytes: they may have come for another.
        "files": sorted({item.name for item in candidates} | {item.file.name for item in found.refused}),
        "hashes": sorted(hashes | {entry.sha256 for entry in entries}),
    }
    concerned = f"""{FEED} AND ($all OR batch IN (SELECT unnest($batches)) OR file IN (SELECT unnest($files))
        OR sha256 IN (SELECT unnest($hashes)))"""
    if changed_since(session.connection, begun, {ledger.TABLE: concerned, **MADE_WITH}, asked):
        raise Overtaken(f"{feed}: another load has changed files or batches that this one is about", staged)


@contextmanager
def blaming_others(session: Session, begun: int | None) -> Iterator[None]:
    """Where a step fails while others change the feed, that is the reason, whatever the step says.

    It may have asked the ledger before a commit of theirs and the archive after it, and miss a file in either.

    Raises:
        Overtaken: the feed was changed since the load began.
    """
    import duckdb

    try:
        yield
    # Who waited in vain for the lock would wait in vain once more.
    except (Overtaken, WarehouseBusy):
        raise
    except Exception as error:
        # With a connection that does not answer there is nothing to ask, and the error says so.
        with suppress(duckdb.Error):
            if begun is not None and _is_changed(session, begun):
                raise Overtaken(f"{session.feed.name}: another session has changed the feed meanwhile") from error
        raise


def _is_changed(session: Session, begun: int) -> bool:
    rows = {ledger.TABLE: FEED, **MADE_WITH}
    return changed_since(session.connection, begun, rows, {"feed": session.feed.name})
