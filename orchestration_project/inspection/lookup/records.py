"""What became of one record of a loaded file: its row in each of the feed's tables, and the records that decided it.

Belongs here: the questions to the tables of one feed. Which file is meant is in `versions`, which rows of marts the
record feeds in `mart_rows`.

A query over a contract's columns adds names that begin with `_` only: a column may have any other name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import MASK, Feed
from orchestration_project.ingest.counts import REPAIRED_AGAIN, WAIVED_BY
from orchestration_project.ingest.keys import IDENTITY, Key, keys_of
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.ingest.values import blank, text_of, value_of
from orchestration_project.inspection.lookup.model import (
    Duplicate,
    Record,
    RecordPlace,
    RecordState,
    Reject,
    Resolution,
    Values,
    Waived,
)
from orchestration_project.inspection.rule_checks import hidden_columns
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import IGNORED, REPAIRS, cleaned_table, raw_table, rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.tables import batch_filter, columns_of, ident, literal, literals
from orchestration_project.warehouse.waivers import COLUMNS as WAIVER_COLUMNS
from orchestration_project.warehouse.waivers import TABLE as WAIVERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

READ = {WAIVERS: WAIVER_COLUMNS}
"""The tables of all feeds that are asked and may be missing."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells a record from all others of its feed: the values of its platform columns."""

    batch: Batch
    file: str
    version: str
    row: int

    @property
    def condition(self) -> str:
        """A SQL condition on the rows of the record; the batch comes first, so that DuckDB skips the other ones."""
        return f"{self.of_file} AND _row = {self.row:d}"

    @property
    def of_file(self) -> str:
        """A SQL condition on the rows of all records of the file."""
        named = f"_file = {literal(self.file)} AND _file_version = {literal(self.version)}"
        return f"{batch_filter([self.batch])} AND {named}"

    def place(self, source: ConfiguredFeed) -> RecordPlace:
        """The record as it is told."""
        return RecordPlace(self.file, self.row, self.version, source.options.batching.key(self.batch))


def record_of(connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity) -> Record:
    """What became of a record, without the marts that it feeds.

    Args:
        connection: to a warehouse that has the feed's tables and those of `READ`.
        source: the feed.
        identity: the record; its file is loaded.
    """
    feed, place, condition = source.feed, identity.place(source), identity.condition
    text = [column.name for column in feed.source_columns]
    raw = _row(connection, raw_table(feed), [*text, "_rescued", "_raw_line", REPAIRS, IGNORED], condition)
    if raw is None:
        return Record(place, RecordState.MISSING)
    names = [column.name for column in feed.columns]
    cleaned, corrects = _row(connection, cleaned_table(feed), names, condition), raw[REPAIRS]
    reject = _reject(connection, source, identity, corrects)
    state = _state(connection, feed, condition, cleaned is not None, reject is not None)
    if state is RecordState.CONTRADICTORY and raw[IGNORED] and not (cleaned or reject):
        state = RecordState.IGNORED
    if state is RecordState.CONTRADICTORY and _is_kept(connection, source, identity):
        state = RecordState.KEPT
    shown = masked_values(feed, raw)
    return Record(
        place,
        state,
        raw={name: shown[name] for name in text},
        unexpected=shown["_rescued"],
        raw_line=shown["_raw_line"],
        ignored_by=raw[IGNORED],
        cleaned=None if cleaned is None else masked_values(feed, cleaned),
        reject=reject,
        corrects=_corrected(connection, source, identity, corrects) if corrects else None,
    )


def _row(
    connection: "DuckDBPyConnection", table: str, names: Sequence[str], condition: str
) -> dict[str, str | None] | None:
    """The row of a record as text; None for a column that the table does not have yet, or for no row."""
    present = columns_of(connection, table)
    listed = ", ".join(f"{ident(name)}::VARCHAR" if name in present else "NULL" for name in names)
    found = connection.execute(f"SELECT {listed} FROM {ident(table)} WHERE {condition} LIMIT 1").fetchone()
    return None if found is None else dict(zip(names, found, strict=True))


