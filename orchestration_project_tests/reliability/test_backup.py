"""Backups under fire: killed at every step, a server that goes away, disks that are full."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestration_project.backup.model import BackupError
from orchestration_project.backup.retention import Keep
from orchestration_project.backup.vault import open_vault
from orchestration_project.errors import DiskFull, ObjectStoreDown
from orchestration_project.failpoints import Backup
from orchestration_project_tests.backup.saved import DAY, Saved, filled
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.evidence import TORTURE, effort, tried
from orchestration_project_tests.reliability.stops import acting
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = [pytest.mark.promise("disk"), pytest.mark.xdist_group("s3")]

OF_A_RESTORE = (Backup.STAGED, Backup.PLACED)
OF_A_NIGHT = [step for step in Backup if step not in OF_A_RESTORE]
USUAL = [Backup.COPIED, Backup.OBJECT_PUT, Backup.COMMITTED, Backup.FORGOTTEN]
STEPS = effort(5, 100)
"""At how many of the steps of a night, evenly spread, a process dies."""
ANSWER_SECONDS = 60


def dies(saved: Saved, step: Backup, what: str) -> None:
    """Let a process do a night, or a restore, and die at a step."""
    environment = {
        **os.environ,  # noqa: TID251 - for a child
        "DATA_DIR": str(saved.settings.data_dir),
        "DAGSTER_HOME": str(saved.settings.dagster_home),
        "BACKUP_URL": saved.settings.backup_url,
        "DIE_AT": step,
    }
    command = [sys.executable, "-m", "orchestration_project_tests.backup.doomed", what]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr


@pytest.mark.parametrize("at_a_server", [False, True], ids=["a folder", "an object store"])
def test_killed_at_every_step_the_backups_stay_whole(
    tmp_path: Path, request: pytest.FixtureRequest, at_a_server: bool
) -> None:
    """Whatever kind of step a night dies at, the last backup that counts is whole, and the next night heals."""
    saved = filled(tmp_path / "machine", url=request.getfixturevalue("s3") if at_a_server else "")
    saved.night()
    usual = USUAL[1:3] if at_a_server else USUAL
    for number, step in enumerate(OF_A_NIGHT if TORTURE else usual, 4):
        before, state = saved.vault.up_to(None).id, saved.state()
        saved.shop.deliver(named(number), f"id,n\nd{number},4\n", 9 + number)
        saved.shop.load()
        dies(saved, step, saved.now.isoformat())
        newest = saved.vault.up_to(None).id
        assert (newest == before) == (step in OF_A_NIGHT[: OF_A_NIGHT.index(Backup.COMMITTED)])
        killed = saved.restored(f"after {step.value}")
        assert killed.state() == (state if newest == before else saved.state())
        saved.now = saved.vault.up_to(None).taken_at.replace(day=number)
        assert saved.night().checked.proven
        tried()
    assert saved.check().proven
    assert saved.restored("last").state() == saved.state()


def a_night(saved: Saved) -> None:
    """A night that deletes what is old; another process can be given it."""
    saved.night(Keep(1, 0, 0))


def test_killed_at_any_step_of_a_night(tmp_path: Path) -> None:
    """Between two objects or statements, too: there is the backup before or the new one, whole, and the next heals."""
    model = filled(tmp_path / "model")
    model.night()
    before = model.state()
    model.shop.deliver(named(2), "id,n\na2,7\n", 9)
    model.shop.load()
    after = model.state()
    steps = steps_of(partial(a_night, copied(model, tmp_path / "counted")), None)
    seen = list[bool]()
    for fatal in sorted({number * len(steps) // STEPS for number in range(min(STEPS, len(steps)))}):
        saved = copied(model, tmp_path / f"killed {fatal}")
        assert killed(partial(a_night, saved), fatal), steps[fatal]
        found = saved.restored().state()
        assert found in (before, after), steps[fatal]
        seen.append(found == after)
        saved.now += DAY
        assert saved.night().checked.proven, steps[fatal]
        assert saved.restored("healed").state() == after, steps[fatal]
        shutil.rmtree(saved.folder)
        tried()
    # Once it counts, it stays: no step takes the new one back.
    assert seen == sorted(seen)
    assert {*seen} == {False, True}


def copied(saved: Saved, folder: Path) -> Saved:
    """The machine and its second place, elsewhere."""
    return replace(saved, folder=shutil.copytree(saved.folder, folder), told=[])


@pytest.mark.parametrize("step", OF_A_RESTORE)
def test_a_killed_restore_is_run_again(tmp_path: Path, step: Backup) -> None:
    """After a kill there is no half data folder; the same command ends with all of it."""
    saved = filled(tmp_path / "machine")
    saved.night()
    other = Saved(saved.folder, place="again")
    dies(other, step, "restore")
    assert not other.settings.data_dir.exists()
    other.restore()
    assert other.state() == saved.state()


def until_it_answers(saved: Saved) -> None:
    """A server that was started again takes objects a few seconds before it gives any."""
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        try:
            saved.vault.up_to(None)
            return
        except ObjectStoreDown:
            assert time.monotonic() < until
            time.sleep(0.5)


def test_a_server_that_goes_away(tmp_path: Path, s3: str, s3_server: S3Server) -> None:
    """An object store that ends in the middle is told; the last backup is whole, and the next night heals."""
    saved = filled(tmp_path / "machine", url=s3)
    first = saved.night()
    assert first.checked.proven
    state = saved.state()
    saved.shop.deliver(named(4), "id,n\nd,4\n", 9)
    saved.shop.load()
    with acting(Backup.OBJECT_PUT, s3_server.stop), pytest.raises(ObjectStoreDown):
        saved.night()
    s3_server.start()
    until_it_answers(saved)
    assert saved.vault.snapshot_ids() == [first.taken.snapshot.id]
    assert saved.restored("before").state() == state
    assert saved.night(whole=True).checked.proven
    assert saved.restored("after").state() == saved.state()


@pytest.mark.skipif(os.name != "posix" or not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_place_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room at the second place fails the night with the reason; no snapshot counts, and the shop is as it was."""
    saved = filled(tmp_path / "machine")
    before = saved.state()
    (saved.folder / "vault").mkdir()

    def full(path: Path, content: object) -> None:
        with Path("/dev/full").open("wb", buffering=0) as stream:
            stream.write(b"x")

    monkeypatch.setattr("orchestration_project.storage.folder_objects._write", full)
    with pytest.raises((ObjectStoreDown, DiskFull), match="No space left on device"):
        saved.night()
    monkeypatch.undo()
    assert saved.vault.snapshot_ids() == []
    assert saved.state() == before
    assert saved.night().checked.proven


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A folder that can't be made, or no place at all, is an error that names it."""
    saved = filled(tmp_path / "machine")
    (saved.folder / "file").write_text("x")
    saved.url = str(saved.folder / "file/vault")
    with pytest.raises(Exception, match="file/vault"):
        saved.night()
    with pytest.raises(BackupError, match="BACKUP_URL is not set"):
        open_vault("")
