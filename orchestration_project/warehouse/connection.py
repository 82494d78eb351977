"""The only way into the warehouse: a connection under a lock, and a transaction on it; or one that only reads.

Belongs here: what every kind of warehouse can do, and what all connections have in common. The kinds are in
`duckdb_file`, which is the default, and in `lake`.

A connection may use only the warehouse and the folders that were asked for. A statement that gets in by mistake, such
as one in a contract, can't read another file, load an extension, use the network or change a setting.

Reports, checks and proofs only read, and ask tables that the first load will make. An empty temporary table stands in
for each of them, which only the connection itself sees: nothing is written.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from orchestration_project.settings import Settings
from orchestration_project.warehouse.lock import Holder
from orchestration_project.warehouse.tables import Columns, literals, stand_in

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from orchestration_project.warehouse.duckdb_file import DuckdbFile

# Nothing here needs an extension, a secret or a Python variable: JSON, Parquet and time zones are built in. What gets
# into a statement by mistake must not find them either.
SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    # Else DuckDB looks for an unknown table among the variables of the Python code that runs the statement.
    "python_enable_replacements": False,
}
Stamp = Sequence[Sequence[int]]
"""Numbers that are others as soon as somebody has written to the warehouse."""
_locks: "WeakKeyDictionary[DuckDBPyConnection, Lock]" = WeakKeyDictionary()


class Warehouse(ABC):
    """Tables that several processes share.

    Attributes:
        lock_timeout: seconds to wait while another process holds the warehouse.
        threads: number of DuckDB's threads; None: DuckDB chooses.
        memory_limit: DuckDB's memory limit, such as `2GB`; None: DuckDB chooses.
    """

    __slots__ = ()
    lock_timeout: float
    threads: int | None
    memory_limit: str | None

    @staticmethod
    def from_settings(settings: Settings) -> "Warehouse":
        """The warehouse that the settings name. Nothing is asked of it yet.

        Raises:
            SettingsError: WAREHOUSE_URL or WAREHOUSE_DATA can't be used.
        """
        if settings.is_lake:
            from orchestration_project.warehouse.lake import Lake

            return Lake.of(settings)
        from orchestration_project.warehouse.duckdb_file import DuckdbFile

        return DuckdbFile.of(settings)

    @property
    @abstractmethod
    def where(self) -> str:
        """Where it is, fit to be shown: no password is in it."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Its short name, for a table of findings."""

    @property
    @abstractmethod
    def lost(self) -> str:
        """What is missing when it does not exist."""

    @property
    @abstractmethod
    def readable(self) -> str:
        """What it should be, when it can't be read."""

    @property
    @abstractmethod
    def to_move(self) -> str:
        """What a person moves away before another one is made, as the rest of a sentence after `move`."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether it has been made.

        Raises:
            WarehouseDown: what would tell does not answer.
        """

    @abstractmethod
    def with_timeout(self, seconds: float) -> "Warehouse":
        """The same warehouse, for somebody who waits otherwise for the lock."""

    @abstractmethod
    def beside(self, ending: str) -> Path:
        """The path of something on this machine that belongs to the warehouse, such as the folder of a rebuild."""

    @abstractmethod
    def work_path(self) -> Path:
        """Where a load may make its folder for copies; whoever else uses the warehouse now does not use it."""

    @abstractmethod
    def stamp(self, connection: "DuckDBPyConnection | None" = None) -> Stamp:
        """Numbers that are others as soon as somebody has written. Without a connection it is not opened.

        Args:
            connection: an open one: the numbers of the state that it sees.

        Raises:
            WarehouseDown: what would tell does not answer.
        """

    @abstractmethod
    def written_at(self) -> float:
        """When it was last written to, in seconds since 1970. It must exist."""

    @abstractmethod
    def size(self, connection: "DuckDBPyConnection") -> float:
        """How many bytes it takes.

        Args:
            connection: an open one, to it.
        """

    @abstractmethod
    def holder(self) -> Holder | None:
        """Who has the warehouse; None if nobody has, or that can't be told. It waits for nobody."""

    @abstractmethod
    def clear_faults(self, purpose: str, *folders: Path) -> AbstractContextManager[None]:
        """Turn what goes wrong with disks, memory, the warehouse and its servers into errors that say what to do.

        All other errors go through unchanged.

        Args:
            purpose: what the block does, for the message.
            folders: other folders to which the block writes files.
        """

    @abstractmethod
    def connection(
        self, purpose: str, folders: Iterable[Path] = (), read_only: bool = False, shared: bool = False
    ) -> AbstractContextManager["DuckDBPyConnection"]:
        """A connection under the warehouse lock. It is always closed at the end of the block.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.
            read_only: don't change anything; the warehouse must exist.
            shared: others may write meanwhile, where the kind can have that: then the lock is held in blocks of `alone`
                only, and nothing else may write. With `read_only` all statements see one state.

        Raises:
            WarehouseBusy: another process held the warehouse for longer than `lock_timeout`.
            WarehouseBroken: the warehouse can't be read.
            WarehouseDown: a server that it needs does not answer.
            DiskFull: a disk had no room.
        """

    @contextmanager
    def transaction(self, purpose: str, folders: Iterable[Path] = ()) -> Iterator["DuckDBPyConnection"]:
        """A connection inside a transaction: committed when the block ends, rolled back when it raises.

        Args:
            purpose: what the connection is for, shown to those who wait.
            folders: where statements may read and write files; none by default.

        Raises:
            As `connection`.
        """
        with self.connection(purpose, folders) as connection, transaction(connection):
            yield connection

    def limits(self) -> dict[str, str | int]:
        """The part of a connection's configuration that says what it may use, and whose it is."""
        given: dict[str, str | int | None] = {"threads": self.threads, "memory_limit": self.memory_limit}
        # None is DuckDB's own choice.
        return {"custom_user_agent": "orchestration_project"} | {name: value for name, value in given.items() if value}

    def scratch(self, database: Path) -> "DuckdbFile":
        """A warehouse for a moment, in a file of its own, that works as this one: as many threads, as much memory."""
        from orchestration_project.warehouse.duckdb_file import DuckdbFile

        return DuckdbFile(database, self.lock_timeout, self.threads, self.memory_limit)


