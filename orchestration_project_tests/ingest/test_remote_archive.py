"""An archive in an object store: each load leaves links, and whoever needs the bytes goes on as before."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestration_project.errors import ObjectStoreError
from orchestration_project.failpoints import Cold, Point
from orchestration_project.inspection.explain import Outcome, explain, found_file
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project.retention.cool import prove, relink_all
from orchestration_project.settings import Settings
from orchestration_project.storage.cold import at_hand, key_of
from orchestration_project.storage.objects import open_objects
from orchestration_project_tests.ingest.shop import NOW, day, named
from orchestration_project_tests.recovery.stock import CONTRACT, HEAD, rebuilt
from orchestration_project_tests.reliability.stops import acting, dying
from orchestration_project_tests.retention.aged import Aged, aged, fill


@dataclass
class Remote(Aged):
    """The shop, with its archive in a store."""

    @property
    def settings(self) -> Settings:
        """The store of the archive is the only place."""
        settings = super().settings
        return replace(settings, archive_url=settings.cold_archive_url, cold_archive_days=None)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    """A shop that has loaded files into such an archive."""
    url = request.getfixturevalue("s3") if request.param == "s3" else ""
    return filled(tmp_path, url)


def filled(folder: Path, url: str = "") -> Remote:
    """Three days: a correction, a duplicate, rejects, as in the shop with a cold archive."""
    shop = Remote(folder / "shop", CONTRACT, url=url)
    fill(shop)
    return shop


def test_a_load_leaves_links(shop: Remote) -> None:
    """Every archived file is a link to bytes that are as they were, nothing is in landing, and the proof holds."""
    assert len(shop.places()) == 5
    assert all(shop.places().values())
    assert shop.landing() == []
    assert shop.verified().proven
    # Two files have the same bytes.
    assert (prove(shop.settings, print).files, prove(shop.settings, print).findings) == (5, [])


def test_all_comes_back(shop: Remote) -> None:
    """Without the warehouse, and by a rebuild, the same tables are made of what is in the store."""
    before = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == before
    rebuilt(shop)
    assert shop.tables() == before
    assert all(shop.places().values())


def test_all_comes_back_on_another_machine(shop: Remote) -> None:
    """Without warehouse and data folder, the store's index says where files belong, and the tables are the same."""
    before = shop.tables()
    shutil.rmtree(shop.folder)
    assert relink_all(shop.settings) == 5
    shop.load()
    assert shop.tables() == before


def test_a_redelivery_and_a_withdrawal(shop: Remote) -> None:
    """The same bytes load nothing, a correction replaces rows, and a withdrawn file that is taken back has them."""
    shop.deliver(named(1), f"{HEAD}k1,1\nr,1\n,1\nx,-1\n", 1)
    assert shop.load().again == [named(1)]
    shop.deliver(named(1), f"{HEAD}k1,11\n", 9)
    shop.load()
    before = shop.tables()
    chosen = Chosen(named(1))
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "Ada", "test", NOW, print)
    assert {row["n"] for row in shop.table("cleaned") if row["id"] == "k1"} == {1}
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, NOW, print)
    assert shop.tables() == before
    assert shop.verified().proven
    assert all(shop.places().values())


def test_an_archived_file_is_explained(shop: Remote) -> None:
    """A file whose bytes are in the store is fetched to be explained."""
    file = found_file(shop.settings.archive("f") / str(day(1)) / named(1))
    assert file
    with at_hand(file, shop.settings.cold_archive_url) as here:
        found = explain(shop.settings, shop.feed, shop.options, here, NOW)
    assert (found.outcome, found.records) == (Outcome.NOTHING_NEW, 4)


def test_a_store_that_fails_before_the_commit(tmp_path: Path) -> None:
    """The load fails and has changed nothing: the file stays in landing, and the next load takes it."""
    shop = filled(tmp_path)
    before = shop.tables()
    shop.deliver(named(4), f"{HEAD}k4,4\n", 10)
    with acting(Point.VALIDATED, lambda: blocked(shop)), pytest.raises(ObjectStoreError):
        shop.load()
    assert shop.tables() == before
    assert shop.landing() == [named(4)]
    unblocked(shop)
    shop.load()
    assert "k4" in shop.cleaned("id")
    assert all(shop.places().values())


def test_a_store_that_fails_after_the_commit(tmp_path: Path) -> None:
    """The rows are there, the file stays in landing, the report says why, and the next load brings it to its end."""
    shop = filled(tmp_path)
    shop.deliver(named(4), f"{HEAD}k4,4\n", 10)
    with acting(Point.COMMITTED, lambda: blocked(shop)):
        report = shop.load()
    assert list(report.stuck) == [named(4)]
    assert "k4" in shop.cleaned("id")
    assert shop.landing() == [named(4)]
    unblocked(shop)
    assert shop.load().again == [named(4)]
    assert shop.landing() == []
    assert all(shop.places().values())


def blocked(shop: Remote) -> None:
    """Have a file where the store's folder is: nothing can be stored in it."""
    store = Path(shop.settings.archive_url)
    if store.is_dir():
        store.rename(store.with_name("away"))
        store.write_text("")


def unblocked(shop: Remote) -> None:
    """Have the store back."""
    store = Path(shop.settings.archive_url)
    store.unlink()
    store.with_name("away").rename(store)


def test_files_from_before(tmp_path: Path) -> None:
    """An archive that was on this machine is moved in the next night, whatever the age of its files."""
    shop = aged(tmp_path)
    assert not any(shop.places().values())
    remote = Remote(shop.folder, shop.feed)
    assert remote.move().files == 5
    assert all(remote.places().values())
    assert remote.verified().proven


def test_bytes_are_stored_once(tmp_path: Path) -> None:
    """A load stores the bytes of its files before its commit, and not a second time after it."""
    stored: list[str] = []
    shop = filled(tmp_path)
    shop.deliver(named(4), f"{HEAD}k4,4\n", 10)
    with acting(Cold.PUT, lambda: stored.append(named(4))):
        shop.load()
    assert stored == [named(4)]


def test_what_a_failed_load_has_stored(shop: Remote) -> None:
    """The next load does not send it again; if the store has other bytes by then, they are replaced."""
    stored: list[Cold] = []
    for number, is_damaged in ((4, False), (5, True)):
        shop.deliver(named(number), f"{HEAD}k{number},{number}\n", 10)
        with dying(Cold.READ_BACK):
            shop.load()
        assert shop.landing() == [named(number)]
        if is_damaged:
            content = (shop.settings.landing("f") / named(number)).read_bytes()
            open_objects(shop.settings.archive_url).put(key_of(hashlib.sha256(content).hexdigest()), b"other bytes")
        with acting(Cold.PUT, lambda: stored.append(Cold.PUT)):
            shop.load()
        assert stored == [Cold.PUT] * is_damaged
        assert shop.landing() == []
        assert not prove(shop.settings, print).findings
