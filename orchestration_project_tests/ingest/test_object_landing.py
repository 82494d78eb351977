"""Files that are delivered to an object store: they are loaded once, leave the store, and come back from nowhere."""

import datetime as dt
import io
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.errors import ObjectStoreDown
from orchestration_project.failpoints import Landing, Point
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.storage import cloud_objects, conditional_objects, object_claims
from orchestration_project.storage.conditional_objects import ConditionalStore
from orchestration_project.storage.objects import StoredObject
from orchestration_project_tests.ingest.object_shop import ObjectShop, elsewhere, when
from orchestration_project_tests.ingest.shop import day, named, options
from orchestration_project_tests.reliability.stops import acting, dying
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = pytest.mark.xdist_group("s3")
HEAD = "id,n\n"


@pytest.fixture
def shop(tmp_path: Path, s3: str) -> ObjectShop:
    """A shop whose landing is an empty place of a running server."""
    return ObjectShop(tmp_path, url=s3)


def is_tidy(shop: ObjectShop) -> bool:
    """Whether nothing waits, and neither store nor machine have anything of objects that are dealt with."""
    kept = [key for key in shop.objects() if not key.startswith(".quarantine/")]
    return not kept and not shop.notes() and not shop.landing()


def test_objects_are_loaded_and_leave_the_store(shop: ObjectShop) -> None:
    """Each row is in the warehouse once, the archive has the bytes, and the store has nothing any more."""
    shop.send(named(1), f"{HEAD}a,1\nb,2\n")
    shop.send(named(2), f"{HEAD}c,x\n")
    report = shop.load()
    assert shop.cleaned("id", "n") == [("a", 1), ("b", 2)]
    assert shop.archive() == [f"{day(1)}/{named(1)}", f"{day(2)}/{named(2)}"]
    assert shop.ledger("file", "status", "rejected") == [(named(1), "loaded", 0), (named(2), "loaded", 1)]
    assert not report.stuck
    assert is_tidy(shop)


def test_only_what_was_asked_for(shop: ObjectShop) -> None:
    """Objects of other batches stay in the store, unclaimed; those without a batch are refused by any load."""
    shop.send(named(1), f"{HEAD}a,1\n")
    shop.send(named(2), f"{HEAD}b,1\n")
    shop.send("no date.csv", f"{HEAD}c,1\n")
    shop.load(day(2))
    assert shop.cleaned("id") == ["b"]
    assert [*shop.quarantine()] == ["no date.csv"]
    assert shop.waiting() == [named(1)]
    assert not shop.notes()


