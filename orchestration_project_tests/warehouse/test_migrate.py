"""A warehouse moves from a file into a lake and back: all of it, exactly, or nothing."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.errors import RecoveryError, WarehouseError
from orchestration_project.failpoints import Migration, listen
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.migrate import migrate
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.servers.warehouses import FILE, SQLITE, place

# Values that a way through text, Parquet or SQLite could change.
ODD = """CREATE SCHEMA "Other one"; CREATE TABLE "Other one"."T 1" AS FROM (VALUES
    (1, 'a', 170141183460469231731687303715884105.0::DECIMAL(38,1), TIMESTAMP '0001-01-01 00:00:00.000001',
        'nan'::DOUBLE, ['x', NULL], {'k': '🏬'}, 'a' || chr(0) || 'b', '\\x00\\xff'::BLOB),
    (NULL, '', NULL, 'infinity', -0.0, [], NULL, ' ', ''::BLOB)) AS v(i, s, d, t, f, l, r, z, b);
    CREATE TABLE empty (a INTEGER); CREATE TABLE kinds (e ENUM('y', 'n'), h HUGEINT, m TIMESTAMP_MS);
    INSERT INTO kinds VALUES ('y', 12345678901234567890123456789, '2024-01-15 08:00:00.123'), (NULL, -1, NULL)"""
KILLED = """
import os, signal, sys
from orchestration_project.cli.main import main
from orchestration_project.failpoints import Migration, listen
seen = []
def step(point):
    seen.append(point)
    if len(seen) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
listen(step)
main(sys.argv[2:])
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """A shop whose warehouse is a file, with two days, one of which has a reject; its settings are the environment."""
    shop = FileShop(tmp_path / "data")
    for number in (1, 2):
        shop.deliver(named(number), "id,n\na,1\nb,x\nc,3\n")
    shop.load()
    for name, value in {"DATA_DIR": str(shop.folder), "WAREHOUSE_URL": "", "WAREHOUSE_DATA": ""}.items():
        monkeypatch.setenv(name, value)
    yield shop
    listen(None)


class FileShop(Shop):
    """A shop with a DuckDB file, whatever kind the other tests use."""

    kind = FILE

    @property
    def settings(self) -> Settings:
        """Its settings."""
        url, data = place(self.folder, self.kind)
        return replace(super().settings, warehouse_url=url, warehouse_data=data)


class LakeShop(FileShop):
    """The same shop after it has moved into a lake."""

    kind = SQLITE


def lake_of(shop: Shop) -> Warehouse:
    """The lake that the shop moves to."""
    return LakeShop(shop.folder).warehouse


def test_into_a_lake_and_back(shop: Shop, tmp_path: Path) -> None:
    """Every table of every schema has the same rows in the lake and in the file that is made of it again."""
    with shop.warehouse.connection("test") as connection:
        connection.execute(ODD)
    before, lake, back = shop.warehouse.stamp(), lake_of(shop), tmp_path / "back.duckdb"
    found = migrate(shop.warehouse, lake, shop.told.append)
    assert [note.partition(": ")[2] for note in found.notes] == [
        "column 'e' was ENUM('y', 'n') and is VARCHAR",
        "column 'h' was HUGEINT and is DECIMAL(38,0)",
        "column 'm' was TIMESTAMP_MS and is TIMESTAMP",
    ]
    again = migrate(lake, shop.warehouse.scratch(back), shop.told.append)
    assert (again.tables, again.rows, again.notes) == (found.tables, found.rows, [])
    assert shop.warehouse.stamp() == before
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{shop.warehouse.where}' AS a (READ_ONLY); ATTACH '{back}' AS b (READ_ONLY)")
        names = connection.execute(
            "SELECT format('\"{}\".\"{}\"', schema_name, table_name) FROM duckdb_tables() WHERE database_name = 'a'"
        ).fetchall()
        assert len(names) == found.tables
        for (name,) in names:
            assert connection.execute(f"(FROM a.{name} EXCEPT ALL FROM b.{name})").fetchall() == [], name
            counts = connection.execute(f"SELECT (SELECT count(*) FROM a.{name}), (SELECT count(*) FROM b.{name})")
            assert len(set(counts.fetchone() or ())) == 1, name


