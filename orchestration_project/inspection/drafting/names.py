"""Guesses at columns: their names, which are about people, which may be the key; and batches from file names.

Pure functions. A key is a column, or some together, whose values occur once in the samples.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

from orchestration_project.contracts.columns import is_about_people
from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import filled
from orchestration_project.inspection.drafting.types import IS_ID, Guess
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LONGEST = 60  # a contract allows 63 characters: the rest is room for `_2`
# Without separators any eight digits could be a date, so the year is limited.
DATES = (
    (r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})_(?P<month>\d{2})_(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})\.(?P<month>\d{2})\.(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<day>\d{2})[-_.](?P<month>\d{2})[-_.](?P<year>\d{4})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})[-_](?P<month>\d{2})(?!\d)", "monthly"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?!\d)", "monthly"),
)

# `a.b@shop.org`; `+49 30 123456`, `(030) 123-456`; `10.0.0.1`. Few numbers of orders begin so.
MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
PHONE = re.compile(r"(\+|00|\()\d[\d ()/.-]{6,}")
IP_ADDRESS = re.compile(r"(\d{1,3}\.){3}\d{1,3}")
PERSONAL_FORMS = {"mail addresses": MAIL, "phone numbers": PHONE, "IP addresses": IP_ADDRESS}
PERSONAL_SHARE = 0.5
"""Share of a column's values that have to look like it."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How file names tell their batch, and the earliest day of the samples; `pattern` is None if they tell none."""

    pattern: str | None
    cadence: str
    first: dt.date


def column_names(headers: Sequence[str]) -> list[str]:
    """A name for each column in small letters, digits and `_`, as a contract allows them, each used once."""
    taken: set[str] = {"rowid"}  # every DuckDB table has a hidden column of that name
    names = []
    for number, header in enumerate(headers, start=1):
        name = _snake(header) or f"column_{number}"
        name = free = name if name[0].isalpha() else f"c_{name}"
        further = 2
        while free in taken:
            free, further = f"{name}_{further}", further + 1
        taken.add(free)
        names.append(free)
    return names


def _snake(header: str) -> str:
    # `orderID` and `Order ID` become order_id, `HTTPCode` http_code, `Menü` menu; nothing is left of `商品`.
    plain = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    return re.sub(r"[^a-z0-9]+", "_", parted.casefold()).strip("_")[:LONGEST].rstrip("_")


def naming_of(names: Sequence[str], modified: Sequence[dt.datetime]) -> Naming:
    """How the names of sample files tell their batch: the first form of a date that all of them have.

    Args:
        names: of the files.
        modified: when each of them was last modified.
    """
    # All names, since a number that looks like a date stands in one of them by chance.
    for pattern, cadence in DATES:
        days = [_day(pattern, name) for name in names]
        found = [day for day in days if day is not None]
        if found and len(found) == len(days):
            return Naming(pattern, cadence, min(found))
    return Naming(None, "daily", min(moment.date() for moment in modified))


def _day(pattern: str, name: str) -> dt.date | None:
    found = re.search(pattern, name)
    if found is None:
        return None
    try:
        return dt.date(int(found["year"]), int(found["month"]), int(found.groupdict().get("day") or 1))
    except ValueError:
        return None


def personal_because(name: str, values: Sequence[str]) -> str | None:
    """Why a column is likely to be about people; None if nothing indicates it.

    Args:
        name: the column's name, in snake case.
        values: some of its values.
    """
    if is_about_people(name):
        return "its name"
    for what, form in PERSONAL_FORMS.items():
        if values and sum(form.fullmatch(value.strip()) is not None for value in values) >= PERSONAL_SHARE * len(
            values
        ):
            return f"values that look like {what}"
    return None


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
    # Ten columns make 175 combinations of up to three.
    ranked = sorted(whole, key=lambda name: (not IS_ID.search(name), -whole[name].distinct))[:COLUMNS_TRIED]
    found: dict[tuple[str, ...], int] = {}
    for size in range(1, MOST_COLUMNS + 1):
        # A combination has at most as many different values as the product of its columns' says: few are left to count.
        tried = [
            group
            for group in combinations(ranked, size)
            if prod(whole[name].distinct for name in group) >= records * MOSTLY
        ]
        found |= _repeated(connection, feed, tried, records)
        if unique := [group for group, repeated in found.items() if not repeated]:
            # A column may be unique by chance, and is in a single record. So its name has to be a key's, too.
            chosen = next((group for group in unique if records > 1 and all(map(IS_ID.search, group))), ())
            return Keys(chosen, [group for group in unique if group != chosen][:SHOWN], {}, records)
    nearly = sorted(found.items(), key=lambda item: (item[1], len(item[0])))
    return Keys((), [], dict(nearly[:SHOWN]), records)


# Neither truth values nor numbers with a point: what is measured does not name a record.
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
