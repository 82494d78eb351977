"""Files from object stores: each version lands once, with the bytes of one version, and faults cost their own file."""

import datetime as dt
import os
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration_project.errors import ItemGone, SourceDown, SourceError
from orchestration_project.settings import secret
from orchestration_project.sources.model import Source
from orchestration_project.sources.object_store import open_object_store, prefixes
from orchestration_project.sources.object_store_options import ObjectStoreOptions
from orchestration_project.storage import cloud_objects
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.objects import ObjectStore, StoredObject, open_objects
from orchestration_project_tests.alerts.servers import unused_port
from orchestration_project_tests.servers.s3 import SECRET, S3Server
from orchestration_project_tests.sources.fetches import NOW, Fetches

pytestmark = pytest.mark.xdist_group("s3")

DAILY = Batching(Cadence.DAILY, dt.date(2024, 1, 1))


def opened(url: str, **options: object) -> Source:
    return open_object_store(ObjectStoreOptions(url=url, **options), DAILY, NOW, secret)  # type: ignore[arg-type]


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3")


def test_each_version_lands_once(url: str, tmp_path: Path) -> None:
    """New objects and new versions land, with the time they were written; others are not fetched again."""
    store, fetches = open_objects(url), Fetches(tmp_path, partial(opened, url, pattern=r".*\.csv"))
    store.put("eu/a.csv", b"one")
    store.put("us/b.csv", bytes(range(256)) * 10_000)
    store.put("us/notes.txt", b"not wanted")
    first = fetches.fetch()
    assert (first.listed, len(first.landed), first.failed) == (2, 2, {})
    assert {name: content for name, (content, _) in fetches.landed().items()} == {
        "a.csv": b"one",
        "b.csv": bytes(range(256)) * 10_000,
    }
    written = {found.key: found.modified_at.timestamp() for found in store.list()}
    assert fetches.landed()["a.csv"][1] == pytest.approx(written["eu/a.csv"], abs=1e-3)

    assert fetches.fetch().unchanged == 2
    store.put("eu/a.csv", b"two")
    again = fetches.fetch()
    assert [file.item.key for file in again.landed] == ["eu/a.csv"]
    assert fetches.landed()["a.csv"][0] == b"two"
    assert fetches.fetch().unchanged == 2


def test_a_version_between_listing_and_reading(url: str, tmp_path: Path) -> None:
    """What was written after it was listed lands as the version that it is, and is not fetched again."""
    store = open_objects(url)
    store.put("a.csv", b"one")
    source = opened(url)
    (item,) = source.list(None)
    store.put("a.csv", b"newer")
    fetched = source.fetch(item, tmp_path / "got", 100)
    (newer,) = source.list(None)
    assert (tmp_path / "got").read_bytes() == b"newer"
    assert (fetched.version, fetched.modified_at) == (newer.version, newer.modified_at)


def test_what_is_gone_or_too_large(url: str, tmp_path: Path) -> None:
    """An object that was deleted since, and one over the limit, cost themselves only."""
    store = open_objects(url)
    store.put("gone.csv", b"gone")
    source = opened(url)
    (item,) = source.list(None)
    store.delete(["gone.csv"])
    with pytest.raises(ItemGone):
        source.fetch(item, tmp_path / "got", 100)

    store.put("large.csv", b"x" * 101)
    store.put("small.csv", b"x")
    report = Fetches(tmp_path, partial(opened, url)).fetch(limit=100)
    assert "more than 100 bytes" in str(report.failed["large.csv"])
    assert [file.item.key for file in report.landed] == ["small.csv"]


def test_a_file_that_grows(tmp_path: Path) -> None:
    """A file that is written to while it is read is left for the next fetch."""
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 3_000_000)
    _, pieces = open_objects(str(tmp_path)).read("a.csv")
    next(pieces)
    path.write_bytes(b"y" * 3_000_001)

    class Growing:
        """A store whose only file is written to as soon as it is opened."""

        url = "file:///"

        def list(self, prefix: str = "") -> Iterator[StoredObject]:
            return open_objects(str(tmp_path)).list(prefix)

        def read(self, key: str) -> tuple[StoredObject, Iterator[bytes]]:
            found = open_objects(str(tmp_path)).read(key)
            with path.open("ab") as stream:
                stream.write(b"z")
            return found

    source = opened(str(tmp_path))
    source._store = Growing()  # type: ignore[attr-defined]
    (item,) = source.list(None)
    with pytest.raises(ItemGone, match="written to while it was read"):
        source.fetch(item, tmp_path / ".got", 1 << 30)


def test_odd_files_in_a_folder(tmp_path: Path) -> None:
    """A name that is no UTF-8 lands readable; links, pipes and hidden files do not land."""
    store = tmp_path / "store"
    (store / "deep").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (store / "link.csv").symlink_to(tmp_path / "secret")
    (store / "deep" / "loop").symlink_to(store)
    (store / "broken.csv").symlink_to(store / "nowhere")
    os.mkfifo(store / "pipe.csv")
    (store / ".hidden.csv").write_text("")
    Path(os.fsdecode(bytes(store / "deep") + b"/caf\xe9.csv")).write_bytes(b"latin")
    fetches = Fetches(tmp_path / "fetched", partial(opened, store.as_uri()))
    report = fetches.fetch()
    assert {name: content for name, (content, _) in fetches.landed().items()} == {r"caf\xe9.csv": b"latin"}
    assert "links are not followed" in str(report.failed["link.csv"])
    assert len(report.failed) == 1
    assert fetches.fetch().unchanged == 1


