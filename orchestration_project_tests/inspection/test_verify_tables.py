"""The query behind `verify`: rows of a feed's tables in, the files with odd records out."""

import datetime as dt

import duckdb
import pytest

from orchestration_project.inspection.verify_tables import odd_records_sql
from orchestration_project_tests.ingest.shop import DAY, day, feed

Rows = list[tuple[int, str | None]]
"""`_row` and `id`; a record without an id is blank."""


def odd_records(
    raw: Rows, cleaned: list[int], rejected: list[int]
) -> list[tuple[str, str, dt.date, int, int, int, int]]:
    """What the query finds in the tables of the feed f when they have some rows of one file."""
    with duckdb.connect() as connection:
        for table in ("raw_f", "cleaned_f", "rejected_f"):
            connection.execute(
                f"CREATE TABLE {table} (_batch_date DATE, _file TEXT, _file_version TEXT, _row BIGINT, id TEXT, n TEXT,"
                " _rescued TEXT, _parse_error TEXT)"
            )
        tables: dict[str, Rows] = {
            "raw_f": raw,
            "cleaned_f": [(row, "x") for row in cleaned],
            "rejected_f": [(row, "x") for row in rejected],
        }
        for table, rows in tables.items():
            for row, text in rows:
                connection.execute(
                    f"INSERT INTO {table} VALUES ($1, 's.csv', 'v', $2, $3, NULL, NULL, NULL)", [DAY, row, text]
                )
        assert connection.execute(odd_records_sql(feed(), [day(2)])).fetchall() == []
        return connection.execute(odd_records_sql(feed(), [DAY])).fetchall()


@pytest.mark.parametrize(
    ("raw", "cleaned", "rejected", "numbers"),
    [
        pytest.param([(1, "a"), (2, "b"), (3, None)], [1], [2], None, id="cleaned, rejected and blank"),
        pytest.param([], [], [], None, id="nothing"),
        pytest.param([(1, "a"), (1, "a"), (2, "b")], [1, 1, 2], [], (1, 0, 0, 0), id="a raw row twice"),
        pytest.param([(1, "a")], [1, 2], [3], (0, 2, 0, 0), id="published without a raw row"),
        pytest.param([(1, "a"), (2, None)], [1, 2], [1], (0, 0, 2, 0), id="published twice, or though blank"),
        pytest.param([(1, "a"), (2, "b")], [1], [], (0, 0, 0, 1), id="not published"),
        pytest.param([(1, "a"), (2, "b"), (3, "c")], [2, 2, 4], [], (0, 1, 1, 2), id="several of these"),
    ],
)
def test_odd_records_are_counted_by_file(
    raw: Rows, cleaned: list[int], rejected: list[int], numbers: tuple[int, int, int, int] | None
) -> None:
    """Raw, cleaned and rejected rows give: several raw rows, no raw row, published too often, not published."""
    expected = [("s.csv", "v", DAY, *numbers)] if numbers else []
    assert odd_records(raw, cleaned, rejected) == expected
