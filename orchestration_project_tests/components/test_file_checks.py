"""What the checks tell of a feed's files: refusals that stand, bytes and records that repeat, columns that vanish."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from orchestration_project_tests.components.test_file_feed import CONTRACT, DATE, folder
from orchestration_project_tests.components.workbench import Workbench, evaluations, feeds, value
from orchestration_project_tests.reliability.zips import packed

DATED = {"batch_pattern": DATE}
GOOD = "meter,kwh\nM1,5\n"
KEYED = CONTRACT.replace("required: true, description", "required: true, primaryKey: true, description")
NOTED = f"{CONTRACT}      - {{name: remark, physicalType: VARCHAR, logicalType: string}}\n"


@contextmanager
def meters(tmp_path: Path, text: str = CONTRACT, **attributes: Any) -> Iterator[Workbench]:
    """A feed of meters, in a project of its own."""
    files = folder(text, **attributes)
    with feeds(meters=files) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def day(number: int) -> str:
    """The n-th day's partition key."""
    return f"2024-03-{number:02}"


def checks(bench: Workbench, *numbers: int) -> dict[str, dg.AssetCheckEvaluation]:
    """The check results of a run for some days."""
    return evaluations(bench.run(job="meters_job", first=day(numbers[0]), last=day(numbers[-1])))


