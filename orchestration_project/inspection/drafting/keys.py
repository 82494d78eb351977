"""Which columns may be the primary key: those whose values occur once in the samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import filled
from orchestration_project.inspection.drafting.types import IS_ID, Guess
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.quoting import ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_COLUMNS, COLUMNS_TRIED = 3, 10
ROWS_TRIED = 100_000
"""Combinations are tried on so many records; those that hold there are counted over all."""
MOSTLY = 0.98
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Keys:
    """Candidates for the primary key.

    Attributes:
        chosen: columns that are unique and are called what keys are called; empty if there are none.
        others: further combinations that are unique.
        nearly: with the number of repeated records, combinations that are unique but for a few, where none is.
        records: how many were compared.
    """

    chosen: tuple[str, ...]
    others: Sequence[tuple[str, ...]]
    nearly: Mapping[tuple[str, ...], int]
    records: int


def keys_among(connection: "DuckDBPyConnection", feed: Feed, guesses: Mapping[str, Guess]) -> Keys:
    """The candidates: single columns, else the smallest combinations.

    Args:
        connection: to the warehouse that the samples were read into.
        feed: the contract by which they were read.
        guesses: what the columns are, by name.
    """
    records = next(iter(guesses.values())).records
    whole = {name: item for name, item in guesses.items() if not item.missing and item.candidate.logical in _KEY_TYPES}
    ranked = sorted(whole, key=lambda name: (not IS_ID.search(name), -whole[name].distinct))[:COLUMNS_TRIED]
    found: dict[tuple[str, ...], int] = {}
    for size in range(1, MOST_COLUMNS + 1):
        tried = [
            group
            for group in combinations(ranked, size)
            if prod(whole[name].distinct for name in group) >= records * MOSTLY
        ]
        found |= _repeated(connection, feed, tried, records)
        if unique := [group for group, repeated in found.items() if not repeated]:
            chosen = next((group for group in unique if records > 1 and all(map(IS_ID.search, group))), ())
            return Keys(chosen, [group for group in unique if group != chosen][:SHOWN], {}, records)
    nearly = sorted(found.items(), key=lambda item: (item[1], len(item[0])))
    return Keys((), [], dict(nearly[:SHOWN]), records)


_KEY_TYPES = ("string", "integer", "date", "timestamp")


def _repeated(
    connection: "DuckDBPyConnection", feed: Feed, groups: Sequence[tuple[str, ...]], records: int
) -> dict[tuple[str, ...], int]:
    """The combinations that are unique, or nearly, and how many records repeat one."""
    if not groups:
        return {}
    table = f"(SELECT * FROM {ident(raw_table(feed))} WHERE {filled(feed)} LIMIT {{}})"
    if records > ROWS_TRIED:
        groups = _unique_in(connection, table.format(ROWS_TRIED), groups, ROWS_TRIED)
    counts = _distinct(connection, table.format(records), groups)
    return {group: records - count for group, count in counts.items() if count >= records * MOSTLY}


def _unique_in(
    connection: "DuckDBPyConnection", table: str, groups: Sequence[tuple[str, ...]], records: int
) -> list[tuple[str, ...]]:
    counts = _distinct(connection, table, groups)
    return [group for group in groups if counts[group] >= records * MOSTLY]


def _distinct(
    connection: "DuckDBPyConnection", table: str, groups: Sequence[tuple[str, ...]]
) -> dict[tuple[str, ...], int]:
    if not groups:
        return {}
    counts = ", ".join(f"count(DISTINCT hash({idents(group)}))" for group in groups)
    return dict(zip(groups, connection.execute(f"SELECT {counts} FROM {table}").fetchone() or (), strict=True))
