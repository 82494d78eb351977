"""Which Dagster project a command is about."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.cli.project import SHOP, project_here
from orchestration_project_tests.components.workbench import REPOSITORY

DG = '[tool.dg.project]\nroot_module = "shop"\n'


@pytest.mark.parametrize(
    ("name", "text", "modules"),
    [
        pytest.param("pyproject.toml", DG, ("shop.definitions", "shop.defs"), id="dg"),
        pytest.param(
            "pyproject.toml",
            f'{DG}defs_module = "shop.feeds"\ncode_location_target_module = "shop.all"\n',
            ("shop.all", "shop.feeds"),
            id="names of its own",
        ),
        pytest.param("dg.toml", '[project]\nroot_module = "shop"\n', ("shop.definitions", "shop.defs"), id="dg.toml"),
        pytest.param(
            "pyproject.toml",
            '[tool.dagster]\nmodule_name = "shop.definitions"\n',
            ("shop.definitions", "shop.defs"),
            id="dagster",
        ),
    ],
)
def test_it_is_the_one_around_the_working_folder(
    name: str, text: str, modules: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found upward, past files that tell nothing of Dagster, with its modules by the names that it gives them."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (below / "pyproject.toml").write_text('[project]\nname = "other"\n', encoding="utf-8")
    monkeypatch.chdir(below)
    project = project_here()
    assert (project.definitions, project.defs_module, project.root) == (*modules, tmp_path)
    assert project.found


def test_the_checkout_is_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout of the platform it is the shop, and may be written to."""
    monkeypatch.chdir(REPOSITORY / "docs")
    project = project_here()
    assert (project.definitions, project.found) == (SHOP.definitions, True)
    assert project.defs == REPOSITORY / "orchestration_project" / "defs"


def test_elsewhere_it_is_the_packaged_shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its feeds."""
    monkeypatch.chdir(tmp_path)
    assert project_here() == SHOP
    assert sorted(SHOP.feeds()) == ["products", "sales"]


def test_a_file_that_is_no_toml_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its path."""
    (tmp_path / "pyproject.toml").write_text("[tool", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(click.UsageError, match=r"pyproject\.toml can't be read"):
        project_here()


def test_a_project_that_cannot_be_imported_is_told(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line, with exit code 2."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "not_there"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["status"])
    assert (result.exit_code, "not_there" in result.stderr) == (2, True)
