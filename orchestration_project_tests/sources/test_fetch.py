"""A fetch: what it lands, what it leaves, and what a kill between two of its steps does to it."""

import datetime as dt
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.failpoints import Fetching
from orchestration_project.sources.fetch import DOWN_IN_A_ROW, fetch
from orchestration_project.sources.memory import LAYOUT, Remembered, exclusive_memory, open_memory, reading_memory
from orchestration_project.sources.model import FetchReport, Limits
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.sources.folder import FolderSource

NOW = dt.datetime(2024, 1, 20, tzinfo=dt.UTC)
LIMITS = Limits(1000)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a source of three files."""
    (tmp_path / "there").mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        put(tmp_path, name, f"content of {name}")
    return tmp_path


def put(place: Path, name: str, text: str, modified: int = 1_705_300_000) -> None:
    """Have the source have a file."""
    path = place / "there" / name
    path.write_text(text, encoding="utf-8")
    os.utime(path, (modified, modified))


def fetched(place: Path, source: FolderSource | None = None, limits: Limits = LIMITS) -> FetchReport:
    """Fetch once."""
    with exclusive_memory(place / "memory.sqlite") as memory:
        found = source or FolderSource(place / "there")
        return fetch(found, memory, place / "landing", limits, NOW, lambda _: None)


def landing(place: Path) -> dict[str, tuple[str, int]]:
    """Text and modification time of all that is in landing, hidden files too."""
    files = sorted((place / "landing").iterdir())
    return {path.name: (path.read_text(encoding="utf-8"), int(path.stat().st_mtime)) for path in files}


def remembered(place: Path) -> dict[str, Remembered]:
    """What is remembered, by key."""
    with reading_memory(place / "memory.sqlite") as memory:
        return {item.key: item for item in memory.items()}


def test_what_is_new_lands_once(place: Path) -> None:
    """Files land with their times; a second fetch takes only what has changed."""
    first = fetched(place)
    assert [file.item.name for file in first.landed] == ["a.csv", "b.csv", "c.csv"]
    assert landing(place)["b.csv"] == ("content of b.csv", 1_705_300_000)
    put(place, "b.csv", "corrected", 1_705_400_000)
    second = fetched(place)
    assert ([file.item.key for file in second.landed], second.unchanged) == (["b.csv"], 2)
    assert landing(place)["b.csv"] == ("corrected", 1_705_400_000)
    assert first.digest != second.digest == fetched(place).digest


@pytest.mark.promise("crash")
def test_a_kill_at_any_step(place: Path) -> None:
    """Killed after any step of any file, the next fetch ends as an undisturbed one, and fetches no file twice."""
    undisturbed = place / "undisturbed"
    shutil.copytree(place / "there", undisturbed / "there")
    steps = steps_of(partial(fetched, undisturbed), None)
    assert steps == [*Fetching] * 3
    for fatal, step in enumerate(steps):
        disturbed = place / f"dies at {fatal}"
        shutil.copytree(place / "there", disturbed / "there")
        assert killed(partial(fetched, disturbed), fatal), step
        source = FolderSource(disturbed / "there")
        fetched(disturbed, source)
        assert landing(disturbed) == landing(undisturbed), f"killed at {fatal}: {step}"
        assert {key: item.part for key, item in remembered(disturbed).items()} == dict.fromkeys(landing(undisturbed))
        # What was remembered before the kill is not asked for again.
        done = fatal // len(Fetching) + (fatal % len(Fetching) > 0)
        assert len(source.asked) == 3 - done
        tried()


def test_a_loaded_file_does_not_come_back(place: Path) -> None:
    """Killed between rename and note, and loaded meanwhile: the next fetch does not put it there again."""
    steps = steps_of(partial(fetched, place / "probe"), None) if (place / "probe").exists() else [*Fetching]
    assert killed(partial(fetched, place), steps.index(Fetching.LANDED) + 1)
    (place / "landing" / "a.csv").unlink()
    fetched(place)
    assert [*landing(place)] == ["b.csv", "c.csv"]


def test_two_keys_of_one_name(place: Path) -> None:
    """The second one is refused and both are named; the others land."""
    report = fetched(place, FolderSource(place / "there", {"b.csv": "a.csv"}))
    assert [file.item.key for file in report.landed] == ["a.csv", "c.csv"]
    assert "b.csv and a.csv would both land as 'a.csv'" in str(report.failed["b.csv"])


@pytest.mark.parametrize("name", ["", ".hidden", "x.part", "x.tmp", "../x.csv", "~$x.xlsx", "a/b.csv"])
def test_a_name_that_no_load_takes(place: Path, name: str) -> None:
    """An item that no load would see is refused; the others land."""
    report = fetched(place, FolderSource(place / "there", {"b.csv": name}))
    assert "which is no name of a file to load" in str(report.failed["b.csv"])
    assert [*landing(place)] == ["a.csv", "c.csv"]


def test_a_file_that_somebody_else_dropped(place: Path) -> None:
    """It is not replaced; the item lands when the file was loaded."""
    (place / "landing").mkdir()
    (place / "landing" / "b.csv").write_text("dropped", encoding="utf-8")
    report = fetched(place)
    assert "which somebody else has dropped" in str(report.failed["b.csv"])
    assert landing(place)["b.csv"][0] == "dropped"
    (place / "landing" / "b.csv").unlink()
    assert [file.item.key for file in fetched(place).landed] == ["b.csv"]


def test_limits(place: Path) -> None:
    """Too many files are left for the next fetch, too large ones are refused, and after the time none is begun."""
    assert (len(fetched(place, limits=replace(LIMITS, files=2)).landed), fetched(place).left) == (2, 0)
    put(place, "d.csv", "x" * 1001)
    assert "more than 1000 bytes" in str(fetched(place).failed["d.csv"])
    assert "d.csv" not in landing(place)
    assert fetched(place, limits=replace(LIMITS, seconds=-1)).left == 1


def test_a_source_that_is_down(place: Path) -> None:
    """A fault costs its file only; after three in a row the rest waits; one that can't be listed is told."""
    assert [*fetched(place, FolderSource(place / "there", down={"b.csv"})).failed] == ["b.csv"]
    for name in ("d.csv", "e.csv", "f.csv", "g.csv"):
        put(place, name, name)
    report = fetched(place, FolderSource(place / "there", down={"b.csv", "d.csv", "e.csv", "f.csv", "g.csv"}))
    assert (len(report.failed), report.left) == (DOWN_IN_A_ROW, 2)
    with pytest.raises(SourceDown):
        fetched(place, FolderSource(place / "there", down={"*"}))
    assert len(fetched(place).landed) == 5


