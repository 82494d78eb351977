"""Rejects are corrected once, by files that are dropped back; whatever else such a file holds is rejected."""

import datetime as dt
import gzip
import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from orchestration_project.contracts.feed import Bound, FileFormat, Required, SourceFormat
from orchestration_project.errors import WarehouseError
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.ingest.repairs import as_csv, cells, export, let_be, reject, repair_name, resolved
from orchestration_project_tests.ingest.shop import Shop, column, day, feed, named, options, parsed
from orchestration_project_tests.reliability.evidence import tried

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
    """Deliver a repair file for the n-th day and load it."""
    shop.deliver(repair_name(number, attempt), "\n".join(["id,n,_reject_id", *lines, ""]))
    shop.load()


def reasons(shop: Shop, file: str) -> dict[int, list[str]]:
    """The reasons of a file's rejected records."""
    return {row["_row"]: row["_reasons"] for row in shop.table("rejected") if row["_file"] == file}


def test_a_corrected_export_joins_its_batch_and_closes_its_rejects(shop: Shop, tmp_path: Path) -> None:
    """Exported, corrected and dropped in landing, rejects become rows of their batch, and say by which file."""
    (written,) = export(shop, tmp_path / "out")
    rows = cells(written.path)
    assert (written.path.name, written.rejects) == (repair_name(), 2)
    assert [(row["id"], row["n"], row["_reasons"]) for row in rows] == [
        ("a", "-1", "n: minimum"),
        ("c", "x", "n: type"),
    ]
    shop.deliver(written.path.name, as_csv([row | {"n": "5"} for row in rows]))
    shop.load()
    assert shop.cleaned("id", "n", "_file", "_batch_date") == [
        ("a", 5, repair_name(), day(1)),
        ("c", 5, repair_name(), day(1)),
        ("b", 2, named(1), day(1)),
    ]
    assert resolved(shop) == {(named(1), 1): repair_name(), (named(1), 3): repair_name()}
    assert states(shop) == {named(1): (1, 2, 2, 0, 0, 0), repair_name(): (2, 0, 0, 0, 0, 0)}
    assert shop.landing() == []


def test_a_repair_record_that_does_not_fit_is_a_reject_with_its_reason(shop: Shop) -> None:
    """Such a record corrects nothing, displaces nothing, and the accounts of all files balance."""
    shop.deliver(named(2), "id,n\nd,-1\n")
    fix(shop, f"c,-1,{reject(shop, named(1), 3)}", attempt=9)
    (good,) = shop.rows(
        "SELECT left(sha256(concat_ws('/', 'f', _file, _file_version, 2)), 16) FROM raw_f WHERE n = 'x'"
    )
    cases = [
        ("e,1,", "_reject_id: required"),
        ("e,1,0123456789abcdef", "_reject_id: not_rejected"),
        (f"e,1,{next(iter(good.values()))}", "_reject_id: not_rejected"),
        (f"e,1,{reject(shop, named(2), 1)}", "_reject_id: not_rejected"),
        (f"e,1,{reject(shop, repair_name(1, 9), 1)}", "_reject_id: not_rejected"),
        (f"c,-1,{reject(shop, named(1), 3)}", "n: minimum"),
        (f"b,1,{reject(shop, named(1), 1)}", f"id: duplicate_key (kept: {named(1)} row 2)"),
        ("e,1", "_raw_line: too_few_columns"),
    ]
    tried(len(cases))
    fix(shop, *(line for line, _ in cases))
    found = reasons(shop, repair_name())
    assert found == {row: [reason] for row, (_, reason) in enumerate(cases, start=1)}
    assert shop.cleaned("id", "n") == [("b", 2)]
    assert set(resolved(shop).values()) == {None}
    assert states(shop)[repair_name()] == (0, 8, 0, 0, 2, 0)


def test_of_several_repairs_of_a_reject_the_last_of_the_newest_file_counts(shop: Shop) -> None:
    """The others are rejected and name it; they close with the reject."""
    target = reject(shop, named(1), 1)
    fix(shop, f"a,1,{target}", f"a,2,{target}")
    kept = f"_reject_id: unique (kept: {repair_name()} row 2)"
    assert reasons(shop, repair_name()) == {1: [kept]}
    assert resolved(shop)[repair_name(), 1] == repair_name()
    fix(shop, f"a,7,{target}", attempt=2)
    kept = f"_reject_id: unique (kept: {repair_name(1, 2)} row 1)"
    assert reasons(shop, repair_name()) == {1: [kept], 2: [kept]}
    assert sorted(shop.cleaned("id", "n")) == [("a", 7), ("b", 2)]
    assert resolved(shop)[named(1), 1] == repair_name(1, 2)
    assert states(shop)[named(1)] == (1, 2, 1, 0, 0, 0)
    assert states(shop)[repair_name()] == (0, 2, 0, 0, 2, 0)


