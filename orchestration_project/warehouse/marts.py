"""Marts: tables that one SELECT makes of other tables, batch by batch where one of these has batches.

Belongs here: which batches of a mart are out of date, how they are made again, whether its totals are those of an
input. What a mart is, is in `mart_definition`; what Dagster shows of it in `components.sql_table`.

A mart `x` with batches has a table `x_built` beside it: for each batch what it was made from (`content`) and its sums
at that time. So a batch whose inputs have changed, or that somebody wrote to, is found without reading the inputs.

    published_batches           x_built                        x
    2024-01-15  content 7       2024-01-15  content 7          2024-01-15: up to date
    2024-01-16  content 9       2024-01-16  content 8          2024-01-16: made from other rows, out of date
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from orchestration_project.warehouse import published
from orchestration_project.warehouse.mart_definition import Mart
from orchestration_project.warehouse.owners import claim
from orchestration_project.warehouse.published import CONTENT_TYPE
from orchestration_project.warehouse.tables import (
    BATCH,
    batch_filter,
    ensure_table,
    exists,
    ident,
    idents,
    literal,
    replace_batches,
    stand_in,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def make_tables(connection: "DuckDBPyConnection", mart: Mart) -> None:
    """Make sure that a mart's tables exist with the types of today, inside a transaction that writes.

    Where nothing tells what batches were made from, as in a warehouse of an older release, those whose totals are those
    of the input are taken for up to date.
    """
    # A mart may be made before the first load of its inputs.
    stand_in(connection, mart.inputs)
    claim(connection, mart.name, mart.name, platform=True)
    ensure_table(connection, mart.name, mart.columns)
    if mart.batches_of is None:
        return
    ensure_table(connection, published.TABLE, published.COLUMNS)
    for table in sorted(mart.listed):
        published.ensure_published(connection, table)
    new = not exists(connection, mart.built)
    ensure_table(connection, mart.built, mart.built_columns)
    if new:
        _take_as_built(connection, mart)


def stand_in_tables(connection: "DuckDBPyConnection", mart: Mart) -> None:
    """Let what is asked of a mart be answered on a read-only connection, whatever tables are missing.

    It is as if `make_tables` had been called, but only this connection sees what it would have written.
    """
    stand_in(connection, {**mart.inputs, mart.name: mart.columns})
    if mart.batches_of is None:
        return
    stand_in(connection, {published.TABLE: published.COLUMNS})
    if unlisted := [table for table in sorted(mart.listed) if published.is_unlisted(connection, table)]:
        # A temporary table hides the warehouse's one of the same name; two marts may share a connection.
        connection.execute(f"CREATE TEMP TABLE IF NOT EXISTS {published.TABLE} AS FROM {published.TABLE}")
        for table in unlisted:
            published.note_published(connection, table, None)
    if not exists(connection, mart.built):
        stand_in(connection, {mart.built: mart.built_columns})
        _take_as_built(connection, mart)


def _take_as_built(connection: "DuckDBPyConnection", mart: Mart) -> None:
    """List as made from today's inputs what an older release made, where totals can tell that it is right."""
    # Else the upgrade would make years of batches again. Without totals nothing can tell, so all are made again.
    if mart.reconciliation is not None:
        right = f"NOT ({batch_filter(differing_batches(connection, mart))})"
        replace_batches(connection, mart.built, None, f"{_built_select(mart)} WHERE {right}")


def replace(connection: "DuckDBPyConnection", mart: Mart, batches: Iterable[dt.date]) -> dict[dt.date, int]:
    """Make batches of a mart again: those given, and all others that are out of date.

    A load may have published other batches again than the ones it was asked for: because of a key they share, or
    because a file's bytes came for an earlier batch.

    Returns:
        The number of rows of each batch that was made.
    """
    make_tables(connection, mart)
    made = sorted({*batches, *outdated_batches(connection, mart)})
    replace_batches(connection, mart.name, made, select_of(mart, made))
    # After the rows, whose sums it keeps, and in their transaction: a kill leaves both as they were.
    replace_batches(connection, mart.built, made, f"{_built_select(mart)} WHERE {batch_filter(made)}")
    rows = connection.execute(
        f"SELECT {BATCH}, count(*) FROM {ident(mart.name)} WHERE {batch_filter(made)} GROUP BY 1"
    ).fetchall()
    return dict.fromkeys(made, 0) | dict(rows)


