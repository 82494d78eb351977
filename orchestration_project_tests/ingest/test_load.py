"""Loads from landing to tables, ledger, archive and quarantine: versions, crashes, faults, limits."""

import datetime as dt
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.contracts.feed import FileFormat, Required, SourceFormat
from orchestration_project.errors import FileRefused, WarehouseError
from orchestration_project.failpoints import Point
from orchestration_project.formats.prepare import Prepared, prepare
from orchestration_project.ingest import from_landing, session
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.verify import verify
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.files import FoundFile, fingerprint
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.stops import acting, dying

pytestmark = pytest.mark.promise("deliveries")

A, B, C = "id,n\na,1\n", "id,n\nb,2\n", "id,n\nc,3\n"
BAD = "id,n\n,x\n,y\n"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A feed without keys."""
    return Shop(tmp_path)


@pytest.fixture
def catalogue(tmp_path: Path) -> Shop:
    """A snapshot feed."""
    return Shop(tmp_path, options=options(snapshot=True))


# -- versions ---------------------------------------------------------------------------------------------------------


def test_same_bytes_under_another_name_load_nothing(shop: Shop) -> None:
    """A file whose bytes are there already is kept as a duplicate and changes no table."""
    shop.deliver(named(1), A)
    shop.load()
    tables = shop.tables()
    shop.deliver(named(1, "again"), A)
    report = shop.load()
    assert shop.tables() == tables
    assert [(entry.file, entry.status) for entry in report.entries] == [(named(1, "again"), "duplicate")]
    assert shop.archive() == [f"2024-01-01/duplicate/{named(1, 'again')}", f"2024-01-01/{named(1)}"]


def test_same_bytes_under_the_same_name_load_nothing(shop: Shop) -> None:
    """A file that is delivered again unchanged leaves landing and nothing else happens."""
    shop.deliver(named(1), A)
    shop.load()
    tables, ledger = shop.tables(), shop.ledger("status", "seen_at")
    shop.deliver(named(1), A)
    report = shop.load()
    assert (report.again, report.entries) == ([named(1)], [])
    assert (shop.tables(), shop.ledger("status", "seen_at"), shop.landing()) == (tables, ledger, [])


@pytest.mark.found("a daily list that did not change had no rows from its second day on")
def test_same_bytes_for_another_batch(shop: Shop) -> None:
    """They are a file of their own, whichever came first, and a correction of one leaves the other alone."""
    for number in (2, 1):
        shop.deliver(named(number), A)
        assert shop.load(day(number)).batches == [day(number)]
    assert shop.cleaned("_batch_date", "id") == [(day(1), "a"), (day(2), "a")]
    assert shop.ledger("file", "status") == [(named(1), "loaded"), (named(2), "loaded")]
    assert shop.archive() == [f"2024-01-01/{named(1)}", f"2024-01-02/{named(2)}"]
    shop.deliver(named(1), B)
    shop.load(day(1))
    assert shop.cleaned("_batch_date", "id") == [(day(1), "b"), (day(2), "a")]
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables


@pytest.mark.found("a daily list that did not change had no rows from its second day on")
def test_rows_of_repeated_bytes_compete_for_keys_like_any_others(tmp_path: Path) -> None:
    """With a primary key the repeated rows are rejects that name what was kept; the file is not refused for them."""
    contract = replace(feed(), primary_key=("id",))
    shop = Shop(tmp_path, contract, options(max_reject_rate=0.1))
    for number in (1, 2):
        shop.deliver(named(number), A)
        shop.load()
    assert shop.cleaned("_batch_date") == [day(1)]
    assert [row["_reasons"] for row in shop.table("rejected")] == [[f"id: duplicate_key (kept: {named(1)} row 1)"]]


@pytest.mark.parametrize("together", [pytest.param(True, id="one load"), pytest.param(False, id="two loads")])
def test_repeated_bytes_are_refused_where_the_feed_says_so(tmp_path: Path, together: bool) -> None:
    """The file for the later batch is refused and names the other; files without records, and other bytes, are not."""
    shop = Shop(tmp_path, options=options(repeated_bytes="refuse"))
    for number, content in ((1, A), (2, A), (3, "id,n\n"), (4, "id,n\n"), (5, B)):
        shop.deliver(named(number), content)
        if not together:
            shop.load()
    shop.load()
    ((name, note),) = shop.quarantine().items()
    assert (name, note["rule"]) == (named(2), "repeated_bytes")
    assert f"{named(1)!r} of batch 2024-01-01" in note["reason"]
    assert shop.ledger("file", "status") == [
        (named(number), "quarantined" if number == 2 else "loaded") for number in range(1, 6)
    ]


def test_a_duplicate_inherits_when_the_holder_is_corrected(shop: Shop) -> None:
    """When the file that holds some bytes gets others, the file that repeated them is loaded, from the archive."""
    shop.deliver(named(1), A)
    shop.deliver(named(1, "t"), A)
    shop.load()
    shop.deliver(named(1), B)
    shop.load(day(1))
    assert shop.cleaned("_file", "id") == [(named(1), "b"), (named(1, "t"), "a")]


def test_a_duplicate_array_inherits(tmp_path: Path) -> None:
    """A file whose format itself counts its records can be loaded from the archive like any other."""
    shop = Shop(tmp_path, feed(source=SourceFormat(FileFormat.JSON)))
    shop.deliver(named(1), '[{"id":"a","n":1}]')
    shop.deliver(named(1, "t"), '[{"id":"a","n":1}]')
    shop.load()
    shop.deliver(named(1), '[{"id":"b","n":2}]')
    shop.load(day(1))
    assert shop.cleaned("_file", "id") == [(named(1), "b"), (named(1, "t"), "a")]


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_duplicate_whose_archived_bytes_are_lost(shop: Shop, damage: str) -> None:
    """If the bytes that are to be loaded from the archive are gone, the load changes nothing and names the file."""
    shop.deliver(named(1), A)
    shop.deliver(named(1, "t"), A)
    shop.load()
    archived = shop.folder / "archive/f/2024-01-01/duplicate" / named(1, "t")
    archived.unlink()
    if damage == "damaged":
        archived.write_text(B)
    tables = shop.tables()
    shop.deliver(named(1), B)
    with pytest.raises(WarehouseError, match=rf"{named(1, 't')}.*from the archive any more.*backup"):
        shop.load(day(1))
    assert shop.tables() == tables
    assert shop.landing() == [named(1)]


def test_new_bytes_replace_exactly_the_old_rows(shop: Shop) -> None:
    """A correction replaces the rows of its own file and no others; the old version is told as superseded."""
    shop.deliver(named(1), A)
    shop.deliver(named(1, "t"), B)
    shop.load()
    shop.deliver(named(1), "id,n\nz,26\n")
    shop.load()
    assert shop.cleaned("id") == ["z", "b"]
    assert shop.ledger("file", "status", "delivery") == [
        (named(1), "superseded", 1),
        (named(1), "loaded", 2),
        (named(1, "t"), "loaded", 1),
    ]
    assert f"2024-01-01/v2/{named(1)}" in shop.archive()


def test_back_and_forth(shop: Shop) -> None:
    """After A, B and A again, A counts, and so it does when the warehouse is rebuilt."""
    for content in (A, B, A):
        shop.deliver(named(1), content)
        shop.load()
    assert shop.cleaned("id") == ["a"]
    assert sorted(shop.ledger("status")) == ["loaded", "superseded"]
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables
    assert shop.archive() == [f"2024-01-01/{named(1)}", f"2024-01-01/v2/{named(1)}", f"2024-01-01/v3/{named(1)}"]


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        pytest.param("", "empty_file", id="no bytes"),
        pytest.param("x\n", "no_header", id="no header"),
        pytest.param(BAD, "too_many_rejects", id="too many rejects"),
    ],
)
def test_a_bad_redelivery_keeps_the_old_rows(tmp_path: Path, bad: str, rule: str) -> None:
    """A correction that is refused displaces nothing, neither then nor when the warehouse is rebuilt beside it."""
    shop = Shop(tmp_path, options=options(max_reject_rate=0.5))
    shop.deliver(named(1), A)
    shop.load()
    tables = shop.tables()
    shop.deliver(named(1), bad)
    report = shop.load()
    assert [item.error.rule for item in report.refused] == [rule]
    assert shop.tables() == tables
    assert shop.quarantine()[named(1)]["rule"] == rule
    shop.lose_warehouse()
    shop.deliver(named(1), bad)
    shop.load()
    assert shop.tables() == tables


def test_a_correction_to_nothing(shop: Shop) -> None:
    """A file that is corrected to its header alone takes its rows away and stays loaded, with no records."""
    shop.deliver(named(1), A)
    shop.load()
    shop.deliver(named(1), "id,n\n")
    shop.load()
    assert not any(shop.tables().values())
    assert shop.ledger("status", "records", "cleaned") == [("superseded", 1, 1), ("loaded", 0, 0)]


@pytest.mark.parametrize(
    ("source", "content"),
    [
        pytest.param(SourceFormat(), b"id,n\n", id="header only"),
        pytest.param(SourceFormat(FileFormat.JSON), b"[]", id="empty array"),
    ],
)
def test_files_without_records_all_load(source: SourceFormat, content: bytes, tmp_path: Path) -> None:
    """Equal bytes without records on many days are no duplicates, in one load or in several."""
    shop = Shop(tmp_path, feed(source=source))
    for number in (1, 2, 3):
        shop.deliver(named(number), content)
        if number > 1:
            shop.load()
    assert shop.ledger("batch", "status") == [(str(day(number)), "loaded") for number in (1, 2, 3)]


def test_a_contract_that_was_made_stricter_does_not_read_old_versions(shop: Shop) -> None:
    """A rebuild reads the current versions only: a superseded one that the contract refuses now is no obstacle."""
    shop.deliver(named(1), "id\na\n")
    shop.load()
    shop.deliver(named(1), A)
    shop.load()
    shop.feed = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Required()))
    shop.lose_warehouse()
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 1)]
    assert sorted(shop.ledger("status")) == ["loaded", "superseded"]


def test_an_archived_file_that_is_refused_now(shop: Shop) -> None:
    """A current version that can't be read from the archive any more stops the rebuild: its rows would be lost."""
    shop.deliver(named(1), "id\na\n")
    shop.load()
    shop.feed = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER", Required()))
    shop.lose_warehouse()
    with pytest.raises(WarehouseError, match=f"{named(1)}.*accepted once.*lacks n"):
        shop.load()


