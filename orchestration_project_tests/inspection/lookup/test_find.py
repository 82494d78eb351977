"""`find` as it is typed: which records have a value, where each is, and how many more there are."""

import json
from typing import Any

import pytest

from orchestration_project_tests.inspection.lookup.desk import HEAD, MAIL, Desk, feed

pytestmark = pytest.mark.promise("seen")
MONDAY, TUESDAY = "s_2024-01-01.csv", "s_2024-01-02.csv"


def test_a_key(desk: Desk) -> None:
    """Each record with it, with its place, its key, and what became of it; those of the newest batch first."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,1\na,y,,1,1\nb,z,,1,1\n")
    desk.deliver(TUESDAY, f"{HEAD}a,x,,1,-1\n")
    desk.load()
    found = desk.find("a")
    assert [(it["place"]["file"], it["place"]["row"], it["state"]) for it in found] == [
        (TUESDAY, 1, "rejected"),
        (MONDAY, 1, "rejected"),
        (MONDAY, 2, "cleaned"),
    ]
    assert [it["reasons"] for it in found] == [["file: minimum"], [f"id: duplicate_key (kept: {MONDAY} row 2)"], []]
    assert [(it["key"], it["columns"]) for it in found] == [({"id": "a"}, ["id"])] * 3
    assert "3 record(s) found in orders." in desk.type("find", "a").stdout


def test_a_value_is_found_whole_and_without_blanks_around_it(desk: Desk) -> None:
    """As a load reads it; neither a part of it nor another case of its letters will do."""
    desk.deliver(MONDAY, f"{HEAD}a, Blue Lamp\u00a0,,1,1\nb,Blue Lamps,,1,1\nc,blue lamp,,1,1\n")
    desk.load()
    assert [it["place"]["row"] for it in desk.find("Blue Lamp")] == [1]
    assert desk.find(" Blue Lamp\u00a0")[0]["columns"] == ["value"]


def test_a_column_that_does_not_trim(desk: Desk) -> None:
    """Blanks count there, as the contract says."""
    columns: list[dict[str, Any]] = [
        {"name": "id", "physicalType": "VARCHAR", "required": True},
        {"name": "code", "physicalType": "VARCHAR", "customProperties": [{"property": "trim", "value": False}]},
    ]
    desk.add(codes=feed("codes", columns=columns))
    desk.deliver(MONDAY, "id,code\na, x\n", "codes")
    desk.load("codes")
    assert desk.find("x", exit_code=1) == []
    assert len(desk.find(" x")) == 1


@pytest.mark.parametrize("column", ["row", "Row No"])
def test_one_column(column: str, desk: Desk) -> None:
    """By its name or its header, also one that holds numbers, as the file writes them."""
    desk.deliver(MONDAY, f"{HEAD}7,7,,07,1\nb,x,,7,1\n")
    desk.load()
    assert [it["place"]["row"] for it in desk.find("7")] == [1]
    assert [it["place"]["row"] for it in desk.find("7", "--column", column)] == [2]
    assert [it["place"]["row"] for it in desk.find("07", "--column", column)] == [1]


def test_a_record_that_could_not_be_split(desk: Desk) -> None:
    """It is found by a part of its line."""
    desk.deliver(MONDAY, f"{HEAD}order-1,x\nb,x,,1,1\n")
    desk.load()
    (found,) = desk.find("order-1")
    assert (found["columns"], found["state"]) == (["_raw_line"], "rejected")


def test_personal_values_are_searched_and_not_shown(desk: Desk) -> None:
    """Neither the value, nor the line that has it, nor a key that is personal."""
    mail = {"name": "mail", "physicalType": "VARCHAR", "classification": "personal"}
    desk.add(people=feed("people", columns=[mail | {"required": True, "primaryKey": True}]))
    desk.deliver(MONDAY, f"{HEAD}a,x,{MAIL},1,1\nb,{MAIL}\n")
    desk.load()
    desk.deliver(MONDAY, f"mail\n{MAIL}\n{MAIL}\n", "people")
    desk.load("people")
    assert {(it["feed"], *it["columns"]) for it in desk.find(MAIL)} == {
        ("orders", "mail"),
        ("orders", "_raw_line"),
        ("people", "mail"),
    }
    shown = [desk.type("find", MAIL, *more).output for more in ((), ("--json",), ("--column", "mail"))]
    assert [text for text in shown if MAIL in text] == []


def test_more_than_are_listed(desk: Desk) -> None:
    """They are counted, and `--limit` lists more of each feed."""
    desk.add(returns=feed("returns"))
    for name in ("orders", "returns"):
        for file in (MONDAY, TUESDAY):
            lines = "".join(f"{file}{number},same,,1,1\n" for number in range(30))
            desk.deliver(file, HEAD + lines, name)
        desk.load(name)
    told = json.loads(desk.type("find", "same", "--json").stdout)
    assert (told["records"], [len(feed["matches"]) for feed in told["feeds"]]) == (120, [20, 20])
    assert {match["place"]["file"] for match in told["feeds"][0]["matches"]} == {TUESDAY}
    assert "40 more in orders" in desk.type("find", "same").stdout
    assert len(desk.find("same", "--limit", 45, "--feed", "returns")) == 45


def test_what_closed_a_reject(desk: Desk) -> None:
    """The waiver or the repair file is told beside the reasons."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,-1\n")
    desk.load()
    desk.type("waive", "orders", "--by", "Ada", "--because", "a test", "--batch", "2024-01-01")
    assert desk.find("a")[0]["resolved_by"] == "waived by Ada: a test"


