"""Commands that only ask change nothing: not a byte of any file, and they make none."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.explain import explain, found_file
from orchestration_project.inspection.lookup.find import Search, find
from orchestration_project.inspection.lookup.versions import Asked
from orchestration_project.inspection.lookup.where import where
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.verify import verify
from orchestration_project_tests.ingest.shop import NOW, Shop, day, named


def ask_status(shop: Shop) -> None:
    status_of(shop.settings, [ConfiguredFeed(shop.feed, shop.options)], ["f"], NOW)


def ask_explain(shop: Shop) -> None:
    file = found_file(shop.settings.landing("f") / named(2))
    assert file
    explain(shop.settings, shop.feed, shop.options, file, NOW)


def ask_verify(shop: Shop) -> None:
    verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)])


def ask_find(shop: Shop) -> None:
    if shop.settings.database.exists():
        assert find(shop.settings, [ConfiguredFeed(shop.feed, shop.options)], Search("1")).records == 1


def ask_where(shop: Shop) -> None:
    assert where(shop.settings, {"f": ConfiguredFeed(shop.feed, shop.options)}, [], Asked(named(1)), 1).files


ASKING = [
    pytest.param(ask_status, id="status"),
    pytest.param(ask_explain, id="explain"),
    pytest.param(ask_verify, id="verify"),
    pytest.param(ask_find, id="find"),
    pytest.param(ask_where, id="where"),
]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("ask", ASKING)
@pytest.mark.parametrize("loaded", [pytest.param(True, id="loaded"), pytest.param(False, id="no warehouse")])
def test_asking_changes_nothing(ask: Callable[[Shop], None], loaded: bool, tmp_path: Path) -> None:
    """Landing, archive, quarantine and warehouse stay as they are, and none of them is made."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n1,2\n2,x\n")
    if loaded:
        shop.load(day(1))
    shop.deliver(named(2), "id,n\n3,x\n4,5\n")
    before = contents(tmp_path)
    ask(shop)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("ask", ASKING)
def test_the_warehouse_is_opened_to_read_only(
    ask: Callable[[Shop], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB itself would refuse a statement that writes to it."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n1,2\n")
    shop.load()
    shop.deliver(named(2), "id,n\n3,4\n")
    opened, connect = [], duckdb.connect

    def noted(database: str, read_only: bool = False, *rest: object, **options: object) -> object:
        opened.append((Path(database) == shop.settings.database, read_only))
        return connect(database, read_only, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(duckdb, "connect", noted)
    ask(shop)
    assert [read_only for is_warehouse, read_only in opened if is_warehouse] == [True]
