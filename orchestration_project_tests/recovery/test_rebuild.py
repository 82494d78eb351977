"""Rebuilds: another batching is refused until the feed is rebuilt, which ends as a load of all files anew would."""

import datetime as dt
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.cli.samples import COMMITTED_SAMPLE
from orchestration_project.contracts.feed import Required
from orchestration_project.errors import PlatformError, RecoveryError, WarehouseError
from orchestration_project.failpoints import Recovery
from orchestration_project.ingest.batching import settle_killed
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery import rebuild as rebuilding
from orchestration_project.recovery.drop import drop_feed
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.rejects.waive import Choice, waive
from orchestration_project.storage.batches import Cadence
from orchestration_project.warehouse import history_days
from orchestration_project.warehouse.feed_rows import SHARED, tables_of
from orchestration_project_tests.defs.product_marts.shop_marts import daily_spec
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, named, options
from orchestration_project_tests.recovery.stock import (
    CONTRACT,
    HEAD,
    fresh,
    nothing_tidied,
    proven,
    rebatched,
    rebuilt,
    stocked,
    weekly,
    whole,
)
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.stops import dying

pytestmark = pytest.mark.promise("crash")

TOKYO = ZoneInfo("Asia/Tokyo")
MONTHS = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-")
HOUR = dt.datetime.fromisoformat("2000-01-01T00:00")
POINTS = [
    Recovery.TREE_BUILT,
    Recovery.RANGE_LOADED,
    Recovery.TABLES_COPIED,
    Recovery.REBUILD_COMMITTED,
    Recovery.REPLACED,
    Recovery.SWITCHED,
    Recovery.PLACED,
    Recovery.OLD_REMOVED,
]

CHANGES = [
    pytest.param("cadence", weekly, id="cadence"),
    pytest.param(
        "batch_pattern",
        lambda found: rebatched(found, pattern=MONTHS),
        id="pattern",
    ),
    pytest.param("start_date", lambda found: rebatched(found, start=dt.date(2024, 1, 2)), id="start"),
    pytest.param("timezone", lambda found: rebatched(found, timezone=TOKYO), id="timezone"),
    pytest.param("mode", lambda found: replace(found, snapshot=True), id="mode"),
]


@pytest.mark.found("another cadence re-batched nothing, and a correction then doubled its records")
@pytest.mark.parametrize(("attribute", "change"), CHANGES)
def test_another_batching_is_refused(
    attribute: str, change: Callable[[FeedOptions], FeedOptions], tmp_path: Path
) -> None:
    """A load under another batching ends with one message that names the attribute and the way on; nothing changes."""
    shop = stocked(tmp_path)
    before = whole(shop)
    as_before, shop.options = shop.options, change(shop.options)
    found = verify(shop.warehouse, shop.settings, [ConfiguredFeed(shop.feed, shop.options)]).findings
    assert [(item.what, item.remedy) for item in found] == [
        ("was loaded under another batching", "orchestration-project rebuild f")
    ]
    status = status_of(shop.settings, [ConfiguredFeed(shop.feed, shop.options)], ["f"], NOW)
    assert any(attribute in problem and "rebuild f" in problem for problem in status.problems)
    others = {"cadence", "start_date", "batch_pattern", "timezone", "mode"} - {attribute}
    assert not any(f"{other} '" in problem for problem in status.problems for other in others)
    shop.deliver(named(3), f"{HEAD}k3,34\n")
    with pytest.raises(WarehouseError, match=f"{attribute}.*orchestration-project rebuild f`"):
        shop.load(day(8))
    shop.options = as_before
    (shop.settings.landing("f") / named(3)).unlink()
    assert whole(shop) == before


@pytest.mark.parametrize(
    "start", [pytest.param(dt.date(1990, 1, 1), id="earlier"), pytest.param(dt.date(2024, 1, 1), id="later")]
)
def test_a_start_date_that_concerns_no_batch_is_taken(start: dt.date, tmp_path: Path) -> None:
    """It may move as long as no loaded batch lies before it."""
    shop = stocked(tmp_path)
    before = shop.tables()
    shop.options = rebatched(shop.options, start=start)
    shop.load()
    assert shop.tables() == before
    assert shop.rows("SELECT start_date FROM feed_batching") == [{"start_date": str(start)}]


