"""Hourly feeds where clocks are put back or forward: each hour is a batch, and names that can't tell it are refused."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd
import pytest

from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.components.resources import Platform
from orchestration_project.storage.batches import Batch, Batching, Cadence
from orchestration_project_tests.components.test_file_feed import failure, folder
from orchestration_project_tests.components.workbench import RANGE, Workbench, evaluations, feeds, materializations

pytestmark = pytest.mark.promise("deliveries")

PATTERN = r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<offset>[+-]\d{4}|Z)?"
BERLIN: dict[str, Any] = {"cadence": "hourly", "timezone": "Europe/Berlin", "start_date": "2024-01-01"}
AUTUMN = ["2024-10-27-01:00", "2024-10-27-02:00", "2024-10-27-02:00+0100", "2024-10-27-03:00"]
MODIFIED = dt.datetime(2024, 10, 28, tzinfo=dt.UTC).timestamp()


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    """A feed in Berlin, by the dates in its files' names; the parameter has other attributes."""
    attributes = BERLIN | {"batch_pattern": PATTERN} | getattr(request, "param", {})
    with feeds(meters=folder(**attributes)) as defs, dg.DagsterInstance.ephemeral() as instance:
        yield Workbench(defs, tmp_path, instance)


def drop(bench: Workbench, *names: str) -> None:
    """Deliver files, each with its own name as the meter."""
    for name in names:
        bench.drop("meters", name, f"meter,kwh\n{name},5\n", modified=MODIFIED)


def tick(bench: Workbench, cursor: str | None = None) -> tuple[list[dg.RunRequest], str | None]:
    """What the sensor requests, and its next cursor."""
    with bench.environment():
        context = dg.build_sensor_context(
            bench.instance,
            cursor=cursor,
            resources={"platform": Platform()},
            repository_def=bench.defs.get_repository_def(),
        )
        data = bench.defs.resolve_sensor_def("meters_files_sensor").evaluate_tick(context)
    return list(data.run_requests or []), data.cursor


def load(bench: Workbench) -> tuple[list[str], dg.ExecuteInProcessResult]:
    """Let the sensor tick and run what it requests; returns the first and the last batch, and the run."""
    (request,), cursor = tick(bench)
    result = bench.run(job="meters_job", first=request.partition_key, tags=request.tags)
    assert bench.landing("meters") == []
    assert tick(bench, cursor)[0] == []
    first = request.partition_key
    return [first, first] if first else [request.tags[name] for name in RANGE], result


def loaded(bench: Workbench) -> list[tuple[str, str]]:
    """Batches and meters of what is cleaned."""
    rows = bench.query("SELECT _batch_date::VARCHAR, meter FROM cleaned_meters ORDER BY ALL")
    return [(batch, meter) for batch, meter in rows]


@pytest.mark.found("Where clocks are put back, an hourly feed crashed: unconverted data remains: +0100.")
def test_both_hours_of_autumn(bench: Workbench) -> None:
    """Each of the two has its key in Dagster, its folder and its rows, is corrected and loaded again by itself."""
    drop(bench, "m_2024102701.csv", "m_2024102702+0200.csv", "m_2024102701Z.csv", "m_2024102703.csv")
    requested, result = load(bench)
    assert requested == [AUTUMN[0], AUTUMN[-1]]
    assert sorted(filter(None, materializations(result, "cleaned_meters"))) == AUTUMN
    assert all(item.passed for item in evaluations(result).values())
    rows = [
        ("2024-10-27 01:00:00", "m_2024102701.csv"),
        ("2024-10-27 02:00:00", "m_2024102702+0200.csv"),
        ("2024-10-27 02:00:01", "m_2024102701Z.csv"),
        ("2024-10-27 03:00:00", "m_2024102703.csv"),
    ]
    assert loaded(bench) == rows
    assert sorted(path.name for path in (bench.data_dir / "archive" / "meters").glob("20*")) == AUTUMN
    bench.drop("meters", "m_2024102701Z.csv", "meter,kwh\nlater,5\n", modified=MODIFIED)
    assert load(bench)[0] == [AUTUMN[2]] * 2
    assert loaded(bench) == [*rows[:2], ("2024-10-27 02:00:01", "later"), rows[3]]
    for key in AUTUMN:
        assert list(materializations(bench.run("cleaned_meters", first=key), "cleaned_meters")) == [key]
    assert len(loaded(bench)) == len(rows)


@pytest.mark.found(
    "Of two hours with one name, a DataFrame of the first had no rows, that of the second those of both."
)
def test_a_frame_of_one_of_two_hours(bench: Workbench) -> None:
    """The IO manager reads and writes each of them by itself."""

    @dg.asset(
        partitions_def=dg.HourlyPartitionsDefinition("2024-01-01-00:00", timezone="Europe/Berlin"),
        metadata={"partition_expr": "_batch_date"},
        ins={"cleaned_meters": dg.AssetIn(input_manager_key="frames")},
        io_manager_key="frames",
    )
    def copied(cleaned_meters: pd.DataFrame) -> pd.DataFrame:
        return cleaned_meters[["_batch_date", "meter"]]

    drop(bench, "m_2024102702+0200.csv", "m_2024102702+0100.csv", "m_2024102703.csv")
    load(bench)
    more = dg.Definitions([copied], resources={"frames": WarehouseIOManager()})
    bench.defs = dg.Definitions.merge(bench.defs, more)
    for key in (*AUTUMN[1:], *AUTUMN[1:]):
        bench.run("copied", first=key)
    rows = bench.query("SELECT _batch_date::VARCHAR, meter FROM copied ORDER BY ALL")
    assert rows == loaded(bench)
    assert len(rows) == len(AUTUMN[1:])


