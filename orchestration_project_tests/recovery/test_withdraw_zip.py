"""Withdrawals of zip archives: all files of an archive are taken back together, and come back together."""

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.errors import PlatformError, RecoveryError
from orchestration_project.failpoints import Point, Recovery
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.withdraw import Changed, Chosen, undo, withdraw
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.stops import dying
from orchestration_project_tests.reliability.zips import packed

pytestmark = pytest.mark.promise("deliveries")

DAYS = [day(number) for number in (1, 2, 3)]
CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))
FIRST, SECOND = {named(1): "a,1\nb,2\n,3", named(2): "b,4\nc,5"}, {named(1): "a,6\nb,2", named(3): "d,7"}
ONE, TWO = f"z.zip/{named(1)}", f"z.zip/{named(2)}"


def stocked(folder: Path, **more: Any) -> Shop:
    """An archive with the files of two days, and a file beside it."""
    shop = Shop(folder, CONTRACT)
    shop.options = replace(shop.options, **more)
    shop.deliver("z.zip", packed(FIRST))
    shop.deliver(named(2, "t"), "id,n\ne,8\n")
    shop.load(*DAYS)
    return shop


def taken(shop: Shop, name: str = "z.zip", key: str = "") -> Changed:
    chosen = Chosen(name, key)
    return withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "Ada", "why", NOW, lambda _: None)


def undone(shop: Shop, name: str = "z.zip", key: str = "") -> Changed:
    return undo(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(name, key), NOW, lambda _: None)


def proven(shop: Shop) -> bool:
    return verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []


def as_it_was(shop: Shop) -> tuple[object, ...]:
    return shop.tables(), shop.archive(), shop.ledger("file", "status", "archived_as", "delivery", "reason")


@pytest.mark.found("a zip archive could be taken back by its files only")
def test_a_withdrawn_archive(tmp_path: Path) -> None:
    """All of its files go in one load, other files stay, and after --undo all is as it was."""
    shop = stocked(tmp_path)
    before = as_it_was(shop)
    found = taken(shop)
    assert (found.files, found.records) == ([(ONE, "2024-01-01"), (TWO, "2024-01-02")], 5)
    assert {row["_file"] for row in shop.table("raw")} == {named(2, "t")}
    assert shop.rows("SELECT count(DISTINCT run_id) AS runs FROM file_ledger WHERE status = 'withdrawn'") == [
        {"runs": 1}
    ]
    assert proven(shop)
    assert [name for name, _ in undone(shop).files] == [ONE, TWO]
    assert as_it_was(shop) == before
    assert proven(shop)


def test_all_versions_of_an_archive(tmp_path: Path) -> None:
    """What a newer version has not replaced goes too; of what it has corrected the version before counts again."""
    shop = stocked(tmp_path)
    shop.deliver("z.zip", packed(SECOND), minute=2)
    shop.load(*DAYS)
    both = as_it_was(shop)
    found = taken(shop)
    assert {name for name, _ in found.files} == {ONE, f"z.zip/{named(3)}"}
    assert found.counting == [ONE]
    assert proven(shop)
    undone(shop)
    assert as_it_was(shop) == both
    assert proven(shop)


def test_a_file_that_was_withdrawn_before(tmp_path: Path) -> None:
    """It stays withdrawn when the archive comes back: --undo is about the last decision."""
    shop = stocked(tmp_path)
    chosen = Chosen(ONE)
    earlier = NOW.replace(year=2023)
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "Bo", "x", earlier, lambda _: None)
    before = as_it_was(shop)
    assert [name for name, _ in taken(shop).files] == [TWO]
    assert [name for name, _ in undone(shop).files] == [TWO]
    assert as_it_was(shop) == before
    undone(shop)
    assert {row["_file"] for row in shop.table("raw")} == {named(2, "t"), ONE, TWO}
    assert proven(shop)


