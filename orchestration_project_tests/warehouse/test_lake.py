"""The warehouse as a lake: what its connections may, what it can hold, who waits for whom, what faults are told as."""

import shutil
import sqlite3
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from orchestration_project.errors import WarehouseBroken, WarehouseBusy, WarehouseDown, WarehouseError
from orchestration_project.setting_values import SettingsError
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse, alone, reading
from orchestration_project.warehouse.lake import NAME, Lake
from orchestration_project.warehouse.lake_postgres import PostgresCatalog
from orchestration_project.warehouse.lake_s3 import secret_of
from orchestration_project.warehouse.snapshots import changed_since
from orchestration_project.warehouse.tables import change_type, columns_of, create_table
from orchestration_project_tests.servers.postgres import PASSWORD, PostgresServer
from orchestration_project_tests.servers.s3 import SECRET, S3Server
from orchestration_project_tests.servers.warehouses import POSTGRES, SQLITE, place


@pytest.fixture
def lake(tmp_path: Path) -> Warehouse:
    """A lake of one machine with a table, and little patience."""
    return made(tmp_path / "it's a 🏬", SQLITE)


def made(folder: Path, kind: str) -> Warehouse:
    """A lake with a table of two rows."""
    folder.mkdir()
    url, data = place(folder, kind)
    settings = Settings(data_dir=folder, warehouse_url=url, warehouse_data=data, lock_timeout=0.3, threads=1)
    warehouse = Warehouse.from_settings(settings)
    assert not warehouse.exists()
    with warehouse.transaction("test") as connection:
        create_table(connection, "t", {"a": "INTEGER"})
        connection.execute("INSERT INTO t VALUES (1), (2)")
    return warehouse


def rows(warehouse: Warehouse) -> list[tuple[int]]:
    """The rows of its table."""
    with warehouse.connection("test", read_only=True) as connection:
        return connection.execute("SELECT a FROM main.t ORDER BY 1").fetchall()


def test_a_connection_to_a_lake_is_shut(lake: Warehouse, tmp_path: Path) -> None:
    """Statements reach the lake and the folders of their session, no other file, extension, setting or database."""
    (tmp_path / "open").mkdir()
    (tmp_path / "outside").write_text("private")
    with lake.connection("test", [tmp_path / "open"]) as connection:
        connection.execute(f"COPY (SELECT 1) TO '{tmp_path / 'open' / 'a.csv'}'")
        for statement in (
            f"FROM read_text('{tmp_path / 'outside'}')",
            f"ATTACH '{tmp_path / 'other.duckdb'}'",
            f"COPY (SELECT 1) TO '{tmp_path / 'b.csv'}'",
            "LOAD 'spatial'",
            "SET enable_external_access = true",
        ):
            with pytest.raises(duckdb.Error):
                connection.execute(statement)


def test_a_session_that_only_reads_writes_nothing(lake: Warehouse) -> None:
    """A read-only connection to a lake can make temporary tables, and change nothing."""
    before = lake.stamp()
    with reading(lake, "test", {"t": {"a": "INTEGER"}, "u": {"b": "INTEGER"}}) as connection:
        assert connection.execute("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u)").fetchone() == (2, 0)
        with pytest.raises(duckdb.Error):
            connection.execute("INSERT INTO t VALUES (3)")
    assert lake.stamp() == before


def test_a_commit_changes_the_stamp_and_a_rollback_does_not(lake: Warehouse) -> None:
    """What tells that somebody has written is another after each commit, and only then."""
    before = lake.stamp()
    with pytest.raises(duckdb.ConversionException), lake.transaction("test") as connection:
        connection.execute("DELETE FROM t; SELECT 'x'::INTEGER")
    assert (lake.stamp(), rows(lake)) == (before, [(1,), (2,)])
    with lake.transaction("test") as connection:
        connection.execute("DELETE FROM t WHERE a = 1")
    assert lake.stamp() != before
    assert rows(lake) == [(2,)]


def test_a_held_lake_names_its_holder(lake: Warehouse) -> None:
    """Whoever waits in vain for a lake is told who has it; nobody has it afterwards."""
    with lake.connection("the big load"):
        with pytest.raises(WarehouseBusy, match=r"lake\.sqlite is in use by process .*the big load"):
            rows(lake)
        assert "the big load" in getattr(lake.holder(), "who", "")
    assert lake.holder() is None


