"""`where` as it is typed: where a record is now, whatever became of it or of its file."""

import csv
import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orchestration_project.cli.docs.pages import COMMANDS as PAGE
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project_tests.formats.workbooks import workbook
from orchestration_project_tests.inspection.lookup.desk import HEAD, MAIL, Desk, feed

pytestmark = pytest.mark.promise("seen")
MONDAY, TUESDAY = "s_2024-01-01.csv", "s_2024-01-02.csv"
WHO = ("--by", "Ada", "--because", "test orders")


def repair_file(desk: Desk, **values: str) -> str:
    """Export the open rejects, correct all of them, and load that; returns the file's name."""
    desk.type("export-rejects", "orders")
    (path,) = (desk.data_dir / "repairs" / "orders").iterdir()
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows([row | values for row in rows])
    path.unlink()
    desk.deliver(path.name, stream.getvalue())
    desk.load()
    return path.name


def test_a_cleaned_record(desk: Desk) -> None:
    """Its file, version and batch, its text in the file, and its values; personal ones are masked."""
    desk.deliver(MONDAY, f"{HEAD}a, x ,{MAIL},7,1.5\n")
    desk.load()
    (file,) = desk.where(MONDAY, 1)
    assert (file["feed"], file["batch"], file["state"], file["records"]) == ("orders", "2024-01-01", "loaded", 1)
    assert file["path"] == f"archive/orders/2024-01-01/{MONDAY}"
    record = file["record"]
    assert record["state"] == "cleaned"
    assert record["place"] == {"file": MONDAY, "row": 1, "version": file["version"], "batch": "2024-01-01"}
    assert record["raw"] == {"id": "a", "value": " x ", "mail": "***", "row": "7", "file": "1.5"}
    assert record["cleaned"] == {"id": "a", "value": "x", "mail": "***", "row": "7", "file": "1.50"}
    assert (record["reject"], record["corrects"], record["marts"]) == (None, None, [])


def test_a_rejected_record(desk: Desk) -> None:
    """Every rule that it broke, and the commands that close it."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n,x,,seven,-1\n")
    desk.load()
    reject = desk.record(MONDAY, 2)["reject"]
    assert reject["reasons"] == ["id: required", "row: type", "file: minimum"]
    assert (reject["resolution"], reject["duplicates"], reject["repaired_by"]) == ("open", [], None)
    printed = desk.type("where", MONDAY, 2).stdout
    assert f"waive orders --reject {reject['reject_id']}" in printed
    assert "export-rejects orders --batch 2024-01-01" in printed


def test_a_record_that_could_not_be_split(desk: Desk) -> None:
    """Its line is masked as a whole where the feed has personal columns."""
    desk.deliver(MONDAY, f"{HEAD}a,x,{MAIL}\nb,x,,7,1\n")
    desk.load()
    record = desk.record(MONDAY, 1)
    assert (record["state"], record["raw_line"]) == ("rejected", "***")
    assert MAIL not in desk.type("where", MONDAY, 1).stdout


def test_a_duplicate_names_the_record_that_is_kept(desk: Desk) -> None:
    """Within a batch and across batches, with the batch of the kept record and that it is cleaned."""
    desk.deliver(MONDAY, f"{HEAD}a,1,,1,1\na,2,,1,1\nb,1,,1,1\n")
    desk.deliver(TUESDAY, f"{HEAD}b,2,,1,1\n")
    desk.load()
    kept = {}
    for name, row in ((MONDAY, 1), (TUESDAY, 1)):
        (duplicate,) = desk.record(name, row)["reject"]["duplicates"]
        assert (duplicate["columns"], duplicate["state"]) == (["id"], "cleaned")
        kept[name] = (duplicate["kept"]["file"], duplicate["kept"]["row"], duplicate["kept"]["batch"])
    assert kept == {MONDAY: (MONDAY, 2, "2024-01-01"), TUESDAY: (MONDAY, 3, "2024-01-01")}
    assert f"kept instead: {MONDAY} record 2 (batch 2024-01-01" in desk.type("where", MONDAY, 1).stdout


def test_a_kept_record_whose_file_has_a_confusing_name(desk: Desk) -> None:
    """The file's name may hold the words of a reason."""
    name = "s (kept: x row 9) 2024-01-01.csv"
    desk.deliver(name, f"{HEAD}a,1,,1,1\na,2,,1,1\n")
    desk.load()
    (duplicate,) = desk.record(name, 1)["reject"]["duplicates"]
    assert (duplicate["kept"]["file"], duplicate["kept"]["row"]) == (name, 2)


