"""The resource that assets, checks, sensors and the IO manager share: where the files and the warehouse are."""

from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import BinaryIO

import dagster as dg
from pydantic import Field, PrivateAttr

from orchestration_project.components.retries import patience_of
from orchestration_project.publishing import runs
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse


class Platform(dg.ConfigurableResource):  # type: ignore[type-arg]  # the type parameter is Dagster's own affair
    """Where the files and the warehouse are: the settings from the environment, unless they are given here."""

    data_dir: str | None = Field(default=None, description="Root of landing, archive, quarantine and the warehouse.")
    warehouse_url: str | None = Field(default=None, description="`duckdb:///path/to/file`.")
    _patience: float = PrivateAttr(default=inf)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note how long the run may wait for the warehouse."""
        self._patience = patience_of(context.run.tags) if context.run else inf

    @property
    def settings(self) -> Settings:
        """The settings in force; in a run that would be requested again, with a short wait for the warehouse."""
        settings = Settings.from_env()
        settings = replace(settings, lock_timeout=min(settings.lock_timeout, self._patience))
        if self.data_dir is not None:
            settings = replace(settings, data_dir=Path(self.data_dir).absolute())
        if self.warehouse_url is not None:
            settings = replace(settings, warehouse_url=self.warehouse_url)
        return settings

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse that the settings name."""
        return Warehouse.from_settings(self.settings)


class PublishingPlatform(Platform):
    """Where the files and the warehouse are; and at the end of a run, what it has written is published for readers.

    For executors with one process for all steps: its end is that of the run.
    """

    # A class of its own: Dagster lets a resource that does something at its end into the contexts of tests only by
    # `with`, and those of a project that upgrades have none.

    _run: BinaryIO | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note that the run is under way, too."""
        super().setup_for_execution(context)
        if context.run:
            self._run = runs.begin(self.settings, _log_of(context))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish what the run has written, whether it succeeded or failed."""
        # A resource that has this one in it has one of its own: of several in a process, the last one to end publishes.
        run, self._run = self._run, None
        runs.end(self.settings, run, _log_of(context))


def _log_of(context: dg.InitResourceContext) -> Callable[[str], None]:
    return context.log.warning if context.log else print


PLATFORM = PublishingPlatform()
"""The one that all components bring; see `components.project.with_platform`."""
STEPWISE = Platform()
"""The same for executors that start a process for each step, whose end is not that of the run."""


def publishing(platform: Platform) -> Platform:
    """A platform that publishes at the end of runs; one of a project's own class stays as it is."""
    if type(platform) is not Platform:
        return platform
    return PublishingPlatform(data_dir=platform.data_dir, warehouse_url=platform.warehouse_url)
