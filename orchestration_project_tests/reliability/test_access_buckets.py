"""Policies of buckets: senders bring files and see none, readers read the lake, and the platform does its work."""

import json
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import S3Store

from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.servers.s3 import KEY, SECRET, S3Server, running

pytestmark = pytest.mark.promise("security")

POLICIES = sorted((REPOSITORY / "deploy/access/buckets").glob("*.json"))
BUCKETS = ("shop-lake", "shop-landing", "shop-archive", "shop-other")
EVERYTHING = {"list", "get", "put", "delete"}
MAY = {
    "reader": {"shop-lake": {"list", "get"}},
    "sender": {"shop-landing": {"put"}},
    "writer": dict.fromkeys(("shop-lake", "shop-landing", "shop-archive"), EVERYTHING),
}
"""What each role may do in which bucket; all else is refused."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server with the platform's buckets, and a user for each policy."""
    policies = {path.stem: path.read_text(encoding="utf-8") for path in POLICIES}
    with running(tmp_path_factory.mktemp("store"), policies) as server:
        for bucket in BUCKETS:
            _client(server, KEY, bucket).put("there", b"1")
        yield server


@pytest.mark.parametrize("role", MAY)
def test_a_role_may_do_its_work_and_nothing_else(store: S3Server, role: str) -> None:
    """In each bucket exactly the actions that the role needs are allowed, and the refused ones change nothing."""
    for bucket in BUCKETS:
        user, owner = _client(store, role, bucket), _client(store, KEY, bucket)
        owner.put("old", b"1")
        actions: dict[str, Callable[[], object]] = {
            "list": partial(_names, user),
            "get": partial(user.get, "there"),
            "put": partial(user.put, "new", b"2"),
            "delete": partial(user.delete, "old"),
        }
        tried(len(actions))
        may = {name for name, act in actions.items() if _works(act)}
        assert may == MAY[role].get(bucket, set()), bucket
        kept = _names(owner)
        assert ("new" in kept, "old" in kept) == ("put" in may, "delete" not in may)


def test_policies_allow_by_name_only() -> None:
    """No policy has a wildcard for actions or for buckets, and none denies, which would depend on an order."""
    assert {path.stem for path in POLICIES} == set(MAY)
    for path in POLICIES:
        for statement in json.loads(path.read_text(encoding="utf-8"))["Statement"]:
            assert statement["Effect"] == "Allow"
            assert not any("*" in action for action in statement["Action"])
            assert not any("*" in place.removesuffix("/*") for place in statement["Resource"])


def _client(server: S3Server, key: str, bucket: str) -> S3Store:
    """A client of one user, for one bucket."""
    return S3Store(
        bucket,
        endpoint=server.environment["AWS_ENDPOINT_URL"],
        access_key_id=key,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def _names(user: S3Store) -> set[str]:
    return {found["path"] for found in user.list().collect()}


def _works(act: Callable[[], object]) -> bool:
    try:
        act()
    except (PermissionDeniedError, GenericError) as error:
        # Lists and deletes that are refused have no error of their own.
        if "AccessDenied" not in str(error):
            raise
        return False
    return True
