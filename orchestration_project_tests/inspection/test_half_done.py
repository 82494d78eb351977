"""What a killed rebuild, withdrawal or drop has left half done is told by `status`, with what settles it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration_project.failpoints import Recovery
from orchestration_project.ingest.batching import settle_killed
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.status_model import PlatformStatus
from orchestration_project.recovery.drop import drop_feed
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named
from orchestration_project_tests.recovery.archives import zip_delivered, zip_taken_back, zip_withdrawn
from orchestration_project_tests.recovery.stock import nothing_tidied, rebuilt, stocked
from orchestration_project_tests.reliability.stops import dying

pytestmark = [
    pytest.mark.promise("seen"),
    pytest.mark.found("of a rebuild, withdrawal or drop that was killed, `status` said nothing"),
]


def told(shop: Shop) -> list[str]:
    """What `status` says is half done."""
    (found,) = status(shop).feeds
    assert found.half_done is not None
    assert {f"f: {what}" for what in found.half_done} <= {*status(shop).problems}
    return list(found.half_done)


def status(shop: Shop) -> PlatformStatus:
    return status_of(shop.settings, [ConfiguredFeed(shop.feed, shop.options)], ["f"], NOW)


def withdrawn(shop: Shop) -> None:
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(named(1)), "Ada", "test", NOW, print)


def taken_back(shop: Shop) -> None:
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(named(1)), NOW, print)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with a history, of which nothing is half done."""
    shop = stocked(tmp_path)
    assert told(shop) == []
    return shop


@pytest.mark.parametrize(
    ("point", "when"),
    [
        pytest.param(Recovery.TREE_BUILT, "before its tables were committed", id="before the commit"),
        pytest.param(Recovery.REBUILD_COMMITTED, "after its tables were committed", id="after the commit"),
        pytest.param(Recovery.PLACED, "after its tables were committed", id="among the moves"),
    ],
)
def test_a_killed_rebuild(point: Recovery, when: str, shop: Shop) -> None:
    """It is told whether its tables count, and which command settles it; nothing is changed by asking."""
    with nothing_tidied(), dying(point):
        rebuilt(shop)
    (what,) = told(shop)
    assert when in what
    assert "`orchestration-project verify` or the next load" in what
    assert told(shop) == [what]
    settle_killed(shop.warehouse, shop.settings, ["f"])
    assert told(shop) == []


def test_a_rebuild_that_goes_on(shop: Shop) -> None:
    """While somebody holds the warehouse nothing is said to be half done: nobody knows."""
    (shop.settings.archive("f") / ".rebuild").mkdir()
    with shop.warehouse.connection("a rebuild"):
        (found,) = status(shop).feeds
    assert found.half_done is None


def test_folders_without_a_warehouse(shop: Shop) -> None:
    """A warehouse that was lost while folders moved is no reason to be silent."""
    with nothing_tidied(), dying(Recovery.SWITCHED):
        rebuilt(shop)
    shutil.rmtree(f"{shop.settings.database}.rebuild")
    shop.lose_warehouse()
    (what,) = told(shop)
    assert "folders are not all in their places" in what


WITHDRAWALS = [
    pytest.param(None, withdrawn, Recovery.WITHDRAWAL_NOTED, "its rows still count", id="noted"),
    pytest.param(None, withdrawn, Recovery.SET_ASIDE, "its rows still count", id="set aside"),
    pytest.param(withdrawn, taken_back, Recovery.TAKEN_BACK, "its note still counts", id="taken back"),
    pytest.param(withdrawn, taken_back, Recovery.UNNOTED, "its rows are missing", id="without its note"),
]


@pytest.mark.parametrize(("before", "work", "point", "what"), WITHDRAWALS)
def test_a_killed_withdrawal(
    before: Callable[[Shop], None] | None, work: Callable[[Shop], None], point: Recovery, what: str, shop: Shop
) -> None:
    """File, batch and command are named, until a load has brought the ledger to what the note says."""
    if before:
        before(shop)
        assert told(shop) == []
    with dying(point):
        work(shop)
    (found,) = told(shop)
    assert what in found
    assert f"'{named(1)}' (batch {day(1)})" in found
    assert f"--partition {day(1)}" in found or f"withdraw f {named(1)} --batch {day(1)} --undo" in found
    shop.load(day(9))
    assert told(shop) == []


@pytest.mark.parametrize(
    ("point", "back"), [(Recovery.TOGETHER_NOTED, False), (Recovery.SET_ASIDE, False), (Recovery.UNNOTED, True)]
)
def test_a_killed_withdrawal_of_an_archive(point: Recovery, back: bool, shop: Shop) -> None:
    """It is told once, for all of its files, until a load has finished it."""
    zip_delivered(shop)
    if back:
        zip_withdrawn(shop)
    with dying(point):
        (zip_taken_back if back else zip_withdrawn)(shop)
    (found,) = told(shop)
    assert (
        f"the {'way back' if back else 'withdrawal'} of z.zip/{named(1, 'p')}, z.zip/{named(2, 'q')} was killed"
        in found
    )
    assert f"--partition-range {day(1)}...{day(2)}" in found
    shop.load(day(9))
    assert told(shop) == []


def test_a_note_that_cannot_be_read(shop: Shop) -> None:
    """It is named, and what else is to be told is told."""
    note = shop.settings.archive("f") / "withdrawn" / str(day(1)) / f"{named(1)}.withdrawn.json"
    note.parent.mkdir(parents=True)
    note.write_text("{")
    (what,) = told(shop)
    assert f"{note} can't be read as a withdrawal" in what


def test_a_killed_drop(shop: Shop) -> None:
    """A feed of which only refused files are left is named, with the command that drops the rest."""
    with dying(Recovery.FOLDER_KEPT):
        drop_feed(shop.warehouse, shop.settings, "f", [], NOW)
    assert not shop.settings.archive("f").exists()
    (problem,) = status_of(shop.settings, [], [], NOW).problems
    assert problem.startswith("f has refused or exported files and no definition")
    assert "`orchestration-project drop-feed f`" in problem
    drop_feed(shop.warehouse, shop.settings, "f", [], NOW)
    assert status_of(shop.settings, [], [], NOW).problems == []