def test_loads_go_on(shop: Shop) -> None:
    """By the command's output the shop goes on in the lake: what was loaded stays, and new files come to it."""
    url, data = place(shop.folder, SQLITE)
    done = CliRunner().invoke(main, ["migrate-warehouse", url, "--data", data])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-2:] == [f"WAREHOUSE_URL={url}", f"WAREHOUSE_DATA={data}"]
    moved = LakeShop(shop.folder)
    assert moved.tables() == shop.tables()
    moved.deliver(named(3), "id,n\nd,4\n")
    moved.deliver(named(1, "other"), "id,n\ne,5\n")
    moved.load()
    assert moved.cleaned("id") == ["e", "a", "c", "a", "c", "d"]
    assert [row["seen_at"] for row in moved.rows("FROM file_ledger ORDER BY ALL") if row["file"] == named(2)] == [
        row["seen_at"] for row in shop.rows("FROM file_ledger ORDER BY ALL") if row["file"] == named(2)
    ]
    assert moved.landing() == []


def test_another_value_is_noticed(shop: Shop) -> None:
    """If one value differs between both sides the command fails, names the table, and the target gets nothing."""

    def damage(point: object) -> None:
        if point is Migration.WRITTEN and (file := lake_of(shop).beside("migrating") / "table.parquet").exists():
            with duckdb.connect() as connection:
                connection.execute(f"CREATE TABLE t AS FROM '{file}'")
                if "n" in [name for name, *_ in connection.execute("DESCRIBE t").fetchall()]:
                    connection.execute("UPDATE t SET n = 4 WHERE n = 3")
                    connection.execute(f"COPY t TO '{file}' (FORMAT parquet)")

    listen(damage)
    with pytest.raises(RecoveryError, match=r"main\.cleaned_f differs after it was copied: 4 rows .* became 4"):
        migrate(shop.warehouse, lake_of(shop), shop.told.append)
    listen(None)
    with lake_of(shop).connection("test", read_only=True) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall() == []


@pytest.mark.parametrize("step", [3, 6])
def test_a_kill_leaves_a_target_without_tables(shop: Shop, step: int) -> None:
    """Killed half-way the source is whole and the target has nothing; the command goes through the next time."""
    before, tables = shop.warehouse.stamp(), shop.tables()
    url, data = place(shop.folder, SQLITE)
    command = ["migrate-warehouse", url, "--data", data]
    killed = subprocess.run([sys.executable, "-c", KILLED, str(step), *command], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert shop.tables() == tables
    assert shop.warehouse.stamp() == before
    with lake_of(shop).connection("test", read_only=True) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal").fetchall() == []
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert LakeShop(shop.folder).tables() == tables
    assert not lake_of(shop).beside("migrating").exists()


def test_what_is_refused(shop: Shop, tmp_path: Path) -> None:
    """A target with tables, the warehouse itself, a source that is not there and a type without a place are refused."""
    full = shop.warehouse.scratch(tmp_path / "full.duckdb")
    with full.connection("test") as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    with pytest.raises(RecoveryError, match=r"has tables already \(main\.mine\), and nothing is overwritten"):
        migrate(shop.warehouse, full, shop.told.append)
    with pytest.raises(RecoveryError, match="is the warehouse itself"):
        migrate(shop.warehouse, shop.warehouse, shop.told.append)
    with pytest.raises(RecoveryError, match="nothing to copy"):
        migrate(shop.warehouse.scratch(tmp_path / "none.duckdb"), full, shop.told.append)
    with shop.warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE odd (a INTERVAL)")
    with pytest.raises(WarehouseError, match=r"odd: column 'a' is INTERVAL, .* make it VARCHAR"):
        migrate(shop.warehouse, lake_of(shop), shop.told.append)
    wrong = CliRunner().invoke(main, ["migrate-warehouse", f"duckdb:///{tmp_path}/b.duckdb", "--data", "x"])
    assert (wrong.exit_code, "--data is for a lake" in wrong.output) == (2, True)
