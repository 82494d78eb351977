"""The warehouse as a DuckLake: a catalog in SQLite or PostgreSQL, and the rows in Parquet files, also on S3.

    WAREHOUSE_URL=ducklake:sqlite:////srv/shop/lake.sqlite      WAREHOUSE_DATA=/srv/shop/lake
    WAREHOUSE_URL=ducklake:postgres://user@host/database        WAREHOUSE_DATA=s3://bucket/lake

DuckDB still does all of the work, in memory; the lake is attached as `warehouse`. Who reads the lake by a program of
their own is never kept out, and keeps nobody out: it sees the last commit. The platform's own sessions come one at a
time, by the lock of the catalog, as they do with a file; but loads are alone only while they write.

Belongs here: connections to a lake. What its catalog can do is in `lake_catalog`.
"""

import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import SHUT, Lock, Stamp, Warehouse, locked_by, shut
from orchestration_project.warehouse.extensions import load
from orchestration_project.warehouse.faults import clear_faults
from orchestration_project.warehouse.lake_catalog import Catalog, Snapshot
from orchestration_project.warehouse.lake_faults import lake_fault_of
from orchestration_project.warehouse.lake_postgres import PostgresCatalog
from orchestration_project.warehouse.lake_s3 import secret_of
from orchestration_project.warehouse.lake_sqlite import SqliteCatalog
from orchestration_project.warehouse.lock import Holder, is_running
from orchestration_project.warehouse.snapshots import snapshot_seen
from orchestration_project.warehouse.tables import is_lake, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NAME = "warehouse"
"""The lake's name in DuckDB: the one that a file of the default path has."""
# DuckDB's extension for PostgreSQL can't attach without what keeps secrets. No such folder can exist, so none is kept.
LAKE_SHUT = {name: value for name, value in SHUT.items() if name != "allow_persistent_secrets"} | {
    "secret_directory": "/dev/null/secrets",
}
# Small changes go to Parquet files too: a value in the catalog would pass through the types of SQLite or PostgreSQL.
OPTIONS = {"DATA_INLINING_ROW_LIMIT": "0"}
LEFT_SECONDS = 7 * 24 * 3600.0
"""How old the folder of a process of another machine is before it counts as left by a kill."""


