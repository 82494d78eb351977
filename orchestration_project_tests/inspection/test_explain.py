"""What `explain` says is what a load does, and it leaves everything as it was."""

import datetime as dt
import gzip
import json
from dataclasses import asdict, replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import MASK, Bound, FileFormat, Required, SourceFormat
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredPrefix, IgnoredWhere
from orchestration_project.inspection.explain import Explanation, Outcome, explain, first_records_sql, found_file
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried


def explained(shop: Shop, path: Path, now: dt.datetime = NOW) -> Explanation:
    found = found_file(path)
    assert found
    return explain(shop.settings, shop.feed, shop.options, found, now)


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """All files with their bytes and times."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".lock")
    }


LINES = st.lists(
    st.sampled_from(["1,2", "1,x", "2,2", "3", ",", "", '"4"",5', '"a\nb",7', "id,n", "9,9,9"]), max_size=8
)


@pytest.mark.promise("input")
@settings(max_examples=effort(15, 200), deadline=None)
@given(lines=LINES, ends=st.sampled_from(["\n", "\r\n"]))
def test_a_load_does_what_was_explained(lines: list[str], ends: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Counts, reasons, refusal and read columns of an explanation are those of the load that follows."""
    tried()
    contract = feed(column("id", "VARCHAR", Required()), column("n", "INTEGER"), primary_key=("id",))
    shop = Shop(tmp_path_factory.mktemp("explain"), contract, options(max_reject_rate=0.6))
    path = shop.deliver(named(1), ends.join(["id,n", *lines]))
    told = explained(shop, path)
    report = shop.load(day(1))
    assert [item.rule for item in told.refusals] == [item.error.rule for item in report.refused]
    if told.outcome is Outcome.REFUSED:
        return
    counted = [(item.records, item.blank, item.cleaned, item.rejected) for item in report.counts] or [(0, 0, 0, 0)]
    assert counted == [(told.records, told.blank, told.cleaned, told.rejected)]
    assert [(item.reason, item.records) for item in report.reasons] == [
        (item.reason, item.records) for item in told.reasons
    ]
    assert told.outcome is (Outcome.LOADED_WITH_REJECTS if told.rejected else Outcome.LOADED)


def test_nothing_is_changed(tmp_path: Path) -> None:
    """Neither the file nor landing, archive, quarantine or warehouse."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n1,2\n")
    shop.load()
    path = shop.deliver(named(2), "id,n\n1,x\n")
    before = everything(tmp_path)
    assert explained(shop, path).outcome is Outcome.LOADED_WITH_REJECTS
    assert everything(tmp_path) == before


def test_reasons_have_the_first_records(tmp_path: Path) -> None:
    """Each reason names its first three records, with their lines and the values that broke it."""
    shop = Shop(tmp_path)
    path = shop.deliver(named(1), "report of today\nid,n\n1,2\n2,x\n3,y\n4,z\n5,w\n")
    (reason,) = explained(shop, path).reasons
    assert (reason.reason, reason.records) == ("n: type", 4)
    assert [(item.row, item.line, dict(item.values)) for item in reason.examples] == [
        (2, 4, {"n": "x"}),
        (3, 5, {"n": "y"}),
        (4, 6, {"n": "z"}),
    ]


def test_ignored_records_are_shown(tmp_path: Path) -> None:
    """Each rule names its first three records with their lines and texts, and a total that does not match is told."""
    total = IgnoredWhere("totals", "\"id\" = 'Total'", ("id",), (ControlTotal("n"),))
    contract = feed(column("id"), column("n", "INTEGER"), ignored=(total, IgnoredPrefix("comments", "#")))
    shop = Shop(tmp_path, contract)
    told = explained(shop, shop.deliver(named(1), "id,n\n#1\na,1\n#2\n#3\n#4,x\nTotal,2\n"))
    assert (told.records, told.cleaned, told.rejected, told.blank, told.ignored) == (6, 1, 0, 0, 5)
    assert [(item.reason, item.records, [found.line for found in item.examples]) for item in told.ignored_by] == [
        ("totals", 1, [7]),
        ("comments", 4, [2, 4, 5]),
    ]
    assert dict(told.ignored_by[0].examples[0].values) == {"id": "Total", "n": "2"}
    assert told.outcome is Outcome.LOADED
    assert "control total of n: its total is 2; the 1 records add up to 1" in told.notes


def test_columns_may_be_called_as_the_query_calls_its_own(tmp_path: Path) -> None:
    """A contract's columns `rule` and `reason` are shown with their values, and are taken for no rule."""
    contract = feed(column("reason", "INTEGER"), column("rule", "INTEGER"))
    shop = Shop(tmp_path, contract)
    told = explained(shop, shop.deliver(named(1), "reason,rule\n1,2\nx,3\n4,y\n"))
    assert [(item.reason, item.records, dict(item.examples[0].values)) for item in told.reasons] == [
        ("reason: type", 1, {"reason": "x"}),
        ("rule: type", 1, {"rule": "y"}),
    ]


