"""Restoring: everything comes back, nothing is overwritten, and nothing that is damaged is restored silently."""

import itertools
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from orchestration_project.backup.model import FORMAT, BackupBroken, BackupError, Catalogue, SavedFile, Stored
from orchestration_project.backup.unpack import place_of
from orchestration_project.failpoints import Backup
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project_tests.backup.saved import DAY, FIRST, Saved
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("disk")


def findings(saved: Saved) -> list[str]:
    """What the platform's own verification finds."""
    source = ConfiguredFeed(saved.shop.feed, saved.shop.options)
    return [item.what for item in verify(saved.shop.warehouse, saved.settings, [source]).findings]


def test_everything_comes_back_and_goes_on(saved: Saved) -> None:
    """From nothing but the second place: all is proven, a redelivery loads nothing, the next delivery loads."""
    saved.night()
    before = saved.state()
    delivered = saved.archived(2).read_bytes()
    (saved.folder / "shop").rename(saved.folder / "lost")
    again = saved.restored()
    assert again.state() == before
    assert findings(again) == []
    again.shop.deliver(named(2), delivered, 2)
    again.shop.deliver(named(4), "id,n\nd,4\n", 9)
    rows = {table: again.rows(table) for table in ("raw_f", "cleaned_f")}
    again.shop.load()
    # The file that waited in landing is loaded, too.
    new = {table: len(again.rows(table)) - len(found) for table, found in rows.items()}
    assert new == {"raw_f": 2, "cleaned_f": 2}
    assert findings(again) == []


def test_the_last_backup_up_to_a_day(saved: Saved) -> None:
    """`at` chooses the last one that was taken until then; before the first one there is none."""
    saved.night()
    first = saved.state()
    saved.shop.deliver(named(4), "id,n\nd,4\n", 9)
    saved.shop.load()
    saved.night()
    assert saved.restored("then", FIRST + DAY / 2).state() == first
    assert saved.restored("now").state() == saved.state()
    with pytest.raises(BackupError, match="has no backup of before"):
        saved.restored("never", FIRST - DAY)


@pytest.mark.parametrize("there", ["again/archive/x", "again_home/history/runs.db", "again/warehouse.duckdb.wal"])
def test_nothing_is_overwritten(saved: Saved, there: str) -> None:
    """A data folder or a history that has anything stays as it is, and the error names it."""
    saved.night()
    path = saved.folder / there
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(BackupError, match="is there already, and nothing is overwritten"):
        saved.restored()
    assert path.read_text() == "mine"
    assert not (saved.folder / "again.restoring").exists()


def test_a_machine_that_only_looked_can_restore(saved: Saved) -> None:
    """Proving a backup leaves nothing where there was no data folder."""
    saved.night()
    other = replace(saved, place="again", told=[])
    assert other.check().proven
    assert not other.settings.data_dir.exists()
    other.restore()
    assert other.state() == saved.state()


def test_empty_folders_are_nothing(saved: Saved) -> None:
    """An empty data folder, and a home with Dagster's settings, may be there."""
    saved.night()
    (saved.folder / "again").mkdir()
    (saved.folder / "again_home").mkdir()
    (saved.folder / "again_home/dagster.yaml").write_text("telemetry: {enabled: false}\n")
    assert saved.restored().state() == saved.state()


