"""Known files are read again from the archive when their rows are not what their bytes say."""

from pathlib import Path

import pytest

from orchestration_project.inspection.rule_checks import balances
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named

pytestmark = pytest.mark.promise("deliveries")

THREE = "id,n\na,1\nb,2\nc,3\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed without keys that has loaded two days."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), THREE)
    shop.deliver(named(2), "id,n,x\nd,4,5\n")
    shop.load()
    return shop


@pytest.mark.parametrize(
    "tampering",
    [
        pytest.param("DELETE FROM raw_f WHERE id = 'b'", id="row deleted"),
        pytest.param("INSERT INTO raw_f SELECT * FROM raw_f WHERE id = 'b'", id="row doubled"),
        pytest.param("DELETE FROM raw_f", id="table emptied"),
    ],
)
def test_rows_that_somebody_changed_come_back(shop: Shop, tampering: str) -> None:
    """A load of the batch restores raw, cleaned and rejected rows from the archived file."""
    tables, ledger = shop.tables(), shop.ledger("file", "status", "records")
    shop.rows(tampering)
    shop.load(day(1), day(2))
    assert shop.tables() == tables
    assert shop.ledger("file", "status", "records") == ledger


def test_publishing_alone_does_not_hide_a_missing_row(shop: Shop) -> None:
    """What is published from a raw table that lacks a row does not balance with the records counted in the file."""
    shop.rows("DELETE FROM raw_f WHERE id = 'b'")
    shop.load(day(1), read=False)
    with shop.warehouse.connection("test") as connection:
        (found,) = balances(connection, shop.feed, [day(1)], [str(day(1))])
    assert (found.records, found.counted.records, found.counted.cleaned, found.even) == (3, 2, 2, False)


def test_a_column_that_the_contract_gains_is_read_from_the_archive(shop: Shop) -> None:
    """When a batch is loaded, values of all batches that were unexpected before are the new column's."""
    shop.feed = feed(*shop.feed.columns, column("x", "INTEGER"))
    report = shop.load(day(2))
    assert shop.cleaned("id", "x", "_rescued") == [
        ("a", None, None),
        ("b", None, None),
        ("c", None, None),
        ("d", 5, None),
    ]
    assert [(entry.file, entry.status) for entry in report.entries] == [
        (named(1), "loaded"),
        (named(2), "loaded"),
    ]
    assert shop.load(day(2)).entries == []


def test_a_correction_comes_before_the_old_version(shop: Shop) -> None:
    """A new delivery of a file whose rows were tampered with replaces them all."""
    shop.rows("DELETE FROM raw_f WHERE id = 'b'")
    shop.deliver(named(1), "id,n\nz,9\n")
    shop.load(day(1))
    assert shop.cleaned("id") == ["z", "d"]
    assert shop.ledger("status") == ["superseded", "loaded", "loaded"]


def test_a_file_that_was_not_moved_yet_is_not_missed(shop: Shop) -> None:
    """Rows are left as they are when the archive does not have the file; nothing is lost."""
    shop.rows("DELETE FROM raw_f WHERE id = 'b'")
    place = shop.settings.archive("f") / str(day(1)) / named(1)
    place.rename(shop.settings.landing("f") / named(1))
    shop.load(day(1))
    assert (shop.landing(), place.exists()) == ([], True)
    shop.load(day(1))
    assert shop.cleaned("id") == ["a", "b", "c", "d"]
