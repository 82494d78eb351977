"""`file_batches`, and the questions about batches that find each divided file under the batches of its records."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.warehouse import ledger_batches, ledger_queries
from orchestration_project.warehouse.file_batches import placed
from orchestration_project.warehouse.ledger import TABLE
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.ingest.test_divide import DELIVERED, HEADER, parts, shop_in
from orchestration_project_tests.ingest.test_divide import placed as rows_of


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A file of three days, one record of which has no day, and a refused file."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,x\nc,,1\n")
    shop.deliver("z.csv", "no header at all\n")
    shop.load()
    return shop


def test_a_warehouse_without_divided_files_is_asked_as_ever(tmp_path: Path) -> None:
    """Questions about batches go to the ledger itself as long as no feed divides files."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    with shop.warehouse.connection("test") as connection:
        assert placed(connection) == TABLE


def test_batches_are_those_of_the_records(shop: Shop) -> None:
    """Sizes, counts and arrivals are told of the days that files have records of; a refused file of its delivery."""
    days = ["2024-01-05", "2024-01-06", str(DELIVERED)]
    with shop.warehouse.connection("test") as connection:
        assert ledger_batches.loaded_batches(connection, "f") == days
        assert ledger_batches.delivered_batches(connection, "f") == days
        assert ledger_batches.batch_sizes(connection, "f") == dict.fromkeys(days, 1)
        assert ledger_batches.first_batch(connection, "f") == days[0]
        assert ledger_batches.deliveries_of(connection, "f") == [str(DELIVERED)]
        assert ledger_batches.batches_delivered(connection, "f", [str(DELIVERED)]) == {*days}
        newest = ledger_batches.newest_days(connection, "f", 9)
        assert [(str(item.day), item.cleaned, item.rejected) for item in newest] == [
            (days[0], 1, 0),
            (days[1], 0, 1),
            (days[2], 0, 1),
        ]
        came = ledger_batches.arrivals(connection, "f", "2024-01-01")
        assert [(item.batch, item.accepted, item.refused) for item in came] == [
            (days[0], 1, 0),
            (days[1], 1, 0),
            (days[2], 1, 1),
        ]
        told = ledger_batches.totals(connection)["f"]
        assert (told.files, told.newest, told.open_rejects, told.oldest_open) == (1, days[2], 2, days[1])
        entries = ledger_queries.placed_entries(connection, "f")
        assert [(entry.batch, entry.records) for entry in entries] == [(day, 1) for day in days]
        (loaded,) = ledger_queries.loaded_files(connection, "f", [days[0]])
        assert loaded[:2] == (str(DELIVERED), "y.csv")


def test_raw_rows_alone_have_their_batches(tmp_path: Path) -> None:
    """A run that only reads notes the batches, and a later one that publishes counts what became of them."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,x\n")
    shop.load(publish=False)
    assert parts(shop) == [("y.csv", "2024-01-05", 1, None, None), ("y.csv", "2024-01-06", 1, None, None)]
    shop.load(dt.date(2024, 1, 5), dt.date(2024, 1, 6), read=False)
    assert parts(shop) == [("y.csv", "2024-01-05", 1, 1, 0), ("y.csv", "2024-01-06", 1, 0, 1)]
    assert shop.ledger("records", "cleaned", "rejected") == [(2, 1, 1)]
    assert rows_of(shop) == [("2024-01-05", "a")]


def test_an_empty_file_has_no_batch(tmp_path: Path) -> None:
    """A file without records is loaded and has no row here; one that was corrected to nothing has none any more."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\n")
    shop.load()
    shop.deliver("y.csv", HEADER, minute=5000)
    shop.load()
    assert (parts(shop), rows_of(shop, "raw"), rows_of(shop)) == ([], [], [])
    assert shop.ledger("status", "records") == [("superseded", 1), ("loaded", 0)]
