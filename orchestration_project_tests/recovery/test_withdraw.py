"""Withdrawals: an accepted file is taken back, with its rows, and comes back when somebody changes their mind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.cli.samples import COMMITTED_SAMPLE
from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.errors import PlatformError, RecoveryError
from orchestration_project.failpoints import Point, Recovery
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.recovery.withdraw import Changed, Chosen, undo, withdraw
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named
from orchestration_project_tests.recovery.stock import weekly
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("deliveries")

CONTRACT = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Bound("minimum", "0")), primary_key=("id",))
HEAD = "id,n\n"
FIRST, SECOND = f"{HEAD}a,1\nb,2\n,3\n", f"{HEAD}b,4\nc,5\n"


def stocked(folder: Path, **more: Any) -> Shop:
    """Two days that share a key."""
    shop = Shop(folder, CONTRACT)
    shop.options = replace(shop.options, **more)
    shop.deliver(named(1), FIRST)
    shop.deliver(named(2), SECOND)
    shop.load()
    return shop


def taken(shop: Shop, name: str, reason: str = "wrong shop", key: str = "") -> Changed:
    return withdraw(
        shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(name, key), "Ada", reason, NOW, lambda _: None
    )


def undone(shop: Shop, name: str) -> Changed:
    return undo(shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(name), NOW, lambda _: None)


def remedies(shop: Shop) -> list[str]:
    """What `verify` says has to be done."""
    found = verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings
    return [item.remedy for item in found]


def proven(shop: Shop) -> bool:
    return remedies(shop) == []


def as_if(folder: Path, *deliveries: tuple[str, str], **more: Any) -> dict[str, Any]:
    """The tables that some deliveries give."""
    shop = Shop(folder, CONTRACT)
    shop.options = replace(shop.options, **more)
    minutes = {FIRST: 0, SECOND: 1}
    for name, content in deliveries:
        shop.deliver(name, content, minute=minutes.get(content, 2))
        shop.load()
    return shop.tables()


@pytest.mark.found("nothing took an accepted file back")
def test_a_withdrawn_file(tmp_path: Path) -> None:
    """Its rows go, keys of later days are free again, ledger and a note say who and why, and the bytes are kept."""
    shop = stocked(tmp_path / "a")
    found = taken(shop, named(1))
    assert (found.files, found.records, found.counting) == ([(named(1), "2024-01-01")], 3, [])
    assert shop.tables() == as_if(tmp_path / "b", (named(2), SECOND))
    assert shop.ledger("file", "status") == [(named(1), "withdrawn"), (named(2), "loaded")]
    (entry,) = shop.rows("SELECT archived_as, reason FROM file_ledger WHERE status = 'withdrawn'")
    aside = shop.settings.archive("f") / entry["archived_as"]
    assert aside.read_text(encoding="utf-8") == FIRST
    note = json.loads(aside.with_name(f"{aside.name}.withdrawn.json").read_text(encoding="utf-8"))
    assert (note["withdrawn_by"], note["reason"], note["file"]) == ("Ada", "wrong shop", named(1))
    assert entry["reason"] == "withdrawn by Ada on 2024-03-01: wrong shop"
    assert proven(shop)


def test_the_same_bytes_again(tmp_path: Path) -> None:
    """They are quarantined with the note, under whatever name; for another day they are another file."""
    shop = stocked(tmp_path)
    taken(shop, named(1))
    shop.deliver(named(1), FIRST)
    shop.deliver(named(1, "t"), FIRST)
    shop.deliver(named(5), FIRST)
    shop.load()
    assert {name: note["rule"] for name, note in shop.quarantine().items()} == {
        named(1): "withdrawn",
        named(1, "t"): "withdrawn",
    }
    assert "withdrawn by Ada on 2024-03-01: wrong shop" in shop.quarantine()[named(1)]["reason"]
    assert f"withdraw f {named(1)} --undo" in shop.quarantine()[named(1, "t")]["reason"]
    assert {row["_file"] for row in shop.table("raw")} == {named(2), named(5)}
    assert (named(1), "withdrawn") in shop.ledger("file", "status")
    assert proven(shop)


def test_a_corrected_file_after_a_withdrawal(tmp_path: Path) -> None:
    """Other bytes under the name are a delivery like any other; the withdrawn one keeps its place."""
    shop = stocked(tmp_path / "a")
    taken(shop, named(1))
    shop.deliver(named(1), f"{HEAD}z,1\n", minute=2)
    shop.load()
    assert shop.tables() == as_if(tmp_path / "b", (named(2), SECOND), (named(1), f"{HEAD}z,1\n"))
    assert sorted(path for path in shop.archive() if named(1) in path) == [
        f"2024-01-01/v2/{named(1)}",
        f"withdrawn/2024-01-01/{named(1)}",
        f"withdrawn/2024-01-01/{named(1)}.withdrawn.json",
    ]
    undone(shop, named(1))
    assert shop.tables() == as_if(tmp_path / "c", (named(2), SECOND), (named(1), f"{HEAD}z,1\n"))
    assert shop.ledger("file", "status")[:2] == [(named(1), "superseded"), (named(1), "loaded")]
    assert proven(shop)


def test_a_withdrawn_correction(tmp_path: Path) -> None:
    """The version before it counts again, as if the correction had never come; after --undo the correction does."""
    shop = stocked(tmp_path / "a")
    before = shop.tables()
    shop.deliver(named(1), f"{HEAD}z,1\n", minute=2)
    shop.load()
    corrected = shop.tables()
    assert taken(shop, named(1)).counting == [named(1)]
    assert shop.tables() == before
    assert proven(shop)
    assert undone(shop, named(1)).counting == [named(1)]
    assert shop.tables() == corrected
    assert proven(shop)


def test_undo(tmp_path: Path) -> None:
    """Tables, ledger and archive are what they were."""
    shop = stocked(tmp_path)
    before = (shop.tables(), shop.archive(), shop.ledger("file", "status", "archived_as", "delivery", "reason"))
    taken(shop, named(1))
    assert undone(shop, named(1)).records == 3
    after = (shop.tables(), shop.archive(), shop.ledger("file", "status", "archived_as", "delivery", "reason"))
    assert after == before
    assert proven(shop)


def test_duplicates_go_too(tmp_path: Path) -> None:
    """The decision is about the bytes: a copy of the file for the same batch does not take its place."""
    shop = stocked(tmp_path)
    shop.deliver(named(1, "t"), FIRST)
    shop.load()
    before = shop.tables()
    taken(shop, named(1))
    assert {row["_file"] for row in shop.table("raw")} == {named(2)}
    assert proven(shop)
    undone(shop, named(1, "t"))
    assert shop.tables() == before
    assert proven(shop)


def test_a_repair_file(tmp_path: Path) -> None:
    """The reject that it corrected is open again, and closed when it counts again."""
    shop = stocked(tmp_path)
    before = shop.tables()
    (reject,) = shop.table("rejected")[:1]
    repair = "2024-01-01.repair.csv"
    shop.deliver(repair, f"_reject_id,id,n\n{reject['_reject_id']},r,3\n")
    shop.load()
    repaired = shop.tables()
    assert "r" in shop.cleaned("id")
    taken(shop, repair)
    assert shop.tables() == before
    assert proven(shop)
    undone(shop, repair)
    assert shop.tables() == repaired
    assert proven(shop)


def test_a_snapshot(tmp_path: Path) -> None:
    """The snapshot before it counts again."""
    shop = stocked(tmp_path / "a", snapshot=True)
    both = shop.tables()
    taken(shop, named(2))
    assert shop.tables() == as_if(tmp_path / "b", (named(1), FIRST), snapshot=True)
    assert proven(shop)
    undone(shop, named(2))
    assert shop.tables() == both
    assert proven(shop)


@pytest.mark.parametrize("how", ["loads", "rebuild"])
def test_a_rebuild_honours_withdrawals(how: str, tmp_path: Path) -> None:
    """Also without a ledger, and again when it is undone afterwards."""
    shop = stocked(tmp_path)
    before = shop.tables()
    taken(shop, named(1))
    without = shop.tables()
    shop.lose_warehouse()
    if how == "loads":
        shop.load()
    else:
        rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    assert shop.tables() == without
    assert shop.ledger("file", "status") == [(named(1), "withdrawn"), (named(2), "loaded")]
    assert proven(shop)
    shop.lose_warehouse()
    undone(shop, named(1))
    shop.load()
    assert shop.tables() == before
    assert proven(shop)


def test_a_rebuild_for_another_cadence_honours_withdrawals(tmp_path: Path) -> None:
    """The withdrawn file is for the batch that it has now: its bytes are refused there, and it can be taken back."""
    shop = stocked(tmp_path / "a")
    taken(shop, named(2))
    shop.options = weekly(shop.options)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, lambda _: None)
    assert {row["_file"] for row in shop.table("raw")} == {named(1)}
    assert f"withdrawn/2024-01-01/{named(2)}.withdrawn.json" in shop.archive()
    assert proven(shop)
    shop.deliver(named(2, "t"), SECOND)
    shop.load(day(1))
    assert [note["rule"] for note in shop.quarantine().values()] == ["withdrawn"]
    undone(shop, named(2))
    undisturbed = Shop(tmp_path / "b", CONTRACT, shop.options)
    for name, content, minute in ((named(1), FIRST, 0), (named(2), SECOND, 1)):
        undisturbed.deliver(name, content, minute=minute)
    undisturbed.load(day(1))
    assert shop.tables() == undisturbed.tables()
    assert proven(shop)


POINTS = [Recovery.WITHDRAWAL_NOTED, Recovery.SET_ASIDE, Point.STAGED, Point.REMOVED, Point.COUNTED, Point.COMMITTED]


@pytest.mark.parametrize("point", POINTS)
def test_a_withdrawal_that_dies(point: Point | Recovery, tmp_path: Path) -> None:
    """Once it is noted, the next load finishes it, whatever batch it is asked for; nobody is told to restore a file."""
    shop = stocked(tmp_path / "a")
    with dying(point):
        taken(shop, named(1))
    assert not any("backup" in remedy for remedy in remedies(shop))
    shop.load(day(2))
    assert shop.tables() == as_if(tmp_path / "b", (named(2), SECOND))
    assert proven(shop)
    tried()


@pytest.mark.parametrize("point", [Recovery.TAKEN_BACK, Recovery.UNNOTED, Point.STAGED, Point.COUNTED, Point.COMMITTED])
def test_an_undo_that_dies(point: Point | Recovery, tmp_path: Path) -> None:
    """The next load finishes it, or the file stays withdrawn as long as its note is there."""
    shop = stocked(tmp_path)
    before = shop.tables()
    taken(shop, named(1))
    without = shop.tables()
    # The first load of an undo has nothing to do here, so it passes the points of a load too.
    with dying(point):
        undone(shop, named(1))
    assert not any("backup" in remedy for remedy in remedies(shop))
    shop.load(day(2))
    assert shop.tables() in (before, without)
    if point is Recovery.UNNOTED:
        assert shop.tables() == before
    assert proven(shop)
    tried()


def test_a_withdrawal_that_fails(tmp_path: Path) -> None:
    """If the version before can't be read any more, nothing changes."""
    shop = stocked(tmp_path)
    shop.deliver(named(1), f"{HEAD}z,1\n", minute=2)
    shop.load()
    before, archived = shop.tables(), shop.archive()
    (shop.settings.archive("f") / "2024-01-01" / named(1)).write_text("damaged", encoding="utf-8")
    with pytest.raises(PlatformError, match="can't be read from the archive any more"):
        taken(shop, named(1))
    assert (shop.tables(), shop.archive()) == (before, archived)


