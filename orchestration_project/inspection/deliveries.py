"""Compare the files of a batch with those of the batches before it: what they repeat, and what they lack.

Belongs here: what a check measures across batches in the raw table. What a check says is in `check_results`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import filled
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.warehouse.feed_tables import REPAIRS, raw_table
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
    """Query of the files of a batch of whose records more than half stand in another one: compared by their hashes."""
    names = idents([*(column.name for column in feed.source_columns), "_rescued", "_raw_line"])
    digests = f"SELECT _file, hash({names}) AS digest FROM {ident(raw_table(feed))} WHERE {REPAIRS} IS NULL"
    return f"""
        WITH records AS ({digests} AND ({filled(feed)}) AND {batch_filter([batch])}),
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
    of_batch = "NULL" if batches is None else "_batch_date"
    counts = ", ".join(f"count({ident(name)})" for name in names)
    rows = connection.execute(
        f"""SELECT {of_batch} AS batch, _file, {counts} FROM {ident(raw_table(feed))}
            WHERE {REPAIRS} IS NULL AND _parse_error IS NULL AND {batch_filter(batches)} GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return [
        _File(batch, file, frozenset(name for name, count in zip(names, counted, strict=True) if count))
        for batch, file, *counted in rows
    ]