def test_a_kept_record_that_is_rejected_for_another_key(desk: Desk) -> None:
    """Its state says so, so that one can go on from there."""
    columns = [
        {"name": "id", "physicalType": "VARCHAR", "required": True, "primaryKey": True},
        {"name": "code", "physicalType": "VARCHAR", "unique": True},
    ]
    desk.add(codes=feed("codes", columns=columns))
    desk.deliver(MONDAY, "id,code\na,x\na,y\nb,y\n", "codes")
    desk.load("codes")
    states = {row: desk.record(MONDAY, row)["state"] for row in (1, 2, 3)}
    assert states == {1: "rejected", 2: "rejected", 3: "cleaned"}
    (duplicate,) = desk.record(MONDAY, 1)["reject"]["duplicates"]
    assert (duplicate["kept"]["row"], duplicate["state"]) == (2, "rejected")


def test_a_kept_record_of_a_name_that_comes_every_day(desk: Desk) -> None:
    """Of the files of that name the one is told whose record has the key."""
    desk.add(orders=feed("orders", batch_pattern=None, key_look_back_days=100_000))
    for day, order in (("2024-01-01", "a"), ("2024-01-02", "b"), ("2024-01-03", "a")):
        path = desk.deliver("sales.csv", f"{HEAD}{order},{day},,1,1\n")
        moment = 86_400 * (1 + int(day[-2:])) + 1_704_000_000
        os.utime(path, (moment, moment))
        desk.load()
    files = desk.where("sales.csv", 1)
    assert [file["record"]["state"] for file in files] == ["rejected", "cleaned", "cleaned"]
    (duplicate,) = files[0]["record"]["reject"]["duplicates"]
    assert duplicate["kept"]["batch"] == files[2]["batch"]
    (chosen,) = desk.where("sales.csv", 1, "--batch", files[1]["batch"])
    assert chosen["record"]["raw"]["id"] == "b"


def test_a_repaired_record(desk: Desk) -> None:
    """It names the record that was cleaned in its place, and that one names it."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,-1\n")
    desk.load()
    name = repair_file(desk, file="2")
    reject = desk.record(MONDAY, 1)["reject"]
    assert (reject["resolution"], reject["repaired_by"]["file"], reject["repaired_by"]["row"]) == ("repaired", name, 1)
    repair = desk.record(name, 1)
    assert (repair["state"], repair["cleaned"]["file"]) == ("cleaned", "2.00")
    assert (repair["corrects"]["file"], repair["corrects"]["row"]) == (MONDAY, 1)


def test_a_repair_that_failed(desk: Desk) -> None:
    """It is rejected, names the reject that it was meant to correct, and is closed with that one."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,-1\n")
    desk.load()
    name = repair_file(desk, file="-2")
    attempt = desk.record(name, 1)
    assert (attempt["reject"]["reasons"], attempt["corrects"]["file"]) == (["file: minimum"], MONDAY)
    desk.type("waive", "orders", *WHO, "--reject", desk.record(MONDAY, 1)["reject"]["reject_id"])
    assert desk.record(name, 1)["reject"]["waived"]["by"] == "Ada"