def undated(folder: Path, **how: Any) -> Shop:
    """A feed whose files are placed by their age."""
    return Shop(folder, options=replace(options(**how), batching=Batching(Cadence.DAILY, dt.date(2000, 1, 1))))


FEB = [dt.date(2024, 2, number) for number in (1, 2, 3)]
NOON = 24 * 60


@pytest.mark.found("each day's export.csv deleted the rows of the day before")
@pytest.mark.parametrize("third", [pytest.param(C, id="other bytes"), pytest.param(A, id="the first day's bytes")])
def test_an_undated_name_is_another_file_each_day(tmp_path: Path, third: str) -> None:
    """Each day's export is loaded, corrected and archived by itself; a rebuild in any order gives the same."""
    shop = undated(tmp_path)
    for number, content in enumerate((A, B, third)):
        shop.deliver("export.csv", content, minute=number * NOON)
        shop.load()
    assert shop.cleaned("_batch_date", "id") == list(zip(FEB, ("a", "b", third[5]), strict=True))
    assert shop.archive() == [f"{batch}/export.csv" for batch in FEB]
    shop.deliver("export.csv", "id,n\nz,1\n", minute=NOON + 1)
    shop.load()
    assert shop.cleaned("_batch_date", "id") == list(zip(FEB, ("a", "z", third[5]), strict=True))
    shop.deliver("export.csv", third, minute=2 * NOON)
    assert shop.load().again == ["export.csv"]
    tables = shop.tables()
    shop.lose_warehouse()
    for batch in (FEB[2], FEB[0], FEB[1]):
        shop.load(batch)
    assert shop.tables() == tables
    shop.lose_warehouse()
    shop.load()
    assert (shop.tables(), shop.landing()) == (tables, [])