def test_dropping_a_repair_file_twice_changes_nothing(shop: Shop) -> None:
    """Not under its own name, nor under another."""
    lines = f"a,1,{reject(shop, named(1), 1)}"
    fix(shop, lines)
    tables, accounts = shop.tables(), states(shop)
    fix(shop, lines)
    assert (shop.tables(), states(shop)) == (tables, accounts)
    fix(shop, lines, attempt=2)
    assert (shop.tables(), states(shop)) == (tables, accounts)
    assert shop.ledger("file", "status") == [
        (repair_name(1, 2), "duplicate"),
        (repair_name(), "loaded"),
        (named(1), "loaded"),
    ]


def test_a_corrected_repair_file_replaces_the_one_before(shop: Shop) -> None:
    """A failed attempt goes with the version of the file that it came in."""
    target = reject(shop, named(1), 1)
    fix(shop, f"a,-5,{target}")
    assert states(shop)[repair_name()] == (0, 1, 0, 0, 1, 0)
    fix(shop, f"a,5,{target}")
    assert sorted(shop.cleaned("id", "n")) == [("a", 5), ("b", 2)]
    assert resolved(shop) == {(named(1), 1): repair_name(), (named(1), 3): None}


def test_a_failed_attempt_closes_with_its_reject(shop: Shop) -> None:
    """Whether by a later repair or by a waiver; the reject alone is counted."""
    first, third = reject(shop, named(1), 1), reject(shop, named(1), 3)
    fix(shop, f"a,-5,{first}", f"c,y,{third}")
    assert set(resolved(shop).values()) == {None}
    fix(shop, f"a,5,{first}", attempt=2)
    let_be(shop, third)
    assert resolved(shop) == {
        (named(1), 1): repair_name(1, 2),
        (named(1), 3): "waived by Ada: test",
        (repair_name(), 1): repair_name(1, 2),
        (repair_name(), 2): "waived by Ada: test",
    }
    assert states(shop)[named(1)] == (1, 2, 1, 1, 0, 0)
    assert states(shop)[repair_name()] == (0, 2, 0, 0, 2, 0)


def test_a_corrected_original_makes_its_repairs_void(shop: Shop) -> None:
    """When the file itself comes again, its records are new ones: the repair is rejected, and nothing counts twice."""
    fix(shop, f"a,5,{reject(shop, named(1), 1)}")
    shop.deliver(named(1), "id,n\na,1\nb,2\nc,3\n")
    shop.load()
    assert sorted(shop.cleaned("id", "n")) == [("a", 1), ("b", 2), ("c", 3)]
    assert reasons(shop, repair_name()) == {1: ["_reject_id: not_rejected"]}
    shop.deliver(named(1), STANDARD)
    shop.load()
    assert sorted(shop.cleaned("id", "n")) == [("a", 5), ("b", 2)]


def test_without_a_primary_key_repairs_are_not_compared(tmp_path: Path) -> None:
    """Equal records all stand, and the repaired one beside them."""
    shop = Shop(tmp_path, LIMITED)
    shop.deliver(named(1), "id,n\na,1\na,-1\n")
    shop.load()
    fix(shop, f"a,1,{reject(shop, named(1), 2)}")
    assert shop.cleaned("id", "n") == [("a", 1), ("a", 1)]


def test_rows_that_are_left_empty_are_blank_and_stay_open(tmp_path: Path) -> None:
    """A record that could not be split is exported with its text; filled in it is repaired, left as it is, open."""
    shop = Shop(tmp_path / "shop", KEYED)
    shop.deliver(named(1), 'id,n\na,1,extra\nb\nx"y"z,2\n')
    shop.load()
    (written,) = export(shop, tmp_path / "out")
    rows = cells(written.path)
    assert [(row["id"], row["n"], row["_raw_line"]) for row in rows] == [("", "", "a,1,extra"), ("", "", "b")]
    shop.deliver(written.path.name, as_csv([rows[0] | {"id": "a", "n": "1"}, rows[1]]))
    shop.load()
    assert resolved(shop) == {(named(1), 1): repair_name(), (named(1), 2): None}
    assert states(shop)[repair_name()] == (1, 0, 0, 0, 0, 1)


