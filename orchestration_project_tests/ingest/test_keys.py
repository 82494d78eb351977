"""Keys count once: in a batch the newest file and its last record, across batches the earlier one."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Required
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options

pytestmark = pytest.mark.promise("deliveries")

KEYED = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), primary_key=("id",))


def kept(number: int, row: int, name: str = "s") -> list[str]:
    """The reason that names a winner."""
    return [f"id: duplicate_key (kept: {named(number, name)} row {row})"]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with the primary key `id` that looks 7 days back."""
    return Shop(tmp_path, KEYED)


def test_the_last_record_of_a_file_wins(shop: Shop) -> None:
    """Of records with the same key in one file the last one counts, and the reason names it."""
    shop.deliver(named(1), "id,n\na,1\nb,2\na,3\na,4\n")
    shop.load()
    assert shop.cleaned("id", "n") == [("b", 2), ("a", 4)]
    assert shop.rejected() == {1: kept(1, 4), 3: kept(1, 4)}


def test_the_newest_file_of_a_batch_wins(shop: Shop) -> None:
    """Within a batch the file with the latest modification time wins, at equal times the last by name."""
    shop.deliver(named(1, "a"), "id,n\nx,1\ny,1\n", minute=9)
    shop.deliver(named(1, "b"), "id,n\nx,2\ny,2\n", minute=5)
    shop.deliver(named(1, "c"), "id,n\ny,3\n", minute=9)
    shop.load()
    assert shop.cleaned("_file", "id", "n") == [(named(1, "a"), "x", 1), (named(1, "c"), "y", 3)]


def test_a_broken_record_does_not_win(shop: Shop) -> None:
    """A record that breaks another rule is no candidate for its key."""
    shop.deliver(named(1), "id,n\na,1\na,x\n")
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 1)]
    assert shop.rejected() == {2: ["n: type"]}


@pytest.mark.parametrize("together", [pytest.param(True, id="one load"), pytest.param(False, id="one load a day")])
def test_the_earlier_batch_wins_within_the_look_back(shop: Shop, together: bool) -> None:
    """A key of a batch makes it a duplicate for as many days as the feed looks back, and not a day longer."""
    for number in (1, 8, 16):
        shop.deliver(named(number), f"id,n\na,{number}\n")
        if not together:
            shop.load()
    if together:
        shop.load()
    assert shop.cleaned("n") == [1, 16]
    assert [row["_reasons"] for row in shop.table("rejected")] == [kept(1, 1)]


@pytest.mark.found("a key that came back weekly was refused for ever, for records that were not kept themselves")
@pytest.mark.parametrize("together", [pytest.param(True, id="one load"), pytest.param(False, id="one load a week")])
def test_look_back_counts_from_the_record_that_is_kept(shop: Shop, together: bool) -> None:
    """A record that is not kept takes no key: each second week counts, and the reasons name what counts."""
    for number in (1, 8, 15, 22, 29):
        shop.deliver(named(number), f"id,n\na,{number}\n")
        if not together:
            shop.load()
    shop.load()
    assert shop.cleaned("n") == [1, 15, 29]
    assert [row["_reasons"] for row in shop.table("rejected")] == [kept(1, 1), kept(15, 1)]


def test_a_change_goes_through_a_chain_of_batches(shop: Shop) -> None:
    """What a correction gives to one week it takes from the next, however far that is from the correction."""
    for number in (1, 8, 15, 22, 29):
        shop.deliver(named(number), f"id,n\na,{number}\n")
    shop.load()
    shop.deliver(named(1), "id,n\nz,1\n")
    assert shop.load(day(1)).batches == [day(number) for number in (1, 8, 15, 22, 29)]
    assert shop.cleaned("id", "n") == [("z", 1), ("a", 8), ("a", 22)]


def test_a_correction_that_keeps_the_same_keys_is_one_batch(shop: Shop) -> None:
    """Later batches name the same record in the same row as before, so they are left alone."""
    for number in (1, 5, 8, 12):
        shop.deliver(named(number), f"id,n\na,{number}\n")
    shop.load()
    tables = shop.table("rejected")
    shop.deliver(named(1), "id,n\na,100\n")
    assert shop.load(day(1)).batches == [day(1)]
    assert (shop.cleaned("n"), shop.table("rejected")) == ([100, 12], tables)