def test_faults_of_files_with_one_name_are_told_apart(tmp_path: Path) -> None:
    """A new export that is refused leaves those of other days alone, also where all are read in one load."""
    shop = undated(tmp_path, max_reject_rate=0.5)
    for number, content in enumerate((A, B)):
        shop.deliver("export.csv", content, minute=number * NOON)
        shop.load()
    tables = shop.tables()
    for bad, rule in ((BAD, "too_many_rejects"), ("x\n", "no_header")):
        shop.lose_warehouse()
        shop.deliver("export.csv", bad, minute=2 * NOON)
        (refused,) = shop.load().refused
        assert (refused.batch, refused.error.rule, shop.tables()) == (FEB[2], rule, tables)


def test_rejects_of_equal_files_are_told_apart_by_their_batch(tmp_path: Path) -> None:
    """Of the same name and bytes on two days each keeps its own time, and a repair closes one of them only."""
    shop = undated(tmp_path)
    for number in (0, 1):
        shop.deliver("export.csv", "id,n\na,x\n", minute=number * NOON)
        shop.load()
    ids = {row["_batch_date"]: row["_reject_id"] for row in shop.table("rejected")}
    assert [row["_rejected_at"].date() for row in shop.table("rejected")] == FEB[:2]
    shop.deliver(f"{FEB[1]}.repair.csv", f"id,n,_reject_id\na,1,{ids[FEB[1]]}\n", minute=2 * NOON)
    shop.load()
    assert shop.cleaned("_batch_date", "n") == [(FEB[1], 1)]
    assert [row["_resolved_by"] for row in shop.table("rejected")] == [None, f"{FEB[1]}.repair.csv"]


