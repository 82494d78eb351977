"""Assembles the code location: everything below `defs/`, and the resources."""

import warnings
from pathlib import Path

import dagster as dg

from orchestration_project.components.range_runs import made_once_a_run
from orchestration_project.components.resources import Platform
from orchestration_project.components.source_links import with_source_links
from orchestration_project.settings import Settings
from orchestration_project.warehouse.io_manager import WarehouseIOManager

PACKAGE = Path(__file__).parent


@dg.definitions
def defs() -> dg.Definitions:
    """All definitions of the project."""
    # Dagster warns of a parameter that it sets itself, for every check in a project of components.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    found = made_once_a_run(dg.load_from_defs_folder(path_within_project=PACKAGE))
    return dg.Definitions.merge(
        with_source_links(found, PACKAGE.parent, Settings.from_env().source_url),
        dg.Definitions(
            resources={"platform": Platform(), "io_manager": WarehouseIOManager()},
            executor=dg.in_process_executor,
        ),
    )
