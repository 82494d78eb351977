"""The table of figures: what is kept, and for how long."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestration_project.errors import WarehouseError
from orchestration_project.health import model
from orchestration_project.health.model import Kind, measured
from orchestration_project.health.table import COLUMNS, DESCRIPTIONS, add, series
from orchestration_project.warehouse.duckdb_file import DuckdbFile
from orchestration_project.warehouse.owners import claim
from orchestration_project.warehouse.tables import columns_of, create_table
from orchestration_project_tests.health.runs import NOW

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = "figures"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BEGIN = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator["DuckDBPyConnection"]:
    with DuckdbFile(tmp_path / "warehouse.duckdb").connection("test") as connection:
        yield connection


def sizes(connection: "DuckDBPyConnection") -> dict[dt.datetime, float]:
    return series(connection, TABLE, Kind.STORE, model.SIZE, BEGIN).get("archive", {})


def test_figures_are_kept_as_rows(connection: "DuckDBPyConnection") -> None:
    """A row has the moment, what it is about, the metric, the value and its unit."""
    add(connection, TABLE, NOW, measured(Kind.STORE, "archive", size=10, growth=None))
    assert columns_of(connection, TABLE) == COLUMNS
    assert connection.execute(f"FROM {TABLE}").fetchall() == [
        (NOW.replace(tzinfo=None), "store", "archive", "size", 10.0, "bytes")
    ]
    assert COLUMNS.keys() == DESCRIPTIONS.keys()


def test_old_hours_become_days(connection: "DuckDBPyConnection") -> None:
    """For 90 days every measurement is kept, of a day before that the last one, for ever."""
    first = NOW.replace(hour=0, minute=0) - 92 * DAY
    moments = [first + hours * HOUR for hours in range(92 * 24 + 13)]
    for number, moment in enumerate(moments[:-1]):
        if moment < first + 4 * DAY:  # enough to see where the hours begin
            add(connection, TABLE, moment, measured(Kind.STORE, "archive", size=number))
    add(connection, TABLE, NOW, measured(Kind.STORE, "archive", size=0))

    kept = sizes(connection)

    days = [sum(first + day * DAY <= moment < first + (day + 1) * DAY for moment in kept) for day in range(4)]
    assert days == [1, 1, 24, 24]
    assert list(kept.values())[:2] == [23, 47]


def test_a_series_begins_when_it_is_asked_to(connection: "DuckDBPyConnection") -> None:
    """Earlier moments and other metrics are left out."""
    for days in range(3):
        add(connection, TABLE, NOW + days * DAY, measured(Kind.STORE, "archive", size=days, files=7))
    assert series(connection, TABLE, Kind.STORE, model.SIZE, NOW + DAY) == {"archive": {NOW + DAY: 1, NOW + 2 * DAY: 2}}


def test_a_table_of_somebody_else_is_left_alone(connection: "DuckDBPyConnection") -> None:
    """A table of that name that another asset has is not written to."""
    create_table(connection, TABLE, {"a": "INTEGER"})
    claim(connection, "theirs", TABLE)
    with pytest.raises(WarehouseError, match="belongs to the asset theirs"):
        add(connection, TABLE, NOW, measured(Kind.STORE, "archive", size=1))
