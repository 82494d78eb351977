"""Which versions count (`settle`, pure) and the ledger's table."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration_project.warehouse.ledger import Entry, Status, ensure_ledger, write_counts, write_entries
from orchestration_project.warehouse.ledger_batches import batch_sizes, loaded_batches
from orchestration_project.warehouse.ledger_queries import (
    current_entries,
    known_deliveries,
    last_entries,
    refused_files,
    repetitions,
)
from orchestration_project.warehouse.settle import left_out, settle
from orchestration_project_tests.servers.warehouses import connected

LIVE = (Status.RECEIVED, Status.LOADED, Status.DUPLICATE)


def entry(
    file: str,
    sha256: str = "x",
    day: int = 1,
    minute: int = 0,
    status: Status = Status.RECEIVED,
    records: int | None = 1,
) -> Entry:
    """A version of a file for the n-th day."""
    batch = dt.date(2024, 1, day)
    modified = dt.datetime(2024, 2, 1, 0, minute)  # noqa: DTZ001 - the ledger's times are naive UTC
    return Entry("f", file, sha256 * 32, str(batch), batch, modified, 10, status, records)


def repair(file: str, sha256: str = "", day: int = 1, minute: int = 0) -> Entry:
    """A version of a repair file for the n-th day; its bytes are its own unless they are given."""
    return replace(entry(file, sha256 or file, day, minute), repair=True)


@pytest.mark.parametrize(
    ("entries", "snapshot", "expected"),
    [
        pytest.param([entry("a"), entry("b", "y")], False, {"a": "loaded", "b": "loaded"}, id="different bytes"),
        pytest.param(
            [entry("a", minute=2), entry("b", minute=1)],
            False,
            {"a": "duplicate", "b": "loaded"},
            id="the older keeps equal bytes",
        ),
        pytest.param(
            [entry("b"), entry("a")], False, {"a": "loaded", "b": "duplicate"}, id="of the same age: the first by name"
        ),
        pytest.param(
            [entry("a", day=2, minute=1), entry("b", day=1, minute=2)],
            False,
            {"a": "loaded", "b": "loaded"},
            id="equal bytes for another batch",
        ),
        pytest.param(
            [entry("a", records=0), entry("b", records=0)],
            False,
            {"a": "loaded", "b": "loaded"},
            id="files without records all load",
        ),
        pytest.param(
            [entry("a", day=1), entry("b", "y", day=2)],
            True,
            {"a": "superseded", "b": "loaded"},
            id="snapshot: the newest",
        ),
        pytest.param(
            [entry("a", day=2), entry("b", "y", day=1)],
            True,
            {"a": "loaded", "b": "superseded"},
            id="snapshot: a late older file",
        ),
        pytest.param(
            [entry("a", minute=2), entry("b", "y", minute=1)],
            True,
            {"a": "loaded", "b": "superseded"},
            id="snapshot: the newer of a batch",
        ),
        pytest.param(
            [entry("a", day=1), entry("b", day=2), entry("c", "y", day=1)],
            True,
            {"a": "superseded", "b": "loaded", "c": "superseded"},
            id="snapshot: the newest bytes again",
        ),
        pytest.param(
            [entry("a", records=0), entry("b", records=0)],
            True,
            {"a": "loaded", "b": "duplicate"},
            id="snapshot: empty twice",
        ),
        pytest.param(
            [entry("a", day=1), repair("r", day=1, minute=1), repair("o", day=2, minute=9), repair("e", day=1)],
            True,
            {"a": "loaded", "r": "loaded", "o": "superseded", "e": "superseded"},
            id="snapshot: repairs of the newest, made since",
        ),
        pytest.param(
            [entry("a"), entry("b", minute=3), repair("r", minute=1), repair("s", "r", minute=2), entry("c", "y")],
            True,
            {"a": "loaded", "b": "duplicate", "r": "loaded", "s": "duplicate", "c": "superseded"},
            id="snapshot: repairs of who holds the newest bytes",
        ),
        pytest.param([repair("r", minute=1)], True, {"r": "superseded"}, id="snapshot: repairs of nothing"),
        pytest.param([], True, {}, id="nothing"),
    ],
)
def test_settle(entries: list[Entry], snapshot: bool, expected: dict[str, str]) -> None:
    """Bytes count once a batch; in a snapshot feed only the newest do."""
    assert {item.file: item.status for item in settle(entries, snapshot)} == expected


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        pytest.param(
            [entry("a", day=1), entry("b", "y", day=3), entry("c", "z", day=2)],
            {"a": "kept", "b": "loaded", "c": "kept"},
            id="each day's",
        ),
        pytest.param(
            [entry("a", day=1, minute=2), entry("b", "y", day=1, minute=1), entry("c", day=2)],
            {"a": "kept", "b": "superseded", "c": "loaded"},
            id="the newest of an earlier day",
        ),
        pytest.param(
            [entry("a", day=1, minute=1), entry("b", day=1, minute=2), entry("c", "y", day=2)],
            {"a": "kept", "b": "superseded", "c": "loaded"},
            id="equal bytes of an earlier day",
        ),
        pytest.param(
            [entry("a", day=1), repair("r", day=1, minute=1), entry("b", "y", day=2), repair("s", day=3, minute=1)],
            {"a": "kept", "r": "kept", "b": "loaded", "s": "superseded"},
            id="repairs stay with their day",
        ),
    ],
)
def test_settle_with_a_history(entries: list[Entry], expected: dict[str, str]) -> None:
    """Of each day before the newest, the snapshot that counted then stays in the raw table, with its repairs."""
    assert {item.file: item.status for item in settle(entries, snapshot=True, history=True)} == expected


ENTRIES = st.lists(
    st.builds(
        entry,
        file=st.sampled_from("abcdefg"),
        sha256=st.sampled_from("xyz"),
        day=st.integers(1, 3),
        minute=st.integers(0, 2),
        status=st.sampled_from(LIVE),
        records=st.sampled_from([0, 1, 5]),
    ),
    max_size=7,
    unique_by=lambda item: item.file,
).map(lambda entries: [replace(item, records={"x": 0, "y": 1, "z": 5}[item.sha256[0]]) for item in entries])


@given(entries=ENTRIES, snapshot=st.booleans(), data=st.data())
def test_settle_depends_on_the_versions_alone(entries: list[Entry], snapshot: bool, data: st.DataObject) -> None:
    """Neither the order of the entries nor what was decided before changes the decision."""
    shuffled = data.draw(st.permutations(entries))
    changed = [replace(item, status=data.draw(st.sampled_from(LIVE))) for item in shuffled]
    expected = {item.file: item.status for item in settle(entries, snapshot)}
    assert {item.file: item.status for item in settle(changed, snapshot)} == expected


@given(entries=ENTRIES)
def test_settle_loads_every_bytes_once_a_batch(entries: list[Entry]) -> None:
    """Of each bytes with records exactly one file a batch is loaded, of each without all are; none is lost."""
    settled = settle(entries, snapshot=False)
    assert {item.file for item in settled} == {item.file for item in entries}
    loaded = Counter((item.batch, item.sha256) for item in settled if item.status is Status.LOADED)
    delivered = Counter((item.batch, item.sha256) for item in entries)
    empty = {item.sha256 for item in entries if item.records == 0}
    assert loaded == {bytes_: count if bytes_[1] in empty else 1 for bytes_, count in delivered.items()}


@given(entries=ENTRIES.filter(bool))
def test_settle_of_a_snapshot_loads_one_file(entries: list[Entry]) -> None:
    """A snapshot feed consists of exactly one file, with the bytes of the newest."""
    loaded = [item for item in settle(entries, snapshot=True) if item.status is Status.LOADED]
    assert [item.sha256 for item in loaded] == [max(entries, key=lambda item: item.rank).sha256]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with an empty ledger."""
    with connected(tmp_path) as connection:
        ensure_ledger(connection)
        yield connection


