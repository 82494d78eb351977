"""Rejects are corrected or waived once; the tables stay a function of files and waivers."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project_tests.ingest.repairs import (
    as_csv,
    cells,
    export,
    let_be,
    reject,
    repair_name,
    resolved,
)
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options

pytestmark = pytest.mark.promise("repair")

LIMITED = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")))
KEYED = replace(LIMITED, primary_key=("id",))
STANDARD = "id,n\na,-1\nb,2\nc,x\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with a key that has loaded a day with two rejects, its first and third record."""
    shop = Shop(tmp_path, KEYED)
    shop.deliver(named(1), STANDARD)
    shop.load()
    return shop


def states(shop: Shop) -> dict[str, tuple[int, ...]]:
    """What the ledger says of each loaded file's records."""
    columns = ("cleaned", "rejected", "repaired", "waived", "attempts", "blank_records")
    rows = shop.rows("SELECT * FROM file_ledger WHERE status = 'loaded'")
    return {row["file"]: tuple(row[name] for name in columns) for row in rows}


def fix(shop: Shop, *lines: str, attempt: int = 1, number: int = 1) -> None:
    """Deliver a repair file and load it."""
    shop.deliver(repair_name(number, attempt), "\n".join(["id,n,_reject_id", *lines, ""]))
    shop.load()


def test_a_corrected_export_joins_its_batch_and_closes_its_rejects(shop: Shop, tmp_path: Path) -> None:
    """Exported, corrected and dropped in landing, rejects become rows of their batch, and say by which file."""
    (written,) = export(shop, tmp_path / "out")
    rows = cells(written.path)
    assert (written.path.name, written.rejects) == (repair_name(), 2)
    assert [(row["id"], row["n"], row["_reasons"]) for row in rows] == [("a", "'-1", "n: minimum"), ("c", "x", "n: type")] or rows
    shop.deliver(written.path.name, as_csv([row | {"n": "5"} for row in rows]))
    shop.load()
    assert sorted(shop.cleaned("id", "n", "_file")) == [
        ("a", 5, repair_name()),
        ("b", 2, named(1)),
        ("c", 5, repair_name()),
    ]
    assert resolved(shop) == {(named(1), 1): repair_name(), (named(1), 3): repair_name()}
    assert states(shop) == {named(1): (1, 2, 2, 0, 0, 0), repair_name(): (2, 0, 0, 0, 0, 0)}
    assert shop.landing() == []