def test_only_records_that_count_are_found(desk: Desk) -> None:
    """Not those of refused, replaced or waiting files; where nothing is found that is said."""
    for order in ("old", "new"):
        desk.deliver(MONDAY, f"{HEAD}{order},x,,1,1\n")
        desk.load()
    desk.deliver("t_2024-01-01.csv", "a\nrefused\n")
    desk.load()
    desk.deliver(TUESDAY, f"{HEAD}waiting,x,,1,1\n")
    assert len(desk.find("new")) == 1
    for value in ("old", "refused", "waiting"):
        assert "only records of files that count are searched" in desk.type("find", value, exit_code=1).stdout


HOSTILE = [
    "it's",
    '"q"',
    "50%",
    "a_b",
    "a;b",
    "x' OR '1'='1",
    "$value",
    "[red]",
    "\x1b[2J",
    "ü\u202e",
    "''",
    "\\",
    "NULL",
]


def test_hostile_values(desk: Desk) -> None:
    """Each is found as it is, and none is an instruction for SQL or a terminal."""
    lines = [f'{number},"{value.replace(chr(34), chr(34) * 2)}",,1,1\n' for number, value in enumerate(HOSTILE)]
    desk.deliver(MONDAY, HEAD + "".join(lines))
    desk.load()
    for number, value in enumerate(HOSTILE):
        (found,) = desk.find(value)
        assert found["key"] == {"id": str(number)}
        assert "\x1b" not in desk.type("find", value).stdout + desk.type("where", MONDAY, number + 1).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([""], "VALUE is empty", id="empty"),
        pytest.param(["a\ud800"], "no text in UTF-8", id="lone surrogate"),
        pytest.param(["a", "--column", "colour"], "no feed that is searched reads a column 'colour'", id="column"),
        pytest.param(["a", "--feed", "order"], "did you mean 'orders'?", id="feed"),
        pytest.param(["a", "--limit", "0"], "0 is not in the range", id="limit"),
    ],
)
def test_what_cannot_be_searched_is_said(arguments: list[str], said: str, desk: Desk) -> None:
    """With exit code 2 and nothing on stdout."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,1\n")
    desk.load()
    result = desk.type("find", *arguments, exit_code=2)
    assert said in " ".join(result.stderr.split())
    assert not result.stdout


def test_a_value_with_a_nul(desk: Desk) -> None:
    """It is searched as it is, and found nowhere."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,1\n")
    desk.load()
    assert desk.find("a\0", exit_code=1) == []


def test_no_warehouse(desk: Desk) -> None:
    """It is said, with exit code 2, and none is made."""
    assert "There is no warehouse" in desk.type("find", "a", exit_code=2).stderr
    assert list(desk.data_dir.iterdir()) == []


def test_a_column_that_the_table_lacks(desk: Desk) -> None:
    """One that the contract has since the last load is told; the others are searched."""
    desk.deliver(MONDAY, f"{HEAD}a,x,,1,1\n")
    desk.load()
    desk.change("ALTER TABLE raw_orders DROP COLUMN value")
    told: dict[str, Any] = json.loads(desk.type("find", "a", "--json").stdout)
    assert (told["records"], told["notes"]) == (1, ["raw_orders lacks value: the next load adds it"])
