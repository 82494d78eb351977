"""Assembles the code location: everything below `defs/`, and the resources."""

import warnings
from pathlib import Path

import dagster as dg

from orchestration_project.components.range_runs import made_once_a_run
from orchestration_project.components.resources import Platform
from orchestration_project.warehouse.io_manager import WarehouseIOManager


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions of the project."""
    return platform_of(Path(__file__).parent)


def platform_of(project: Path) -> dg.Definitions:
    """The platform for the feeds and assets in the `defs` folder of a project that a path lies in."""
    # Dagster warns of a parameter that it sets itself, for every check in a project of components.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    return dg.Definitions.merge(
        made_once_a_run(dg.load_from_defs_folder(path_within_project=project)),
        dg.Definitions(
            resources={"platform": Platform(), "io_manager": WarehouseIOManager()},
            executor=dg.in_process_executor,
        ),
    )