def test_a_waived_record(desk: Desk) -> None:
    """Who waived it, why and when."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,-1\n")
    desk.load()
    desk.type("waive", "orders", *WHO, "--batch", "2024-01-01")
    reject = desk.record(MONDAY, 1)["reject"]
    assert (reject["resolution"], reject["waived"]["by"], reject["waived"]["because"]) == ("waived", "Ada", WHO[-1])
    assert "waived by Ada on 20" in desk.type("where", MONDAY, 1).stdout


def test_a_blank_record(desk: Desk) -> None:
    """It is found, and is neither cleaned nor rejected."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n,,,,\n")
    desk.load()
    record = desk.record(MONDAY, 2)
    assert (record["state"], record["cleaned"], record["reject"]) == ("blank", None, None)


def test_an_ignored_record(desk: Desk) -> None:
    """The rule of the contract is named by which it is no data."""
    rules = [{"name": "totals", "condition": "id = 'Total'"}, {"name": "comments", "prefix": "#"}]
    desk.add(orders=feed("orders", ignored=rules))
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\nTotal,,,7,1\n# done,,,,\n")
    desk.load()
    found = [desk.record(MONDAY, row) for row in (2, 3)]
    assert [(record["state"], record["ignored_by"]) for record in found] == [
        ("ignored", "totals"),
        ("ignored", "comments"),
    ]
    assert "by the contract's rule totals" in desk.type("where", MONDAY, 2).output


def test_a_file_that_was_corrected(desk: Desk) -> None:
    """The version that counts comes first, the one before it is told without a record; `--version` chooses one."""
    for value in ("old", "new"):
        desk.deliver(MONDAY, f"{HEAD}a,{value},,7,1\n")
        desk.load()
    new, old = desk.where(MONDAY, 1)
    assert (new["state"], new["record"]["raw"]["value"]) == ("loaded", "new")
    assert (old["state"], old["record"]) == ("superseded", None)
    assert f"replaced by {MONDAY}, version {new['version']}" in old["what"]
    assert [file["version"] for file in desk.where(MONDAY, 1, "--version", old["version"][:7], exit_code=1)] == [
        old["version"]
    ]


def test_a_file_that_was_withdrawn(desk: Desk) -> None:
    """Who took it back and why, and the command that lets it count again."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    desk.load()
    desk.type("withdraw", "orders", MONDAY, "--reason", "a test", "--by", "Ada")
    (file,) = desk.where(MONDAY, 1, exit_code=1)
    assert (file["state"], file["record"]) == ("withdrawn", None)
    assert file["path"] == f"archive/orders/withdrawn/2024-01-01/{MONDAY}"
    assert "withdrawn by Ada" in file["what"]
    assert "--undo" in file["todo"]


def test_a_file_that_was_refused(desk: Desk) -> None:
    """Why, and what to do; by its name, and by its path in quarantine."""
    desk.deliver(MONDAY, "a,b\n1,2\n")
    desk.load()
    for file in (MONDAY, desk.data_dir / "quarantine" / "orders" / MONDAY):
        (told,) = desk.where(file, 1, exit_code=1)
        assert (told["state"], told["path"]) == ("quarantined", f"quarantine/orders/{MONDAY}")
        assert "refused as a whole" in told["what"]
        assert "deliver it again" in told["todo"]


def test_a_file_with_the_bytes_of_another_one(desk: Desk) -> None:
    """The record of the file that is loaded in its place is told."""
    text = f"{HEAD}a,x,,7,1\n"
    desk.deliver("b_2024-01-01.csv", text)
    desk.deliver("c_2024-01-01.csv", text)
    desk.load()
    (file,) = desk.where("c_2024-01-01.csv", 1)
    assert (file["state"], file["record"]["place"]["file"]) == ("duplicate", "b_2024-01-01.csv")
    assert "its record: b_2024-01-01.csv record 1" in desk.type("where", "c_2024-01-01.csv", 1).stdout


def test_a_file_in_landing(desk: Desk) -> None:
    """By name and by path: it is not loaded yet, and how to load it; before there is a warehouse, too."""
    path = desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    for file in (MONDAY, path):
        (told,) = desk.where(file, 1, exit_code=1)
        assert (told["state"], told["path"], told["batch"]) == ("waiting", f"landing/orders/{MONDAY}", "2024-01-01")
        assert "dagster asset materialize" in told["todo"]


def test_a_record_that_the_file_does_not_have(desk: Desk) -> None:
    """Exit code 1, and the numbers that it has."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\nb,x,,7,1\n")
    desk.load()
    (file,) = desk.where(MONDAY, 3, exit_code=1)
    assert "there is no record 3: its records have the numbers 1 to 2" in file["what"]
    assert file["record"]["state"] == "missing"


