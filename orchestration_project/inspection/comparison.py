"""Compare a batch with those before it: its size, what its files repeat, and what they lack.

Belongs here: what checks measure across batches. What a check says of it is in `components.check_results`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import is_data
from orchestration_project.storage.batches import Batch, Batching, Cadence
from orchestration_project.warehouse.feed_tables import IGNORED, REPAIRS, raw_table
from orchestration_project.warehouse.tables import batch_filter, ident, idents

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Overlap:
    """A file more than half of whose records stand in the batch before it, and a file of that batch that has them."""

    batch: Batch
    file: str
    records: int
    repeated: int
    before: Batch
    other_file: str


def overlaps(connection: "DuckDBPyConnection", feed: Feed, pairs: Mapping[Batch, Batch]) -> list[Overlap]:
    """The files that repeat most of the batch before theirs.

    Args:
        connection: to the warehouse.
        feed: the contract.
        pairs: by batch, the batch before it. They are compared one by one, so that memory is that of one batch.
    """
    found = []
    for batch, before in pairs.items():
        rows = connection.execute(overlaps_sql(feed, batch, before)).fetchall()
        found += [Overlap(batch, file, records, repeated, before, other) for file, records, repeated, other in rows]
    return found


def overlaps_sql(feed: Feed, batch: Batch, before: Batch) -> str:
    """Query of the files of a batch of whose records more than half stand in another one: compared by their hashes.

    Monday's a.csv has the records 1, 2, 3; Tuesday's b.csv has 2, 3, 4: b.csv, 3 records, 2 repeated, a.csv.
    """
    # Unexpected columns and broken lines are part of a record, else two that differ only there would look the same.
    names = idents([*(column.name for column in feed.source_columns), "_rescued", "_raw_line"])
    # A repair file brings records again on purpose.
    digests = f"SELECT _file, hash({names}) AS digest FROM {ident(raw_table(feed))} WHERE {REPAIRS} IS NULL"
    # The batch before is reduced to one row a record: one that stands in two of its files would count twice.
    # Blank records are left out of one side only, which is enough: they find no partner.
    return f"""
        WITH records AS ({digests} AND ({is_data(feed)}) AND {batch_filter([batch])}),
        earlier AS (SELECT digest, min(_file) AS other FROM ({digests} AND {batch_filter([before])}) GROUP BY digest)
        SELECT _file, count(*) AS records, count(other) AS repeated, mode(other)
        FROM records LEFT JOIN earlier USING (digest) GROUP BY _file HAVING repeated * 2 > records ORDER BY _file"""


@dataclass(frozen=True, slots=True)
class Vanished:
    """A file of which no record has a value in a column that the files before it had; no batch in a snapshot feed."""

    batch: Batch | None
    file: str
    column: str


def vanished_columns(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batching: Batching,
    batches: Sequence[Batch] | None,
    loaded: Sequence[Batch],
    trailing: int,
) -> list[Vanished]:
    """The files of some batches that have no value in an optional column, though at least half of those before had one.

    An unexpected empty column means that a file has lost it, or renamed it. A file is compared with those before it
    that have its name but for the date; where there are none, with all: of two tills one may never fill a column.

    Args:
        connection: to the warehouse.
        feed: the contract.
        batching: tells what of a name is its date.
        batches: the batches to look at; None for a snapshot, which no earlier batch can be compared with: there, each
            column without a value counts.
        loaded: all loaded batches, in order.
        trailing: how many batches before a batch are compared.
    """
    optional = [column.name for column in feed.source_columns if not column.required]
    if not optional:
        return []
    lacking = [(file, names) for file in _files(connection, feed, optional, batches) if (names := file.lacks(optional))]
    if batches is None:
        return [Vanished(None, file.name, column) for file, columns in lacking for column in columns]
    found = []
    for batch, group in groupby(lacking, key=lambda item: item[0].batch):
        before = [earlier for earlier in loaded if batch is not None and earlier < batch][-trailing:]
        then = _files(connection, feed, optional, before) if before else []
        for file, columns in group:
            # The batch was once judged as a whole: where one of its files lost a column, the others hid it.
            name = batching.without_date(file.name)
            like = [other for other in then if batching.without_date(other.name) == name] or then
            found += [Vanished(batch, file.name, column) for column in columns if _was_usual(column, like)]
    return found


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a batch, and the columns that have a value in one of its records."""

    batch: Batch | None
    name: str
    filled: frozenset[str]

    def lacks(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if name not in self.filled]


def _was_usual(column: str, files: Sequence[_File]) -> bool:
    """Whether at least half of some files have a value in a column."""
    return 2 * sum(column in file.filled for file in files) >= len(files) > 0


def _files(
    connection: "DuckDBPyConnection", feed: Feed, names: Sequence[str], batches: Sequence[Batch] | None
) -> list[_File]:
    """The files of some batches (None: of a whole snapshot) that have records, with the columns that have a value."""
    # A broken record has its text in `_raw_line` and no value anywhere: it would say nothing of a column. A line with
    # totals may have a value where no record has one.
    data = f"AND {IGNORED} IS NULL" if feed.ignored else ""
    of_batch = "NULL" if batches is None else "_batch_date"
    counts = ", ".join(f"count({ident(name)})" for name in names)
    rows = connection.execute(
        f"""SELECT {of_batch} AS batch, _file, {counts} FROM {ident(raw_table(feed))}
            WHERE {REPAIRS} IS NULL AND _parse_error IS NULL {data} AND {batch_filter(batches)}
            GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [
        _File(batch, file, frozenset(name for name, count in zip(names, counted, strict=True) if count))
        for batch, file, *counted in rows
    ]


TRAILING = 8
ENOUGH = 3
"""Fewer batches to compare with say nothing: the feed is still learning."""
# The modified z-score: a size is unusual if `0.6745 * |size - median| / MAD > 3.5`, where MAD is the median of the
# sizes' distances from their median (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993; also in the
# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.17). Unlike mean and standard deviation, both medians stay
# where they are when up to half of the sizes are odd themselves.
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
    # A shop sells otherwise on Saturdays than on Mondays, and at noon than at night. So a batch is compared with those
    # that begin whole weeks before; but for months and years, which differ in length.
    if batching.cadence in (Cadence.MONTHLY, Cadence.YEARLY):
        found: list[Batch] = [batch]
        for _ in range(TRAILING):
            before = Batching.date(found[-1]) - dt.timedelta(days=1)
            found.append(batching.floor(dt.datetime.combine(before, dt.time())))
        return found[1:]
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
    """The limits that some sizes give; None if they are too few.

    Sizes 100, 104, 96, 100, 160, 100, 92, 108 have the median 100 and the MAD 4, so 5.19 * 4 = 20.8 is the distance
    that is still usual: 79.2 to 120.8. With the factor 3 the limits are 33.3 and 300.
    """
    if len(sizes) < ENOUGH:
        return None
    middle = float(median(sizes))
    distance = DISTANCE * float(median(abs(size - middle) for size in sizes))
    # Few sizes can lie close together by chance, so the limits are never narrower than the feed's factor.
    return Limits(middle, max(0.0, min(middle / factor, middle - distance)), max(middle * factor, middle + distance))
