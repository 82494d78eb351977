"""The way into the warehouse: locks, waits, transactions."""

from pathlib import Path

import duckdb
import pytest

from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.reliability.contention import holder

HOLD_DATABASE = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('ready', flush=True); sys.stdin.read()"
HOLD_LOCK = """
import sys
from pathlib import Path
from orchestration_project.warehouse.duckdb_file import DuckdbFile
with DuckdbFile(Path(sys.argv[1])).connection("the big load"):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckdbFile:
    """A warehouse with a table, and little patience."""
    warehouse = DuckdbFile(tmp_path / "it's a 🏬" / "warehouse.duckdb", lock_timeout=0.3, threads=1)
    with warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE t (a INTEGER)")
    return warehouse


def count(warehouse: DuckdbFile) -> int:
    """How many rows the table has."""
    with warehouse.connection("count") as connection:
        row = connection.execute("SELECT count(*) FROM t").fetchone()
    assert row is not None
    return int(row[0])


def test_a_held_lock_names_its_holder(warehouse: DuckdbFile) -> None:
    """Who waits for too long is told which process does what since when, and what to do; afterwards the way is free."""
    with (
        holder(HOLD_LOCK, warehouse.database) as process,
        pytest.raises(WarehouseBusy, match=rf"process {process.pid} on .* \(the big load, since .*WAREHOUSE_LOCK_"),
    ):
        count(warehouse)
    assert count(warehouse) == 0


def test_a_database_that_somebody_else_has_open(warehouse: DuckdbFile) -> None:
    """A program beside the platform that has the file open is told apart from the platform's own lock."""
    with (
        holder(HOLD_DATABASE, warehouse.database) as process,
        pytest.raises(WarehouseBusy, match=rf"held open outside the platform.*PID {process.pid}.*Close that program"),
    ):
        count(warehouse)
    assert count(warehouse) == 0


def test_a_connection_of_the_same_process(warehouse: DuckdbFile) -> None:
    """A connection that this very process has open elsewhere is told as such."""
    with duckdb.connect(str(warehouse.database)), pytest.raises(WarehouseBusy, match="held open"):
        count(warehouse)


def test_an_unreadable_note_of_the_holder(warehouse: DuckdbFile) -> None:
    """The note of who holds the lock may be missing or broken; the message then says less."""
    note = warehouse.database.with_name(f"{warehouse.database.name}.holder.json")
    with holder(HOLD_LOCK, warehouse.database):
        for text in ("{", "[]", "{}"):
            note.write_text(text)
            with pytest.raises(WarehouseBusy, match="in use by another process"):
                count(warehouse)


def test_the_connection_is_closed_after_an_error(warehouse: DuckdbFile) -> None:
    """After an error the file is free for others, and no note of a holder is left."""
    with pytest.raises(ZeroDivisionError), warehouse.connection("test"):
        raise ZeroDivisionError
    with duckdb.connect(str(warehouse.database)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert not list(warehouse.database.parent.glob("*.holder.json"))


def insert(warehouse: DuckdbFile, value: int, error: BaseException | None = None) -> None:
    """Insert a row in a transaction, and perhaps raise before its end."""
    with warehouse.transaction("test") as connection:
        connection.execute("INSERT INTO t VALUES ($1)", [value])
        if error:
            raise error


def test_a_transaction_is_all_or_nothing(warehouse: DuckdbFile) -> None:
    """What a block did is there when it ends, and none of it when it raises, even by an interrupt."""
    insert(warehouse, 1)
    for error in (ValueError(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            insert(warehouse, 2, error)
    assert count(warehouse) == 1


def test_the_error_of_a_failed_statement_is_told(warehouse: DuckdbFile) -> None:
    """An error that ended the transaction already is not hidden by the attempt to roll it back."""
    with warehouse.connection("test") as connection:
        connection.execute("CREATE UNIQUE INDEX once ON t (a)")
    insert(warehouse, 1)
    with pytest.raises(duckdb.ConstraintException):
        insert(warehouse, 1)
    with pytest.raises(ValueError, match="own"):
        roll_back_and_raise(warehouse)


def roll_back_and_raise(warehouse: DuckdbFile) -> None:
    """End a transaction from within, then raise."""
    with warehouse.transaction("test") as connection:
        connection.execute("ROLLBACK")
        raise ValueError("own")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A broken file is told at once, without waiting for a lock that nobody holds, whatever its path says."""
    database = tmp_path / "lock" / "warehouse.duckdb"
    database.parent.mkdir()
    database.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(WarehouseError, match="can't be opened as a DuckDB file"):
        count(DuckdbFile(database, lock_timeout=60))


def test_times_are_utc(warehouse: DuckdbFile) -> None:
    """A connection's time zone does not depend on the machine."""
    with warehouse.connection("test") as connection:
        assert connection.execute("SELECT current_setting('TimeZone')").fetchone() == ("UTC",)


def test_settings_reach_the_connection(tmp_path: Path) -> None:
    """Threads and the memory limit of the settings are in force."""
    settings = Settings(data_dir=tmp_path, threads=1, memory_limit="100MB")
    with Warehouse.from_settings(settings).connection("test") as connection:
        row = connection.execute("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    assert row == (1, "95.3 MiB")