def test_a_name_that_moves_between_batches(tmp_path: Path) -> None:
    """`undated: replace`: newer bytes replace the file, whatever their day; a rebuild in any order gives the same."""
    shop = undated(tmp_path, by_name=True)
    for number, content in enumerate((A, B)):
        shop.deliver("export.csv", content, minute=number * NOON)
        shop.load()
    tables = shop.tables()
    assert shop.cleaned("_batch_date", "id") == [(FEB[1], "b")]
    shop.lose_warehouse()
    shop.load(FEB[1])
    shop.load(FEB[0])
    assert shop.tables() == tables
    assert shop.ledger("batch", "status") == [(str(FEB[0]), "superseded"), (str(FEB[1]), "loaded")]
    assert verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings == []
    shop.load()
    assert shop.tables() == tables


# -- snapshots --------------------------------------------------------------------------------------------------------


def test_a_snapshot_replaces_the_one_before(catalogue: Shop) -> None:
    """Of a snapshot feed only the newest file's rows are in the tables."""
    for number, content in enumerate((A, B, C), start=1):
        catalogue.deliver(named(number), content)
        catalogue.load()
    assert catalogue.cleaned("id") == ["c"]
    assert catalogue.ledger("status") == ["superseded", "superseded", "loaded"]


def test_a_late_older_snapshot_changes_nothing(catalogue: Shop) -> None:
    """A snapshot for an earlier day than the current one is archived as superseded."""
    catalogue.deliver(named(2), A)
    catalogue.load()
    tables = catalogue.tables()
    catalogue.deliver(named(1), B)
    catalogue.load()
    assert catalogue.tables() == tables
    assert catalogue.ledger("file", "status") == [(named(1), "superseded"), (named(2), "loaded")]
    (catalogue.folder / "archive/f/lost+found").mkdir()
    catalogue.lose_warehouse()
    catalogue.load()
    assert catalogue.tables() == tables


@pytest.mark.found("an outdated snapshot that was delivered again was archived once more each time")
def test_an_older_snapshot_again(catalogue: Shop) -> None:
    """The same bytes of an outdated snapshot, of the same name and time, are known, and only leave landing."""
    for number, content in ((2, A), (1, B)):
        catalogue.deliver(named(number), content, minute=number)
        catalogue.load()
    archive = catalogue.archive()
    catalogue.deliver(named(1), B, minute=1)
    assert catalogue.load().again == [named(1)]
    assert (catalogue.landing(), catalogue.archive(), catalogue.cleaned("id")) == ([], archive, ["a"])


def test_a_bad_snapshot_keeps_the_one_before(tmp_path: Path) -> None:
    """A snapshot that is refused leaves the tables as they are."""
    shop = Shop(tmp_path, options=options(snapshot=True, max_reject_rate=0.5))
    shop.deliver(named(1), A)
    shop.load()
    shop.deliver(named(2), BAD)
    shop.load()
    assert shop.cleaned("id") == ["a"]


# -- crashes and changes ----------------------------------------------------------------------------------------------


def test_a_crash_between_commit_and_move(shop: Shop) -> None:
    """When the process dies after the commit, the next load only moves the files; the tables do not change."""
    for number, content in enumerate((A, B, A), start=1):
        shop.deliver(named(number), content)
    with dying(Point.COMMITTED):
        shop.load()
    tables = shop.tables()
    assert shop.cleaned("id") == ["a", "b", "a"]
    assert len(shop.landing()) == 3
    report = shop.load()
    assert report.again == [named(number) for number in (1, 2, 3)]
    assert (shop.tables(), shop.landing(), len(shop.archive())) == (tables, [], 3)


