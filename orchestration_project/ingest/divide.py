"""Divide files that span batches: each staged record gets the batch that its `batch_column` tells.

    delivered on 2024-02-01, daily, start_date 2024-01-01
    sold_on 2024-01-30 23:10   ->  batch 2024-01-30
    sold_on 2023-12-31         ->  batch 2024-02-01, rejected by `sold_on: batch`: before start_date
    sold_on 2024-02-02         ->  batch 2024-02-01, rejected by `sold_on: batch`: after the day of delivery
    sold_on (empty)            ->  batch 2024-02-01, rejected by `sold_on: batch`

The day of delivery is the limit, never the present moment: so a rebuild in a year divides a file as today's load did.

Belongs here: the SQL of a record's batch, and the relations of a load that have it. What the warehouse notes of it is
in `warehouse.file_batches`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.division import Division
from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.ingest.conditions import Condition
from orchestration_project.ingest.relations import DIVIDED, PARTS
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.storage.batches import is_repair
from orchestration_project.warehouse.file_batches import parts_select
from orchestration_project.warehouse.tables import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RULE = "batch"
"""The rule that a record breaks whose batch can't be told."""


def divide(connection: "DuckDBPyConnection", feed: Feed, relation: str, files: Sequence[ReadyFile]) -> str:
    """The relation that shows staged records in their batches; the same one for a feed whose files are not divided.

    Args:
        connection: with the staged records.
        feed: the contract.
        relation: shows the staged records, each in the batch of its delivery.
        files: what was staged. A repair file is for one batch, which its name tells: it is not divided.
    """
    if feed.division is None:
        return relation
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {DIVIDED} AS {_divided(feed, feed.division, relation, files)}")
    batch = _batch(feed, feed.division, files)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {PARTS} AS
        SELECT _batch_date AS _delivered, {batch} AS _batch_date, _file::VARCHAR AS _file,
            _file_version::VARCHAR AS _file_version, count(*) AS records
        FROM {relation} GROUP BY ALL"""
    )
    return DIVIDED


def _divided(feed: Feed, division: Division, relation: str, files: Sequence[ReadyFile]) -> str:
    return f"SELECT * REPLACE ({_batch(feed, division, files)} AS _batch_date) FROM {relation}"


def _batch(feed: Feed, division: Division, files: Sequence[ReadyFile]) -> str:
    """SQL over staged records: the batch that a record tells, else that of its delivery."""
    column = _column(feed, division)
    told = batch_of(division, column, value_of(column, text_of(column, ident(column.name))))
    within = f"{told} BETWEEN DATE {literal(str(division.start))} AND _batch_date"
    repairs = sorted({file.name for file in files if is_repair(file.name)})
    divided = f" AND _file NOT IN ({literals(repairs)})" if repairs else ""
    return f"CASE WHEN {within}{divided} THEN {told} ELSE _batch_date END"


def _column(feed: Feed, division: Division) -> Column:
    return next(column for column in feed.columns if column.name == division.column)


def batch_of(division: Division, column: Column, value: str) -> str:
    """SQL for the batch that a value of the column is in, a DATE; NULL for no value, and for infinity."""
    local = value
    if column.sql_type == "TIMESTAMPTZ":
        local = f"timezone({literal(division.timezone)}, {value})"
    # TRY: the day of a moment at the end of time is none in every zone.
    return f"TRY(date_trunc({literal(division.unit)}, ({local})::DATE)::DATE)"


def division_conditions(feed: Feed) -> Iterator[Condition]:
    """What a record of a divided file can break: it is in another batch than the one that it tells.

    That is so for each record whose batch can't be told, and for one of a repair file that is for another batch.
    """
    if feed.division:
        column = _column(feed, feed.division)
        told = batch_of(feed.division, column, ident(column.name))
        yield Condition(f"{column.name}: {RULE}", f"{told} IS DISTINCT FROM _batch_date")


def by_delivery(feed: Feed, relation: str) -> str:
    """The same records, each under the batch of its delivery: for questions about files as wholes."""
    if feed.division is None:
        return relation
    return f"""(
        SELECT _records.* REPLACE (coalesce(_of._delivered, _records._batch_date) AS _batch_date)
        FROM {relation} AS _records LEFT JOIN (
            SELECT _file, _file_version, _delivered FROM {PARTS}
            UNION SELECT _file, _file_version, delivered::DATE FROM ({parts_select(feed.name)})) AS _of
        ON _of._file = _records._file AND _of._file_version = _records._file_version)"""
