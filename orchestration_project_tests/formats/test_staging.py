"""The view of what was read: records that were copied, and records that stay in another table."""

import duckdb

from orchestration_project.formats.staging import COPIED, STAGED, make_staged, show_staged
from orchestration_project_tests.ingest.shop import column, feed


def test_every_staged_record_has_a_number_of_its_own() -> None:
    """Copied and uncopied records stand in one view, by the names of their columns; no number is that of a raw row."""
    with duckdb.connect() as connection:
        make_staged(connection, feed(column("id"), column("n")), "DATE")
        connection.execute(
            f"INSERT INTO {COPIED} BY NAME SELECT 1 AS _row, 'a' AS id, '1' AS n UNION ALL SELECT 2, 'b', '2'"
        )
        connection.execute("CREATE TEMP TABLE other AS SELECT 'c' AS id UNION ALL SELECT 'd'")
        show_staged(connection, "SELECT rowid AS _nth, rowid + 1 AS _row, id FROM other")
        rows = connection.execute(f"SELECT _rid, _row, id, n, _rescued FROM {STAGED} ORDER BY id").fetchall()
    assert [row[1:] for row in rows] == [
        (1, "a", "1", None),
        (2, "b", "2", None),
        (1, "c", None, None),
        (2, "d", None, None),
    ]
    numbers = {row[0] for row in rows}
    assert len(numbers) == len(rows)
    assert max(numbers) < 0


def test_a_view_of_nothing_has_the_columns_of_the_raw_table() -> None:
    """Before anything was read, the view is empty."""
    with duckdb.connect() as connection:
        make_staged(connection, feed(column("id")), "TIMESTAMP")
        assert connection.execute(f"SELECT _batch_date, _file, id, _raw_line FROM {STAGED}").fetchall() == []