def test_names_that_need_a_group(tmp_path: Path) -> None:
    """A key that can't be named is told, and the others land."""
    (tmp_path / "store" / "eu").mkdir(parents=True)
    for name in ("eu/a.csv", "b.csv"):
        (tmp_path / "store" / name).write_text("x")
    options = {"pattern": r"(?:(?P<shop>\w+)/)?\w+\.csv", "name": "{shop}-{name}"}
    fetches = Fetches(tmp_path, partial(opened, str(tmp_path / "store"), **options))
    report = fetches.fetch()
    assert [*fetches.landed()] == ["eu-a.csv"]
    assert "has nothing for {shop}" in str(report.failed["b.csv"])


def test_prefixes_of_the_newest_batches(url: str) -> None:
    """With a date in the prefix, only the newest batches are listed."""
    store = open_objects(url)
    for day in ("2024/03/07", "2024/03/08", "2024/03/09"):
        store.put(f"in/{day}/a.csv", b"x")
    source = opened(url, prefix="in/{year}/{month}/{day}/", last_batches=2, name="{path}")
    assert sorted(item.key for item in source.list(None)) == ["in/2024/03/08/a.csv", "in/2024/03/09/a.csv"]
    assert [item.key for item in opened(url, prefix="in/2024/03/07").list(None)] == ["in/2024/03/07/a.csv"]


@pytest.mark.parametrize(
    ("cadence", "template", "expected"),
    [
        pytest.param(Cadence.DAILY, "{year}-{month}-{day}", ["2024-03-09", "2024-03-08"], id="daily"),
        pytest.param(Cadence.MONTHLY, "{year}/{month}", ["2024/03", "2024/02"], id="monthly"),
        pytest.param(Cadence.HOURLY, "{year}/{month}/{day}/{hour}", ["2024/03/09/12", "2024/03/09/11"], id="hourly"),
        pytest.param(Cadence.YEARLY, "{year}", ["2024", "2023"], id="yearly"),
    ],
)
def test_prefixes(cadence: Cadence, template: str, expected: list[str]) -> None:
    """Each of the newest batches has its folders of keys, and each folder is listed once."""
    start = dt.datetime(2020, 1, 1) if cadence is Cadence.HOURLY else dt.date(2020, 1, 1)  # noqa: DTZ001 - as batches are
    options = ObjectStoreOptions(url="s3://b", prefix=template, last_batches=2)
    assert prefixes(options, Batching(cadence, start), NOW) == expected


def test_listing_takes_no_memory_for_each_object(tmp_path: Path) -> None:
    """A listing is as large in memory for some thousand objects as for a few."""
    for number in range(5_000):
        (tmp_path / f"{number}.csv").touch()
    source = opened(str(tmp_path))
    next(iter(source.list(None)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in source.list(None)) == 5_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"prefix": "{year}/{mouth}"}, r"prefix has \{mouth\}", id="typo"),
        pytest.param({"prefix": "{month}/{day}"}, r"without \{year\}", id="no year"),
        pytest.param({"name": "{nme}"}, r"name has \{nme\}", id="name"),
        pytest.param({"pattern": "("}, "no regular expression", id="pattern"),
        pytest.param({"bucket": "x"}, "bucket", id="unknown option"),
    ],
)
def test_options_that_cant_be_used(options: dict[str, str], expected: str) -> None:
    """What can't be used is refused when definitions load."""
    with pytest.raises(ValidationError, match=expected):
        ObjectStoreOptions(url="s3://b", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("files", "relative path", id="relative"),
        pytest.param("ftp://x/y", "an object store is", id="scheme"),
        pytest.param("s3://key:hidden-word@bucket/x", "credentials are read from the environment", id="password"),
    ],
)
def test_urls_that_cant_be_used(url: str, expected: str) -> None:
    """A place that is none is refused, without what may be secret in it."""
    with pytest.raises(SourceError, match=expected) as refused:
        opened(url)
    assert "hidden-word" not in str(refused.value)


def test_a_place_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL may be in an environment variable, which is read when the source is opened."""
    (tmp_path / "a.csv").touch()
    monkeypatch.setenv("SHOP_FILES", str(tmp_path))
    assert [item.key for item in opened("env:SHOP_FILES").list(None)] == ["a.csv"]


def test_a_server_that_stops(tmp_path: Path, s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that dies while an object is read makes a fault that passes; afterwards the object lands whole."""
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    store: ObjectStore = open_objects(s3)
    store.put("a.csv", os.urandom(30_000_000))
    source = opened(s3)
    (item,) = source.list(None)
    _, pieces = open_objects(s3).read("a.csv")
    next(pieces)
    s3_server.stop()
    try:
        with pytest.raises(SourceDown, match="does not answer"):
            source.fetch(item, tmp_path / "got", 1 << 30)
    finally:
        s3_server.start()
    report = Fetches(tmp_path, partial(opened, s3)).fetch()
    assert [file.bytes for file in report.landed] == [30_000_000]


def test_no_credentials_in_faults(monkeypatch: pytest.MonkeyPatch, s3: str) -> None:
    """A server that can't be reached, or refuses, is told without credentials."""
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown-key")
    with pytest.raises(SourceError, match="refuses the request") as refused:
        list(opened(s3).list(None))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused_port()}")
    with pytest.raises(SourceDown, match="does not answer") as down:
        list(opened(s3).list(None))
    for error in (refused, down):
        assert SECRET not in str(error.value)
        assert "unknown-key" not in str(error.value)
