"""What to generate, and what was generated with which defects."""

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestration_project.sample.defects import Defect


@dataclass(frozen=True, slots=True)
class SampleSpec:
    """What to generate.

    Attributes:
        days: number of sales files, one a day.
        rows: records in each of them, defective ones included, the header not.
        first_day: the day of the first file and of the catalogue.
        products: products without a defect in the catalogue.
        defect_rate: share of the records that are damaged, at most a half.
        defects: the kinds that take turns.
        seed: another seed gives other files.
    """

    days: int = 7
    rows: int = 200
    first_day: dt.date = dt.date(2024, 1, 15)
    products: int = 40
    defect_rate: float = 0.03
    defects: tuple[Defect, ...] = tuple(Defect)
    seed: int = 7

    def __post_init__(self) -> None:
        """Refuse what cannot be generated."""
        if self.days < 0 or self.rows < 1 or self.products < 1 or self.seed < 0:
            raise ValueError(f"days and seed must be at least 0, rows and products at least 1: {self}")
        if not 0 <= self.defect_rate <= 0.5:
            raise ValueError(f"defect_rate must be from 0 to 0.5, not {self.defect_rate}")


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A generated file and all that is wrong with it.

    Attributes:
        feed: name of the feed it is for.
        name: file name.
        day: the day it is for.
        records: records after the header, blank ones included.
        injected: for each kind of defect the records concerned, by their 1-based number in file order. Of two records
            with the same key the one that must lose is named.
    """

    feed: str
    name: str
    day: dt.date
    records: int
    injected: Mapping[Defect, tuple[int, ...]] = field(default_factory=dict)

    @property
    def rejected(self) -> dict[int, tuple[str, ...]]:
        """The records that must be rejected, each with the beginnings of its reasons."""
        return {number: kind.reasons for kind, numbers in self.injected.items() if kind.reasons for number in numbers}

    @property
    def blank(self) -> int:
        """How many records are blank."""
        return sum(len(numbers) for kind, numbers in self.injected.items() if kind.blank)

    @property
    def cleaned(self) -> int:
        """How many records must be accepted."""
        return self.records - self.blank - len(self.rejected)


@dataclass(frozen=True, slots=True)
class Manifest:
    """All generated files."""

    files: tuple[SampleFile, ...]

    def of(self, feed: str) -> tuple[SampleFile, ...]:
        """The files of one feed, oldest first."""
        return tuple(file for file in self.files if file.feed == feed)

    @property
    def injected(self) -> Counter[Defect]:
        """How often each kind of defect was injected."""
        found: Counter[Defect] = Counter()
        for file in self.files:
            found.update({kind: len(numbers) for kind, numbers in file.injected.items()})
        return found