def test_a_duplicate_that_was_not_moved_yet_can_inherit(shop: Shop) -> None:
    """After a crash, a duplicate that still lies in landing is archived before its bytes are needed."""
    shop.deliver(named(1), A)
    shop.deliver(named(1, "t"), A)
    with dying(Point.COMMITTED):
        shop.load()
    shop.deliver(named(1), B)
    shop.load()
    assert shop.cleaned("_file", "id") == [(named(1), "b"), (named(1, "t"), "a")]
    assert shop.landing() == []


def test_a_crash_while_rows_are_written(shop: Shop) -> None:
    """When the process dies before the commit, nothing has changed, and the next load does it all."""
    shop.deliver(named(1), A)
    shop.load()
    tables = shop.tables()
    shop.deliver(named(1), B)
    with dying(Point.PUBLISHED):
        shop.load()
    assert (shop.tables(), shop.landing()) == (tables, [named(1)])
    shop.load()
    assert shop.cleaned("id") == ["b"]


def after_reading(shop: Shop, monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[Path], object]) -> None:
    """Have something happen to a file in landing once it has been read."""

    def prepare_and_act(feed: object, path: Path, file: str, work: Path, max_bytes: int) -> Prepared:
        prepared = prepare(shop.feed, path, file, work, max_bytes)
        if file == name and path.exists():
            act(path)
        return prepared

    monkeypatch.setattr("orchestration_project.ingest.discover.prepare", prepare_and_act)


def test_a_file_that_grows_while_it_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is written to during the load is left in landing; the others are loaded, and it is next time."""
    shop.deliver(named(1), A)
    shop.deliver(named(2), B)
    with monkeypatch.context() as patched:
        after_reading(shop, patched, named(1), lambda path: path.write_text(A + "x,9\n"))
        report = shop.load()
    assert (report.changed, shop.landing(), shop.cleaned("id")) == ([named(1)], [named(1)], ["b"])
    shop.load()
    assert shop.cleaned("id") == ["a", "x", "b"]


def test_a_file_that_vanishes_while_it_is_read(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is taken away during the load does no harm to the others."""
    shop.deliver(named(1), A)
    shop.deliver(named(2), B)
    after_reading(shop, monkeypatch, named(1), Path.unlink)
    report = shop.load()
    assert (report.changed, report.refused, shop.cleaned("id")) == ([named(1)], [], ["b"])


def vanish(path: Path) -> None:
    """Take a file away; it may be gone already."""
    path.unlink(missing_ok=True)


def grow(path: Path) -> None:
    """Write more to a file."""
    path.write_text(A + "x,9\n")


@pytest.mark.parametrize("act", [grow, vanish])
@pytest.mark.parametrize("point", [Point.STAGED, Point.COUNTED])
def test_a_file_that_changes_before_the_commit(shop: Shop, point: Point, act: Callable[[Path], None]) -> None:
    """A file that changes after its rows were written is not committed."""
    changed = shop.deliver(named(1), A)
    shop.deliver(named(2), B)
    with acting(point, lambda: act(changed)):
        report = shop.load()
    assert (report.changed, shop.cleaned("id")) == ([named(1)], ["b"])


@pytest.mark.found("the bytes of a file that its writer replaced between commit and move never reached the archive")
@pytest.mark.parametrize("point", [Point.SECURED, Point.COMMITTED, Point.FLUSHED])
def test_a_file_that_is_replaced_around_the_commit(shop: Shop, point: Point) -> None:
    """The accepted bytes are archived; the file that took their name is a correction for the next load."""
    shop.deliver(named(1), A)
    with acting(point, lambda: replace_file(shop, B)):
        report = shop.load()
    assert (report.changed, shop.landing(), shop.cleaned("id")) == ([named(1)], [named(1)], ["a"])
    assert [(shop.settings.archive("f") / path).read_text() for path in shop.archive()] == [A]
    shop.load()
    assert (shop.landing(), shop.cleaned("id"), len(shop.archive())) == ([], ["b"], 2)


def replace_file(shop: Shop, content: str) -> None:
    """Deliver a file as good writers do: under another name first."""
    part = shop.deliver(f".{named(1)}", content)
    part.rename(part.with_name(named(1)))


