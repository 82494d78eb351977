"""The stage that deduplicates: of records with the same key one counts, across batches as far as the feed looks back.

The rule itself is in `keys.py`. Here it is decided which batches have to be looked at: a batch that changes may change
which records of later batches are duplicates, so these are validated and published anew, too.
"""

import datetime as dt
from collections.abc import Sequence

from orchestration_project.ingest.duplicates import affected_batches, find_duplicates
from orchestration_project.ingest.keys import keys_of
from orchestration_project.ingest.model import Entered, Unique, Validated
from orchestration_project.ingest.repairs import make_corrected, take_waivers, validate_repairs
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.validate import validate_more
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import ledger_batches


def deduplicate(session: Session, entered: Entered) -> Unique:
    """Find the records that don't count because another one has their key, and those of repair files that are wrong.

    Args:
        session: inside the transaction.
        entered: what was validated, its files in the ledger, whose times decide between files.
    """
    validated = entered.validated
    if not session.request.publish:
        return Unique(validated, validated.batches)
    # First: a waiver may be about a batch that nobody asked for, which then has to be published anew with the others.
    validated = _with_waived(session, validated)
    make_corrected(session.connection, session.batching.sql_type)
    if validated.batches is None:
        return _within_snapshot(session, validated)
    return _across_batches(session, validated, validated.batches)


def _with_waived(session: Session, validated: Validated) -> Validated:
    """Take waivers over from the archive, and validate the batches that they are about, too."""
    waived = take_waivers(session.connection, session.archive, session.feed)
    if validated.batches is None:
        return validated
    others = {*waived} - {*validated.batches}
    return validate_more(session, validated, sorted(others)) if others else validated


def _within_snapshot(session: Session, validated: Validated) -> Unique:
    window = _reach(session).total_seconds()
    if _repaired(session):
        validate_repairs(session.connection, session.feed, validated, [], window, None)
    find_duplicates(session.connection, session.feed, [], window)
    return Unique(validated, None)


def _across_batches(session: Session, validated: Validated, batches: list[Batch]) -> Unique:
    """Look at the batches, and at later ones whose keys are kept otherwise than before, until nothing more changes."""
    connection, feed, window = session.connection, session.feed, _reach(session).total_seconds()
    repaired, fresh = _repaired(session), batches
    while True:
        near = _within_reach(session, batches)
        # Only batches that are new in this round: those before were checked when they came.
        if own := [batch for batch in fresh if batch in repaired]:
            validate_repairs(connection, feed, validated, near, window, own)
        # Each round begins anew. What is kept in a batch that joins may change what is kept in all after it.
        find_duplicates(connection, feed, near, window)
        fresh = _affected(session, batches, [batch for batch in near if batch > batches[0]], repaired)
        if not fresh:
            return Unique(validated, batches)
        session.tell(f"{len(fresh)} later batch(es) share keys with what changed")
        validated = validate_more(session, validated, fresh)
        batches = sorted([*batches, *fresh])


def _affected(session: Session, batches: list[Batch], later: list[Batch], repaired: set[Batch]) -> list[Batch]:
    """The later batches whose records may be kept otherwise now, or whose repairs may be valid otherwise."""
    connection, feed, window = session.connection, session.feed, _reach(session).total_seconds()
    affected = affected_batches(connection, feed, batches, later, window)
    # A repair is validated against all records with its key, kept or not: it may be valid otherwise where no winner
    # changed.
    others = [batch for batch in later if batch in repaired and batch not in affected]
    return sorted([*affected, *affected_batches(connection, feed, batches, others, window, with_duplicates=True)])


def _repaired(session: Session) -> set[Batch]:
    """The batches that have repair files."""
    return set(map(session.batching.from_key, ledger_batches.repaired_batches(session.connection, session.feed.name)))


def _reach(session: Session) -> dt.timedelta:
    """How far apart batches may be that share keys; each snapshot has all keys anew."""
    shares = keys_of(session.feed) and not session.options.history
    return session.options.key_look_back if shares else dt.timedelta()


def _within_reach(session: Session, batches: Sequence[Batch]) -> list[Batch]:
    """Other batches that may share keys with some: those as far before or after them as the feed looks back."""
    reach, batching = _reach(session), session.batching
    if not reach or not batches:
        return []
    # Forward too: what a changed batch keeps takes the key from batches after it.
    earliest, latest = batches[0] - reach, batches[-1] + reach
    keys = ledger_batches.loaded_batches(
        session.connection, session.feed.name, batching.key(earliest), batching.key(latest)
    )
    published = map(batching.from_key, keys)
    return sorted({found for found in published if earliest <= found <= latest} - {*batches})
