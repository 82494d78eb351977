"""What the intricate queries of a load do, each with a small example: rows in, rows out."""

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from orchestration_project.ingest.candidates import Candidates
from orchestration_project.ingest.counts import FileCount, count_records
from orchestration_project.ingest.duplicates import (
    affected_batches,
    find_duplicates,
    own_candidates,
    published_candidates,
    repeated_keys_select,
    shared_keys_select,
)
from orchestration_project.ingest.keys import duplicates_select, keys_of
from orchestration_project.ingest.model import Plan, Staged, Validated
from orchestration_project.ingest.refusals import RejectRate, reject_rates
from orchestration_project.ingest.relations import (
    ATTEMPTS,
    CORRECTED,
    DUPLICATES,
    RECORDS,
    REMOVED,
    REPEATED_KEYS,
    SHARED_KEYS,
    VALIDATED,
)
from orchestration_project.ingest.repairs import make_corrected, resolve, validate_repairs
from orchestration_project.ingest.validate import show_records, validated_select
from orchestration_project_tests.ingest.relations import FEED, add, ask, make, warehouse

DAY1, DAY2, DAY9 = dt.date(2024, 1, 1), dt.date(2024, 1, 2), dt.date(2024, 1, 9)
WEEK = 7 * 86_400.0
(KEY,) = keys_of(FEED)
ORIGIN = "_batch_date DATE, _file VARCHAR, _file_version VARCHAR, _row BIGINT"
VALIDATED_COLUMNS = f"id VARCHAR, n INTEGER, {ORIGIN}, _rid BIGINT, _rescued VARCHAR, _reasons VARCHAR[]"
STAGED_FILES = Staged(Candidates(), Plan([], [], []), 0)


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with three files: `a.csv` and the younger `b.csv` of the first day, `c.csv` of the second."""
    with warehouse() as connection:
        add(
            connection,
            "file_ledger",
            "feed, batch, file, version, status, repair, modified_at",
            "('f', '2024-01-01', 'a.csv', 'v', 'loaded', false, '2024-02-01 08:00'),"
            " ('f', '2024-01-01', 'b.csv', 'v', 'loaded', false, '2024-02-01 09:00'),"
            " ('f', '2024-01-02', 'c.csv', 'v', 'loaded', false, '2024-02-02 08:00'),"
            " ('f', '2024-01-01', '2024-01-01.repair.csv', 'v', 'loaded', true, '2024-02-03 08:00'),"
            " ('f', '2024-01-01', '2024-01-01.2.repair.csv', 'v', 'loaded', true, '2024-02-03 09:00')",
        )
        make_corrected(connection, "DATE")
        yield connection


def validated(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    """The validated records: id, n, batch, file, row, `_rid`, reasons."""
    columns = "id, n, _batch_date, _file, _row, _rid, _reasons"
    make(connection, VALIDATED, VALIDATED_COLUMNS)
    connection.execute(
        f"INSERT INTO {VALIDATED} BY NAME SELECT *, 'v' AS _file_version FROM (VALUES {rows}) AS given({columns})"
    )


def duplicates(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """The duplicates that were found: `_rid` and reason."""
    return connection.execute(f"SELECT _rid, reason FROM {DUPLICATES} ORDER BY 1").fetchall()


def test_the_newest_file_wins_in_a_batch_and_the_earlier_batch_across_batches(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """`duplicates_select`: each record that does not count names the one that does."""
    validated(
        connection,
        "('x', 1, DATE '2024-01-01', 'a.csv', 1, 1, NULL), ('x', 2, DATE '2024-01-01', 'b.csv', 1, 2, NULL),"
        " ('x', 3, DATE '2024-01-02', 'c.csv', 1, 3, NULL), ('y', 4, DATE '2024-01-02', 'c.csv', 2, 4, NULL)",
    )
    find_duplicates(connection, FEED, [], WEEK)
    assert duplicates(connection) == [
        (1, "id: duplicate_key (kept: b.csv row 1)"),
        (3, "id: duplicate_key (kept: b.csv row 1)"),
    ]


def test_the_last_row_of_a_file_wins_and_a_broken_record_takes_no_part(connection: duckdb.DuckDBPyConnection) -> None:
    """`duplicates_select` within one file."""
    validated(
        connection,
        "('x', 1, DATE '2024-01-01', 'a.csv', 1, 1, NULL), ('x', 2, DATE '2024-01-01', 'a.csv', 2, 2, NULL),"
        " ('x', NULL, DATE '2024-01-01', 'a.csv', 3, 3, ['n: type'])",
    )
    find_duplicates(connection, FEED, [], 0)
    assert duplicates(connection) == [(1, "id: duplicate_key (kept: a.csv row 2)")]


def test_a_repaired_record_counts_as_the_one_that_it_corrects(connection: duckdb.DuckDBPyConnection) -> None:
    """`duplicates_select`: the repair of row 1 is younger than all, and yet row 2 of the same file wins."""
    validated(
        connection,
        "('x', 1, DATE '2024-01-01', '2024-01-01.repair.csv', 1, 1, NULL),"
        " ('x', 2, DATE '2024-01-01', 'a.csv', 2, 2, NULL)",
    )
    add(
        connection,
        CORRECTED,
        "_batch_date, _file, _file_version, _row, file, row, modified_at",
        "('2024-01-01', '2024-01-01.repair.csv', 'v', 1, 'a.csv', 1, '2024-02-01 08:00')",
    )
    find_duplicates(connection, FEED, [], WEEK)
    assert duplicates(connection) == [(1, "id: duplicate_key (kept: a.csv row 2)")]


def test_only_keys_that_may_occur_twice_are_compared(connection: duckdb.DuckDBPyConnection) -> None:
    """`repeated_keys_select` and `shared_keys_select`: `x` twice here, `y` here and in the look-back, `z` once."""
    validated(
        connection,
        "('x', 1, DATE '2024-01-02', 'c.csv', 1, 1, NULL), ('x', 2, DATE '2024-01-02', 'c.csv', 2, 2, NULL),"
        " ('y', 3, DATE '2024-01-02', 'c.csv', 3, 3, NULL), ('z', 4, DATE '2024-01-02', 'c.csv', 4, 4, NULL)",
    )
    columns = "id, _batch_date, _file, _file_version, _row"
    add(connection, "cleaned_f", columns, "('y', '2024-01-01', 'a.csv', 'v', 1), ('w', '2024-01-01', 'a.csv', 'v', 2)")
    own, outside = own_candidates(KEY), published_candidates(FEED, KEY, "true")
    connection.execute(f"CREATE TEMP TABLE {SHARED_KEYS} AS {shared_keys_select(KEY, own, outside)}")
    assert [row[0] for row in ask(connection, f"FROM {SHARED_KEYS}")] == ["y"]
    connection.execute(f"CREATE TEMP TABLE {REPEATED_KEYS} AS {repeated_keys_select(KEY, own, shared=True)}")
    assert {*ask(connection, f"FROM {REPEATED_KEYS}")} == {*ask(connection, "SELECT hash(unnest(['x', 'y']))")}
    found = ask(connection, duplicates_select(FEED, KEY, own, shared=True, window_seconds=WEEK))
    assert [(row[0], row[-1]) for row in found] == [
        (1, "id: duplicate_key (kept: c.csv row 2)"),
        (3, "id: duplicate_key (kept: a.csv row 1)"),
    ]


def test_a_published_row_that_was_rejected_for_its_key_alone_may_win_again(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """`published_candidates`: cleaned rows, and rejected ones that break no other rule."""
    origin = "_batch_date, _file, _file_version, _row"
    add(connection, "cleaned_f", f"id, n, {origin}", "('x', 1, '2024-01-01', 'a.csv', 'v', 1)")
    add(
        connection,
        "rejected_f",
        f"id, n, {origin}, _reasons",
        "('y', '2', '2024-01-01', 'a.csv', 'v', 2, ['id: duplicate_key (kept: b.csv row 1)']),"
        " ('z', 'q', '2024-01-01', 'a.csv', 'v', 3, ['n: type', 'id: duplicate_key (kept: b.csv row 2)'])",
    )
    assert [row[0] for row in ask(connection, published_candidates(FEED, KEY, "true"))] == ["x", "y"]


def test_later_batches_that_share_a_changed_key_are_affected(connection: duckdb.DuckDBPyConnection) -> None:
    """`affected_select`: the first day loses `x` and gains `z`; a batch with `y` alone is left alone."""
    columns = "id, _batch_date, _file, _file_version, _row"
    add(
        connection,
        "cleaned_f",
        columns,
        "('x', '2024-01-01', 'a.csv', 'v', 1), ('y', '2024-01-01', 'a.csv', 'v', 2),"
        " ('z', '2024-01-02', 'c.csv', 'v', 1), ('y', '2024-01-09', 'd.csv', 'v', 1)",
    )
    validated(
        connection,
        "('z', 1, DATE '2024-01-01', 'a.csv', 1, 1, NULL), ('y', 2, DATE '2024-01-01', 'a.csv', 2, 2, NULL)",
    )
    find_duplicates(connection, FEED, [], WEEK)
    assert affected_batches(connection, FEED, [DAY1], [DAY2, DAY9], WEEK) == [DAY2]


def test_a_chain_of_batches_is_walked_through(connection: duckdb.DuckDBPyConnection) -> None:
    """`duplicates_select`: a record is kept when none that is kept lies within the week before it; each key by itself.

    `published_keepers`: the row of day 2 is published as beaten, so it takes nothing from anybody.
    """
    days = {"x": [1, 4, 8, 15, 20, 30], "y": [1, 9, 17], "z": [9]}
    rows = [(key, day) for key, found in days.items() for day in found]
    validated(
        connection,
        ", ".join(
            f"('{key}', 1, DATE '2024-01-{day:02}', '{day}.csv', 1, {rid}, NULL)" for rid, (key, day) in enumerate(rows)
        ),
    )
    add(
        connection,
        "rejected_f",
        "id, n, _batch_date, _file, _file_version, _row, _reasons",
        "('z', '2', '2024-01-02', '2.csv', 'v', 2, ['id: duplicate_key (kept: 0.csv row 1)'])",
    )
    find_duplicates(connection, FEED, [DAY2], WEEK)
    assert duplicates(connection) == [
        (rows.index(("x", day)), f"id: duplicate_key (kept: {kept}.csv row 1)")
        for day, kept in ((4, 1), (8, 1), (20, 15))
    ]


def repairs(connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """A reject of `a.csv`, and four records that are meant to repair it; returns its id and one that is none."""
    (reject,) = connection.execute("SELECT left(sha256('f/a.csv/v/1'), 16)").fetchone() or ("",)
    newer, older = "2024-01-01.2.repair.csv", "2024-01-01.repair.csv"
    validated(
        connection,
        f"""('x', NULL, DATE '2024-01-01', 'a.csv', 1, 1, ['n: type']),
            ('x', 1, DATE '2024-01-01', '{newer}', 1, 2, NULL), ('x', 2, DATE '2024-01-01', '{older}', 1, 3, NULL),
            ('x', 3, DATE '2024-01-01', '{older}', 2, 4, NULL), ('x', 4, DATE '2024-01-01', '{older}', 3, 5, NULL)""",
    )
    make(
        connection,
        RECORDS,
        f"_rid BIGINT, {ORIGIN}, _repairs VARCHAR, _parse_error VARCHAR",
        f"""(1, '2024-01-01', 'a.csv', 'v', 1, NULL, NULL), (2, '2024-01-01', '{newer}', 'v', 1, '{reject}', NULL),
            (3, '2024-01-01', '{older}', 'v', 1, '{reject}', NULL), (4, '2024-01-01', '{older}', 'v', 2, 'r9', NULL),
            (5, '2024-01-01', '{older}', 'v', 3, '', NULL)""",
    )
    return reject, newer


def test_a_repair_record_needs_a_reject_of_its_own(connection: duckdb.DuckDBPyConnection) -> None:
    """`_attempts`: the newest record for a reject is valid; others, and those that name none, are told why not."""
    _, newer = repairs(connection)
    validated = Validated(STAGED_FILES, [DAY1], 5, changeable=VALIDATED)
    validate_repairs(connection, FEED, validated, [], WEEK, [DAY1])
    assert connection.execute(f"SELECT _rid, reason FROM {ATTEMPTS} ORDER BY 1").fetchall() == [
        (2, None),
        (3, f"_reject_id: unique (kept: {newer} row 1)"),
        (4, "_reject_id: not_rejected"),
        (5, "_reject_id: required"),
    ]
    assert connection.execute(f"SELECT _file, file, row FROM {CORRECTED}").fetchall() == [(newer, "a.csv", 1)]
    assert ask(connection, f"SELECT _rid FROM {VALIDATED} WHERE _reasons IS NULL") == [(2,)]


def test_rejects_are_closed_by_repairs_then_waivers_and_attempts_with_them(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """`_resolvers`: r1 is repaired, r2 waived, r3 open; the failed attempt on r2 is closed as r2 is."""
    origin = "_batch_date, _file, _file_version, _row"
    add(
        connection,
        "rejected_f",
        f"{origin}, _reject_id",
        """('2024-01-01', 'a.csv', 'v', 1, 'r1'), ('2024-01-01', 'a.csv', 'v', 2, 'r2'),
           ('2024-01-01', 'a.csv', 'v', 3, 'r3'), ('2024-01-01', '2024-01-01.repair.csv', 'v', 2, 'r8')""",
    )
    add(
        connection,
        "raw_f",
        f"{origin}, _repairs",
        """('2024-01-01', '2024-01-01.repair.csv', 'v', 1, 'r1'),
           ('2024-01-01', '2024-01-01.repair.csv', 'v', 2, 'r2')""",
    )
    add(connection, "cleaned_f", origin, "('2024-01-01', '2024-01-01.repair.csv', 'v', 1)")
    add(connection, "waivers", "feed, reject_id, waived_by, because", "('f', 'r2', 'Ada', 'a test order')")
    resolve(connection, FEED, [DAY1])
    assert ask(connection, "SELECT _reject_id, _resolved_by FROM rejected_f") == [
        ("r1", "2024-01-01.repair.csv"),
        ("r2", "waived by Ada: a test order"),
        ("r3", None),
        ("r8", "waived by Ada: a test order"),
    ]


def test_a_file_is_told_with_its_most_frequent_reasons(connection: duckdb.DuckDBPyConnection) -> None:
    """`_reject_rates`: two of three records of `a.csv` break a rule, none of `b.csv`."""
    validated(
        connection,
        "('x', 1, DATE '2024-01-01', 'a.csv', 1, 1, NULL), (NULL, NULL, DATE '2024-01-01', 'a.csv', 2, 2,"
        " ['id: required', 'n: type']), ('y', NULL, DATE '2024-01-01', 'a.csv', 3, 3, ['n: type']),"
        " ('z', 1, DATE '2024-01-01', 'b.csv', 1, 4, NULL)",
    )
    assert reject_rates(connection, VALIDATED, 0.5) == [
        RejectRate(DAY1, "a.csv", "v", 2, 3, "n: type (2), id: required (1)")
    ]
    assert reject_rates(connection, VALIDATED, 0.7) == []


def test_a_record_gets_its_values_and_every_reason_in_one_row(connection: duckdb.DuckDBPyConnection) -> None:
    """`validated_select`: texts become values, a value that does not fit is NULL, a blank record gives no row."""
    raw = f"_rid BIGINT, {ORIGIN}, id VARCHAR, n VARCHAR, _rescued VARCHAR, _parse_error VARCHAR"
    origin = "'2024-01-01', 'a.csv', 'v'"
    make(
        connection,
        RECORDS,
        raw,
        f"""(1, {origin}, 1, ' x ', '007', NULL, NULL), (2, {origin}, 2, '', '1.5', NULL, NULL),
            (3, {origin}, 3, ' ', '', NULL, NULL), (4, {origin}, 4, NULL, NULL, NULL, 'bad_quoting: open')""",
    )
    rows = ask(connection, f"SELECT _rid, id, n, _reasons FROM {validated_select(FEED, 'true')}")
    assert rows == [
        (1, "x", 7, None),
        (2, None, None, ["id: required", "n: type"]),
        (4, None, None, ["_raw_line: bad_quoting"]),
    ]


def test_records_are_the_staged_ones_and_those_of_the_files_that_stay(connection: duckdb.DuckDBPyConnection) -> None:
    """`show_records`: rows of a removed file are out before the delete, staged ones in before the insert."""
    columns = "_batch_date, _file, _file_version, _row, id"
    add(
        connection,
        "raw_f",
        columns,
        "('2024-01-01', 'a.csv', 'v', 1, 'old'), ('2024-01-01', 'b.csv', 'v', 1, 'stays')",
    )
    make(connection, "_staged", f"_rid BIGINT, {ORIGIN}, id VARCHAR", "(-1, '2024-01-01', 'a.csv', 'w', 1, 'new')")
    make(
        connection,
        REMOVED,
        "_batch_date DATE, _file VARCHAR, _file_version VARCHAR",
        "('2024-01-01', 'a.csv', 'v')",
    )
    show_records(connection, FEED, STAGED_FILES, "true")
    assert ask(connection, f"SELECT id, _file_version FROM {RECORDS}") == [("new", "w"), ("stays", "v")]


def test_a_file_is_counted_in_three_tables_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    """`_record_counts`: four records in raw are one cleaned, two rejected (one of them waived) and one blank."""
    origin = "_batch_date, _file, _file_version, _row"
    rows = ", ".join(
        f"('2024-01-01', 'a.csv', 'v', {row}, {text})" for row, text in enumerate(["'x'", "'y'", "'z'"], 1)
    )
    add(connection, "raw_f", f"{origin}, id", f"{rows}, ('2024-01-01', 'a.csv', 'v', 4, NULL)")
    add(connection, "cleaned_f", origin, "('2024-01-01', 'a.csv', 'v', 1)")
    add(
        connection,
        "rejected_f",
        f"{origin}, _reasons, _resolved_by",
        "('2024-01-01', 'a.csv', 'v', 2, ['n: type'], NULL),"
        " ('2024-01-01', 'a.csv', 'v', 3, ['n: type'], 'waived by Ada: a test')",
    )
    expected = FileCount(DAY1, "a.csv", "v", records=4, blank=1, cleaned=1, rejected=2, waived=1)
    assert count_records(connection, FEED, None) == [expected]