def test_a_file_that_is_replaced_and_the_correction_is_bad(shop: Shop) -> None:
    """Nothing of what is in the tables is missing in the archive, even when the next version is refused."""
    shop.deliver(named(1), A)
    with acting(Point.COMMITTED, lambda: replace_file(shop, "no header\n")):
        shop.load()
    shop.load()
    assert (shop.landing(), shop.cleaned("id"), list(shop.quarantine())) == ([], ["a"], [named(1)])
    shop.lose_warehouse()
    shop.load(day(1))
    assert shop.cleaned("id") == ["a"]


def test_a_file_that_is_overwritten_after_the_commit(shop: Shop) -> None:
    """A file into which its writer writes after the commit stays in landing, and is a correction for the next load."""
    path = shop.deliver(named(1), A)
    with acting(Point.COMMITTED, lambda: path.write_text(B)):
        report = shop.load()
    first = [f"{day(1)}/{named(1)}"]
    assert (report.changed, shop.landing(), shop.cleaned("id"), shop.archive()) == (
        [named(1)],
        [named(1)],
        ["a"],
        first,
    )
    shop.load()
    assert (shop.landing(), shop.cleaned("id"), len(shop.archive())) == ([], ["b"], 2)


def test_a_file_that_arrives_while_another_of_its_name_is_taken_away(shop: Shop) -> None:
    """A file that arrives in the instant in which its predecessor leaves landing is not lost."""
    shop.deliver(named(1), A)
    with acting(Point.TAKEN, lambda: replace_file(shop, B)):
        shop.load()
    assert (shop.landing(), shop.cleaned("id")) == ([named(1)], ["a"])
    shop.load()
    assert (shop.landing(), shop.cleaned("id")) == ([], ["b"])


def test_damaged_bytes_in_the_archive_are_not_trusted(shop: Shop) -> None:
    """A file is not dropped from landing for an archived copy that has other bytes."""
    shop.deliver(named(1), A)
    shop.load()
    (shop.folder / "archive/f/2024-01-01" / named(1)).write_text("damaged")
    shop.deliver(named(1), A)
    with pytest.raises(WarehouseError, match="stays in landing"):
        shop.load()
    assert shop.landing() == [named(1)]


# -- landing and quarantine -------------------------------------------------------------------------------------------


def test_only_what_was_asked_for_is_loaded(shop: Shop) -> None:
    """Files of other batches stay in landing."""
    shop.deliver(named(1), A)
    shop.deliver(named(2), B)
    shop.load(day(1))
    assert (shop.cleaned("id"), shop.landing()) == (["a"], [named(2)])


def test_a_future_batch_waits(shop: Shop) -> None:
    """A file for a batch that has not begun stays in landing until it has."""
    shop.deliver("s_2024-03-02.csv", A)
    shop.load(dt.date(2024, 3, 2))
    assert (shop.landing(), shop.tables()["raw"]) == (["s_2024-03-02.csv"], [])
    shop.load(dt.date(2024, 3, 2), now=NOW + dt.timedelta(days=1))
    assert (shop.landing(), shop.cleaned("id")) == ([], ["a"])


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        pytest.param("sales.csv", "no_batch_in_name", id="no date"),
        pytest.param("s_2024-02-30.csv", "no_batch_in_name", id="no such day"),
        pytest.param("s_1999-12-31.csv", "batch_out_of_range", id="before the feed's start"),
        pytest.param("v2", "reserved_name", id="a name of the archive"),
        pytest.param("duplicate", "reserved_name", id="another name of the archive"),
    ],
)
def test_files_that_can_not_be_placed(shop: Shop, name: str, rule: str) -> None:
    """A file that has no batch goes to quarantine with its reason, whatever batches the load is about."""
    shop.deliver(name, A)
    shop.load(day(5), run_id="run-1")
    note = shop.quarantine()[name]
    assert {key: note[key] for key in ("feed", "file", "rule", "bytes", "run_id")} == {
        "feed": "f",
        "file": name,
        "rule": rule,
        "bytes": len(A),
        "run_id": "run-1",
    }
    assert shop.ledger("file", "status", "reason") == [(name, "quarantined", f"{rule}: {note['reason']}")]
    assert shop.landing() == []


def test_refused_twice(shop: Shop) -> None:
    """Files that are refused under one name lie beside each other in quarantine."""
    for content in ("", "x\n", "y\n"):
        shop.deliver(named(1), content)
        shop.load()
    assert [(name, note["rule"]) for name, note in sorted(shop.quarantine().items())] == [
        ("s_2024-01-01.2.csv", "no_header"),
        ("s_2024-01-01.3.csv", "no_header"),
        (named(1), "empty_file"),
    ]


