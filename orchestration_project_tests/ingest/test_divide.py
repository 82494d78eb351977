"""Files that span days: each record is in the batch that its `batch_column` tells."""

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.division import Division
from orchestration_project.contracts.feed import Feed, FileFormat, Parsing, SourceFormat
from orchestration_project.errors import WarehouseError
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions
from orchestration_project.inspection.explain import explain
from orchestration_project.inspection.lookup.versions import Asked
from orchestration_project.inspection.lookup.where import where
from orchestration_project.inspection.status import status_of
from orchestration_project.inspection.verify import verify
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project.storage.files import find
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import NOW, Shop, column, feed, options
from orchestration_project_tests.reliability.evidence import effort, tried

START = dt.date(2024, 1, 1)
HEADER = "id,sold_on,n\n"
DELIVERED = dt.date(2024, 2, 1)
"""The day on which `Shop` delivers."""


def contract(**fields: Any) -> Feed:
    """Sales with a key and a day."""
    columns = (column("id"), column("sold_on", "DATE"), column("n", "INTEGER"))
    return feed(*columns, **{"primary_key": ("id",), **fields})


def divided(cadence: Cadence = Cadence.DAILY, unit: str = "day", **fields: Any) -> FeedOptions:
    """A feed whose files are divided by `sold_on`."""
    batching = Batching(cadence, START if cadence is not Cadence.WEEKLY else dt.date(2024, 1, 1))
    return options(batching=batching, by_name=True, division=Division("sold_on", unit, START, "UTC"), **fields)


def shop_in(folder: Path, **fields: Any) -> Shop:
    """A shop whose files span days."""
    return Shop(folder, contract(**fields), divided())


def placed(shop: Shop, table: str = "cleaned") -> list[tuple[str, str]]:
    """Batch and id of each row of a table."""
    return [(str(row["_batch_date"]), row["id"]) for row in shop.table(table)]


def parts(shop: Shop) -> list[tuple[Any, ...]]:
    """What is noted of the batches of files: name, batch, records, cleaned and rejected."""
    rows = shop.rows("FROM file_batches ORDER BY file, batch")
    return [tuple(row[name] for name in ("file", "batch", "records", "cleaned", "rejected")) for row in rows]


def test_each_record_is_in_the_batch_of_its_day(tmp_path: Path) -> None:
    """A file that spans days is divided, and its ledger row has the day of delivery and all of its records."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\nc,2024-01-05,3\n")
    report = shop.load()
    assert placed(shop) == [("2024-01-05", "a"), ("2024-01-05", "c"), ("2024-01-06", "b")]
    assert shop.ledger("file", "batch", "records", "cleaned", "rejected") == [("y.csv", str(DELIVERED), 3, 3, 0)]
    assert parts(shop) == [("y.csv", "2024-01-05", 2, 2, 0), ("y.csv", "2024-01-06", 1, 1, 0)]
    assert report.batches == [dt.date(2024, 1, 5), dt.date(2024, 1, 6), DELIVERED]


def test_a_record_whose_batch_cannot_be_told_is_rejected_on_the_day_of_delivery(tmp_path: Path) -> None:
    """Missing, unreadable, too early and later than its file: each is rejected by `batch`, none is guessed."""
    shop = shop_in(tmp_path)
    days = ["", "5.1.2024", "2023-12-31", "2024-02-02", "2024-02-01", "2024-01-01"]
    shop.deliver("y.csv", HEADER + "".join(f"{number},{day},1\n" for number, day in enumerate(days, 1)))
    shop.load()
    assert shop.rejected() == {
        1: ["sold_on: batch"],
        2: ["sold_on: type", "sold_on: batch"],
        3: ["sold_on: batch"],
        4: ["sold_on: batch"],
    }
    assert {day for day, _ in placed(shop, "rejected")} == {str(DELIVERED)}
    assert placed(shop) == [("2024-01-01", "6"), ("2024-02-01", "5")]


def test_a_correction_replaces_the_rows_of_every_batch(tmp_path: Path) -> None:
    """Newer bytes of a name take the old version's rows out of each batch that had any."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\n")
    shop.load()
    shop.deliver("y.csv", f"{HEADER}b,2024-01-07,2\n", minute=60 * 24 * 2)
    report = shop.load()
    assert placed(shop) == placed(shop, "raw") == [("2024-01-07", "b")]
    assert parts(shop) == [("y.csv", "2024-01-07", 1, 1, 0)]
    assert shop.ledger("batch", "status") == [("2024-02-01", "superseded"), ("2024-02-03", "loaded")]
    assert {dt.date(2024, 1, 5), dt.date(2024, 1, 6), dt.date(2024, 1, 7)} <= {*(report.batches or ())}


