"""Loads of one feed that go on at the same time on a lake: what one has read is outdated by what another commits.

A load is in the middle of reading or has validated all of its records when another begins and ends. The tables, the
ledger and the archive have to be those of one load after the other.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts.feed import Feed, Required
from orchestration_project.failpoints import Point
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.recovery.withdraw import Chosen, withdraw
from orchestration_project.warehouse.lake_postgres import PostgresCatalog
from orchestration_project.warehouse.lake_sqlite import SqliteCatalog
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named
from orchestration_project_tests.reliability.contention import keyed
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.lakes import intruding, state
from orchestration_project_tests.servers.warehouses import POSTGRES, SQLITE

Act = Callable[[Shop], object]
OPEN = (Point.FINGERPRINTED, Point.STAGED, Point.VALIDATED)[effort(2, 0) :]
"""Points at which a load on a lake keeps nobody out; in the short form the last one."""


def withdrawn(shop: Shop, file: str) -> None:
    """A file is withdrawn."""
    withdraw(
        shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(file), "ann", "wrong day", NOW, shop.told.append
    )


def same_file(shop: Shop) -> None:
    """Both find the same file in landing."""
    shop.load(day(2))


def other_file(shop: Shop) -> None:
    """Another file of the batch that the first load publishes anew."""
    shop.deliver(named(2, "t"), "id,n\nd,4\n")
    shop.load(day(2))


def same_bytes(shop: Shop) -> None:
    """The same bytes under another name: one of the two is a duplicate."""
    shop.deliver(named(2, "a"), "id,n\nk,2\nb,2\n")
    shop.load(day(2))


def other_bytes(shop: Shop) -> None:
    """A correction of the file that is being read."""
    shop.deliver(named(2), "id,n\nk,3\nc,x\n", minute=9)
    shop.load(day(2))


def earlier_key(shop: Shop) -> None:
    """A batch before, with a key of the one that is being loaded."""
    shop.deliver(named(1, "t"), "id,n\nb,1\n")
    shop.load(day(1))


def later_key(shop: Shop) -> None:
    """A batch after, which keeps a key until the earlier one is loaded."""
    shop.deliver(named(3), "id,n\nb,3\ne,5\n")
    shop.load(day(3))


def taken_back(shop: Shop) -> None:
    """A file of an earlier batch, whose key the batch that is being loaded repeats, is withdrawn."""
    withdrawn(shop, named(1))


def all_days(shop: Shop) -> None:
    """All batches are published anew."""
    shop.load(day(1), day(2), day(3))


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (same_file, other_file, same_bytes, other_bytes, earlier_key, later_key, taken_back, all_days)
}


def begun(folder: Path, contract: Feed) -> Shop:
    """A shop with one day loaded, and a file that waits."""
    shop = Shop(folder, contract)
    shop.deliver(named(1), "id,n\nk,1\na,1\n")
    shop.load()
    shop.deliver(named(2), "id,n\nk,2\nb,2\n")
    return shop


@pytest.mark.promise("concurrency")
@pytest.mark.parametrize("point", OPEN, ids=lambda point: point.name.lower())
@pytest.mark.parametrize("act", ACTS)
def test_what_comes_in_between_counts(act: str, point: Point, lake_kind: str, tmp_path: Path) -> None:
    """Another session commits while a load reads: all is as if it had come first."""
    disturbed, expected = begun(tmp_path / lake_kind, keyed()), begun(tmp_path / "expected", keyed())
    with intruding(point, lambda: ACTS[act](disturbed)):
        disturbed.load(day(2))
    ACTS[act](expected)
    expected.load(day(2))
    assert state(disturbed) == state(expected)
    tried()


@pytest.mark.promise("concurrency")
def test_what_does_not_concern_a_load_does_not_disturb_it(lake_kind: str, tmp_path: Path) -> None:
    """Another day of the same feed is loaded meanwhile: nothing is decided anew."""
    shop = begun(tmp_path / lake_kind, keyed())
    with intruding(Point.VALIDATED, lambda: later_key(shop)):
        shop.load(day(2))
    assert not [line for line in shop.told if "decided anew" in line]
    with intruding(Point.VALIDATED, lambda: other_file(shop)):
        shop.load(day(2))
    assert len([line for line in shop.told if "decided anew" in line]) == 1


@pytest.mark.promise("concurrency")
def test_nothing_is_read_twice(lake_kind: str, tmp_path: Path) -> None:
    """What was read is used when all is decided anew, as long as the same files come in."""
    shop = begun(tmp_path / lake_kind, keyed())
    shop.load()
    shop.deliver(named(2, "t"), "id,n\nt,7\nk,9\n")
    shop.told.clear()
    with intruding(Point.VALIDATED, lambda: withdrawn(shop, named(2))):
        shop.load(day(2))
    assert len([line for line in shop.told if "decided anew" in line]) == 1
    assert len([line for line in shop.told if "reading" in line]) == 1
    assert shop.rows("SELECT id FROM cleaned_f ORDER BY id") == [{"id": name} for name in ("a", "k", "t")]


@pytest.mark.promise("concurrency")
def test_a_contract_that_changes_meanwhile(lake_kind: str, tmp_path: Path) -> None:
    """A load with an older contract makes no table of rows of both: it makes all of them anew, as it would later."""
    wider = feed(column("id", "VARCHAR", Required()), column("n", "DECIMAL(9,2)"), primary_key=("id",))
    older, newer = begun(tmp_path / lake_kind, keyed()), Shop(tmp_path / lake_kind, replace(wider, version="2.0.0"))
    with intruding(Point.VALIDATED, lambda: newer.load(day(1))):
        older.load(day(2))
    newer.load(day(1))
    types: list[dict[str, Any]] = newer.rows("SELECT DISTINCT typeof(n) AS type FROM cleaned_f")
    assert types == [{"type": "DECIMAL(9,2)"}]
    found = newer.rows("SELECT id, n::INTEGER AS n FROM cleaned_f ORDER BY id")
    assert found == [{"id": "a", "n": 1}, {"id": "b", "n": 2}, {"id": "k", "n": 1}]


@pytest.mark.promise("concurrency")
@pytest.mark.parametrize("lake_kind", [POSTGRES], indirect=True)
@pytest.mark.parametrize(
    ("point", "is_locked", "rows"),
    [
        pytest.param(Point.VALIDATED, True, 1, id="locked"),
        # What the lock is for: without it both commit their rows.
        pytest.param(Point.ENTERED, False, 2, id="not locked"),
    ],
)
def test_one_file_from_two_machines(
    point: Point, is_locked: bool, rows: int, lake_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines that have the same file, each in a landing of its own, load it at the same time."""
    if not is_locked:
        monkeypatch.setattr(PostgresCatalog, "locked", lambda *_: nullcontext(lambda: None))
    shop, other = Shop(tmp_path / lake_kind, keyed()), Shop(tmp_path / "another machine", keyed())
    for one in (shop, other):
        one.deliver(named(1), "id,n\na,1\n", minute=1)
    settings = replace(shop.settings, data_dir=other.folder)

    def from_there() -> None:
        load(shop.warehouse, settings, shop.feed, shop.options, Request([day(1)], now=NOW), shop.told.append)

    with intruding(point, from_there):
        shop.load(day(1))
    assert shop.rows("SELECT count(*) AS n FROM raw_f") == [{"n": rows}]


