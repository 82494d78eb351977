"""Compare the files of a batch with those of the batches before it: what they repeat, and what they lack.

Belongs here: what a check measures across batches in the raw table. What a check says is in `check_results`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.values import filled
from orchestration_project.storage.batches import Batch
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


def vanished_columns(
    connection: "DuckDBPyConnection",
    feed: Feed,
    batches: Sequence[Batch] | None,
    loaded: Sequence[Batch],
    trailing: int,
) -> list[tuple[Batch | None, str]]:
    """The batches and optional columns of which no record has a value, though they had one in the batches before.

    That is: in at least half of them. An unexpected empty column means that the file has lost it, or renamed it.

    Args:
        connection: to the warehouse.
        feed: the contract.
        batches: the batches to look at; None for a snapshot, which no earlier batch can be compared with: there, each
            column without a value counts.
        loaded: all loaded batches, in order.
        trailing: how many batches before a batch are compared.
    """
    optional = [column.name for column in feed.source_columns if not column.required]
    if not optional:
        return []
    if batches is None:
        empty = {*_filled(connection, feed, optional, None).values()}
        return [(None, name) for filled_columns in empty for name in optional if name not in filled_columns]
    found: list[tuple[Batch | None, str]] = []
    for batch, here in _filled(connection, feed, optional, batches).items():
        lacking = [name for name in optional if name not in here]
        before = [earlier for earlier in loaded if batch is not None and earlier < batch][-trailing:]
        if lacking and before:
            then = _filled(connection, feed, lacking, before).values()
            found += [(batch, name) for name in lacking if 2 * sum(name in had for had in then) >= len(then) > 0]
    return found


def _filled(
    connection: "DuckDBPyConnection", feed: Feed, names: Sequence[str], batches: Sequence[Batch] | None
) -> dict[Batch | None, frozenset[str]]:
    """The columns that have a value, by batch, of the batches that have records; under None of a whole snapshot."""
    of_batch = "NULL" if batches is None else "_batch_date"
    counts = ", ".join(f"count({ident(name)})" for name in names)
    rows = connection.execute(
        f"""SELECT {of_batch} AS batch, {counts} FROM {ident(raw_table(feed))}
            WHERE {REPAIRS} IS NULL AND _parse_error IS NULL AND {batch_filter(batches)} GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    return {
        batch: frozenset(name for name, count in zip(names, counted, strict=True) if count) for batch, *counted in rows
    }
