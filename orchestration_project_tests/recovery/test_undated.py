"""What a name without a date means is recorded as the batching is: a rebuild changes it, a load is refused."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.errors import RecoveryError, WarehouseError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.shop import NOW, Shop, options

pytestmark = pytest.mark.promise("deliveries")

DAYS = [dt.date(2024, 2, number) for number in (1, 2, 3)]
NOON = 24 * 60


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three days of one undated name; the first day's file was corrected after the second day's came."""
    shop = Shop(tmp_path, options=options(batching=Batching(Cadence.DAILY, dt.date(2000, 1, 1))))
    for number, key, minute in ((0, "a", 0), (1, "b", 0), (0, "c", 1), (2, "d", 0)):
        shop.deliver("export.csv", f"id,n\n{key},1\n", minute=number * NOON + minute)
        shop.load()
    return shop


def rebuilt(shop: Shop, by_name: bool) -> None:
    """A load is refused under the other meaning; a rebuild takes it over, and all is proven."""
    shop.options = replace(shop.options, by_name=by_name)
    with pytest.raises(WarehouseError, match=r"undated.*orchestration-project rebuild f`"):
        shop.load()
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []


def test_a_name_becomes_one_file_and_many_again(shop: Shop) -> None:
    """Under `replace` the newest bytes alone count; back under `delivery` each day has its file again."""
    before = shop.tables()
    rebuilt(shop, by_name=True)
    assert shop.cleaned("_batch_date", "id") == [(DAYS[2], "d")]
    shop.deliver("export.csv", "id,n\ne,1\n", minute=2 * NOON + 1)
    shop.load()
    assert shop.cleaned("_batch_date", "id") == [(DAYS[2], "e")]
    rebuilt(shop, by_name=False)
    assert shop.cleaned("_batch_date", "id") == [(DAYS[0], "c"), (DAYS[1], "b"), (DAYS[2], "e")]
    assert {key: rows[:2] for key, rows in shop.tables().items()} == {key: rows[:2] for key, rows in before.items()}


def test_the_other_meaning_without_a_ledger(shop: Shop) -> None:
    """An archive in which each day counts by itself is not taken for deliveries of one file."""
    shop.lose_warehouse()
    rebuilt(shop, by_name=True)
    assert shop.cleaned("_batch_date", "id") == [(DAYS[2], "d")]


def test_one_of_several_days_is_withdrawn(shop: Shop) -> None:
    """A name is withdrawn from one batch; the files of other batches with its name, or its bytes, stay."""
    shop.deliver("export.csv", "id,n\nd,1\n", minute=3 * NOON)
    shop.load()
    before = shop.tables()
    key = DAYS[2].isoformat()
    arguments = (shop.warehouse, shop.settings, shop.feed, shop.options)
    withdraw(*arguments, Chosen("export.csv", key), "Ada", "a test", NOW, lambda _: None)
    left = [(DAYS[0], "c"), (DAYS[1], "b"), (dt.date(2024, 2, 4), "d")]
    assert shop.cleaned("_batch_date", "id") == left
    rebuild(*arguments, lambda _: None)
    assert shop.cleaned("_batch_date", "id") == left
    shop.lose_warehouse()
    shop.load()
    assert shop.cleaned("_batch_date", "id") == left
    undo(*arguments, Chosen("export.csv", key), NOW, lambda _: None)
    assert shop.tables() == before
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []


def test_lost_bytes_that_another_batch_has_too(tmp_path: Path) -> None:
    """A rebuild notices that a file is gone, though a file of its name has the same bytes in another batch."""
    shop = Shop(tmp_path, options=options(batching=Batching(Cadence.DAILY, dt.date(2000, 1, 1))))
    for number in range(2):
        shop.deliver("export.csv", "id,n\na,1\n", minute=number * NOON)
        shop.load()
    tables = shop.tables()
    (shop.settings.archive("f") / str(DAYS[1]) / "export.csv").unlink()
    with pytest.raises(RecoveryError, match=r"does not have the accepted bytes of export\.csv"):
        rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    assert shop.tables() == tables
