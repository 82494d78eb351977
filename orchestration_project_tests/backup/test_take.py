"""Taking backups: only what is new is stored, all of it is of one moment, and nobody else's place is used."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from orchestration_project.backup.memory import remembering
from orchestration_project.backup.model import BackupBroken, BackupError
from orchestration_project.backup.restore import restore
from orchestration_project.backup.retention import Keep
from orchestration_project.backup.sources import list_sources
from orchestration_project.backup.take import back_up
from orchestration_project.backup.vault import open_vault
from orchestration_project.errors import WarehouseBroken
from orchestration_project.failpoints import Backup
from orchestration_project.retention.cool import move_old
from orchestration_project_tests.backup.saved import DAY, FIRST, Saved, write_sqlite
from orchestration_project_tests.ingest.shop import day, named
from orchestration_project_tests.reliability.stops import acting, dying

pytestmark = pytest.mark.promise("disk")


def test_the_first_backup_has_everything_and_the_next_one_stores_nothing(saved: Saved) -> None:
    """What did not change since is named again, and neither read nor stored."""
    first = saved.night()
    assert first.checked.proven
    assert first.checked.objects == len(first.taken.snapshot.objects)
    assert first.taken.snapshot.files == len(list_sources(saved.settings))
    second = saved.night()
    assert (second.taken.new_objects, second.taken.new_bytes) == (0, 0)
    assert second.taken.snapshot.objects == first.taken.snapshot.objects
    assert len(saved.vault.snapshot_ids()) == 2


def test_a_new_day_stores_what_it_changed(saved: Saved) -> None:
    """A loaded file adds itself, the batches that it changed, the tables without batches, and the catalogue."""
    before = saved.night().taken.snapshot
    saved.shop.deliver(named(4), "id,n\nd,4\n", 9)
    saved.shop.load()
    night = saved.night()
    catalogue = saved.restored().state()
    assert catalogue == saved.state()
    kept = before.objects.keys() & night.taken.snapshot.objects.keys()
    # Raw, cleaned and rejected rows of three days and all but one file stay.
    assert len(kept) > 15
    assert night.taken.new_objects == len(night.taken.snapshot.objects.keys() - before.objects.keys())


def test_a_correction_changes_exactly_its_day(saved: Saved) -> None:
    """Of a table with batches the other batches keep their objects."""
    saved.night()
    saved.shop.deliver(named(2), "id,n\nnew,7\n", 9)
    saved.shop.load(day(2))
    saved.night()
    told = [line for line in saved.told if "exported" in line]
    # Raw and cleaned rows of the day, the ledger, and what lists the published batches; the day has no rejects now.
    assert told[-1].endswith("table(s), 4 batch(es) exported")


def test_equal_contents_are_stored_once(saved: Saved) -> None:
    """Two files with the same bytes share an object."""
    data = saved.settings.data_dir
    (data / "dropped/x").mkdir(parents=True)
    for name in ("one", "two"):
        (data / "dropped/x" / name).write_text("the same")
    night = saved.night()
    assert night.taken.snapshot.files > len(saved.objects()) - night.taken.snapshot.tables * 4
    again = saved.restored()
    assert (again.settings.data_dir / "dropped/x/two").read_text() == "the same"


def test_a_file_that_changes_meanwhile_is_noticed(saved: Saved) -> None:
    """A file of the archive that is not the one that was listed lets the backup begin anew, and end well."""
    path = saved.archived(2)
    times = iter([True])

    def write() -> None:
        if next(times, False):
            path.write_text("id,n\nother,1\n")

    with acting(Backup.COPIED, write):
        night = saved.night()
    assert any("begins anew" in line for line in saved.told)
    assert night.checked.proven
    assert saved.restored().state()["files"][str(path.relative_to(saved.settings.data_dir))][0] == path.read_bytes()


def test_files_that_go_on_changing_fail_the_backup(saved: Saved) -> None:
    """After three times it ends with an error that names the file, and no snapshot counts."""
    path = saved.archived(2)
    sizes = iter(range(100))
    with (
        acting(Backup.COPIED, lambda: path.write_text("x" * next(sizes))),
        pytest.raises(BackupError, match=r"2024-01-02.csv changed or vanished .* 3 times"),
    ):
        saved.night()
    assert saved.vault.snapshot_ids() == []


def test_a_file_that_leaves_landing_meanwhile_is_left_out(saved: Saved) -> None:
    """Landing is in use at any time: what was taken away is noted, the rest is saved."""
    path = saved.settings.data_dir / "landing/f" / named(9)
    with acting(Backup.COPIED, lambda: path.unlink(missing_ok=True)):
        night = saved.night()
    assert night.taken.notes == ["1 file(s) were moved or written to meanwhile, and are left out"]
    assert night.checked.proven


def test_loads_go_on_while_tables_are_read(saved: Saved) -> None:
    """What a load commits after the warehouse was copied is in the next backup, and this one is as it was before."""
    before = saved.rows("cleaned_f")

    def load() -> None:
        saved.shop.deliver(named(4), "id,n\nd,4\n", 9)
        saved.shop.load()

    with acting(Backup.COPIED, load):
        night = saved.night()
    assert night.checked.proven
    assert saved.restored().rows("cleaned_f") == before != saved.rows("cleaned_f")
    saved.night()
    assert saved.restored("later").rows("cleaned_f") == saved.rows("cleaned_f")


def test_what_is_only_in_the_log_of_the_warehouse_is_saved(saved: Saved) -> None:
    """A load that was killed has left its commit in DuckDB's log; the backup has it, and leaves the log alone."""
    told = "import duckdb, os, sys; warehouse = duckdb.connect(sys.argv[1])"
    told += "; warehouse.execute('CREATE TABLE late AS SELECT 7 AS n'); os._exit(0)"
    subprocess.run([sys.executable, "-c", told, str(saved.settings.database)], check=True)
    log = saved.settings.database.with_name(f"{saved.settings.database.name}.wal")
    assert log.stat().st_size
    assert saved.night().checked.proven
    assert saved.restored().rows("late") == ["{'n': 7}"]