def test_a_feed_without_files_takes_any_batching(tmp_path: Path) -> None:
    """Before anything is accepted there is nothing that could be batched otherwise."""
    shop = Shop(tmp_path, CONTRACT)
    shop.deliver(named(1), "no header at all\n")
    shop.load()
    shop.options = weekly(shop.options)
    shop.deliver(named(1), f"{HEAD}a,1\n")
    shop.load(day(1))
    assert shop.cleaned("_batch_date") == [dt.date(2024, 1, 1)]


def test_a_warehouse_of_an_older_release(tmp_path: Path) -> None:
    """It does not say what it was loaded with: the present batching is taken if the ledger agrees, else refused."""
    shop = stocked(tmp_path)
    shop.rows("DROP TABLE feed_batching")
    as_before, shop.options = shop.options, weekly(shop.options)
    with pytest.raises(WarehouseError, match="orchestration-project rebuild f"):
        shop.load(day(8))
    shop.options = as_before
    shop.load()
    assert shop.rows("SELECT cadence FROM feed_batching") == [{"cadence": "daily"}]


@pytest.mark.found("after a change of cadence, 2 of 14 files came back from the archive of a lost warehouse")
def test_a_lost_warehouse_under_another_batching(tmp_path: Path) -> None:
    """The folders of the archive say that they are for other batches; a rebuild brings every file back."""
    shop = stocked(tmp_path / "a")
    shop.lose_warehouse()
    shop.options = weekly(shop.options)
    with pytest.raises(WarehouseError, match="orchestration-project rebuild f"):
        shop.load(day(8))
    rebuilt(shop)
    assert shop.tables() == fresh(shop, tmp_path / "b").tables()
    assert len({row["_file"] for row in shop.table("raw")}) == 14


