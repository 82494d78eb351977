"""The component: loading it from `defs.yaml`, what is said of mistakes, every cadence from file to table."""

import datetime as dt
import inspect
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration_project.components.file_feed import FileFeed
from orchestration_project.ingest.options import feed_options
from orchestration_project_tests.components.workbench import Workbench, feeds, materializations, value

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: test-meters
name: Meters
version: 1.0.0
status: active
description:
  purpose: Readings of meters.
team:
  name: energy
servers:
  - {server: landing, type: local, path: landing/meters, format: csv}
schema:
  - name: meters
    physicalType: file
    properties:
      - {name: meter, physicalType: VARCHAR, logicalType: string, required: true, description: The meter.}
      - name: kwh
        physicalType: INTEGER
        logicalType: integer
        required: true
        logicalTypeOptions: {minimum: 0}
"""
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"


def folder(text: str = CONTRACT, **attributes: Any) -> dict[str, str]:
    """The files of a feed's folder."""
    component = {
        "type": "orchestration_project.components.FileFeed",
        "attributes": {"contract": "meters.odcs.yaml", **attributes},
    }
    return {"meters.odcs.yaml": text, "defs.yaml": yaml.safe_dump(component)}


def test_an_option_has_one_default() -> None:
    """A feed whose defs.yaml says nothing is run as one whose options are made without Dagster."""
    assert FileFeed(contract="c").options == feed_options()
    fields, options = FileFeed.model_fields, inspect.signature(feed_options).parameters
    assert {name: fields[name].default for name in options} == {name: item.default for name, item in options.items()}


def failure(files: dict[str, str]) -> str:
    """What is said when a feed can't be loaded: the error and everything that caused it."""
    with pytest.raises(Exception) as caught, feeds(meters=files):  # noqa: PT011 - the text is what is tested
        pass
    error: BaseException | None = caught.value
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize(
    ("cadence", "pattern", "name", "key"),
    [
        pytest.param("hourly", DATE + r"T(?P<hour>\d{2})", "m_2024-03-05T07.csv", "2024-03-05-07:00", id="hourly"),
        pytest.param("daily", DATE, "m_2024-03-05.csv", "2024-03-05", id="daily"),
        pytest.param("weekly", DATE, "m_2024-03-07.csv", "2024-03-04", id="weekly"),
        pytest.param("monthly", r"(?P<year>\d{4})(?P<month>\d{2})", "m_202403.csv", "2024-03-01", id="monthly"),
        pytest.param("yearly", r"(?P<year>\d{2})(?!\d)", "m24.csv", "2024-01-01", id="yearly"),
    ],
)
def test_every_cadence_loads_its_files(cadence: str, pattern: str, name: str, key: str, tmp_path: Path) -> None:
    """A file becomes the partition of its batch: rows, archive, checks and Dagster agree on it."""
    with (
        feeds(meters=folder(cadence=cadence, batch_pattern=pattern)) as defs,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        bench = Workbench(defs, tmp_path, instance)
        bench.drop("meters", name, "meter,kwh\nM1,5\nM2,-1\n")
        result = bench.run(job="meters_job", first=key)
        start = "strftime(_batch_date, '%Y-%m-%d-%H:%M')"
        assert bench.query(f"SELECT {start}, meter, kwh FROM cleaned_meters") == [(f"{key}-00:00"[:16], "M1", 5)]
        assert (tmp_path / "archive" / "meters" / key / name).is_file()
        (evaluation,) = [item for item in result.get_asset_check_evaluations() if item.check_name == "accounting"]
        assert value(evaluation.metadata, "records") == 2
        assert list(materializations(result, "cleaned_meters")) == [key]
        assert bench.run("cleaned_meters", first=key, last=key).success


def test_a_snapshot_has_no_partitions(tmp_path: Path) -> None:
    """In snapshot mode tables have no partitions and the newest file replaces the others."""
    with feeds(meters=folder(mode="snapshot")) as defs, dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(defs, tmp_path, instance)
        bench.drop("meters", "a.csv", "meter,kwh\nM1,5\n", modified=1_700_000_000)
        bench.drop("meters", "b.csv", "meter,kwh\nM2,7\n", modified=1_700_000_500)
        result = bench.run(job="meters_job")
        assert bench.query("SELECT meter FROM cleaned_meters") == [("M2",)]
        assert value(materializations(result, "raw_meters")[None].metadata, "dagster/row_count") == 1


def test_batches_by_modification_time(tmp_path: Path) -> None:
    """Without a pattern a file's batch is when it was last modified, in the feed's time zone."""
    with feeds(meters=folder(timezone="Asia/Tokyo")) as defs, dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(defs, tmp_path, instance)
        evening = dt.datetime(2024, 3, 5, 16, tzinfo=dt.UTC).timestamp()
        bench.drop("meters", "readings.csv", "meter,kwh\nM1,5\n", modified=evening)
        bench.run(job="meters_job", first="2024-03-06")
        assert bench.query("SELECT _batch_date FROM cleaned_meters") == [(dt.date(2024, 3, 6),)]


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param({"cadense": "daily"}, ["cadense", "meters/defs.yaml"], id="unknown attribute"),
        pytest.param(
            {"cadence": "fortnightly"}, ["cadence", "'daily', 'weekly', 'monthly' or 'yearly'"], id="unknown cadence"
        ),
        pytest.param({"mode": "stream"}, ["'batches' or 'snapshot'"], id="unknown mode"),
        pytest.param({"start_date": "1.1.2024"}, ["'1.1.2024' is not a date in the form YYYY-MM-DD"], id="date"),
        pytest.param({"timezone": "Berlin"}, ["'Berlin' is not a time zone"], id="zone"),
        pytest.param({"batch_pattern": "(?P<year"}, ["is not a regular expression"], id="pattern"),
        pytest.param({"batch_pattern": r"(?P<year>\d{4})"}, ["lacks the named group(s) month, day"], id="groups"),
        pytest.param({"max_reject_rate": 2}, ["max_reject_rate", "less than or equal to 1"], id="share"),
        pytest.param({"settle_seconds": -1}, ["settle_seconds", "greater than or equal to 0"], id="negative"),
        pytest.param({"schedule": "daily at six"}, ["cron", "daily at six"], id="schedule"),
        pytest.param({"contract": "nowhere.yaml"}, ["nowhere.yaml"], id="no such contract"),
    ],
)
def test_wrong_attributes_are_explained(attributes: dict[str, Any], expected: list[str]) -> None:
    """Each mistake in `defs.yaml` stops loading and names the attribute and what is allowed."""
    text = failure(folder(**attributes))
    assert all(part in text for part in expected), text