def test_keys_count_once_across_the_batches_of_files(tmp_path: Path) -> None:
    """The earlier batch keeps a key, within a file and across files, as far back as the feed looks."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-06,1\na,2024-01-05,2\na,2024-01-20,3\n")
    shop.load()
    shop.deliver("z.csv", f"{HEADER}a,2024-01-02,4\n")
    shop.load()
    assert placed(shop) == [("2024-01-02", "a"), ("2024-01-20", "a")]
    assert shop.rejected() == {
        1: ["id: duplicate_key (kept: z.csv row 1)"],
        2: ["id: duplicate_key (kept: z.csv row 1)"],
    }
    assert parts(shop) == [
        ("y.csv", "2024-01-05", 1, 0, 1),
        ("y.csv", "2024-01-06", 1, 0, 1),
        ("y.csv", "2024-01-20", 1, 1, 0),
        ("z.csv", "2024-01-02", 1, 1, 0),
    ]
    assert shop.ledger("file", "cleaned", "rejected") == [("y.csv", 1, 2), ("z.csv", 1, 0)]


def stocked(folder: Path, **fields: Any) -> Shop:
    """Two files that share days and keys, one of them corrected; rejects without a batch, and an empty file."""
    shop = shop_in(folder, **fields)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\n,2024-01-09,3\n")
    shop.deliver("z.csv", f"{HEADER}a,2024-01-06,4\nc,2024-01-07,x\nd,never,6\n\n")
    shop.deliver("empty.csv", HEADER)
    shop.load()
    shop.deliver("y.csv", f"{HEADER}a,2024-01-08,1\nb,2024-01-06,2\n", minute=3000)
    shop.load()
    return shop


def state(shop: Shop) -> dict[str, Any]:
    """All that has to be the same whatever the order of arrival."""
    files = shop.rows(
        """SELECT file, batch, records, cleaned, rejected, blank_records FROM file_ledger WHERE status = 'loaded'
        ORDER BY ALL"""
    )
    return {**shop.tables(), "files": files, "parts": parts(shop)}


def sound(shop: Shop) -> list[str]:
    """What a verification of the feed finds, in words."""
    source = ConfiguredFeed(replace(shop.feed, division=shop.options.division), shop.options)
    return [f"{item.file} {item.what}" for item in verify(shop.warehouse, shop.settings, [source]).findings]


def test_a_lost_warehouse_comes_back_from_the_archive(tmp_path: Path) -> None:
    """A load that is asked for the days of delivery makes the same tables again, and everything is verified."""
    shop = stocked(tmp_path)
    before = state(shop)
    assert sound(shop) == []
    shop.lose_warehouse()
    shop.load()
    assert (state(shop), sound(shop)) == (before, [])


def test_a_rebuild_makes_the_same_tables(tmp_path: Path) -> None:
    """The archive alone gives tables, ledger and the batches of files again."""
    shop = stocked(tmp_path)
    before = state(shop)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, shop.told.append)
    assert (state(shop), sound(shop)) == (before, [])


def test_other_rows_of_a_divided_file_are_found_and_mended(tmp_path: Path) -> None:
    """Rows that somebody moved to another batch are a finding, and the next load reads their file again."""
    shop = stocked(tmp_path)
    before = state(shop)
    shop.rows("UPDATE raw_f SET _batch_date = '2024-01-15' WHERE _file = 'z.csv' AND id = 'a'")
    assert sound(shop) != []
    shop.load(dt.date(2024, 1, 6), dt.date(2024, 1, 15))
    assert (state(shop), sound(shop)) == (before, [])


def test_a_withdrawn_file_leaves_every_batch_and_comes_back(tmp_path: Path) -> None:
    """A withdrawal takes its rows out of each batch and gives others their keys back; undone, all is as before."""
    shop = stocked(tmp_path)
    before = state(shop)
    asked = (shop.warehouse, shop.settings, shop.feed, shop.options, Chosen("z.csv"))
    withdraw(*asked, "tester", "wrong", NOW, shop.told.append)
    assert {row["_file"] for row in shop.table("raw")} == {"y.csv"}
    assert {name for name, *_ in parts(shop)} == {"y.csv"}
    undo(*asked, NOW, shop.told.append)
    assert (state(shop), sound(shop)) == (before, [])


def test_another_reading_of_the_column_divides_all_files_anew(tmp_path: Path) -> None:
    """A contract that reads the column otherwise makes all batches from the archive, as a first load would."""
    shop = stocked(tmp_path / "old")
    columns = tuple(
        replace(item, parsing=Parsing(date_format="%Y-%d-%m")) if item.name == "sold_on" else item
        for item in shop.feed.columns
    )
    shop.feed = replace(shop.feed, columns=columns)
    shop.load()
    fresh = Shop(tmp_path / "new", shop.feed, shop.options)
    fresh.deliver("z.csv", f"{HEADER}a,2024-01-06,4\nc,2024-01-07,x\nd,never,6\n\n", minute=1)
    fresh.deliver("empty.csv", HEADER, minute=2)
    fresh.deliver("y.csv", f"{HEADER}a,2024-01-08,1\nb,2024-01-06,2\n", minute=3000)
    fresh.load()
    assert (state(shop), sound(shop)) == (state(fresh), [])


RECORDS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 12)), max_size=4)
FILES = st.dictionaries(st.sampled_from(["x.csv", "y.csv", "z.csv"]), st.tuples(RECORDS, RECORDS), min_size=1)


def written(records: list[tuple[str, int]]) -> str:
    """A file; its own days and numbers make the rows of equal keys differ."""
    return HEADER + "".join(f"{key},2024-01-{day:02d},{place}\n" for place, (key, day) in enumerate(records))


@pytest.mark.promise("deliveries")
@settings(max_examples=effort(6, 300), deadline=None, suppress_health_check=list(HealthCheck))
@given(files=FILES, order=st.randoms(use_true_random=False), alone=st.booleans())
def test_tables_are_a_function_of_the_current_files(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, Any], order: Any, alone: bool
) -> None:
    """Whatever came before, in whatever order and grouping, the tables are those of the last versions alone."""
    shop, fresh = (shop_in(tmp_path_factory.mktemp("shop")) for _ in range(2))
    minutes = {name: 2000 * place for place, name in enumerate(sorted(files))}
    for version in (0, 1):
        names = sorted(files)
        order.shuffle(names)
        for name in names:
            shop.deliver(name, written(files[name][version]), minutes[name] + version)
            if alone:
                shop.load()
        shop.load()
    for name, (first, last) in files.items():
        # The same bytes are known: the file stays what it was when it first came.
        fresh.deliver(name, written(last), minutes[name] + (written(first) != written(last)))
    fresh.load()
    assert state(shop) == state(fresh)
    tried()


@pytest.mark.parametrize(
    ("cadence", "unit", "expected"),
    [
        pytest.param(Cadence.DAILY, "day", ["2024-01-31", "2024-02-01"], id="daily"),
        pytest.param(Cadence.WEEKLY, "week", ["2024-01-29", "2024-01-29"], id="weekly"),
        pytest.param(Cadence.MONTHLY, "month", ["2024-01-01", "2024-02-01"], id="monthly"),
    ],
)
def test_batches_of_moments(tmp_path: Path, cadence: Cadence, unit: str, expected: list[str]) -> None:
    """A moment with a time zone is in the batch of its day in the feed's zone, whatever the cadence."""
    contract = feed(column("id"), column("sold_on", "TIMESTAMPTZ", parsing=Parsing(has_timezone=True)))
    batching = Batching(cadence, START, timezone=ZoneInfo("Europe/Berlin"))
    division = Division("sold_on", unit, START, "Europe/Berlin")
    shop = Shop(tmp_path, contract, options(batching=batching, by_name=True, division=division))
    shop.deliver("y.csv", "id,sold_on\na,2024-01-31 22:59:59+00:00\nb,2024-01-31 23:00:00+00:00\n")
    shop.load()
    assert [day for day, _ in placed(shop)] == expected


