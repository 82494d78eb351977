"""What every asset of a project gets, and how a project replaces it."""

from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd

from orchestration_project.components import Platform, WarehouseIOManager
from orchestration_project.components.project import IO_MANAGER, made_once_a_run, with_platform
from orchestration_project.components.resources import PLATFORM


@dg.asset
def plain() -> None:
    """An asset with nothing but the decorator."""


@dg.asset(partitions_def=dg.DailyPartitionsDefinition("2024-01-01"))
def daily() -> None:
    """A partitioned asset that says nothing of ranges."""


@dg.asset
def own() -> None:
    """An asset with a policy of its own."""


def test_only_unpartitioned_assets_without_a_policy_get_one() -> None:
    """A partitioned asset may need a run a partition, and who chose a policy keeps it."""
    chosen = own.with_attributes(backfill_policy=dg.BackfillPolicy.multi_run(3))
    graph = made_once_a_run(dg.Definitions(assets=[plain, daily, chosen])).resolve_asset_graph()
    policies = {name: graph.get(dg.AssetKey(name)).backfill_policy for name in ("plain", "daily", "own")}
    assert policies == {
        "plain": dg.BackfillPolicy.single_run(),
        "daily": None,
        "own": dg.BackfillPolicy.multi_run(3),
    }


def feed() -> dg.Definitions:
    """What a component makes: an asset that asks for the platform, and one whose rows the IO manager stores."""

    @dg.asset
    def folder(platform: Platform) -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"data": str(platform.settings.data_dir)})

    return dg.Definitions(assets=[folder])


@dg.asset
def rows() -> pd.DataFrame:
    """Rows for the IO manager."""
    return pd.DataFrame({"item": ["a"]})


def made(definitions: dg.Definitions) -> dg.ExecuteInProcessResult:
    """A run of all assets."""
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance)


def test_components_bring_the_same_objects() -> None:
    """So Dagster merges what several components bring, and a project needs to say nothing."""
    merged = dg.Definitions.merge(with_platform(feed()), with_platform(dg.Definitions(assets=[rows])))
    assert merged.resources == {"platform": PLATFORM, "io_manager": IO_MANAGER}
    assert merged.executor is dg.in_process_executor


def test_a_project_replaces_what_components_bring(tmp_path: Path, data_dir: Path) -> None:
    """Its own platform and executor win; the IO manager then writes to the warehouse of that platform."""
    loaded = dg.Definitions.merge(with_platform(feed()), with_platform(dg.Definitions(assets=[rows])))
    own = Platform(data_dir=str(tmp_path / "own"))
    found = with_platform(loaded, {"platform": own, "mine": 1}, dg.multiprocess_executor)
    assert found.executor is dg.multiprocess_executor
    assert (found.resources or {})["mine"] == 1
    result = made(found)
    (event,) = result.asset_materializations_for_node("folder")
    assert event.metadata["data"].value == str(tmp_path / "own")
    with duckdb.connect(str(tmp_path / "own" / "warehouse.duckdb")) as connection:
        assert connection.sql("SELECT item FROM rows").fetchall() == [("a",)]
    assert list(data_dir.iterdir()) == []


def test_a_project_keeps_its_own_io_manager() -> None:
    """Whatever it is; so a feed can move into a project that stores its tables elsewhere."""
    own = dg.mem_io_manager
    assert (with_platform(with_platform(feed()), {"io_manager": own}).resources or {})["io_manager"] is own


def test_an_io_manager_writes_to_the_platform_that_it_is_given(tmp_path: Path, data_dir: Path) -> None:
    """And to no other warehouse; `database` names a file without a platform."""
    own = WarehouseIOManager(platform=Platform(data_dir=str(tmp_path / "own")))
    made(dg.Definitions(assets=[rows], resources={"io_manager": own}))
    made(dg.Definitions(assets=[rows], resources={"io_manager": WarehouseIOManager(database=str(tmp_path / "a.db"))}))
    assert ((tmp_path / "own" / "warehouse.duckdb").exists(), (tmp_path / "a.db").exists()) == (True, True)
    assert list(data_dir.iterdir()) == []