def test_what_is_no_finished_file_is_left_alone(shop: Shop) -> None:
    """Unfinished and hidden files, folders and links stay in landing."""
    landing = shop.deliver(named(1), A).parent
    (landing / "sub_2024-01-01.csv").mkdir()
    (landing / "link_2024-01-01.csv").symlink_to(landing / named(1))
    os.mkfifo(landing / "fifo_2024-01-01.csv")
    for name in ("x_2024-01-01.csv.part", "x_2024-01-01.csv.TMP", ".x_2024-01-01.csv"):
        shop.deliver(name, B)
    shop.load(day(1))
    assert shop.cleaned("id") == ["a"]
    assert len(shop.landing()) == 6


def test_an_unreadable_file(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is refused; it does not stop the others."""

    def denied(found: FoundFile) -> str:
        if found.name == named(1):
            raise FileRefused("unreadable", f"{found.name!r} can't be read: Permission denied")
        return fingerprint(found)

    monkeypatch.setattr(f"{from_landing.__name__}.fingerprint", denied)
    shop.deliver(named(1), A)
    shop.deliver(named(2), B)
    shop.load()
    assert (shop.cleaned("id"), shop.quarantine()[named(1)]["rule"]) == (["b"], "unreadable")


# -- limits and figures -----------------------------------------------------------------------------------------------


def test_nothing_is_left_behind(shop: Shop) -> None:
    """Rewritten copies go with the load, those of a killed one with the next; landing is there for the first file."""
    stale = shop.folder / "warehouse.duckdb.work" / "copy"
    stale.parent.mkdir()
    stale.write_text("left")
    shop.load(day(1))
    assert sorted(path.name for path in shop.folder.iterdir()) == [
        "landing",
        "state",
        "warehouse.duckdb",
        "warehouse.duckdb.lock",
    ]
    assert shop.landing() == []


def test_max_reject_rate(tmp_path: Path) -> None:
    """Every file of which more than the allowed share breaks the contract is refused, with the worst reasons."""
    shop = Shop(tmp_path, options=options(max_reject_rate=0.5))
    shop.deliver(named(1), "id,n\na,1\n,\nb,x\n")
    shop.deliver(named(2), "id,n\na,x\nb,y\n,z\nc,1\n")
    shop.deliver(named(3), BAD)
    shop.load()
    assert shop.cleaned("_batch_date", "id") == [(day(1), "a")]
    assert {name: note["reason"] for name, note in shop.quarantine().items()} == {
        named(2): f"{named(2)!r}: 3 of 4 records break the contract, more than max_reject_rate 0.5 allows:"
        " n: type (3), id: required (1)",
        named(3): f"{named(3)!r}: 2 of 2 records break the contract, more than max_reject_rate 0.5 allows:"
        " id: required (2), n: type (2)",
    }


def test_bad_bytes_under_many_names(tmp_path: Path) -> None:
    """Files with the same bad bytes are all refused, each under its own name."""
    shop = Shop(tmp_path, options=options(max_reject_rate=0.5))
    for number in (1, 2, 3):
        shop.deliver(named(number), BAD)
    shop.load()
    assert not any(shop.tables().values())
    assert [(name, note["reason"].startswith(f"{name!r}")) for name, note in sorted(shop.quarantine().items())] == [
        (named(number), True) for number in (1, 2, 3)
    ]


def test_duplicate_keys_are_not_the_fault_of_a_file(tmp_path: Path) -> None:
    """Records that lose against others' keys do not count for the reject rate."""
    contract = feed(column("id", "VARCHAR", Required()), primary_key=("id",))
    shop = Shop(tmp_path, contract, options(max_reject_rate=0.0))
    shop.deliver(named(1), "id\na\nb\n")
    shop.deliver(named(2), "id\nb\na\n")
    shop.load()
    assert shop.quarantine() == {}
    assert len(shop.table("rejected")) == 2


def test_the_report(shop: Shop) -> None:
    """A load reports its versions, counts and reasons by batch."""
    shop.deliver(named(1), "id,n\na,1\n\nb,x\nb,y\nshort\n")
    shop.deliver(named(2), B)
    report = shop.load()
    assert report.batches == [day(1), day(2)]
    assert [(item.batch, item.records, item.blank, item.cleaned, item.rejected) for item in report.counts] == [
        (day(1), 5, 1, 1, 3),
        (day(2), 1, 0, 1, 0),
    ]
    assert [(item.batch, item.reason, item.records) for item in report.reasons] == [
        (day(1), "n: type", 2),
        (day(1), "_raw_line: too_few_columns", 1),
    ]


def test_raw_first_and_the_rest_later(shop: Shop) -> None:
    """A load may read without publishing, and another publish without reading."""
    shop.deliver(named(1), A)
    shop.load(publish=False)
    assert (len(shop.table("raw")), shop.table("cleaned")) == (1, [])
    shop.deliver(named(2), B)
    shop.load(day(1), day(2), read=False)
    assert (shop.cleaned("id"), shop.landing()) == (["a"], [named(2)])
    assert shop.ledger("cleaned") == [1]


def test_a_file_is_judged_even_if_only_read(tmp_path: Path) -> None:
    """A file that breaks the contract too much is refused also by a load that does not publish."""
    shop = Shop(tmp_path, options=options(max_reject_rate=0.5))
    shop.deliver(named(1), BAD)
    shop.load(publish=False)
    assert (shop.table("raw"), list(shop.quarantine())) == ([], [named(1)])


def test_hourly_batches(tmp_path: Path) -> None:
    """A feed with several batches a day keeps them apart, and its keys look back by the clock."""
    import re

    pattern = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})T(?P<hour>\d{2})")
    batching = Batching(Cadence.HOURLY, dt.datetime(2000, 1, 1), pattern)  # noqa: DTZ001 - in the feed's own time
    contract = feed(column("id", "VARCHAR", Required()), primary_key=("id",))
    shop = Shop(tmp_path, contract, options(batching=batching, key_look_back=dt.timedelta(hours=2)))
    for hour in (1, 3, 6):
        shop.deliver(f"s_2024-01-01T{hour:02}.csv", f"id\na\n{hour}\n")
        shop.load()
    assert [(batch.hour, id_) for batch, id_ in shop.cleaned("_batch_date", "id")] == [
        (1, "a"),
        (1, "1"),
        (3, "3"),
        (6, "a"),
        (6, "6"),
    ]