def test_no_look_back(tmp_path: Path) -> None:
    """With a look-back of nothing, keys count once a batch."""
    shop = Shop(tmp_path, KEYED, options(key_look_back=dt.timedelta(0)))
    shop.deliver(named(1), "id,n\na,1\na,2\n")
    shop.deliver(named(2), "id,n\na,3\n")
    shop.load()
    assert shop.cleaned("n") == [2, 3]


def test_a_late_earlier_batch_takes_its_keys_back(shop: Shop) -> None:
    """When an earlier batch arrives late, the later batches that share its keys are published again."""
    for number in (3, 5, 20):
        shop.deliver(named(number), f"id,n\na,{number}\nb{number},0\n")
        shop.load()
    shop.deliver(named(1), "id,n\na,1\n")
    report = shop.load(day(1))
    assert report.batches == [day(1), day(3), day(5)]
    assert shop.cleaned("id", "n") == [("a", 1), ("b3", 0), ("b5", 0), ("a", 20), ("b20", 0)]


def test_a_corrected_earlier_batch_gives_its_keys_back(shop: Shop) -> None:
    """When a correction takes a key away from an earlier batch, the later record with it is published."""
    shop.deliver(named(1), "id,n\na,1\n")
    shop.deliver(named(2), "id,n\na,2\nb,2\n")
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 1), ("b", 2)]
    shop.deliver(named(1), "id,n\nc,1\n")
    assert shop.load(day(1)).batches == [day(1), day(2)]
    assert shop.cleaned("id", "n") == [("c", 1), ("a", 2), ("b", 2)]


def test_a_correction_that_moves_the_winner_is_told_in_later_reasons(shop: Shop) -> None:
    """A reason names the winner where it stands now."""
    shop.deliver(named(1), "id,n\na,1\n")
    shop.deliver(named(2), "id,n\na,2\n")
    shop.load()
    shop.deliver(named(1), "id,n\nb,1\na,1\n")
    shop.load(day(1))
    assert [row["_reasons"] for row in shop.table("rejected")] == [kept(1, 2)]


def test_batches_that_share_no_key_are_left_alone(shop: Shop) -> None:
    """A correction re-publishes no batch but its own when no other one has its keys."""
    shop.deliver(named(1), "id,n\na,1\n")
    shop.deliver(named(2), "id,n\nb,2\n")
    shop.load()
    shop.deliver(named(1), "id,n\na,1\nz,1\n")
    assert shop.load(day(1)).batches == [day(1)]


def test_keys_of_several_columns(tmp_path: Path) -> None:
    """A primary key of several columns is one key."""
    contract = replace(KEYED, primary_key=("id", "n"))
    shop = Shop(tmp_path, contract)
    shop.deliver(named(1), "id,n\na,1\na,2\na,01\n")
    shop.load()
    assert shop.cleaned("_row") == [2, 3]
    assert shop.rejected() == {1: [f"id, n: duplicate_key (kept: {named(1)} row 3)"]}


def test_unique_columns(tmp_path: Path) -> None:
    """A unique column is a key of its own; missing values are no duplicates, and all lost keys are listed."""
    contract = feed(
        column("id", "VARCHAR", Required()), column("n", "INTEGER", unique=True), column("x"), primary_key=("id",)
    )
    shop = Shop(tmp_path, contract)
    shop.deliver(named(1), "id,n,x\na,1,\nb,1,\nc,,\nd,,\na,1,\n")
    shop.deliver(named(2), "id,n,x\ne,1,\na,7,\n")
    shop.load()
    assert shop.cleaned("id", "n") == [("c", None), ("d", None), ("a", 1)]
    assert [row["_reasons"] for row in shop.table("rejected")] == [
        [f"id: duplicate_key (kept: {named(1)} row 5)", f"n: unique (kept: {named(1)} row 5)"],
        [f"n: unique (kept: {named(1)} row 5)"],
        [f"n: unique (kept: {named(1)} row 5)"],
        [f"id: duplicate_key (kept: {named(1)} row 5)"],
    ]


def test_no_key_no_duplicates(tmp_path: Path) -> None:
    """Without a key in the contract equal records all count."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\na,1\n")
    shop.load()
    assert shop.cleaned("id") == ["a", "a"]
