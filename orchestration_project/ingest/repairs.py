"""Close rejects: by the records of repair files that correct them, and by what the archive says of waivers.

A repair record must name a reject of its batch, told by the ordinary files alone, so that repairs can't depend on each
other. Each reject is repaired once, by the last record of the newest file (modification time, then name). All other
repair records are rejected, and take no part in keys. Whether a repair record is valid depends on what the batches
before its own hold: only here one batch can reach further than the look-back.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.counts import NOT_REJECTED, REPAIRED_AGAIN, WAIVED_BY, WITHOUT_ID, reject_id
from orchestration_project.ingest.duplicates import find_duplicates
from orchestration_project.ingest.keys import IDENTITY, ages_select
from orchestration_project.ingest.model import Validated
from orchestration_project.ingest.relations import ATTEMPTS, CORRECTED, DUPLICATES, REPAIRABLE
from orchestration_project.storage.archive import read_waivers, waivers_listing
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import REPAIRS, rejected_table, tables_of
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.tables import append, batch_filter, ident, literal
from orchestration_project.warehouse.waivers import TABLE as WAIVERS
from orchestration_project.warehouse.waivers import Row, has_taken, replace_waivers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def take_waivers(connection: "DuckDBPyConnection", archive: Path, feed: Feed) -> list[Batch]:
    """Make the table `waivers` say what the archive says; of several waivers of a reject the first counts.

    They are read when something about their files has changed; over the years they become many.

    Returns:
        The batches with published rejects whose waiver is another one now.

    Raises:
        RepairError: a waiver in the archive can't be read.
    """
    listing = waivers_listing(archive)
    if has_taken(connection, feed.name, listing):
        return []
    # Files in the archive, since a lost warehouse has to come back with them; the table follows.
    rows: dict[str, Row] = {}
    for waiver in read_waivers(archive):
        moment = waiver.waived_at.astimezone(dt.UTC).replace(tzinfo=None)
        for reject in waiver.reject_ids:
            rows.setdefault(reject, (reject, waiver.waived_by, waiver.because, moment))
    changed = replace_waivers(connection, feed.name, list(rows.values()), listing)
    if not changed:
        return []
    batches = connection.execute(
        f"SELECT DISTINCT _batch_date FROM {ident(rejected_table(feed))} WHERE _reject_id IN (SELECT unnest($1))",
        [changed],
    ).fetchall()
    return [batch for (batch,) in batches]


def make_corrected(connection: "DuckDBPyConnection", batch_type: str) -> None:
    """Make an empty `_corrected`."""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {CORRECTED}
            (_batch_date {batch_type}, _file VARCHAR, _file_version VARCHAR, _row BIGINT,
            file VARCHAR, row BIGINT, modified_at TIMESTAMP)"""
    )


def validate_repairs(
    connection: "DuckDBPyConnection",
    feed: Feed,
    validated: Validated,
    look_back: Sequence[Batch],
    window_seconds: float,
    repaired: Sequence[Batch] | None,
) -> None:
    """Add to the reasons of repair records what is wrong with them, and to `_corrected` those with which nothing is.

    Args:
        connection: inside the transaction.
        feed: the contract.
        validated: the records.
        look_back: other batches whose published rows count for keys.
        window_seconds: how far back a batch looks for earlier ones.
        repaired: the batches whose repair records are looked at now; None for a snapshot.
    """
    # By ordinary files alone: a record that only lost its key to a repair would else be repairable in its turn, and
    # repairs would depend on each other.
    find_duplicates(connection, feed, look_back, window_seconds, ordinary=True)
    condition = batch_filter(repaired)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {REPAIRABLE} AS {_repairable(feed, validated, condition)}")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {ATTEMPTS} AS {_attempts(feed, validated, condition)}")
    connection.execute(
        f"""UPDATE {validated.changeable} AS validated
            SET _reasons = list_append(coalesce(_reasons, []::VARCHAR[]), attempts.reason)
            FROM {ATTEMPTS} AS attempts WHERE attempts._rid = validated._rid AND attempts.reason IS NOT NULL"""
    )
    # Added to: each round of `deduplicate` looks at the repairs of the batches that are new in it.
    append(
        connection,
        CORRECTED,
        f"""SELECT _batch_date, _file, _file_version, _row, target.file, target.row, target.modified_at
            FROM {ATTEMPTS} WHERE reason IS NULL""",
    )


def _repairable(feed: Feed, validated: Validated, condition: str) -> str:
    """Query of the rejects of ordinary files: records that break a rule, or whose key another record has."""
    # From the validated records, not from `rejected_x`: the rejects of a file that is corrected in the same load are
    # none any more, and repairs of them are void.
    return f"""
        WITH ages AS ({ages_select(feed)})
        SELECT _batch_date, {reject_id(feed)} AS reject_id, _file AS file, _row AS row, _modified_at AS modified_at
        FROM {validated.relation} LEFT JOIN ages USING (_batch_date, _file, _file_version)
        WHERE {condition} AND NOT {of_repairs(feed.name)}
        AND (_reasons IS NOT NULL OR _rid IN (SELECT _rid FROM {DUPLICATES}))"""


