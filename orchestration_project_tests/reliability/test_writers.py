"""Writers that have not finished: whatever they do, the tables end as their final bytes say, and nothing is lost."""

import errno
import fcntl
import mmap
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from orchestration_project.storage.batches import Batching
from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.writers import Writing, can_tell, delivered, roots, writing_to
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named, options
from orchestration_project_tests.reliability.disks import another_disk

pytestmark = pytest.mark.promise("deliveries")

FIRST = "id,n\na,1\nb,2\n"
HARD_LINK = "the archive was a hard link to what a writer had open: what it added later was in no table"
AT_ONCE = "a load by hand took files that were being written"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed without keys."""
    return Shop(tmp_path / "data")


@pytest.fixture(params=[errno.EACCES, errno.EINVAL, errno.ENOTSUP], ids=errno.errorcode.get)
def untold(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that can't tell whether somebody writes to a file."""
    no_leases(monkeypatch, request.param)


def no_leases(monkeypatch: pytest.MonkeyPatch, error: int = errno.EINVAL) -> None:
    """Have every lease refused."""
    ask = fcntl.fcntl

    def refuse(descriptor: int, request: int, argument: int = 0) -> int:
        if request == fcntl.F_SETLEASE:
            raise OSError(error, os.strerror(error))
        return ask(descriptor, request, argument)

    monkeypatch.setattr(fcntl, "fcntl", refuse)


# What writers do to a file that they have open. Each leaves another record than before.


def append(stream: IO[bytes]) -> None:
    """Go on at the end."""
    stream.seek(0, os.SEEK_END)
    stream.write(b"c,3\n")
    stream.flush()


def rewrite(stream: IO[bytes]) -> None:
    """Overwrite with as many bytes."""
    stream.seek(0)
    stream.write(FIRST.replace("b,2", "c,3").encode())
    stream.flush()


def truncate(stream: IO[bytes]) -> None:
    """Begin anew with less."""
    stream.truncate(0)
    stream.seek(0)
    stream.write(b"id,n\nc,3\n")
    stream.flush()


def change_mapped(stream: IO[bytes]) -> None:
    """Change bytes in memory."""
    with mmap.mmap(stream.fileno(), 0) as mapped:
        mapped[-4:] = b"c,3\n"


Way = Callable[[IO[bytes]], None]
WAYS: dict[Way, list[str]] = {append: ["a", "b", "c"], rewrite: ["a", "c"], truncate: ["c"], change_mapped: ["a", "c"]}
ways = pytest.mark.parametrize("write", WAYS, ids=lambda way: way.__name__)


@contextmanager
def writer(shop: Shop, number: int = 1, content: str = FIRST) -> Iterator[IO[bytes]]:
    """Somebody has a file of some day in landing open and has written a part of it."""
    with shop.deliver(named(number), content).open("r+b") as stream:
        yield stream


@pytest.mark.found(AT_ONCE)
@ways
def test_a_file_that_somebody_has_open(shop: Shop, write: Way) -> None:
    """It stays in landing however old it is, the files beside it load, and what it is in the end is loaded."""
    with writer(shop) as stream:
        shop.deliver(named(2), "id,n\nx,1\n")
        report = shop.load(day(1), day(2))
        assert (report.changed, shop.landing(), shop.cleaned("id")) == ([named(1)], [named(1)], ["x"])
        write(stream)
    shop.load(day(1), day(2))
    assert (shop.cleaned("id"), shop.landing()) == ([*WAYS[write], "x"], [])


@pytest.mark.found(AT_ONCE)
def test_a_file_that_somebody_has_mapped(shop: Shop) -> None:
    """A writer that has closed its file and writes through memory still writes."""
    with writer(shop) as stream:
        mapped = mmap.mmap(stream.fileno(), 0)
    assert shop.load().changed == [named(1)]
    mapped[-4:] = b"c,3\n"
    mapped.close()
    shop.load()
    assert shop.cleaned("id") == ["a", "c"]


@pytest.mark.found(HARD_LINK)
@pytest.mark.usefixtures("untold")
@ways
@pytest.mark.parametrize("place", ["one disk", "two disks"])
def test_a_writer_that_pauses(shop: Shop, tmp_path: Path, write: Way, place: str) -> None:
    """Where nobody can tell, it pauses for longer than the settle time and then goes on: that is a correction."""
    with another_disk(tmp_path) as disk:
        if place == "two disks":
            (shop.folder / "archive").parent.mkdir(parents=True)
            (shop.folder / "archive").symlink_to(disk)
        with writer(shop) as stream:
            shop.load()
            assert (shop.cleaned("id"), shop.landing()) == (["a", "b"], [])
            write(stream)
            assert shop.cleaned("id") == ["a", "b"]
            settle(shop)
        shop.load(day(1))
        assert (shop.cleaned("id"), shop.landing()) == (WAYS[write], [])
        assert shop.archive() == [f"{day(1)}/{named(1)}", f"{day(1)}/v2/{named(1)}"]
        assert is_whole(shop)
        tables = shop.tables()
        shop.lose_warehouse()
        shop.load(day(1))
        assert (shop.tables(), shop.load(day(1)).entries) == (tables, [])


