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
    publish: bool = Field(
        default=True,
        description="Whether each process that has executed steps of a run publishes what they have written. Off where"
        " each step has a process of its own: its end is not that of the run.",
    )
    _patience: float = PrivateAttr(default=inf)
    _run: BinaryIO | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Note how long the run may wait for the warehouse, and that it is under way."""
        if context.run:
            self._patience = patience_of(context.run.tags)
            self._run = runs.begin(self.settings, _log_of(context))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Publish what the run has written, whether it succeeded or failed."""
        # With the in-process executor this is the end of the run. A resource that has this one in it has one of its
        # own: of several in a process, the last one to end publishes.
        run, self._run = self._run, None
        if self.publish:
            runs.end(self.settings, run, _log_of(context))
        elif run:
            run.close()

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


def _log_of(context: dg.InitResourceContext) -> Callable[[str], None]:
    return context.log.warning if context.log else print


PLATFORM = Platform()
"""The one that all components bring; see `components.project.with_platform`."""
STEPWISE = Platform(publish=False)
"""The same for executors that start a process for each step."""
