"""The resource that assets, checks, sensors and the IO manager share: where the files and the warehouse are."""

from dataclasses import replace
from math import inf
from pathlib import Path

import dagster as dg
from pydantic import Field, PrivateAttr

from orchestration_project.components.retries import patience_of
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


PLATFORM = Platform()
"""The one that all components bring; see `components.project.with_platform`."""