def shut(connection: "DuckDBPyConnection", folders: Iterable[Path], prefixes: Iterable[str] = ()) -> None:
    """Limit a connection to some folders and lock its settings. DuckDB itself allows the database's own files.

    Args:
        connection: it.
        folders: where it may read and write.
        prefixes: the same for objects, as URLs that end with a slash.
    """
    # Else the same file gives other moments on a machine in another zone.
    connection.execute("SET TimeZone = 'UTC'")
    allowed = [*(str(folder.resolve()) for folder in folders), *prefixes]
    connection.execute(f"SET allowed_directories = [{literals(allowed)}]")
    # This order: once access is off, no folder can be allowed any more.
    connection.execute("SET enable_external_access = false")
    # Last, and for good: else the SQL of a contract could open what was shut.
    connection.execute("SET lock_configuration = true")


@dataclass(slots=True)
class Lock:
    """The warehouse lock, as one connection takes it.

    Attributes:
        take: holds it for a block, and gives what proves that it is held still, which raises if it is not.
    """

    take: Callable[[], AbstractContextManager[Callable[[], None]]]
    _proof: Callable[[], None] | None = field(default=None, init=False)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; it may be held already."""
        if self._proof:
            yield
            return
        with self.take() as proof:
            self._proof = proof
            try:
                yield
            finally:
                self._proof = None

    @property
    def is_held(self) -> bool:
        """Whether it is held now."""
        return self._proof is not None

    def prove(self) -> None:
        """Prove, before a commit, that it is held still.

        Raises:
            WarehouseDown: it is lost, so the transaction must not be committed.
        """
        assert self._proof, "who writes is alone"
        self._proof()


def locked_by(connection: "DuckDBPyConnection", lock: Lock) -> None:
    """Have a connection hold a lock while it writes."""
    _locks[connection] = lock


@contextmanager
def alone(connection: "DuckDBPyConnection") -> Iterator[None]:
    """Keep all others from writing to the warehouse; they may be kept from it already.

    Raises:
        WarehouseBusy: somebody else held the lock for too long.
    """
    # A connection without a lock of its own has that of its warehouse from beginning to end.
    lock = _locks.get(connection)
    with lock.held() if lock else nullcontext():
        yield


def is_alone(connection: "DuckDBPyConnection") -> bool:
    """Whether nobody else can write to the warehouse now."""
    lock = _locks.get(connection)
    return lock is None or lock.is_held


@contextmanager
def transaction(connection: "DuckDBPyConnection") -> Iterator[None]:
    """A transaction on an open connection: committed when the block ends, rolled back when it raises."""
    import duckdb

    with alone(connection):
        connection.execute("BEGIN TRANSACTION")
        try:
            yield
            if lock := _locks.get(connection):
                lock.prove()
            connection.execute("COMMIT")
        # KeyboardInterrupt and a run that is ended too: an open transaction would be kept up to the end of the
        # connection.
        except BaseException:
            # Some errors end the transaction, or the server that has it is gone. Then ROLLBACK fails, and must not hide
            # the error.
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")
            raise


@contextmanager
def reading(
    warehouse: Warehouse, purpose: str, tables: Mapping[str, Columns] | None = None, shared: bool = True
) -> Iterator["DuckDBPyConnection"]:
    """A read-only connection, all of one state; where there is no warehouse yet, one to an empty database.

    Args:
        warehouse: what is read.
        purpose: what the holder does, shown to whoever waits.
        tables: tables that may be missing, with the columns that are asked for.
        shared: others may write meanwhile, where the kind can have that; else archive and quarantine stay as the tables
            tell, too.

    Raises:
        WarehouseBusy: somebody else held the warehouse for too long.
        WarehouseBroken: it can't be read.
    """
    if warehouse.exists():
        with warehouse.connection(purpose, read_only=True, shared=shared) as connection:
            stand_in(connection, tables or {})
            yield connection
    else:
        import duckdb

        # A read-only connection can't make a file, and who only asks must not make one.
        with duckdb.connect(config=SHUT) as connection:
            stand_in(connection, tables or {})
            yield connection