def _attempts(feed: Feed, validated: Validated, condition: str) -> str:
    """Query of the repair records with what is wrong with them, NULL if nothing is, and the record they correct.

    Example, where `r1` is an open reject of the batch and `r9` is none:

        newest file, row 1  _reject_id = r1   reason = NULL, target = the record r1
        older file,  row 1  _reject_id = r1   _reject_id: unique (kept: newest file row 1)
        older file,  row 2  _reject_id = r9   _reject_id: not_rejected
        older file,  row 3  _reject_id empty  _reject_id: required
    """
    # What a line that could not be split has for an id is no id. A row that was left empty is blank: it was not
    # validated, so it attempts nothing, and its reject stays open.
    return f"""
        WITH named AS (
            SELECT _rid, {REPAIRS} FROM {validated.records}
            WHERE {condition} AND {REPAIRS} IS NOT NULL AND _parse_error IS NULL),
        validated AS (SELECT _rid, {IDENTITY} FROM {validated.relation}),
        ages AS ({ages_select(feed)}),
        attempts AS (
            SELECT validated.*, {REPAIRS}, _modified_at,
                row_number() OVER newest AS place, first_value({{'file': _file, 'row': _row}}) OVER newest AS kept
            FROM validated JOIN named USING (_rid) LEFT JOIN ages USING (_batch_date, _file, _file_version)
            WINDOW newest AS (
                PARTITION BY _batch_date, {REPAIRS} ORDER BY _modified_at DESC, _file DESC, _row DESC)),
        targets AS (
            SELECT _batch_date, reject_id AS {REPAIRS}, repairable AS target FROM {REPAIRABLE} AS repairable)
        SELECT {IDENTITY}, _rid, target, CASE WHEN {REPAIRS} = '' THEN {literal(WITHOUT_ID)}
            WHEN target IS NULL THEN {literal(NOT_REJECTED)}
            WHEN place > 1 THEN {literal(REPAIRED_AGAIN)} || ' (kept: ' || kept.file || ' row ' || kept.row || ')'
            END AS reason
        FROM attempts LEFT JOIN targets USING (_batch_date, {REPAIRS})"""


def resolve(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> None:
    """Write `_resolved_by` of the published rejects of some batches (None: all).

    It is the repair file whose record was cleaned in the reject's place, else the waiver, else NULL; an attempt gets
    that of the reject which it was meant to correct.
    """
    rejected, condition = ident(rejected_table(feed)), batch_filter(batches)
    connection.execute(
        f"""UPDATE {rejected} SET _resolved_by = closed.resolver FROM ({_resolvers(feed, condition)}) closed
            WHERE _batch_date = closed.batch AND _reject_id = closed.id AND {condition}
            AND _resolved_by IS DISTINCT FROM closed.resolver"""
    )


def _resolvers(feed: Feed, condition: str) -> str:
    """Query of the rejects (`batch`, `id`) and what closes each of them (`resolver`, NULL for an open one).

    Example, where the record that `b.csv` has for `r1` was cleaned, and its record for `r2` was rejected as `a2`:

        r1   repaired              b.csv
        r2   waived by Kim         waived by Kim: too old
        a2   an attempt on r2      waived by Kim: too old
        r3                         NULL
    """
    # `rejected_x` does not say which reject a repair record names; only its raw record does. An attempt is a reject
    # itself, so the rejects are joined with themselves to find the one that it was meant for.
    raw, cleaned, rejected = map(ident, tables_of(feed))
    return f"""
        WITH attempts AS (SELECT {IDENTITY}, {REPAIRS} FROM {raw} WHERE {condition} AND {REPAIRS} IS NOT NULL),
        cleaned AS (SELECT {IDENTITY} FROM {cleaned} WHERE {condition}),
        repaired AS (
            SELECT _batch_date, {REPAIRS} AS _reject_id, _file AS resolver
            FROM attempts SEMI JOIN cleaned USING ({IDENTITY})),
        waived AS (
            SELECT reject_id AS _reject_id, {literal(WAIVED_BY)} || waived_by || ': ' || because AS resolver
            FROM {WAIVERS} WHERE feed = {literal(feed.name)}),
        rejects AS (SELECT {IDENTITY}, _reject_id FROM {rejected} WHERE {condition}),
        own AS (
            SELECT {IDENTITY}, _reject_id, coalesce(repaired.resolver, waived.resolver) AS resolver
            FROM rejects LEFT JOIN repaired USING (_batch_date, _reject_id) LEFT JOIN waived USING (_reject_id))
        SELECT own._batch_date AS batch, own._reject_id AS id, coalesce(target.resolver, own.resolver) AS resolver
        FROM own LEFT JOIN attempts USING ({IDENTITY})
        LEFT JOIN own target ON target._batch_date = own._batch_date AND target._reject_id = attempts.{REPAIRS}"""
