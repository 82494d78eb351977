"""The Dagster project that a command is about: the one that the working folder lies in, else the packaged shop.

Nothing of Dagster is imported here before the feeds are asked for.
"""

import importlib
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import dagster as dg

    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.inspection.findings import Proof
    from orchestration_project.inspection.lookup.mart_rows import FollowedMart
    from orchestration_project.sources.session import DeclaredSource

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Project:
    """A Dagster project with a `defs` folder.

    Attributes:
        root: its folder.
        definitions: the module of its definitions, as `dagster -m` takes it.
        defs_module: the module of its `defs` folder.
        found: whether the working folder lies in it; else it is the packaged shop, and nothing is written to it.
    """

    root: Path
    definitions: str
    defs_module: str
    found: bool = True

    @property
    def defs(self) -> Path:
        """The `defs` folder."""
        return self._base.joinpath(*self.defs_module.split("."))

    @property
    def _base(self) -> Path:
        """Where its package lies: in `src` for what `create-dagster` makes, else in the project's folder itself."""
        package = self.defs_module.partition(".")[0]
        return self.root / "src" if (self.root / "src" / package).is_dir() else self.root

    def feeds(self) -> dict[str, "FeedSpec"]:
        """The feeds by name.

        Raises:
            UsageError: the `defs` folder can't be imported.
            ContractError: a contract can't be used.
        """
        from orchestration_project.components.file_feed import feeds_of

        with self._components() as tree:
            return {spec.name: spec for spec in feeds_of(tree)}

    def feeds_and_proofs(self) -> tuple[dict[str, "FeedSpec"], list["Proof"]]:
        """The feeds by name, and what the marts bring to `verify`. Raises what `feeds` does."""
        from orchestration_project.components.file_feed import feeds_of
        from orchestration_project.components.proofs import proofs_of

        # Of one tree: loading the components is what takes long.
        with self._components() as tree:
            return {spec.name: spec for spec in feeds_of(tree)}, proofs_of(tree)

    def feeds_and_marts(self) -> tuple[dict[str, "FeedSpec"], list["FollowedMart"]]:
        """The feeds by name, and the marts that records can be followed into. Raises what `feeds` does."""
        from orchestration_project.components.file_feed import feeds_of
        from orchestration_project.components.followed_marts import followed_marts

        with self._components() as tree:
            return {spec.name: spec for spec in feeds_of(tree)}, followed_marts(tree)

    def feeds_and_sources(self) -> tuple[dict[str, "FeedSpec"], dict[str, "DeclaredSource"]]:
        """The feeds by name, and where files are fetched from, by feed. Raises what `feeds` does."""
        from orchestration_project.components.file_feed import feeds_of
        from orchestration_project.components.source import declared_sources

        with self._components() as tree:
            return {spec.name: spec for spec in feeds_of(tree)}, declared_sources(tree)

    def sources(self) -> dict[str, "DeclaredSource"]:
        """Where files are fetched from, by feed. Raises what `feeds` does."""
        from orchestration_project.components.source import declared_sources

        with self._components() as tree:
            return declared_sources(tree)

    @contextmanager
    def _components(self) -> Iterator["dg.ComponentTree"]:
        from orchestration_project.components.project import component_tree

        # As `dagster` and `dg` do: a project need not be installed to be used from its folder.
        if str(self._base) not in sys.path:
            sys.path.insert(0, str(self._base))
        try:
            module = importlib.import_module(self.defs_module)
        except ModuleNotFoundError as error:
            raise click.UsageError(f"The project in {self.root} can't be loaded: {error}") from error
        with component_tree(module, self.root) as tree:
            yield tree


SHOP = Project(PACKAGE.parent, f"{PACKAGE.name}.definitions", f"{PACKAGE.name}.defs", found=False)


def project_here() -> Project:
    """The project that the working folder lies in, else the packaged shop.

    A project says in `pyproject.toml` which module it has: `root_module` in `[tool.dg.project]`, or `module_name` in
    `[tool.dagster]`; or in `dg.toml`, `root_module` in `[project]`.

    Raises:
        UsageError: such a file is no TOML.
    """
    # The nearest one upward, as git finds its repository: a project may lie in the checkout of another.
    here = Path.cwd()
    found = (_project_in(folder) for folder in (here, *here.parents))
    return next((project for project in found if project), SHOP)


def _project_in(folder: Path) -> Project | None:
    tool = _toml(folder / "pyproject.toml").get("tool", {})
    project = _toml(folder / "dg.toml").get("project") or tool.get("dg", {}).get("project") or {}
    # `[tool.dagster]` is read by `dagster` and names the module of the definitions itself; `dg` reads the other tables.
    named = tool.get("dagster", {}).get("module_name", "")
    root_module = project.get("root_module") or named.removesuffix(".definitions")
    if not root_module:
        return None
    # The names that `dg` gives where a project says nothing.
    definitions = project.get("code_location_target_module") or named or f"{root_module}.definitions"
    return Project(folder, definitions, project.get("defs_module") or f"{root_module}.defs")


def _toml(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} can't be read: {error}") from error