def settle(shop: Shop) -> None:
    """Have every file that was written to look as if that were a minute ago."""
    for file in waiting(shop):
        os.utime(file.path, (time.time() - 60, time.time() - 60))


def waiting(shop: Shop) -> list[FoundFile]:
    """The files that wait for a load."""
    return delivered(shop.settings.landing("f"), shop.settings.archive("f"))


def is_whole(shop: Shop) -> bool:
    """Whether every file of the archive has the bytes that the ledger tells."""
    entries = {row["archived_as"]: row["sha256"] for row in shop.rows("FROM file_ledger")}
    root = shop.settings.archive("f")
    return all(hash_of(root / place) == sha256 for place, sha256 in entries.items() if place)


def hash_of(path: Path) -> str:
    """The SHA-256 of a file."""
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.found(AT_ONCE)
@pytest.mark.usefixtures("untold")
def test_waiting_for_a_young_file(shop: Shop) -> None:
    """Where nobody can tell, a load waits for the settle time and says so; a file that changes meanwhile stays."""
    shop.options = options(settle_seconds=0.5)
    now = time.time()
    for number, age in ((1, 0.0), (2, 60.0), (3, -3600.0)):
        os.utime(shop.deliver(named(number), FIRST.replace("a", str(number))), (now - age, now - age))
    report = shop.load(day(1), day(2), day(3))
    assert time.time() - now > 0.5
    assert (report.changed, shop.landing(), len(shop.cleaned())) == ([], [], 6)
    assert [line for line in shop.told if "waiting" in line] == [
        "f: waiting 0.5 s for 2 file(s) to settle: it can't be told here whether somebody still writes to them"
    ]


