"""The published copy of a small warehouse: what it shows, which files are written for it, and when they go."""

import datetime as dt
import os
import time
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from orchestration_project.contracts.feed import Required
from orchestration_project.errors import WarehouseBusy, WarehouseError
from orchestration_project.publishing.manifest import read_manifest
from orchestration_project.publishing.publish import Outcome, publish
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named
from orchestration_project_tests.publishing.copies import HEAD, held, published, reader, shown


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two days are loaded and published."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), f"{HEAD}a,1\nb,x\n")
    shop.deliver(named(2), f"{HEAD}c,2\n")
    shop.load()
    published(shop)
    return shop


def test_the_copy_shows_the_warehouse(shop: Shop) -> None:
    """Cleaned and rejected tables and the ledger have the same rows, columns and types; raw tables are left out."""
    assert shown(shop.settings) == held(shop.settings)
    with reader(shop.settings) as copy:
        names = copy.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
        types = copy.execute("DESCRIBE cleaned_f").fetchall()
    assert names == [("cleaned_f",), ("file_ledger",), ("rejected_f",)]
    with duckdb.connect(str(shop.settings.database), read_only=True) as warehouse:
        assert [row[:2] for row in types] == [row[:2] for row in warehouse.execute("DESCRIBE cleaned_f").fetchall()]


def test_a_reader_does_not_stop_a_load(shop: Shop) -> None:
    """Who has the copy open keeps the state that it had; who opens it anew sees the next one."""
    with reader(shop.settings) as copy:
        assert copy.execute("SELECT count(*) FROM cleaned_f").fetchone() == (2,)
        shop.deliver(named(2), f"{HEAD}c,2\nd,3\n")
        shop.load()
        published(shop)
        assert copy.execute("SELECT count(*) FROM cleaned_f").fetchone() == (2,)
        assert copy.execute("SELECT list(n ORDER BY n) FROM cleaned_f").fetchone() == ([1, 2],)
    assert shown(shop.settings) == held(shop.settings)


def test_only_what_changed_is_written(shop: Shop) -> None:
    """A new day writes its own files alone; a redelivery and a run without news write none."""
    shop.deliver(named(3), f"{HEAD}e,5\n")
    shop.load()
    found = published(shop)
    assert found.outcome is Outcome.PUBLISHED
    assert {name.rpartition("-")[0] for name in found.written} == {
        f"main/cleaned_f/{day(3)}",
        f"main/file_ledger/{day(3)}",
    }
    assert published(shop).outcome is Outcome.CURRENT
    shop.load(day(3))
    again = published(shop)
    assert (again.outcome, again.written) == (Outcome.CURRENT, frozenset())
    assert published(shop).seconds == 0.0


def test_a_correction_writes_its_day(shop: Shop) -> None:
    """A corrected file changes the files of its day, and the old ones stay for open readers."""
    before = {path.name for path in shop.settings.published.rglob("*.parquet")}
    shop.deliver(named(1), f"{HEAD}a,7\n")
    shop.load()
    written = published(shop).written
    assert {name.rpartition("-")[0] for name in written} == {
        f"main/cleaned_f/{day(1)}",
        f"main/file_ledger/{day(1)}",
        "main/rejected_f/empty",
    }
    assert before <= {path.name for path in shop.settings.published.rglob("*.parquet")}
    assert shown(shop.settings) == held(shop.settings)


def test_a_waiver_is_published(shop: Shop) -> None:
    """What changes in rejected rows alone is seen, though no cleaned batch changes."""
    with duckdb.connect(str(shop.settings.database)) as warehouse:
        warehouse.execute("UPDATE rejected_f SET _resolved_by = 'waived'")
    assert published(shop).outcome is Outcome.PUBLISHED
    assert shown(shop.settings) == held(shop.settings)


def test_a_contract_that_reads_otherwise_is_published(shop: Shop) -> None:
    """Rejected text that another contract has made of the same records is seen."""
    shop.feed = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), column("m", "INTEGER", source="n"))
    shop.load()
    published(shop)
    assert shown(shop.settings) == held(shop.settings)
    assert {"n", "m"} <= shop.rows("SELECT * FROM rejected_f")[0].keys()


def test_rows_that_went_by_hand_are_seen(shop: Shop) -> None:
    """Rows that came or went outside of a load are published as they are, whatever is listed of their batch."""
    with duckdb.connect(str(shop.settings.database)) as warehouse:
        warehouse.execute("DELETE FROM cleaned_f WHERE id = 'a'")
    published(shop)
    assert shown(shop.settings) == held(shop.settings)


