"""A lake keeps the promises that a DuckDB file keeps, whatever its catalog is, and its lock is what some of them need.

These are chosen stories. `pytest --warehouse lake-sqlite` runs any test of the tables on a lake.
"""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from orchestration_project.backup.look import look
from orchestration_project.errors import WarehouseBusy, WarehouseDown
from orchestration_project.failpoints import Point, listen
from orchestration_project.recovery.drop import drop_feed
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.warehouse.lake import Lake
from orchestration_project.warehouse.lake_postgres import PostgresCatalog
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named
from orchestration_project_tests.reliability.contention import at_once, keyed
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.lakes import intruding, state
from orchestration_project_tests.servers.warehouses import CHOICE, FILE, POSTGRES, SQLITE

FATAL = (Point.STAGED, Point.ENTERED, Point.INSERTED, Point.SECURED, Point.COMMITTED, Point.TAKEN)


def first_wave(shop: Shop) -> None:
    """Two days that share a key, a reject, and the same bytes under another name."""
    shop.deliver(named(1), "id,n\na,1\nb,x\n")
    shop.deliver(named(2), "id,n\na,5\nc,2\n")
    shop.deliver(named(2, "t"), "id,n\na,5\nc,2\n")


def second_wave(shop: Shop) -> None:
    """A correction that frees a key and brings a new one, a file that is refused, and a day in between."""
    shop.deliver(named(1), "id,n\nd,4\nb,2\n")
    shop.deliver(named(4), "nothing of that\n")
    shop.deliver(named(3), "id,n\nc,7\ne,\n")


def stocked(folder: Path) -> Shop:
    """A shop after both waves."""
    shop = Shop(folder, keyed())
    for wave in (first_wave, second_wave):
        wave(shop)
        shop.load()
    return shop


