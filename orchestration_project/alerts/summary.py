"""The daily summary: what came in, what became of it, which alarms are on. As text, in one message.

Belongs here: the query, and the words. Does not belong here: figures of the shop, which come as names and numbers, and
when it is sent, which is in `components.daily_summary`.

    Subject: Day 2024-01-15: 3 files, 1,200 rows, 5 rejected, 1 file refused
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration_project.alerts.outbox import Message
from orchestration_project.alerts.words import number
from orchestration_project.warehouse import ledger

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Figure = int | float | Decimal | str | dt.date | None


@dataclass(frozen=True, slots=True)
class CameIn:
    """What came in for a feed.

    Attributes:
        feed: its name.
        files: how many files were accepted.
        first, last: partition keys of their first and last batch; empty without files.
        cleaned, rejected: what became of their records.
        refused: how many files were refused.
    """

    feed: str
    files: int = 0
    first: str = ""
    last: str = ""
    cleaned: int = 0
    rejected: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is told.

    Attributes:
        day: what it is about.
        until: the end of the 24 hours in which files came in, with a time zone.
        feeds: what came in for each.
        figures: what the shop counts of that day; empty if there is nothing of that day.
        alarms: what is wrong now.
        links: where to read more, by name.
    """

    day: dt.date
    until: dt.datetime
    feeds: Sequence[CameIn]
    figures: Mapping[str, Figure]
    alarms: Sequence[str]
    links: Mapping[str, str]


def came_in(connection: "DuckDBPyConnection", feeds: Sequence[str], until: dt.datetime) -> list[CameIn]:
    """What came in for each feed in the 24 hours before a moment; files that a later delivery replaced included.

    Args:
        connection: to the warehouse.
        feeds: their names, in the order in which they are told.
        until: with a time zone.
    """
    end = until.astimezone(dt.UTC).replace(tzinfo=None)
    # Before the first load there is no ledger: then nothing came in, and the summary says so.
    ledger.stand_in(connection)
    # Half open, so that a file that was seen at the very moment of a summary is in one of two summaries, not in both.
    rows = connection.execute(
        f"""WITH came AS (
                SELECT *, status IN ('loaded', 'kept', 'superseded') AS accepted FROM {ledger.TABLE}
                WHERE seen_at > $start AND seen_at <= $end)
            SELECT feed, count(*) FILTER (accepted), coalesce(min(batch) FILTER (accepted), ''),
                coalesce(max(batch) FILTER (accepted), ''), coalesce(sum(cleaned) FILTER (accepted), 0)::BIGINT,
                coalesce(sum(rejected) FILTER (accepted), 0)::BIGINT, count(*) FILTER (status = 'quarantined')
            FROM came GROUP BY feed""",
        {"start": end - dt.timedelta(days=1), "end": end},
    ).fetchall()
    found = {feed: CameIn(feed, *counts) for feed, *counts in rows}
    return [found.get(feed, CameIn(feed)) for feed in feeds]


def compose_summary(summary: Summary) -> Message:
    """The message; it goes to those who take the platform's."""
    files, refused = sum(item.files for item in summary.feeds), sum(item.refused for item in summary.feeds)
    cleaned, rejected = sum(item.cleaned for item in summary.feeds), sum(item.rejected for item in summary.feeds)
    subject = f"Day {summary.day}: {_files(files)}, {cleaned:,} rows, {rejected:,} rejected"
    subject += f", {_files(refused)} refused" if refused else ""
    subject += f", {len(summary.alarms)} alarm(s) on" if summary.alarms else ""
    width = max([len(item.feed) for item in summary.feeds] + [len(name) for name in summary.figures], default=0) + 2
    parts = [
        f"What came in during the 24 hours before {summary.until:%Y-%m-%d %H:%M %Z}:",
        *(f"  {item.feed:<{width}}{_told(item)}" for item in summary.feeds),
        "",
        f"{summary.day}:" if summary.figures else f"No figures of {summary.day}.",
        *(f"  {name:<{width}}{_number(value)}" for name, value in summary.figures.items()),
        "",
        "Alarms that are on:" if summary.alarms else "No alarm is on.",
        *(f"  {what}" for what in summary.alarms),
        "",
        *(f"{name}: {link}" for name, link in summary.links.items()),
    ]
    return Message(subject, "\n".join(parts))


def _told(item: CameIn) -> str:
    if not item.files and not item.refused:
        return "nothing"
    batches = item.first if item.first == item.last else f"{item.first} to {item.last}"
    accepted = f"{_files(item.files)} for {batches}: {item.cleaned:,} rows, {item.rejected:,} rejected"
    refused = f"{_files(item.refused)} refused"
    return "; ".join(([accepted] if item.files else []) + ([refused] if item.refused else []))


def _files(count: int) -> str:
    return number(count, "file", "files")


def _number(value: Figure) -> str:
    return f"{value:,}" if isinstance(value, int | float | Decimal) else "-" if value is None else str(value)