def replace_whole(connection: "DuckDBPyConnection", mart: Mart) -> int:
    """Make a mart that has no batches again; returns the number of its rows."""
    make_tables(connection, mart)
    return replace_batches(connection, mart.name, None, select_of(mart, None))


def select_of(mart: Mart, batches: Sequence[dt.date] | None) -> str:
    """The mart's SELECT for some batches (None: for all it can see).

    FROM cleaned_till  becomes
    WITH cleaned_till AS NOT MATERIALIZED (FROM main.cleaned_till WHERE _batch_date IN ('2024-01-15'))
    FROM (FROM cleaned_till) WHERE _batch_date IN ('2024-01-15')
    """
    # The expression in front hides the table of its name, so that the SELECT reads those batches only, wherever it
    # names the input. Materialized it would be read with all its columns; so the condition is a filter of the scan. The
    # condition outside keeps rows of other batches out, which would count twice: those of a SELECT that names the table
    # by its schema, or makes up its `_batch_date`.
    if batches is None or mart.batches_of is None:
        return mart.query
    table, condition = ident(mart.batches_of), batch_filter(batches)
    return (
        f"WITH {table} AS NOT MATERIALIZED (FROM main.{table} WHERE {condition}) FROM ({mart.query}) WHERE {condition}"
    )


def outdated_batches(connection: "DuckDBPyConnection", mart: Mart) -> list[dt.date]:
    """The batches of a mart that were written to, or made from other rows than its inputs have now.

    Rows of cleaned tables are not read: what a batch was made from is compared with what is published of it.
    """
    # A full join of three: a batch may be new in the input, gone from it, or taken out of the mart by hand.
    sums = [(f"built.{ident(name)}", f"made.{ident(name)}") for name in mart.sums]
    was, now = (", ".join(side) for side in zip(*sums, strict=True))
    # A list of an older release may still have a HUGEINT, which would be compared as a DOUBLE with a DECIMAL.
    rows = connection.execute(
        f"""WITH current AS ({_contents(mart)}),
                built AS (SELECT * REPLACE (content::{CONTENT_TYPE} AS content) FROM {ident(mart.built)}),
                made AS ({_sums_by_batch(mart)})
            SELECT {BATCH} FROM current FULL JOIN built USING ({BATCH}) FULL JOIN made USING ({BATCH})
            WHERE current.content IS DISTINCT FROM built.content OR ({was}) IS DISTINCT FROM ({now}) ORDER BY 1"""
    ).fetchall()
    return [batch for (batch,) in rows]


def differing_batches(
    connection: "DuckDBPyConnection", mart: Mart, batches: Sequence[dt.date] | None = None
) -> list[dt.date]:
    """The batches (None: of all) in which a total of any key is not the sum over the reconciled input."""
    query = f"{_compared(mart, batches)} SELECT DISTINCT {BATCH} FROM differing ORDER BY 1"
    return [batch for (batch,) in connection.execute(query).fetchall()]


def differing_keys(connection: "DuckDBPyConnection", mart: Mart) -> int:
    """For how many keys, over all batches, a total is not the sum over the reconciled input."""
    row = connection.execute(f"{_compared(mart, None)} SELECT count(*) FROM differing").fetchone()
    return int(row[0]) if row else 0


def newest_totals(
    connection: "DuckDBPyConnection", mart: Mart, column: str, days: int
) -> list[tuple[dt.date, int | float | None]]:
    """The sums of a column on the newest days of a mart, in order; None for days without a batch."""
    # The days are made up rather than taken from the mart: a day without a batch is a gap in the chart, not left out.
    rows = connection.execute(
        f"""WITH span AS (SELECT min({BATCH})::DATE AS first, max({BATCH})::DATE AS last FROM {ident(mart.name)}),
                newest AS (SELECT greatest(first, last - {days - 1:d}) AS first, last FROM span),
                days AS (SELECT unnest(generate_series(first, last, INTERVAL 1 DAY))::DATE AS day FROM newest),
                totals AS (SELECT {BATCH}::DATE AS day, sum({ident(column)}) AS total
                    FROM {ident(mart.name)}, newest WHERE {BATCH} >= first GROUP BY 1)
            SELECT day, total FROM days LEFT JOIN totals USING (day) ORDER BY 1"""
    ).fetchall()
    return list(rows)