def test_a_repair_file_comes_as_spreadsheets_save_it(shop: Shop) -> None:
    """With a byte order mark, CR LF and quotes, compressed, columns in another order and case, some gone, one new."""
    target = reject(shop, named(1), 1)
    text = f'\ufeff_REJECT_ID,note,"N",id\r\n{target},"seen,\r\nby me",5,a\r\n'
    shop.deliver(f"{day(1)}.mine.repair.csv.gz", gzip.compress(text.encode()))
    shop.load()
    assert sorted(shop.cleaned("id", "n")) == [("a", 5), ("b", 2)]
    (rescued,) = [row["_rescued"] for row in shop.table("cleaned") if row["id"] == "a"]
    assert json.loads(rescued) == {"note": "seen,\r\nby me"}


@pytest.mark.parametrize(
    ("name", "content", "rule", "said"),
    [
        pytest.param(repair_name(), "id,n\na,1\n", "missing_column", "_reject_id", id="no column _reject_id"),
        pytest.param(repair_name(), "id;n;_reject_id\na;1;x\n", "no_header", "header", id="not comma-separated"),
        pytest.param("s.repair.csv", "id,n,_reject_id\n", "no_batch_in_name", "2000-01-01.repair.csv", id="no batch"),
        pytest.param("2024-02-30.repair.csv", "id,n,_reject_id\n", "no_batch_in_name", "2024-02-30", id="no such day"),
        pytest.param("1999-12-31.repair.csv", "id,n,_reject_id\n", "batch_out_of_range", "start_date", id="too early"),
        pytest.param(named(1, "r"), "id,n,_reject_id\na,1,x\n", "misnamed_repair", ".repair.csv", id="named otherwise"),
    ],
)
def test_a_repair_file_that_cannot_be_read_goes_to_quarantine(
    shop: Shop, name: str, content: str, rule: str, said: str
) -> None:
    """With a reason that tells what to do; nothing is loaded."""
    tables = shop.tables()
    shop.deliver(name, content)
    shop.load(day(1))
    (note,) = shop.quarantine().values()
    assert note["rule"] == rule
    assert said in note["reason"]
    assert shop.tables() == tables


def test_only_rules_of_the_contract_count_towards_max_reject_rate(tmp_path: Path) -> None:
    """A repair file of strangers is loaded and rejected row by row, one that breaks the contract is refused."""
    shop = Shop(tmp_path, KEYED, options(max_reject_rate=0.5))
    shop.deliver(named(1), "id,n\na,1\n")
    shop.load()
    fix(shop, "b,1,unknown")
    assert reasons(shop, repair_name()) == {1: ["_reject_id: not_rejected"]}
    fix(shop, "b,-1,unknown", attempt=2)
    assert shop.quarantine()[repair_name(1, 2)]["rule"] == "too_many_rejects"


def test_repairs_are_judged_again_when_the_contract_changes(shop: Shop) -> None:
    """A stricter rule rejects the repair and opens its reject; how the feed's own files are read does not matter."""
    fix(shop, f"a,5,{reject(shop, named(1), 1)}")
    shop.feed = feed(
        column("id", "VARCHAR", Required()),
        column("n", "INTEGER", Bound("minimum", "6")),
        primary_key=("id",),
    )
    shop.load(day(1))
    assert reasons(shop, repair_name()) == {1: ["n: minimum"]}
    assert resolved(shop)[named(1), 1] is None
    shop.feed = replace(KEYED, source=SourceFormat(delimiter=";"))
    with pytest.raises(WarehouseError, match=rf"1 file\(s\).*{named(1)!r}"):
        shop.load(day(1))
    shop.feed = replace(KEYED, source=SourceFormat(delimiter=","))
    shop.load(day(1))
    assert resolved(shop)[named(1), 1] == repair_name()


def test_a_late_batch_reaches_a_later_one_that_was_repaired(tmp_path: Path) -> None:
    """Keys of a batch that comes late count before those of a later one, whose repairs are validated again with it."""
    shop = Shop(tmp_path, KEYED)
    shop.deliver(named(2), "id,n\na,1\nb,-1\n")
    shop.load()
    fix(shop, f"b,1,{reject(shop, named(2), 2)}", "c,1,0123456789abcdef", number=2)
    shop.deliver(named(1), "id,n\na,2\n")
    shop.deliver(repair_name(), "id,n,_reject_id\nd,1,0123456789abcdef\n")
    shop.load(day(1))
    assert sorted(shop.cleaned("id", "_file")) == [("a", named(1)), ("b", repair_name(2))]
    assert reasons(shop, named(2))[1] == [f"id: duplicate_key (kept: {named(1)} row 1)"]
    assert reasons(shop, repair_name()) == {1: ["_reject_id: not_rejected"]}
    assert reasons(shop, repair_name(2)) == {2: ["_reject_id: not_rejected"]}