@pytest.mark.promise("concurrency")
@pytest.mark.parametrize("lake_kind", [SQLITE, POSTGRES], indirect=True)
def test_a_program_that_does_not_heed_the_lock(lake_kind: str, tmp_path: Path) -> None:
    """Somebody's own statement changes rows that a load replaces: the load is tried again, and all rows are right."""
    shop = begun(tmp_path / lake_kind, keyed())
    shop.load()
    shop.deliver(named(2), "id,n\nb,7\n", minute=9)

    def foreign() -> None:
        with pytest.MonkeyPatch.context() as patch:
            for catalog in (PostgresCatalog, SqliteCatalog):
                patch.setattr(catalog, "locked", lambda *_: nullcontext(lambda: None))
            with shop.warehouse.transaction("somebody's own") as connection:
                connection.execute("DELETE FROM raw_f WHERE id = 'b'")

    with intruding(Point.INSERTED, foreign):
        shop.load(day(2))
    assert [line for line in shop.told if "refused the commit" in line]
    assert shop.rows("SELECT id, n FROM cleaned_f ORDER BY id") == [
        {"id": i, "n": n} for i, n in (("a", 1), ("b", 7), ("k", 1))
    ]
    assert shop.rows("SELECT count(*) AS n FROM raw_f") == [{"n": 3}]