@pytest.mark.parametrize(
    ("name", "reason", "told"),
    [
        pytest.param(named(9), "why", "no file .* is accepted", id="unknown"),
        pytest.param(named(1), " ", "a reason", id="no reason"),
    ],
)
def test_what_can_not_be_withdrawn(name: str, reason: str, told: str, tmp_path: Path) -> None:
    """It is an error that says why."""
    shop = stocked(tmp_path)
    with pytest.raises(RecoveryError, match=told):
        taken(shop, name, reason)
    with pytest.raises(RecoveryError, match="no withdrawn file"):
        undone(shop, name)


def test_the_command(data_dir: Path) -> None:
    """`withdraw` as it is typed; the user is the one who decides, and `explain` knows it."""
    archived = data_dir / "archive" / "sales" / "2024-01-15" / "sales_2024-01-15.csv"
    archived.parent.mkdir(parents=True)
    content = (COMMITTED_SAMPLE / "sales" / archived.name).read_bytes()
    archived.write_bytes(content)
    run = CliRunner()
    assert run.invoke(main, ["rebuild", "sales"]).exit_code == 0
    without_reason = run.invoke(main, ["withdraw", "sales", archived.name])
    assert (without_reason.exit_code, "--reason or --undo" in without_reason.output) == (2, True)
    done = run.invoke(main, ["withdraw", "sales", archived.name, "--reason", "test data"])
    assert (done.exit_code, "records are out of the tables" in done.output) == (0, True), done.output
    assert "`orchestration-project verify` prints what to do" in done.output
    landed = data_dir / "landing" / "sales" / archived.name
    landed.parent.mkdir(parents=True, exist_ok=True)
    landed.write_bytes(content)
    assert "test data" in run.invoke(main, ["explain", str(landed)]).output
    undone = run.invoke(main, ["withdraw", "sales", archived.name, "--undo"])
    assert (undone.exit_code, "is taken back" in undone.output) == (0, True), undone.output
    assert archived.read_bytes() == content
