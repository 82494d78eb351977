"""One shard of a load: some of its files, read and validated in a scratch DuckDB, with what came out as Parquet.

`run_shard` is the one entry, for whatever spreads work over processes or machines. It is pure: what it needs is in its
task, what it made is in its result, both can be pickled, and it knows no warehouse. It can be called again and again
for one task: each call works in a folder of its own, so what a killed one has left is never taken for a result.

Which files form a shard, and what a load makes of the results, is in `sharding`; where shards run, in `shard_runners`.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileKey, FilesUnfit, without_values
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile, show
from orchestration_project.ingest.divide import divide
from orchestration_project.ingest.ignored import mark_ignored, shown_in
from orchestration_project.ingest.relations import RECORDS
from orchestration_project.ingest.shard_lake import LakeFolder, scratch
from orchestration_project.ingest.shard_parts import Part, write_part
from orchestration_project.ingest.validate import validated_select
from orchestration_project.warehouse.faults import no_room
from orchestration_project.warehouse.feed_tables import cleaned_layout, raw_layout
from orchestration_project.warehouse.tables import ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class ShardTask:
    """What a shard has to do. All paths must be the same wherever it runs.

    Attributes:
        number: its number, from 1 on.
        of: how many shards the load has.
        feed: the contract.
        batch_type: DuckDB type of `_batch_date`.
        files: what to read, each prepared, its records counted.
        readable: folders in which these files are.
        folder: where the shard may make a folder for its work and for what it hands over.
        threads: number of DuckDB's threads.
        memory_limit: DuckDB's memory limit, such as `1GB`; what needs more is spilled to the folder.
        lake: where it writes the rows that a lake's tables will have; None if the warehouse is no lake.
    """

    number: int
    of: int
    feed: Feed
    batch_type: str
    files: tuple[ReadyFile, ...]
    readable: tuple[Path, ...]
    folder: Path
    threads: int
    memory_limit: str
    lake: LakeFolder | None = None


@dataclass(frozen=True, slots=True)
class ShardCount:
    """How many `records` a shard has read of a file."""

    batch: str
    file: str
    version: str
    records: int


@dataclass(frozen=True, slots=True)
class ShardResult:
    """What a shard has made.

    Attributes:
        number: the task's.
        records: the text of every record: the columns of the raw table, and `_rid`; None if a file is unfit.
        validated: values and reasons of each record that is data, with the same `_rid`; None if a file is unfit.
        cleaned: of a lake, the valid rows as its table has them.
        counts: what was read of each file that has records.
        unfit: the files that can't be loaded. Then nothing else was made: the load goes on without these files.
    """

    number: int
    records: Part | None = None
    validated: Part | None = None
    cleaned: Part | None = None
    counts: tuple[ShardCount, ...] = ()
    unfit: tuple[FileKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ShardFailure:
    """Why a shard has no result: in words without values of records, and whether it is for want of room on a disk."""

    told: str
    disk_full: bool = False

    @classmethod
    def of(cls, error: Exception) -> "ShardFailure":
        """What an error means for a shard."""
        return cls(f"{type(error).__name__}: {without_values(error)}", no_room(error))


def run_shard(task: ShardTask) -> ShardResult:
    """Read and validate the files of a shard.

    Raises:
        Exception: whatever went wrong. The task may be tried again; a file that is at fault is no exception.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    own = Path(tempfile.mkdtemp(prefix=f"{task.number}-", dir=task.folder))
    purpose, limits = f"shard {task.number} of {task.feed.name}", {"threads": task.threads}
    files = [replace(file, work=own) for file in task.files]
    with scratch(
        own / "scratch.duckdb", purpose, limits | {"memory_limit": task.memory_limit}, [*task.readable, own], task.lake
    ) as connection:
        try:
            stage(connection, task.feed, task.batch_type, files)
        except FilesUnfit as error:
            return ShardResult(task.number, unfit=tuple(error.faults))
        mark_ignored(connection, task.feed, files)
        source = shown_in(task.feed)
        records = _write_records(connection, task, source, own)
        show(connection, RECORDS, [_numbered(task, divide(connection, task.feed, source, files))])
        validated = write_part(connection, validated_select(task.feed, "true"), str(own / "validated.parquet"))
        cleaned = _write_cleaned(connection, task, task.lake, validated, own) if task.lake else None
        return ShardResult(task.number, records, validated, cleaned, _counts(connection, records.path))


def _write_records(connection: "DuckDBPyConnection", task: ShardTask, source: str, own: Path) -> Part:
    """Write the text of all records; for a lake as its raw table has it, beside the number that the load needs."""
    if task.lake is None:
        return write_part(connection, _numbered(task, source), str(own / "records.parquet"))
    columns = _typed(raw_layout(task.feed, task.batch_type))
    query = f"SELECT {columns}, _rid FROM ({_numbered(task, source)})"
    return write_part(connection, query, f"{task.lake.url}{own.name}-raw.parquet", kept=True)


def _write_cleaned(
    connection: "DuckDBPyConnection", task: ShardTask, lake: LakeFolder, validated: Part, own: Path
) -> Part:
    columns = _typed(cleaned_layout(task.feed, task.batch_type))
    query = f"SELECT {columns} FROM read_parquet({literal(validated.path)}) WHERE _reasons IS NULL"
    return write_part(connection, query, f"{lake.url}{own.name}-cleaned.parquet", kept=True)


def _typed(layout: Mapping[str, str]) -> str:
    return ", ".join(f"{ident(name)}::{sql_type} AS {ident(name)}" for name, sql_type in layout.items())


def _numbered(task: ShardTask, relation: str) -> str:
    """Query of staged records in which no `_rid` is that of another shard's record.

    Staged records have negative numbers, from -1 on. Of three shards the first makes -5, -9, ... of them, the third
    -7, -11, ...; the load itself makes -4, -8, ...
    """
    return f"SELECT * REPLACE (_rid * {task.of + 1} - {task.number} AS _rid) FROM {relation}"


def _counts(connection: "DuckDBPyConnection", records: str) -> tuple[ShardCount, ...]:
    # From the written file, not from the tables before it: so that the counts prove what is handed over.
    rows = connection.execute(
        """SELECT _batch_date::VARCHAR, _file, _file_version, count(*) FROM read_parquet($1)
            GROUP BY ALL ORDER BY ALL""",
        [records],
    ).fetchall()
    return tuple(ShardCount(*row) for row in rows)