def test_entries_are_replaced_by_feed_file_and_version(connection: duckdb.DuckDBPyConnection) -> None:
    """An entry that is written again replaces its former state and no other one."""
    first, other = entry("it's", status=Status.LOADED), replace(entry("it's", status=Status.LOADED), feed="g")
    write_entries(connection, [first, other, entry("b", "y", status=Status.LOADED)])
    write_entries(connection, [replace(first, status=Status.SUPERSEDED), entry("it's", "y", status=Status.LOADED)])
    rows = connection.execute("SELECT feed, file, version[:1], status FROM file_ledger ORDER BY ALL").fetchall()
    assert rows == [
        ("f", "b", "y", "loaded"),
        ("f", "it's", "x", "superseded"),
        ("f", "it's", "y", "loaded"),
        ("g", "it's", "x", "loaded"),
    ]


def test_nothing_to_write(connection: duckdb.DuckDBPyConnection) -> None:
    """Writing no entries is no error."""
    write_entries(connection, [])
    assert connection.execute("SELECT count(*) FROM file_ledger").fetchone() == (0,)


def test_concerned_entries(connection: duckdb.DuckDBPyConnection) -> None:
    """A delivery concerns its own files and all of their batches that have bytes which it brings or takes away."""
    write_entries(
        connection,
        [
            entry("a", "x", status=Status.LOADED),
            entry("b", "x", status=Status.DUPLICATE),
            entry("c", "y", status=Status.LOADED),
            entry("d", "z", status=Status.LOADED),
            entry("e", "y", status=Status.SUPERSEDED),
            entry("A", "x", day=2, status=Status.LOADED),
            entry("a", "x", day=2, status=Status.DUPLICATE),
        ],
    )

    def concerned(file: str, sha256: str, snapshot: bool = False, by_name: bool = False) -> str:
        found = current_entries(connection, "f", [("2024-01-01", file, sha256 * 32)], snapshot, by_name)
        return "".join(sorted(item.file for item in found))

    assert concerned("a", "q") == "ab"
    assert concerned("a", "q", by_name=True) == "Aaab"
    assert concerned("n", "y") == "c"
    assert concerned("n", "q") == ""
    assert concerned("n", "q", snapshot=True) == "Aaabcde"
    delivered = [("2024-01-01", "c", "")]
    assert current_entries(connection, "f", delivered, False) == [entry("c", "y", status=Status.LOADED)]