def parquet(folder: Path, sql: str) -> bytes:
    path = folder / "written.parquet"
    duckdb.sql(f"COPY ({sql}) TO '{path}' (FORMAT parquet)")
    return path.read_bytes()


@pytest.mark.parametrize("kind", [FileFormat.PARQUET, FileFormat.JSON, FileFormat.CSV])
def test_repair_files_are_csv_whatever_the_feed_s_format(kind: FileFormat, tmp_path: Path) -> None:
    """With the contract's names and the notation that it declares, here a decimal comma."""
    source = SourceFormat(kind, delimiter=";") if kind is FileFormat.CSV else SourceFormat(kind)
    contract = parsed(
        feed(
            column("id", "VARCHAR", Required(), source="The Id"),
            column("n", "DECIMAL(9,2)", Bound("minimum", "0"), source="N"),
            source=source,
        ),
        decimal_separator=",",
    )
    content = {
        FileFormat.PARQUET: parquet(tmp_path, """SELECT 'a' AS "The Id", -1.5::DECIMAL(9,2) AS "N" """),
        FileFormat.JSON: b'{"The Id": "a", "N": -1.5}\n',
        FileFormat.CSV: b"The Id;N\na;-1,5\n",
    }[kind]
    shop = Shop(tmp_path / "shop", contract)
    shop.deliver(named(1), content)
    shop.load()
    (written,) = export(shop, tmp_path / "out")
    (row,) = cells(written.path)
    assert row["N"].rstrip("0") == "-1,5"
    shop.deliver(written.path.name, as_csv([row | {"N": "1,5"}]))
    shop.load()
    assert shop.cleaned("id", "n") == [("a", Decimal("1.50"))]
    assert resolved(shop)[named(1), 1] == repair_name()


def test_an_hourly_feed_names_the_hour(tmp_path: Path) -> None:
    """The repair file of an hour is exported and comes back under it; one without an hour is refused."""
    pattern = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})T(?P<hour>\d{2})")
    batching = Batching(Cadence.HOURLY, dt.datetime(2024, 1, 1), pattern)  # noqa: DTZ001 - the feed's own calendar
    hour = dt.datetime(2024, 1, 1, 13)  # noqa: DTZ001 - the feed's own calendar
    shop = Shop(tmp_path / "shop", KEYED, FeedOptions(batching, max_reject_rate=1.0))
    shop.deliver("s_2024-01-01T13.csv", "id,n\na,-1\n")
    shop.load(hour)
    (written,) = export(shop, tmp_path / "out", hour)
    assert written.path.name == "2024-01-01-13.repair.csv"
    shop.deliver(written.path.name, as_csv([row | {"n": "1"} for row in cells(written.path)]))
    shop.deliver(repair_name(), "id,n,_reject_id\n")
    shop.load(hour)
    assert shop.cleaned("id", "n", "_batch_date") == [("a", 1, hour)]
    assert list(shop.quarantine()) == [repair_name()]


def test_the_second_of_two_hours_has_repair_files_of_its_own(tmp_path: Path) -> None:
    """Where clocks are put back, the rejects of each hour come back to it, under its name."""
    pattern = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})T(?P<hour>\d{2})(?P<offset>[+-]\d{4})")
    batching = Batching(Cadence.HOURLY, dt.datetime(2024, 1, 1), pattern, ZoneInfo("Europe/Berlin"))  # noqa: DTZ001
    first = dt.datetime(2024, 10, 27, 2)  # noqa: DTZ001 - the feed's own calendar
    second = batching.after(first)
    shop = Shop(tmp_path / "shop", KEYED, FeedOptions(batching, max_reject_rate=1.0))
    for offset, record in (("+0200", "a"), ("+0100", "b")):
        shop.deliver(f"s_2024-10-27T02{offset}.csv", f"id,n\n{record},-1\n")
    shop.load(first, second, now=dt.datetime(2024, 11, 1, tzinfo=dt.UTC))
    names = {hour: export(shop, tmp_path / "out", hour)[0].path for hour in (first, second)}
    assert [path.name for path in names.values()] == ["2024-10-27-02.repair.csv", "2024-10-27-02+0100.repair.csv"]
    for path in names.values():
        shop.deliver(path.name, as_csv([row | {"n": "1"} for row in cells(path)]))
    shop.load(first, second, now=dt.datetime(2024, 11, 1, tzinfo=dt.UTC))
    assert shop.cleaned("_batch_date", "id") == [(first, "a"), (second, "b")]
    assert [row["_resolved_by"] for row in shop.table("rejected")] == [path.name for path in names.values()]


