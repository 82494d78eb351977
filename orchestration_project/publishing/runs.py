"""When the published copy is brought up to date: at the end of whatever has written to the warehouse.

A run writes several tables, one after the other. Readers see what was there before it, or after it, never what is
between. So it is published once, at the end. Runs that overlap are published together, when the last one ends.

What could not be published, because a process was killed or the warehouse busy, the end of the next run makes up.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from orchestration_project.errors import PlatformError, without_values
from orchestration_project.publishing.lag import fallen_behind
from orchestration_project.publishing.open_runs import opened
from orchestration_project.publishing.publish import publish
from orchestration_project.settings import Settings

PATIENCE = 30.0
"""Seconds to wait for the warehouse. Whoever holds it for longer is a run, and publishes at its own end."""


def begin(settings: Settings, log: Callable[[str], None]) -> BinaryIO | None:
    """Note that a run has begun. To be given to `end`; None if nothing is published."""
    if not settings.publish:
        return None
    try:
        return opened(settings.published)
    except OSError as error:
        log(f"Nothing will be published: {settings.published} can't be written to: {error.strerror}")
        return None


def end(settings: Settings, run: BinaryIO | None, log: Callable[[str], None]) -> None:
    """Note that a run has ended, and publish what it has written, unless another one is still under way.

    What goes wrong is only told: the rows are in the warehouse, and the next run publishes them.
    """
    import duckdb

    if run is None:
        return
    run.close()
    patient = replace(settings, lock_timeout=min(settings.lock_timeout, PATIENCE))
    try:
        publish(patient, log)
    except (PlatformError, OSError, duckdb.Error) as error:
        fallen_behind(settings.published)
        told = without_values(error) if isinstance(error, duckdb.Error) else error
        log(f"The published copy is behind the warehouse, the next run brings it up to date: {told}")


@contextmanager
def publishing(settings: Settings, log: Callable[[str], None]) -> Iterator[None]:
    """Publish at the end of the block what it has written to the warehouse, also if it fails."""
    run = begin(settings, log)
    try:
        yield
    except Exception:
        end(settings, run, log)
        raise
    end(settings, run, log)
