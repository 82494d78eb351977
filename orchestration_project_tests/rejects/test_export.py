"""Which rejects are exported, under which names, and what is not overwritten."""

from pathlib import Path

import pytest

from orchestration_project.errors import RepairError
from orchestration_project.storage.batches import Batch
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, let_be, reject, repair_name
from orchestration_project_tests.ingest.shop import Shop, day, named

pytestmark = pytest.mark.promise("repair")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with two rejects on the first day and one on the second."""
    shop = Shop(tmp_path / "shop")
    shop.deliver(named(1), "id,n\na,x\nb,y\n")
    shop.deliver(named(2), "id,n\nc,z\n")
    shop.load()
    return shop


@pytest.mark.parametrize(
    ("batches", "names"),
    [
        pytest.param([], [repair_name(1), repair_name(2)], id="all"),
        pytest.param([day(2)], [repair_name(2)], id="one"),
        pytest.param([day(3)], [], id="none there"),
    ],
)
def test_a_file_a_batch(batches: list[Batch], names: list[str], shop: Shop, tmp_path: Path) -> None:
    """Of the batches asked for, or of all that have open rejects."""
    assert [item.path.name for item in export(shop, tmp_path / "out", *batches)] == names


def test_closed_rejects_and_failed_attempts_are_left_out(shop: Shop, tmp_path: Path) -> None:
    """What is repaired or waived is not exported again, and of a failed repair only the reject itself."""
    first, second = reject(shop, named(1), 1), reject(shop, named(1), 2)
    shop.deliver(repair_name(), f"id,n,_reject_id\na,1,{first}\nb,still wrong,{second}\n")
    shop.load()
    let_be(shop, reject(shop, named(2), 1))
    (written,) = export(shop, tmp_path / "out")
    assert [row["_reject_id"] for row in cells(written.path)] == [second]


def test_an_accepted_repair_file_is_not_replaced_by_the_next_export(shop: Shop, tmp_path: Path) -> None:
    """The next one has another name, so that what was repaired stays repaired."""
    rows = cells(export(shop, tmp_path / "out", day(1))[0].path)
    shop.deliver(repair_name(), as_csv([rows[0] | {"n": "1"}]))
    shop.load()
    (written,) = export(shop, tmp_path / "again", day(1))
    assert written.path.name == repair_name(1, 2)
    shop.deliver(written.path.name, as_csv([row | {"n": "2"} for row in cells(written.path)]))
    shop.load()
    assert sorted(shop.cleaned("id", "n")) == [("a", 1), ("b", 2)]
    assert export(shop, tmp_path / "once more", day(1)) == []


def test_work_in_progress_is_not_overwritten(shop: Shop, tmp_path: Path) -> None:
    """A file of that name stops the export before anything is written."""
    (tmp_path / "out").mkdir()
    mine = tmp_path / "out" / repair_name(2)
    mine.write_text("my corrections", encoding="utf-8")
    with pytest.raises(RepairError, match="may have been worked on"):
        export(shop, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [mine.name]
    assert mine.read_text(encoding="utf-8") == "my corrections"


@pytest.mark.parametrize("below", [".", "corrections"])
def test_nothing_is_exported_into_landing(below: str, shop: Shop) -> None:
    """It would be loaded before anybody corrected it."""
    with pytest.raises(RepairError, match="drop folder"):
        export(shop, shop.settings.landing("f") / below)
    assert shop.landing() == []