def test_old_files_go_after_the_time_that_they_are_kept(shop: Shop) -> None:
    """A file that does not count is deleted when it was retired that long ago, not when it was written."""
    (old,) = (shop.settings.published / "main/cleaned_f").glob(f"{day(2)}-*")
    os.utime(old, (0, 0))
    shop.deliver(named(2), f"{HEAD}c,3\n")
    shop.load()
    published(shop)
    assert old.exists()
    yesterday = time.time() - 25 * 3600
    os.utime(old, (yesterday, yesterday))
    killed = old.with_name(f".{old.name}.new")
    killed.touch()
    os.utime(killed, (yesterday, yesterday))
    shop.deliver(named(3), f"{HEAD}e,5\n")
    shop.load()
    published(shop)
    assert (old.exists(), killed.exists()) == (False, False)
    assert shown(shop.settings) == held(shop.settings)


def test_the_setting_chooses_tables(shop: Shop) -> None:
    """Tables are chosen by name or pattern, raw ones too; another choice is published at once."""
    settings = replace(shop.settings, published_tables="raw_* file_ledger")
    assert publish(settings, print).outcome is Outcome.PUBLISHED
    with reader(settings) as copy:
        names = copy.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1").fetchall()
    assert names == [("file_ledger",), ("raw_f",)]
    assert shown(settings, "raw_f") == held(settings, "raw_f")


def test_readers_on_another_mount(shop: Shop, tmp_path: Path) -> None:
    """Views name the path of the setting, which need not exist here; a variable names any other one."""
    mount = tmp_path / "mount"
    settings = replace(shop.settings, published_path=str(mount))
    publish(settings, print)
    with reader(settings) as copy:
        with pytest.raises(duckdb.IOException, match="mount/main/cleaned_f"):
            copy.execute("FROM cleaned_f")
        copy.execute(f"SET VARIABLE published_path = '{settings.published}'")
        assert copy.execute("SELECT count(*) FROM cleaned_f").fetchone() == (2,)
    mount.symlink_to(settings.published)
    assert shown(settings) == held(settings)


@pytest.mark.parametrize("sql_type", ["MAP(VARCHAR, UNION(a INTEGER, b VARCHAR))", "INTERVAL[]", "STRUCT(a HUGEINT)"])
def test_a_table_that_no_file_can_hold_is_left_out(sql_type: str, shop: Shop) -> None:
    """It is named, with why, and all others are published."""
    with duckdb.connect(str(shop.settings.database)) as warehouse:
        warehouse.execute(f"CREATE TABLE odd (c {sql_type})")
    found = published(shop)
    assert found.manifest is not None
    assert "column c is" in found.manifest.left_out["odd"]
    assert "odd can't be published" in shop.told[-1]
    assert shown(shop.settings) == held(shop.settings)


@pytest.mark.parametrize(
    ("sql_type", "values"),
    [
        pytest.param("HUGEINT", "170141183460469231731687303715884105727, -1, NULL", id="hugeint"),
        pytest.param("DECIMAL(38,2)", "123456789012345678901234567890123456.78", id="decimal"),
        pytest.param("INTERVAL", "INTERVAL '1 month 2 days 3.000004 seconds'", id="interval"),
        pytest.param("ENUM('a', 'UNION')", "'a', 'UNION', NULL", id="enum"),
        pytest.param("TIMESTAMP_NS", "'2024-01-01 00:00:00.123456789'", id="nanoseconds"),
        pytest.param("TIMESTAMP_S", "'2024-01-01 00:00:01'", id="seconds"),
        pytest.param("TIMESTAMPTZ", "'2024-01-01 00:00:00+02'", id="time zone"),
        pytest.param("TIME", "'23:59:59.999999'", id="time"),
        pytest.param("BIT", "'10101'", id="bits"),
        pytest.param("BLOB", r"'\x00\xFF'::BLOB", id="bytes"),
        pytest.param("UUID", "'123e4567-e89b-12d3-a456-426614174000'", id="uuid"),
        pytest.param("DOUBLE", "'nan', 'inf', -0.0, 1e-300", id="double"),
        pytest.param("UBIGINT", "18446744073709551615", id="unsigned"),
        pytest.param("STRUCT(a INTEGER, b VARCHAR[])", "{'a': 1, 'b': ['x', NULL]}", id="struct"),
        pytest.param("INTEGER[2]", "[1, 2]", id="array"),
        pytest.param("DATE", "'infinity', '0044-03-15 (BC)'", id="odd dates"),
    ],
)
def test_values_and_types_are_those_of_the_warehouse(sql_type: str, values: str, tmp_path: Path) -> None:
    """A column of any type is the same in the copy, though Parquet has not all of them."""
    settings = Shop(tmp_path).settings
    with duckdb.connect(str(settings.database)) as warehouse:
        warehouse.execute(f'CREATE TABLE t AS SELECT unnest([{values}]::{sql_type.replace("[2]", "[]")}[]) AS "a ""b"')
        warehouse.execute(f'ALTER TABLE t ALTER "a ""b" TYPE {sql_type}')
    publish(settings, print)
    with duckdb.connect(str(settings.database), read_only=True) as warehouse, reader(settings) as copy:
        for connection in (warehouse, copy):
            connection.execute("SET TimeZone = 'UTC'")
        query = 'SELECT typeof("a ""b"), "a ""b"::VARCHAR FROM t ORDER BY 2'
        assert copy.execute(query).fetchall() == warehouse.execute(query).fetchall()