def test_a_warehouse_elsewhere_comes_back_there(saved: Saved) -> None:
    """Where the settings say that the warehouse is, it is restored to."""
    saved.night()
    place = saved.folder / "fast disk/w.duckdb"
    settings = replace(saved.settings, data_dir=saved.folder / "again", warehouse_url=f"duckdb:///{place}")
    settings = replace(settings, warehouse_url=f"duckdb:///{str(place).replace(' ', '%20')}", dagster_home=None)
    from orchestration_project.backup.restore import restore

    found = restore(settings, saved.vault, saved.vault.up_to(None), saved.told.append)
    assert place.exists()
    assert not (saved.folder / "again/warehouse.duckdb").exists()
    assert found.notes == ["Dagster's history is not restored, since DAGSTER_HOME is not set"]


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """Cut a file off, as an upload that did not come to its end."""
    os.truncate(path, path.stat().st_size // 2)


def test_every_damaged_object_is_found_and_stored_again(saved: Saved) -> None:
    """Of one object after the other: the check names it, a restore refuses, the next backup heals."""
    snapshot = saved.night().taken.snapshot
    objects = saved.objects()
    others = sorted(objects.keys() - {snapshot.catalogue.object})
    names = [snapshot.catalogue.object, *others[: effort(2, len(others))]]
    whole = {name: objects[name].read_bytes() for name in names}
    damages: list[Callable[[Path], None]] = [flip, cut, Path.unlink]
    for name, damage in zip(names, itertools.cycle(damages), strict=False):
        damage(objects[name])
        found = saved.check()
        assert found.damaged == {name}
        assert name in found.findings[0]
        with pytest.raises(BackupBroken, match=name):
            saved.restored()
        assert not (saved.folder / "again").exists()
        saved.night()
        assert objects[name].read_bytes() == whole[name]
        tried()
    assert saved.check().proven


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_snapshot_is_never_replaced_by_an_older_one(saved: Saved, damage: Callable[[Path], None]) -> None:
    """Restoring the newest one fails and says so; the one before can be asked for; nothing is deleted."""
    from orchestration_project.backup.retention import Keep

    saved.night()
    newest = saved.night().taken.snapshot
    damage(saved.folder / "vault/snapshots" / newest.id)
    with pytest.raises(BackupBroken, match=f"snapshot {newest.id} is damaged"):
        saved.restored()
    assert saved.restored("older", FIRST + DAY / 2).state() == saved.state()
    night = saved.night(Keep(1, 0, 0))
    assert any("is damaged" in note for note in night.taken.notes)
    assert len(saved.vault.snapshot_ids()) == 1
    assert saved.restored("again").state() == saved.state()


def test_a_newer_release_s_backup_is_refused(saved: Saved) -> None:
    """A format that this release does not know is neither restored nor added to; the release is named."""
    snapshot = saved.night().taken.snapshot
    path = saved.folder / "vault/snapshots" / snapshot.id
    plain = json.loads(zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes()))
    plain |= {"format": FORMAT + 1, "release": "9.9"}
    path.write_bytes(zstandard.ZstdCompressor().compress(json.dumps(plain).encode()))
    with pytest.raises(BackupError, match=r"made by a newer release, 9\.9"):
        saved.restored()
    with pytest.raises(BackupError, match="newer release"):
        saved.night()


@pytest.mark.parametrize("path", ["data/../../x", "/etc/x", "data", "other/x", "home/a/../../../x"])
def test_no_path_leads_elsewhere(path: str, tmp_path: Path) -> None:
    """Whoever can write to the second place does not choose what is written on this machine."""
    with pytest.raises(BackupBroken, match="no path of a backup"):
        place_of(tmp_path, path)


def test_a_catalogue_is_the_same_after_reading() -> None:
    """What is written as JSON comes back, names of any bytes too."""
    name = os.fsdecode(b"data/archive/\xff\n.csv")
    catalogue = Catalogue((SavedFile(name, 1, 2, Stored("a", 3, "b", "zst")),), (), "CREATE\n", "1")
    assert Catalogue.from_json(catalogue.to_json()) == catalogue
    with pytest.raises(BackupBroken):
        Catalogue.from_json(b'{"files": [[1]]}')


@pytest.mark.parametrize("step", [Backup.STAGED, Backup.PLACED])
def test_a_restore_that_was_killed_is_run_again(saved: Saved, step: Backup) -> None:
    """Whatever it has done by then, the same command ends with everything in its place."""
    saved.night()
    other = replace(saved, place="again", told=[])
    with dying(step):
        other.restore()
    assert not other.settings.data_dir.exists()
    other.restore()
    assert other.state() == saved.state()
    assert not (saved.folder / "again.restoring").exists()


def test_links_to_other_disks_are_followed(saved: Saved) -> None:
    """The folder of a feed may be a link; what is in it is saved."""
    archive = saved.settings.data_dir / "archive/f"
    elsewhere = saved.folder / "disk"
    shutil.move(archive, elsewhere)
    archive.symlink_to(elsewhere)
    saved.night()
    assert saved.restored().shop.archive() == saved.shop.archive()