@pytest.mark.found(AT_ONCE)
def test_files_that_arrive_while_a_load_waits(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """No load takes a file younger than the settle time unless it can tell that nobody writes to it."""
    no_leases(monkeypatch)

    def arrive(_: float) -> None:
        for number in (1, 2):
            shop.deliver(named(number), FIRST.replace("a", "z"))
            os.utime(shop.settings.landing("f") / named(number))

    os.utime(shop.deliver(named(1), FIRST))
    monkeypatch.setattr(time, "sleep", arrive)
    report = shop.load(day(1), day(2))
    assert (sorted(report.changed), len(shop.landing()), shop.cleaned()) == ([named(1), named(2)], 2, [])


def test_a_young_file_that_nobody_writes_to(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it can be told, nobody waits."""
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
    os.utime(shop.deliver(named(1), FIRST))
    shop.load()
    assert (shop.cleaned("id"), shop.landing()) == (["a", "b"], [])


def test_a_correction_keeps_its_batch(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to a file of which the time tells the batch belongs to the batch that it was loaded for."""
    no_leases(monkeypatch)
    shop.options = options(batching=Batching(shop.options.batching.cadence, day(1)))
    with shop.deliver("export.csv", FIRST).open("r+b") as stream:
        shop.load(NOW.date().replace(month=2))
        append(stream)
        settle(shop)
    shop.load(NOW.date().replace(month=2))
    assert (shop.cleaned("id"), len({row["_batch_date"] for row in shop.table("cleaned")})) == (["a", "b", "c"], 1)


def test_a_writer_that_is_overtaken(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to a file after a newer one of its name was loaded goes to quarantine: that one counts."""
    no_leases(monkeypatch)
    shop.options = options(settle_seconds=0.1)
    with writer(shop) as stream:
        shop.load()
        shop.deliver(named(1), "id,n\nz,9\n")
        append(stream)
        assert [file.taken for file in waiting(shop)] == [None]  # the one in landing goes first
        shop.load()
    shop.load(day(1))
    assert (shop.cleaned("id"), [note["rule"] for note in shop.quarantine().values()]) == (["z"], ["delivered_anew"])
    assert (shop.settings.quarantine("f") / named(1)).read_text() == f"{FIRST}c,3\n"


def test_a_writer_of_a_refused_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is refused for what its writer had not written yet is loaded when that is there."""
    no_leases(monkeypatch)
    with writer(shop, content="x") as stream:
        shop.load()
        assert [note["rule"] for note in shop.quarantine().values()] == ["no_header"]
        stream.seek(0)
        stream.write(FIRST.encode())
        stream.flush()
        settle(shop)
        shop.load(day(1))
    assert (shop.cleaned("id"), (shop.settings.quarantine("f") / named(1)).read_text()) == (["a", "b"], "x")


def test_a_writer_that_opens_the_name_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """That makes a new file, which has no header: it is refused, and replaces no rows."""
    no_leases(monkeypatch)
    with writer(shop):
        shop.load()
    with (shop.settings.landing("f") / named(1)).open("ab") as stream:
        stream.write(b"c,3\n")
    os.utime(shop.settings.landing("f") / named(1), (0, 1.6e9))
    shop.load()
    assert (shop.cleaned("id"), [note["rule"] for note in shop.quarantine().values()]) == (["a", "b"], ["no_header"])


def taken(shop: Shop) -> list[str]:
    """The names of the files that are watched."""
    folders = roots(shop.settings.landing("f"), shop.settings.archive("f"))
    return [path.name for root in folders for path in root.glob("*/[!.]*")]


def test_the_grace_period(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A taken file is there until the grace period is over, the very file that was in landing; then it is gone."""
    inode = shop.deliver(named(1), FIRST).stat().st_ino
    shop.load()
    assert taken(shop) == [named(1)]
    (path,) = shop.settings.archive("f").glob(".taken/*/s_*")
    archived = shop.settings.archive("f") / str(day(1)) / named(1)
    assert (path.stat().st_ino, archived.stat().st_ino != inode) == (inode, True)
    now = time.time()
    for hours, there in ((23, True), (25, False)):
        monkeypatch.setattr(time, "time", lambda later=now + 3600 * hours: later)
        shop.load(day(1))
        assert bool(taken(shop)) is there
    assert not (shop.settings.archive("f") / ".taken").exists()
    assert shop.cleaned("id") == ["a", "b"]


def test_no_grace_period(shop: Shop) -> None:
    """Without one, a file is gone when it is loaded."""
    shop.options = replace(shop.options, grace=shop.options.grace * 0)
    shop.deliver(named(1), FIRST)
    shop.load()
    assert (taken(shop), shop.cleaned("id")) == ([], ["a", "b"])


def test_a_change_without_a_trace(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that were changed while size and time say nothing are noticed when the grace period ends."""
    no_leases(monkeypatch)
    path = shop.deliver(named(1), FIRST)
    modified = path.stat().st_mtime_ns
    with path.open("r+b") as stream:
        shop.load()
        rewrite(stream)
        os.utime(stream.fileno(), ns=(modified, modified))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 90_000)
    assert waiting(shop) == []
    shop.load(day(1))
    assert shop.cleaned("id") == ["a", "b"]
    settle(shop)
    shop.load(day(1))
    assert shop.cleaned("id") == ["a", "c"]


def write_often(path: Path, until: "multiprocessing.synchronize.Event") -> None:
    """Open a file for writing again and again."""
    while not until.is_set():
        path.open("ab").close()


def test_asking_harms_nobody(shop: Shop) -> None:
    """A writer that opens a file while it is asked for ends nobody, and is told in time."""
    path = shop.deliver(named(1), FIRST)
    context = multiprocessing.get_context("forkserver")
    until = context.Event()
    process = context.Process(target=write_often, args=(path, until))
    process.start()
    answers: set[Writing] = set()
    end = time.monotonic() + 20
    while len(answers) < 2 and time.monotonic() < end:
        answers |= {writing_to(path) for _ in range(500)}
    until.set()
    process.join(10)
    assert (answers, process.exitcode) == ({Writing.NOBODY, Writing.SOMEBODY}, 0)


def test_what_can_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder says which way it uses; nothing stays there."""
    assert (can_tell(tmp_path), can_tell(tmp_path / "none"), list(tmp_path.iterdir())) == (True, False, [])
    no_leases(monkeypatch)
    assert not can_tell(tmp_path)


def test_shared_blocks(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system shares blocks between files, no byte is copied, and the bytes are proved all the same."""
    asked: list[int] = []

    def share(target: int, request: int, source: int) -> int:
        asked.append(request)
        os.sendfile(target, source, 0, os.fstat(source).st_size)
        return 0

    monkeypatch.setattr(fcntl, "ioctl", share)
    shop.deliver(named(1), FIRST)
    shop.load()
    assert (shop.cleaned("id"), asked, is_whole(shop)) == (["a", "b"], [0x40049409], True)
