"""Kinds of warehouses: what is in them is compared, and what their servers do is counted."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import warehouses
from benchmarks.contents import contents, ensure_equal
from benchmarks.data import days, make_sales
from benchmarks.measure import Failed
from benchmarks.parts import warehouses as part
from benchmarks.session import Session
from benchmarks.warehouses import Kind
from benchmarks.writers import run_plan
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.servers.warehouses import FILE, SQLITE

ROWS, MODIFIED = 40, 1_700_000_000
FILES_ALONE = (Kind(FILE, lambda _: {}), Kind(SQLITE, warehouses.in_sqlite))


def loaded(tmp_path: Path, *rows: int) -> list[dict[str, Any]]:
    """What a file and a lake have after a load of two days each, the second of them with so many records."""
    plan: list[dict[str, Any]] = []
    first, second = days(2)
    for kind, number in zip(FILES_ALONE, rows, strict=True):
        data = tmp_path / kind.name
        for day, records in ((first, ROWS), (second, number)):
            # The time of a file is in the tables.
            os.utime(make_sales(data / "landing/sales", day, records), (MODIFIED, MODIFIED))
        settings = {"DATA_DIR": str(data)} | dict(kind.empty(data))
        plan.append({"settings": settings, "loads": [[str(first), str(second)]]})
    run_plan(plan)
    return [contents(Warehouse.from_settings(Settings.from_env(writer["settings"]))) for writer in plan]


def test_a_file_and_a_lake_are_equal_after_the_same_loads(tmp_path: Path) -> None:
    """All tables are, with their types; each day has its records, their numbers, its revenue and its file."""
    file, lake = loaded(tmp_path, ROWS, ROWS)
    ensure_equal(lake["tables"], file["tables"], "both")
    assert {"main.raw_sales", "main.cleaned_sales", "main.rejected_sales", "main.file_ledger"} <= file["tables"].keys()
    assert file["days"] == lake["days"]
    records, numbered, cleaned, rejected, revenue, files = file["days"]["2024-01-01"]
    assert (records, numbered, cleaned + rejected, files) == (ROWS, ROWS, ROWS, 1)
    assert float(revenue) > 0


def test_other_rows_are_another_content(tmp_path: Path) -> None:
    """A record less is told, with the tables that have it."""
    file, lake = loaded(tmp_path, ROWS, ROWS - 1)
    with pytest.raises(Failed, match=r"lake and file differ in .*main\.raw_sales"):
        ensure_equal(lake["tables"], file["tables"], "lake and file")
    with pytest.raises(Failed, match="days differ in 2024-01-02;"):
        ensure_equal(lake["days"], file["days"], "days")


def test_a_table_that_one_lacks_is_a_difference() -> None:
    """On either side."""
    for found, expected in (({}, {"t": 1}), ({"t": 1}, {})):
        with pytest.raises(Failed, match="differ in t"):
            ensure_equal(found, expected, "they")


def test_cpu_time_is_that_which_the_system_tells() -> None:
    """Of the process and of those that it has waited for, as Python has them of itself."""
    before = sum(os.times()[:4])
    found = warehouses.cpu_of(os.getpid())
    after = sum(os.times()[:4])
    # The system counts each of the four in ticks.
    assert before - 4 * warehouses.TICK <= found <= after + 4 * warehouses.TICK


def test_a_kind_has_a_row_for_a_month_and_for_a_day(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Dagster loads a month and another day into what that has left, and nothing has failed."""

    def file_alone(*_: object) -> Sequence[Kind]:
        return FILES_ALONE[:1]

    monkeypatch.setattr(part, "kinds", file_alone)
    monkeypatch.setattr(part, "DAYS", 2)
    section = part.measure(Session(tmp_path, rows=2 * ROWS, rounds=1))
    assert section.failures == {}
    assert [row[:2] for row in section.rows] == [["a month, file", "1"], ["a day more, file", "1"]]
    assert {row[3] for row in section.rows} == {"1.00 x"}
