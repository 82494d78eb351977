"""Archive and quarantine: where files go, and that none is ever lost or overwritten on the way."""

import errno
import json
import os
from pathlib import Path

import pytest

from orchestration_project.errors import FileRefused
from orchestration_project.landing.files import discover
from orchestration_project.landing.store import (
    archive_folder,
    archived,
    batch_keys,
    ensure_storable,
    move,
    quarantine,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file to move, from long ago."""
    path = tmp_path / "landing" / "a.csv"
    path.parent.mkdir()
    path.write_text("abc")
    os.utime(path, ns=(0, 1_234_567_890_000_000_000))
    return path


@pytest.fixture(params=["one file system", "two file systems"])
def across(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With two file systems a rename from one folder to another is refused, as the system does it."""
    if request.param == "two file systems":
        rename = Path.rename

        def refuse(self: Path, target: Path) -> Path:
            if self.parent != target.parent:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", refuse)


@pytest.mark.usefixtures("across")
def test_move(source: Path, tmp_path: Path) -> None:
    """A file is moved with its bytes and its time, into folders that are made for it, and nothing else is left."""
    target = tmp_path / "archive" / "2024-01-01" / "a.csv"
    move(source, target)
    assert (target.read_text(), target.stat().st_mtime_ns) == ("abc", 1_234_567_890_000_000_000)
    assert not source.exists()
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.usefixtures("across")
@pytest.mark.parametrize("kind", ["file", "link"])
def test_move_overwrites_nothing(source: Path, tmp_path: Path, kind: str) -> None:
    """What is at the target stays, and so does the file."""
    target = tmp_path / "b.csv"
    target.write_text("other") if kind == "file" else target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="overwritten"):
        move(source, target)
    assert source.read_text() == "abc"
    assert kind == "link" or target.read_text() == "other"


def test_a_move_that_fails_leaves_the_file(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the copy to another file system fails, the file stays and no half of it is at the target."""

    def fail(*_: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", fail)
    target = tmp_path / "archive" / "a.csv"
    with pytest.raises(OSError, match="cross-device"):
        move(source, target)
    assert source.read_text() == "abc"
    assert discover(target.parent) == []


def test_the_archive_tells_the_order(tmp_path: Path) -> None:
    """What is put in the archive's folders, duplicates among it, is listed in order of delivery."""
    for name, number, duplicate in (("b", 2, False), ("a", 1, False), ("b", 1, False), ("c", 1, True), ("b", 3, True)):
        folder = archive_folder(tmp_path, "2024-01-01", number, duplicate)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    found = [(item.file.name, item.number) for item in archived(tmp_path, "2024-01-01")]
    assert found == [("a", 1), ("b", 1), ("c", 1), ("b", 2), ("b", 3)]
    assert archived(tmp_path, "2024-01-02") == []
    assert (batch_keys(tmp_path), batch_keys(tmp_path / "absent")) == (["2024-01-01"], [])


def test_quarantine(source: Path, tmp_path: Path) -> None:
    """A refused file lies beside its reason; one of the same name gets a number."""
    folder = tmp_path / "quarantine"
    for number, name in enumerate(("a.csv", "a.2.csv", "a.3.csv"), start=1):
        source.write_text(str(number))
        (found,) = discover(source.parent)
        target = quarantine(found, folder, {"rule": "é", "at": number})
        assert (target.name, target.read_text()) == (name, str(number))
        assert json.loads((folder / f"{name}.reason.json").read_text(encoding="utf-8")) == {"rule": "é", "at": number}
    assert not source.exists()


@pytest.mark.parametrize("name", ["x" * 255, "é" * 125 + ".csv", "x" * 120 + "." + "y" * 120, "a.csv.gz"])
def test_quarantine_of_long_names(name: str, tmp_path: Path) -> None:
    """A name of any length fits with its reason, and twice."""
    (tmp_path / "landing").mkdir()
    for _ in range(2):
        (tmp_path / "landing" / name).write_text("x")
        (found,) = discover(tmp_path / "landing")
        quarantine(found, tmp_path / "quarantine", {})
    assert len(list((tmp_path / "quarantine").iterdir())) == 4


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("v2", "reserved_name", id="version folder"),
        pytest.param("duplicate", "reserved_name", id="duplicates' folder"),
        pytest.param("\\xff" * 64, "name_too_long", id="too long once it is text"),
    ],
)
def test_names_that_the_archive_can_not_take(name: str, rule: str) -> None:
    """Names of the archive's own folders, and longer ones than a file may have, are refused."""
    with pytest.raises(FileRefused) as caught:
        ensure_storable(name)
    assert caught.value.rule == rule
    for fine in ("v2.csv", "v02", "v", "duplicates", "x" * 255):
        ensure_storable(fine)
