"""What every asset of a project gets, and how a project replaces it."""

import dagster as dg

from orchestration_project.components.project import made_once_a_run


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
