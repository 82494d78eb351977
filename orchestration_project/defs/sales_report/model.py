"""What the report says, as plain data."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from orchestration_project.components.charts import Quality, Unit


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
class Sold:
    """A product, a category or a price category and what was sold of it; `name` None: it has none."""

    name: str | None
    figures: Figures
    product_id: str = ""
    category: str | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The first lines of a long list, what the others have together, and all of them together.

    `count` is the number of lines of the whole list.
    """

    shown: Sequence[Sold]
    count: int
    total: Figures

    @property
    def others(self) -> Figures | None:
        """What the lines that are not shown have together; None if all are shown."""
        if self.count <= len(self.shown):
            return None
        rest = self.total
        for line in self.shown:
            rest -= line.figures
        return rest


@dataclass(frozen=True, slots=True)
class Sales:
    """What the marts say.

    Attributes:
        first: first batch day.
        last: newest batch day.
        days: how many batch days there are.
        total: all sales.
        recent: the sales of the 7 days that end with the newest one.
        unit: what a stretch is.
        stretches: from the first to the last day, without holes.
        products: by revenue.
        categories: by revenue.
        price_categories: by revenue.
        new: products first sold in the 7 days that end with the newest one; None: there is no earlier day to compare.
        vanished: products sold in the 30 days before those 7 and not in them; None likewise.
        unknown: sold products that the catalogue lacks.
        unsold: how many products of the catalogue were never sold.
    """

    first: dt.date
    last: dt.date
    days: int
    total: Figures
    recent: Figures
    unit: Unit
    stretches: Sequence[Stretch]
    products: Ranking
    categories: Ranking
    price_categories: Ranking
    new: Ranking | None
    vanished: Ranking | None
    unknown: Ranking
    unsold: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why records were rejected, how many, and one of them: where it is and the values that broke the rule, masked.

    `file` is empty where none can be shown.
    """

    reason: str
    records: int
    share: float
    file: str
    row: int
    values: str


@dataclass(frozen=True, slots=True)
class File:
    """One version of a file, as the ledger has it."""

    feed: str
    batch: str
    file: str
    version: str
    status: str
    bytes: int
    records: int | None
    cleaned: int | None
    rejected: int | None
    blank: int | None
    ignored: int | None
    reason: str | None
    seen_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Accounts:
    """What became of the records of all loaded files of a feed; `open`, `repaired` and `waived` are of the rejected."""

    records: int
    cleaned: int
    rejected: int
    blank: int
    ignored: int
    open: int
    repaired: int
    waived: int

    @property
    def missing(self) -> int:
        """How many records are nowhere, or, below zero, are somewhere twice."""
        return self.records - self.cleaned - self.rejected - self.blank - self.ignored


@dataclass(frozen=True, slots=True)
class FeedState:
    """How a feed stands.

    Attributes:
        name: the feed's name.
        title: what people call it.
        files: number of file versions by status.
        accounts: of the loaded ones.
        newest: partition key of the newest loaded batch.
        due: when the next batch has to be there; None where the contract does not say.
        overdue: whether that moment was over when the report was made.
        unit: what a stretch of `quality` is.
        quality: from the first to the newest batch, without holes.
        reasons: the most frequent reasons of rejects.
        more_reasons: how many other reasons there are.
    """

    name: str
    title: str
    files: dict[str, int]
    accounts: Accounts
    newest: str | None
    due: dt.datetime | None
    overdue: bool
    unit: Unit
    quality: Sequence[Quality]
    reasons: Sequence[Reason]
    more_reasons: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that is on the page; `sales` is None before the first sale. `files` are the newest of `file_count`."""

    generated_at: dt.datetime
    sales: Sales | None
    feeds: Sequence[FeedState]
    files: Sequence[File]
    file_count: int