@pytest.mark.usefixtures("lake_servers")
@pytest.mark.parametrize("kind", [SQLITE, POSTGRES])
def test_a_reader_holds_nobody_up(kind: str, tmp_path: Path) -> None:
    """Who only reads a lake sees one state of it from beginning to end, in all cursors, while others write."""
    lake = made(tmp_path / "lake", kind)
    before = lake.stamp()
    with lake.connection("reader", read_only=True, shared=True) as reader:
        with lake.transaction("writer") as writer:
            writer.execute("INSERT INTO t VALUES (3)")
        assert lake.holder() is None
        for cursor in (reader, reader.cursor()):
            assert cursor.execute(f"SELECT count(*) FROM {NAME}.t").fetchone() == (2,)
        assert lake.stamp(reader) == before
        with pytest.raises(duckdb.Error, match="read-only"):
            reader.execute("INSERT INTO t VALUES (4)")
    with lake.connection("writer", shared=True) as sharing:
        assert lake.stamp(sharing) == lake.stamp() != before
        with alone(sharing), pytest.raises(WarehouseBusy):
            rows(lake)


def test_changes_since_a_snapshot(lake: Warehouse) -> None:
    """Rows that were written or deleted since a snapshot are seen, by a condition; of an expired one nobody knows."""

    def changed(since: int, a: int) -> bool:
        with lake.connection("test", read_only=True) as connection:
            return changed_since(connection, since, {"t": "a = $a"}, {"a": a})

    ((begun, _),) = lake.stamp()
    assert not changed(begun, 1)
    with lake.transaction("test") as connection:
        connection.execute("DELETE FROM t WHERE a = 1; INSERT INTO t VALUES (3)")
    assert [changed(begun, a) for a in (1, 2, 3)] == [True, False, True]
    ((later, _),) = lake.stamp()
    with lake.connection("test") as connection:
        connection.execute(f"CALL ducklake_merge_adjacent_files('{NAME}')")
        assert not changed_since(connection, later, {"t": "true"}, {})
        connection.execute("CREATE TABLE other (a INTEGER)")
        connection.execute(f"CALL ducklake_expire_snapshots('{NAME}', older_than => now())")
        assert changed_since(connection, begun, {"t": "a = 2"}, {})


