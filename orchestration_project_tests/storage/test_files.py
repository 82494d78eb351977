"""Files of a folder: which are seen, what identifies one, that changes are noticed, and work on many at a time."""

import datetime as dt
import hashlib
import os
import threading
from pathlib import Path

import pytest

from orchestration_project.errors import FileChanged, FileRefused
from orchestration_project.storage.files import (
    LARGE_BYTES,
    FoundFile,
    discover,
    ensure_unchanged,
    fingerprint,
    map_files,
)


def found(folder: Path, content: bytes = b"abc", name: str = "a.csv") -> FoundFile:
    """A file as the folder lists it."""
    (folder / name).write_bytes(content)
    return next(item for item in discover(folder) if item.name == name)


def test_discover(tmp_path: Path) -> None:
    """Finished regular files are listed by name; what is hidden, unfinished, a folder or a link is not."""
    for name in (
        "b.csv",
        "a b.csv",
        "ü.csv",
        "A.csv",
        ".hidden",
        "x.part",
        "x.TMP",
        "x.csv~",
        "x.filepart",
        "x.crdownload",
    ):
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to(tmp_path / "b.csv")
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "fifo.csv")
    assert [item.name for item in discover(tmp_path)] == ["A.csv", "a b.csv", "b.csv", "ü.csv"]
    assert discover(tmp_path / "absent") == []


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """The logical name of a file is always text."""
    (tmp_path / "caf\udce9.csv").write_text("x")
    (item,) = discover(tmp_path)
    assert (item.name, item.path.read_text()) == ("caf\\xe9.csv", "x")


def test_modification_time(tmp_path: Path) -> None:
    """The modification time is told in UTC, to the microsecond."""
    path = tmp_path / "a.csv"
    path.write_text("x")
    os.utime(path, ns=(0, 1_700_000_000_123_456_789))
    (item,) = discover(tmp_path)
    assert item.modified_at == dt.datetime(2023, 11, 14, 22, 13, 20, 123456, dt.UTC)


def test_fingerprint(tmp_path: Path) -> None:
    """A file's fingerprint is the SHA-256 of its bytes."""
    content = os.urandom(3 << 20)
    assert fingerprint(found(tmp_path, content)) == hashlib.sha256(content).hexdigest()


def test_changes(tmp_path: Path) -> None:
    """A file that has another size or time, or is gone, is not the one that was listed."""
    item = found(tmp_path)
    ensure_unchanged(item)
    os.utime(item.path, ns=(0, item.mtime_ns + 1))
    with pytest.raises(FileChanged, match=r"'a.csv' was written to"):
        ensure_unchanged(item)
    item = found(tmp_path)
    item.path.write_bytes(b"abcd")
    os.utime(item.path, ns=(0, item.mtime_ns))
    with pytest.raises(FileChanged, match="was written to"):
        fingerprint(item)
    item.path.unlink()
    for look in (fingerprint, ensure_unchanged):
        with pytest.raises(FileChanged, match="vanished"):
            look(item)


def test_a_link_in_the_place_of_a_file(tmp_path: Path) -> None:
    """A file that became a link is not the one that was listed, even with the size and time that it had."""
    outside = tmp_path / "outside"
    outside.write_text("secret")
    landing = tmp_path / "landing"
    landing.mkdir()
    item = found(landing, b"x" * len(str(outside)))
    item.path.unlink()
    item.path.symlink_to(outside)
    os.utime(item.path, ns=(0, item.mtime_ns), follow_symlinks=False)
    for look in (fingerprint, ensure_unchanged):
        with pytest.raises(FileChanged, match="was written to"):
            look(item)


def test_unreadable(tmp_path: Path) -> None:
    """A file that can't be opened is refused with the system's reason."""
    item = found(tmp_path)
    item.path.unlink()
    item.path.mkdir()
    with pytest.raises(FileRefused, match="Is a directory"):
        fingerprint(item)


@pytest.mark.parametrize("size", [pytest.param(0, id="small"), pytest.param(LARGE_BYTES, id="large")])
def test_results_and_errors_come_in_order(size: int) -> None:
    """Each item comes with its result or with what is wrong with its file, in the order of the items."""
    errors = {3: FileRefused("rule", "three"), 5: FileChanged("five", "vanished")}

    def work(item: int) -> int:
        if item in errors:
            raise errors[item]
        return -item

    found = list(map_files(work, range(20), lambda item: size * (item % 2)))
    assert found == [(item, errors.get(item, -item)) for item in range(20)]


@pytest.mark.parametrize("size", [pytest.param(0, id="small"), pytest.param(LARGE_BYTES, id="large")])
def test_other_errors_are_raised(size: int) -> None:
    """An error that says nothing about a file ends it all."""

    def work(item: int) -> int:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError):
        list(map_files(work, range(4), lambda _: size))


def test_large_files_are_worked_on_at_the_same_time() -> None:
    """Two large files are begun before either of them is done."""
    both = threading.Barrier(2, timeout=30)
    assert [item for item, _ in map_files(lambda _: both.wait(), [0, 1], lambda _: LARGE_BYTES)] == [0, 1]