def test_a_source_that_tells_no_version(place: Path) -> None:
    """The same bytes land once, however often the source has them as new."""
    source = FolderSource(place / "there", hides_versions=True)
    fetched(place, source)
    put(place, "b.csv", "other")
    second = fetched(place, source)
    assert ([file.item.key for file in second.landed], second.unchanged) == (["b.csv"], 2)


def test_the_same_bytes_with_another_time(place: Path) -> None:
    """They are another delivery, and land."""
    fetched(place)
    put(place, "b.csv", "content of b.csv", 1_705_400_000)
    assert [file.item.key for file in fetched(place).landed] == ["b.csv"]


def test_a_landing_on_another_disk(place: Path) -> None:
    """A landing that is a link gets its files as any other."""
    (place / "disk").mkdir()
    (place / "landing").symlink_to(place / "disk")
    fetched(place)
    assert [*landing(place)] == ["a.csv", "b.csv", "c.csv"]


def test_a_lost_memory(place: Path) -> None:
    """Everything is fetched again, with the same times, so loads recognize it."""
    fetched(place)
    before = landing(place)
    shutil.rmtree(place / "landing")
    (place / "memory.sqlite").unlink()
    fetched(place)
    assert landing(place) == before


def test_two_fetches_at_once(place: Path) -> None:
    """The second one is refused at once, and says why."""
    with (
        exclusive_memory(place / "memory.sqlite"),
        pytest.raises(SourceError, match="another fetch of memory is under way"),
    ):
        fetched(place)


def test_a_damaged_memory(place: Path) -> None:
    """It is told with what to do."""
    (place / "memory.sqlite").write_text("no database at all, and long enough to be read as one", encoding="utf-8")
    with pytest.raises(SourceError, match="move it away"):
        fetched(place)


def test_the_memory_of_a_newer_release(place: Path) -> None:
    """It is refused and left as it is."""
    fetched(place)
    with closing(sqlite3.connect(place / "memory.sqlite")) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT.number + 1:d}")
    with pytest.raises(SourceError, match="newer release"):
        fetched(place)


def test_forgetting_rows_goes_back_to_where_they_began(tmp_path: Path) -> None:
    """A forgotten window sets the cursor to its beginning, a file leaves it alone; nothing is made by looking."""
    file = Remembered("1", "v", "1.json", "00", 1, 1, None, NOW)
    with open_memory(tmp_path / "m.sqlite") as memory:
        memory.remember(file, "100")
        memory.remember(replace(file, key="2", name="2.json"), "200")
        memory.remember(replace(file, key="3", name="3.json"), None)
        assert memory.forget("3")
        assert memory.cursor == "200"
        assert memory.forget("2")
        assert memory.cursor == "100"
        assert memory.forget("1")
        assert not memory.forget("1")
    with reading_memory(tmp_path / "m.sqlite") as memory:
        assert memory.cursor is None
    with reading_memory(tmp_path / "none.sqlite") as memory:
        assert (memory.items(), memory.last) == ([], None)
    assert not (tmp_path / "none.sqlite").exists()
