"""Kills while files come from a landing in an object store: the next load leaves what an undisturbed one leaves."""

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.failpoints import Cold, Landing, Point
from orchestration_project.retention.cool import prove
from orchestration_project.storage import object_claims
from orchestration_project.storage.archive import REASON
from orchestration_project.storage.files import discover, find_archived
from orchestration_project_tests.ingest.object_shop import ObjectShop
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.servers.s3 import S3Server
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = [pytest.mark.promise("crash"), pytest.mark.xdist_group("s3")]
HEAD = "id,n\n"
AROUND = {*Landing, Point.UNPACKED, Point.COMMITTED, Point.CLEARED, Point.QUARANTINED}
"""Where the landing in the store and the load meet: in the usual run, the last of each is a step to die at."""
# Zip archives are kept as they came: only `file_retention` moves them.
WITH_ARCHIVE = {*Cold} - {Cold.MEMBERS_NOTED}
"""The same for an archive in a store."""
LOST = {Landing.NOTED, Landing.MARKED, Landing.REFUSED, Landing.DELETED, Point.COMMITTED}
"""The same for a machine that is lost."""


def first_wave(shop: ObjectShop) -> None:
    """Two days, loaded undisturbed."""
    shop.send(named(1), f"{HEAD}a,1\nb,x\n")
    shop.send(named(2), f"{HEAD}c,1\n")
    shop.load()


def second_wave(shop: ObjectShop) -> None:
    """A correction, the same bytes again, a bad file, one in an archive, an object that is not for the load."""
    shop.send(named(1), f"{HEAD}a,1\nb,2\n")
    shop.send(named(2), f"{HEAD}c,1\n")
    shop.send(named(3), "no header at all\n")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for number in (4, 5):
            packed.writestr(zipfile.ZipInfo(named(number)), f"{HEAD}{number},1\n,2\n")
        packed.writestr(zipfile.ZipInfo(named(6)), "no header in it\n")
    shop.send("p_2024-01-04.zip", content.getvalue())
    shop.send(named(20), f"{HEAD}z,1\n")


def left(shop: ObjectShop) -> dict[str, Any]:
    """All that a load leaves behind, but for the times at which the store has written objects."""
    settings = shop.settings
    files = {
        str(path.relative_to(shop.folder)): hash_in(path) if path.is_symlink() else path.read_bytes()
        for folder in (settings.archive("f"), settings.quarantine("f"))
        for path in sorted(folder.rglob("*"))
        if (path.is_symlink() or path.is_file()) and ".taken" not in path.parts
    }
    ledger = shop.rows("SELECT * EXCLUDE (modified_at) FROM file_ledger ORDER BY ALL")
    objects = {key: content for key, content in shop.objects().items() if not key.startswith(".claims/")}
    tables = {
        table: [{name: value for name, value in row.items() if name != "_rejected_at"} for row in rows]
        for table, rows in shop.tables().items()
    }
    return {**tables, "ledger": ledger, "files": files, "landing": shop.landing(), "objects": objects}


def agree(shop: ObjectShop) -> bool:
    """Whether both quarantines have the same files, each beside the same reason."""
    objects = {key: content for key, content in shop.objects().items() if key.startswith(".quarantine/")}
    stored = {key: content for key, content in objects.items() if not key.endswith(REASON)}
    here = [path for path in discover(shop.settings.quarantine("f")) if not path.name.endswith(REASON)]
    files = {(file.path.read_bytes(), file.path.with_name(file.name + REASON).read_bytes()) for file in here}
    return files == {(content, objects[f"{key}{REASON}"]) for key, content in stored.items()}


def hash_in(link: Path) -> str:
    """The SHA-256 that a link to the store of the archive tells."""
    file = find_archived(link)
    assert file
    return file.cold


def prepared(
    tmp_path: Path, url: str, server: S3Server, archive: str = ""
) -> tuple[ObjectShop, list[str], dict[str, Any]]:
    """A shop that has loaded the first wave, the steps of the load of the second one, and what that leaves."""
    shop = ObjectShop(
        tmp_path / "shop", url=f"{url}/first", archive_url=archive, environment=server.environment, threads=1
    )
    first_wave(shop)
    undisturbed = again(shop, tmp_path / "undisturbed", f"{url}/undisturbed")
    steps = steps_of(undisturbed.load, None)
    assert {str(point) for point in AROUND | (WITH_ARCHIVE if archive else set())} <= {*steps}
    return shop, steps, left(undisturbed)


def again(shop: ObjectShop, folder: Path, url: str) -> ObjectShop:
    """The shop in another folder, with the second wave in another place of the store."""
    copied_folder(shop.folder, folder)
    made = replace(shop, folder=folder, url=url, told=[])
    second_wave(made)
    return made


@pytest.mark.parametrize(
    "remote", [pytest.param(False, id="archive here"), pytest.param(True, id="archive in a store")]
)
def test_a_kill_at_any_step(tmp_path: Path, s3: str, s3_server: S3Server, remote: bool) -> None:
    """Tables, ledger, archive, both quarantines and the store are those of an undisturbed load, after one more."""
    shop, steps, expected = prepared(tmp_path, s3, s3_server, f"{s3}/archive" if remote else "")
    last = {name: index for index, name in enumerate(steps) if name in (WITH_ARCHIVE if remote else AROUND)}
    for fatal in sorted({*last.values(), *range(0, len(steps), effort(len(steps), 1))}):
        disturbed = again(shop, tmp_path / "disturbed", f"{s3}/{fatal}")
        assert killed(disturbed.load, fatal), steps[fatal]
        disturbed.load()
        assert left(disturbed) == expected, f"killed at step {fatal}: {steps[fatal]}"
        assert not disturbed.notes(), f"killed at step {fatal}: {steps[fatal]}"
        assert agree(disturbed), f"killed at step {fatal}: {steps[fatal]}"
        assert not prove(disturbed.settings, print).findings
        shutil.rmtree(disturbed.folder)
        tried()


def test_a_machine_that_is_lost(tmp_path: Path, s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed, and its landing gone with it: when its claims are old, another machine takes all of its objects over."""
    shop, steps, expected = prepared(tmp_path, s3, s3_server)
    last = {name: index for index, name in enumerate(steps) if name in LOST}
    for fatal in sorted({*last.values(), *range(0, len(steps), effort(len(steps), 1))}):
        disturbed = again(shop, tmp_path / "disturbed", f"{s3}/{fatal}")
        assert killed(disturbed.load, fatal), steps[fatal]
        shutil.rmtree(disturbed.settings.landing("f"))
        with monkeypatch.context() as patched:
            patched.setattr(object_claims, "LEASE", object_claims.LEASE * 0)
            disturbed.load()
        found = left(disturbed)
        # Killed between quarantine and store, the object was refused a second time: once too often, never too seldom.
        twice = found["files"].keys() - expected["files"].keys()
        assert all(f"quarantine/f/{named(3)[:-4]}.2" in name for name in twice), steps[fatal]
        comparable = {**found, "files": {name: found["files"][name] for name in found["files"].keys() - twice}}
        assert comparable == expected, f"killed at step {fatal}: {steps[fatal]}"
        assert agree(disturbed), f"killed at step {fatal}: {steps[fatal]}"
        shutil.rmtree(disturbed.folder)
        tried()