def parquet(folder: Path) -> bytes:
    """Two records as Parquet."""
    path = folder / "made.parquet"
    duckdb.sql(
        "SELECT * FROM (VALUES ('a', DATE '2024-01-05', 1), ('b', DATE '2024-01-06', 2)) AS t(id, sold_on, n)"
    ).write_parquet(str(path))
    return path.read_bytes()


FORMATS: dict[str, tuple[FileFormat, Callable[[Path], bytes]]] = {
    "csv": (FileFormat.CSV, lambda _: f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\n".encode()),
    "json": (
        FileFormat.JSON,
        lambda _: b'{"id":"a","sold_on":"2024-01-05","n":1}\n{"id":"b","sold_on":"2024-01-06","n":2}\n',
    ),
    "parquet": (FileFormat.PARQUET, parquet),
    "xlsx": (
        FileFormat.XLSX,
        lambda _: workbook(
            {"S": [("id", "sold_on", "n"), ("a", dt.date(2024, 1, 5), 1), (), ("b", dt.date(2024, 1, 6), 2)]}
        ),
    ),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_every_format_is_divided(tmp_path: Path, ending: str) -> None:
    """Files of every format are divided, survive the loss of the warehouse, and are verified."""
    file_format, content = FORMATS[ending]
    shop = shop_in(tmp_path, source=SourceFormat(file_format))
    shop.deliver(f"y.{ending}", content(tmp_path))
    shop.load()
    before = state(shop)
    assert placed(shop) == [("2024-01-05", "a"), ("2024-01-06", "b")]
    shop.lose_warehouse()
    shop.load()
    assert (state(shop), sound(shop)) == (before, [])


def packed(**files: str) -> bytes:
    """A zip archive of files with some records."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written:
        for name, records in files.items():
            written.writestr(zipfile.ZipInfo(f"{name}.csv"), HEADER + records)
    return stream.getvalue()


def test_members_of_an_archive_are_divided(tmp_path: Path) -> None:
    """Each member is a file of its own; a newer archive replaces the rows of all of its members in all batches."""
    shop = shop_in(tmp_path)
    shop.deliver("z.zip", packed(p="a,2024-01-05,1\nb,2024-01-06,1\n", q="c,2024-01-06,1\n"))
    shop.load()
    assert placed(shop) == [("2024-01-05", "a"), ("2024-01-06", "b"), ("2024-01-06", "c")]
    shop.deliver("z.zip", packed(p="a,2024-01-07,1\n"), minute=3000)
    shop.load()
    assert placed(shop) == placed(shop, "raw") == [("2024-01-07", "a")]
    assert sound(shop) == []


def test_a_repair_is_for_the_batch_that_its_name_tells(tmp_path: Path) -> None:
    """A corrected record counts in the batch of its reject; one that tells another batch is no correction."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,x\nb,2024-01-05,x\nc,2024-01-06,3\n")
    shop.load()
    first, second = (row["_reject_id"] for row in shop.table("rejected"))
    lines = f"{first},a,2024-01-05,1\n{second},b,2024-01-06,2\n"
    shop.deliver("2024-01-05.repair.csv", f"_reject_id,{HEADER}{lines}")
    shop.load(dt.date(2024, 1, 5))
    assert placed(shop) == [("2024-01-05", "a"), ("2024-01-06", "c")]
    assert [row["_reasons"] for row in shop.table("rejected") if row["_file"] != "y.csv"] == [["sold_on: batch"]]
    assert [row["_resolved_by"] for row in shop.table("rejected") if row["_file"] == "y.csv"] == [
        "2024-01-05.repair.csv",
        None,
    ]
    assert sound(shop) == []


def test_a_file_over_the_reject_rate_is_refused_as_a_whole(tmp_path: Path) -> None:
    """The rate is that of the file, not that of one of its batches, and the old version's rows stay."""
    shop = shop_in(tmp_path)
    shop.options = replace(shop.options, max_reject_rate=0.5)
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,x\nb,2024-01-06,2\nc,2024-01-06,3\n")
    shop.load()
    assert placed(shop) == [("2024-01-06", "b"), ("2024-01-06", "c")]
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,x\nb,2024-01-06,x\nc,2024-01-07,3\n", minute=3000)
    shop.load()
    assert shop.quarantine()["y.csv"]["rule"] == "too_many_rejects"
    assert placed(shop) == [("2024-01-06", "b"), ("2024-01-06", "c")]
    assert sound(shop) == []


def test_a_feed_that_is_divided_from_now_on_needs_a_rebuild(tmp_path: Path) -> None:
    """A load under another division is refused with the command; a rebuild puts each record into its batch."""
    shop = Shop(tmp_path, contract(), replace(divided(), division=None))
    shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\n")
    shop.load()
    assert {day for day, _ in placed(shop)} == {str(DELIVERED)}
    shop.options = divided()
    with pytest.raises(WarehouseError, match=r"batch_column '', now 'sold_on'.*rebuild f"):
        shop.load()
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, shop.told.append)
    assert placed(shop) == [("2024-01-05", "a"), ("2024-01-06", "b")]
    assert sound(shop) == []