def test_a_date_may_stand_without_quotes() -> None:
    """YAML reads 2024-01-01 as a date; that is accepted too."""
    with feeds(meters=folder(start_date=dt.date(2024, 1, 1))) as defs:
        partitions = defs.get_assets_def("raw_meters").partitions_def
        assert isinstance(partitions, dg.DailyPartitionsDefinition)
        assert f"{partitions.start:%F}" == "2024-01-01"


@pytest.mark.parametrize("name", ["accounting", "kwh_minimum", "records_readable"])
def test_a_quality_rule_needs_a_name_of_its_own(name: str) -> None:
    """A quality rule with the name of a check that is made anyway is refused, not lost."""
    rule = f"    quality:\n      - {{name: {name}, metric: rowCount, mustBeGreaterThan: 0}}\n"
    text = failure(folder(CONTRACT + rule))
    assert f"the quality rule(s) {name} have the names of checks" in text


def test_contract_problems_stop_loading() -> None:
    """All problems of a contract are told at once, each with file and path in the document."""
    wrong = CONTRACT.replace("logicalType: integer", "logicalType: integre").replace(
        "required: true, desc", "requird: true, desc"
    )
    text = failure(folder(wrong))
    assert "meters.odcs.yaml" in text
    assert "integre" in text
    assert "requird" in text
    assert "properties[1]" in text


def test_tags_of_a_contract_may_be_any_text() -> None:
    """What Dagster does not take in a tag becomes an underscore; an empty tag is none."""
    text = CONTRACT.replace("status: active", "status: active\ntags: ['Zähler & Strom', '', energy/power]")
    with feeds(meters=folder(text)) as defs:
        tags = defs.get_assets_def("raw_meters").tags_by_key[dg.AssetKey("raw_meters")]
    assert {name for name in tags if not name.startswith("dagster/")} == {"Z_hler_Strom", "energy_power", "feed"}


def test_every_attribute_is_described() -> None:
    """`dg` shows what each attribute means, so each has a description."""
    undescribed = [name for name, field in FileFeed.model_fields.items() if not field.description]
    model = FileFeed.model_json_schema()
    assert [name for name in undescribed if not model["properties"][name].get("description")] == []


def test_two_feeds_live_side_by_side() -> None:
    """Feeds share nothing but the warehouse: their assets, jobs, sensors and schedules have names of their own."""
    other = (
        CONTRACT.replace("name: meters", "name: pumps")
        .replace("landing/meters", "landing/pumps")
        .replace("test-meters", "test-pumps")
    )
    with feeds(meters=folder(), pumps=folder(other)) as defs:
        repository = defs.get_repository_def()
        names = {sensor.name for sensor in repository.sensor_defs} | {item.name for item in repository.schedule_defs}
        assert names == {"meters_files_sensor", "pumps_files_sensor", "meters_daily_schedule", "pumps_daily_schedule"}


@pytest.mark.parametrize(("setting", "running"), [("yes", True), ("", False)])
def test_automation_is_a_setting(setting: str, running: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sensors and schedules are off unless AUTOMATION says otherwise."""
    monkeypatch.setenv("AUTOMATION", setting)
    with feeds(meters=folder()) as defs:
        (sensor,), (schedule,) = defs.sensors or (), defs.schedules or ()
        assert isinstance(sensor, dg.SensorDefinition)
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert (sensor.default_status is dg.DefaultSensorStatus.RUNNING) == running
        assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) == running
