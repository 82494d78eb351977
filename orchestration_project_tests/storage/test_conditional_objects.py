"""Reads and deletes under a condition, against a real server, and against it without its conditions."""

import pytest

from orchestration_project.errors import ObjectChanged, ObjectMissing, ObjectStoreDown, ObjectStoreError
from orchestration_project.storage import conditional_objects
from orchestration_project.storage.conditional_objects import NO_VERSION, ConditionalStore
from orchestration_project_tests.servers.heedless_s3 import Method, heedless_s3
from orchestration_project_tests.servers.s3 import SECRET, S3Server, unused_ports

pytestmark = pytest.mark.xdist_group("s3")
NAMES = ["sales.csv", "a b/ü%41+&=#?.csv", "~x!'()*;,@$.csv"]


@pytest.mark.parametrize("key", NAMES)
def test_only_the_version_that_is_meant(s3: str, key: str) -> None:
    """An object of another version is neither read nor deleted, whatever its name; the one that is meant is."""
    store = ConditionalStore(s3)
    store.put(key, b"old")
    old = store.head(key).version
    store.put(key, b"new")
    with pytest.raises(ObjectChanged, match="was written anew"):
        b"".join(store.read_version(key, old))
    assert not store.delete_version(key, old)
    new = store.head(key).version
    assert b"".join(store.read_version(key, new)) == b"new"
    assert store.delete_version(key, new)
    assert not store.delete_version(key, new)
    with pytest.raises(ObjectMissing):
        store.head(key)


def test_a_store_that_heeds_conditions(s3: str) -> None:
    """A server with all conditions is accepted, and nothing of the attempt stays."""
    store = ConditionalStore(s3)
    store.require_conditions()
    assert not [*store.list()]


@pytest.mark.parametrize(
    ("drops", "lacking"),
    [
        pytest.param(["PUT"], "If-None-Match of PUT", id="put"),
        pytest.param(["GET"], "If-Match of GET", id="get"),
        pytest.param(["DELETE"], "If-Match of DELETE", id="delete"),
        pytest.param(["PUT", "GET", "DELETE"], "If-None-Match of PUT, If-Match of GET, If-Match of DELETE", id="all"),
    ],
)
def test_a_store_that_lacks_a_condition(
    s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, drops: list[Method], lacking: str
) -> None:
    """A server that ignores a condition is refused by its URL, and each lacking condition is named."""
    with heedless_s3(s3_server, *drops) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        with pytest.raises(ObjectStoreError, match=f"{s3} can't be a landing.*not heed {lacking}\\."):
            ConditionalStore(s3).require_conditions()


def test_a_store_is_tried_once(s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that heeds all is not tried again; one that was refused is, after a while: somebody may have mended it."""
    with heedless_s3(s3_server, "GET") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        for _ in range(2):
            with pytest.raises(ObjectStoreError, match="not heed If-Match of GET"):
                ConditionalStore(s3).require_conditions()
        assert len([asked for asked in proxy.asked if asked.startswith("PUT")]) == 2  # of one attempt
        proxy.drops = frozenset()
        monkeypatch.setattr(conditional_objects, "TRIED_AGAIN", 0.0)
        ConditionalStore(s3).require_conditions()
        proxy.asked.clear()
        ConditionalStore(s3).require_conditions()
        assert not proxy.asked


def test_a_store_that_is_gone(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is told by its URL; nothing tells the address that was signed, or the secret."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused_ports(['none'])['none']}")
    monkeypatch.setattr("orchestration_project.storage.conditional_objects.RETRIES", 0)
    with pytest.raises(ObjectStoreDown, match="does not answer") as told:
        ConditionalStore(s3).delete_version("sales.csv", NO_VERSION)
    assert s3 in str(told.value)
    assert SECRET not in str(told.value)
    assert "Signature" not in repr(told.getrepr())