def test_what_is_told_of_a_divided_file(tmp_path: Path) -> None:
    """`explain` lists the batches, `where` finds a record in its own, `status` tells the newest day with records."""
    shop = shop_in(tmp_path)
    shop.feed = replace(shop.feed, division=shop.options.division)
    path = shop.deliver("y.csv", f"{HEADER}a,2024-01-05,1\nb,2024-01-06,2\nc,2024-01-05,x\n")
    found = find(path)
    assert found is not None
    told = explain(shop.settings, shop.feed, shop.options, found, NOW)
    assert (told.batch, told.records, told.cleaned, told.rejected) == (str(DELIVERED), 3, 2, 1)
    assert "its records are in 2 batch(es): 2024-01-05 (2), 2024-01-06 (1)" in told.notes
    shop.load()
    source = ConfiguredFeed(shop.feed, shop.options)
    located = where(shop.settings, {"f": source}, [], Asked("y.csv"), 2).files
    assert [(item.batch, item.record and item.record.place.batch) for item in located] == [
        (str(DELIVERED), "2024-01-06")
    ]
    (status,) = status_of(shop.settings, [source], ["f"], NOW).feeds
    assert status.newest_batch == "2024-01-06"


def test_an_earlier_start_takes_in_what_was_too_early(tmp_path: Path) -> None:
    """Files are divided anew by an earlier first batch; a later one, after loaded records, is refused."""
    shop = shop_in(tmp_path)
    shop.deliver("y.csv", f"{HEADER}a,2023-12-31,1\nb,2024-01-06,2\n")
    shop.load()
    assert placed(shop) == [("2024-01-06", "b")]
    moved(shop, dt.date(2023, 12, 1))
    shop.load()
    assert placed(shop) == [("2023-12-31", "a"), ("2024-01-06", "b")]
    assert sound(shop) == []
    moved(shop, dt.date(2024, 1, 1))
    with pytest.raises(WarehouseError, match="start_date"):
        shop.load()


def moved(shop: Shop, start: dt.date) -> None:
    """Give the feed another first batch."""
    division = Division("sold_on", "day", start, "UTC")
    shop.options = replace(shop.options, batching=replace(shop.options.batching, start=start), division=division)
