"""The project's marts, for tests that make them without Dagster."""

from functools import cache
from pathlib import Path

from orchestration_project import defs
from orchestration_project.components.project import component_tree
from orchestration_project.components.sql_table import sql_table
from orchestration_project.components.sql_table_assets import MartSpec
from orchestration_project.defs.product_marts.queries import DAILY
from orchestration_project.warehouse.mart_definition import Mart


@cache
def daily_spec() -> MartSpec:
    """`product_daily_sales`, as its folder says."""
    with component_tree(defs, Path(__file__).parents[3]) as tree:
        return sql_table(tree, DAILY)


def daily() -> Mart:
    """The table `product_daily_sales`."""
    return daily_spec().mart