def _contents(mart: Mart) -> str:
    """A query of what each batch would be made from now: `_batch_date` and `content`.

    Inputs that have no batches of the mart's are in the content of each batch: all depend on them.
    """
    assert mart.batches_of
    # A cleaned table's batches are listed with what they hold. Of any other table, as of a mart before this one, the
    # rows are hashed, and added up, since a sum does not depend on their order.
    if mart.batches_of in mart.listed:
        own = f"content FROM {published.TABLE} WHERE table_name = {literal(mart.batches_of)}"
    else:
        own = f"sum(hash(_rows)) AS content FROM {ident(mart.batches_of)} AS _rows GROUP BY ALL"
    others = [
        f"SELECT sum(content) FROM {published.TABLE} WHERE table_name = {literal(table)}"
        if table in mart.listed
        else f"SELECT sum(hash(_rows)) FROM {ident(table)} AS _rows"
        for table in mart.inputs
        if table != mart.batches_of
    ]
    sql_type = mart.columns[BATCH]
    added = "".join(f" + coalesce(({other}), 0)::{CONTENT_TYPE}" for other in others)
    return (
        f"WITH own AS (SELECT {BATCH}::{sql_type} AS {BATCH}, {own})"
        f" SELECT {BATCH}, content::{CONTENT_TYPE}{added} AS content FROM own"
    )


def _sums_by_batch(mart: Mart) -> str:
    sums = ", ".join(f"{expression} AS {ident(name)}" for name, expression in mart.sums.items())
    return f"SELECT {BATCH}, {sums} FROM {ident(mart.name)} GROUP BY 1"


def _built_select(mart: Mart) -> str:
    """What `built` should have; a batch of which the SELECT makes no row is listed too, so that it counts as made."""
    return (
        # A subquery, so that callers can put a WHERE behind it.
        f"FROM (WITH current AS ({_contents(mart)}), made AS ({_sums_by_batch(mart)})"
        f" SELECT {BATCH}, content, {idents(mart.sums)} FROM current FULL JOIN made USING ({BATCH}))"
    )


def _compared(mart: Mart, batches: Sequence[dt.date] | None) -> str:
    """The beginning of a query over `differing`: each batch and key with totals that are not the input's sums.

    mart:   2024-01-15  7  units_sold 3         input:  2024-01-15  7  quantity 1
                                                        2024-01-15  7  quantity 2     equal
            2024-01-15  8  units_sold 1                 2024-01-15  8  quantity 5     differing
            2024-01-15  9  units_sold 0                                               equal
    """
    assert mart.reconciliation
    totals, by = mart.reconciliation.totals, mart.compared_by
    # A key without the batch has its totals over all batches.
    condition = batch_filter(batches) if BATCH in by else "true"
    keys, joined = (f"{idents(by)}, ", f"USING ({idents(by)})") if by else ("", "ON true")
    # Where the whole key is compared the mart has one row of it, and adding up would only take time.
    whole = set(by) == set(mart.key)
    own = idents(totals) if whole else _added({name: ident(name) for name in totals})
    found = ", ".join(f"found.{ident(name)}" for name in totals)
    # A table of all products has rows of those that sold nothing, and nothing adds up to 0. It is written as a
    # difference because a total may be of a type that has no number 0, such as INTERVAL.
    expected = ", ".join(
        f"coalesce(expected.{column}, found.{column} - found.{column})" for column in map(ident, totals)
    )
    return f"""WITH found AS (
                SELECT {keys}{own} FROM {ident(mart.name)} WHERE {condition} {"" if whole else "GROUP BY ALL"}),
            expected AS (
                SELECT {keys}{_added(totals)} FROM {ident(mart.reconciliation.table)} WHERE {condition} GROUP BY ALL),
            differing AS (
                SELECT {idents(by) or "true"} FROM found FULL JOIN expected {joined}
                WHERE ({found}) IS DISTINCT FROM ({expected}))"""


def _added(expressions: Mapping[str, str]) -> str:
    return ", ".join(f"sum({expression}) AS {ident(name)}" for name, expression in expressions.items())
