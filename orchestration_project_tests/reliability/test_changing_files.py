"""A file that changes between the moment it is taken in and the moment it is read costs itself, not the load."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration_project.errors import NotWritable
from orchestration_project.failpoints import Point
from orchestration_project.formats.delimited import stage_delimited
from orchestration_project.formats.stage import STAGE
from orchestration_project_tests.ingest.shop import Shop, day, named, options
from orchestration_project_tests.reliability.stops import acting

pytestmark = pytest.mark.promise("deliveries")

OLD, NEW = "id,n\na,1\nb,2\n", "id,n\nc,3\nd,4\ne,5\n"
WHOLE_LOAD = "a file that changed after it was taken in failed the load of all others"


def replace_by(path: Path, content: str) -> None:
    """Put another file in the place of one, as a good writer does."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(content)
    part.rename(path)


def grow(path: Path) -> None:
    """Write on at the end."""
    with path.open("a") as stream:
        stream.write("z,26\n")


def become_folder(path: Path) -> None:
    """Leave a folder instead."""
    path.unlink()
    path.mkdir()


def become_link(path: Path) -> None:
    """Leave a link to a file elsewhere instead."""
    path.rename(path.with_name(".elsewhere"))
    path.symlink_to(".elsewhere")


CHANGES = [
    pytest.param(grow, id="grows"),
    pytest.param(lambda path: path.write_text("id,n\n"), id="shrinks"),
    pytest.param(lambda path: path.write_text(OLD.replace("b,2", "z,9")), id="is rewritten with as many bytes"),
    pytest.param(lambda path: replace_by(path, NEW), id="is replaced"),
    pytest.param(Path.unlink, id="vanishes"),
    pytest.param(become_folder, id="becomes a folder"),
    pytest.param(become_link, id="becomes a link"),
]


@pytest.mark.found(WHOLE_LOAD)
@pytest.mark.parametrize("point", [Point.PREPARED, Point.STAGED, Point.VALIDATED, Point.PUBLISHED])
@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_after_it_was_taken_in(
    tmp_path: Path, change: Callable[[Path], object], point: Point
) -> None:
    """It is left out as changed, the others load, and the next load takes what is there then."""
    shop = Shop(tmp_path / "data")
    path = shop.deliver(named(1), OLD)
    shop.deliver(named(2), "id,n\nx,1\n")
    done: list[Path] = []

    def change_once() -> None:
        if not done:
            done.append(path)
            change(path)

    with acting(point, change_once):
        report = shop.load(day(1), day(2))
    assert (report.changed, shop.cleaned("id"), report.refused) == ([named(1)], ["x"], [])
    replace_by(shop.deliver(named(3), "id,n\ny,1\n"), "id,n\ny,1\n")
    shop.load(day(1), day(2), day(3))
    assert {"x", "y"} <= set(shop.cleaned("id"))


@pytest.mark.found("after one unfit file, all files of the load were read a second time")
def test_the_others_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is refused for its records, or changes, is left out of what was read."""
    shop = Shop(tmp_path / "data", options=options(max_reject_rate=0.5))
    changing = shop.deliver(named(1), OLD)
    shop.deliver(named(2), "id,n\nx,bad\n")
    shop.deliver(named(3), "id,n\ny,1\n")
    read: list[int] = []

    def note(*arguments: object) -> None:
        read.append(len(arguments[2]))  # type: ignore[arg-type]  # the files
        stage_delimited(*arguments)  # type: ignore[arg-type]

    monkeypatch.setitem(STAGE, shop.feed.source.format, note)
    with acting(Point.BEGUN, lambda: changing.write_text(NEW)):
        report = shop.load(day(1), day(2), day(3))
    assert ([item.file.name for item in report.refused], report.changed) == ([named(2)], [named(1)])
    assert (read, shop.cleaned("id"), [row["id"] for row in shop.table("raw")]) == ([3], ["y"], ["y"])


@pytest.mark.found("a read-only archive ended in a traceback")
def test_a_read_only_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder and says what to do; nothing was changed, and the next load loads."""
    shop = Shop(tmp_path / "data")
    shop.deliver(named(1), OLD)
    archive, mkdir = shop.settings.archive("f"), os.mkdir

    def refuse(path: Path, mode: int = 0o777) -> None:
        if archive in (Path(path), *Path(path).parents):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        mkdir(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refuse)
        with pytest.raises(NotWritable, match=r"archive/f can't be written to \(Read-only file system\)"):
            shop.load(day(1))
    assert (shop.cleaned("id"), shop.landing()) == ([], [named(1)])
    shop.load(day(1))
    assert shop.cleaned("id") == ["a", "b"]
