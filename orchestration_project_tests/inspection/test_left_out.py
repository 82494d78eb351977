"""A warehouse of an earlier release goes on: what its rule has left out is listed, and no load brings it in."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named, options

pytestmark = pytest.mark.promise("deliveries")

A, B = "id,n\na,1\n", "id,n\nb,2\n"


def left_out(shop: Shop) -> tuple[list[str], list[str]]:
    """What `status` lists of the feed, and what is wrong with it; `verify` has nothing to say."""
    source = ConfiguredFeed(shop.feed, shop.options)
    assert verify(shop.warehouse, shop.settings, [source]).findings == []
    found = status_of(shop.settings, [source], ["f"], NOW)
    return list(found.feeds[0].left_out or []), found.problems


def anew(shop: Shop) -> None:
    """All files come from the archive again, without the ledger that knows of them."""
    shop.lose_warehouse()
    shop.load()


def by_command(shop: Shop) -> None:
    """What `orchestration-project rebuild f` does."""
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)


WAYS = [anew, by_command]


def as_before(shop: Shop, batch: dt.date, file: str, place: str, status: str, delivery: int = 1) -> None:
    """Make of a loaded file what an earlier release had made of it."""
    root = shop.settings.archive("f")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / str(batch) / file).rename(root / place)
    shop.rows(
        f"UPDATE file_ledger SET status = '{status}', archived_as = '{place}', delivery = {delivery}"
        f" WHERE batch = '{batch}' AND file = '{file}'"
    )
    if status != "loaded":
        for table in ("raw_f", "cleaned_f"):
            shop.rows(f"DELETE FROM {table} WHERE _batch_date = '{batch}' AND _file = '{file}'")


@pytest.mark.found("the same bytes for another day were dropped, and nothing told of it")
@pytest.mark.parametrize("way", WAYS)
def test_bytes_of_another_batch(tmp_path: Path, way: Callable[[Shop], None]) -> None:
    """Loads of its batch, of its bytes and of corrections leave it out; only its own batch's delivery brings it in."""
    shop = Shop(tmp_path)
    for number in (1, 2):
        shop.deliver(named(number), A)
        shop.load()
    place = f"{day(2)}/duplicate/{named(2)}"
    as_before(shop, day(2), named(2), place, "duplicate")
    shop.load()
    shop.deliver(named(3), A)
    shop.load()
    shop.deliver(named(1), B)
    shop.load()
    assert shop.cleaned("_batch_date", "id") == [(day(1), "b"), (day(3), "a")]
    listed, problems = left_out(shop)
    assert listed == [place]
    assert "`orchestration-project rebuild f` brings them in" in problems[0]
    way(shop)
    assert shop.cleaned("_batch_date", "id") == [(day(1), "b"), (day(2), "a"), (day(3), "a")]
    assert left_out(shop) == ([], [])


@pytest.mark.parametrize("way", WAYS)
def test_an_undated_name(tmp_path: Path, way: Callable[[Shop], None]) -> None:
    """The days that the next day's file has replaced stay replaced, and new days are files of their own."""
    shop = Shop(tmp_path, options=replace(options(), batching=Batching(Cadence.DAILY, dt.date(2000, 1, 1))))
    first, second, third = (dt.date(2024, 2, number) for number in (1, 2, 3))
    for number, content in enumerate((A, B)):
        shop.deliver("export.csv", content, minute=24 * 60 * number)
        shop.load()
    as_before(shop, first, "export.csv", f"{first}/export.csv", "superseded")
    as_before(shop, second, "export.csv", f"{second}/v2/export.csv", "loaded", delivery=2)
    shop.load(first, second)
    shop.deliver("export.csv", A, minute=24 * 60 * 2)
    shop.load(first, second, third)
    assert shop.cleaned("_batch_date", "id") == [(second, "b"), (third, "a")]
    assert left_out(shop)[0] == [f"{first}/export.csv"]
    way(shop)
    assert shop.cleaned("_batch_date", "id") == [(first, "a"), (second, "b"), (third, "a")]
    assert left_out(shop) == ([], [])


def test_a_snapshot_that_did_not_change(tmp_path: Path) -> None:
    """That the first file holds the newest bytes is as right as that the last one does."""
    shop = Shop(tmp_path, options=options(snapshot=True))
    for number in (1, 2):
        shop.deliver(named(number), A)
        shop.load()
    shop.rows("UPDATE file_ledger SET status = CASE batch WHEN '2024-01-01' THEN 'loaded' ELSE 'duplicate' END")
    for table in ("raw_f", "cleaned_f"):
        shop.rows(f"UPDATE {table} SET _batch_date = '2024-01-01', _file = '{named(1)}'")
    shop.load()
    assert left_out(shop) == ([], [])
    shop.deliver(named(3), B)
    shop.load()
    assert (shop.cleaned("id"), left_out(shop)) == (["b"], ([], []))
