"""A repaired record takes the place of the one that it corrects, also among keys; what follows is validated again."""

from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, reject, repair_name, resolved
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named

pytestmark = pytest.mark.promise("repair")

KEYED = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with a key."""
    return Shop(tmp_path / "shop", KEYED)


def fix(shop: Shop, *lines: str, number: int = 1) -> None:
    """Deliver a repair file for the n-th day and load it."""
    shop.deliver(repair_name(number), "\n".join(["id,n,_reject_id", *lines, ""]))
    shop.load(day(number))


def ids(shop: Shop) -> list[tuple[str, int, int]]:
    """Key, value and day of the cleaned records."""
    return sorted((row["id"], row["n"], row["_batch_date"].day) for row in shop.table("cleaned"))


def same_at_once(shop: Shop) -> bool:
    """Whether all that is in the archive gives the same tables when it is loaded together."""
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    return shop.tables() == tables


def test_an_export_that_comes_back_as_it_is_changes_no_row(shop: Shop, tmp_path: Path) -> None:
    """An older record that lost its key does not win because it came again in a newer file."""
    shop.deliver(named(1, "old"), "id,n\na,1\n")
    shop.deliver(named(1), "id,n\na,2\n")
    shop.load()
    (written,) = export(shop, tmp_path / "out")
    shop.deliver(written.path.name, as_csv(cells(written.path)))
    shop.load()
    assert ids(shop) == [("a", 2, 1)]
    assert resolved(shop) == {(named(1, "old"), 1): None, (repair_name(), 1): None}


def test_a_repaired_record_is_as_old_as_the_one_that_it_corrects(shop: Shop) -> None:
    """It loses against a newer file with its key, and wins against an older one."""
    shop.deliver(named(1, "a"), "id,n\nx,1\ny,-1\n")
    shop.deliver(named(1, "b"), "id,n\nx,-1\ny,2\n")
    shop.load()
    fix(shop, f"x,3,{reject(shop, named(1, 'b'), 1)}", f"y,3,{reject(shop, named(1, 'a'), 2)}")
    assert ids(shop) == [("x", 3, 1), ("y", 2, 1)]
    reasons = {(row["_file"], row["_row"]): row["_reasons"] for row in shop.table("rejected")}
    assert reasons[named(1, "a"), 1] == [f"id: duplicate_key (kept: {repair_name()} row 1)"]
    assert reasons[repair_name(), 2] == [f"id: duplicate_key (kept: {named(1, 'b')} row 2)"]


def test_a_record_with_a_wrong_key_gets_the_right_one(shop: Shop) -> None:
    """A record that lost its key is repaired by another key."""
    shop.deliver(named(1), "id,n\na,1\na,2\n")
    shop.load()
    fix(shop, f"b,1,{reject(shop, named(1), 1)}")
    assert ids(shop) == [("a", 2, 1), ("b", 1, 1)]
    assert resolved(shop) == {(named(1), 1): repair_name()}


def test_a_repair_takes_its_key_from_later_batches(shop: Shop) -> None:
    """The earlier batch keeps a key, and a record that a repair brings there counts from then on."""
    shop.deliver(named(1), "id,n\na,-1\n")
    shop.deliver(named(2), "id,n\na,2\n")
    shop.load()
    assert ids(shop) == [("a", 2, 2)]
    fix(shop, f"a,1,{reject(shop, named(1), 1)}")
    assert ids(shop) == [("a", 1, 1)]
    assert shop.table("rejected")[-1]["_reasons"] == [f"id: duplicate_key (kept: {repair_name()} row 1)"]
    assert same_at_once(shop)


def test_what_changes_first_changes_the_repairs_and_what_comes_after_them(shop: Shop) -> None:
    """A reject that is none any more voids its repair, whose key then goes to a batch beyond the first one's reach."""
    shop.deliver(named(1), "id,n\na,1\n")
    shop.deliver(named(6), "id,n\na,2\n")
    shop.deliver(named(12), "id,n\nb,3\n")
    shop.load()
    fix(shop, f"b,2,{reject(shop, named(6), 1)}", number=6)
    assert ids(shop) == [("a", 1, 1), ("b", 2, 6)]
    shop.deliver(named(1), "id,n\nz,1\n")
    shop.load(day(1))
    assert ids(shop) == [("a", 2, 6), ("b", 3, 12), ("z", 1, 1)]
    assert same_at_once(shop)
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load(day(1))
    assert ids(shop) == [("a", 1, 1), ("b", 2, 6)]
    assert same_at_once(shop)


def test_an_earlier_batch_with_repairs_is_named_as_if_it_were_judged_too(shop: Shop) -> None:
    """Which record of the earlier batch kept the key does not depend on which batches a load validates."""
    shop.deliver(named(1, "a"), "id,n\nx,-1\n")
    shop.deliver(named(1, "b"), "id,n\nx,2\n")
    shop.load()
    fix(shop, f"x,1,{reject(shop, named(1, 'a'), 1)}")
    shop.deliver(named(2), "id,n\nx,9\n")
    shop.load(day(2))
    assert shop.table("rejected")[-1]["_reasons"] == [f"id: duplicate_key (kept: {named(1, 'b')} row 1)"]
    assert same_at_once(shop)


def test_repairs_do_not_depend_on_each_other(shop: Shop) -> None:
    """A record that is rejected only because a repair has its key is not repaired in its turn."""
    shop.deliver(named(1, "a"), "id,n\nx,1\n")
    shop.deliver(named(1, "b"), "id,n\nx,-1\n")
    shop.load()
    target = reject(shop, named(1, "b"), 1)
    fix(shop, f"x,2,{target}")
    displaced = reject(shop, named(1, "a"), 1)
    fix(shop, f"x,2,{target}", f"y,1,{displaced}")
    assert ids(shop) == [("x", 2, 1)]
    assert shop.table("rejected")[0]["_reasons"] == ["_reject_id: not_rejected"]
