"""Load one file into a warehouse that is thrown away: the steps of a load, in its order, and nothing else changes.

The connection is shut and limited as that of a load is. What a load does to files (secure, archive, quarantine) is left
out, and so is what it knows of other files: keys are judged within the file.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused, FilesUnfit
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.ingest.counts import FileCount, count_records, nothing_of
from orchestration_project.ingest.deduplicate import compare
from orchestration_project.ingest.discover import prepare_counted
from orchestration_project.ingest.load import make_tables
from orchestration_project.ingest.model import Delivery, Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import make_plan
from orchestration_project.ingest.publish import publish
from orchestration_project.ingest.refuse import bad_files
from orchestration_project.ingest.relations import insert_staged, make_removed
from orchestration_project.ingest.validate import judge
from orchestration_project.settings import Settings
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.connection import Warehouse, transaction
from orchestration_project.warehouse.ledger import VERSION_LENGTH

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of a file in its own warehouse.

    Attributes:
        delivery: the file; `prepared` tells how it was read, None if it could not be.
        refusals: why a load would refuse it as a whole, the first reason first.
        count: what became of its records; None if it could not be read.
    """

    delivery: Delivery
    refusals: list[FileRefused] = field(default_factory=list)
    count: FileCount | None = None


@contextmanager
def scratch(settings: Settings, folders: Iterable[Path]) -> Iterator[tuple["DuckDBPyConnection", Path]]:
    """A connection to an empty warehouse that may read some folders, and a folder for rewritten copies.

    Args:
        settings: threads and memory of DuckDB.
        folders: where files may be read.
    """
    with TemporaryDirectory(prefix="orchestration-project-") as folder:
        work = Path(folder) / "work"
        work.mkdir()
        own = replace(Warehouse.from_settings(settings), database=Path(folder) / "scratch.duckdb")
        with own.connection("trial", [*folders, work]) as connection:
            yield connection, work


def read(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    delivery: Delivery,
    work: Path,
) -> Delivery:
    """Read a file into a scratch warehouse, where `_staged` shows it.

    Args:
        connection: to the scratch warehouse.
        settings: how large the file may be.
        feed: the contract.
        options: how the feed is run.
        delivery: the file.
        work: a folder for rewritten copies.

    Returns:
        The delivery, prepared.

    Raises:
        FileRefused: it can't be read as the contract says.
    """
    make_tables(connection, feed, options.batching)
    path, name = delivery.file.path, delivery.file.name
    prepared = replace(delivery, prepared=prepare_counted(connection, feed, path, name, work, settings.max_file_bytes))
    assert prepared.prepared is not None  # it was just made
    plan = make_plan({name: [prepared]}, {}, feed, options, Request(None), work)
    version = delivery.sha256[:VERSION_LENGTH]
    ledger.write_entries(connection, plan.entries)
    make_removed(connection, options.batching.sql_type)
    ready = ReadyFile(prepared.prepared, str(delivery.batch), version, work)
    try:
        stage(connection, feed, options.batching.sql_type, [ready])
    except FilesUnfit as error:
        fault = error.faults[name]
        raise fault from None
    return prepared


def try_out(
    connection: "DuckDBPyConnection",
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    delivery: Delivery,
    work: Path,
) -> Trial:
    """Read, judge and publish a file in a scratch warehouse. Takes what `read` takes."""
    try:
        prepared = read(connection, settings, feed, options, delivery, work)
    except FileRefused as error:
        return Trial(delivery, [error])
    batches = None if options.snapshot else [delivery.batch]
    version = delivery.sha256[:VERSION_LENGTH]
    judge(connection, feed, "true")
    refusals = bad_files(connection, feed, options.max_reject_rate, {(delivery.file.name, version)})
    with transaction(connection):
        compare(connection, feed, options, batches, lambda _: None)
        publish(connection, feed, batches)
        insert_staged(connection, feed)
        counts = count_records(connection, feed, None)
    return Trial(prepared, list(refusals.values()), counts[0] if counts else nothing_of(delivery.file.name, version))
