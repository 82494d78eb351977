"""What the report says of a feed, asked of a warehouse that a real load has filled."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.defs.sales_report.model import Accounts, Report
from orchestration_project.defs.sales_report.report import read_report
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named


def report(shop: Shop, now: dt.datetime = NOW) -> Report:
    return read_report(shop.warehouse, "test", [ConfiguredFeed(shop.feed, shop.options)], now)


def shop_of_people(folder: Path) -> Shop:
    """A feed with a personal column and limits."""
    mail = column("mail", "VARCHAR", Required(), personal=True)
    return Shop(folder, feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "1")), mail))


def test_accounts_and_files(tmp_path: Path) -> None:
    """The records of loaded files are summed up by what became of them; versions are counted by status."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n\n,2\n")
    shop.deliver(named(2), "id,n\nb,1\n")
    shop.deliver(named(3, "copy"), "id,n\nb,1\n")
    shop.load()
    shop.deliver(named(2), "id,n\nb,2\nc,3\n")
    shop.deliver("s_2024-01-09.csv", "no such header\n")
    shop.load()
    found = report(shop)
    (state,) = found.feeds
    assert state.accounts == Accounts(records=6, cleaned=4, rejected=1, blank=1, open=1, repaired=0, waived=0)
    assert state.accounts.missing == 0
    assert state.files == {"loaded": 3, "superseded": 1, "duplicate": 0, "quarantined": 1, "withdrawn": 0}
    assert found.file_count == 5
    assert {(file.file, file.status) for file in found.files} >= {("s_2024-01-09.csv", "quarantined")}


def test_quality_over_time(tmp_path: Path) -> None:
    """Each day has its cleaned and rejected records; days without a file have none."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n,2\n")
    shop.deliver(named(3), "id,n\nb,1\n")
    shop.load()
    (state,) = report(shop).feeds
    assert [(item.start, item.cleaned, item.rejected, item.share) for item in state.quality] == [
        (day(1), 1, 1, 0.5),
        (day(2), None, None, None),
        (day(3), 1, 0, 0.0),
    ]


@pytest.mark.promise("security")
def test_reasons_have_an_example_that_tells_nothing_personal(tmp_path: Path) -> None:
    """Reasons come with the values that broke the rule, and personal ones and raw lines are masked."""
    shop = shop_of_people(tmp_path)
    shop.deliver(named(1), "id,n,mail\na,0,x@example.org\n,-5,secret\nb,1\nc,1,\n")
    shop.load()
    (state,) = report(shop).feeds
    assert {(item.reason, item.records, item.row, item.values) for item in state.reasons} == {
        ("n: minimum", 2, 1, "n = 0"),
        ("id: required", 1, 2, "id = (empty)"),
        ("_raw_line: too_few_columns", 1, 3, "_raw_line = ***"),
        ("mail: required", 1, 4, "mail = (empty)"),
    }
    assert "secret" not in str(state)


def test_long_values_are_cut(tmp_path: Path) -> None:
    """A value that would fill the page is shortened."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), f"id,n\na,{'9' * 10000}\n")
    shop.load()
    (state,) = report(shop).feeds
    assert len(state.reasons[0].values) < 100
    assert state.reasons[0].values.endswith("…")


def test_a_contract_that_is_ahead_of_the_table(tmp_path: Path) -> None:
    """Before the first load under a contract with another column, reasons are told without an example."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n,1\n")
    shop.load()
    shop.feed = feed(column("id"), column("n", "INTEGER"), column("new"))
    (state,) = report(shop).feeds
    assert [(item.reason, item.file) for item in state.reasons] == [("id: required", "")]


@pytest.mark.parametrize(
    ("now", "overdue"),
    [
        pytest.param(dt.datetime(2024, 1, 4, tzinfo=dt.UTC), False, id="at the last moment"),
        pytest.param(dt.datetime(2024, 1, 4, 0, 0, 1, tzinfo=dt.UTC), True, id="a second later"),
    ],
)
def test_freshness(now: dt.datetime, overdue: bool, tmp_path: Path) -> None:
    """The batch after the newest one is overdue when its day and the contract's latency are over."""
    shop = Shop(tmp_path, feed(latency=dt.timedelta(days=1)))
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    (state,) = report(shop, now).feeds
    assert (state.newest, state.due, state.overdue) == ("2024-01-01", dt.datetime(2024, 1, 4, tzinfo=dt.UTC), overdue)


def test_a_feed_without_files(tmp_path: Path) -> None:
    """A feed of which nothing came stands there with nothing."""
    (state,) = report(Shop(tmp_path)).feeds
    assert (state.newest, state.due, state.overdue, state.quality, state.reasons) == (None, None, False, [], [])
    assert state.accounts == Accounts(0, 0, 0, 0, 0, 0, 0)
