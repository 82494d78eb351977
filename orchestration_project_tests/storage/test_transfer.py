"""Files are secured before the commit, archived after it, taken off landing last; nothing is lost on the way."""

import errno
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import pytest

from orchestration_project.errors import FileChanged, WarehouseError
from orchestration_project.failpoints import Point
from orchestration_project.storage.files import FoundFile, discover
from orchestration_project.storage.transfer import Transfer
from orchestration_project.storage.writers import TAKEN, roots
from orchestration_project_tests.reliability.disks import another_disk
from orchestration_project_tests.reliability.stops import acting, dying

LONG_AGO = 1_234_567_890_000_000_000
SHA256 = hashlib.sha256(b"abc").hexdigest()
PLACE = "2024-01-01/v2/a.csv"


@pytest.fixture(params=["one file system", "two file systems"])
def transfer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Transfer]:
    """The folders of a feed, the archive and quarantine on the file system of landing or on another one."""
    landing = tmp_path / "landing"
    landing.mkdir()
    if request.param == "two file systems":
        with another_disk(tmp_path) as other:
            yield Transfer(landing, other / "archive", other / "quarantine")
        return
    yield Transfer(landing, tmp_path / "archive", tmp_path / "quarantine")


@pytest.fixture
def file(transfer: Transfer) -> FoundFile:
    """A file in landing, from long ago."""
    return deliver(transfer, "abc")


def deliver(transfer: Transfer, content: str, name: str = "a.csv") -> FoundFile:
    """Put a file into landing, as a good writer does."""
    path = transfer.landing / name
    part = path.with_name(f".{name}")
    part.write_text(content)
    os.utime(part, ns=(0, LONG_AGO + len(content)))
    part.rename(path)
    return next(found for found in discover(transfer.landing) if found.name == name)