@dataclass(frozen=True, slots=True)
class Lake(Warehouse):
    """A DuckLake that several processes share.

    Attributes:
        catalog: the database that says which files the tables consist of.
        data: where the files are: a folder or an URL, with a slash at its end.
        local: a path on this machine; what is put beside it begins with its name.
        lock_timeout: seconds to wait while another process holds the warehouse.
        threads: number of DuckDB's threads; None: DuckDB chooses.
        memory_limit: DuckDB's memory limit, such as `2GB`; None: DuckDB chooses.
    """

    catalog: Catalog
    data: str
    local: Path
    lock_timeout: float = field(default=300.0, kw_only=True)
    threads: int | None = field(default=None, kw_only=True)
    memory_limit: str | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """The lake that the settings name.

        Raises:
            SettingsError: WAREHOUSE_URL names no such catalog.
        """
        catalog, data = _catalog_of(settings.warehouse_url), f"{settings.lake_data.rstrip('/')}/"
        local = catalog.file if isinstance(catalog, SqliteCatalog) else settings.data_dir / "warehouse.lake"
        return cls(
            catalog,
            data,
            local,
            lock_timeout=settings.lock_timeout,
            threads=settings.threads,
            memory_limit=settings.memory_limit,
        )

    @property
    def where(self) -> str:
        """The URL of its catalog, without a password."""
        return self.catalog.where

    @property
    def name(self) -> str:
        """The name of its catalog."""
        return self.catalog.name

    @property
    def lost(self) -> str:
        """What is missing when it does not exist."""
        return "no catalog"

    @property
    def readable(self) -> str:
        """What it should be."""
        return "a readable DuckLake"

    @property
    def to_move(self) -> str:
        """What has to be moved away before another one is made."""
        return f"{self.catalog.to_move}, and {self.data} away"

    @property
    def is_remote(self) -> bool:
        """Whether the rows are in an object store."""
        return "://" in self.data

    def exists(self) -> bool:
        """Whether there is a catalog with a snapshot.

        Raises:
            WarehouseDown: the database of the catalog does not answer.
        """
        return self.catalog.newest() is not None

    def with_timeout(self, seconds: float) -> "Lake":
        """The same warehouse, for somebody who waits otherwise for the lock."""
        return replace(self, lock_timeout=seconds)

    def beside(self, ending: str) -> Path:
        """The path of something on this machine that belongs to the warehouse."""
        return self.local.with_name(f"{self.local.name}.{ending}")

    def work_path(self) -> Path:
        """Where a load may make its folder for copies: another one for each, since loads may work side by side."""
        return _own_path(self.beside("work"))

    def stamp(self, connection: "DuckDBPyConnection | None" = None) -> Stamp:
        """Number and moment of the newest snapshot: a lake that was made anew counts from the start."""
        if connection:
            return [[*snapshot_seen(connection)]]
        newest = self.catalog.newest()
        # Rounded: a float of so many microseconds is a quarter of one too small.
        return [[newest.number, round(newest.made_at.timestamp() * 1_000_000)]] if newest else [[]]

    def written_at(self) -> float:
        """When the newest snapshot was made, in seconds since 1970."""
        newest = self.catalog.newest()
        return newest.made_at.timestamp() if newest else time.time()

    def size(self, connection: "DuckDBPyConnection") -> float:
        """The bytes of all files that the present rows are in."""
        if not is_lake(connection):
            return 0.0  # it has not been made, and the connection is to an empty database
        row = connection.execute(
            f"SELECT sum(file_size_bytes + delete_file_size_bytes) FROM ducklake_table_info('{NAME}')"
        ).fetchone()
        return float(row[0] or 0) if row else 0.0

    def holder(self) -> Holder | None:
        """Who has the warehouse; None if nobody has, or that can't be told. It waits for nobody."""
        return self.catalog.holder()

    @contextmanager
    def clear_faults(self, purpose: str, *folders: Path) -> Iterator[None]:
        """Turn what can go wrong with disks, memory, catalog and object store into errors that say what to do."""
        import duckdb

        with clear_faults(self.local, purpose, *folders):
            try:
                yield
            except duckdb.Error as error:
                if fault := lake_fault_of(error, self.catalog, self.data, self.to_move, purpose):
                    raise fault from None  # the text of the error may hold a password
                raise

    @contextmanager
    def connection(
        self, purpose: str, folders: Iterable[Path] = (), read_only: bool = False, shared: bool = False
    ) -> Iterator["DuckDBPyConnection"]:
        """A connection under the lock of the catalog. It is always closed at the end of the block.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.
            read_only: don't change the lake; it must exist.
            shared: others may write meanwhile: the lock is held in blocks of `alone` only. With `read_only` it is not
                held at all: all statements see the snapshot that is the newest one now.

        Raises:
            WarehouseBusy: another process held the lock for longer than `lock_timeout`.
            WarehouseBroken: the catalog or the data can't be read.
            WarehouseDown: the database of the catalog, or the object store, does not answer.
            DiskFull: a disk had no room.
        """
        lock = Lock(partial(self.catalog.locked, purpose, self.lock_timeout))
        with (
            self.clear_faults(purpose),
            ExitStack() as holding,
            _gone_afterwards(_own_path(self.beside("tmp"))) as spill,
        ):
            newest = self.catalog.newest() if shared else None
            # Two that attach a lake which is not there would both make it.
            if newest is None:
                holding.enter_context(lock.held())
            connection = self._open(read_only, spill, newest if read_only else None)
            try:
                shut(connection, [*folders, *([] if self.is_remote else [Path(self.data)])], self._prefixes())
                locked_by(connection, lock)
                if shared:
                    holding.close()
                yield connection
            finally:
                _close(connection)

    def _prefixes(self) -> list[str]:
        return [self.data] if self.is_remote else []

    def _open(self, read_only: bool, spill: Path, pinned: Snapshot | None) -> "DuckDBPyConnection":
        import duckdb

        connection = duckdb.connect(config=LAKE_SHUT | {"temp_directory": str(spill)} | self.limits())
        try:
            self._attach(connection, read_only, pinned)
        except BaseException:
            connection.close()
            raise
        return connection

    def _attach(self, connection: "DuckDBPyConnection", read_only: bool, pinned: Snapshot | None) -> None:
        attaching = self.catalog.attaching(read_only)
        for extension in ("ducklake", self.catalog.extension, *(["httpfs"] if self.is_remote else [])):
            load(connection, extension)
        if self.is_remote:
            connection.execute(secret_of(self.data))
        else:
            Path(self.data).mkdir(parents=True, exist_ok=True)
        for statement in attaching.secrets:
            connection.execute(statement)
        options = {"DATA_PATH": literal(self.data), **OPTIONS, **attaching.options}
        if pinned:
            options["SNAPSHOT_VERSION"] = str(pinned.number)
        listed = [f"{name} {value}" for name, value in options.items()] + (["READ_ONLY"] if read_only else [])
        target = literal(f"ducklake:{attaching.path}")
        connection.execute(f"ATTACH {target} AS {NAME} ({', '.join(listed)})")
        connection.execute(f"USE {NAME}")


def _catalog_of(url: str) -> Catalog:
    place = url.removeprefix("ducklake:")
    scheme, _, path = place.partition(":///")
    if scheme == "sqlite" and path:
        # As in any URL: a blank is written %20.
        return SqliteCatalog(Path(unquote(path)).expanduser().absolute())
    if place.startswith(("postgres://", "postgresql://")):
        return PostgresCatalog.parse(place)
    # The value is not told: it may hold a password.
    raise SettingsError(
        "WAREHOUSE_URL names no lake: write ducklake:sqlite:///relative/path, ducklake:sqlite:////absolute/path or"
        " ducklake:postgres://user:password@host:port/database"
    )


def _close(connection: "DuckDBPyConnection") -> None:
    import duckdb

    # Without it DuckDB's extension ends this process, when the connection is closed in the middle of a transaction
    # whose server is gone. After COMMIT there is nothing to roll back.
    with suppress(duckdb.Error):
        connection.execute("ROLLBACK")
    connection.close()


def _own_path(root: Path) -> Path:
    """A path below a folder for this process alone; what killed processes have left there is removed."""
    for left in root.iterdir() if root.is_dir() else ():
        if _is_left(left):
            shutil.rmtree(left, ignore_errors=True)
    return root / f"{socket.gethostname()}.{os.getpid()}.{secrets.token_hex(4)}"


def _is_left(folder: Path) -> bool:
    # From the right: a host's name may have dots in it.
    host, pid, _ = [*folder.name.rsplit(".", 2), "", ""][:3]
    if host == socket.gethostname() and pid.isdecimal():
        return not is_running(int(pid))
    with suppress(FileNotFoundError):
        return time.time() - folder.stat().st_mtime > LEFT_SECONDS
    return False


@contextmanager
def _gone_afterwards(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