def test_a_workbook(desk: Desk) -> None:
    """Its records have the numbers of rows, and those that it has are told."""
    desk.add(books=feed("books", "xlsx"))
    rows = [["Our sales"], [], HEAD.strip().split(","), ["a", "x", MAIL, 7, 1], [], ["b", "x", "", 7, -1]]
    desk.deliver("s_2024-01-01.xlsx", workbook({"Data": rows}), "books")
    desk.load("books")
    states = {row: desk.record("s_2024-01-01.xlsx", row)["state"] for row in (4, 5, 6)}
    assert states == {4: "cleaned", 5: "blank", 6: "rejected"}
    (file,) = desk.where("s_2024-01-01.xlsx", 1, exit_code=1)
    assert "its records are in the rows 4 to 6 of the sheet" in file["what"]


def test_json_and_parquet_files(desk: Desk, tmp_path: Path) -> None:
    """Their records are numbered as they stand in the file."""
    desk.add(lines=feed("lines", "json"), frames=feed("frames", "parquet"))
    desk.deliver("s_2024-01-01.json", '{"id": "a", "file": 1}\n{"id": "b", "file": -1}\n', "lines")
    path = tmp_path / "s_2024-01-01.parquet"
    duckdb.sql("SELECT unnest(['a', 'b']) AS id, unnest([1, -1]) AS file").write_parquet(str(path))
    desk.deliver(path.name, path.read_bytes(), "frames")
    for name, file in (("lines", "s_2024-01-01.json"), ("frames", path.name)):
        desk.load(name)
        assert [desk.record(file, row)["state"] for row in (1, 2)] == ["cleaned", "rejected"]


def test_a_snapshot_that_was_replaced(desk: Desk) -> None:
    """It names the file that counts now."""
    desk.add(lists=feed("lists", mode="snapshot"))
    for name in (MONDAY, TUESDAY):
        desk.deliver(name, f"{HEAD}a,{name},,7,1\n", "lists")
        desk.load("lists")
    (file,) = desk.where(MONDAY, 1, exit_code=1)
    assert f"replaced by {TUESDAY}" in file["what"]
    assert desk.record(TUESDAY, 1)["cleaned"]["value"] == TUESDAY


def test_the_ways_to_name_a_file(desk: Desk, tmp_path: Path) -> None:
    """A path, a place in the archive, whole or its end, the place that it had in landing, a copy elsewhere."""
    landed = desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    desk.load()
    archived = desk.data_dir / "archive" / "orders" / "2024-01-01" / MONDAY
    copy = shutil.copy(archived, tmp_path / "mine.csv")
    places = [f"2024-01-01/{MONDAY}", f"orders/2024-01-01/{MONDAY}", f"archive/orders/2024-01-01/{MONDAY}"]
    for file in (MONDAY, archived, landed, copy, *places):
        (told,) = desk.where(file, 1)
        assert (told["file"], told["record"]["state"]) == (MONDAY, "cleaned")
    assert "known under another name" in desk.type("where", copy, 1).stdout


