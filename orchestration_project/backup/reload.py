"""The last proof of a restored copy: a batch of it is loaded again from its restored files, and compared.

It is taken out of the restored tables first. The load is the platform's own, so what it makes has to be what was there.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.ingest.fingerprints import version_of
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.settings import Settings
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, reading
from orchestration_project.warehouse.feed_tables import tables_of
from orchestration_project.warehouse.ledger_batches import validated_otherwise
from orchestration_project.warehouse.tables import columns_of, exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOMENTS = ("_rejected_at",)
"""Columns that tell when a load ran, not what it read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch of a feed, by its partition key."""

    source: ConfiguredFeed
    key: str


def candidates(warehouse: Warehouse, sources: Sequence[ConfiguredFeed]) -> list[Sample]:
    """The batches that a load would make just as they are: those that today's contract has validated."""
    found = list[Sample]()
    with reading(warehouse, "backup check", {ledger.TABLE: ledger.TYPES}) as connection:
        for source in sources:
            # Of a snapshot feed only the newest file counts, whatever batch is asked for.
            if source.options.snapshot or not all(exists(connection, table) for table in tables_of(source.feed)):
                continue
            rows = connection.execute(
                f"SELECT DISTINCT batch FROM {ledger.TABLE} WHERE feed = $1 AND {ledger.IS_IN_RAW} ORDER BY 1",
                [source.name],
            ).fetchall()
            otherwise = {*validated_otherwise(connection, source.name, version_of(source.feed, source.options))}
            found += [Sample(source, key) for (key,) in rows if key not in otherwise]
    return found


def reload(
    warehouse: Warehouse, settings: Settings, sample: Sample, now: dt.datetime, log: Callable[[str], None]
) -> list[str]:
    """Load a batch again from the restored archive; returns what is otherwise than before.

    Args:
        warehouse: the restored copy, which is written to.
        settings: with the restored folders.
        sample: the batch.
        now: the present moment, with a time zone.
        log: takes a line of progress.
    """
    source = sample.source
    batch = source.options.batching.from_key(sample.key)
    tables = tables_of(source.feed)
    with warehouse.transaction("backup check") as connection:
        before = {table: _content(connection, table, batch) for table in tables}
        connection.execute(f"DELETE FROM {ledger.TABLE} WHERE feed = $1 AND batch = $2", [source.name, sample.key])
        for table in tables:
            connection.execute(f"DELETE FROM {ident(table)} WHERE _batch_date = $1", [batch])
    load(warehouse, settings, source.feed, source.options, Request([batch], landing=False, now=now), log)
    with warehouse.connection("backup check", read_only=True) as connection:
        after = {table: _content(connection, table, batch) for table in tables}
    return [
        f"{table}, batch {sample.key}: its restored files, loaded again, give {after[table][0]:,} rows or other values;"
        f" it had {before[table][0]:,}"
        for table in tables
        if before[table] != after[table]
    ]


def _content(connection: "DuckDBPyConnection", table: str, batch: object) -> tuple[int, str]:
    """How many rows a batch has, and a sum of their hashes that depends on their columns' names, not on the order."""
    names = sorted(name for name in columns_of(connection, table) if name not in MOMENTS)
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(hash({', '.join(map(ident, names))})), 0)::VARCHAR FROM {ident(table)}"
        " WHERE _batch_date = $1",
        [batch],
    ).fetchone()
    return row or (0, "")
