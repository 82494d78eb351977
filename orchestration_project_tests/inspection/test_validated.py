"""Which batches are told as validated otherwise: by another contract, and by a release with another look-back."""

import datetime as dt
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Required
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.validated import validated_by_another
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options

KEYED = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), primary_key=("id",))


def told(shop: Shop) -> list[str]:
    with shop.warehouse.connection("test", read_only=True) as connection:
        return validated_by_another(connection, ConfiguredFeed(shop.feed, shop.options))


@pytest.mark.promise("seen")
@pytest.mark.found("what release 0.1 had rejected by its look-back stayed rejected, and nothing told which batches")
@pytest.mark.parametrize("column_there", [pytest.param(True, id="after a load"), pytest.param(False, id="untouched")])
def test_batches_of_an_older_release(column_there: bool, tmp_path: Path) -> None:
    """Those with duplicates are listed until they are loaded again; the look-back decides nothing about the others."""
    shop = Shop(tmp_path, KEYED, options(key_look_back=dt.timedelta(days=7)))
    for number, lines in ((1, "a,1\n"), (4, "a,2\nb,1\n"), (9, "c,1\n,1\n")):
        shop.deliver(named(number), f"id,n\n{lines}")
    shop.load()
    assert told(shop) == []
    change = "UPDATE file_ledger SET validated_as = NULL" if column_there else "ALTER TABLE {} DROP COLUMN validated_as"
    shop.rows(change.format("file_ledger"))
    assert told(shop) == [str(day(4))]
    shop.load(day(4))
    assert told(shop) == []


def test_a_feed_without_look_back(tmp_path: Path) -> None:
    """Where each batch is by itself no release rejected otherwise."""
    shop = Shop(tmp_path, KEYED, options(key_look_back=dt.timedelta()))
    shop.deliver(named(1), "id,n\na,1\na,2\n")
    shop.load()
    shop.rows("UPDATE file_ledger SET validated_as = NULL")
    assert told(shop) == []
