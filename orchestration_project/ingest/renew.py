"""Make all batches of a feed anew where the contract makes other values of the same text.

Published values come from raw text alone: no table is converted, and none holds rows of two contracts that read, type
or compute otherwise. The stages of a load run range by range of batches, in bounded memory, into new tables beside the
published ones, which they replace in one short transaction. A renewal that dies, or finds files that do not fit, has
changed nothing; the next load begins it again.

A contract that only validates otherwise makes no batch anew: `ledger_batches.validated_otherwise` names such batches.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from enum import Enum
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileKey, FilesUnfit, WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.candidates import Candidates
from orchestration_project.ingest.deduplicate import deduplicate
from orchestration_project.ingest.discover import known_again
from orchestration_project.ingest.divide import by_delivery
from orchestration_project.ingest.fingerprints import making_of, reading_of
from orchestration_project.ingest.model import Published, Validated
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import enter
from orchestration_project.ingest.publish import publish
from orchestration_project.ingest.read import has_unknown_files, read
from orchestration_project.ingest.refusals import reject_rates
from orchestration_project.ingest.report import Renewal
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.validate import validate
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import ledger_batches, ledger_queries
from orchestration_project.warehouse.connection import transaction
from orchestration_project.warehouse.feed_tables import (
    RenewedFeed,
    history_layout,
    history_table,
    layouts,
    raw_table,
)
from orchestration_project.warehouse.renewal import beside, drop_remains, made_as, note_contract, replace_published
from orchestration_project.warehouse.tables import BATCH, canonical, columns_of
from orchestration_project.warehouse.unfaithful import unfaithful_entries

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORDS_AT_ONCE = 2_000_000
"""About the number of records of a range of batches; a larger batch is a range of its own."""
FILES_SHOWN = 20

Range = list[Batch] | None
"""Batches that are made anew at once; None: all of a snapshot."""


def renew(session: Session) -> Renewal | None:
    """Make all batches of a feed anew, if its tables were made with a contract that makes other values.

    Args:
        session: outside of a transaction, before new files are looked at: they have to wait if this fails.

    Returns:
        What was made; None if the tables are as the contract has them.

    Raises:
        WarehouseError: archived files do not fit the contract; the message names them, and nothing was changed.
    """
    connection, feed, options = session.connection, session.feed, session.options
    # A renewal that was killed left tables of another contract; to go on with them would mix two contracts.
    drop_remains(connection)
    need = _need(connection, feed, options)
    if need is Need.NOTHING:
        # An older release recorded nothing. Its tables are as this contract has them, so this is what they count as
        # made with.
        if made_as(connection, feed.name) is None:
            note_contract(connection, feed.name, making_of(feed, options), feed.version, session.request.now)
        return None
    return _renewed(session, raw=need is Need.ALL or _is_damaged(session))


class Need(Enum):
    """Which of a feed's tables have to be made anew. RAW_STAYS: the raw table is as the contract reads files."""

    NOTHING = "nothing"
    RAW_STAYS = "raw stays"
    ALL = "all"


def ensure_current(connection: "DuckDBPyConnection", feed: Feed, options: FeedOptions) -> None:
    """Make sure that a feed's tables are those of its contract, for whoever asks them and loads nothing.

    Raises:
        WarehouseError: they have to be made anew first.
    """
    if _need(connection, feed, options) is not Need.NOTHING:
        raise WarehouseError(
            f"{feed.name}: its tables were made with another contract, which reads, types or computes otherwise."
            " Load a batch of it first: that makes all of them anew"
        )


def _need(connection: "DuckDBPyConnection", feed: Feed, options: FeedOptions) -> Need:
    """What the contract makes otherwise than the one before.

    Where no contract was recorded the columns and types of the tables tell, and how the ledger says files were read.
    """
    changed = _changed_tables(connection, feed, options)
    if raw_table(feed) in changed or ledger_batches.is_read_otherwise(connection, feed.name, reading_of(feed)):
        return Need.ALL
    # None: an older release recorded nothing. Its values are right where columns and types are the same.
    same = made_as(connection, feed.name) in (None, making_of(feed, options))
    return Need.NOTHING if same and not changed else Need.RAW_STAYS


def _changed_tables(connection: "DuckDBPyConnection", feed: Feed, options: FeedOptions) -> list[str]:
    """The feed's tables that have other columns or types than the contract says.

    Raises:
        WarehouseError: files are loaded in batches of another kind.
    """
    batch_type, changed = options.batching.sql_type, []
    wanted = layouts(feed, batch_type) | ({history_table(feed): history_layout(feed)} if options.history else {})
    for table, layout in wanted.items():
        present = columns_of(connection, table)
        if present.get(BATCH, batch_type) != batch_type and ledger_batches.loaded_batches(connection, feed.name):
            raise WarehouseError(
                f"{feed.name}: its files are loaded in batches of another cadence ({table} has {BATCH} of type"
                f" {present[BATCH]}, not {batch_type}). Set the old cadence, or run `orchestration-project rebuild"
                f" {feed.name}`, which plans all archived files anew"
            )
        if present != canonical(connection, layout):
            changed.append(table)
    return changed


