"""What runs say of batches that are expected: red when nothing came, green when nothing had to."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_project_tests.components.test_file_feed import CONTRACT, DATE, folder
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, materializations, value

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
NOT_EMPTY = """
    quality:
      - {name: not_empty, metric: rowCount, mustBeGreaterThan: 0, severity: error}
      - {name: few_zeros, type: sql, query: "SELECT count(*) FROM ${table} WHERE kwh = 0", mustBeLessThan: 9}
"""
SHOP = {"days": "mon-sat", "due": "22:00"}
FRIDAY, SATURDAY, SUNDAY, MONDAY, TUESDAY = (f"2024-03-{number:02}" for number in range(1, 6))
GOOD = "meter,kwh\nM1,5\n"


@contextmanager
def meters(
    tmp_path: Path, deliveries: Mapping[str, Any] | None = None, text: str = CONTRACT + NOT_EMPTY, **attributes: Any
) -> Iterator[Workbench]:
    """A feed of meters with a calendar, in a project of its own."""
    declared = {"deliveries": deliveries} if deliveries is not None else {}
    files = folder(text, batch_pattern=DATE, **declared, **attributes)
    with feeds(meters=files) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def drop(bench: Workbench, *days: str, text: str = GOOD) -> None:
    for day in days:
        bench.drop("meters", f"m_{day}.csv", text.replace("M1", f"M{day}"))


def run(bench: Workbench, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
    return bench.run(job="meters_job", first=first, last=last, raise_on_error=False)


def state(found: Mapping[str, dg.AssetCheckEvaluation], name: str) -> tuple[bool, dg.AssetCheckSeverity, str]:
    return found[name].passed, found[name].severity, found[name].description or ""


def test_an_expected_day_without_a_file_is_red(tmp_path: Path) -> None:
    """`delivered` says by when it was expected, the rule about the row count fails with 0, and the run fails."""
    with meters(tmp_path, SHOP) as bench:
        drop(bench, FRIDAY)
        assert run(bench, FRIDAY).success
        result = run(bench, SATURDAY)
        found = evaluations(result)
        assert not result.success
        told = f"{SATURDAY} was expected by {SATURDAY} 22:00 UTC"
        assert state(found, "delivered") == (False, ERROR, f"{told}, and nothing came.")
        assert state(found, "not_empty") == (False, ERROR, f"Batches that are not more than 0: 1 of 1. {told}.")
        assert value(found["not_empty"].metadata, "by_batch") == [{"batch": SATURDAY, "found": 0.0}]
        assert found["few_zeros"].passed
        drop(bench, SATURDAY)
        assert run(bench, SATURDAY).success


def test_a_sunday_without_a_file_is_green(tmp_path: Path) -> None:
    """A day that is not expected passes, and each check says why."""
    with meters(tmp_path, SHOP) as bench:
        drop(bench, FRIDAY)
        run(bench, FRIDAY)
        result = run(bench, SUNDAY)
        found = evaluations(result)
        assert result.success
        assert state(found, "delivered") == (True, ERROR, f"{SUNDAY} is not expected: Sunday.")
        assert state(found, "not_empty") == (True, ERROR, f"No batch to measure. {SUNDAY} is not expected: Sunday.")


def test_a_holiday_without_a_file_is_green(tmp_path: Path) -> None:
    """Public holidays of the region and closed days are not expected."""
    with meters(tmp_path, {**SHOP, "holidays": "DE", "closed": ["2024-04-02"]}) as bench:
        drop(bench, FRIDAY)
        run(bench, FRIDAY)
        result = run(bench, "2024-03-29")
        assert result.success
        assert "holiday: Good Friday" in state(evaluations(result), "delivered")[2]
        assert run(bench, "2024-04-02").success
        assert not run(bench, "2024-04-03").success


def test_a_day_that_is_not_due_yet_is_green(tmp_path: Path) -> None:
    """Until its due time nothing is wrong, and the check says when that is."""
    today = f"{dt.datetime.now(dt.UTC):%F}"
    due = f"{dt.datetime.now(dt.UTC) + dt.timedelta(days=3):%F} 08:00 UTC"
    with meters(tmp_path, {"due": "08:00", "days_after": 3, "since": FRIDAY}) as bench:
        result = run(bench, today)
        found = evaluations(result)
        assert result.success
        assert state(found, "delivered") == (True, ERROR, f"{today} is not due before {due}.")
        assert state(found, "not_empty")[2] == f"No batch to measure. {today} is not due before {due}."


def test_a_day_with_only_refused_files_is_red(tmp_path: Path) -> None:
    """A refused file is none: the day is missing, and the check names the files and where they are."""
    with meters(tmp_path, {**SHOP, "since": FRIDAY}) as bench:
        drop(bench, FRIDAY, text="no header\n")
        result = run(bench, FRIDAY)
        found = evaluations(result)
        assert not result.success
        told = f"{FRIDAY} was expected by {FRIDAY} 22:00 UTC, and only refused files came: 'm_{FRIDAY}.csv' (no_header)"
        assert state(found, "delivered") == (False, ERROR, f"{told}; they are in quarantine/meters.")
        assert state(found, "not_empty")[:2] == (False, ERROR)
        assert state(found, "accounting")[:2] == (False, WARN)


def test_a_range_with_a_missing_day_stops_as_a_whole(tmp_path: Path) -> None:
    """A run has one result a check, so the other days are stopped too; loaded they are, and the ranges beside go on."""
    with meters(tmp_path, SHOP) as bench:
        drop(bench, FRIDAY, MONDAY)
        result = run(bench, FRIDAY, MONDAY)
        found = evaluations(result)
        assert not result.success
        assert state(found, "delivered")[2] == f"{SATURDAY} was expected by {SATURDAY} 22:00 UTC, and nothing came."
        assert value(found["not_empty"].metadata, "by_batch") == [{"batch": SATURDAY, "found": 0.0}]
        assert f"{SUNDAY} is not expected: Sunday." in state(found, "not_empty")[2]
        assert set(materializations(result, "cleaned_meters")) == {FRIDAY, SATURDAY, SUNDAY, MONDAY}
        assert run(bench, SUNDAY, MONDAY).success
        assert run(bench, FRIDAY).success


def test_before_the_first_accepted_file_nothing_is_expected(tmp_path: Path) -> None:
    """Without `since` the calendar begins with the first batch that ever came; with it, where it says."""
    with meters(tmp_path, SHOP) as bench:
        assert run(bench, FRIDAY).success
        drop(bench, MONDAY)
        run(bench, MONDAY)
        result = run(bench, SATURDAY)
        assert result.success
        assert state(evaluations(result), "delivered")[2] == f"{SATURDAY} is not expected: before the first batch."
        assert not run(bench, TUESDAY).success
    with meters(tmp_path / "other", {**SHOP, "since": SATURDAY}) as bench:
        assert run(bench, FRIDAY).success
        assert not run(bench, SATURDAY).success


def test_a_withdrawn_or_repaired_day_did_not_come(tmp_path: Path) -> None:
    """A repair file alone is no delivery."""
    with meters(tmp_path, SHOP) as bench:
        drop(bench, FRIDAY)
        run(bench, FRIDAY)
        bench.drop("meters", f"{SATURDAY}.repair.csv", "_reject_id,meter,kwh\nffff,M1,5\n")
        assert not evaluations(run(bench, SATURDAY))["delivered"].passed


@pytest.mark.parametrize(
    ("levels", "passes", "told"),
    [
        pytest.param(
            "{property: latency, value: 1, unit: d}", False, f"{SATURDAY} was expected by 2024-03-04", id="latency"
        ),
        pytest.param(
            "{property: timeOfAvailability, value: '09:00+01:00'}", False, "expected by 2024-03-03 08:00 UTC", id="time"
        ),
        pytest.param(
            "{property: latency, value: 1, unit: d}, {property: frequency, value: 7, unit: d}",
            True,
            "Nothing is expected",
            id="less often than daily",
        ),
        pytest.param("{property: frequency, value: 1, unit: d}", True, "Nothing is expected", id="no time"),
    ],
)
def test_the_contract_promises(tmp_path: Path, levels: str, passes: bool, told: str) -> None:
    """Without `deliveries` the contract's service levels tell what is expected, if they say by when."""
    with meters(tmp_path, text=f"{CONTRACT}{NOT_EMPTY}slaProperties: [{levels}]\n") as bench:
        drop(bench, FRIDAY)
        run(bench, FRIDAY)
        assert run(bench, SATURDAY).success
        bench.query(f"UPDATE file_ledger SET loaded_at = '{SATURDAY}'")  # as if the feed had begun then
        result = run(bench, SATURDAY)
        assert result.success == passes
        assert told in state(evaluations(result), "delivered")[2]


