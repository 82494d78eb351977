"""Deliveries that people, programs and file systems bring about: names, kinds of files, permissions, other disks."""

import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from orchestration_project.storage import files, transfer
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.files import FoundFile
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named, options
from orchestration_project_tests.reliability.disks import another_disk
from orchestration_project_tests.reliability.victim import CONTEXT
from orchestration_project_tests.reliability.zips import packed

pytestmark = pytest.mark.promise("deliveries")

CONTENT = "id,n\na,1\n"
NOBODY = 65534


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed without keys."""
    return Shop(tmp_path / "data")


NAMES = [
    pytest.param("sales of 2024-01-01 (final) .csv", id="blanks"),
    pytest.param('it\'s "2024-01-01".csv', id="quotes"),
    pytest.param("2024-01-01\nsecond line.csv", id="line end"),
    pytest.param("2024-01-01 \x1b[31m\x07\x7f.csv", id="control characters"),
    pytest.param("2024-01-01 🛒 שלום ü.csv", id="emoji and right-to-left"),
    pytest.param("--help 2024-01-01.csv", id="leading dashes"),
    pytest.param("-2024-01-01", id="leading dash, no ending"),
    pytest.param("2024-01-01 *?[a]{b}.csv", id="pattern of a shell"),
    pytest.param("2024-01-01; DROP TABLE raw_f; --.csv", id="SQL"),
    pytest.param("2024-01-01 $1 ${HOME} %s {0} \\.csv", id="placeholders"),
    pytest.param("2024-01-01 " + "x" * 240 + ".csv", id="255 bytes"),
    pytest.param("2024-01-01 " + "ü" * 120 + ".csv", id="255 bytes of two-byte letters"),
    pytest.param("2024-01-01.. .csv", id="dots"),
    pytest.param("caf\udce9 2024-01-01.csv", id="not UTF-8"),
    pytest.param("_batch_date=2024-01-01", id="looks like a partition folder"),
    pytest.param("2024-01-01.csv.gz", id="says gzip, is none"),
    pytest.param("2024-01-01.parquet", id="says Parquet, is none"),
    pytest.param("waivers 2024-01-01", id="like a folder"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names(shop: Shop, name: str) -> None:
    """A file of any name is loaded once, archived under its name, known again, corrected, and comes back from there."""
    shop.deliver(name, CONTENT)
    shop.load()
    logical = os.fsencode(name).decode("utf-8", errors="backslashreplace")
    assert (shop.cleaned("id", "_file"), shop.landing()) == ([("a", logical)], [])
    assert shop.archive() == [f"{day(1)}/{logical}"]
    shop.deliver(name, CONTENT)
    assert shop.load().again == [logical]
    shop.deliver(name, CONTENT.replace("a", "b"))
    shop.load()
    assert (shop.cleaned("id"), set(shop.archive())) == (["b"], {f"{day(1)}/{logical}", f"{day(1)}/v2/{logical}"})
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load(day(1))
    assert (shop.tables(), shop.landing()) == (tables, [])


@pytest.mark.parametrize("name", NAMES)
def test_names_of_refused_files(shop: Shop, name: str) -> None:
    """A refused file of any name is in quarantine with its reason, and so is the next one of that name."""
    for content in ("no header\n", "not even this\n"):
        shop.deliver(name, content)
        shop.load()
    assert (shop.landing(), len(shop.quarantine())) == ([], 2)


def test_names_that_differ_in_case_only(shop: Shop) -> None:
    """Names are compared letter by letter: two files are two files."""
    for name, content in (("S_2024-01-01.csv", "id,n\na,1\n"), ("s_2024-01-01.CSV", "id,n\nb,2\n")):
        shop.deliver(name, content)
    shop.load()
    assert (sorted(shop.cleaned("id")), len(shop.archive())) == (["a", "b"], 2)


def make_folder(path: Path) -> None:
    """A folder with a file in it."""
    path.mkdir()
    (path / named(1)).write_text(CONTENT)


def make_socket(path: Path) -> None:
    """A Unix socket."""
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


KINDS: list[tuple[str, Callable[[Path], object]]] = [
    ("folder", make_folder),
    ("FIFO", os.mkfifo),
    ("socket", make_socket),
    ("link to a file outside", lambda path: path.symlink_to("/etc/passwd")),
    ("link to a file inside", lambda path: path.symlink_to(path.with_name(named(1)))),
    ("link to nothing", lambda path: path.symlink_to("nowhere")),
    ("link to a folder", lambda path: path.symlink_to("/etc")),
    ("link to itself", lambda path: path.symlink_to(path)),
]
if os.geteuid() == 0:
    KINDS.append(("device", lambda path: os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))))


@pytest.mark.parametrize("make", [pytest.param(make, id=kind) for kind, make in KINDS])
def test_what_is_no_regular_file(shop: Shop, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is neither read nor moved nor waited for, and the files beside it are loaded."""
    good = shop.deliver(named(1), CONTENT)
    monkeypatch.chdir(good.parent)  # a socket's path has to be short
    make(Path("x_2024-01-01.csv"))
    shop.load(day(1))
    assert (shop.cleaned("id"), shop.landing()) == (["a"], ["x_2024-01-01.csv"])


