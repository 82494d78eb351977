"""`batch_column`: files that span batches are divided by a column, so that each record is in the batch that it tells.

Belongs here: what a feed's `defs.yaml` asks for, and whether a contract allows it. The SQL that tells a record's batch
is in `ingest.divide`.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.errors import did_you_mean

if TYPE_CHECKING:
    from orchestration_project.contracts.feed import Feed

UNITS = {"daily": "day", "weekly": "week", "monthly": "month"}
"""What each cadence that can be divided by is called in SQL."""


@dataclass(frozen=True, slots=True)
class Division:
    """How the records of one file fall into batches.

    Attributes:
        column: the column whose value tells a record's batch.
        unit: how long a batch is: day, week or month.
        start: the feed's first batch.
        timezone: in which batches begin, for moments that have a time zone.
    """

    column: str
    unit: str
    start: dt.date
    timezone: str


def division_of(column: str | None, cadence: str, start: dt.date, timezone: str) -> Division | None:
    """How files are divided as the attributes of `defs.yaml` say; None where no column is named."""
    return Division(column, UNITS[cadence], start, timezone) if column else None


def attribute_problem(column: str | None, snapshot: bool, cadence: str, pattern: str | None) -> str | None:
    """Why the attributes of a feed don't allow a `batch_column`; None if they do, or if there is none."""
    if column is None:
        return None
    if snapshot:
        return "batch_column does not fit mode: snapshot, in which each file is the whole truth and none is divided"
    if cadence not in UNITS:
        return f"batch_column fits the cadences {', '.join(UNITS)}, not {cadence}"
    if pattern:
        return "batch_column and batch_pattern both tell a record's batch: leave one of them out"
    return None


def division_problem(feed: "Feed", column: str | None) -> str | None:
    """Why a contract can't have its files divided by a column; None if it can, or if none is named."""
    if column is None:
        return None
    # A column that is told by what is around the records has one value a file, and a computed one is made from others.
    dated = {item.name: item for item in feed.record_columns if item.sql_type.startswith(("DATE", "TIMESTAMP"))}
    if column not in dated:
        return f"batch_column: {column!r} is no date or timestamp of the records{did_you_mean(column, list(dated))}"
    if any(item.fill_down for item in feed.columns):
        return "batch_column does not fit fillDown: the record above may be in another batch"
    if any(rule.totals for rule in feed.ignored):
        return "batch_column does not fit a control total: the records that it is the sum of are in several batches"
    return None
