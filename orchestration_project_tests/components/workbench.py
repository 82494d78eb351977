"""A code location with a data folder and a Dagster instance of its own, used as a person uses the real one."""

import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.servers.warehouses import place

REPOSITORY = Path(__file__).parents[2]
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@dataclass
class Workbench:
    """The code location, its data and its history."""

    defs: dg.Definitions
    data_dir: Path
    instance: dg.DagsterInstance = field(default_factory=dg.DagsterInstance.ephemeral)

    def drop(self, feed: str, name: str, text: str | bytes, modified: float | None = None) -> Path:
        """Deliver a file to a feed's drop folder."""
        path = self.data_dir / "landing" / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        if modified is not None:
            os.utime(path, (modified, modified))
        return path

    def landing(self, feed: str) -> list[str]:
        """The names of what lies in a feed's drop folder."""
        return sorted(path.name for path in (self.data_dir / "landing" / feed).iterdir())

    @property
    def settings(self) -> Settings:
        """Where its folders and its warehouse are."""
        url, data = place(self.data_dir)
        return Settings(data_dir=self.data_dir, warehouse_url=url, warehouse_data=data)

    @contextmanager
    def environment(self) -> Iterator[None]:
        """The settings that runs of this code location see."""
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            patch.setenv("DATA_DIR", str(self.data_dir))
            patch.setenv("WAREHOUSE_URL", self.settings.warehouse_url)
            patch.setenv("WAREHOUSE_DATA", self.settings.warehouse_data)
            # Dagster warns of a parameter that it sets itself, for every check in a project of components.
            warnings.filterwarnings("ignore", "Parameter `execution_type`")
            yield

    def run(
        self,
        *assets: str,
        first: str | None = None,
        last: str | None = None,
        job: str | None = None,
        tags: Mapping[str, str] | None = None,
        raise_on_error: bool = True,
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets (all of the job when none is named) for a partition, a range of them, or none."""
        ranged = dict(zip(RANGE, (first, last), strict=True)) if first and last else {}
        with self.environment():
            found = self.defs.resolve_job_def(job) if job else self.defs.resolve_implicit_global_asset_job_def()
            return found.execute_in_process(
                instance=self.instance,
                asset_selection=[dg.AssetKey(name) for name in assets] or None,
                partition_key=first if not last else None,
                tags={**ranged, **(tags or {})},
                raise_on_error=raise_on_error,
            )

    def check(self, *checks: tuple[str, str], first: str | None = None) -> dict[str, dg.AssetCheckEvaluation]:
        """Run checks alone, each given by asset and name."""
        keys = [dg.AssetCheckKey(dg.AssetKey(asset), name) for asset, name in checks]
        with self.environment():
            job = dg.define_asset_job("checks_only", selection=dg.AssetSelection.checks(*keys))
            merged = dg.Definitions.merge(self.defs, dg.Definitions(jobs=[job]))
            tags = {"dagster/partition": first} if first else {}
            result = merged.resolve_job_def("checks_only").execute_in_process(
                instance=self.instance, tags=tags, raise_on_error=False
            )
        return evaluations(result)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the warehouse."""
        with Warehouse.from_settings(self.settings).connection("test") as connection:
            return connection.execute(sql).fetchall()


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    """The check results of a run, by name of the check."""
    return {item.check_name: item for item in result.get_asset_check_evaluations()}


def materializations(result: dg.ExecuteInProcessResult, asset: str) -> dict[str | None, dg.AssetMaterialization]:
    """What a run recorded of an asset, by partition."""
    found = [
        event.step_materialization_data.materialization
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey(asset)
    ]
    return {item.partition: item for item in found}


def value(metadata: Mapping[str, Any], name: str) -> Any:
    """The value of a piece of metadata; of a table its rows."""
    found = metadata[name]
    return [dict(row.data) for row in found.records] if isinstance(found, dg.TableMetadataValue) else found.value


@cache
def project() -> dg.Definitions:
    """The project's own definitions."""
    from orchestration_project.definitions import defs

    with warnings.catch_warnings():
        loaded: dg.Definitions = defs()
        dg.Definitions.validate_loadable(loaded)
    return loaded


@contextmanager
def feeds(**folders: Mapping[str, str]) -> Iterator[dg.Definitions]:
    """The definitions of feeds that are given as the files of their folders, loaded as Dagster loads them.

    Args:
        folders: for each folder the texts of its files by name.
    """
    with create_defs_folder_sandbox() as sandbox, ExitStack() as stack:
        for folder, files in folders.items():
            for name, text in files.items():
                path = sandbox.defs_folder_path / folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
        tree = stack.enter_context(sandbox.build_component_tree())
        with warnings.catch_warnings():
            # As `load_from_defs_folder` does: Dagster uses what it warns of.
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", dg.BetaWarning)
            warnings.simplefilter("ignore", dg.PreviewWarning)
            loaded = tree.build_defs()
        yield loaded


def copy_of_project(folder: Path, *examples: str) -> dict[str, str]:
    """Copy the project with some of its examples as feeds; returns the environment for its commands."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "orchestration_project", folder / "orchestration_project", ignore=ignored)
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    for name in examples:
        shutil.copytree(REPOSITORY / "examples" / name, folder / "orchestration_project" / "defs" / name)
    inherited = dict(os.environ)  # noqa: TID251 - the commands run as they would from this shell
    return inherited | {"PYTHONPATH": str(folder), "PATH": f"{Path(sys.executable).parent}:{inherited['PATH']}"}
