"""Which loaded files have to be read again: their rows in the raw table are not what reading would give now.

Belongs here: the comparison of the raw table with the ledger. Where files are divided into batches, `file_batches` says
how many rows are in which.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestration_project.warehouse.file_batches import TABLE as PARTS
from orchestration_project.warehouse.ledger import BATCH_DATE, IS_IN_RAW, TABLE, Entry
from orchestration_project.warehouse.ledger_queries import ENTRY, entries_by
from orchestration_project.warehouse.tables import batch_filter, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def unfaithful_entries(
    connection: "DuckDBPyConnection",
    feed: str,
    raw: str,
    batches: Mapping[str, object] | None,
    read_as: str,
    consecutive: bool,
    divided: bool = False,
) -> list[Entry]:
    """The loaded files that have to be read again: their rows in the raw table are not what reading would give now.

    Either they were read under another contract, or the raw table does not have each of their records once, under their
    batch.

    Args:
        connection: to the warehouse.
        feed: the feed's name.
        raw: its raw table.
        batches: by partition key, the value of `_batch_date`; None for all batches.
        read_as: identifies what of the contract decides how files are read.
        consecutive: whether records are numbered from 1 without gaps; those of workbooks have the numbers of rows.
        divided: whether each file has rows in the batches that `file_batches` says; those count that were delivered in
            one of `batches`, or have rows there.
    """
    condition = "true" if batches is None else batch_filter(batches.values())
    query = _divided_query(raw, consecutive) if divided else _unfaithful_query(raw, condition, consecutive)
    return entries_by(
        connection,
        query,
        {
            "feed": feed,
            "all": batches is None,
            "keys": list(batches or ()),
            "read_as": read_as,
        },
    )


def _measured(consecutive: bool) -> tuple[str, str]:
    """Aggregates over the numbers of a file's rows, and a condition on them that holds if these are not right.

    Row numbers have to be 1 to n, each once: their sum and the sum of their squares say it. So one pass over the raw
    table is enough, without a set of all rows. Where they are not consecutive there has to be one.
    """
    if not consecutive:
        return "count(DISTINCT _row) AS numbers", "numbers <> rows"
    # HUGEINT in the middle of a query is DuckDB's own affair; only in a table of ours it would do harm. A BIGINT
    # overflows with the squares of 3 million numbers.
    odd = """sum <> records * (records + 1) // 2
                OR squares <> records::HUGEINT * (records + 1) * (2 * records + 1) // 6"""
    return "sum(_row) AS sum, sum(_row::HUGEINT * _row) AS squares", odd


def _unfaithful_query(raw: str, condition: str, consecutive: bool) -> str:
    """The files are looked up by name and version at the end.

    Rows that were written from outside could give a file several batches with one key.
    """
    measures, odd = _measured(consecutive)
    return f"""WITH counted AS (
            SELECT _batch_date, _file, _file_version, count(*) AS rows, {measures}
            FROM {ident(raw)} WHERE {condition} GROUP BY ALL),
        loaded AS (
            FROM {TABLE} WHERE feed = $feed AND {IS_IN_RAW} AND ($all OR batch IN (SELECT unnest($keys)))),
        unfaithful AS (
            SELECT (loaded.batch, file, version) FROM loaded LEFT JOIN counted
            ON file = _file AND version = _file_version AND _batch_date = {BATCH_DATE}
            WHERE coalesce(rows, 0) IS DISTINCT FROM records OR read_as IS DISTINCT FROM $read_as
                OR {odd})
        SELECT {ENTRY} FROM {TABLE} WHERE feed = $feed AND (batch, file, version) IN (FROM unfaithful)"""


def _divided_query(raw: str, consecutive: bool) -> str:
    """The same where files are divided: a file as a whole has its records, and each batch as many as was noted."""
    measures, odd = _measured(consecutive)
    return f"""WITH parts AS (FROM {PARTS} WHERE feed = $feed),
        loaded AS (
            FROM {TABLE} WHERE feed = $feed AND {IS_IN_RAW} AND ($all OR batch IN (SELECT unnest($keys))
                OR (batch, file, version) IN (
                    SELECT (delivered, file, version) FROM parts WHERE batch IN (SELECT unnest($keys))))),
        -- Its own columns first: a contract's may be called `file` or `version`, too.
        present AS (SELECT _batch_date, _file, _file_version, _row FROM {ident(raw)}),
        concerned AS (FROM present SEMI JOIN loaded ON file = _file AND version = _file_version),
        counted AS (SELECT _file, _file_version, count(*) AS rows, {measures} FROM concerned GROUP BY ALL),
        by_batch AS (SELECT _batch_date, _file, _file_version, count(*) AS rows FROM concerned GROUP BY ALL),
        noted AS (
            SELECT parts.batch_date, file, version, parts.records
            FROM parts SEMI JOIN loaded ON loaded.batch = delivered AND loaded.file = parts.file
                AND loaded.version = parts.version),
        misplaced AS (
            SELECT (coalesce(file, _file), coalesce(version, _file_version)) FROM by_batch FULL JOIN noted
            ON file = _file AND version = _file_version AND _batch_date = batch_date
            WHERE rows IS DISTINCT FROM records),
        unfaithful AS (
            SELECT (batch, file, version) FROM loaded LEFT JOIN counted ON file = _file AND version = _file_version
            WHERE coalesce(rows, 0) IS DISTINCT FROM records OR read_as IS DISTINCT FROM $read_as
                OR (file, version) IN (FROM misplaced) OR {odd})
        SELECT {ENTRY} FROM {TABLE} WHERE feed = $feed AND (batch, file, version) IN (FROM unfaithful)"""