def test_a_new_column_of_the_contract(shop: Shop) -> None:
    """A column that the contract gains is NULL in what was loaded before and filled in what follows."""
    shop.deliver(named(1), A)
    shop.load()
    shop.feed = feed(*shop.feed.columns, column("x", "INTEGER"))
    shop.deliver(named(2), "id,n,x\nb,2,3\n")
    shop.load(day(2))
    assert shop.cleaned("id", "x") == [("a", None), ("b", 3)]


def test_many_files_take_no_more_statements_than_few(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of a load is done by statements over all of its files, bad ones among them."""
    seen: list[str] = []

    class Counting:
        def __init__(self, connection: object) -> None:
            self.connection = connection

        def execute(self, sql: str, *parameters: object) -> object:
            seen.append(sql)
            return self.connection.execute(sql, *parameters)  # type: ignore[attr-defined]  # a DuckDB connection

        def __getattr__(self, name: str) -> object:
            return getattr(self.connection, name)

    own = session.Session

    def counting(connection: object, *arguments: object) -> session.Session:
        return own(Counting(connection), *arguments)  # type: ignore[arg-type]  # stands in for a connection

    monkeypatch.setattr(session, "Session", counting)
    shop.options = options(max_reject_rate=0.5)
    counts = []
    for start, size in ((1, 1), (2, 2), (4, 20)):
        for number in range(start, start + size):
            shop.deliver(named(number), f"id,n\na{number},1\n")
            shop.deliver(named(number, "bad"), f"id,n\n,x{number % 3}\n")
            shop.deliver(named(number, "odd"), f'id,n\n"a"b{number},1\nc{number},1\n')
        seen.clear()
        shop.load(*(day(number) for number in range(start, start + size)))
        counts.append(len(seen))
    assert counts[1] == counts[2]
    assert len(shop.quarantine()) == 23


def test_reasons_are_json(shop: Shop) -> None:
    """The note beside a refused file is JSON with line and byte of the fault."""
    shop.deliver(named(1), b"id,n\na,\xff\n")
    shop.load()
    path = shop.folder / "quarantine/f" / f"{named(1)}.reason.json"
    note = json.loads(path.read_text(encoding="utf-8"))
    assert (note["rule"], note["line"], note["byte"]) == ("undecodable", 2, 7)