@pytest.mark.found("nothing brought archived files into the batches of another cadence, pattern, zone or mode")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(weekly, id="weekly"),
        pytest.param(lambda found: rebatched(found, cadence=Cadence.MONTHLY, start=dt.date(2000, 1, 1)), id="monthly"),
        pytest.param(
            lambda found: rebatched(found, cadence=Cadence.HOURLY, start=HOUR, pattern=None),
            id="hourly by time",
        ),
        pytest.param(lambda found: rebatched(found, pattern=None), id="by time"),
        pytest.param(lambda found: rebatched(found, pattern=None, timezone=TOKYO), id="by time elsewhere"),
        pytest.param(lambda found: rebatched(found, timezone=TOKYO), id="timezone"),
        pytest.param(lambda found: rebatched(found, pattern=MONTHS), id="pattern"),
        pytest.param(lambda found: rebatched(found, start=dt.date(2024, 1, 1)), id="start"),
        pytest.param(lambda found: replace(found, snapshot=True), id="snapshot"),
    ],
)
def test_a_rebuild_ends_as_a_fresh_warehouse(
    change: Callable[[FeedOptions], FeedOptions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are those of all files loaded anew; ledger and archive prove it; later corrections replace, not double."""
    monkeypatch.setattr(rebuilding, "RANGE_BATCHES", 3)
    shop = stocked(tmp_path / "a")
    archived = len(shop.archive())
    shop.options = change(shop.options)
    found = rebuilt(shop)
    assert (found.archived, len(shop.archive())) == (archived, archived)
    expected = fresh(shop, tmp_path / "b")
    assert shop.tables() == expected.tables()
    assert proven(shop)
    for one in (shop, expected):
        one.deliver(named(3), f"{HEAD}k3,34\n", minute=2)
        one.load()
    assert shop.tables() == expected.tables()
    assert proven(shop)


def test_a_rebuild_of_an_unchanged_feed_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables, ledger, archive, quarantine and waivers are what they were, whatever the ranges."""
    shop = stocked(tmp_path)
    reject = shop.table("rejected")[0]["_reject_id"]
    with shop.warehouse.connection("waiver") as connection:
        waive(
            connection, shop.settings, shop.feed, shop.options, Choice([reject]), "Ada", "test", NOW, shop.told.append
        )
    repair = f"_reject_id,id,n\n{shop.table('rejected')[2]['_reject_id']},y,7\n"
    shop.deliver("2024-01-02.repair.csv", repair)
    shop.load()
    before = whole(shop)
    assert {row["_resolved_by"] for row in before["rejected"]} >= {"waived by Ada: test"}
    for size in (1, 4, 100):
        monkeypatch.setattr(rebuilding, "RANGE_BATCHES", size)
        rebuilt(shop)
        assert whole(shop) == before, size
        tried()


def test_a_rebuild_mends_what_was_written_to_the_tables(tmp_path: Path) -> None:
    """Nothing is taken from the tables that are doubted."""
    shop = stocked(tmp_path)
    before = shop.tables()
    shop.rows("UPDATE raw_f SET n = '9'")
    shop.rows("DELETE FROM cleaned_f WHERE _row = 1")
    rebuilt(shop)
    assert shop.tables() == before


@pytest.mark.parametrize("point", POINTS)
def test_a_rebuild_that_dies(point: Recovery, tmp_path: Path) -> None:
    """Before the commit the next load undoes it, and the batching is refused; after it the load finishes it."""
    shop = stocked(tmp_path / "a")
    as_before, before = shop.options, whole(shop)
    undisturbed = stocked(tmp_path / "b")
    undisturbed.options = shop.options = weekly(shop.options)
    rebuilt(undisturbed)
    finished = whole(undisturbed)
    with nothing_tidied(), dying(point):
        rebuilt(shop)
    tried()
    if point in POINTS[:3]:
        with pytest.raises(WarehouseError, match="rebuild f"):
            shop.load(day(8))
        shop.options = as_before
        shop.load()
        assert whole(shop) == before
    else:
        shop.load(day(8))
        assert whole(shop) == finished


@pytest.mark.found("after a change of cadence `verify` named partitions of marts that are not there any more")
def test_marts_of_a_rebuilt_feed() -> None:
    """A batch that a mart still has from before is made anew with the partition that has its day now."""
    spec = daily_spec()
    assert spec.feed
    weeks = replace(spec, feed=replace(spec.feed, options=weekly(spec.feed.options)))
    days = [dt.date(2024, 1, 17), dt.date(2024, 1, 21), dt.date(2024, 1, 22), dt.date(1990, 1, 1)]
    assert [spec.key_of(each) for each in days[:2]] == ["2024-01-17", "2024-01-21"]
    assert [weeks.key_of(each) for each in days] == ["2024-01-15", "2024-01-15", "2024-01-22", "1999-12-27"]


@pytest.mark.found("after a killed rebuild `verify` took the folders for damaged ones")
@pytest.mark.parametrize("point", POINTS)
def test_whoever_asks_after_a_killed_rebuild(point: Recovery, tmp_path: Path) -> None:
    """`verify` has it finished or undone first, as it opens no session; then all is proven."""
    shop = stocked(tmp_path)
    before, expected = shop.options, whole(shop)
    shop.options = weekly(shop.options)
    with nothing_tidied(), dying(point):
        rebuilt(shop)
    settle_killed(shop.warehouse, shop.settings, ["f"])
    if point in POINTS[:3]:
        shop.options = before
        assert whole(shop) == expected
    assert proven(shop)
    assert whole(shop)["hidden"] == []
    tried()


@pytest.mark.found("a change of cadence made the late bytes of a watched file another batch's, or stopped the load")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(weekly, id="weekly"),
        pytest.param(lambda found: rebatched(found, cadence=Cadence.HOURLY, start=HOUR, pattern=None), id="hourly"),
    ],
)
def test_a_writer_goes_on_after_a_rebuild(change: Callable[[FeedOptions], FeedOptions], tmp_path: Path) -> None:
    """What it adds to a file that was taken off landing comes in as a correction, for the batch that it has now."""
    shop = stocked(tmp_path)
    shop.options = change(shop.options)
    rebuilt(shop)
    (watched,) = shop.settings.archive("f").glob(f".taken/*/{named(9)}")
    modified = watched.stat().st_mtime
    with watched.open("a") as stream:
        stream.write("late,9\n")
    os.utime(watched, (modified + 1, modified + 1))
    shop.load()
    assert "late" in shop.cleaned("id")
    assert len({row["_file_version"] for row in shop.table("raw") if row["_file"] == named(9)}) == 1
    assert proven(shop)


