"""The built wheel in an environment and a project of somebody else's: what people do who never see this repository.

The environment gets the dependencies from the one of the tests, by a path: nothing is fetched from an index.
"""

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from orchestration_project_tests.components.workbench import REPOSITORY

pytestmark = pytest.mark.xdist_group("package")

PYPROJECT = """
[project]
name = "tills"
version = "1"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "tills"
"""
DEFINITIONS = '''"""As create-dagster writes it."""

from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
'''
LAUNCHER = "#!{python}\nimport sys\nfrom {module} import {attribute}\nsys.exit({attribute}())\n"
DAY = "2024-01-15"


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel, and a project that `create-dagster` could have made.

    Attributes:
        bin: the environment's commands.
        project: the project's folder.
        elsewhere: a folder that is in no project.
    """

    bin: Path
    project: Path
    elsewhere: Path

    def run(self, folder: Path, *command: str | Path, exit_code: int = 0) -> str:
        """Run a command of the environment; returns all that it prints."""
        environment = {
            "PATH": f"{self.bin}:{os.defpath}",
            "HOME": str(self.elsewhere),
            "VIRTUAL_ENV": str(self.bin.parent),
        }
        done = subprocess.run(
            [self.bin / command[0], *command[1:]],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == exit_code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, built and installed, and an empty project."""
    folder = tmp_path_factory.mktemp("installed")
    made = Installed(folder / "venv" / "bin", folder / "tills", folder / "elsewhere")
    package = made.project / "src" / "tills"
    (package / "defs").mkdir(parents=True)
    made.elsewhere.mkdir()
    (made.project / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (package / "definitions.py").write_text(DEFINITIONS, encoding="utf-8")
    for module in (package, package / "defs"):
        (module / "__init__.py").touch()
    _install(folder / "venv", folder / "dist", package.parent)
    return made


def _install(environment: Path, dist: Path, source: Path) -> None:
    """Build the wheel and install it, with the dependencies of the tests, and the project as an editable one."""
    python = environment / "bin" / "python"
    build: list[str | Path] = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", dist]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (wheel,) = dist.glob("*.whl")
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        wheel,
    ]
    subprocess.run(pip, check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
    paths = [sysconfig.get_path("purelib"), str(source)]
    (Path(packages) / "others.pth").write_text("\n".join(paths) + "\n", encoding="utf-8")
    for command in ("dagster", "dg"):
        (found,) = entry_points(group="console_scripts", name=command)
        launcher = environment / "bin" / command
        launcher.write_text(LAUNCHER.format(python=python, module=found.module, attribute=found.attr), encoding="utf-8")
        launcher.chmod(0o755)


def test_components_are_listed(installed: Installed) -> None:
    """`dg list components` has them in every project."""
    assert "orchestration_project.components.FileFeed" in installed.run(
        installed.project, "dg", "list", "components", "--json"
    )


def test_a_feed_lives_in_somebody_elses_project(installed: Installed) -> None:
    """With nothing but what `new-feed` writes there: checked and loaded as it tells, and verified."""
    project, delivered = installed.project, installed.elsewhere / f"till_{DAY}.csv"
    delivered.write_text("receipt_id,amount\n1,2.50\n2,3.75\n", encoding="utf-8")
    told = installed.run(project, "orchestration-project", "new-feed", delivered, "--name", "till")
    written = {path.name for path in (project / "src/tills/defs/till").iterdir()}
    assert written == {"defs.yaml", "till.odcs.yaml"}
    # The commands that it ends with, pasted into a shell.
    log = installed.run(project, "/bin/sh", "-ec", told.partition("Next, in a shell:\n")[2])
    assert "All definitions loaded successfully" in log
    # One process for all steps: a project that says nothing of an executor gets the platform's.
    assert "in process" in log
    assert "2 records compared: all proven" in installed.run(project, "orchestration-project", "verify")
    (project / "data/warehouse.duckdb").unlink()
    told = installed.run(project, "orchestration-project", "verify", "--json", exit_code=1)
    assert "orchestration-project rebuild till" in told
    assert "1 of 1 archived files" in installed.run(project, "orchestration-project", "rebuild", "till")
    assert "2 records compared: all proven" in installed.run(project, "orchestration-project", "verify")


def test_the_shop_is_served_elsewhere(installed: Installed) -> None:
    """Outside of any project the commands are about the packaged shop: its sample is delivered and loads."""
    here = installed.elsewhere
    installed.run(here, "orchestration-project", "load-sample")
    landing, sample = here / "data/landing", REPOSITORY / "data/sample"
    delivered = {path.relative_to(landing): path.read_bytes() for path in landing.glob("*/*")}
    assert delivered == {path.relative_to(sample): path.read_bytes() for path in sample.glob("*/*")}
    shop = ("dagster", "asset", "materialize", "-m", "orchestration_project.definitions")
    installed.run(here, *shop, "--select", "raw_products,cleaned_products,rejected_products,product_warehouse")
    assert "all proven" in installed.run(here, "orchestration-project", "verify", "products")


def test_nothing_is_written_into_the_installed_package(installed: Installed) -> None:
    """`new-feed` outside of a project asks for a folder."""
    sample = installed.elsewhere / "sample.csv"
    sample.write_text("a,b\n1,2\n", encoding="utf-8")
    told = installed.run(
        installed.elsewhere, "orchestration-project", "new-feed", sample, "--name", "till", exit_code=2
    )
    assert "There is no Dagster project here" in told