def test_the_first_records_of_each_rule() -> None:
    """Rejected rows with their reasons give the first three records of each rule, whatever else a reason tells."""
    contract = feed(column("id"))
    reasons = {1: ["id: unique (kept: s.csv 9)"], 2: ["id: type"], 3: ["id: unique (kept: t.csv 1)", "id: type"]}
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE rejected_f (_row BIGINT, _raw_line TEXT, id TEXT, _reasons TEXT[])")
        for row in range(1, 6):
            values = [row, f"id {row}", reasons.get(row, ["id: unique (kept: s.csv 9)"])]
            connection.execute("INSERT INTO rejected_f VALUES ($1, NULL, $2, $3)", values)
        assert connection.execute(first_records_sql(contract)).fetchall() == [
            ("id: unique", 1, None, "id 1"),
            ("id: type", 2, None, "id 2"),
            ("id: type", 3, None, "id 3"),
            ("id: unique", 3, None, "id 3"),
            ("id: unique", 4, None, "id 4"),
        ]


def test_lines_are_not_guessed(tmp_path: Path) -> None:
    """Where a record spans several lines no line is told."""
    shop = Shop(tmp_path)
    path = shop.deliver(named(1), 'id,n\n"a\nb",2\n2,x\n')
    (reason,) = explained(shop, path).reasons
    assert [(item.row, item.line) for item in reason.examples] == [(2, None)]


def test_personal_values_are_masked(tmp_path: Path) -> None:
    """Values of columns that the contract calls personal, and raw lines that may hold them, are not shown."""
    contract = feed(column("id", "INTEGER", personal=True), column("n", "INTEGER"))
    shop = Shop(tmp_path, contract)
    path = shop.deliver(named(1), "id,n\nada@example.com,1\nada@example.com,2,3\n")
    told = explained(shop, path)
    assert [dict(item.examples[0].values) for item in told.reasons] == [{"_raw_line": MASK}, {"id": MASK}]
    assert "ada@" not in json.dumps(told.as_dict(), default=str)


def test_how_a_file_is_read(tmp_path: Path) -> None:
    """Compression, encoding, dialect and the place of every column are told."""
    contract = feed(column("id"), column("n", "INTEGER"), column("gone"), source=SourceFormat(encoding="cp1252"))
    shop = Shop(tmp_path, contract)
    path = shop.deliver("s_2024-01-01.csv.gz", gzip.compress("a title\nN ;ID;café\n1;2;é\n".encode("cp1252")))
    told = explained(shop, path)
    assert told.reading
    assert asdict(told.reading) == {
        "format": FileFormat.CSV,
        "compression": "gzip",
        "encoding": "cp1252",
        "delimiter": ";",
        "header_line": 2,
    }
    assert [(item.column, item.header, item.position, item.records) for item in told.columns] == [
        ("id", "ID", 2, 1),
        ("n", "N ", 1, 1),
        ("gone", None, None, 0),
    ]
    assert told.extra == {"café": 1}