def test_every_table_that_speaks_of_feeds_is_rebuilt(tmp_path: Path) -> None:
    """A new table that has rows of feeds has to be named in `SHARED`; else a rebuild would leave its rows behind."""
    shop = stocked(tmp_path)
    found = shop.rows("SELECT table_name FROM duckdb_tables() WHERE NOT internal ORDER BY 1")
    # The days of histories come with the first feed that has one.
    assert {row["table_name"] for row in found} | {history_days.TABLE} == {*tables_of("f"), *SHARED}


@pytest.mark.parametrize("point", POINTS[4:])
def test_a_warehouse_that_is_lost_while_folders_move(point: Recovery, tmp_path: Path) -> None:
    """Folders that were moved say that the new tables were committed."""
    shop = stocked(tmp_path)
    archived = len(shop.archive())
    shop.options = weekly(shop.options)
    with dying(point):
        rebuilt(shop)
    shutil.rmtree(tmp_path / "warehouse.duckdb.rebuild", ignore_errors=True)
    shop.lose_warehouse()
    rebuilt(shop)
    assert len(shop.archive()) == archived
    assert len({row["_file"] for row in shop.table("raw")}) == 14


def test_files_without_a_batch_stop_a_rebuild(tmp_path: Path) -> None:
    """They are named, and nothing changes."""
    shop = stocked(tmp_path)
    before = whole(shop)
    shop.options = rebatched(shop.options, start=dt.date(2024, 1, 3))
    with pytest.raises(RecoveryError, match=f"{named(1)}.*{named(2)}"):
        rebuilt(shop)
    shop.options = options()
    assert whole(shop) == before


@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_lost_files_stop_a_rebuild(damage: str, tmp_path: Path) -> None:
    """What was accepted and is not in the archive any more is named; only --accept-loss goes on without it."""
    shop = stocked(tmp_path)
    before = shop.tables()
    path = shop.settings.archive("f") / "2024-01-07" / named(7)
    path.unlink()
    if damage == "other bytes":
        path.write_text(f"{HEAD}z,1\n", encoding="utf-8")
    with pytest.raises(RecoveryError, match=f"does not have the accepted bytes of {named(7)}"):
        rebuilt(shop)
    assert shop.tables() == before
    rebuilt(shop, accept_loss=True)
    assert proven(shop)


def test_a_file_that_the_contract_refuses_stops_a_rebuild(tmp_path: Path) -> None:
    """It is named, and nothing changes."""
    shop = stocked(tmp_path)
    before = shop.tables()
    shop.feed = replace(CONTRACT, columns=(*CONTRACT.columns, column("more", "VARCHAR", Required())))
    with pytest.raises(PlatformError, match="s_2024"):
        rebuilt(shop)
    shop.feed = CONTRACT
    assert shop.tables() == before