def test_a_path_chooses_the_version_that_lies_there(desk: Desk) -> None:
    """Of several versions of a file the archive's path names one."""
    for value in ("old", "new"):
        desk.deliver(MONDAY, f"{HEAD}a,{value},,7,1\n")
        desk.load()
    (told,) = desk.where(f"2024-01-01/{MONDAY}", 1, exit_code=1)
    assert told["state"] == "superseded"
    (told,) = desk.where(desk.data_dir / "archive" / "orders" / "2024-01-01" / "v2" / MONDAY, 1)
    assert told["record"]["raw"]["value"] == "new"


def test_other_bytes_under_a_known_name(desk: Desk, tmp_path: Path) -> None:
    """A copy that somebody changed is told by its name, and that its bytes are others."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    desk.load()
    (tmp_path / MONDAY).write_text(f"{HEAD}changed,x,,7,1\n", encoding="utf-8")
    assert "were never delivered" in desk.type("where", tmp_path / MONDAY, 1).stdout


def test_several_feeds_have_the_name(desk: Desk) -> None:
    """All are listed, and `--feed` chooses one."""
    desk.add(returns=feed("returns"))
    for name in ("orders", "returns"):
        desk.deliver(MONDAY, f"{HEAD}{name},x,,7,1\n", name)
        desk.load(name)
    assert {file["feed"] for file in desk.where(MONDAY, 1)} == {"orders", "returns"}
    assert "--feed, --batch and --version choose one" in desk.type("where", MONDAY, 1).stdout
    assert [file["feed"] for file in desk.where(MONDAY, 1, "--feed", "returns")] == ["returns"]


def test_many_versions_are_counted(desk: Desk) -> None:
    """The first ten are told, then how many more there are."""
    for number in range(12):
        desk.deliver(MONDAY, f"{HEAD}a,{number},,7,1\n")
        desk.load()
    assert len(desk.where(MONDAY, 1)) == 10
    assert "2 more versions are known" in desk.type("where", MONDAY, 1).stdout


def test_a_feed_without_a_definition(desk: Desk) -> None:
    """Its files are known; its records can't be told, and what to do is."""
    desk.add(gone=feed("gone"))
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n", "gone")
    desk.load("gone")
    shutil.rmtree(desk.root / desk.root.name / "defs" / "gone")
    (file,) = desk.where(MONDAY, 1, exit_code=1)
    assert "no definition" in file["what"]
    assert "drop-feed gone" in file["todo"]


def test_what_a_person_reads(desk: Desk) -> None:
    """Of whatever state: the file, the record's state, what became of it, and what to do."""
    desk.deliver(MONDAY, f"{HEAD}a,x,{MAIL},7,1\n,,,,\nb,x,,7,-1\nc,x\n")
    desk.deliver("bad_2024-01-01.csv", "x\n1\n")
    desk.load()
    name = repair_file(desk, file="1")
    desk.deliver(TUESDAY, f"{HEAD}d,x,,7,1\n")
    wanted = {
        (MONDAY, 1): ("record 1: cleaned", "loaded on", "with 4 records"),
        (MONDAY, 2): ("record 2: blank", "empty"),
        (MONDAY, 3): ("record 3: rejected", f"repaired by {name} record 1"),
        (MONDAY, 4): ("record 4: rejected", "_raw_line: too_few_columns", "***"),
        (MONDAY, 5): ("record 5: missing", "the numbers 1 to 4"),
        (name, 1): ("record 1: cleaned", f"meant to correct {MONDAY} record 3"),
        ("bad_2024-01-01.csv", 1): ("record 1: quarantined", "What to do: correct it"),
        (TUESDAY, 1): ("record 1: waiting", "What to do: load it"),
    }
    for (file, row), said in wanted.items():
        is_found = (file, row) in [*((MONDAY, number) for number in range(1, 5)), (name, 1)]
        printed = desk.type("where", file, row, exit_code=0 if is_found else 1).stdout
        assert [text for text in said if text not in printed] == []
        assert MAIL not in printed


