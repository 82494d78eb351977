"""Which rows of marts a record feeds: those that a mart's SELECT makes with the record and does not make without it.

Belongs here: the question. What marts there are is told by whoever asks, so none is named here.

A mart's SELECT sees the record alone in the place of the table that has it, then nothing in its place; the other inputs
are whole. So it needs no knowledge of the SELECT: columns may be computed, joined or renamed on the way to the key.

    cleaned table     2024-01-15  product 7  quantity 2    the record
    with it           2024-01-15  product 7  units 2       made
    without it        -
    mart              2024-01-15  product 7  units 90      the row that it feeds, by the key (day, product)

What a SELECT makes of several records together only, such as groups of at least two, is not found so.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import MASK
from orchestration_project.errors import without_values
from orchestration_project.inspection.lookup.model import MartRows, Values
from orchestration_project.warehouse.mart_definition import Mart
from orchestration_project.warehouse.tables import ident, idents, stand_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEYS_SHOWN = 10


@dataclass(frozen=True, slots=True)
class FollowedMart:
    """A mart that records are followed into, and the columns of its key that are not shown: they may be personal."""

    mart: Mart
    hidden: frozenset[str] = frozenset()


def fed_rows(connection: "DuckDBPyConnection", marts: Sequence[FollowedMart], fed: Mapping[str, str]) -> list[MartRows]:
    """The rows of marts that a record feeds, directly or through other marts.

    Args:
        connection: to the warehouse; tables are made on it that it alone sees.
        marts: all marts.
        fed: for each table that may have the record, the condition on its row.
    """
    import duckdb

    conditions, found = dict(fed), []
    for number, followed in enumerate(in_order(marts)):
        mart = followed.mart
        touched = [table for table in mart.inputs if table in conditions]
        if not touched:
            continue
        try:
            stand_in(connection, {**mart.inputs, mart.name: mart.columns})
            rows = f"_fed_{number}"
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {rows} AS {fed_select(mart, touched, conditions)}")
            told = _told(connection, followed, rows)
        except duckdb.Error as error:
            found.append(MartRows(mart.name, 0, 0, [], without_values(error)))
            continue
        if told.rows:
            found.append(told)
        if told.present:
            conditions[mart.name] = _is_fed(mart, rows)
    return found


def in_order(marts: Sequence[FollowedMart]) -> Iterator[FollowedMart]:
    """The marts, each after those that it is made from."""
    waiting = sorted(marts, key=lambda followed: followed.mart.name)
    while waiting:
        names = {followed.mart.name for followed in waiting}
        ready = [followed for followed in waiting if not names & followed.mart.inputs.keys()]
        # A mart that is made from itself is refused when definitions load; here it must not end in a loop.
        yield from ready or waiting
        waiting = [followed for followed in waiting if followed not in ready] if ready else []


def fed_select(mart: Mart, touched: Sequence[str], conditions: Mapping[str, str]) -> str:
    """Query of the keys of the rows that a mart's SELECT makes with some rows of its inputs and not without them.

    A common table expression with an input's name hides the table, as in `warehouse.marts.select_of`.

    Args:
        mart: the mart.
        touched: the inputs of which only some rows are seen, then none.
        conditions: which rows, by input.
    """
    seen, unseen = (
        ", ".join(
            f"{ident(table)} AS NOT MATERIALIZED (FROM main.{ident(table)} WHERE {condition})"
            for table, condition in those
        )
        for those in ([(table, conditions[table]) for table in touched], [(table, "false") for table in touched])
    )
    listed = idents(mart.key) or "true AS _only"
    return f"""SELECT DISTINCT {listed} FROM (
            (WITH {seen} FROM ({mart.query})) EXCEPT ALL (WITH {unseen} FROM ({mart.query})))"""


def _is_fed(mart: Mart, rows: str) -> str:
    return f"({idents(mart.key)}) IN (SELECT ({idents(mart.key)}) FROM {rows})" if mart.key else "true"


def _told(connection: "DuckDBPyConnection", followed: FollowedMart, rows: str) -> MartRows:
    mart, listed = followed.mart, ", ".join(f"{ident(name)}::VARCHAR" for name in followed.mart.key) or "NULL"
    (count,) = connection.execute(f"SELECT count(*) FROM {rows}").fetchone() or (0,)
    (present,) = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {idents(mart.key) or 'true'} FROM {ident(mart.name)}"
        f" WHERE {_is_fed(mart, rows)})"
    ).fetchone() or (0,)
    first = connection.execute(f"SELECT {listed} FROM {rows} ORDER BY ALL LIMIT {KEYS_SHOWN}").fetchall()
    return MartRows(mart.name, count, present, [_shown(followed, row) for row in first] if mart.key else [])


def _shown(followed: FollowedMart, row: Sequence[str | None]) -> Values:
    values = dict(zip(followed.mart.key, row, strict=True))
    return {name: MASK if name in followed.hidden and value is not None else value for name, value in values.items()}