@pytest.mark.usefixtures("lake_servers")
def test_without_the_lock_rows_would_count_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With PostgreSQL two transactions that bring the first row of a key both commit: only the lock is between them."""
    lake = made(tmp_path / "lake", POSTGRES)
    monkeypatch.setattr(PostgresCatalog, "locked", lambda *_: nullcontext(lambda: None))
    replacing = "DELETE FROM t WHERE a = 3; INSERT INTO t VALUES (3)"
    with lake.connection("one") as one:
        one.execute(f"BEGIN; {replacing}")
        with lake.transaction("other") as other:
            other.execute(replacing)
        one.execute("COMMIT")
    assert rows(lake) == [(1,), (2,), (3,), (3,)]


@pytest.mark.parametrize(
    ("sql_type", "instead"),
    [
        pytest.param("HUGEINT", r"make it DECIMAL\(38,0\)", id="hugeint"),
        pytest.param("STRUCT(a UHUGEINT[])", r"make it STRUCT\(a DECIMAL\(38,0\)\[\]\)", id="nested"),
        pytest.param("INTERVAL", "make it VARCHAR", id="interval"),
        pytest.param("ENUM('a', 'b')", "make it VARCHAR", id="enum"),
    ],
)
def test_a_type_that_a_lake_would_change_is_refused(lake: Warehouse, sql_type: str, instead: str) -> None:
    """A table with a column whose values Parquet changes is not made; the message says what holds them."""
    with (
        lake.connection("test") as connection,
        pytest.raises(WarehouseError, match=f"wide: column 'a' is .*{instead}"),
    ):
        create_table(connection, "wide", {"a": sql_type})


def test_a_column_of_a_lake_gets_another_type(lake: Warehouse) -> None:
    """A type is changed in any direction, with the values computed, though DuckLake itself only widens."""
    with lake.transaction("test") as connection:
        change_type(connection, "main.t", "a", "DECIMAL(38,0)", "a * 10000000000000000000000::DECIMAL(38,0)")
        change_type(connection, "main.t", "a", "VARCHAR", "a::VARCHAR")
        change_type(connection, "main.t", "a", "DECIMAL(38,0)", "a::DECIMAL(38,0)")
        assert columns_of(connection, "t") == {"a": "DECIMAL(38,0)"}
        connection.execute("INSERT INTO t VALUES (99999999999999999999999999999999999999)")
    with lake.connection("test", read_only=True) as connection:
        found = connection.execute("SELECT a FROM t ORDER BY 1").fetchall()
    assert found == [(Decimal(10**22),), (Decimal(2 * 10**22),), (Decimal(10**38 - 1),)]


def test_a_lake_without_its_files_is_broken(lake: Warehouse) -> None:
    """When the data is gone the error says what to move away before the lake is made anew."""
    assert isinstance(lake, Lake)
    shutil.rmtree(lake.data)
    with pytest.raises(WarehouseBroken, match=r"can't be read .*move .*lake\.sqlite away.* rebuild"):
        rows(lake)


def test_a_catalog_that_is_no_database_is_broken(lake: Warehouse) -> None:
    """A garbled catalog is told as a broken warehouse."""
    assert isinstance(lake, Lake)
    lake.local.write_bytes(b"garbage " * 1000)
    with pytest.raises(WarehouseBroken):
        lake.exists()


def test_an_empty_catalog_is_no_lake_yet(tmp_path: Path) -> None:
    """A SQLite file that a kill has left without tables counts as no warehouse, and the next session makes it."""
    url, data = place(tmp_path, SQLITE)
    sqlite3.connect(tmp_path / "lake.sqlite").close()
    warehouse = Warehouse.from_settings(Settings(data_dir=tmp_path, warehouse_url=url, warehouse_data=data))
    assert not warehouse.exists()
    with warehouse.connection("test"):
        pass
    assert warehouse.exists()


def test_another_place_for_the_data_is_refused(lake: Warehouse, tmp_path: Path) -> None:
    """A lake keeps its data where it was made with; another WAREHOUSE_DATA would split it."""
    assert isinstance(lake, Lake)
    with pytest.raises(WarehouseError, match="WAREHOUSE_DATA"):
        rows(replace(lake, data=f"{tmp_path}/elsewhere/"))


@pytest.mark.parametrize(
    "url", ["ducklake:mysql://u:w0rd@h/d", "ducklake:sqlite:///", "ducklake:postgres://u:w@0rd@h/d"]
)
def test_a_url_of_no_lake_is_refused_untold(url: str) -> None:
    """A WAREHOUSE_URL that names no catalog is refused, and no part of it is shown."""
    with pytest.raises(SettingsError, match="WAREHOUSE_URL") as caught:
        Warehouse.from_settings(Settings(warehouse_url=url))
    assert not any(part in str(caught.value) for part in ("w0rd", "0rd@"))


def test_s3_needs_credentials() -> None:
    """Without a key the error names the variables; with one, a store of one's own is asked in its way."""
    with pytest.raises(SettingsError, match="AWS_ACCESS_KEY_ID"):
        secret_of("s3://bucket/lake/", lambda _: "")
    given = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"}
    statement = secret_of("s3://bucket/lake/", lambda name: given.get(name, ""))
    assert "ENDPOINT '127.0.0.1:9000', URL_STYLE 'path', USE_SSL 'false'" in statement


def test_a_lake_of_several_machines(tmp_path: Path, lake_servers: tuple[PostgresServer, S3Server]) -> None:
    """With PostgreSQL and S3 it is shut, names its holder, tells no password, and says when a server is down."""
    database, store = lake_servers
    warehouse = made(tmp_path / "lake", POSTGRES)
    assert rows(warehouse) == [(1,), (2,)]
    with warehouse.connection("the big load") as connection:
        with pytest.raises(WarehouseBusy, match=r"is in use by the big load \(process \d+ on .*waited 0\.3 s"):
            rows(warehouse)
        for statement in ("FROM read_text('/etc/hostname')", "FROM read_blob('s3://tests/object')"):
            with pytest.raises(duckdb.PermissionException):
                connection.execute(statement)
        lists = [connection.execute(f"FROM duckdb_{name}()").fetchall() for name in ("databases", "secrets")]
        assert not any(word in str([warehouse, warehouse.where, *lists]) for word in (PASSWORD, SECRET))
    assert warehouse.holder() is None
    for server in (database, store):
        server.stop()
        try:
            with pytest.raises(WarehouseDown, match="can't be used now") as caught:
                rows(warehouse)
            assert PASSWORD not in str(caught.value)
        finally:
            server.start()
    assert rows(warehouse) == [(1,), (2,)]
