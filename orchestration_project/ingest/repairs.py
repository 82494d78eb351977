"""Judge the records of repair files, and close the rejects that they correct.

A repair record must name a reject of its batch, told by the ordinary files alone, so that repairs can't depend on each
other. Each reject is repaired once, by the last record of the newest file (modification time, then name). All other
repair records are rejected, and take no part in keys.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.keys import find_losers
from orchestration_project.ingest.rejects import NOT_REJECTED, REPAIRED_AGAIN, WAIVED_BY, WITHOUT_ID, reject_id
from orchestration_project.ingest.relations import RECORDS
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_table, raw_table, rejected_table
from orchestration_project.warehouse.ledger import TABLE as LEDGER
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.quoting import ident, literal
from orchestration_project.warehouse.tables import append, batch_filter
from orchestration_project.warehouse.waivers import TABLE as WAIVERS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORD = "_batch_date, _file, _file_version, _row"


def no_places(connection: "DuckDBPyConnection") -> None:
    """Empty `_places`: for each valid repair record the record that it corrects, and when its file was modified."""
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _places
            (_file VARCHAR, _file_version VARCHAR, _row BIGINT, file VARCHAR, row BIGINT, modified_at TIMESTAMP)"""
    )


def judge_repairs(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batches: Sequence[Batch] | None,
    look_back: Sequence[Batch],
    window_seconds: float,
    repaired: Sequence[Batch] | None,
) -> None:
    """Add to `_judged` what is wrong with repair records, and to `_places` those with which nothing is.

    Args:
        connection: inside a transaction, `_judged` filled.
        feed: the contract.
        batches: the batches in `_judged`; None for a snapshot.
        look_back: other batches whose published rows count for keys.
        window_seconds: how far back a batch looks for earlier ones.
        repaired: those of the batches whose repair records are to be judged now; None for a snapshot.
    """
    find_losers(connection, feed, batches, look_back, window_seconds, among=f"NOT {of_repairs(feed.name)}")
    condition = batch_filter(repaired)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _targets AS
            SELECT _batch_date, {reject_id(feed)} AS reject_id, _file AS file, _row AS row, modified_at
            FROM _judged LEFT JOIN ({_ages(feed)}) USING (_file, _file_version)
            WHERE {condition} AND NOT {of_repairs(feed.name)}
            AND (_reasons IS NOT NULL OR _rid IN (SELECT _rid FROM _losers))"""
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _attempts AS {_attempts(feed, condition)}")
    connection.execute(
        """UPDATE _judged SET _reasons = list_append(coalesce(_reasons, []::VARCHAR[]), reason)
            FROM _attempts WHERE _attempts._rid = _judged._rid AND reason IS NOT NULL"""
    )
    append(
        connection,
        "_places",
        """SELECT _file, _file_version, _row, target.file, target.row, target.modified_at
            FROM _attempts WHERE reason IS NULL""",
    )


def _attempts(feed: Feed, condition: str) -> str:
    """Query of the repair records with what is wrong with them, NULL if nothing is, and the record they correct."""
    named = f"SELECT _rid, _repairs FROM {RECORDS} WHERE {condition}"
    records = f"""SELECT judged.*, _repairs, modified_at,
            row_number() OVER newest AS place, first_value({{'file': _file, 'row': _row}}) OVER newest AS kept
        FROM (SELECT _rid, {RECORD} FROM _judged) judged
        JOIN ({named} AND _repairs IS NOT NULL AND _parse_error IS NULL) USING (_rid)
        LEFT JOIN ({_ages(feed)}) USING (_file, _file_version)
        WINDOW newest AS (PARTITION BY _batch_date, _repairs ORDER BY modified_at DESC, _file DESC, _row DESC)"""
    return f"""SELECT {RECORD}, _rid, target, CASE WHEN _repairs = '' THEN {literal(WITHOUT_ID)}
            WHEN target IS NULL THEN {literal(NOT_REJECTED)}
            WHEN place > 1 THEN {literal(REPAIRED_AGAIN)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
            END AS reason
        FROM ({records}) LEFT JOIN (SELECT _batch_date, reject_id AS _repairs, _targets AS target FROM _targets)
        USING (_batch_date, _repairs)"""


def place_published(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch]) -> None:
    """Add the published repair records of some batches to `_places`."""
    raw, rejected = ident(raw_table(feed)), ident(rejected_table(feed))
    append(
        connection,
        "_places",
        f"""SELECT raw._file, raw._file_version, raw._row, target._file, target._row, modified_at
            FROM (FROM {raw} WHERE {batch_filter(batches)} AND _repairs IS NOT NULL) raw
            JOIN (FROM {rejected} WHERE {batch_filter(batches)}) target
            ON raw._repairs = target._reject_id AND raw._batch_date = target._batch_date
            LEFT JOIN ({_ages(feed)}) age ON age._file = target._file AND age._file_version = target._file_version""",
    )


def resolve(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> None:
    """Write `_resolved_by` of the published rejects of some batches (None: all).

    It is the repair file whose record was cleaned in the reject's place, else the waiver, else NULL; an attempt gets
    that of the reject which it was meant to correct.
    """
    raw, cleaned, rejected = (ident(table(feed)) for table in (raw_table, cleaned_table, rejected_table))
    condition = batch_filter(batches)
    attempts = f"SELECT {RECORD}, _repairs FROM {raw} WHERE {condition} AND _repairs IS NOT NULL"
    connection.execute(
        f"""UPDATE {rejected} SET _resolved_by = closed.resolver FROM (
            WITH repaired AS (
                SELECT _batch_date, _repairs AS _reject_id, _file AS resolver
                FROM ({attempts}) SEMI JOIN (SELECT {RECORD} FROM {cleaned} WHERE {condition}) USING ({RECORD})),
            waived AS (
                SELECT reject_id AS _reject_id, {literal(WAIVED_BY)} || waived_by || ': ' || because AS resolver
                FROM {WAIVERS} WHERE feed = {literal(feed.name)}),
            own AS (
                SELECT {RECORD}, _reject_id, coalesce(repaired.resolver, waived.resolver) AS resolver
                FROM (SELECT {RECORD}, _reject_id FROM {rejected} WHERE {condition})
                LEFT JOIN repaired USING (_batch_date, _reject_id) LEFT JOIN waived USING (_reject_id))
            SELECT own._reject_id AS id, coalesce(target.resolver, own.resolver) AS resolver
            FROM own LEFT JOIN ({attempts}) attempt USING ({RECORD}) LEFT JOIN own target
            ON target._batch_date = own._batch_date AND target._reject_id = attempt._repairs) closed
            WHERE _reject_id = closed.id AND {condition} AND _resolved_by IS DISTINCT FROM closed.resolver"""
    )


def _ages(feed: Feed) -> str:
    return (
        f"SELECT file AS _file, version AS _file_version, modified_at FROM {LEDGER} WHERE feed = {literal(feed.name)}"
    )