def _state(
    connection: "DuckDBPyConnection", feed: Feed, condition: str, is_cleaned: bool, is_rejected: bool
) -> RecordState:
    if is_cleaned != is_rejected:
        return RecordState.CLEANED if is_cleaned else RecordState.REJECTED
    needed = {column.name for column in feed.source_columns} | {"_rescued", "_parse_error"}
    if not is_cleaned and needed <= columns_of(connection, raw_table(feed)).keys():
        (is_blank,) = connection.execute(
            f"SELECT {blank(feed)} FROM {ident(raw_table(feed))} WHERE {condition} LIMIT 1"
        ).fetchone() or (False,)
        if is_blank:
            return RecordState.BLANK
    return RecordState.CONTRADICTORY


def _is_kept(connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity) -> bool:
    """Whether the record is one of an earlier snapshot, which the feed's history has."""
    return (
        connection.execute(
            f"SELECT 1 FROM {LEDGER} WHERE feed = $1 AND batch = $2 AND file = $3 AND version = $4 AND status = 'kept'",
            [source.name, source.options.batching.key(identity.batch), identity.file, identity.version],
        ).fetchone()
        is not None
    )


def _reject(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity, corrects: str | None
) -> Reject | None:
    """Why a record is rejected; `corrects` is the reject that it names as a record of a repair file."""
    found = connection.execute(
        f"SELECT _reject_id, _reasons, _resolved_by FROM {ident(rejected_table(source.feed))}"
        f" WHERE {identity.condition} LIMIT 1"
    ).fetchone()
    if found is None:
        return None
    reject_id, reasons, resolved_by = found
    # A failed repair is closed with the reject that it was meant to correct.
    ids = [reject_id, *([corrects] if corrects else [])]
    waived = repaired_by = None
    if resolved_by is not None:
        repaired_by = _repair(connection, source, identity.batch, ids, resolved_by)
        waived = None if repaired_by else _waiver(connection, source.name, ids)
    closed = Resolution.WAIVED if str(resolved_by).startswith(WAIVED_BY) and not repaired_by else Resolution.REPAIRED
    return Reject(
        reject_id,
        list(reasons or ()),
        [*_duplicates(connection, source, identity, reasons or ())],
        Resolution.OPEN if resolved_by is None else closed,
        repaired_by,
        waived,
    )


def _repair(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, batch: Batch, ids: Sequence[str], file: str
) -> RecordPlace | None:
    """The record of a repair file that was cleaned in the place of one of some rejects."""
    raw, cleaned = ident(raw_table(source.feed)), ident(cleaned_table(source.feed))
    chosen = f"{batch_filter([batch])} AND _file = {literal(file)}"
    found = connection.execute(
        f"""WITH named AS (SELECT {IDENTITY} FROM {raw} WHERE {chosen} AND {REPAIRS} IN ({literals(ids)})),
            published AS (SELECT {IDENTITY} FROM {cleaned} WHERE {chosen})
            SELECT _file, _file_version, _row FROM named SEMI JOIN published USING ({IDENTITY}) LIMIT 1"""
    ).fetchone()
    return Identity(batch, *found).place(source) if found else None


def _waiver(connection: "DuckDBPyConnection", feed: str, ids: Sequence[str]) -> Waived | None:
    found = connection.execute(
        f"""SELECT waived_by, because, waived_at::VARCHAR FROM {WAIVERS}
            WHERE feed = {literal(feed)} AND reject_id IN ({literals(ids)}) LIMIT 1"""
    ).fetchone()
    return Waived(*found) if found else None


def _corrected(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity, reject_id: str
) -> RecordPlace | None:
    """The reject that a record of a repair file names; None if its batch has no such reject."""
    found = connection.execute(
        f"""SELECT _file, _file_version, _row FROM {ident(rejected_table(source.feed))}
            WHERE {batch_filter([identity.batch])} AND _reject_id = {literal(reject_id)} LIMIT 1"""
    ).fetchone()
    return Identity(identity.batch, *found).place(source) if found else None


def _duplicates(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity, reasons: Sequence[str]
) -> Iterator[Duplicate]:
    again = Key((REPAIRED_AGAIN.partition(":")[0],), REPAIRED_AGAIN.partition(": ")[2])
    for reason in reasons:
        for key in (*keys_of(source.feed), again):
            if named := _kept_in(reason, key):
                found = _kept(connection, source, identity, None if key is again else key, *named)
                kept, state = found or (None, None)
                yield Duplicate(reason, key.columns, kept.place(source) if kept else None, state)