def test_a_landing_folder_that_is_a_link(shop: Shop, tmp_path: Path) -> None:
    """Where an operator keeps the drop folder is his affair."""
    (tmp_path / "mounted").mkdir()
    (tmp_path / "data/landing").mkdir(parents=True)
    (tmp_path / "data/landing/f").symlink_to(tmp_path / "mounted")
    shop.deliver(named(1), CONTENT)
    shop.load()
    assert (shop.cleaned("id"), shop.landing()) == (["a"], [])


@pytest.mark.found("a modification time after the year 9999 or before the year 1 stopped all files of the feed")
@pytest.mark.parametrize("year", [-100, 0, 9999, 10_500, 200_000])
@pytest.mark.parametrize("dated", [True, False])
def test_times_without_a_date(shop: Shop, year: int, dated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of such a time is refused, and costs no other file."""
    if not dated:
        shop.options = options(batching=Batching(Cadence.DAILY, day(1)))
    strange = shop.deliver(named(1), CONTENT)
    shop.deliver(named(2), CONTENT.replace("a", "b"))
    # Not every file system of a test machine knows such times, so the listing is told one.
    listed, mtime_ns = files._found, (year - 1970) * 31_556_952 * 10**9

    def found(location: str, own_name: str, status: os.stat_result) -> FoundFile:
        file = listed(location, own_name, status)
        return replace(file, mtime_ns=mtime_ns) if location == str(strange) else file

    monkeypatch.setattr(files, "_found", found)
    monkeypatch.setattr(files, "is_at", lambda *_: True)
    monkeypatch.setattr(transfer, "is_at", lambda *_: True)
    shop.load(day(1), day(2), NOW.date().replace(month=2))
    assert (shop.cleaned("id"), shop.landing()) == (["b"], [])
    assert [note["rule"] for note in shop.quarantine().values()] == ["impossible_time"]


# -- permissions ------------------------------------------------------------------------------------------------------


def loads_as_nobody(shop: Shop) -> None:
    """Load without a superuser's rights; exits with 1 where that raises."""
    if os.geteuid() == 0:
        # All modules have to be imported before: a superuser's Python may be in his home.
        with TemporaryDirectory() as folder:
            rehearsal = Shop(Path(folder))
            contents: dict[str, str | bytes] = {named(1): CONTENT, named(2): "no header\n"}
            contents["m.zip"] = packed({named(1, "m"): "a,1"})
            for name, content in contents.items():
                rehearsal.deliver(name, content)
            rehearsal.load()
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    os.chdir("/")
    shop.load(day(1), day(2))
    sys.exit(0)


@pytest.fixture
def open_shop(shop: Shop, tmp_path: Path) -> Shop:
    """A feed that a user without rights may use: folders are his, files in landing are whoever's who ran the test."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() != "root" or folder.stat().st_mode & 0o1000 == 0:
            folder.chmod(folder.stat().st_mode | 0o111)
    for number, identifier in enumerate("ab", start=1):
        shop.deliver(named(number), f"id,n\n{identifier},1\n")
    if os.geteuid() == 0:
        for path in (shop.folder, *shop.folder.rglob("*")):
            if path.is_dir():
                os.chown(path, NOBODY, NOBODY)
    return shop


def load_as_nobody(shop: Shop) -> int | None:
    """The exit code of a load by a user without rights."""
    process = CONTEXT.Process(target=loads_as_nobody, args=(shop,))
    process.start()
    process.join(60)
    process.kill()
    return process.exitcode


def test_an_unreadable_file(open_shop: Shop) -> None:
    """A file that the platform may not read goes to quarantine, which says so; the others are loaded."""
    (open_shop.settings.landing("f") / named(1)).chmod(0)
    assert load_as_nobody(open_shop) == 0
    (note,) = open_shop.quarantine().values()
    assert (note["rule"], note["reason"]) == ("unreadable", f"'{named(1)}' can't be read: Permission denied")
    assert (open_shop.cleaned("id"), open_shop.landing()) == (["b"], [])


@pytest.mark.found("with a read-only drop folder the run failed after its commit, and so did every run after it")
def test_a_read_only_landing(open_shop: Shop) -> None:
    """Files are loaded once and archived; that they can't be taken off landing is told, and does not fail the load."""
    landing = open_shop.settings.landing("f")
    open_shop.deliver("bad_2024-01-02.csv", "no header\n")
    landing.chmod(0o555)
    for _ in range(2):
        assert load_as_nobody(open_shop) == 0
        assert (open_shop.cleaned("id"), len(open_shop.landing())) == (["a", "b"], 3)
        assert open_shop.archive() == [f"{day(1)}/{named(1)}", f"{day(2)}/{named(2)}"]
    landing.chmod(0o755)
    report = open_shop.load(day(1), day(2))
    assert (report.stuck, open_shop.landing(), len(open_shop.quarantine())) == ({}, [], 1)


def test_a_zip_archive_in_a_read_only_landing(open_shop: Shop) -> None:
    """What is in it is loaded once, though each load finds it again; when it can be moved, it goes."""
    landing = open_shop.settings.landing("f")
    open_shop.deliver("m.zip", packed({named(1, "m"): "c,3", named(2, "m"): None}))
    landing.chmod(0o555)
    for _ in range(2):
        assert load_as_nobody(open_shop) == 0
        assert sorted(open_shop.cleaned("id")) == ["a", "b", "c"]
        assert [note["file"] for note in open_shop.quarantine().values()] == [f"m.zip/{named(2, 'm')}"]
    landing.chmod(0o755)
    report = open_shop.load(day(1), day(2))
    assert (report.stuck, open_shop.landing(), len(open_shop.quarantine())) == ({}, [], 1)


# -- other disks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system than `tmp_path`."""
    with another_disk(tmp_path) as folder:
        yield folder


@pytest.mark.parametrize("away", ["landing", "archive", "quarantine", "everything but the warehouse"])
def test_folders_on_another_disk(shop: Shop, other_disk: Path, away: str) -> None:
    """Files go from disk to disk whole, with their times, and leave landing."""
    shop.folder.mkdir()
    for folder in ("landing", "archive", "quarantine") if " " in away else (away,):
        (other_disk / folder).mkdir()
        (shop.folder / folder).symlink_to(other_disk / folder)
    source = shop.deliver(named(1), CONTENT)
    modified = source.stat().st_mtime_ns
    shop.deliver(named(2), "no header\n")
    shop.load()
    archived = shop.settings.archive("f") / str(day(1)) / named(1)
    assert (archived.read_text(), archived.stat().st_mtime_ns) == (CONTENT, modified)
    assert (shop.landing(), list(shop.quarantine()), shop.archive()) == ([], [named(2)], [f"{day(1)}/{named(1)}"])
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load(day(1))
    assert shop.tables() == tables


def dies_half_way(shop: Shop) -> None:
    """Load, and die when half of a file is copied."""

    def copy_half(source: Path, target: Path) -> str:
        target.write_bytes(source.read_bytes()[:5])
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    vars(transfer)["copy_bytes"] = copy_half  # in a process that is about to die
    shop.load()


@pytest.mark.parametrize("away", ["archive", "quarantine"])
def test_a_kill_during_a_copy(shop: Shop, other_disk: Path, away: str) -> None:
    """Half a copy on another disk is no file of the archive or of quarantine."""
    shop.folder.mkdir()
    (shop.folder / away).symlink_to(other_disk)
    shop.deliver(named(1), CONTENT)
    shop.deliver(named(2), "no header\n")
    process = CONTEXT.Process(target=dies_half_way, args=(shop,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    shop.load(day(1), day(2))
    assert (shop.cleaned("id"), shop.landing(), shop.archive()) == (["a"], [], [f"{day(1)}/{named(1)}"])
    assert (shop.settings.archive("f") / str(day(1)) / named(1)).read_text() == CONTENT
    assert (list(shop.quarantine()), len(list(shop.settings.quarantine("f").iterdir()))) == ([named(2)], 2)
