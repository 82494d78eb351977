"""What the cost of a small batch is compared with."""

import dagster as dg

from benchmarks import empty
from benchmarks.session import SALES
from orchestration_project_tests.components.workbench import project


def test_there_are_as_many_assets_and_checks_as_the_project_has() -> None:
    """The empty run has an asset for each table of sales, and a check for each of their checks."""
    keys = {dg.AssetKey(name) for name in SALES}
    checks = [key for key in project().resolve_asset_graph().asset_check_keys if key.asset_key in keys]
    graph = empty.with_checks.resolve_asset_graph()
    assert len(graph.get_all_asset_keys()) == len(SALES) == empty.ASSETS
    assert len(graph.asset_check_keys) == len(checks) == empty.CHECKS
