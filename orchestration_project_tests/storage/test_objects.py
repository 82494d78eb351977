"""Object stores: the same few operations on a folder and on a server, and faults told without credentials."""

import threading
from pathlib import Path

import pytest

from orchestration_project.errors import ObjectMissing, ObjectStoreDown, ObjectStoreError, transient_errors
from orchestration_project.storage import cloud_objects
from orchestration_project.storage.objects import ObjectStore, masked, open_objects
from orchestration_project_tests.alerts.servers import unused_port
from orchestration_project_tests.servers.s3 import SECRET, without_credentials

# One server for all tests that need one.
pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return open_objects(str(tmp_path / "store") if request.param == "folder" else request.getfixturevalue("s3"))


def test_an_object_is_put_listed_read_and_deleted(store: ObjectStore, tmp_path: Path) -> None:
    """An object that was put from memory or from a file is read back as it is, until it is deleted."""
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 40_000)  # in several parts
    store.put("a/b.txt", b"one")
    store.put("a/b.txt", b"two")
    store.put("a/large", large)
    store.put("c", b"")

    assert store.get("a/b.txt") == b"two"
    assert sorted((found.key, found.size) for found in store.list()) == [
        ("a/b.txt", 3),
        ("a/large", large.stat().st_size),
        ("c", 0),
    ]
    assert sorted(found.key for found in store.list("a")) == ["a/b.txt", "a/large"]
    store.download("a/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == large.read_bytes()

    store.delete(["a/b.txt", "a/large", "never there"])
    assert [found.key for found in store.list()] == ["c"]
    assert not list(store.list("a"))
    with pytest.raises(ObjectMissing, match=r"a/b\.txt"):
        store.get("a/b.txt")
    with pytest.raises(ObjectMissing):
        store.download("a/b.txt", tmp_path / "back")


def test_an_object_is_created_once(store: ObjectStore) -> None:
    """Of several that create an object of one key at a time, one succeeds, and its content stays."""
    won: list[bytes] = []

    def create(content: bytes) -> None:
        if store.create("manifest/00000001.json", content):
            won.append(content)

    threads = [threading.Thread(target=create, args=(f"writer {number}".encode(),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert won == [store.get("manifest/00000001.json")]


def test_creating_the_same_bytes_again_succeeds(store: ObjectStore) -> None:
    """A writer whose own object is there already is told that it has succeeded."""
    assert store.create("one", b"mine")
    assert store.create("one", b"mine")
    assert not store.create("one", b"another's")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a/../../b", "a//b", "./a"])
def test_a_key_stays_in_its_store(store: ObjectStore, key: str) -> None:
    """A key that leads out of the store, or is none, is refused."""
    with pytest.raises(ObjectStoreError, match="no key"):
        store.put(key, b"")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("s3://key:secret-word@bucket/prefix", "s3://bucket/prefix", id="password"),
        pytest.param("az://container/p?sig=secret-word", "az://container/p", id="signature"),
        pytest.param("ftp://me:secret-word@host/x", "ftp://host/x", id="another scheme"),
    ],
)
def test_a_password_in_an_url_is_refused_and_not_told(url: str, expected: str) -> None:
    """An URL with credentials can't be used, and no message has them."""
    assert masked(url) == expected
    with pytest.raises(ObjectStoreError) as refused:
        open_objects(url)
    assert "secret-word" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["file://host/x", "file://", "", "http://host/x"], ids=["host", "no path", "empty", "web"]
)
def test_what_is_no_store_is_refused(url: str) -> None:
    """An URL that leads to no object store is refused when it is read."""
    with pytest.raises(ObjectStoreError):
        open_objects(url)


def test_a_folder_may_be_given_as_an_url(tmp_path: Path) -> None:
    """The URL of a folder leads to the folder, blanks and all."""
    folder = tmp_path / "a folder"
    open_objects(folder.as_uri()).put("x", b"1")
    assert (folder / "x").read_bytes() == b"1"


def test_wrong_credentials_are_told_without_them(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that refuses the credentials is told as such, with its code and without the credentials."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-word")
    with pytest.raises(ObjectStoreError, match=r"refuses access \(403 SignatureDoesNotMatch\)") as refused:
        open_objects(s3).put("x", b"1")
    assert not isinstance(refused.value, ObjectStoreDown)
    assert refused.value.__cause__ is None
    assert "wrong-word" not in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_dead_server_is_a_fault_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that can't be reached makes an error for which a run is tried again."""
    without_credentials(monkeypatch)
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    with pytest.raises(ObjectStoreDown, match="does not answer") as down:
        open_objects("s3://bucket/x").get("y")
    assert SECRET not in str(down.value)
    assert "ObjectStoreDown" in transient_errors()


def test_a_missing_account_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An URL for which the environment lacks something is refused, naming what to set."""
    without_credentials(monkeypatch)
    with pytest.raises(ObjectStoreError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        open_objects("az://container/x").get("y")


def test_a_missing_library_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without obstore, the refusal names the extra that has it."""
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(ObjectStoreError, match=r"orchestration-project\[object-store\]"):
        open_objects("s3://bucket/x").get("y")


def test_a_place_that_is_no_folder_is_told(tmp_path: Path) -> None:
    """A fault of a folder is told with the folder and the system's words."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ObjectStoreError, match="file: File exists: x"):
        open_objects(str(tmp_path / "file")).put("x", b"1")
