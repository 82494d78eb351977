"""The figures that charts show."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Figures:
    """What was sold: of one product, of several, or in a stretch of time."""

    products: int
    units: int
    revenue: Decimal

    def __sub__(self, other: "Figures") -> "Figures":
        return Figures(self.products - other.products, self.units - other.units, self.revenue - other.revenue)


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was sold in one day, week, month or year; `figures` None: no batch was delivered for it."""

    start: dt.date
    figures: Figures | None


@dataclass(frozen=True, slots=True)
class Quality:
    """The records of one day, week, month or year of a feed; without batches both are None."""

    start: dt.date
    cleaned: int | None
    rejected: int | None

    @property
    def share(self) -> float | None:
        """The share of records that were rejected; None if there was none to judge."""
        records = (self.cleaned or 0) + (self.rejected or 0)
        return (self.rejected or 0) / records if records else None