def test_odd_names_and_schemas(tmp_path: Path) -> None:
    """Tables of any schema and name are found under it, with all days that there may be."""
    settings = Shop(tmp_path).settings
    with duckdb.connect(str(settings.database)) as warehouse:
        warehouse.execute('CREATE SCHEMA "my shop"')
        warehouse.execute('CREATE TABLE "my shop"."a/b*?" AS SELECT 1 AS "select"')
        warehouse.execute("CREATE TABLE t AS SELECT 'infinity'::DATE AS _batch_date")
        warehouse.execute("CREATE TABLE empty (_batch_date DATE, n INTEGER)")
        warehouse.execute("CREATE TABLE old AS SELECT '0044-03-15 (BC)'::TIMESTAMP AS _batch_date")
        days = "['9999-12-31', '9999-10-01', NULL, '0001-01-01']::DATE[]"
        warehouse.execute(f"CREATE TABLE late AS SELECT unnest({days}) AS _batch_date")
    publish(settings, print)
    tables = ('"my shop"."a/b*?"', "t", "empty", "old", "late")
    assert shown(settings, *tables) == held(settings, *tables)


def test_without_a_warehouse_nothing_is_made(tmp_path: Path) -> None:
    """A run before the first load leaves no folder."""
    settings = Shop(tmp_path).settings
    assert publish(settings, print).outcome is Outcome.NOTHING
    assert not settings.published.exists()


def test_a_copy_that_was_removed_is_made_anew(shop: Shop) -> None:
    """Missing files, views or manifests come back; numbers of states only grow."""
    first = read_manifest(shop.settings.published)
    for name in ("manifest.json", "warehouse.duckdb"):
        (shop.settings.published / name).unlink()
        assert published(shop).outcome is Outcome.PUBLISHED
    (lost,) = (shop.settings.published / "main/cleaned_f").glob(f"{day(1)}-*")
    lost.unlink()
    shop.deliver(named(3), f"{HEAD}e,5\n")
    shop.load()
    published(shop)
    assert shown(shop.settings) == held(shop.settings)
    last = read_manifest(shop.settings.published)
    assert first is not None
    assert last is not None
    assert last.number > first.number


def test_a_damaged_manifest_is_told(shop: Shop) -> None:
    """It is an error that says what to do, and no state is guessed."""
    (shop.settings.published / "manifest.json").write_text('{"format": 1, "tab')
    with pytest.raises(WarehouseError, match="remove it and run `orchestration-project publish`"):
        published(shop)


def test_a_warehouse_in_use_is_told(shop: Shop) -> None:
    """Publishing waits for the warehouse as long as the setting says, and the copy stays readable meanwhile."""
    before = shown(shop.settings)
    shop.deliver(named(3), f"{HEAD}e,5\n")
    shop.load()
    with shop.warehouse.connection("a long load"), pytest.raises(WarehouseBusy, match="a long load"):
        published(shop)
    assert shown(shop.settings) == before


def test_the_state_is_told_to_readers(shop: Shop) -> None:
    """A reader can ask which state it sees, and of when it is."""
    manifest = read_manifest(shop.settings.published)
    assert manifest is not None
    with reader(shop.settings) as copy:
        (number, at) = copy.execute("FROM _published.state").fetchall()[0]
    assert number == manifest.number
    assert abs((at.replace(tzinfo=dt.UTC).timestamp()) - manifest.published_at) < 0.001