def test_archives_of_one_name(tmp_path: Path) -> None:
    """Each day has its own, so the batch has to be told; then only that day's files go."""
    shop = Shop(tmp_path, CONTRACT, options(batching=Batching(Cadence.DAILY, dt.date(2000, 1, 1))))
    for number in (1, 2):
        content = packed({f"s{number}.csv": f"a{number},1", f"t{number}.csv": f"b{number},1"})
        shop.deliver("z.zip", content, minute=(number - 1) * 24 * 60)
        shop.load(dt.date(2024, 2, number))
    with pytest.raises(RecoveryError, match="an archive of the batches 2024-02-01, 2024-02-02: say which by --batch"):
        taken(shop)
    assert {name for name, _ in taken(shop, key="2024-02-02").files} == {"z.zip/s2.csv", "z.zip/t2.csv"}
    assert {row["_file"] for row in shop.table("raw")} == {"z.zip/s1.csv", "z.zip/t1.csv"}
    undone(shop, key="2024-02-02")
    assert len(shop.table("raw")) == 4
    assert proven(shop)


def test_what_can_not_be_withdrawn(tmp_path: Path) -> None:
    """An archive that nobody delivered, or whose files are all withdrawn, is an error; nothing is changed."""
    shop = stocked(tmp_path)
    for name, key in (("y.zip", ""), ("z.zip", "2024-01-09")):
        with pytest.raises(RecoveryError, match=r"no file .* is accepted"):
            taken(shop, name, key)
        with pytest.raises(RecoveryError, match="no withdrawn file"):
            undone(shop, name, key)
    taken(shop)
    with pytest.raises(RecoveryError, match=r"no file 'z\.zip' is accepted"):
        taken(shop)


def test_a_withdrawn_file_that_is_lost(tmp_path: Path) -> None:
    """It is named, and nothing is changed: the other files of its archive stay withdrawn."""
    shop = stocked(tmp_path)
    taken(shop)
    (shop.settings.archive("f") / "withdrawn" / "2024-01-01" / ONE).unlink()
    before = as_it_was(shop)
    with pytest.raises(RecoveryError, match=r"s_2024-01-01\.csv' is not among the withdrawn files any more"):
        undone(shop)
    assert as_it_was(shop) == before


def test_a_withdrawal_that_fails(tmp_path: Path) -> None:
    """If one of the versions before can't be read any more, all files stay as they were."""
    shop = stocked(tmp_path)
    shop.deliver("z.zip", packed(SECOND), minute=2)
    shop.load(*DAYS)
    before = as_it_was(shop)
    archived = shop.settings.archive("f") / "2024-01-01" / ONE
    archived.write_text("damaged", encoding="utf-8")
    with pytest.raises(PlatformError, match="can't be read from the archive any more"):
        taken(shop)
    assert (shop.tables(), shop.archive()) == before[:2]


POINTS = [Recovery.TOGETHER_NOTED, Recovery.WITHDRAWAL_NOTED, Recovery.SET_ASIDE, Point.STAGED, Point.COMMITTED]
BACK = [Recovery.TOGETHER_NOTED, Recovery.TAKEN_BACK, Recovery.UNNOTED, Point.COMMITTED]


@pytest.mark.parametrize(
    ("point", "back"),
    [
        *(pytest.param(point, False, id=point) for point in POINTS),
        *(pytest.param(p, True, id=f"back, {p}") for p in BACK),
    ],
)
def test_one_that_dies(point: Point | Recovery, back: bool, tmp_path: Path) -> None:
    """Once it has begun, the next load finishes it for all files, whatever batch that load is for."""
    shop = stocked(tmp_path)
    before = shop.tables()
    if back:
        taken(shop)
    # The first load of an undo has nothing to do here, and ends before it begins.
    with dying(point):
        (undone if back else taken)(shop)
    shop.load(day(9))
    if not back:
        assert {row["_file"] for row in shop.table("raw")} == {named(2, "t")}
    elif point is not Point.COMMITTED:
        assert shop.tables() == before
    assert proven(shop)
    tried()
