"""The platform as the project assembles it, with the feeds and marts of this folder."""

from functools import cache
from pathlib import Path

import dagster as dg

from orchestration_project.definitions import platform_of

PROJECT = Path(__file__).parent


@dg.definitions
@cache  # as the project's
def defs() -> dg.Definitions:
    """All definitions of the benchmark's shop."""
    return platform_of(PROJECT)