@pytest.mark.found("a renamed feed left its tables behind, and its files were nobody's")
def test_a_renamed_feed(tmp_path: Path) -> None:
    """Its files, lines, repairs and waivers come under the new name; the old one leaves no trace."""
    shop = stocked(tmp_path)
    reject = shop.table("rejected")[0]["_reject_id"]
    with shop.warehouse.connection("waiver") as connection:
        waive(
            connection, shop.settings, shop.feed, shop.options, Choice([reject]), "Ada", "test", NOW, shop.told.append
        )
    repair = f"_reject_id,id,n\n{shop.table('rejected')[2]['_reject_id']},y,7\n"
    shop.deliver("2024-01-02.repair.csv", repair)
    shop.load()
    before, archived = shop.tables(), shop.archive()
    shop.deliver(named(20), f"{HEAD}q,1\n")
    exported = shop.settings.repairs("f") / "2024-01-03.repair.csv"
    exported.parent.mkdir(parents=True)
    exported.write_text("_reject_id,id,n\n", encoding="utf-8")
    new = ConfiguredFeed(replace(shop.feed, name="g"), shop.options)
    found = verify(shop.warehouse, shop.settings, [new], watched=["g"]).findings
    assert ["rebuild NEWNAME --from f" in item.remedy and "drop-feed f" in item.remedy for item in found] == [True]
    rebuild(shop.warehouse, shop.settings, new.feed, shop.options, lambda _: None, renamed_from="f")
    assert verify(shop.warehouse, shop.settings, [new], watched=["g"]).findings == []
    after = {name: shop.rows(f"SELECT * FROM {name}_g ORDER BY _batch_date, _file, _row") for name in TABLES}
    assert after == {name: before[name] for name in TABLES}
    assert sorted(path.name for path in (tmp_path / "archive").iterdir()) == ["g"]
    root = shop.settings.archive("g")
    moved = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert {path for path in moved if not path.startswith(".taken/")} == {*archived, "renamed.json"}
    assert shop.rows("SELECT DISTINCT feed FROM file_ledger") == [{"feed": "g"}]
    assert [path.name for path in shop.settings.landing("g").iterdir()] == [named(20)]
    assert [path.name for path in shop.settings.quarantine("g").glob("*.csv")] == [named(5, "u")]
    assert [path.name for path in shop.settings.repairs("g").iterdir()] == [exported.name]
    assert shop.rows("SELECT DISTINCT feed FROM feed_contracts") == [{"feed": "g"}]
    shop.lose_warehouse()
    rebuild(shop.warehouse, shop.settings, new.feed, shop.options, lambda _: None)
    assert shop.rows("SELECT * FROM rejected_g ORDER BY _batch_date, _file, _row") == before["rejected"]


@pytest.mark.found("what a writer added after its feed was renamed was lost")
def test_a_writer_goes_on_after_a_rename(tmp_path: Path) -> None:
    """The files that are watched come under the new name too; what is added to one comes in as a correction."""
    shop = stocked(tmp_path)
    watched = len([*shop.settings.archive("f").glob(".taken/*/*.csv")])
    shop.feed = replace(shop.feed, name="g")
    rebuilt(shop, renamed_from="f")
    found = [*shop.settings.archive("g").glob(".taken/*/*.csv")]
    assert len(found) == watched
    with next(path for path in found if path.name == named(9)).open("a") as stream:
        stream.write("late,9\n")
    shop.load(day(9))
    assert len(shop.rows("FROM raw_g WHERE id = 'late'")) == 1
    assert proven(shop)


TABLES = ("raw", "cleaned", "rejected")


@pytest.mark.parametrize("point", [*POINTS, Recovery.RENAMED])
def test_a_rename_that_dies(point: Recovery, tmp_path: Path) -> None:
    """Running it again ends as if it had not died."""
    shop = stocked(tmp_path)
    before = shop.table("cleaned")
    shop.deliver(named(20), f"{HEAD}q,1\n")
    new = replace(shop.feed, name="g")
    with dying(point):
        rebuild(shop.warehouse, shop.settings, new, shop.options, lambda _: None, renamed_from="f")
    if point in POINTS[:3]:
        rebuild(shop.warehouse, shop.settings, new, shop.options, lambda _: None, renamed_from="f")
    else:
        rebuild(shop.warehouse, shop.settings, new, shop.options, lambda _: None)
    assert shop.rows("SELECT * FROM cleaned_g ORDER BY _batch_date, _file, _row") == before
    assert sorted(path.name for path in (tmp_path / "archive").iterdir()) == ["g"]
    assert [path.name for path in shop.settings.landing("g").iterdir()] == [named(20)]
    tried()