def test_files_that_an_earlier_release_left_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Bytes of another batch, and an undated name of another day; nothing that is a duplicate or superseded today."""
    loaded, duplicate, superseded = Status.LOADED, Status.DUPLICATE, Status.SUPERSEDED
    write_entries(
        connection,
        [
            entry("a", "x", 1, status=loaded),
            entry("b", "x", 2, status=duplicate),
            entry("c", "y", 1, status=loaded),
            entry("d", "y", 1, 1, status=duplicate),
            entry("export", "p", 1, status=superseded),
            replace(entry("export", "q", 2, status=loaded), delivery=2),
            entry("e", "r", 1, status=superseded),
            replace(entry("e", "s", 1, status=loaded), delivery=2),
        ],
    )
    last = last_entries(connection, "f")
    assert sorted((item.batch, item.file) for item in left_out(last)) == [("2024-01-01", "export"), ("2024-01-02", "b")]
    assert left_out([item for item in last if item.status is loaded]) == []
    # Loads know them, so that none brings them in.
    known = known_deliveries(connection, "f", ["2024-01-01"], False)
    assert known["2024-01-01", "export"] == 1


def test_repetitions(connection: duckdb.DuckDBPyConnection) -> None:
    """The loaded file of the nearest batch before, else after; files of the same batch, repairs and empty ones not."""
    files = [entry("a", "x", day, status=Status.LOADED) for day in (1, 3, 5)]
    others = [entry("b", "x", 3, status=Status.LOADED), entry("e", "y", 1, status=Status.LOADED, records=0)]
    write_entries(connection, [*files, *others, replace(repair("r", "z", 1), status=Status.LOADED)])
    asked = [(f"2024-01-0{day}", "n", sha256 * 32) for day, sha256 in ((4, "x"), (1, "x"), (9, "y"), (9, "z"))]
    found = {item.batch: (item.other_batch, item.other_file) for item in repetitions(connection, "f", asked)}
    assert found == {"2024-01-04": ("2024-01-03", "a"), "2024-01-01": ("2024-01-03", "a")}


def test_summaries(connection: duckdb.DuckDBPyConnection) -> None:
    """Known files, loaded batches, sizes and refusals are told by feed."""
    refused = replace(entry("c", "z", 3, status=Status.QUARANTINED), reason="no_header: none", run_id="r")
    loaded = [entry("a", "x", 1, status=Status.LOADED, records=None), entry("b", "y", 2, status=Status.LOADED)]
    write_entries(connection, [*loaded, refused, entry("d", "x", 2, status=Status.DUPLICATE)])
    identity = (loaded[0].batch, "a", loaded[0].version)
    # The number that was counted in the bytes of b stays; a had none.
    write_counts(
        connection,
        "f",
        {identity: (9, 1, 5, 3, 1, 1, 0, 0), (loaded[1].batch, "b", loaded[1].version): (7, 0, 7, 0, 0, 0, 0, 0)},
    )
    assert known_deliveries(connection, "f", None, False) == {
        ("2024-01-01", "a"): 1,
        ("2024-01-02", "b"): 1,
        ("2024-01-02", "d"): 1,
    }
    assert known_deliveries(connection, "f", ["2024-01-02"], False) == {
        ("2024-01-02", "b"): 1,
        ("2024-01-02", "d"): 1,
    }
    assert known_deliveries(connection, "f", [], False) == {}
    assert loaded_batches(connection, "f") == ["2024-01-01", "2024-01-02"]
    assert loaded_batches(connection, "f", "2024-01-02", "2024-01-09") == ["2024-01-02"]
    assert loaded_batches(connection, "f", "2023-12-25", "2024-01-01") == ["2024-01-01"]
    assert batch_sizes(connection, "f") == {"2024-01-01": 9, "2024-01-02": 1}
    assert refused_files(connection, "f", "r") == [("c", "no_header: none")]
    assert known_deliveries(connection, "other", None, False) == {}