@pytest.mark.promise("deliveries")
@pytest.mark.parametrize("lake_kind", [SQLITE, POSTGRES], indirect=True)
def test_the_same_deliveries_give_the_same_tables(
    lake_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, ledger, contents of batches, archive and quarantine on a lake are those on a DuckDB file."""
    found = state(stocked(tmp_path / lake_kind))
    monkeypatch.setenv(CHOICE, FILE)
    assert state(stocked(tmp_path / FILE)) == found
    tried()


@pytest.mark.promise("disk")
def test_a_lost_lake_comes_back_from_the_archive(lake_kind: str, tmp_path: Path) -> None:
    """When catalog and data are gone, a rebuild makes the same tables; a feed that is dropped leaves none."""
    shop = stocked(tmp_path / lake_kind)
    before = shop.tables()
    for path in shop.folder.glob("lake*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert not shop.warehouse.exists()
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, shop.told.append)
    assert shop.tables() == before
    drop_feed(shop.warehouse, shop.settings, shop.feed.name, [], NOW)
    assert shop.rows("SELECT table_name FROM duckdb_tables() WHERE table_name = 'cleaned_f'") == []


@pytest.mark.promise("disk")
def test_a_backup_sees_the_rows_of_a_lake(lake_kind: str, tmp_path: Path) -> None:
    """What a backup reads of a lake is a copy with the same rows, of one moment."""
    shop = stocked(tmp_path / lake_kind)
    (tmp_path / "work").mkdir()
    seen = look(shop.warehouse, shop.settings, tmp_path / "work" / "copy")
    assert seen.copy
    assert seen.original == shop.warehouse.where
    with seen.copy.connection("test", read_only=True) as connection:
        for table in ("raw_f", "cleaned_f", "rejected_f", "file_ledger"):
            copied = connection.execute(f"SELECT count(*), sum(hash(_whole))::VARCHAR FROM {table} _whole").fetchone()
            (row,) = shop.rows(f"SELECT count(*) AS rows, sum(hash(_whole))::VARCHAR AS sum FROM {table} _whole")
            assert copied == (row["rows"], row["sum"])


def die_at(folder: Path, fatal: Point) -> None:
    """Load, and end by SIGKILL at a point."""
    listen(lambda point: os.kill(os.getpid(), signal.SIGKILL) if point is fatal else None)
    Shop(folder, keyed()).load()


@pytest.mark.promise("crash")
def test_a_lake_after_kills(lake_kind: str, tmp_path: Path) -> None:
    """A load that is killed at one point after the other, and then let through, leaves what an undisturbed one does."""
    expected, disturbed = (Shop(tmp_path / name, keyed()) for name in ("expected", "disturbed"))
    for shop in (expected, disturbed):
        first_wave(shop)
    expected.load()
    context = multiprocessing.get_context("spawn")
    for fatal in FATAL[:: effort(2, 1)]:
        process = context.Process(target=die_at, args=(disturbed.folder, fatal))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL, fatal
        tried()
    disturbed.load()
    assert state(disturbed) == state(expected)
    assert not any(path.is_dir() for path in disturbed.folder.glob("lake.sqlite.*/*"))


@pytest.mark.promise("concurrency")
@pytest.mark.parametrize("lake_kind", [SQLITE, POSTGRES], indirect=True)
def test_first_loads_at_once(lake_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that load the same days of a lake at once, and days that share a key, leave what one load leaves."""
    workers, days = effort(2, 8), effort(2, 50)
    shop, alone = Shop(tmp_path / lake_kind, keyed()), Shop(tmp_path / FILE, keyed())
    for number in range(1, days + 1):
        for one in (shop, alone):
            one.deliver(named(number), f"id,n\nk{number},1\nshared,{number}\n")
    rounds = [[number] for number in range(1, days + 1)]
    with at_once(shop.folder, *([*rounds[turn:], *rounds[:turn]] for turn in range(workers))):
        pass
    tried(workers * days)
    found = state(shop)
    monkeypatch.setenv(CHOICE, FILE)
    alone.load()
    assert found == state(alone)


@pytest.mark.promise("concurrency")
def test_a_load_has_to_wait_while_another_one_writes(lake_kind: str, tmp_path: Path) -> None:
    """The lock of a lake covers all of a transaction: who comes in between waits, and sees what was committed then."""
    shop = Shop(tmp_path / lake_kind, keyed())
    shop.deliver(named(2), "id,n\nk,1\n")
    shop.deliver(named(3), "id,n\nk,2\n")
    waited = list[WarehouseBusy]()

    def other() -> None:
        try:
            shop.load(day(2))
        except WarehouseBusy as error:
            waited.append(error)

    with intruding(Point.ENTERED, other):
        shop.load(day(3))
    assert len(waited) == 1
    shop.load()
    assert shop.rows("SELECT n FROM cleaned_f WHERE id = 'k'") == [{"n": 1}]


@pytest.mark.promise("concurrency")
@pytest.mark.parametrize("lake_kind", [POSTGRES], indirect=True)
def test_a_load_that_lost_its_lock_commits_nothing(lake_kind: str, tmp_path: Path) -> None:
    """When the server ends the connection that holds the lock, the load fails, and the next one does all of it."""
    shop = Shop(tmp_path / lake_kind, keyed())
    shop.deliver(named(1), "id,n\nk,1\n")
    catalog = cast(Lake, shop.warehouse).catalog
    assert isinstance(catalog, PostgresCatalog)

    def end_holder() -> None:
        with psycopg.connect(make_conninfo(**catalog.parameters), autocommit=True) as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            ).fetchall()
        assert ended == [(True,)]

    with intruding(Point.ENTERED, end_holder), pytest.raises(WarehouseDown, match="ended the connection that holds"):
        shop.load()
    assert shop.rows("SELECT file FROM file_ledger UNION ALL SELECT _file FROM raw_f") == []
    shop.load()
    assert shop.rows("SELECT id, n FROM cleaned_f") == [{"id": "k", "n": 1}]
