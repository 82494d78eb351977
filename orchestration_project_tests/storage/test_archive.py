"""Archive and quarantine: where files go, and that none is ever lost or overwritten on the way."""

from pathlib import Path

import pytest

from orchestration_project.errors import FileRefused
from orchestration_project.storage.archive import (
    archive_folder,
    archived,
    batch_keys,
    ensure_storable,
    free_name,
    write_reason,
)


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


def test_reasons_are_text_on_disk(tmp_path: Path) -> None:
    """The reason lies beside the place of the refused file, as JSON that people can read."""
    write_reason(tmp_path / "a.csv", {"rule": "é", "at": Path("b")})
    assert (tmp_path / "a.csv.reason.json").read_text(encoding="utf-8") == '{\n  "rule": "é",\n  "at": "b"\n}\n'


@pytest.mark.parametrize("name", ["x" * 255, "é" * 125 + ".csv", "x" * 120 + "." + "y" * 120, "a.csv.gz"])
def test_names_in_quarantine(name: str, tmp_path: Path) -> None:
    """A name of any length gets a place where it fits with its reason, and another one when that is taken."""
    for _ in range(12):
        place = free_name(tmp_path, name)
        assert not place.exists()
        place.write_text("x")
        write_reason(place, {})
    assert len(list(tmp_path.iterdir())) == 24


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