@pytest.mark.found("a feed that was removed could not be dropped, and nothing told of it")
@pytest.mark.parametrize("point", [None, Recovery.ROWS_DROPPED, Recovery.FOLDER_KEPT])
def test_a_dropped_feed(point: Recovery | None, tmp_path: Path) -> None:
    """Its tables and lines go, its files are kept; a killed drop is finished by the next one; it can come back."""
    shop = stocked(tmp_path)
    before, archived = shop.tables(), shop.archive()
    memory = shop.settings.fetched("f")
    memory.parent.mkdir()
    memory.touch()
    assert [item.feed for item in verify(shop.warehouse, shop.settings, [], watched=[]).findings] == ["f"]
    with pytest.raises(RecoveryError, match="has a definition"):
        drop_feed(shop.warehouse, shop.settings, "f", ["f"], NOW)
    if point:
        with dying(point):
            drop_feed(shop.warehouse, shop.settings, "f", [], NOW)
    drop_feed(shop.warehouse, shop.settings, "f", [], NOW + dt.timedelta(seconds=1))
    assert verify(shop.warehouse, shop.settings, [], watched=[]).findings == []
    assert shop.rows("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%\\_f' ESCAPE '\\'") == []
    assert shop.rows("FROM file_ledger") == []
    assert not memory.exists()
    kept = next(path for path in (tmp_path / "dropped").glob("*/archive"))
    kept.rename(shop.settings.archive("f"))
    assert shop.archive() == archived
    rebuilt(shop)
    assert shop.tables() == before


def test_drop_feed_knows_feeds_by_their_folders(tmp_path: Path) -> None:
    """A name that is nobody's is an error."""
    shop = stocked(tmp_path)
    with pytest.raises(RecoveryError, match="neither a feed nor a folder"):
        drop_feed(shop.warehouse, shop.settings, "unheard_of", [], NOW)
    for name in ("", ".", "..", "../landing", "f/2024-01-01"):
        with pytest.raises(RecoveryError, match="is not the name of a feed"):
            drop_feed(shop.warehouse, shop.settings, name, [], NOW)
    assert len(shop.archive()) == 17


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none the second tree is made of copies."""
    shop = stocked(tmp_path)
    before = whole(shop)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    rebuilt(shop)
    assert whole(shop) == before


def test_the_commands(data_dir: Path) -> None:
    """`rebuild` and `drop-feed` as they are typed, with their errors."""
    archived = data_dir / "archive" / "sales" / "2024-01-15" / "sales_2024-01-15.csv"
    archived.parent.mkdir(parents=True)
    shutil.copy(COMMITTED_SAMPLE / "sales" / archived.name, archived)
    run = CliRunner()
    done = run.invoke(main, ["rebuild", "sales"])
    assert (done.exit_code, "sales is rebuilt: 1 of 1 archived files" in done.output) == (0, True), done.output
    refused = run.invoke(main, ["drop-feed", "sales"])
    assert (refused.exit_code, "has a definition" in refused.output) == (2, True)
    unknown = run.invoke(main, ["rebuild", "products"])
    assert (unknown.exit_code, "nothing to rebuild from" in unknown.output) == (2, True)
    (data_dir / "archive" / "sales").rename(data_dir / "archive" / "old")
    status = json.loads(run.invoke(main, ["status", "--json"]).output)
    assert [item["feed"] for item in status["unknown_feeds"]] == ["old"]
    assert any("rebuild NEWNAME --from old" in problem for problem in status["problems"])
    same = run.invoke(main, ["rebuild", "sales", "--from", "products"])
    assert (same.exit_code, "products has a definition" in same.output) == (2, True)
    renamed = run.invoke(main, ["rebuild", "sales", "--from", "old"])
    assert (renamed.exit_code, "sales is rebuilt: 1 of 1" in renamed.output) == (0, True), renamed.output
    assert run.invoke(main, ["verify", "sales"]).exit_code == 0
    (data_dir / "archive" / "sales").rename(data_dir / "archive" / "old")
    dropped = run.invoke(main, ["drop-feed", "old"])
    assert (dropped.exit_code, "old is dropped" in dropped.output) == (0, True)
    assert len([*data_dir.glob("dropped/old-*/archive/2024-01-15/*.csv")]) == 1