def _is_damaged(session: Session) -> bool:
    """Whether the raw table lacks records of loaded files, or has others: then nothing can be made from it."""
    feed = session.feed
    unfaithful = unfaithful_entries(
        session.connection,
        feed.name,
        raw_table(feed),
        None,
        reading_of(feed),
        feed.source.consecutive,
        feed.division is not None,
    )
    return bool(unfaithful) or has_unknown_files(session)


def _renewed(session: Session, raw: bool) -> Renewal:
    # By its type alone the stages find other tables: none of them knows that it works beside the published ones.
    contract = {item.name: getattr(session.feed, item.name) for item in fields(Feed)}
    feed = RenewedFeed(**contract, raw_anew=raw, has_history=session.options.history)
    ranges = list(_ranges(session))
    if ranges:
        session.tell(
            f"contract {feed.version} reads, types or computes otherwise than the one before: all batches are made anew"
            f" first, from {'the files in the archive' if raw else raw_table(session.feed)}"
        )
    connection, batch_type = session.connection, session.batching.sql_type
    # Columns were once converted in place: 1.25 became 1.3, times of the day went, and what did not fit stayed
    # rounded.
    with beside(connection, feed, batch_type):
        parts = _make(replace(session, feed=feed), ranges, raw)
        with transaction(connection):
            # With the note in one transaction: a kill in between would make everything anew once more, or never
            # again.
            replace_published(connection, feed, batch_type)
            note_contract(connection, feed.name, making_of(feed, session.options), feed.version, session.request.now)
        reached(Point.REPLACED)
    return Renewal(raw, session.request.batches, parts)


def _ranges(session: Session) -> Iterator[Range]:
    """The loaded batches in ranges of about as many records as are worked on at once, in order."""
    sizes = ledger_batches.batch_sizes(session.connection, session.feed.name)
    if session.options.snapshot and not session.options.history:
        yield from [None] if sizes else []
        return
    if session.feed.division:
        # A file may have records in all of them, and to read it again makes all of its batches.
        delivered = ledger_batches.deliveries_of(session.connection, session.feed.name)
        keys = sorted({*sizes, *delivered})
        yield from [[session.batching.from_key(key) for key in keys]] if keys else []
        return
    part, records = list[Batch](), 0
    for key in sorted(sizes):
        # A batch is never divided: its keys are compared as a whole.
        if part and records + sizes[key] > RECORDS_AT_ONCE:
            yield part
            part, records = [], 0
        part.append(session.batching.from_key(key))
        records += sizes[key]
    if part:
        yield part


def _make(session: Session, ranges: Sequence[Range], raw: bool) -> list[Published]:
    """Read, validate and publish all ranges into the new tables.

    The rest is still read and validated when files are found that do not fit, so that one error names all of them.

    Raises:
        WarehouseError: names these files.
    """
    unfit: dict[FileKey, str] = {}
    parts: list[Published] = []
    for number, batches in enumerate(ranges, 1):
        step = replace(session, request=replace(session.request, batches=batches, read=raw, publish=True))
        # Each range is a transaction of its own, into tables that nobody reads yet: so memory is that of one range.
        validated = _validated(step, unfit)
        if validated and not unfit:
            with transaction(session.connection):
                parts.append(publish(step, deduplicate(step, enter(step, validated))))
        reached(Point.RENEWED)
        session.tell(f"{number:,} of {len(ranges):,} range(s) of batches made anew")
    if unfit:
        listed = "; ".join(f"{name!r}: {why}" for (_, name), why in sorted(unfit.items())[:FILES_SHOWN])
        more = f" and {len(unfit) - FILES_SHOWN:,} more" if len(unfit) > FILES_SHOWN else ""
        raise WarehouseError(
            f"{session.feed.name}: the contract {session.feed.version} does not fit {len(unfit):,} file(s) that are"
            f" loaded, so nothing was changed, and new files wait in landing. Correct the contract. {listed}{more}"
        )
    return parts


def _validated(session: Session, unfit: dict[FileKey, str]) -> Validated | None:
    """Read and validate a range. The files that do not fit are added to `unfit`; None if none can be looked at."""
    candidates = known_again(session) if session.request.read else Candidates()
    unfit |= {key: str(error) for key, error in candidates.unreadable.items()}
    try:
        validated = validate(session, read(session, candidates))
    except FilesUnfit as error:
        unfit |= {key: str(fault) for key, fault in error.faults.items()}
        return None
    unfit |= _rejected(session, validated)
    return validated


def _rejected(session: Session, validated: Validated) -> dict[FileKey, str]:
    """The files of which too many records break the contract now, though they kept the limit before.

    One that was over the limit when it was accepted is not this contract's fault.
    """
    limit = session.options.max_reject_rate
    rates = reject_rates(session.connection, by_delivery(session.feed, validated.relation), limit)
    kept = ledger_queries.within_rate(session.connection, session.feed.name, limit) if rates else set()
    return {rate.key: rate.refusal(limit).message for rate in rates if (rate.file, rate.version) in kept}
