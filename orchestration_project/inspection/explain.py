"""What would happen to a file: told by loading it into a warehouse that is thrown away. Changes nothing."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, visible
from orchestration_project.ingest.counts import RULE_OF_REASON, FileCount, count_reasons, nothing_of
from orchestration_project.ingest.dry_run import scratch, try_out
from orchestration_project.ingest.model import Delivery
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.inspection.known import Known, known_of
from orchestration_project.inspection.reading import ColumnFound, Reading, columns_found, lines_before, reading_of_file
from orchestration_project.inspection.rule_checks import masked, unexpected_columns
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import ensure_storable
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import UNFINISHED, FoundFile, find, sha256_of
from orchestration_project.warehouse.feed_tables import rejected_table
from orchestration_project.warehouse.quoting import ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 3
VALUE_SHOWN = 60


class Outcome(StrEnum):
    """What a load would do: take the file whole, with rejects, not at all, or find that it brings nothing new."""

    LOADED = "loaded"
    LOADED_WITH_REJECTS = "loaded_with_rejects"
    REFUSED = "refused"
    NOTHING_NEW = "nothing_new"


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected record: its number, its line where each record is one, and the values that the reason is about."""

    row: int
    line: int | None
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule, how many records break it, and the first of them, personal values masked."""

    reason: str
    records: int
    examples: Sequence[Example]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a file would go to quarantine."""

    rule: str
    reason: str
    line: int | None
    byte: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen to a file.

    Attributes:
        file: its name.
        feed: the feed.
        outcome: what a load would do.
        batch: partition key of its batch; empty when its name tells none.
        bytes, sha256: of the file.
        reading: how it would be read; None if it can't be.
        columns: where each column of the contract is found.
        extra: columns that the contract does not know and `_rescued` keeps; how many records have a value there.
        records, blank, cleaned, rejected: counts; keys are judged within the file.
        reasons: why records would be rejected.
        refusals: why the file would be refused as a whole.
        known: what the ledger knows of its name and bytes; None if it could not be asked.
        notes: what else there is to know.
    """

    file: str
    feed: str
    outcome: Outcome
    batch: str
    bytes: int
    sha256: str
    reading: Reading | None
    columns: Sequence[ColumnFound]
    extra: Mapping[str, int]
    records: int
    blank: int
    cleaned: int
    rejected: int
    reasons: Sequence[Reason]
    refusals: Sequence[Refusal]
    known: Known | None
    notes: Sequence[str]

    def as_dict(self) -> dict[str, object]:
        """As plain data."""
        return asdict(self)


def explain(settings: Settings, feed: Feed, options: FeedOptions, file: FoundFile, now: dt.datetime) -> Explanation:
    """Explain a file that is no repair file.

    Args:
        settings: where the warehouse is, and the limits of loads.
        feed: the contract.
        options: how the feed is run.
        file: the file.
        now: the present moment, with a time zone.

    Raises:
        PlatformError: it can't be told; the file is not to blame.
    """
    named, batch = _batch(options, file)
    # A file without a batch is read as one of the first: its content is judged all the same.
    delivery = Delivery(file, batch or options.batching.start, sha256_of(file.path))
    with scratch(settings, [file.path.parent.resolve()]) as (connection, work):
        trial = try_out(connection, settings, feed, options, delivery, work)
        read = trial.delivery.prepared is not None
        reading = reading_of_file(feed, trial.delivery, work, settings.max_file_bytes) if read else None
        columns = columns_found(connection, feed, trial.delivery) if read else []
        extra = unexpected_columns(connection, feed, None) if read else {}
        reasons = _reasons(connection, feed, lines_before(trial.delivery)) if read else []
    refusals = [*named, *trial.refusals]
    count = trial.count or nothing_of(file.name, delivery.sha256)
    known, unknown = (None, []) if refusals else known_of(settings, feed, options, trial.delivery)
    return Explanation(
        file=file.name,
        feed=feed.name,
        outcome=_outcome(count, refusals, known),
        batch=options.batching.key(batch) if batch else "",
        bytes=file.size,
        sha256=delivery.sha256,
        reading=reading,
        columns=columns,
        extra=extra,
        records=count.records,
        blank=count.blank,
        cleaned=count.cleaned,
        rejected=count.rejected,
        reasons=reasons,
        refusals=[Refusal(item.rule, item.message, item.line, item.byte) for item in refusals],
        known=known,
        notes=[*unknown, *_notes(feed, options, file, batch, now)],
    )


def _batch(options: FeedOptions, file: FoundFile) -> tuple[list[FileRefused], Batch | None]:
    try:
        ensure_storable(file.name)
        return [], options.batching.batch_of(file.name, file.modified_at)
    except FileRefused as error:
        return [error], None


def _outcome(count: FileCount, refusals: Sequence[FileRefused], known: Known | None) -> Outcome:
    if refusals:
        return Outcome.REFUSED
    if known and not known.loads:
        return Outcome.NOTHING_NEW
    return Outcome.LOADED_WITH_REJECTS if count.rejected else Outcome.LOADED


def _notes(feed: Feed, options: FeedOptions, file: FoundFile, batch: Batch | None, now: dt.datetime) -> list[str]:
    notes = []
    if file.name.startswith(".") or file.name.casefold().endswith(UNFINISHED):
        notes.append(
            "its name is that of a file which is still being written: loads leave it alone until it is renamed"
        )
    if batch and batch > options.batching.current(now):
        notes.append(f"its batch has not begun: it waits in landing until {options.batching.key(batch)}")
    if feed.primary_key or any(column.unique for column in feed.columns):
        notes.append("keys are judged within this file: a load also compares them with the files that it knows")
    return notes


def _reasons(connection: "DuckDBPyConnection", feed: Feed, before: int | None) -> list[Reason]:
    columns = [column.name for column in feed.source_columns]
    rows = connection.execute(
        f"""SELECT rule, _row, _raw_line, {idents(columns)} FROM (
            SELECT *, {RULE_OF_REASON} AS rule FROM (
                SELECT *, unnest(_reasons) AS reason FROM {ident(rejected_table(feed))}))
            QUALIFY row_number() OVER (PARTITION BY rule ORDER BY _row) <= {EXAMPLES} ORDER BY _row"""
    ).fetchall()
    examples: dict[str, list[Example]] = {}
    for rule, row, *values in rows:
        shown = masked(feed, dict(zip(["_raw_line", *columns], values, strict=True)))
        about = {name: _short(shown[name]) for name in rule.rpartition(": ")[0].split(", ") if name in shown}
        examples.setdefault(rule, []).append(Example(row, before + row if before is not None else None, about))
    return [Reason(item.reason, item.records, examples[item.reason]) for item in count_reasons(connection, feed, None)]


def _short(value: str | int | None) -> str | None:
    if value is None:
        return None
    text = visible(str(value)[: VALUE_SHOWN + 1])
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def found_file(path: Path) -> FoundFile | None:
    """A file by its path from the root, as DuckDB wants it; None for what loads leave alone, such as links."""
    return find(path.parent.resolve() / path.name)