@pytest.mark.parametrize("table", ["raw_orders", "cleaned_orders"])
def test_tables_that_contradict_each_other(table: str, desk: Desk) -> None:
    """A row that somebody took away is no answer: exit code 1, and `verify` tells what to do."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\nb,x,,7,1\n")
    desk.load()
    desk.change(f"DELETE FROM {table} WHERE _row = 2")
    (file,) = desk.where(MONDAY, 2, exit_code=1)
    assert file["record"]["state"] == "contradictory"
    assert "orchestration-project verify orders" in file["todo"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["nothing.csv", "1"], "was delivered as nothing.csv", id="unknown"),
        pytest.param([MONDAY, "1", "--version", "ffff"], "that --feed, --batch and --version allow", id="version"),
        pytest.param([MONDAY, "1", "--feed", "order"], "did you mean 'orders'?", id="feed"),
        pytest.param([MONDAY, "0"], "0 is not in the range", id="row 0"),
        pytest.param([MONDAY, str(2**63)], "is not in the range", id="row too large"),
        pytest.param([MONDAY, "first"], "'first' is not a valid integer", id="no number"),
        pytest.param([".", "1"], "is a folder", id="folder"),
        pytest.param(["a\0b", "1"], "is no name of a file", id="NUL"),
        pytest.param(["\udcff\ud800.csv", "1"], "was delivered as", id="no UTF-8"),
        pytest.param(["'; DROP TABLE x; --", "1"], "was delivered as", id="quotes"),
    ],
)
def test_what_is_not_there_is_said(arguments: list[str], said: str, desk: Desk) -> None:
    """With exit code 2 and nothing on stdout."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    desk.load()
    result = desk.type("where", *arguments, exit_code=2)
    assert said in " ".join(result.stderr.split())
    assert not result.stdout


def test_a_name_with_bytes_that_are_no_text(desk: Desk) -> None:
    """The file is found by its path, and by its name as the tables have it."""
    path = desk.deliver("s\udcff_2024-01-01.csv", f"{HEAD}a,x,,7,1\n")
    desk.load()
    for file in (str(path.name), r"s\xff_2024-01-01.csv"):
        assert desk.record(file, 1)["state"] == "cleaned"


def test_no_warehouse(desk: Desk) -> None:
    """It is said, with exit code 2, and none is made."""
    assert "There is no warehouse" in desk.type("where", MONDAY, 1, exit_code=2).stderr
    assert list(desk.data_dir.iterdir()) == []


def test_a_busy_warehouse(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who holds it is said, with exit code 2."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,7,1\n")
    desk.load()
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
    with DuckdbFile(desk.data_dir / "warehouse.duckdb").connection("the big load"):
        for command in (("where", MONDAY, 1), ("find", "a")):
            assert "the big load" in desk.type(*command, exit_code=2).stderr


def fields(value: object) -> set[str]:
    """The names of all fields of plain data but of those whose names are data."""
    if isinstance(value, dict):
        own = {name for name in value if name not in ("raw", "cleaned", "key", "keys")}
        return set(value) | {inner for name in own for inner in fields(value[name])}
    return {name for item in value for name in fields(item)} if isinstance(value, list) else set()


def test_json_has_the_documented_fields(desk: Desk) -> None:
    """`--json` prints the fields that docs/commands.md lists, of both commands."""
    desk.deliver(MONDAY, f"{HEAD}a,1,,1,1\na,2,,1,-1\na,2,,1,1\n")
    desk.load()
    documented = PAGE.read_text(encoding="utf-8").partition("### What `find --json` and")[2].partition("\n#")[0]
    told: list[Any] = [json.loads(desk.type("where", MONDAY, row, "--json").stdout) for row in (1, 2, 3)]
    told.append(json.loads(desk.type("find", "a", "--json").stdout))
    assert [name for name in sorted(fields(told)) if f"`{name}`" not in documented] == []
