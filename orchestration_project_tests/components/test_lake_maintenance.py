"""The asset `lake_maintenance`: what a night tells, and that a DuckDB file has no such asset."""

import datetime as dt
import warnings
from pathlib import Path
from typing import cast

import dagster as dg
import pytest

from orchestration_project.components import LakeMaintenance
from orchestration_project.components.lake_maintenance import NAME, NO_LAKE, build_schedule
from orchestration_project.components.resources import PLATFORM
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.servers.warehouses import SQLITE, place

NO_CONTEXT = cast("dg.ComponentLoadContext", None)
"""The component asks nothing of it."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """A lake that is the warehouse of the environment; it is not made yet."""
    url, data = place(tmp_path, SQLITE)
    for name, value in {"DATA_DIR": str(tmp_path), "WAREHOUSE_URL": url, "WAREHOUSE_DATA": data}.items():
        monkeypatch.setenv(name, value)
    return Warehouse.from_settings(Settings.from_env())


def night() -> list[dg.AssetMaterialization]:
    """Run the asset as of a month from now; returns what it recorded."""
    with warnings.catch_warnings():
        # Of a parameter that all assets of the project have; Dagster hides it while it loads components.
        warnings.simplefilter("ignore", dg.BetaWarning)
        asset = LakeMaintenance().asset(lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=30))
    result = dg.materialize([asset], resources={"platform": PLATFORM})
    return [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]


def test_a_night(lake: Warehouse) -> None:
    """Before the lake is made nothing is recorded; later the run tells files, bytes and snapshots before and after."""
    assert night() == []
    for number in range(4):
        with lake.transaction("test") as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS t (a INTEGER)")
            connection.execute(f"INSERT INTO t VALUES ({number})")
    (recorded,) = night()
    found = {name: value.value for name, value in recorded.metadata.items()}
    assert (found["files_before"], found["files"], found["unknown_files"]) == (4, 1, 0)
    assert found["expired_snapshots"] == 4
    with lake.connection("test", read_only=True) as connection:
        assert connection.execute("SELECT a FROM t ORDER BY 1").fetchall() == [(0,), (1,), (2,), (3,)]


def test_only_a_lake_has_it(lake: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """The component makes asset, job and schedule for a lake, and nothing for a DuckDB file."""
    assert not lake.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        repository = LakeMaintenance().build_defs(NO_CONTEXT).get_repository_def()
    assert repository.has_job(f"{NAME}_job")
    assert [schedule.name for schedule in repository.schedule_defs] == [f"{NAME}_nightly_schedule"]
    monkeypatch.setenv("WAREHOUSE_URL", "")
    assert not list(LakeMaintenance().build_defs(NO_CONTEXT).assets or ())
    with dg.build_schedule_context(resources={"platform": PLATFORM}) as context:
        assert build_schedule().evaluate_tick(context).skip_message == NO_LAKE
