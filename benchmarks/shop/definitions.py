"""The platform as the project assembles it, with the feeds and marts of this folder."""

from functools import cache
from pathlib import Path

import dagster as dg

from benchmarks.shop import defs as shop
from orchestration_project.components.project import load_project


@dg.definitions
@cache  # as the project's
def defs() -> dg.Definitions:
    """All definitions of the benchmark's shop."""
    return load_project(shop, Path(__file__).parents[2])