def _kept_in(reason: str, key: Key) -> tuple[str, int] | None:
    """File and number of the record that a reason names as the one that has the key: `id: unique (kept: a.csv row 3)`.

    The file's name may hold any of these words, so the number is looked for from the end.
    """
    begin = f"{key.reason} (kept: "
    if not reason.startswith(begin) or not reason.endswith(")"):
        return None
    file, _, row = reason[len(begin) : -1].rpartition(" row ")
    return (file, int(row)) if row.isdecimal() else None


def _kept(
    connection: "DuckDBPyConnection", source: ConfiguredFeed, identity: Identity, key: Key | None, file: str, row: int
) -> tuple[Identity, RecordState] | None:
    """The record that has the key of a rejected one, and where it is.

    Several batches may have a file of its name; then the one with the same key is meant, in the batch or the nearest
    one before it. Without a key it is a record of the same batch.
    """
    feed = source.feed
    for table, state in ((cleaned_table(feed), RecordState.CLEANED), (rejected_table(feed), RecordState.REJECTED)):
        chosen = f"_file = {literal(file)} AND _row = {row:d}"
        if key is None:
            chosen += f" AND {batch_filter([identity.batch])}"
            own, same = "SELECT 1", "true"
        else:
            own = f"SELECT ({_typed(feed, key)}) FROM {ident(rejected_table(feed))} WHERE {identity.condition}"
            values = key.listed if state is RecordState.CLEANED else _typed(feed, key)
            same = f"({values}) IS NOT DISTINCT FROM (FROM _own)"
        batch = literal(str(identity.batch))
        found = connection.execute(
            f"""WITH _own AS ({own})
                SELECT _batch_date, _file, _file_version, _row FROM {ident(table)} WHERE {chosen} AND {same}
                ORDER BY _batch_date > {batch}, abs(epoch(_batch_date::TIMESTAMP) - epoch({batch}::TIMESTAMP))
                LIMIT 1"""
        ).fetchone()
        if found:
            return Identity(*found), state
    return None


def _typed(feed: Feed, key: Key) -> str:
    """SQL for a key over a rejected row, which has text only: as a load reads it."""
    columns = {column.name: column for column in feed.source_columns}
    values = [value_of(columns[name], text_of(columns[name], ident(name))) for name in key.columns]
    return ", ".join(values)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a record is, why it is rejected, and what closed that (as `_resolved_by` has it)."""

    state: RecordState
    reasons: Sequence[str] = ()
    resolved_by: str | None = None


def states_of(
    connection: "DuckDBPyConnection", feed: Feed, identities: Sequence[Identity]
) -> dict[Identity, Whereabouts]:
    """Where each of some records is, of those that are cleaned or rejected.

    The numbers and names stand in the query as a condition on each table: a join would read whole batches into memory.
    """
    if not identities:
        return {}
    batches = batch_filter(dict.fromkeys(identity.batch for identity in identities))
    rows = ", ".join(dict.fromkeys(f"{identity.row:d}" for identity in identities))
    files = literals(dict.fromkeys(identity.file for identity in identities))
    chosen = f"{batches} AND _row IN ({rows}) AND _file IN ({files})"
    found = connection.execute(
        f"""SELECT {IDENTITY}, NULL::VARCHAR[], NULL::VARCHAR FROM {ident(cleaned_table(feed))} WHERE {chosen}
            UNION ALL
            SELECT {IDENTITY}, coalesce(_reasons, []), _resolved_by FROM {ident(rejected_table(feed))} WHERE {chosen}"""
    ).fetchall()
    return {
        Identity(*origin): Whereabouts(RecordState.CLEANED)
        if reasons is None
        else Whereabouts(RecordState.REJECTED, reasons, closed)
        for *origin, reasons, closed in found
    }


def masked_values(feed: Feed, values: Values) -> dict[str, str | None]:
    """Values of a feed's tables with the personal ones masked, and with them raw text, which may hold such values."""
    hidden = hidden_columns(feed)
    return {name: MASK if name in hidden and value is not None else value for name, value in values.items()}
