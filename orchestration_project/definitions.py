"""Assembles the code location: everything below `defs/`, and the resources."""

import gc
import warnings
from functools import cache
from pathlib import Path

import dagster as dg

PACKAGE = Path(__file__).parent


@dg.definitions
@cache  # a command of Dagster asks for them six times; a reload starts a new process
def defs() -> dg.Definitions:
    """All definitions of the project."""
    return platform_of(PACKAGE)


def platform_of(project: Path) -> dg.Definitions:
    """The platform for the feeds and assets in the `defs` folder of a project that a path lies in."""
    # Most processes of Dagster import this module to see that it is there: what takes time comes when it is used.
    from orchestration_project.components.io_manager import WarehouseIOManager
    from orchestration_project.components.range_runs import made_once_a_run
    from orchestration_project.components.resources import Platform
    from orchestration_project.components.source_links import with_source_links
    from orchestration_project.settings import Settings

    # Dagster warns of a parameter that it sets itself, for every check in a project of components.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    found = made_once_a_run(dg.load_from_defs_folder(path_within_project=project))
    platform = dg.Definitions.merge(
        with_source_links(found, PACKAGE.parent, Settings.from_env().source_url),
        dg.Definitions(
            resources={"platform": Platform(), "io_manager": WarehouseIOManager()},
            executor=dg.in_process_executor,
        ),
    )
    # What is imported and defined stays until the process ends. Looking for garbage in it takes half a second then.
    gc.freeze()
    return platform
