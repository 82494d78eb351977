"""Waivers: who decided that which rejects stay as they are, and why; whatever happens in between."""

import json
from pathlib import Path
from typing import NoReturn

import pytest

from orchestration_project.errors import RepairError
from orchestration_project.ingest import repairs
from orchestration_project.rejects import waive
from orchestration_project.storage.batches import Batch
from orchestration_project_tests.ingest.repairs import let_be, reject, repair_name, resolved
from orchestration_project_tests.ingest.shop import Shop, day, named

pytestmark = pytest.mark.promise("repair")
WAIVED = "waived by Ada: test"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed with three rejects on the first day and one on the second."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\na,x\nb,y\nc\n")
    shop.deliver(named(2), "id,n\nd,z\n")
    shop.load()
    return shop


def files(shop: Shop) -> list[Path]:
    return sorted((shop.settings.archive("f") / "waivers").glob("*"))


def test_a_waiver_is_recorded_everywhere(shop: Shop) -> None:
    """In `_resolved_by`, in the table `waivers`, in the ledger's counts and in the archive."""
    target = reject(shop, named(1), 1)
    found = let_be(shop, target)
    assert (found.new, found.closed) == ([target], [])
    assert [by for by in resolved(shop).values() if by] == [WAIVED]
    (row,) = shop.rows("SELECT * EXCLUDE (waived_at) FROM waivers")
    assert row == {"feed": "f", "reject_id": target, "waived_by": "Ada", "because": "test"}
    assert shop.ledger("file", "rejected", "waived", "repaired") == [(named(1), 3, 1, 0), (named(2), 1, 0, 0)]
    (file,) = files(shop)
    assert json.loads(file.read_text(encoding="utf-8"))["reject_ids"] == [target]


@pytest.mark.parametrize(
    ("batch", "reason", "waived"),
    [
        pytest.param(day(1), None, [(named(1), 1), (named(1), 2), (named(1), 3)], id="a batch"),
        pytest.param(day(1), "n: type", [(named(1), 1), (named(1), 2)], id="of it those that broke a rule"),
    ],
)
def test_many_at_once(batch: Batch, reason: str | None, waived: list[tuple[str, int]], shop: Shop) -> None:
    """All open rejects of a batch, or those for a reason."""
    let_be(shop, batch=batch, reason=reason)
    assert [record for record, by in resolved(shop).items() if by == WAIVED] == waived


def test_waiving_twice_changes_nothing(shop: Shop) -> None:
    """The first waiver stays, whoever comes later and says what."""
    target = reject(shop, named(1), 1)
    let_be(shop, target)
    found = let_be(shop, target, who="Bob", why="other")
    assert (found.new, found.closed) == ([], [target])
    assert resolved(shop)[named(1), 1] == WAIVED
    assert len(files(shop)) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        pytest.param({"ids": ["unknown"]}, "no reject unknown", id="an id that is not there"),
        pytest.param({"batch": day(3)}, "batch 2024-01-03 has no open rejects", id="a batch without rejects"),
        pytest.param({"batch": day(1), "reason": "n: minimum"}, "'n: minimum'", id="a rule that none broke"),
        pytest.param({"batch": day(1), "who": " "}, "somebody", id="nobody"),
        pytest.param({"batch": day(1), "why": ""}, "reason", id="no reason"),
    ],
)
def test_what_cannot_be_waived_is_named(wrong: dict[str, object], said: str, shop: Shop) -> None:
    """And nothing is written, not even for the rejects beside it."""
    ids = [*wrong.pop("ids", []), reject(shop, named(1), 1)] if "ids" in wrong else []  # type: ignore[misc]
    with pytest.raises(RepairError, match=said):
        let_be(shop, *ids, **wrong)  # type: ignore[arg-type]
    assert files(shop) == []
    assert set(resolved(shop).values()) == {None}


def test_a_repair_wins_over_a_waiver(shop: Shop) -> None:
    """The reject counts as repaired as long as the repair holds, and as waived when it does not."""
    target = reject(shop, named(1), 1)
    let_be(shop, target)
    shop.deliver(repair_name(), f"id,n,_reject_id\na,1,{target}\n")
    shop.load()
    assert resolved(shop)[named(1), 1] == repair_name()
    shop.deliver(repair_name(), f"id,n,_reject_id\na,x,{target}\n")
    shop.load()
    assert resolved(shop)[named(1), 1] == WAIVED


def test_a_waiver_whose_command_died_is_taken_by_the_next_load(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any batch: what is in the archive holds, and the load publishes the waived batch too."""

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    target = reject(shop, named(1), 1)
    with monkeypatch.context() as patched:
        patched.setattr(waive, "take_waivers", die)
        with pytest.raises(KeyboardInterrupt):
            let_be(shop, target)
    assert set(resolved(shop).values()) == {None}
    assert shop.load(day(2)).batches == [day(1), day(2)]
    assert resolved(shop)[named(1), 1] == WAIVED
    assert shop.load(day(2)).batches == [day(2)]


def test_a_waiver_that_is_taken_back_opens_its_rejects(shop: Shop) -> None:
    """By removing its file; the next load sees it."""
    let_be(shop, reject(shop, named(1), 1))
    files(shop)[0].unlink()
    shop.load(day(2))
    assert set(resolved(shop).values()) == {None}
    assert shop.rows("FROM waivers") == []


def test_waivers_are_read_only_when_their_files_have_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A load costs no more when there are many; a file that somebody edits counts as it is then."""

    def not_needed(_: object) -> NoReturn:
        raise AssertionError("waivers were read")

    let_be(shop, reject(shop, named(1), 1))
    with monkeypatch.context() as patched:
        patched.setattr(repairs, "read_waivers", not_needed)
        shop.load()
        with pytest.raises(AssertionError, match="were read"):
            let_be(shop, reject(shop, named(2), 1))
    assert shop.load(day(1)).batches == [day(1), day(2)]
    (first, _) = files(shop)
    first.write_text(first.read_text(encoding="utf-8").replace("Ada", "Eve"), encoding="utf-8")
    shop.load(day(2))
    assert shop.rows("SELECT waived_by FROM waivers ORDER BY 1") == [{"waived_by": "Ada"}, {"waived_by": "Eve"}]


def test_waivers_that_somebody_deleted_from_the_table_come_back(shop: Shop) -> None:
    """The archive is the truth, whatever the table says."""
    let_be(shop, reject(shop, named(1), 1))
    shop.rows("DELETE FROM waivers")
    shop.load(day(2))
    assert resolved(shop)[named(1), 1] == WAIVED


IN_FULL = '{"waived_by": "Ada", "because": "test", "waived_at": "%s", "reject_ids": %s}'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("{", id="cut off"),
        pytest.param("[]", id="no object"),
        pytest.param('{"waived_by": "Ada"}', id="parts missing"),
        pytest.param(IN_FULL % ("soon", "[]"), id="no moment"),
        pytest.param(IN_FULL % ("2024-01-01T00:00:00+00:00", '"abc"'), id="no list of rejects"),
    ],
)
def test_a_damaged_waiver_stops_the_load_and_is_named(content: str, shop: Shop) -> None:
    """It can't be told which rejects it closes, so no table is written as if there were none."""
    let_be(shop, reject(shop, named(1), 1))
    (file,) = files(shop)
    file.write_text(content, encoding="utf-8")
    with pytest.raises(RepairError, match=file.name):
        shop.load()
    assert resolved(shop)[named(1), 1] == WAIVED