@pytest.fixture
def catalogue(tmp_path: Path) -> Shop:
    """A snapshot feed that has loaded the catalogue of a day, with a reject."""
    shop = Shop(tmp_path, KEYED, options(snapshot=True))
    shop.deliver(named(1), "id,n\na,-1\nb,2\n")
    shop.load()
    return shop


def test_a_snapshot_is_repaired_not_replaced(catalogue: Shop) -> None:
    """The repair joins the newest snapshot; the next one supersedes both."""
    fix(catalogue, f"a,1,{reject(catalogue, named(1), 1)}")
    assert sorted(catalogue.cleaned("id", "n")) == [("a", 1), ("b", 2)]
    assert states(catalogue)[named(1)] == (1, 1, 1, 0, 0, 0)
    catalogue.deliver(named(2), "id,n\nb,3\n")
    catalogue.load()
    assert catalogue.cleaned("id", "n") == [("b", 3)]
    assert catalogue.ledger("file", "status") == [
        (repair_name(), "superseded"),
        (named(1), "superseded"),
        (named(2), "loaded"),
    ]


@pytest.mark.parametrize(
    ("number", "minute"), [pytest.param(2, 9, id="for another day"), pytest.param(1, 0, id="older than the snapshot")]
)
def test_a_repair_of_another_snapshot_is_superseded(catalogue: Shop, number: int, minute: int) -> None:
    """It changes nothing, however new its name is."""
    tables = catalogue.tables()
    catalogue.deliver(repair_name(number), f"id,n,_reject_id\na,1,{reject(catalogue, named(1), 1)}\n", minute)
    catalogue.load()
    assert catalogue.tables() == tables
    assert catalogue.ledger("file", "status")[0] == (repair_name(number), "superseded")


def test_a_repair_that_came_before_its_snapshot_counts_once_that_is_there(tmp_path: Path) -> None:
    """A superseded repair is looked at again with every new snapshot."""
    first, text = Shop(tmp_path / "first", KEYED, options(snapshot=True)), "id,n\na,-1\n"
    first.deliver(named(1), text, 0)
    first.load()
    shop = Shop(tmp_path / "shop", KEYED, options(snapshot=True))
    shop.deliver(repair_name(), f"id,n,_reject_id\na,1,{reject(first, named(1), 1)}\n", 5)
    shop.load()
    assert shop.ledger("status") == ["superseded"]
    shop.deliver(named(1), text, 0)
    shop.load()
    assert shop.cleaned("id", "n") == [("a", 1)]


@pytest.mark.found("a snapshot feed whose bytes came back under another name named another file after a rebuild")
def test_bytes_that_come_back_in_a_snapshot_feed_belong_to_who_had_them_first(tmp_path: Path) -> None:
    """As they do after a rebuild, when all files are looked at together."""
    shop = Shop(tmp_path, KEYED, options(snapshot=True))
    for number, text in ((1, "id,n\na,1\n"), (2, "id,n\na,2\n"), (3, "id,n\na,1\n")):
        shop.deliver(named(number), text)
        shop.load()
    tables = shop.tables()
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables


def test_a_snapshot_that_is_delivered_again_is_the_newest_again(tmp_path: Path) -> None:
    """Bytes that were superseded count anew when their file comes with a later time, and so they do after a rebuild."""
    batching = replace(options().batching, undated_by_age=True)
    shop = Shop(tmp_path, KEYED, options(snapshot=True, batching=batching))
    for name, text in (("p.csv", "id,n\na,1\n"), ("q.csv", "id,n\na,2\n"), ("p.csv", "id,n\na,1\n")):
        shop.deliver(name, text)
        shop.load()
    tables = shop.tables()
    assert shop.cleaned("id", "n") == [("a", 1)]
    shop.lose_warehouse()
    shop.load()
    assert shop.tables() == tables


def test_a_lost_warehouse_comes_back_with_repairs_and_waivers(shop: Shop) -> None:
    """From the archive alone, `_resolved_by` and all counts included."""
    fix(shop, f"a,5,{reject(shop, named(1), 1)}", "x,1,unknown")
    let_be(shop, reject(shop, named(1), 3))
    tables, accounts = shop.tables(), states(shop)
    shop.lose_warehouse()
    shop.load()
    assert (shop.tables(), states(shop)) == (tables, accounts)