def test_a_damaged_warehouse_is_named(saved: Saved) -> None:
    """Rows are read from a copy; an error about them names the file that has to be rebuilt, and nothing counts."""
    with saved.shop.warehouse.transaction("test") as connection:
        connection.execute("CREATE TABLE large AS SELECT md5(n::VARCHAR) AS v FROM range(100000) numbers(n)")
    path = saved.settings.database
    with path.open("r+b") as file:
        # In the midst of the new table: the file can still be opened.
        file.seek(path.stat().st_size // 2)
        file.write(b"damage")
    with pytest.raises(WarehouseBroken, match=str(path)):
        saved.night()
    assert saved.vault.snapshot_ids() == []


def test_the_cold_archive_is_part_of_a_backup(saved: Saved) -> None:
    """What was moved stays in backups without being stored again, is fetched if no backup has it, and comes back."""
    state = saved.state()
    cold = replace(saved.settings, cold_archive_url=str(saved.folder / "cold"), cold_archive_days=1)
    saved.night()
    assert move_old(saved.shop.warehouse, cold, saved.now, print).files == 4
    other = replace(cold, backup_url=str(saved.folder / "other vault"))
    with remembering(cold) as memory:
        taken = back_up(saved.shop.warehouse, cold, saved.vault, memory, saved.now, print)
    assert taken.previous
    assert (taken.new_objects, taken.snapshot.files) == (0, taken.previous.files)
    assert saved.restored().state() == state
    shutil.rmtree(saved.settings.data_dir / ".backup")
    with remembering(other) as memory:
        back_up(saved.shop.warehouse, other, open_vault(other.backup_url), memory, saved.now, print)
    elsewhere = replace(saved, place="elsewhere", told=[])
    other_vault = open_vault(other.backup_url)
    restore(elsewhere.settings, other_vault, other_vault.up_to(None), print)
    assert elsewhere.state() == state


def test_databases_in_use_are_copied_as_of_one_moment(saved: Saved) -> None:
    """Rows that are still in the log of an SQLite file come back, and it is copied only if it changed."""
    saved.night()
    write_sqlite(saved.settings.data_dir / "alarms.sqlite", 4)
    assert saved.night().taken.new_objects == 2
    assert saved.restored().state() == saved.state()


@pytest.mark.parametrize("step", [Backup.COPIED, Backup.EXPORTED, Backup.OBJECT_PUT, Backup.CATALOGUED])
def test_what_was_interrupted_is_invisible_and_used(saved: Saved, step: Backup) -> None:
    """A backup that ends before its snapshot changes nothing; the next one takes what it has stored."""
    with dying(step):
        saved.night()
    assert saved.vault.snapshot_ids() == []
    stored = len(saved.objects())
    night = saved.night()
    assert night.checked.proven
    # The catalogue may be stored already, too.
    assert night.taken.new_objects <= len(night.taken.snapshot.objects) - stored + 1
    assert saved.restored().state() == saved.state()


def test_missing_objects_are_stored_again(saved: Saved) -> None:
    """A backup sees by the list of objects what is gone or cut off, and puts it back."""
    saved.night()
    gone, cut, *_ = saved.objects().values()
    gone.unlink()
    os.truncate(cut, cut.stat().st_size - 1)
    night = saved.night()
    assert night.taken.new_objects == 2
    # It heals, and somebody has to hear of it all the same.
    (told,) = night.checked.losses
    assert "2 object(s) are missing or cut off" in told
    assert night.checked.proven
    assert saved.check().proven
    assert saved.night().checked.problems == []


@pytest.mark.found("an object that only older backups need could be lost without anybody hearing of it")
def test_what_older_backups_have_lost_is_told(saved: Saved) -> None:
    """A backup that can't be restored any more is named each night until it goes; the newest one is whole."""
    older = saved.night().taken.snapshot
    saved.shop.deliver(named(3), "id,n\nx,9\n", 9)
    saved.shop.load()
    newer = saved.night().taken.snapshot
    gone = min(older.objects.keys() - newer.objects.keys())
    saved.objects()[gone].unlink()
    for _ in range(2):
        checked = saved.night().checked
        assert checked.proven
        assert [line for line in checked.losses if older.id in line and gone in line] == checked.problems
    with pytest.raises(BackupBroken, match=gone):
        saved.restored("older", FIRST + DAY / 2)
    saved.night(Keep(1, 0, 0))
    assert saved.night().checked.problems == []


def test_two_data_folders_never_share_a_place(saved: Saved) -> None:
    """A second deployment is refused, so that none deletes the other's days."""
    saved.night()
    other = replace(saved, place="other")
    other.shop.deliver(named(1), "id,n\na,1\n")
    other.shop.load()
    with pytest.raises(BackupError, match="another data folder"):
        other.night()


def test_a_restored_data_folder_goes_on(saved: Saved) -> None:
    """The machine that was restored takes the next backup at the same place, and stores nothing again."""
    saved.night()
    again = saved.restored()
    again.now = saved.now
    # A restored SQLite file has the same rows in other bytes, as each copy of one has.
    databases = len(again.state()["databases"]) + 1
    assert again.night().taken.new_objects <= databases + 1


def test_two_backups_at_once_are_refused(saved: Saved) -> None:
    """While one backup runs no other begins, in this process or another, of this folder or of a copy."""
    told = []

    def begin() -> None:
        with pytest.raises(BackupError, match="under way") as caught:
            saved.night()
        told.append(caught.value)

    with acting(Backup.EXPORTED, begin):
        saved.night()
    assert told
    saved.vault.store.put("running/another-machine", b"x")
    saved.now = dt.datetime.now(dt.UTC)
    with pytest.raises(BackupError, match="in use by another backup"):
        saved.night()
    # A mark that is a day old is that of a machine that is gone.
    saved.now += dt.timedelta(days=1, minutes=1)
    assert saved.night().checked.proven


def test_without_a_warehouse_the_files_are_saved(saved: Saved) -> None:
    """A warehouse that is gone is no reason to lose the archive, too."""
    saved.settings.database.unlink()
    night = saved.night()
    assert (night.taken.snapshot.tables, night.checked.proven) == (0, True)
    again = saved.restored()
    assert again.shop.archive() == saved.shop.archive()
    assert not again.settings.database.exists()


def test_a_backup_of_nothing_is_refused(saved: Saved) -> None:
    """A mistyped data folder is no empty backup."""
    with pytest.raises(BackupError, match="nothing to back up: look at DATA_DIR"):
        replace(saved, place="typo").night()
    assert saved.vault.snapshot_ids() == []


@pytest.mark.found("DuckDB took a Parquet file for another one that had had its path and its size just before.")
def test_batches_whose_files_have_one_size(saved: Saved) -> None:
    """Each of many batches comes back as it was, though their files differ in their bytes alone."""
    with saved.shop.warehouse.transaction("test") as connection:
        connection.execute(
            """CREATE TABLE many AS SELECT DATE '2024-01-01' + day::INTEGER AS _batch_date, md5((n % 7)::VARCHAR || day)
                AS v FROM range(60) days(day), range(38) numbers(n)"""
        )
    assert saved.night().checked.proven
    assert saved.restored().rows("many") == saved.rows("many")


def test_a_clock_that_was_put_back_makes_no_older_snapshot(saved: Saved) -> None:
    """The newest backup is the one that was taken last."""
    first = saved.night().taken.snapshot
    saved.now -= dt.timedelta(days=300)
    second = saved.night().taken.snapshot
    assert second.id > first.id
    assert saved.vault.up_to(None).id == second.id
