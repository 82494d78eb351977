"""The history of a snapshot feed: what each key was, and when, held against a walk through the days in plain Python."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.contracts.feed import Bound, Required
from orchestration_project.errors import WarehouseError
from orchestration_project.failpoints import Point
from orchestration_project.inspection.history import disagreements, newest_change, unfounded_versions
from orchestration_project.recovery.drop import drop_feed
from orchestration_project.recovery.rebuild import rebuild
from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
from orchestration_project_tests.ingest.repairs import reject, repair_name
from orchestration_project_tests.ingest.shop import NOW, Shop, column, day, feed, named, options
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.stops import dying

CONTRACT = feed(
    column("id", "VARCHAR", Required()),
    column("n", "INTEGER", Bound("minimum", "0")),
    column("twice", "INTEGER", expression='"n" * 2'),
    primary_key=("id",),
)
HOW = options(snapshot=True, history=True)
HEAD = "id,n\n"
Version = tuple[str, int | None, dt.date, dt.date | None, bool, str, int]


def records_of(content: str) -> dict[str, tuple[int | None, int]]:
    """By key, the value and the number of the record that counts: valid, and the last of its key."""
    found: dict[str, tuple[int | None, int]] = {}
    for number, line in enumerate(content.splitlines()[1:], 1):
        key, _, text = line.partition(",")
        if key and not text.startswith("-"):
            found[key] = (int(text) if text else None, number)
    return found


def versions_of(files: Mapping[str, tuple[str, int]]) -> list[Version]:
    """The versions that some files give, in plain Python: of each day the newest file, then a walk through the days."""
    newest: dict[str, tuple[int, str, str]] = {}
    for name, (content, minute) in files.items():
        date = name[2:12]
        newest[date] = max(newest.get(date, (-1, "", "")), (minute, name, content))
    found: list[Version] = []
    held: dict[str, tuple[int | None, str, str, int]] = {}
    for date, (_, name, content) in sorted(newest.items()):
        now = records_of(content)
        for key, (value, since, file, row) in [*held.items()]:
            if key not in now or now[key][0] != value:
                found.append((key, value, as_date(since), as_date(date), False, file, row))
                del held[key]
        for key, (value, row) in now.items():
            held.setdefault(key, (value, date, name, row))
    found += [(key, value, as_date(since), None, True, file, row) for key, (value, since, file, row) in held.items()]
    return sorted(found, key=lambda item: (item[0], item[2]))


def as_date(text: str) -> dt.date:
    """A date from its text."""
    return dt.date.fromisoformat(text)


def history(shop: Shop) -> list[Version]:
    """The history of a shop, in the same form."""
    columns = "id, n, valid_from, valid_to, is_current, _file, _row"
    rows = shop.rows(f"SELECT {columns} FROM f_history ORDER BY id, valid_from")
    return [(*row.values(),) for row in rows]


def proven(shop: Shop) -> bool:
    """Whether nothing disagrees with the history."""
    with shop.warehouse.connection("test") as connection:
        return not [*disagreements(connection, shop.feed)] and not unfounded_versions(connection, shop.feed)


LINES = st.lists(st.sampled_from(["a,1", "a,2", "b,1", "b,", "c,3", "c,-1", ",4"]), max_size=4)
FILES = st.dictionaries(
    st.builds(named, st.integers(1, 5), st.sampled_from(["s", "s", "t"])),
    st.tuples(LINES.map(lambda lines: "\n".join(["id,n", *lines, ""])), st.integers(0, 3)),
    min_size=1,
    max_size=6,
)


@pytest.mark.promise("deliveries")
@settings(max_examples=effort(8, 100), deadline=None)
@given(files=FILES, data=st.data())
def test_a_history_is_a_function_of_the_snapshots(
    files: dict[str, tuple[str, int]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any order, grouping, repetition, correction, crash and rebuild gives the versions of a walk through the days."""
    tried()
    shop = Shop(tmp_path_factory.mktemp("history"), CONTRACT, HOW)
    current: dict[str, tuple[str, int]] = {}
    for name in data.draw(st.permutations(sorted(files))):
        if data.draw(st.booleans()):
            # A version that is corrected below: its rows must leave no trace.
            shop.deliver(name, f"{HEAD}a,7\nz,9\n", files[name][1])
            shop.load()
        current[name] = files[name]
        shop.deliver(name, *files[name])
        if data.draw(st.booleans()):
            with dying(data.draw(st.sampled_from(Point))):
                shop.load()
        if data.draw(st.booleans()):
            shop.load()
            assert history(shop) == versions_of(current)
    shop.load()
    expected = versions_of(files)
    assert history(shop) == expected
    assert proven(shop)
    assert [*zip(shop.cleaned("id"), shop.cleaned("n"), strict=True)] or not any(item[4] for item in expected)
    shop.lose_warehouse()
    shop.load()
    assert history(shop) == expected
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, shop.told.append)
    assert history(shop) == expected
    assert proven(shop)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Three snapshots: `b` is missing from the second and comes back, `a` has another value in the third."""
    shop = Shop(tmp_path, CONTRACT, HOW)
    for number, lines in enumerate(("a,1\nb,2\n", "a,1\n", "a,5\nb,2\n"), 1):
        shop.deliver(named(number), HEAD + lines)
        shop.load()
    return shop


def test_a_key_that_is_missing_ends_its_version_and_may_come_back(shop: Shop) -> None:
    """Versions have the days from which and until which they held; what did not change makes no version."""
    assert [item[:5] for item in history(shop)] == [
        ("a", 1, day(1), day(3), False),
        ("a", 5, day(3), None, True),
        ("b", 2, day(1), day(2), False),
        ("b", 2, day(3), None, True),
    ]
    assert shop.cleaned("id", "n", "twice") == [("a", 5, 10), ("b", 2, 4)]


def test_the_raw_table_keeps_every_snapshot(shop: Shop) -> None:
    """Earlier snapshots stay in the raw table, with status `kept` and their counts; the newest alone is published."""
    shop.deliver(named(4), f"{HEAD}a,5\nb,-1\n")
    shop.load()
    assert len(shop.table("raw")) == 7
    assert len(shop.table("rejected")) == 1
    assert shop.ledger("status", "records", "cleaned", "rejected") == [
        ("kept", 2, 2, 0),
        ("kept", 1, 1, 0),
        ("kept", 2, 2, 0),
        ("loaded", 2, 1, 1),
    ]
    assert proven(shop)


def withdrawn(shop: Shop, name: str) -> Iterator[str]:
    """Take a file back; the second step lets it count again."""
    what = (shop.warehouse, shop.settings, shop.feed, shop.options, Chosen(name))
    withdraw(*what, "Ada", "wrong", NOW, shop.told.append)
    yield "withdrawn"
    undo(*what, NOW, shop.told.append)
    yield "back"


@pytest.mark.promise("deliveries")
@pytest.mark.parametrize("number", [1, 2, 3], ids=["the first", "one in between", "the newest"])
def test_a_withdrawn_snapshot_leaves_no_trace(shop: Shop, number: int) -> None:
    """Whichever snapshot is withdrawn, the versions are those of the others; taken back, all are as before."""
    before, published = history(shop), shop.cleaned("id", "n")
    contents = {1: "a,1\nb,2\n", 2: "a,1\n", 3: "a,5\nb,2\n"}
    steps = withdrawn(shop, named(number))
    next(steps)
    others = {named(other): (HEAD + lines, 0) for other, lines in contents.items() if other != number}
    assert history(shop) == versions_of(others)
    assert proven(shop)
    next(steps)
    assert (history(shop), shop.cleaned("id", "n")) == (before, published)


@pytest.mark.promise("repair")
def test_a_repair_stays_with_its_day(tmp_path: Path) -> None:
    """What a repair corrected in a snapshot holds for its days for good, whatever else comes, and after a rebuild."""
    shop = Shop(tmp_path, CONTRACT, HOW)
    shop.deliver(named(1), f"{HEAD}a,-1\nb,2\n")
    shop.load()
    shop.deliver(repair_name(), f"id,n,_reject_id\na,1,{reject(shop, named(1), 1)}\n")
    shop.load()
    shop.deliver(named(3), f"{HEAD}b,2\n")
    shop.load()
    shop.deliver(named(2), f"{HEAD}a,1\nb,2\n")
    shop.load()
    expected = [("a", 1, day(1), day(3), False, repair_name(), 1), ("b", 2, day(1), None, True, named(1), 2)]
    assert history(shop) == expected
    assert proven(shop)
    rebuild(shop.warehouse, shop.settings, shop.feed, shop.options, shop.told.append)
    assert history(shop) == expected
    assert proven(shop)


@pytest.mark.promise("deliveries")
@pytest.mark.parametrize("change", ["a type", "a rule", "a column", "a name"])
def test_another_contract_makes_the_history_anew(shop: Shop, change: str) -> None:
    """A contract that reads, types, computes or validates otherwise makes the versions that it would have made."""
    first, number, twice = CONTRACT.columns
    changed = {
        "a type": (first, replace(number, sql_type="BIGINT"), twice),
        "a rule": (first, column("n", "INTEGER", Bound("minimum", "2")), twice),
        "a column": (first, number, replace(twice, expression='"n" * 0')),
        "a name": (first, replace(number, name="m"), replace(twice, expression='"m" * 2')),
    }[change]
    shop.feed = replace(shop.feed, columns=changed)
    shop.load()
    fresh = Shop(shop.folder.with_name("fresh"), shop.feed, HOW)
    for number_of_day, lines in enumerate(("a,1\nb,2\n", "a,1\n", "a,5\nb,2\n"), 1):
        fresh.deliver(named(number_of_day), HEAD + lines)
    fresh.load()
    query = "FROM f_history ORDER BY id, valid_from"
    assert shop.rows(query) == fresh.rows(query)
    assert proven(shop)


def test_a_history_that_is_switched_on_later_begins_in_the_archive(tmp_path: Path) -> None:
    """The first load with a history takes in all archived snapshots; without one, nothing of it is left."""
    shop = Shop(tmp_path, CONTRACT, replace(HOW, history=False))
    for number in (1, 2):
        shop.deliver(named(number), f"{HEAD}a,{number}\n")
        shop.load()
    assert shop.ledger("status") == ["superseded", "loaded"]
    shop.options = HOW
    shop.load()
    assert [item[:4] for item in history(shop)] == [("a", 1, day(1), day(2)), ("a", 2, day(2), None)]
    assert shop.ledger("status") == ["kept", "loaded"]
    assert proven(shop)
    shop.options = replace(HOW, history=False)
    shop.load()
    assert shop.ledger("status") == ["superseded", "loaded"]
    assert [row["_batch_date"] for row in shop.table("raw")] == [day(2)]
    assert shop.rows("SELECT table_name FROM duckdb_tables() WHERE table_name = 'f_history'") == []


def test_a_dropped_feed_leaves_no_history(shop: Shop) -> None:
    """When a feed without a definition is dropped, its history goes with its tables; a stranger's table stays."""
    drop_feed(shop.warehouse, shop.settings, shop.feed.name, [], NOW)
    left = "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%f%history%' OR table_name LIKE '%\\_f'"
    assert shop.rows(left) == []
    assert shop.rows("FROM history_days") == []
    with shop.warehouse.connection("test") as connection:
        connection.execute("CREATE TABLE f_history AS SELECT 1 AS mine")
    shop.deliver(named(4), f"{HEAD}a,1\n")
    with pytest.raises(WarehouseError, match="f_history is no history"):
        shop.load()


