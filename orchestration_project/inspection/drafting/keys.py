"""Guess the primary key: a column, or some together, whose values occur once in the samples.

What is unique in the samples may repeat in the next file. So a key is proposed only where its columns are called like
one and enough records were compared; the others are named in the draft.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.inspection.drafting.codes import IS_ID
from orchestration_project.inspection.drafting.types import Guess
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_COLUMNS, COLUMNS_TRIED = 3, 10
ROWS_TRIED = 100_000
"""The records that combinations are tried on first; only what is nearly unique there is counted over all records."""
FEWEST_RECORDS = 100
"""In fewer records much is unique by chance: of 25 receipts each may be of another customer."""
MOSTLY = 0.98
"""Share of different values from which a combination counts as nearly unique."""
SHOWN = 3
NO_KEY = re.compile(r"(^|_)(zip|postal|postcode|plz|phone|tel|telephone|mobile|fax|country|currency|tax|last4)($|_)")
"""Numbers and codes that name no record."""
FINER = re.compile(r"(^|_)(item|line|lineitem|position|pos|detail|zeile)(_|$)")
"""Numbers of the parts of something that has a number, too."""
# Neither truth values nor numbers with a point: what is measured does not name a record.
KEY_TYPES = ("string", "integer", "date", "timestamp")


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

    @property
    def claimed(self) -> tuple[str, ...]:
        """The key that the draft declares: the chosen one, if enough records tell it."""
        return self.chosen if self.records >= FEWEST_RECORDS else ()


def keys_among(connection: "DuckDBPyConnection", feed: Feed, guesses: Mapping[str, Guess]) -> Keys:
    """The possible keys: single columns, or else the smallest combinations.

    Args:
        connection: to the warehouse that the samples were read into, without records that are no data.
        feed: the contract by which they were read.
        guesses: what the columns are, by name.
    """
    records = next(iter(guesses.values())).records
    whole = {name: item for name, item in guesses.items() if not item.missing and item.option.logical in KEY_TYPES}
    # Ten columns make 175 combinations of up to three.
    ranked = sorted(whole, key=lambda name: (not _is_key(name), -whole[name].distinct))[:COLUMNS_TRIED]
    found: dict[tuple[str, ...], int] = {}
    for size in range(1, MOST_COLUMNS + 1):
        unique = [group for group, repeated in found.items() if not repeated]
        # After a column that may be unique by chance, only those that a key may have are combined.
        fit = [name for name in ranked if _is_key(name) or guesses[name].option.logical == "date"]
        tried = _groups(fit if unique else ranked, size, unique, whole, records)
        found |= _repeated(connection, feed, tried, whole, records)
        unique = [group for group, repeated in found.items() if not repeated]
        # A column is unique in a single record. So its name has to be a key's, too.
        if chosen := next((group for group in unique if records > 1 and _are_key(group, guesses)), ()):
            # Of orders with one item each, both numbers are unique: only who knows the files knows which one stays so.
            if any(FINER.search(name) for group in unique for name in group) and not any(map(FINER.search, chosen)):
                return Keys((), unique[: SHOWN + 1], {}, records)
            return Keys(chosen, [group for group in unique if group != chosen][:SHOWN], {}, records)
    if unique:
        return Keys((), unique[:SHOWN], {}, records)
    nearly = sorted(found.items(), key=lambda item: (item[1], len(item[0])))
    return Keys((), [], dict(nearly[:SHOWN]), records)


def _is_key(name: str) -> bool:
    return IS_ID.search(name) is not None and NO_KEY.search(name) is None


def _are_key(group: Sequence[str], guesses: Mapping[str, Guess]) -> bool:
    """Whether columns are called a key, maybe one that begins anew each day: receipt 1 of 1 March."""
    others = [name for name in group if not _is_key(name)]
    return len(others) < len(group) and all(guesses[name].option.logical == "date" for name in others)


def _groups(
    names: Iterable[str],
    size: int,
    unique: Sequence[tuple[str, ...]],
    guesses: Mapping[str, Guess],
    records: int,
) -> list[tuple[str, ...]]:
    """The combinations of some columns that may be unique, and have no unique one within."""
    # A combination has at most as many different values as the product of its columns' says: few are left to count.
    return [
        group
        for group in combinations(names, size)
        if prod(guesses[name].distinct for name in group) >= records * MOSTLY
        and not any(set(smaller) <= set(group) for smaller in unique)
    ]


def _repeated(
    connection: "DuckDBPyConnection",
    feed: Feed,
    groups: Sequence[tuple[str, ...]],
    guesses: Mapping[str, Guess],
    records: int,
) -> dict[tuple[str, ...], int]:
    """The combinations that are unique, or nearly, with the number of records that repeat another one."""
    # Of single columns it is known.
    single = {group: guesses[group[0]].distinct for group in groups if len(group) == 1}
    several = [group for group in groups if len(group) > 1]
    if records > ROWS_TRIED:
        counts = _distinct(connection, feed, several, ROWS_TRIED)
        several = [group for group in several if counts[group] >= ROWS_TRIED * MOSTLY]
    counts = single | _distinct(connection, feed, several, records)
    return {group: records - count for group, count in counts.items() if count >= records * MOSTLY}


def _distinct(
    connection: "DuckDBPyConnection", feed: Feed, groups: Sequence[tuple[str, ...]], records: int
) -> dict[tuple[str, ...], int]:
    """How many different values each combination of columns has in the first `records` records."""
    if not groups:
        return {}
    # Hashes are compared rather than the values of several columns, which are longer.
    counts = ", ".join(f"count(DISTINCT hash({idents(group)}))" for group in groups)
    row = connection.execute(
        f"WITH records AS (FROM {ident(raw_table(feed))} LIMIT {records}) SELECT {counts} FROM records"
    ).fetchone()
    return dict(zip(groups, row or (), strict=True))
