"""What a shard needs to write files for the tables of a lake: where they go, and a connection that may write there.

    lake/_shards/host.4711.1f2e3d4c/2-x1y2z3-raw.parquet         rows of the raw table, read by the second shard
    lake/_shards/host.4711.1f2e3d4c/2-x1y2z3-cleaned.parquet     its valid rows

They lie in the lake's data, in a folder that each load has for itself. What the load makes of them is in `shard_files`.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.warehouse.connection import SHUT, shut
from orchestration_project.warehouse.duckdb_file import STORAGE_VERSION
from orchestration_project.warehouse.extensions import load
from orchestration_project.warehouse.faults import clear_faults

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class LakeFolder:
    """Where the shards of one load write files for a lake.

    Attributes:
        url: a folder, or an URL of S3, with a slash at its end.
        secret: the statement that gives a connection the credentials for an URL; empty for a folder.
    """

    url: str
    secret: str = field(default="", repr=False)

    @property
    def is_remote(self) -> bool:
        """Whether it is in an object store."""
        return "://" in self.url


@contextmanager
def scratch(
    database: Path, purpose: str, limits: Mapping[str, str | int], folders: Iterable[Path], lake: LakeFolder | None
) -> Iterator["DuckDBPyConnection"]:
    """A connection to a new scratch database, which may read and write some folders, and one of a lake.

    Args:
        database: its file.
        purpose: what it is for, for errors.
        limits: of its memory and its threads, by DuckDB's names.
        folders: what it may read and write.
        lake: the same.
    """
    import duckdb

    config = {**SHUT, **limits, "storage_compatibility_version": STORAGE_VERSION}
    with clear_faults(database, purpose):
        connection = duckdb.connect(str(database), config=config)
        try:
            allowed, prefixes = [*folders], list[str]()
            if lake and lake.is_remote:
                load(connection, "httpfs")
                connection.execute(lake.secret)
                prefixes.append(lake.url)
            elif lake:
                allowed.append(Path(lake.url))
            shut(connection, allowed, prefixes)
            yield connection
        finally:
            connection.close()
