"""Waive rejects: somebody decides that they will not be corrected, and says why.

A waiver is first a file in the archive, then a row of `waivers`. Every load reads the waivers of the archive again, so
neither a crash between the two nor a lost warehouse loses one.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import RepairError
from orchestration_project.ingest.counts import RULE_OF_REASON, FileCount, count_records, is_open
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.repairs import resolve, take_waivers
from orchestration_project.ingest.state import note_state
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import Waiver, write_waiver
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import transaction
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.tables import batch_filter, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Choice:
    """Which rejects to waive: those with these ids, or else the open ones of a batch (with `reason`: of that rule)."""

    ids: Sequence[str] = ()
    batch: Batch | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Waived:
    """The ids of the rejects that were waived, and of those in the choice that had been closed before."""

    new: list[str]
    closed: list[str]


def waive(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    choice: Choice,
    who: str,
    why: str,
    now: dt.datetime,
    log: Callable[[str], None],
) -> Waived:
    """Waive rejects, in the archive and in the tables.

    Args:
        connection: to the warehouse, which has the feed's tables.
        settings: where the archive is.
        feed: the contract.
        options: how the feed is run.
        choice: which rejects.
        who: who decides.
        why: the reason.
        now: the present moment, with a time zone.
        log: takes a line about what could not be noted for alarms.

    Raises:
        RepairError: who or why is missing, a reject does not exist, or the batch has no open one; nothing was written.
    """
    who, why, batching = who.strip(), why.strip(), options.batching
    if not who or not why:
        raise RepairError("a waiver needs somebody who takes the decision and a reason")
    found = _by_id(connection, feed, choice.ids) if choice.batch is None else _of_batch(connection, feed, choice)
    if choice.batch is not None and not found.new:
        which = f" that broke {choice.reason!r}" if choice.reason else ""
        raise RepairError(f"{feed.name}: batch {batching.key(choice.batch)} has no open rejects{which}")
    archive = settings.archive(feed.name)
    # The first waiver of a reject counts: another file about closed ones would only tell a second truth.
    if found.new:
        write_waiver(archive, Waiver(who, why, now, tuple(found.new)))
    counts: list[FileCount] = []
    with transaction(connection):
        # From the archive, as every load does, and not from `found`: so a waiver whose command was killed before the
        # tables knew it is taken as well.
        if batches := take_waivers(connection, archive, feed):
            resolve(connection, feed, batches)
            counts = count_records(connection, feed, batches)
            written = {
                (batching.key(count.batch), count.file, count.version): count.written for count in counts if count.batch
            }
            ledger.write_counts(connection, feed.name, written)
    # After the commit, and for alarms: these may not open the warehouse, where open rejects are counted.
    note_state(connection, settings, feed, options, counts, log)
    return found


def _by_id(connection: "DuckDBPyConnection", feed: Feed, ids: Sequence[str]) -> Waived:
    """The rejects with some ids.

    Raises:
        RepairError: one of them does not exist.
    """
    known = dict(
        connection.execute(
            f"""SELECT _reject_id, _resolved_by IS NULL FROM {ident(rejected_table(feed))}
                WHERE _reject_id IN (SELECT unnest($1))""",
            [list(ids)],
        ).fetchall()
    )
    # One mistyped id stops all: whoever waives wants to know that the decision is about other rows.
    if unknown := [reject for reject in dict.fromkeys(ids) if reject not in known]:
        raise RepairError(
            f"{feed.name} has no reject {', '.join(unknown)}: nothing was waived. The ids are in"
            f" {rejected_table(feed)}._reject_id"
        )
    still_open = {reject for reject, is_still_open in known.items() if is_still_open}
    return Waived(sorted(still_open), sorted(known.keys() - still_open))


def _of_batch(connection: "DuckDBPyConnection", feed: Feed, choice: Choice) -> Waived:
    """The open rejects of a batch. None of them is closed, so `closed` is empty."""
    table, batch = ident(rejected_table(feed)), batch_filter([choice.batch])
    # _reasons is a list like ['quantity: minimum', 'order_id: duplicate_key (kept: a.csv row 7)']. What stands in
    # brackets is taken away first, so that one --reason fits all rows that broke the rule.
    broke = f"list_contains(list_transform(_reasons, lambda _reason: {RULE_OF_REASON}), $reason)"
    rows = connection.execute(
        f"""SELECT _reject_id FROM {table} WHERE {batch} AND {is_open(feed)} AND ($reason IS NULL OR {broke})
            ORDER BY 1""",
        {"reason": choice.reason},
    ).fetchall()
    return Waived([reject for (reject,) in rows], [])