def files(folder: Path) -> list[str]:
    """All files below a folder, those on their way too, without what is only watched."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != TAKEN or len(path.parts) == 2)


def watched(transfer: Transfer) -> list[str]:
    """The names of the files that were taken off landing and are watched."""
    paths = [path for root in roots(transfer.landing, transfer.archive) for path in root.glob("*/*")]
    return sorted(path.name for path in paths if not path.name.startswith("."))


def transfer_all(transfer: Transfer, *found: FoundFile) -> None:
    """Secure, archive and clear files with the bytes abc."""
    transfer.secure((file, SHA256) for file in found)
    placed = [(file, transfer.archive / "2024-01-01/v2" / file.name, SHA256) for file in found]
    transfer.archive_all(placed)
    for file, place, sha256 in placed:
        transfer.clear(file, place, sha256)
    transfer.tidy()


def clear(transfer: Transfer, file: FoundFile) -> None:
    """Take a file off landing as if its bytes were in the archive."""
    transfer.clear(file, transfer.archive / PLACE, SHA256)


def test_a_file_is_archived(transfer: Transfer, file: FoundFile) -> None:
    """It arrives with its bytes and its time, in folders that are made for it, and nothing else is left."""
    transfer_all(transfer, file)
    archived = transfer.archive / PLACE
    assert (archived.read_text(), archived.stat().st_mtime_ns) == ("abc", LONG_AGO + 3)
    assert (files(transfer.archive), files(transfer.landing), watched(transfer)) == ([PLACE], [], ["a.csv"])
    assert archived.stat().st_nlink == 1  # no writer reaches it
    assert not (transfer.archive / ".incoming").exists()


def test_bytes_that_are_there_already(transfer: Transfer, file: FoundFile) -> None:
    """A file whose bytes are in their place only leaves landing; where other bytes are, it stays."""
    transfer_all(transfer, file)
    transfer_all(transfer, deliver(transfer, "abc"))
    assert (files(transfer.archive), files(transfer.landing)) == ([PLACE], [])
    (transfer.archive / PLACE).write_text("damaged")
    again = deliver(transfer, "abc")
    with pytest.raises(WarehouseError, match=r"'a.csv' stays in landing.*from a backup or remove it"):
        transfer_all(transfer, again)
    assert (files(transfer.landing), (transfer.archive / PLACE).read_text()) == (["a.csv"], "damaged")


@pytest.mark.parametrize("point", [Point.SECURED, Point.ARCHIVED, Point.FLUSHED, Point.TAKEN])
@pytest.mark.parametrize("committed", [True, False])
def test_recovery(transfer: Transfer, file: FoundFile, point: Point, committed: bool) -> None:
    """After a kill at any point, committed bytes are in their place, and the file is in landing or watched."""
    with dying(point):
        transfer_all(transfer, file)
    for _ in range(2):
        transfer.recover(lambda name, sha256: PLACE if committed and (name, sha256) == ("a.csv", SHA256) else None)
    archived = committed or point is not Point.SECURED
    assert files(transfer.archive) == ([PLACE] if archived else [])
    assert (files(transfer.landing), watched(transfer)) == (
        ([], ["a.csv"]) if point is Point.TAKEN else (["a.csv"], [])
    )


def test_recovery_beside_a_newer_file(transfer: Transfer, file: FoundFile) -> None:
    """A file that was taken off landing by a run that died does not displace the one that came since."""
    with dying(Point.TAKEN):
        transfer_all(transfer, file)
    deliver(transfer, "newer")
    transfer.recover(lambda *_: PLACE)
    assert (transfer.landing / "a.csv").read_text() == "newer"
    assert files(transfer.landing) == ["a.csv"]


def write_into(file: FoundFile) -> None:
    """Write into a file where it lies."""
    with file.path.open("a") as stream:
        stream.write("more")


@pytest.mark.parametrize("change", [write_into, lambda file: file.path.unlink()], ids=["grows", "vanishes"])
def test_changed_files_are_not_secured(
    transfer: Transfer, file: FoundFile, change: Callable[[FoundFile], object]
) -> None:
    """A file that is not the one that was listed any more is not secured."""
    change(file)
    with pytest.raises(FileChanged, match=r"'a\.csv'"):
        transfer.secure([(file, SHA256)])


def test_a_copy_with_other_bytes_is_not_secured(transfer: Transfer, file: FoundFile) -> None:
    """The copy has to have the bytes that were read before, though size and time of the file say nothing."""
    with pytest.raises(FileChanged):
        transfer.secure([(file, "0" * 64)])


@pytest.mark.parametrize(
    "change", [write_into, lambda file: file.path.unlink()], ids=["is written into", "is taken away"]
)
@pytest.mark.parametrize("act", ["clear", "refuse"])
def test_changed_files_stay(
    transfer: Transfer, file: FoundFile, act: str, change: Callable[[FoundFile], object]
) -> None:
    """A file that is not the one that was listed any more is neither deleted nor moved to quarantine."""
    change(file)
    left = files(transfer.landing)
    with pytest.raises(FileChanged, match=r"'a\.csv'"):
        clear(transfer, file) if act == "clear" else transfer.refuse(file, {})
    assert (files(transfer.landing), files(transfer.quarantine)) == (left, [])


@pytest.mark.parametrize("act", ["clear", "refuse"])
def test_a_newer_file_in_the_very_moment(transfer: Transfer, file: FoundFile, act: str) -> None:
    """A file that takes the name of one that just leaves landing stays there."""
    with acting(Point.TAKEN, lambda: deliver(transfer, "newer")):
        clear(transfer, file) if act == "clear" else transfer.refuse(file, {})
    transfer.tidy()
    assert files(transfer.landing) == ["a.csv"]
    assert (transfer.landing / "a.csv").read_text() == "newer"


def test_refused_files_lie_beside_their_reasons(transfer: Transfer) -> None:
    """A refused file keeps its name; one of the same name gets a number."""
    for number, name in enumerate(("a.csv", "a.2.csv", "a.3.csv"), start=1):
        transfer.refuse(deliver(transfer, str(number)), {"at": number})
        assert (transfer.quarantine / name).read_text() == str(number)
        assert json.loads((transfer.quarantine / f"{name}.reason.json").read_text()) == {"at": number}
    assert files(transfer.landing) == []


@pytest.mark.parametrize("point", [Point.TAKEN, Point.NOTED])
def test_a_kill_on_the_way_to_quarantine(transfer: Transfer, file: FoundFile, point: Point) -> None:
    """The file is back in landing for the next run, which refuses it once."""
    with dying(point):
        transfer.refuse(file, {})
    transfer.recover(lambda *_: None)
    transfer.refuse(deliver(transfer, "abc"), {})
    assert (files(transfer.landing), files(transfer.quarantine)) == ([], ["a.csv", "a.csv.reason.json"])


def test_a_full_quarantine(transfer: Transfer, file: FoundFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that can't be moved to quarantine is still in landing."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("orchestration_project.storage.transfer.write_reason", fail)
    with pytest.raises(OSError, match="No space"):
        transfer.refuse(file, {})
    assert (files(transfer.landing), files(transfer.quarantine)) == (["a.csv"], [])


@pytest.mark.promise("crash")
@pytest.mark.found("files were renamed into the archive without their bytes being flushed to disk first")
def test_order_on_disk(transfer: Transfer, file: FoundFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes, then names, are on disk before a file leaves landing: a power cut finds them at one place at least."""
    events: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(time, "time", lambda: LONG_AGO / 1e9)

    def note_fsync(descriptor: int) -> None:
        events.append(f"flush {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def note_rename(self: Path, target: Path) -> Path:
        events.append(f"rename to {target.parent.name}")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "rename", note_rename)
    transfer_all(transfer, file)
    order = [
        "flush a.csv",  # the bytes of the copy
        "flush .incoming",  # their name in the archive: only then may the commit follow
        "rename to v2",
        "flush v2",  # the place that the ledger tells
        "rename to 2009-02-13T23",  # off landing, to be watched
    ]
    assert [event for event, _ in groupby(event for event in events if event in order)] == order
