"""Restoring into a lake: everything comes back at once, what was killed goes on, and nothing is overwritten."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from orchestration_project.backup.model import BackupError
from orchestration_project.backup.restore import restore
from orchestration_project.errors import RecoveryError, WarehouseDown, WarehouseError
from orchestration_project.failpoints import AnyPoint, Backup, Migration
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project_tests.backup.saved import Saved
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.stops import dying
from orchestration_project_tests.servers.s3 import unused_ports
from orchestration_project_tests.servers.warehouses import CHOICE, FILE, POSTGRES, SQLITE

pytestmark = pytest.mark.promise("disk")
STEPS = [Backup.STAGED, Backup.PLACED, Migration.WRITTEN, Migration.COPIED, Migration.COMMITTED]


@pytest.fixture
def lake(request: pytest.FixtureRequest, saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """A machine that has nothing yet, and whose warehouse is to be a lake; the backup is of one with a file."""
    monkeypatch.setenv(CHOICE, FILE)
    saved.night()
    kind = str(getattr(request, "param", SQLITE))
    if kind == POSTGRES:
        request.getfixturevalue("lake_servers")
    monkeypatch.setenv(CHOICE, kind)
    return Saved(saved.folder, place="again", now=saved.now)


def state(saved: Saved) -> dict[str, Any]:
    """What has to come back. The schema of a lake is told in other words."""
    return {name: found for name, found in saved.state().items() if name != "schema"}


def before(lake: Saved, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The state of the shop that was saved."""
    with monkeypatch.context() as patched:
        patched.setenv(CHOICE, FILE)
        return state(Saved(lake.folder))


@pytest.mark.parametrize("lake", [SQLITE, POSTGRES], indirect=True)
def test_everything_comes_back_and_goes_on(lake: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is proven, a redelivery loads nothing, the next delivery loads, and the next backup is whole."""
    expected = before(lake, monkeypatch)
    lake.restore()
    assert state(lake) == expected
    assert not lake.settings.data_dir.with_name("again.restoring").exists()
    source = ConfiguredFeed(lake.shop.feed, lake.shop.options)
    assert verify(lake.shop.warehouse, lake.settings, [source]).findings == []
    lake.shop.deliver(named(2), lake.archived(2).read_bytes(), 2)
    lake.shop.deliver(named(4), "id,n\nd,4\n", 9)
    assert lake.shop.load().again == [named(2)]
    assert lake.shop.rows("SELECT n FROM cleaned_f WHERE id = 'd'") == [{"n": 4}]
    assert lake.night(whole=True).checked.proven


@pytest.mark.parametrize(
    ("lake", "step"), [*((SQLITE, step) for step in STEPS), (POSTGRES, Migration.COMMITTED)], indirect=["lake"]
)
def test_a_restore_that_was_killed_is_run_again(lake: Saved, step: AnyPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it has done by then, the same command ends with everything in its place, each row once."""
    expected, settings = before(lake, monkeypatch), lake.settings
    environment = {
        **os.environ,  # noqa: TID251 - for a child
        "DATA_DIR": str(settings.data_dir),
        "DAGSTER_HOME": str(settings.dagster_home),
        "BACKUP_URL": settings.backup_url,
        "WAREHOUSE_URL": settings.warehouse_url,
        "WAREHOUSE_DATA": settings.warehouse_data,
        "DIE_AT": step,
    }
    command = [sys.executable, "-m", "orchestration_project_tests.backup.doomed", "restore"]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    lake.restore()
    assert state(lake) == expected
    assert not settings.data_dir.with_name("again.restoring").exists()
    tried()


def test_a_lake_that_is_there(lake: Saved) -> None:
    """It stays as it is, and the error names it; rows that came into it after a kill are not replaced either."""
    with dying(Migration.COPIED):
        lake.restore()
    with lake.shop.warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    with pytest.raises(RecoveryError, match=r"has tables already \(main\.mine\), and nothing is overwritten"):
        lake.restore()
    (lake.folder / "again.restoring/ready").unlink()
    moved = lake.settings.data_dir.rename(lake.folder / "moved")
    url = f"ducklake:sqlite:///{moved}/lake.sqlite"
    settings = replace(lake.settings, warehouse_url=url, dagster_home=None)
    with pytest.raises(BackupError, match=r"lake\.sqlite is there already, and nothing is overwritten"):
        restore(settings, lake.vault, lake.vault.up_to(None), lake.told.append)
    assert not settings.data_dir.exists()


def test_a_type_that_a_lake_lacks(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told before anything is put in its place; into a file the same backup is restored."""
    monkeypatch.setenv(CHOICE, FILE)
    with saved.shop.warehouse.connection("test") as connection:
        connection.execute(
            "CREATE TABLE odd AS SELECT INTERVAL 1 DAY AS a; CREATE TABLE wide AS SELECT 1::HUGEINT AS b"
        )
    saved.night()
    other = Saved(saved.folder, place="again", now=saved.now)
    with monkeypatch.context() as patched:
        patched.setenv(CHOICE, SQLITE)
        with pytest.raises(WarehouseError, match=r"main\.odd: column 'a' is INTERVAL, which a lake can't hold"):
            other.restore()
    assert not other.settings.data_dir.exists()
    other.restore()
    assert other.state() == saved.state()


def test_types_that_become_others_are_told(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `migrate-warehouse` tells them."""
    monkeypatch.setenv(CHOICE, FILE)
    with saved.shop.warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE wide AS SELECT 1::HUGEINT AS b")
    saved.night()
    monkeypatch.setenv(CHOICE, SQLITE)
    found = Saved(saved.folder, place="again", now=saved.now).restore()
    assert found.notes == ["main.wide: column 'b' was HUGEINT and is DECIMAL(38,0)"]


def test_a_restore_for_another_warehouse(lake: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed restore into a file has left is not taken for that into a lake; the file is still restored."""
    expected = before(lake, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setenv(CHOICE, FILE)
        with dying(Backup.PLACED):
            lake.restore()
    with pytest.raises(BackupError, match="is for another warehouse"):
        lake.restore()
    monkeypatch.setenv(CHOICE, FILE)
    lake.restore()
    assert state(lake) == expected


def test_a_server_that_is_down(saved: Saved) -> None:
    """Nothing is put in its place if the catalog does not answer, and the password is not told."""
    saved.night()
    url = f"ducklake:postgres://shop:secret-word@127.0.0.1:{unused_ports(['none'])['none']}/lake"
    settings = replace(saved.settings, data_dir=saved.folder / "again", dagster_home=None, warehouse_url=url)
    with pytest.raises(WarehouseDown) as told:
        restore(settings, saved.vault, saved.vault.up_to(None), saved.told.append)
    assert "secret-word" not in str(told.value)
    assert not settings.data_dir.exists()