@pytest.mark.parametrize("bench", [{"batch_pattern": None}], indirect=True)
@pytest.mark.found("Of two hours with one name, files without a date were put into one batch.")
def test_hours_of_files_without_a_date(bench: Workbench) -> None:
    """The time at which a file was modified is in one of the two hours, and the archive brings both back."""
    for name, hour in (("summer", "00:30"), ("winter", "01:30")):
        moment = dt.datetime.fromisoformat(f"2024-10-27T{hour}+00:00").timestamp()
        bench.drop("meters", f"{name}.csv", f"meter,kwh\n{name},5\n", modified=moment)
    assert load(bench)[0] == AUTUMN[1:3]
    rows = [("2024-10-27 02:00:00", "summer"), ("2024-10-27 02:00:01", "winter")]
    assert loaded(bench) == rows
    (bench.data_dir / "warehouse.duckdb").unlink()
    bench.run("raw_meters", "cleaned_meters", "rejected_meters", first=AUTUMN[1], last=AUTUMN[2])
    assert loaded(bench) == rows


@pytest.mark.found("A file for an hour that clocks skip was asked for for ever.")
@pytest.mark.found("A file for an hour that comes twice was taken for the first of them, the second as its correction.")
def test_names_that_tell_no_single_hour(bench: Workbench) -> None:
    """They are refused with the reason, the others load, and nothing is requested for them any more."""
    drop(bench, "m_2024033101.csv", "m_2024033102.csv", "m_2024033103.csv", "m_2024102702.csv")
    cursor = None
    for _ in range(2):
        requests, cursor = tick(bench, cursor)
        for request in requests:
            bench.run(job="meters_job", first=request.partition_key, tags=request.tags)
    assert (requests, bench.landing("meters")) == ([], [])
    assert [meter for _, meter in loaded(bench)] == ["m_2024033101.csv", "m_2024033103.csv"]
    reasons = {
        path.name.removesuffix(".reason.json"): path.read_text(encoding="utf-8")
        for path in (bench.data_dir / "quarantine" / "meters").rglob("*.reason.json")
    }
    assert reasons.keys() == {"m_2024033102.csv", "m_2024102702.csv"}
    assert "no_such_hour" in reasons["m_2024033102.csv"]
    assert "Europe/Berlin skip" in reasons["m_2024033102.csv"]
    assert "ambiguous_hour" in reasons["m_2024102702.csv"]
    assert "the offsets +0200 and +0100" in reasons["m_2024102702.csv"]


@pytest.mark.parametrize(
    ("zone", "start"),
    [
        pytest.param("Europe/Berlin", "2024-03-30", id="forward"),
        pytest.param("Europe/Berlin", "2024-10-26", id="back"),
        pytest.param("America/New_York", "2024-11-02", id="west of Greenwich"),
        pytest.param("America/Havana", "2024-11-02", id="to midnight"),
        pytest.param("America/Santiago", "2024-09-07", id="at midnight"),
        pytest.param("Asia/Kolkata", "2024-10-26", id="half an hour off, never changed"),
        pytest.param("Pacific/Apia", "2011-12-29", id="a day left out"),
    ],
)
def test_batches_are_those_of_dagster(zone: str, start: str) -> None:
    """Batch after batch has the keys that Dagster gives its partitions, and begins when they do."""
    first = dt.datetime.fromisoformat(start)
    end = f"{first + dt.timedelta(days=3):%Y-%m-%d-%H:%M}"
    partitions = dg.HourlyPartitionsDefinition(f"{first:%Y-%m-%d-%H:%M}", end_date=end, timezone=zone)
    rules = Batching(Cadence.HOURLY, first, timezone=ZoneInfo(zone))
    keys = list(partitions.get_partition_keys())
    batches: list[Batch] = [first]
    while len(batches) < len(keys):
        batches.append(rules.after(batches[-1]))
    assert [rules.key(batch) for batch in batches] == keys
    assert [rules.from_key(key) for key in keys] == batches == sorted(batches)
    begins = [partitions.time_window_for_partition_key(key).start.astimezone(dt.UTC) for key in keys]
    assert [rules.begin(batch) for batch in batches] == begins
    assert [rules.current(begin) for begin in begins] == batches
    assert [rules.last_complete(begin) for begin in begins[1:]] == batches[:-1]


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Antarctica/Troll"])
@pytest.mark.found("In a zone whose clocks change by half an hour, an hourly feed asked for partitions that are none.")
def test_zones_without_whole_hours(zone: str) -> None:
    """Where an hour begins at another minute after a change, or two hours come again, hours are no batches."""
    assert f"clocks in {zone} are changed by part of an hour" in failure(
        folder(**BERLIN | {"batch_pattern": PATTERN, "timezone": zone})
    )
