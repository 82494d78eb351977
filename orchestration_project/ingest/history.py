"""The history of a snapshot feed: what each key was, from which day until which day, over all accepted snapshots.

Belongs here: which days a load has to look at, and the history's change in the transaction that publishes. The SQL of
the versions is in `versions`; what a history was made of is noted by `warehouse.history_days`.

A history is a function of the set of snapshots. So a load does not ask what it was told to do, but compares the days
that the ledger has with those that the history was made of. Days that differ are made again, each with the day after
it: there a version may begin, or go on, that did not before. All other days are never read.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import WarehouseError
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.counts import FileCount
from orchestration_project.ingest.model import Plan, Unique
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.values import blank
from orchestration_project.ingest.versions import Stretch, replace_versions
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import history_days, ledger_batches
from orchestration_project.warehouse.feed_tables import IGNORED, raw_table
from orchestration_project.warehouse.tables import batch_filter, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def days_to_validate(session: Session, plan: Plan) -> list[Batch]:
    """The days whose snapshots a load has to validate, in order: what changes, each day after a change, the newest.

    Args:
        session: outside of the transaction.
        plan: what the load is going to write to the ledger.
    """
    connection, feed = session.connection, session.feed.name
    noted = history_days.noted_days(connection, feed)
    days = history_days.days_in_ledger(connection, feed, plan.entries)
    changed = history_days.differing(noted, days)
    wanted = {*changed, *(day for day in map(_Order(days).after, changed) if day), *list(days)[-1:]}
    return [session.batching.from_key(day) for day in sorted(wanted)]


def newest_day(session: Session) -> list[Batch]:
    """The day of the snapshot that `cleaned_x` has; empty if there is none."""
    loaded = ledger_batches.loaded_batches(session.connection, session.feed.name)
    return [session.batching.from_key(day) for day in loaded[-1:]]


def remember(session: Session, unique: Unique) -> None:
    """Bring the history up to date with the days that were validated.

    Args:
        session: inside the transaction, with the ledger's entries written.
        unique: what was validated; its batches are days.

    Raises:
        WarehouseError: a day that is needed was not validated.
    """
    connection, feed = session.connection, session.feed
    noted = history_days.noted_days(connection, feed.name)
    in_ledger = history_days.days_in_ledger(connection, feed.name)
    validated = {session.batching.key(batch) for batch in unique.batches or ()}
    # While all is made anew, days come range by range: those that are still to come are no days yet.
    days = {day: files for day, files in in_ledger.items() if day in validated or day in noted}
    changed = history_days.differing(noted, days)
    for stretch in _stretches(changed, days):
        if needed := [day for day in stretch.read if day not in validated]:
            raise WarehouseError(f"{feed.name}: the snapshot of {needed[0]} was not validated; nothing was changed")
        replace_versions(connection, feed, stretch, unique)
    history_days.note_days(connection, feed.name, changed, days)
    reached(Point.REMEMBERED)


def count_kept(connection: "DuckDBPyConnection", feed: Feed, unique: Unique, days: Sequence[Batch]) -> list[FileCount]:
    """Count the records of earlier snapshots: they are in the raw table, and no other tells what became of them.

    Args:
        connection: inside the transaction, with the raw table complete.
        feed: the contract.
        unique: what was validated.
        days: those of its batches that are counted.
    """
    chosen, names = batch_filter(days), "_batch_date, _file, _file_version"
    ignored = f"count(*) FILTER ({IGNORED} IS NOT NULL)" if feed.ignored else "0"
    rows = connection.execute(
        f"""
        WITH beaten AS (SELECT DISTINCT _rid FROM {unique.relation}),
        records AS (
            SELECT {names}, count(*) AS records, count(*) FILTER ({blank(feed)}) AS blank, {ignored} AS ignored
            FROM {ident(raw_table(feed))} WHERE {chosen} GROUP BY ALL),
        validated AS (
            SELECT {names}, count(*) FILTER (_reasons IS NULL AND beaten._rid IS NULL) AS cleaned, count(*) AS filled
            FROM {unique.validated.relation} AS own LEFT JOIN beaten ON beaten._rid = own._rid
            WHERE {chosen} GROUP BY ALL)
        SELECT {names}, coalesce(records, 0), coalesce(blank, 0), coalesce(cleaned, 0),
            coalesce(filled - cleaned, 0), coalesce(ignored, 0)
        FROM records FULL JOIN validated USING ({names}) ORDER BY ALL"""
    ).fetchall()
    return [replace(FileCount(*counts), ignored=number) for *counts, number in rows]


class _Order:
    """Days in order."""

    def __init__(self, days: Sequence[str] | history_days.Days) -> None:
        self.days = sorted(days)

    def after(self, day: str) -> str | None:
        """The first day after one."""
        place = bisect_right(self.days, day)
        return self.days[place] if place < len(self.days) else None

    def before(self, day: str) -> str | None:
        """The last day before one."""
        place = bisect_left(self.days, day)
        return self.days[place - 1] if place else None


def _stretches(changed: set[str], days: history_days.Days) -> Iterator[Stretch]:
    """The changed days in stretches without an unchanged day in between, in order.

    Of the days 1 to 6, of which 2 and 5 have changed and 3 is gone: after 1 the day 2, until 4; after 4 the day 5,
    until 6.
    """
    order, part = _Order(days), list[str]()
    for day in sorted(changed):
        until = order.after(part[-1]) if part else None
        if until is not None and until < day:
            yield _stretch(part, order, days)
            part = []
        part.append(day)
    if part:
        yield _stretch(part, order, days)


def _stretch(part: Sequence[str], order: _Order, days: history_days.Days) -> Stretch:
    return Stretch(order.before(part[0]), tuple(day for day in part if day in days), order.after(part[-1]))
