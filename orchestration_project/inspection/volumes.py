"""How large a batch usually is, learned from the batches before it. No I/O here.

Daily and hourly feeds are compared with the same weekday, or the same hour of it, of the 8 weeks before: a shop sells
otherwise on Saturdays than on Mondays, and at noon than at night. Weekly and monthly feeds are compared with the 8
batches before.

The limits are those of the modified z-score: a size is unusual if `0.6745 * |size - median| / MAD > 3.5`, where MAD is
the median of the sizes' distances from their median (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993;
also in the NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17). Unlike mean and standard deviation, both medians
stay where they are when up to half of the sizes are odd themselves. Few sizes can lie close together by chance, so the
limits are never narrower than a factor that the feed sets: `median / factor` and `median * factor`.

Example: sizes 100, 104, 96, 100, 160, 100, 92, 108 have the median 100 and the MAD 4, so 5.19 * 4 = 20.8 is the
distance that is still usual: 79.2 to 120.8. With the factor 3 the limits are 33.3 and 300.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from orchestration_project.storage.batches import Batch, Batching, Cadence

TRAILING = 8
ENOUGH = 3
"""Fewer batches to compare with say nothing: the feed is still learning."""
DISTANCE = 3.5 / 0.6745
WEEK = dt.timedelta(weeks=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """How many records are usual: from the smallest to the largest number, around the median."""

    median: float
    smallest: float
    largest: float


@dataclass(frozen=True, slots=True)
class Volume:
    """A batch, its records and the limits for them; None while there is too little to compare with."""

    key: str
    records: int
    limits: Limits | None

    @property
    def usual(self) -> bool:
        """Whether nothing speaks against its size."""
        return self.limits is None or self.limits.smallest <= self.records <= self.limits.largest


def compared_with(batching: Batching, batch: Batch) -> list[str]:
    """The partition keys of the earlier batches with which one is compared, as far as the feed can have them."""
    earlier = list(_before(batching, batch))
    return [batching.key(other) for other in earlier if other >= batching.start]


def _before(batching: Batching, batch: Batch) -> Sequence[Batch]:
    if batching.cadence is Cadence.MONTHLY:
        months: list[Batch] = [batch]
        for _ in range(TRAILING):
            months.append((months[-1] - dt.timedelta(days=1)).replace(day=1))
        return months[1:]
    # An hour that comes twice is compared with those of the same name that come once.
    named = batch.replace(second=0) if isinstance(batch, dt.datetime) else batch
    return [named - weeks * WEEK for weeks in range(1, TRAILING + 1)]


def volumes(batching: Batching, keys: Sequence[str], sizes: Mapping[str, int], factor: float) -> list[Volume]:
    """The size of each batch, and what is usual for it.

    Args:
        batching: how the feed's batches follow each other.
        keys: the partition keys of the batches; all of them have a size.
        sizes: records by partition key, of these batches and of those that they are compared with, where they exist.
        factor: how many times larger or smaller than the median is always usual.
    """
    found = []
    for key in keys:
        others = [sizes[other] for other in compared_with(batching, batching.from_key(key)) if other in sizes]
        found.append(Volume(key, sizes[key], limits_of(others, factor)))
    return found


def limits_of(sizes: Sequence[int], factor: float) -> Limits | None:
    """The limits that some sizes give; None if they are too few."""
    if len(sizes) < ENOUGH:
        return None
    middle = float(median(sizes))
    distance = DISTANCE * float(median(abs(size - middle) for size in sizes))
    return Limits(middle, max(0.0, min(middle / factor, middle - distance)), max(middle * factor, middle + distance))
