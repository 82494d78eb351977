"""Which columns may be the primary key: those whose values, alone or together, occur once in the samples."""

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
"""The records that combinations are tried on first; only what is nearly unique there is counted over all records."""
MOSTLY = 0.98
"""Share of different values from which a combination counts as nearly unique."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Keys:
    """Combinations of columns that may be the primary key.

    Attributes:
        chosen: unique columns with names as keys have them; empty if there are none.
        others: further combinations that are unique.
        nearly: if no combination is unique, those that nearly are, with the number of repeated records.
        records: how many were compared.
    """

    chosen: tuple[str, ...]
    others: Sequence[tuple[str, ...]]
    nearly: Mapping[tuple[str, ...], int]
    records: int


def keys_among(connection: "DuckDBPyConnection", feed: Feed, guesses: Mapping[str, Guess]) -> Keys:
    """The possible keys: single columns, or else the smallest combinations.

    Args:
        connection: to the warehouse that the samples were read into.
        feed: the contract by which they were read.
        guesses: what the columns are, by name.
    """
    records = next(iter(guesses.values())).records
    whole = {name: item for name, item in guesses.items() if not item.missing and item.option.logical in _KEY_TYPES}
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
    """The combinations that are unique, or nearly, with the number of records that repeat another one."""
    if not groups:
        return {}
    if records > ROWS_TRIED:
        counts = _distinct(connection, feed, groups, ROWS_TRIED)
        groups = [group for group in groups if counts[group] >= ROWS_TRIED * MOSTLY]
    counts = _distinct(connection, feed, groups, records)
    return {group: records - count for group, count in counts.items() if count >= records * MOSTLY}


def _distinct(
    connection: "DuckDBPyConnection", feed: Feed, groups: Sequence[tuple[str, ...]], records: int
) -> dict[tuple[str, ...], int]:
    """How many different values each combination of columns has in the first `records` records that are not blank."""
    if not groups:
        return {}
    # Hashes are compared rather than the values of several columns, which are longer.
    counts = ", ".join(f"count(DISTINCT hash({idents(group)}))" for group in groups)
    row = connection.execute(
        f"""WITH records AS (SELECT * FROM {ident(raw_table(feed))} WHERE {filled(feed)} LIMIT {records})
            SELECT {counts} FROM records"""
    ).fetchone()
    return dict(zip(groups, row or (), strict=True))