def test_names_that_are_not_looked_at(shop: ObjectShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unfinished and hidden names, names in subfolders and names that are too long for a file stay where they are."""
    # The server has no place for names that are too long for a disk; others have.
    monkeypatch.setattr("orchestration_project.storage.object_landing.NAME_BYTES", 30)
    left = sorted(["sub/s_2024-01-01.csv", "s_2024-01-01.csv.part", ".hidden", f"{'x' * 30}_2024-01-01.csv"])
    for name in left:
        shop.send(name, f"{HEAD}a,1\n")
    shop.load()
    assert shop.waiting() == left
    assert not shop.rows("FROM raw_f")


def test_a_refused_object(shop: ObjectShop) -> None:
    """It is in the quarantine of this machine and of the store, in both beside its reason, and not in landing."""
    shop.send(named(1), "no header at all\n")
    shop.load()
    (reason,) = shop.quarantine().values()
    objects = shop.objects()
    (place,) = [key for key in objects if not key.endswith(".reason.json")]
    assert place == f".quarantine/f/{reason['sha256'][:16]}/{named(1)}"
    assert objects[place] == b"no header at all\n"
    assert json.loads(objects[f"{place}.reason.json"]) == reason
    assert is_tidy(shop)


def test_a_correction_and_the_same_bytes_again(shop: ObjectShop) -> None:
    """New bytes under a name replace its rows; the same bytes again load nothing; both objects leave the store."""
    shop.send(named(1), f"{HEAD}a,1\n")
    shop.load()
    shop.send(named(1), f"{HEAD}a,2\n")
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 2)]
    shop.send(named(1), f"{HEAD}a,2\n")
    assert shop.load().again == [named(1)]
    assert shop.ledger("status") == ["superseded", "loaded"]
    assert is_tidy(shop)


@pytest.mark.parametrize("point", [Landing.LANDED, Point.COMMITTED, Landing.MARKED])
def test_a_writer_that_writes_again(shop: ObjectShop, point: Point | Landing) -> None:
    """An object that is replaced while its load is under way stays in the store, and comes in as a correction."""
    shop.send(named(1), f"{HEAD}a,1\n")
    with acting(point, lambda: shop.send(named(1), f"{HEAD}a,2\n")):
        shop.load()
    assert shop.cleaned("n") == [1]
    assert shop.waiting() == [named(1)]
    shop.load()
    assert shop.cleaned("n") == [2]
    assert is_tidy(shop)


def test_a_writer_that_writes_the_same_again(shop: ObjectShop) -> None:
    """The same bytes, written anew while they are loaded, are another delivery: that object is not deleted."""
    shop.send(named(1), f"{HEAD}a,1\n")
    with acting(Landing.MARKED, lambda: when(shop, lambda: shop.send(named(1), f"{HEAD}a,1\n"))):
        shop.load()
    assert shop.waiting() == [named(1)]
    assert shop.load().again == [named(1)]
    assert is_tidy(shop)


def test_a_store_that_lists_milliseconds(shop: ObjectShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object leaves a store that tells its time to the millisecond when it lists it, and else to the second."""

    class Precise(ConditionalStore):
        def list(self, prefix: str = "") -> Iterator[StoredObject]:
            for found in super().list(prefix):
                yield replace(found, modified_at=found.modified_at + dt.timedelta(milliseconds=123))

    monkeypatch.setattr(conditional_objects, "ConditionalStore", Precise)
    shop.send(named(1), f"{HEAD}a,1\n")
    shop.load()
    assert shop.cleaned("id") == ["a"]
    assert is_tidy(shop)


def test_an_object_that_is_replaced_before_it_is_fetched(shop: ObjectShop) -> None:
    """An object that changes between its claim and its bytes is left alone; its new version is loaded next time."""
    shop.send(named(1), f"{HEAD}a,1\n")
    with acting(Landing.CLAIMED, lambda: shop.send(named(1), f"{HEAD}a,2\n")):
        shop.load()
    assert not shop.rows("FROM raw_f")
    shop.load()
    assert shop.cleaned("n") == [2]
    assert is_tidy(shop)


def test_an_archive_of_files(shop: ObjectShop) -> None:
    """A zip archive in the store is unpacked as one in landing, and leaves the store when it is kept."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr(named(1), f"{HEAD}a,1\n")
        packed.writestr(named(2), f"{HEAD}b,2\n")
    shop.send("january.zip", content.getvalue())
    shop.load()
    assert shop.cleaned("id") == ["a", "b"]
    assert is_tidy(shop)


def test_a_refused_member_of_an_archive(shop: ObjectShop) -> None:
    """Its sender finds the file in the store's quarantine, below the archive's name and beside its reason."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        packed.writestr(named(1), f"{HEAD}a,1\n")
        packed.writestr(named(2), "no header at all\n")
    shop.send("january.zip", content.getvalue())
    shop.load()
    assert shop.cleaned("id") == ["a"]
    ((name, reason),) = shop.quarantine().items()
    assert name == f"january.zip_{named(2)}"
    place = f".quarantine/f/{reason['sha256'][:16]}/january.zip/{named(2)}"
    assert {*shop.objects()} == {place, f"{place}.reason.json"}
    assert shop.objects()[place] == b"no header at all\n"
    assert json.loads(shop.objects()[f"{place}.reason.json"]) == reason
    assert is_tidy(shop)


def test_a_refused_file_that_somebody_takes_away(shop: ObjectShop) -> None:
    """Gone from this machine before the store has its copy, it is fetched again and refused again: nothing is lost."""
    shop.send(named(1), "no header at all\n")
    with dying(Point.QUARANTINED):
        shop.load()
    shutil.rmtree(shop.settings.quarantine("f"))
    for _ in range(2):
        shop.load()
    assert [*shop.quarantine()] == [named(1)]
    assert b"no header at all\n" in shop.objects().values()
    assert is_tidy(shop)


def test_a_file_of_the_same_name(shop: ObjectShop) -> None:
    """A file in landing on this machine goes first; the object of its name comes in when that one has left landing."""
    shop.send(named(1), f"{HEAD}a,2\n")
    shop.deliver(named(1), f"{HEAD}a,1\n")
    shop.load()
    assert shop.cleaned("n") == [1]
    assert shop.waiting() == [named(1)]
    shop.load()
    assert shop.cleaned("n") == [2]
    assert is_tidy(shop)


def test_what_another_machine_has_claimed(shop: ObjectShop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is left to that machine as long as its claim holds; then that machine counts as lost, and another takes it."""
    shop.send(named(1), f"{HEAD}a,1\n")
    with dying(Point.LOCKED):
        shop.load()
    other = elsewhere(shop, tmp_path / "other")
    other.load()
    assert not other.rows("FROM raw_f")
    assert not other.notes()
    assert any("1 object(s) left there: another machine has claimed them" in line for line in other.told)
    monkeypatch.setattr(object_claims, "LEASE", object_claims.LEASE * 0)
    other.load()
    assert other.cleaned("id") == ["a"]
    assert is_tidy(other)
    # The first one wakes up. In a warehouse of its own it has what it had fetched; in a shared one the ledger knows it.
    shop.load()
    assert is_tidy(shop)


def test_machines_that_share_a_landing(shop: ObjectShop, tmp_path: Path) -> None:
    """What one of them fetches while another one has it claimed is nothing: each object is on one machine."""
    other = elsewhere(shop, tmp_path / "other")
    for number in range(1, 7):
        shop.send(named(number), f"{HEAD}{number},1\n")
    with acting(Landing.CLAIMED, once(other.load)):
        shop.load()
    assert sorted([*shop.cleaned("id"), *other.cleaned("id")]) == [str(number) for number in range(1, 7)]
    assert is_tidy(shop)
    assert is_tidy(other)


def once(work: Callable[[], object]) -> Callable[[], None]:
    """The work, done at the first call alone."""
    left = [work]

    def act() -> None:
        if left:
            left.pop()()

    return act


def test_a_store_that_is_gone(shop: ObjectShop, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the commit the load succeeds, and tells what it could not delete; the next one does, and fetches nothing.

    Before it, the load fails and says which store does not answer.
    """
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    shop.send(named(1), f"{HEAD}a,1\n")
    shop.send(named(2), "no header at all\n")
    with acting(Point.MOVED, s3_server.stop):
        report = shop.load()
    assert set(report.stuck) == {named(1), named(2)}
    assert all("does not answer" in why for why in report.stuck.values())
    with pytest.raises(ObjectStoreDown, match=shop.url):
        shop.load()
    s3_server.start()
    assert shop.load().again == []
    assert len(shop.quarantine()) == 1
    assert is_tidy(shop)


def test_a_rebuild_takes_nothing_from_the_store(shop: ObjectShop) -> None:
    """A feed is rebuilt from its archive; what waits in the store goes on waiting."""
    shop.send(named(1), f"{HEAD}a,1\n")
    shop.load()
    shop.send(named(2), f"{HEAD}b,1\n")
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, print)
    assert shop.cleaned("id") == ["a"]
    assert shop.waiting() == [named(2)]


def test_batches_by_the_time_of_the_object(shop: ObjectShop) -> None:
    """Without a date in its name, an object is for the day on which the store wrote it."""
    shop.options = options(batching=replace(shop.options.batching, pattern=None))
    shop.send("export.csv", f"{HEAD}a,1\n")
    (found,) = shop.store.list("f")
    shop.load(found.modified_at.date(), now=found.modified_at)
    assert shop.ledger("batch") == [str(found.modified_at.date())]
    assert is_tidy(shop)