def test_workbooks(tmp_path: Path) -> None:
    """The header's row and the column's number are told, and records have the numbers of their rows."""
    shop = Shop(tmp_path, feed(column("id"), column("n", "INTEGER"), source=SourceFormat(FileFormat.XLSX)))
    rows = [["title"], [None, "n", "ID", "more"], [None, 1, "a", "x"], [None, "y", "b"]]
    told = explained(shop, shop.deliver("s_2024-01-01.xlsx", workbook({"Data": rows})))
    assert told.reading
    assert (told.reading.format, told.reading.header_line) == (FileFormat.XLSX, 2)
    assert [(item.header, item.position, item.records) for item in told.columns] == [("ID", 3, 2), ("n", 2, 2)]
    assert told.extra == {"more": 1}
    assert [item.row for reason in told.reasons for item in reason.examples] == [4]


@pytest.mark.parametrize("header_line", [True, False])
def test_fixed_width_files(header_line: bool, tmp_path: Path) -> None:
    """The first character of each column is told, what stands beside the columns, and the lines of rejects."""
    columns = (column("id", span=Span(1, 4)), column("n", "INTEGER", source="No", span=Span(6, 3)))
    fixed = FixedWidth(header_line=header_line)
    source = SourceFormat(FileFormat.FIXED_WIDTH, encoding="cp1252", fixed=fixed)
    lines = ["Sales", "id    no"] * header_line + ["é      7", "b   *  x", "short"]
    told = explained(
        Shop(tmp_path, feed(*columns, source=source)),
        Shop(tmp_path).deliver("s_2024-01-01.txt", "\n".join(lines).encode("cp1252")),
    )
    assert told.reading
    assert (told.reading.format, told.reading.encoding, told.reading.delimiter) == (
        FileFormat.FIXED_WIDTH,
        "cp1252",
        None,
    )
    assert told.reading.header_line == (2 if header_line else None)
    assert [(item.header, item.position, item.records) for item in told.columns] == [
        ("id", 1, 2),
        ("no" if header_line else "No", 6, 2),
    ]
    assert told.extra == {"5": 1}
    before = 2 * header_line
    assert sorted(item.line for reason in told.reasons for item in reason.examples if item.line) == [
        before + 2,
        before + 3,
    ]


def test_json_files(tmp_path: Path) -> None:
    """A column of a JSON file is missing when no object has a value for it."""
    shop = Shop(tmp_path, feed(column("id"), column("n", "INTEGER"), source=SourceFormat(FileFormat.JSON)))
    told = explained(shop, shop.deliver("s_2024-01-01.json", '{"id": "1", "m": 2}\n'))
    assert told.outcome is Outcome.LOADED
    assert [(item.column, item.header, item.records) for item in told.columns] == [("id", "id", 1), ("n", None, 0)]
    assert told.extra == {"m": 1}


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        pytest.param("today.csv", "id,n\n1,2\n", "no_batch_in_name", id="no batch in the name"),
        pytest.param("s_1999-01-01.csv", "id,n\n1,2\n", "batch_out_of_range", id="before the start"),
        pytest.param(named(1), "m,o\n1,2\n", "no_header", id="another header"),
        pytest.param(named(1), "n,o\n1,2\n", "missing_column", id="a required column is missing"),
        pytest.param(named(1), b"id,n\n\xff,2\n", "undecodable", id="another encoding"),
        pytest.param(named(1), "", "empty_file", id="no bytes"),
        pytest.param(named(1), "id,n\n" + "1,x\n" * 9 + "1,1\n", "too_many_rejects", id="too many rejects"),
    ],
)
def test_refusals(name: str, content: str | bytes, rule: str, tmp_path: Path) -> None:
    """A file that a load would put into quarantine is told with the same rule and reason."""
    shop = Shop(tmp_path, options=options(max_reject_rate=0.5))
    path = shop.deliver(name, content)
    told = explained(shop, path)
    assert (told.outcome, [item.rule for item in told.refusals]) == (Outcome.REFUSED, [rule])
    shop.load(day(1))
    assert shop.quarantine()[name]["reason"] == told.refusals[0].reason