@pytest.mark.found("the check files_accepted forgot refusals with the next clean run")
@pytest.mark.promise("seen")
@pytest.mark.parametrize("settled", ["replaced", "deleted"])
def test_refusals_stand_until_they_are_dealt_with(tmp_path: Path, settled: str) -> None:
    """A later run of another day is red too, until a corrected file was accepted or the refused one was deleted."""
    with meters(tmp_path, **DATED) as bench:
        bench.drop("meters", f"m_{day(1)}.csv", "no header\n")
        bench.drop("meters", f"m_{day(2)}.csv", GOOD)
        assert not checks(bench, 1, 2)["files_accepted"].passed
        later = checks(bench, 3)["files_accepted"]
        assert (later.passed, later.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert [row["file"] for row in value(later.metadata, "files")] == [f"m_{day(1)}.csv"]
        if settled == "replaced":
            bench.drop("meters", f"m_{day(1)}.csv", GOOD)
        else:
            for path in (tmp_path / "quarantine" / "meters").iterdir():
                path.unlink()
        assert checks(bench, 1)["files_accepted"].passed


@pytest.mark.found("all checks of a batch were green whose only file was refused")
@pytest.mark.promise("seen")
def test_a_batch_whose_only_file_was_refused_is_not_green(tmp_path: Path) -> None:
    """What looks at its rows says that nothing is loaded; nothing that is downstream is stopped for that."""
    with meters(tmp_path, **DATED) as bench:
        bench.drop("meters", f"m_{day(1)}.csv", "no header\n")
        found = checks(bench, 1)
        assert {name for name, item in found.items() if item.passed} == {"newest_batch", "zip_members"}
        assert {item.severity for name, item in found.items() if name != "files_accepted"} == {
            dg.AssetCheckSeverity.WARN
        }
        assert f"Nothing is loaded of {day(1)}" in (found["accounting"].description or "")


@pytest.mark.promise("deliveries")
def test_an_undated_refusal_is_not_replaced_by_the_next_days_file(tmp_path: Path) -> None:
    """Each day's file is another one; so only that day's replaces it."""
    with meters(tmp_path) as bench:
        for number, text in ((1, "no header\n"), (2, GOOD)):
            bench.drop("meters", "export.csv", text, modified=1_709_251_200 + 86_400 * number - 3600)
            found = checks(bench, 1, 2)["files_accepted"]
            assert not found.passed
        bench.drop("meters", "export.csv", "meter,kwh\nM9,5\n", modified=1_709_251_200 + 86_400 - 1800)
        assert checks(bench, 1, 2)["files_accepted"].passed


@pytest.mark.found("a daily list that did not change had no rows from its second day on")
@pytest.mark.promise("deliveries")
@pytest.mark.parametrize("how", ["warn", "load", "refuse"])
def test_repeated_bytes(tmp_path: Path, how: str) -> None:
    """`warn` loads the file and a check names both, `load` loads it, `refuse` puts it into quarantine."""
    with meters(tmp_path, **DATED, repeated_bytes=how) as bench:
        for number in (1, 2):
            bench.drop("meters", f"m_{day(number)}.csv", GOOD)
            found = checks(bench, number)
        days = bench.query("SELECT _batch_date::VARCHAR FROM cleaned_meters ORDER BY 1")
        assert days == [(day(number),) for number in ((1,) if how == "refuse" else (1, 2))]
        assert found["files_accepted"].passed == (how != "refuse")
        assert ("repeated_bytes" in found) == (how == "warn")
        if how == "warn":
            told = found["repeated_bytes"]
            assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
            assert f"'m_{day(2)}.csv' of {day(2)} and 'm_{day(1)}.csv' of {day(1)}" in (told.description or "")
            assert f"withdraw meters m_{day(2)}.csv --batch {day(2)}" in (told.description or "")


@pytest.mark.found("a daily list that did not change had no rows from its second day on")
@pytest.mark.promise("deliveries")
def test_repeated_keys_are_no_reject_rate(tmp_path: Path) -> None:
    """They are rejects with the record that was kept, and count in no rate."""
    with meters(tmp_path, KEYED, **DATED, max_reject_rate=0.1) as bench:
        for number in (1, 2):
            bench.drop("meters", f"m_{day(number)}.csv", GOOD)
            found = checks(bench, number)
        assert bench.query("SELECT _reasons FROM rejected_meters") == [
            ([f"meter: duplicate_key (kept: m_{day(1)}.csv row 1)"],)
        ]
        rate = found["reject_rate"]
        assert (rate.passed, value(rate.metadata, "reject_rate"), value(rate.metadata, "duplicates")) == (True, 0.0, 1)


@pytest.mark.promise("deliveries")
def test_a_snapshot_loads_repeated_bytes(tmp_path: Path) -> None:
    """Each day's catalogue is that day's, changed or not, and nothing warns."""
    with meters(tmp_path, mode="snapshot", **DATED) as bench:
        for number in (1, 2):
            bench.drop("meters", f"m_{day(number)}.csv", GOOD)
            found = evaluations(bench.run(job="meters_job"))
        assert bench.query("SELECT _file, _batch_date::VARCHAR FROM cleaned_meters") == [(f"m_{day(2)}.csv", day(2))]
        assert "repeated_bytes" not in found


@pytest.mark.found("each day's export.csv deleted the rows of the day before")
@pytest.mark.promise("deliveries")
@pytest.mark.parametrize("undated", ["delivery", "replace"])
def test_undated_names(tmp_path: Path, undated: str) -> None:
    """Each day's file is another one unless the feed says `replace`; one that repeats most of the last is named."""
    with meters(tmp_path, undated=undated) as bench:
        for number, text in (
            (1, "meter,kwh\nM1,5\nM2,6\n\n"),
            (2, "meter,kwh\nM3,7\n"),
            (3, "meter,kwh\nM3,7\nM4,8\n"),
        ):
            bench.drop("meters", "export.csv", text, modified=1_709_251_200 + 86_400 * number - 3600)
            found = checks(bench, 1, number)
        rows = bench.query("SELECT _batch_date::VARCHAR, meter FROM cleaned_meters ORDER BY ALL")
        if undated == "replace":
            assert rows == [(day(3), "M3"), (day(3), "M4")]
            assert "repeated_records" not in found
            return
        assert rows == [(day(1), "M1"), (day(1), "M2"), (day(2), "M3"), (day(3), "M3"), (day(3), "M4")]
        assert found["repeated_records"].passed
        bench.drop("meters", "export.csv", "meter,kwh\nM4,8\nM3,7\nM5,1\n", modified=1_709_251_200 + 86_400 * 4 - 3600)
        told = checks(bench, 4)["repeated_records"]
        assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert f"'export.csv' of {day(4)} that has 2 of 3 records from 'export.csv' of {day(3)}" in (
            told.description or ""
        )
        assert f"withdraw meters export.csv --batch {day(3)}" in (told.description or "")


@pytest.mark.found("an optional column that vanished from the files became NULL, and no check said so")
@pytest.mark.promise("seen")
def test_a_column_that_vanishes(tmp_path: Path) -> None:
    """It warns like a renamed one, as long as most batches before had it; a column that never was there does not."""
    header, lines = "meter,kwh,remark", ["M{0},5,calm", "M{0},5,", "M{0},5,windy"]
    with meters(tmp_path, NOTED, **DATED) as bench:
        for number, line in enumerate(lines, start=1):
            bench.drop("meters", f"m_{day(number)}.csv", f"{header}\n{line.format(number)}\n")
        assert [checks(bench, number)["missing_columns"].passed for number in (1, 3)] == [True, True]
        bench.drop("meters", f"m_{day(4)}.csv", "meter,kwh\nM4,5\n")
        told = checks(bench, 4)["missing_columns"]
        assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert value(told.metadata, "columns") == [{"batch": day(4), "file": f"m_{day(4)}.csv", "column": "remark"}]


@pytest.mark.found("one of a batch's several files could lose a column, and the check looked at the batch as a whole")
@pytest.mark.promise("seen")
def test_a_column_that_vanishes_from_one_of_several_files(tmp_path: Path) -> None:
    """The file is named; one whose sender has never filled the column is not."""
    whole, without = "meter,kwh,remark\nM{0},5,calm\n", "meter,kwh\nM{0},5\n"
    with meters(tmp_path, NOTED, **DATED) as bench:
        for number in (1, 2, 3):
            for name, text in (("north", whole), ("south", whole if number < 3 else without), ("west", without)):
                bench.drop("meters", f"{name}_{day(number)}.csv", text.format(f"{name}{number}"))
        told = checks(bench, 1, 3)["missing_columns"]
        assert told.passed is False
        assert value(told.metadata, "columns") == [{"batch": day(3), "file": f"south_{day(3)}.csv", "column": "remark"}]
        bench.drop("meters", f"east_{day(4)}.csv", without.format("east"))
        assert value(checks(bench, 4)["missing_columns"].metadata, "columns") == [
            {"batch": day(4), "file": f"east_{day(4)}.csv", "column": "remark"}
        ]


@pytest.mark.promise("seen")
def test_files_that_an_archive_lacks_are_named(tmp_path: Path) -> None:
    """Of a newer zip archive a warning names what the one before it had, until that comes again."""
    with meters(tmp_path, **DATED) as bench:
        whole = packed({f"m_{day(number)}.csv": GOOD.encode() for number in (1, 2)})
        bench.drop("meters", f"z_{day(1)}.zip", whole)
        assert checks(bench, 1, 2)["zip_members"].passed
        bench.drop("meters", f"z_{day(1)}.zip", packed({f"m_{day(1)}.csv": b"meter,kwh\nM1,6\n"}))
        told = checks(bench, 1)["zip_members"]
        assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert value(told.metadata, "files") == [{"batch": day(2), "file": f"z_{day(1)}.zip/m_{day(2)}.csv"}]
        assert "--undo" in (told.description or "")
        bench.drop("meters", f"z_{day(1)}.zip", whole)
        assert checks(bench, 1, 2)["zip_members"].passed