def test_deliveries_without_a_time_take_that_of_the_contract(tmp_path: Path) -> None:
    """`deliveries` may say which days, and the contract by when."""
    text = f"{CONTRACT}{NOT_EMPTY}slaProperties: [{{property: latency, value: 36, unit: h}}]\n"
    with meters(tmp_path, {"days": "mon-sat"}, text) as bench:
        drop(bench, FRIDAY)
        run(bench, FRIDAY)
        assert run(bench, SUNDAY).success
        told = state(evaluations(run(bench, SATURDAY)), "delivered")[2]
        assert told.startswith(f"{SATURDAY} was expected by 2024-03-04 12:00 UTC")


def test_a_snapshot_is_judged_by_its_newest_file(tmp_path: Path) -> None:
    """A catalogue is late if its newest file is older than the last day on which one was due."""
    now = dt.datetime.now(dt.UTC)
    today, old = (f"{now - dt.timedelta(days=days):%F}" for days in (0, 5))
    with meters(tmp_path, {"due": "00:00", "days_after": 1, "since": FRIDAY}, CONTRACT, mode="snapshot") as bench:
        drop(bench, old)
        late = evaluations(bench.run(job="meters_job"))["delivered"]
        assert (late.passed, late.severity) == (False, ERROR)
        assert f"{now - dt.timedelta(days=1):%F} was expected by {today} 00:00 UTC" in (late.description or "")
        drop(bench, today)
        assert evaluations(bench.run(job="meters_job"))["delivered"].passed


def test_the_newest_batch_by_the_calendar(tmp_path: Path) -> None:
    """A feed is late with its oldest batch that is missing, since the declared day or since its first load."""
    now = dt.datetime.now(dt.UTC)
    days = [f"{now - dt.timedelta(days=days):%F}" for days in (4, 3, 2)]
    declared = {"due": "24:00", "since": days[0], "closed": [f"{now - dt.timedelta(days=1):%F}"]}
    with meters(tmp_path, declared) as bench:
        drop(bench, days[0], days[2])
        run(bench, days[0])
        found = evaluations(run(bench, days[2]))["newest_batch"]
        assert (found.passed, found.severity) == (False, WARN)
        assert (found.description or "").startswith(f"Newest batch: {days[2]}; {days[1]}, due {days[2]} 00:00:00 UTC,")
        drop(bench, days[1])
        found = evaluations(run(bench, days[1]))["newest_batch"]
        assert (found.passed, "the next one is due" in (found.description or "")) == (True, True)
