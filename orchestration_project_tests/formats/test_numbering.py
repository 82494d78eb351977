"""The numbers of records: those that DuckDB reads, and those that it skips, in one order."""

import duckdb

from orchestration_project.formats.lines import Dialect, Lines, unsplit_records
from orchestration_project.formats.numbering import lines_beside_skipped
from orchestration_project.formats.staging import READER_ERRORS, READER_SCANS, SKIPPED

SKIPPED_COLUMNS = "_f UBIGINT, record BIGINT, raw VARCHAR, error VARCHAR"


def test_lines_are_numbered_around_the_records_that_were_skipped() -> None:
    """Records 2, 4 and 5 of a file were skipped, and the first of another one: its lines are 1, 3, 6 and 2, 3."""
    lines = Lines(files=(), of_files=(), relation="read", skipped="left_out")
    with duckdb.connect() as connection:
        connection.execute(
            f"CREATE TEMP TABLE read (_f UBIGINT, c0 VARCHAR); CREATE TEMP TABLE left_out ({SKIPPED_COLUMNS})"
        )
        connection.execute("INSERT INTO read VALUES (0, 'x'), (1, 'a'), (1, 'b'), (1, 'c'), (2, 'd'), (2, 'e')")
        connection.execute("INSERT INTO left_out (_f, record) VALUES (1, 2), (1, 4), (1, 5), (2, 1)")
        numbered = f"{lines_beside_skipped(lines)} SELECT c0, number FROM numbered ORDER BY ALL"
        assert connection.execute(numbered).fetchall() == [("a", 1), ("b", 3), ("c", 6), ("d", 2), ("e", 3)]


def test_records_that_duckdb_could_not_split_are_numbered_as_they_were_delivered() -> None:
    """A record that was taken out before DuckDB read the file counts, and a line of blanks is a blank record.

    Delivered were a header and the records 'a,1', '"b"x,1' (taken out), 'lonely', a line of blanks, 'c,1,2'.
    """
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TEMP TABLE {SKIPPED} ({SKIPPED_COLUMNS})")
        connection.execute(f"INSERT INTO {SKIPPED} VALUES (0, 2, '\"b\"x,1', 'bad_quoting: ...')")
        connection.execute(f"CREATE TEMP TABLE {READER_SCANS} AS SELECT 0 AS scan_id, 7 AS file_id, '/f' AS file_path")
        connection.execute(
            f"""CREATE TEMP TABLE {READER_ERRORS} AS SELECT 0 AS scan_id, 7 AS file_id, * FROM (VALUES
                (3, 1, 'MISSING COLUMNS', 'lonely' || chr(10), 'expected 2'),
                (4, 1, 'MISSING COLUMNS', '   ' || chr(10), 'expected 2'),
                (5, 3, 'TOO MANY COLUMNS', 'c,1,2' || chr(10), 'found 3'),
                (5, 4, 'UNQUOTED VALUE', 'c,1,2' || chr(10), 'another')
            ) AS errors (line, column_idx, error_type, csv_line, error_message)"""
        )
        records = unsplit_records(Dialect(",", '"', width=2, skip=1), ["/f"])
        found = connection.execute(f"{records} ORDER BY record").fetchall()
    assert found == [
        (0, 3, "lonely", "too_few_columns: expected 2"),
        (0, 4, None, None),
        (0, 5, "c,1,2", "too_many_columns: found 3"),
    ]
