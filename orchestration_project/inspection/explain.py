"""Explain what a load would do with a file, by a dry run of one. Changes nothing.

The dry run itself is in `ingest.dry_run`; how a file was read, and what the ledger says to it, in `reading`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, visible
from orchestration_project.ingest.candidates import Candidate
from orchestration_project.ingest.control_totals import reconcile, totals_of
from orchestration_project.ingest.counts import RULE_OF_REASON, FileCount, count_reasons, nothing_of
from orchestration_project.ingest.dry_run import dry_run, scratch_session, scratch_warehouse
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.inspection.reading import (
    ColumnFound,
    Known,
    Reading,
    batch_notes,
    columns_found,
    known_of,
    lines_before,
    reading_of_file,
)
from orchestration_project.inspection.rule_checks import masked, sample_ignored, unexpected_columns
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import ensure_storable
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import UNFINISHED, FoundFile, find_archived, sha256_of
from orchestration_project.warehouse.feed_tables import raw_table, rejected_table
from orchestration_project.warehouse.tables import ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

EXAMPLES = 3
VALUE_SHOWN = 60  # characters: a field with a lost quote may be as long as its file


class Outcome(StrEnum):
    """What a load would do: load all records, reject some of them, refuse the file, or find nothing new in it."""

    LOADED = "loaded"
    LOADED_WITH_REJECTS = "loaded_with_rejects"
    REFUSED = "refused"
    NOTHING_NEW = "nothing_new"


@dataclass(frozen=True, slots=True)
class Example:
    """A rejected record: its number, its line if each record is one line, and the values that the rule is about."""

    row: int
    line: int | None
    values: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Reason:
    """A rule, how many records break it, and the first of these, with personal values masked."""

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
        batch: partition key of its batch; empty when the file has none.
        bytes, sha256: of the file.
        reading: how it would be read; None if it can't be.
        columns: where each column of the contract is found.
        extra: columns that are not in the contract, so that `_rescued` keeps them; with how many records have a value.
        records, blank, ignored, cleaned, rejected: counts; keys are compared within the file only.
        reasons: why records would be rejected.
        ignored_by: the rules by which records are ignored.
        refusals: why the file would be refused as a whole.
        known: what the ledger knows of its name and bytes; None if it could not be read.
        notes: further facts that matter for a load.
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
    ignored: int
    cleaned: int
    rejected: int
    reasons: Sequence[Reason]
    ignored_by: Sequence[Reason]
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
        PlatformError: the explanation failed for a reason that is not in the file.
    """
    named, batch = _batch(options, file)
    # A file without a batch is read as one of the first batch, so that its content is explained too.
    candidate = Candidate(file, batch or options.batching.start, sha256_of(file.path))
    content = _content(settings, feed, options, candidate)
    refusals = [*named, *content.refusals]
    # The ledger is asked last and only for a file that would be taken: of a refused one nothing it says would hold.
    count = content.count or nothing_of(file.name, candidate.sha256)
    known, unknown = (None, []) if refusals else known_of(settings, feed, options, content.candidate)
    return Explanation(
        file=file.name,
        feed=feed.name,
        outcome=_outcome(count, refusals, known),
        batch=options.batching.key(batch) if batch else "",
        bytes=file.size,
        sha256=candidate.sha256,
        reading=content.reading,
        columns=content.columns,
        extra=content.extra,
        records=count.records,
        blank=count.blank,
        ignored=count.ignored,
        cleaned=count.cleaned,
        rejected=count.rejected,
        reasons=content.reasons,
        ignored_by=content.ignored_by,
        refusals=[Refusal(item.rule, item.message, item.line, item.byte) for item in refusals],
        known=known,
        notes=[*unknown, *content.notes, *_notes(feed, options, file, batch, now)],
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What a dry run finds in a file; empty where the file can't be read."""

    candidate: Candidate
    refusals: Sequence[FileRefused]
    count: FileCount | None
    reading: Reading | None = None
    columns: Sequence[ColumnFound] = ()
    extra: Mapping[str, int] = field(default_factory=dict)
    reasons: Sequence[Reason] = ()
    ignored_by: Sequence[Reason] = ()
    notes: Sequence[str] = ()


def _content(settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate) -> _Content:
    # A load's own stages, on a warehouse that is thrown away: so what is said can't differ from what a load does.
    with scratch_warehouse(settings, [candidate.file.path.parent.resolve()]) as (connection, work):
        tried = dry_run(scratch_session(connection, settings, feed, options, candidate, work), candidate)
        if tried.candidate.prepared is None:
            return _Content(tried.candidate, tried.refusals, tried.count)
        return _Content(
            tried.candidate,
            tried.refusals,
            tried.count,
            reading_of_file(feed, tried.candidate, work, settings.max_file_bytes),
            columns_found(connection, feed, tried.candidate),
            unexpected_columns(connection, feed, None),
            _reasons(connection, feed, before := lines_before(tried.candidate)),
            _ignored_by(connection, feed, before) if feed.ignored else (),
            [*_total_notes(connection, feed, tried.count), *batch_notes(tried.batches)],
        )


def _batch(options: FeedOptions, file: FoundFile) -> tuple[list[FileRefused], Batch | None]:
    try:
        ensure_storable(file.name)
        return [], options.batching.batch_for(file)
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
        notes.append("keys are compared within this file only: a load also compares them with those of other files")
    return notes


def _reasons(connection: "DuckDBPyConnection", feed: Feed, before: int | None) -> list[Reason]:
    """Why records are rejected, with examples; `before` is what `lines_before` returns."""
    names = ["_raw_line", *(column.name for column in feed.source_columns)]
    examples: dict[str, list[Example]] = {}
    for rule, row, *values in connection.execute(first_records_sql(feed)).fetchall():
        # `amount: minimum` is about one column, `id, line: duplicate_key` about two, `_raw_line: bad_quoting` about
        # none.
        shown = masked(feed, dict(zip(names, values, strict=True)))
        about = {name: _short(shown[name]) for name in rule.rpartition(": ")[0].split(", ") if name in shown}
        examples.setdefault(rule, []).append(Example(row, before + row if before is not None else None, about))
    return [Reason(item.reason, item.records, examples[item.reason]) for item in count_reasons(connection, feed, None)]


def _ignored_by(connection: "DuckDBPyConnection", feed: Feed, before: int | None) -> list[Reason]:
    """The rules by which records are ignored, with the first records; `before` is what `lines_before` returns."""
    found = []
    for rule, (records, sample) in sample_ignored(connection, feed, None).items():
        examples = []
        for row in sample[:EXAMPLES]:
            number = int(row["_row"] or 0)
            values = {name: _short(row[name]) for name in row if name not in ("_file", "_row") and row[name]}
            examples.append(Example(number, before + number if before is not None else None, values))
        found.append(Reason(rule, records, examples))
    return found


def _total_notes(connection: "DuckDBPyConnection", feed: Feed, count: FileCount | None) -> list[str]:
    """The control totals that do not match and would not refuse the file."""
    if count is None or not totals_of(feed):
        return []
    files = [(str(count.batch), count.file, count.version)]
    found = reconcile(connection, feed, ident(raw_table(feed)), files)
    return [total.told for totals in found.values() for total in totals if not total.matches and not total.blocking]


def first_records_sql(feed: Feed) -> str:
    """A query for the first rejected records of each rule in a warehouse with one file.

    Its columns are the rule, `_row`, `_raw_line` and the contract's source columns as text, in the order of `_row`.
    """
    # The records are ranked by their numbers alone and joined with their values afterwards. So few values are read, and
    # a column of the contract is not mistaken for `rule`: one of that name once made `explain` show other records.
    table = ident(rejected_table(feed))
    values = ", ".join(f"rejects.{ident(name)}" for name in ("_raw_line", *(item.name for item in feed.source_columns)))
    return f"""
        WITH reasons AS (SELECT _row, unnest(_reasons) AS _reason FROM {table}),
        rules AS (SELECT _row, {RULE_OF_REASON} AS rule FROM reasons),
        firsts AS (
            SELECT rule, _row FROM rules QUALIFY row_number() OVER (PARTITION BY rule ORDER BY _row) <= {EXAMPLES})
        SELECT firsts.rule, firsts._row, {values} FROM firsts JOIN {table} AS rejects USING (_row)
        ORDER BY firsts._row, firsts.rule"""


def _short(value: str | int | None) -> str | None:
    if value is None:
        return None
    text = visible(str(value)[: VALUE_SHOWN + 1])
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}..."


def found_file(path: Path) -> FoundFile | None:
    """A file, also one of the cold archive, by its absolute path, as DuckDB needs it; None for links, pipes."""
    return find_archived(path.parent.resolve() / path.name)
