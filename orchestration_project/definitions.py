"""Assembles the code location: everything below `defs/`, with the platform's resources."""

from functools import cache
from pathlib import Path

import dagster as dg


@dg.definitions
@cache  # a command of Dagster asks for them six times; a reload starts a new process
def defs() -> dg.Definitions:
    """All definitions of the project."""
    # Most processes of Dagster import this module to see that it is there: what takes time comes when it is used.
    from orchestration_project import defs as shop
    from orchestration_project.components.project import load_project
    from orchestration_project.settings import Settings

    return load_project(shop, Path(__file__).parents[1], Settings.from_env().source_url)