def test_what_somebody_changes_is_found(shop: Shop) -> None:
    """Each kind of write from outside is a disagreement: a value, an end, a row more, a row less, a snapshot."""
    changes = [
        "UPDATE f_history SET n = 6 WHERE id = 'a' AND is_current",
        "UPDATE f_history SET valid_to = '2024-01-02' WHERE id = 'a' AND NOT is_current",
        "DELETE FROM f_history WHERE id = 'b' AND NOT is_current",
        "INSERT INTO f_history FROM f_history WHERE id = 'b' AND NOT is_current",
        "DELETE FROM history_days WHERE batch = '2024-01-02'",
    ]
    for change in changes:
        with shop.warehouse.connection("test") as connection:
            connection.execute("BEGIN")
            connection.execute(change)
            assert [*disagreements(connection, shop.feed)], change
            connection.execute("ROLLBACK")
    assert proven(shop)


def test_the_newest_change_is_measured(shop: Shop) -> None:
    """Keys that are gone or new, and numbers that moved beyond their limit, are counted against the day before."""
    shop.deliver(named(4), f"{HEAD}a,4\nc,1\n")
    shop.load()
    with shop.warehouse.connection("test") as connection:
        found: Any = newest_change(connection, shop.feed, {"n": 0.1})
        assert newest_change(connection, shop.feed, {"n": 0.2}).moves == []  # type: ignore[union-attr]
    assert (found.day, found.before, found.keys, found.gone, found.begun) == ("2024-01-04", "2024-01-03", 2, 1, 1)
    assert [(move.key, move.before, move.now, move.share) for move in found.moves] == [("a", 5.0, 4.0, 0.2)]
