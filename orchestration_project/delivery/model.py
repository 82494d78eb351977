"""What travels between the warehouse and a target: shapes of tables, parts, figures; the protocol of targets; the plan.

A table is delivered in **parts**: one for each batch, or one for all of a table without batches. A part has a
**content**, a text that is another one whenever the part's rows, or the way they are delivered, are others:

    source                           target                         plan
    2024-01-15  content 7-a          2024-01-15  content 7-a        nothing
    2024-01-16  content 9-a          2024-01-16  content 8-a        write
                                     2024-01-17  content 3-a        remove

What was delivered is known from the target alone. So it is true after a crash, and after either side was restored.

Belongs here: plain data and pure functions. No I/O.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Protocol

WHOLE = "all"
"""The one part of a table that is delivered as a whole."""
Contents = Mapping[str, str]
"""The content of each part, by the part's name."""
# The order in which two engines add up floating point numbers is their own affair.
RELATIVE = 1e-9


@dataclass(frozen=True, slots=True)
class Shape:
    """A table as it is delivered.

    Attributes:
        table: its name, in the warehouse and at the target.
        columns: DuckDB's types of the columns that are delivered, in order. No HUGEINT is among them.
        batch: the column that tells a row's part, as text its name (`2024-01-15`, or `2024-01-15 02:00:00` for an
            hour); None: the table has the one part `WHOLE`.
        totals: the numeric columns that are added up to compare both sides.
        key: the columns that tell rows apart; empty if there is no key, or not all of it is delivered.
        required: the columns that are never empty.
        description: what the table holds.
        descriptions: what columns mean, by name.
    """

    table: str
    columns: Mapping[str, str]
    batch: str | None = None
    totals: Sequence[str] = ()
    key: Sequence[str] = ()
    required: frozenset[str] = frozenset()
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared of a part: its rows, and the sums of columns. A column of nothing but NULL has None."""

    rows: int
    sums: Mapping[str, int | Decimal | float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A part that is to be written: a Parquet file on this machine with exactly the shape's columns.

    The file has at least one row. It is there until `Target.deliver` returns.
    """

    part: str
    content: str
    path: Path
    figures: Figures


@dataclass(frozen=True, slots=True)
class Plan:
    """Which parts are to be written and which to be removed, by name, in order."""

    write: Sequence[str] = ()
    remove: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the target has everything as it is."""
        return not (self.write or self.remove)


class Target(Protocol):
    """Where tables are delivered to.

    Faults that may pass raise a PlatformError with `transient`, such as ObjectStoreDown or DeliveryConflict; others
    raise DeliveryError or another PlatformError. No message has credentials.
    """

    @property
    def url(self) -> str:
        """Where it is, fit to be shown."""

    def delivered(self, table: str) -> Contents:
        """What the target itself says it has of a table; empty if it has none."""

    def deliver(self, shape: Shape, known: Contents, write: Sequence[StagedPart], remove: Sequence[str]) -> None:
        """Write parts in place of those of the same names, and remove others: all of it is seen at once, or nothing.

        Args:
            shape: the table. It may be another one than that of the last delivery: a part's content depends on the
                shape, so all parts are in `write` then, or in `remove`.
            known: what `delivered` returned when this delivery was planned.
            write: the parts to write.
            remove: the names of parts to remove.

        Raises:
            DeliveryConflict: the target has something else than `known` by now: another delivery was faster.
        """

    def read_back(self, shape: Shape, parts: Collection[str] | None) -> Mapping[str, Figures]:
        """The figures of parts (None: of all), counted and added up from what readers of the target see.

        A part that the target does not have is not in the answer.
        """


def plan(source: Contents, target: Contents) -> Plan:
    """What has to be done so that a target has what the source has."""
    write = sorted(part for part, content in source.items() if target.get(part) != content)
    return Plan(write, sorted(target.keys() - source.keys()))


def differences(expected: Mapping[str, Figures], found: Mapping[str, Figures]) -> dict[str, str]:
    """What differs between both sides, in words, for each part that is not the same; empty if nothing does."""
    told = {}
    for part in sorted({*expected, *found}):
        if part not in found:
            told[part] = f"has {expected[part].rows} row(s) in the warehouse and is not at the target"
        elif part not in expected:
            told[part] = f"has {found[part].rows} row(s) at the target and is not in the warehouse"
        elif words := _difference(expected[part], found[part]):
            told[part] = words
    return told


def _difference(expected: Figures, found: Figures) -> str:
    wrong = [f"{expected.rows} rows in the warehouse, {found.rows} at the target"] * (expected.rows != found.rows)
    for column, total in expected.sums.items():
        if not same_sum(total, found.sums.get(column)):
            wrong.append(f"sum of {column} {total} in the warehouse, {found.sums.get(column)} at the target")
    return "; ".join(wrong)


def same_sum(one: int | Decimal | float | None, other: int | Decimal | float | None) -> bool:
    """Whether two sums are the same: exactly, but for floating point numbers."""
    if isinstance(one, float) or isinstance(other, float):
        if one is None or other is None:
            return one is other
        first, second = float(one), float(other)
        return (math.isnan(first) and math.isnan(second)) or math.isclose(first, second, rel_tol=RELATIVE, abs_tol=1e-9)
    return one == other