def test_what_the_ledger_knows(tmp_path: Path) -> None:
    """Bytes and names that were delivered before are told as what a load would find them to be."""
    shop = Shop(tmp_path)
    shop.deliver(named(1), "id,n\n1,2\n")
    shop.load()
    cases = {
        "delivered before": (named(1), "id,n\n1,2\n"),
        "a duplicate: s_2024-01-01.csv": (named(1, "t"), "id,n\n1,2\n"),
        "a correction: replaces the 1 records": (named(1), "id,n\n1,3\n"),
        "new": (named(2), "id,n\n1,2\n"),
    }
    for what, (name, content) in cases.items():
        told = explained(shop, shop.deliver(name, content))
        assert told.known
        assert told.known.what.startswith(what)
        assert (told.outcome is Outcome.NOTHING_NEW) == (not told.known.loads)


def test_an_outdated_snapshot_brings_nothing(tmp_path: Path) -> None:
    """A snapshot older than the one that is loaded is told as outdated, a newer one replaces it."""
    shop = Shop(tmp_path, options=options(snapshot=True))
    shop.deliver(named(5), "id,n\n1,2\n")
    shop.load()
    assert explained(shop, shop.deliver(named(4), "id,n\n1,3\n")).outcome is Outcome.NOTHING_NEW
    newer = explained(shop, shop.deliver(named(6), "id,n\n1,3\n"))
    assert newer.known
    assert newer.known.what == f"new, and replaces {named(5)}"


def test_a_busy_warehouse_keeps_nobody_waiting(tmp_path: Path) -> None:
    """What the file itself tells is told; that the ledger could not be asked, and who holds it, is said."""
    shop = Shop(tmp_path)
    path = shop.deliver(named(1), "id,n\n1,2\n")
    with shop.warehouse.connection("the big load"):
        told = explained(shop, path)
    assert (told.outcome, told.known, told.cleaned) == (Outcome.LOADED, None, 1)
    assert any("the big load" in note for note in told.notes)


def test_files_that_wait(tmp_path: Path) -> None:
    """A file for a batch that has not begun, or one that is still being written, is told to wait."""
    shop = Shop(tmp_path)
    assert any("waits in landing until 2024-03-02" in note for note in _notes(shop, "s_2024-03-02.csv"))
    assert any("still being written" in note for note in _notes(shop, "s_2024-01-01.csv.part"))


def _notes(shop: Shop, name: str) -> list[str]:
    return list(explained(shop, shop.deliver(name, "id,n\n1,2\n")).notes)


def test_limits_are_those_of_loads(tmp_path: Path) -> None:
    """A file that is larger than MAX_FILE_BYTES is refused, compressed or not."""
    shop = Shop(tmp_path)
    path = shop.deliver("s_2024-01-01.csv.gz", gzip.compress(b"id,n\n" + b"1,2\n" * 1000))
    found = found_file(path)
    assert found
    told = explain(replace(shop.settings, max_file_bytes=100), shop.feed, shop.options, found, NOW)
    assert [item.rule for item in told.refusals] == ["too_large"]


def test_derived_columns_are_validated(tmp_path: Path) -> None:
    """A rule on a computed column is told without a value: no file has one."""
    contract = feed(column("n", "INTEGER"), column("twice", "INTEGER", Bound("maximum", "3"), expression="2 * n"))
    shop = Shop(tmp_path, contract)
    (reason,) = explained(shop, shop.deliver(named(1), "n\n1\n2\n")).reasons
    assert (reason.reason, dict(reason.examples[0].values)) == ("twice: maximum", {})
