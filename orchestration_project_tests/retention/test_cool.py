"""The cold archive: old files are moved whole, and whoever needs their bytes goes on as before."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.errors import ObjectStoreDown, ObjectStoreError, WarehouseBusy
from orchestration_project.failpoints import Cold
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.explain import Outcome, explain, found_file
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project.retention.cool import move_old, prove, relink_all
from orchestration_project.sources.complete import find_fetched
from orchestration_project.storage.cold import MEMBERS, ColdArchiveError, at_hand
from orchestration_project.storage.folder_objects import FolderStore
from orchestration_project_tests.ingest.shop import NOW, column, day, named
from orchestration_project_tests.recovery.archives import zip_delivered, zip_taken_back, zip_withdrawn
from orchestration_project_tests.recovery.stock import HEAD, rebuilt, weekly
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.stops import acting
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.reliability.zips import packed
from orchestration_project_tests.retention.aged import Aged, aged, moving
from orchestration_project_tests.servers.warehouses import copied_folder

pytestmark = pytest.mark.promise("disk")


@pytest.fixture
def shop(tmp_path: Path) -> Aged:
    """A shop all of whose files were moved."""
    made = aged(tmp_path)
    made.move()
    return made


def test_old_files_are_moved(tmp_path: Path) -> None:
    """All files that are old enough are links afterwards, younger ones stay; each content is stored once."""
    shop = aged(tmp_path)
    places = shop.places()
    shop.deliver(named(4), f"{HEAD}k4,4\n", 60 * 24 * 25)
    shop.load()
    size = sum((shop.settings.archive("f") / place).stat().st_size for place in places)
    moved = shop.move()
    assert (moved.files, moved.bytes, moved.left) == (5, size, [])
    assert shop.places() == dict.fromkeys(places, True) | {f"2024-01-04/{named(4)}": False}
    # The duplicate has the bytes of another file.
    assert len(shop.objects()) == 4
    assert shop.move().files == 0


def test_nothing_moves_without_the_settings(tmp_path: Path) -> None:
    """Without an age, files stay, although the URL is set."""
    shop = aged(tmp_path)
    before = shop.places()
    off = replace(shop.settings, cold_archive_days=None)
    assert move_old(shop.warehouse, off, NOW, print).files == 0
    assert shop.places() == before


def test_a_rebuild_fetches_what_it_needs(shop: Aged) -> None:
    """A lost warehouse comes back with the same rows, and what was moved stays moved."""
    before, places = shop.tables(), shop.places()
    shop.lose_warehouse()
    rebuilt(shop)
    assert shop.tables() == before
    assert shop.places() == places
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == before
    assert not [path for path in shop.folder.rglob("copy") if path.is_file()]


@pytest.mark.xdist_group("s3")
def test_an_object_store_is_a_place_as_well(tmp_path: Path, s3: str) -> None:
    """Files are moved to a bucket, looked up there, and fetched by a rebuild."""
    shop = aged(tmp_path, url=s3)
    before = shop.tables()
    assert shop.move().files == 5
    assert shop.verified().proven
    rebuilt(shop)
    assert shop.tables() == before
    assert relink_all(shop.settings) == 0


def test_a_rebuild_into_other_batches_takes_the_links_along(shop: Aged) -> None:
    """Where files belong to other batches now, their links lie there, and the bytes are found all the same."""
    whole = replace(shop, options=weekly(shop.options))
    rebuilt(whole)
    assert {place.split("/")[0] for place in whole.places()} == {"2024-01-01"}
    assert all(whole.places().values())
    assert whole.verified().proven


def test_rows_that_somebody_deleted_are_read_again(shop: Aged) -> None:
    """A load of the batch restores them from the cold archive."""
    before = shop.tables()
    shop.rows("DELETE FROM raw_f WHERE id = 'k1'")
    shop.load(day(1))
    assert shop.tables() == before


def test_a_column_that_the_contract_gains_is_read_from_old_files(shop: Aged) -> None:
    """The files that a changed contract reads otherwise are fetched."""
    shop.feed = replace(shop.feed, columns=(*shop.feed.columns, column("x", "INTEGER")))
    report = shop.load(day(1))
    assert {entry.file for entry in report.entries} >= {named(1)}
    assert shop.verified().proven
    assert all(shop.places().values())


def test_verify_looks_old_files_up(shop: Aged) -> None:
    """Nothing is fetched: what the cold archive lists is compared; what it lacks, and what was cut off, is found."""
    found = shop.verified()
    assert (found.proven, found.files, found.cold_files) == (True, 0, 5)
    gone, cut, *_ = shop.objects()
    gone.unlink()
    cut.write_bytes(b"x")
    findings = shop.verified().findings
    assert {item.what for item in findings} == {"is not in the cold archive"}
    assert {item.found for item in findings} == {"no such object", "1 bytes"}
    unset = replace(shop.settings, cold_archive_url="")
    (finding,) = verify(shop.warehouse, unset, [ConfiguredFeed(shop.feed, shop.options)]).findings
    assert finding.what == "the cold archive can't be listed"


def test_withdrawals_go_on(shop: Aged) -> None:
    """An old file is withdrawn and taken back; the version before it, which counts meanwhile, is fetched."""
    before = shop.tables()
    chosen = Chosen(named(2))
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "Ada", "test", NOW, print)
    assert shop.verified().proven
    rows = {row["id"]: row["n"] for row in shop.table("cleaned")}
    assert rows["k2"] == 2
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, NOW, print)
    assert shop.tables() == before
    assert shop.verified().proven
    assert all(shop.places().values())


def test_withdrawn_files_are_moved(tmp_path: Path) -> None:
    """A file that was withdrawn before the move is moved like all others, and comes back with its rows."""
    shop = aged(tmp_path)
    before = shop.tables()
    chosen = Chosen(named(2))
    withdraw(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, "Ada", "test", NOW, print)
    assert shop.move().files == 5
    assert shop.places()[f"withdrawn/2024-01-02/v2/{named(2)}"]
    assert shop.verified().proven
    undo(shop.warehouse, shop.settings, shop.feed, shop.options, chosen, NOW, print)
    assert shop.tables() == before
    assert shop.verified().proven


def zips_of(shop: Aged) -> dict[str, bool]:
    """The delivered zip archives, and whether each is in the cold archive."""
    return {place: cold for place, cold in shop.places().items() if place.startswith("zips/")}


def test_zip_archives_are_moved(tmp_path: Path) -> None:
    """One that was delivered is moved with its files, and can be withdrawn and taken back as before."""
    shop = aged(tmp_path)
    zip_delivered(shop)
    before = shop.tables()
    assert shop.move().files == 8
    assert [*zips_of(shop).values()] == [True]
    assert shop.verified().proven
    zip_withdrawn(shop)
    assert shop.tables() != before
    zip_taken_back(shop)
    rebuilt(shop)
    assert shop.tables() == before
    assert [*zips_of(shop).values()] == [True]
    assert prove(shop.settings, print).findings == []


@pytest.mark.found("a newer zip archive without a file that was in the cold archive stopped all loads of its feed")
def test_a_newer_zip_archive(tmp_path: Path) -> None:
    """What a moved one had is known without its bytes; where nobody has noted it, as after `relink`, it is fetched."""
    shop = aged(tmp_path)
    zip_delivered(shop)
    shop.move()
    (zipped,) = (path for path in shop.objects() if path.read_bytes()[:2] == b"PK")
    content = zipped.read_bytes()
    zipped.unlink()
    shop.deliver("z.zip", packed({named(2, "q"): "q,3"}), minute=2)
    shop.load(day(1), day(2))
    assert {row["id"]: row["n"] for row in shop.table("cleaned")}.items() >= {("q", 3)}
    assert "p" not in {row["id"] for row in shop.table("cleaned")}
    for note in shop.settings.archive("f").glob(f"zips/*/{MEMBERS}/*"):
        note.unlink()
    shop.deliver("z.zip", packed({named(1, "p"): "p,4"}), minute=4)
    with pytest.raises(ColdArchiveError, match=r"z\.zip is in the cold archive .* which does not have it: restore"):
        shop.load(day(1), day(2))
    zipped.write_bytes(content)
    shop.load(day(1), day(2))
    assert {row["id"] for row in shop.table("cleaned")} & {"p", "q"} == {"p"}
    assert shop.verified().proven


def test_a_redelivery_is_recognised(shop: Aged) -> None:
    """The same bytes load nothing, a correction gets the next place, and a name that is taken stays taken."""
    before = shop.tables()
    shop.deliver(named(1), f"{HEAD}k1,1\nr,1\n,1\nx,-1\n", 9)
    shop.load()
    assert (shop.tables(), shop.landing()) == (before, [])
    shop.deliver(named(1), f"{HEAD}k1,11\n", 9)
    shop.load()
    assert shop.places()[f"2024-01-01/v2/{named(1)}"] is False
    assert shop.places()[f"2024-01-01/{named(1)}"] is True
    assert shop.verified().proven


def test_old_files_can_be_explained(shop: Aged) -> None:
    """`explain` reads a file that is in the cold archive, and tells that it brings nothing new."""
    file = found_file(shop.settings.archive("f") / "2024-01-01" / named(1))
    assert file
    with at_hand(file, shop.settings.cold_archive_url) as here:
        found = explain(shop.settings, shop.feed, shop.options, here, NOW)
    assert (found.outcome, found.records) == (Outcome.NOTHING_NEW, 4)


def test_a_store_that_does_not_answer_costs_nothing(shop: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rebuild ends with one clear error, tables and links stay, and it succeeds when the store is back."""
    before, places = shop.tables(), shop.places()

    def down(*_: object) -> None:
        raise ObjectStoreDown("file:///cold does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "download", down)
        with pytest.raises(ObjectStoreError, match="does not answer"):
            rebuilt(shop)
    assert (shop.tables(), shop.places()) == (before, places)
    rebuilt(shop)
    assert shop.tables() == before


def test_other_bytes_are_refused(shop: Aged) -> None:
    """Bytes that rotted in the cold archive are never loaded: the error names file and object."""
    before = shop.tables()
    for path in shop.objects():
        path.write_bytes(b"y" * path.stat().st_size)
    with pytest.raises(ColdArchiveError, match=r"2024-01-0.* has other bytes: restore files/"):
        rebuilt(shop)
    assert shop.tables() == before
    assert len(prove(shop.settings, print).findings) == 5


def test_what_can_not_be_read_back_is_not_moved(tmp_path: Path) -> None:
    """A store that lost what it was given leaves all files where they were."""
    shop = aged(tmp_path)
    before = shop.places()

    def lose() -> None:
        for path in shop.objects():
            path.write_bytes(b"")

    with acting(Cold.PUT, lose), pytest.raises(ColdArchiveError, match="has other bytes"):
        shop.move()
    assert shop.places() == before
    # The next run stores again what is cut off.
    assert shop.move().files == 5
    assert prove(shop.settings, print).findings == []


def test_killed_at_every_step(tmp_path: Path) -> None:
    """Whatever step a move dies at, each file is in one of both places, and the next run finishes."""
    model = aged(tmp_path / "model")
    zip_delivered(model)
    zip_withdrawn(model)
    before = model.tables()
    steps = steps_of(moving(replace(model, folder=copied(model, tmp_path / "dry"))), None)
    fatal = [number for number, step in enumerate(steps) if step in {*Cold}]
    assert {steps[number] for number in fatal} == {*Cold}
    # One of each kind, and each link.
    chosen = {*{steps[number]: number for number in fatal}.values()}
    chosen |= {number for number in fatal if steps[number] == Cold.LINKED}
    for number in sorted(chosen):
        shop = replace(model, folder=copied(model, tmp_path / f"killed {number}"))
        assert killed(moving(shop), number)
        assert shop.verified().proven
        shop.move()
        assert all(shop.places().values())
        assert shop.verified().proven
        tried()
    rebuilt(shop)
    assert shop.tables() == before


def copied(shop: Aged, folder: Path) -> Path:
    """The shop's folder, copied to a machine of its own."""
    return copied_folder(shop.folder, folder / "shop")


def test_a_machine_that_lost_its_archive(shop: Aged) -> None:
    """The index finds all that was moved, and a rebuild makes the tables from it."""
    before, places = shop.tables(), shop.places()
    shutil.rmtree(shop.folder)
    assert relink_all(shop.settings) == 5
    assert shop.places() == places
    rebuilt(shop)
    assert shop.tables()["cleaned"] == before["cleaned"]
    assert relink_all(shop.settings) == 0


def test_a_lost_warehouse_is_seen(shop: Aged) -> None:
    """That a ledger without files is a lost one is told by an archive all of whose files were moved, too."""
    archive = shop.settings.archive("f")
    assert find_fetched([], {}, {}, archive, NOW).is_lost
    shutil.rmtree(archive)
    assert not find_fetched([], {}, {}, archive, NOW).is_lost


def test_a_warehouse_in_use_is_waited_for(tmp_path: Path) -> None:
    """While a load holds the warehouse no file changes; the move says who holds it, and what it stored is used."""
    shop = aged(tmp_path)
    before = shop.places()
    with shop.warehouse.connection("a load"), pytest.raises(WarehouseBusy, match="a load"):
        shop.move()
    assert shop.places() == before
    assert shop.move().files == 5


def test_the_commands(shop: Aged, monkeypatch: pytest.MonkeyPatch) -> None:
    """`cold-archive verify` reads everything and exits by what it finds, `relink` makes missing links."""
    monkeypatch.setenv("DATA_DIR", str(shop.folder))
    monkeypatch.setenv("COLD_ARCHIVE_URL", shop.settings.cold_archive_url)
    proven = CliRunner().invoke(main, ["cold-archive", "verify"])
    assert (proven.exit_code, "5 file(s)" in proven.output, "all proven" in proven.output) == (0, True, True)
    (shop.settings.archive("f") / str(day(1)) / named(1)).unlink()
    linked = CliRunner().invoke(main, ["cold-archive", "relink"])
    assert (linked.exit_code, linked.output.splitlines()[0][:7]) == (0, "1 file(")
    shop.objects()[0].unlink()
    assert CliRunner().invoke(main, ["cold-archive", "verify"]).exit_code == 1
