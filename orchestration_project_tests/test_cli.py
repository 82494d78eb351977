"""The commands that a person types, in processes of their own. Slow, so few: each tries several things."""

import os
import re
import shlex
import subprocess
import tomllib
import urllib.request
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import REPOSITORY, copy_of_project
from orchestration_project_tests.reliability.deployment import deployed

DAY, NEXT = "2024-01-15", "2024-01-16"


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment with a data folder, a Dagster home and a delivered file for each of two days."""
    data, home = tmp_path / "data", tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_bytes((REPOSITORY / "dagster.yaml").read_bytes())
    landing = data / "landing" / "sales"
    landing.mkdir(parents=True)
    for day in (DAY, NEXT):
        (landing / f"sales_{day}.csv").write_text(sales(sale(f"A{day}", day=day)), encoding="utf-8")
    environment = copy_of_project(tmp_path / "project")
    return environment | {"DATA_DIR": str(data), "DAGSTER_HOME": str(home), "PWD": str(tmp_path / "project")}


def run(environment: dict[str, str], *command: str, exit_code: int = 0) -> str:
    """Run a command in the project's folder; returns all it printed."""
    done = subprocess.run(
        command, cwd=environment["PWD"], env=environment, capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == exit_code, done.stdout + done.stderr
    return done.stdout + done.stderr


def query(environment: dict[str, str], sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(os.path.join(environment["DATA_DIR"], "warehouse.duckdb")) as connection:  # noqa: PTH118
        return connection.execute(sql).fetchall()


def test_dagster_asset_materialize(shell: dict[str, str]) -> None:
    """`dagster asset materialize` runs everything for a range, and warns of nothing that a user could not help."""
    command = ("dagster", "asset", "materialize", "-m", "orchestration_project.definitions")
    output = run(shell, *command, "--select", "*", "--partition-range", f"{DAY}...{NEXT}")
    assert "execution_type" not in output
    assert query(shell, "SELECT units_sold FROM product_warehouse") == [(4,)]


def test_dg_launch(shell: dict[str, str]) -> None:
    """`dg launch` loads a partition."""
    run(shell, "dg", "launch", "--assets", "raw_sales", "--partition", DAY)
    assert query(shell, "SELECT count(*) FROM raw_sales") == [(1,)]


def test_dagster_dev_answers_in_the_environment_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What README tells to export leaves `dagster dev` alive: with DAGSTER_MODULE_NAME its web server hung for ever."""
    told = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    exports = [word for line in re.findall(r"^export (.+)$", told, re.MULTILINE) for word in shlex.split(line)]
    assert "DAGSTER_HOME" in {name for name, _, _ in (word.partition("=") for word in exports)}
    for name, _, value in (word.partition("=") for word in exports):
        monkeypatch.setenv(name, value)
    with deployed(tmp_path) as dev:
        dev.start()
        dev.wait_until(lambda: "dagster_webserver_version" in answer(f"{dev.url}/server_info"), seconds=150)


def answer(url: str) -> str:
    """What a server says; nothing while it does not listen yet."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - one on this machine
        return str(response.read(), "utf-8")
    return ""


def test_the_project_names_its_code_location() -> None:
    """`dagster` and `dg` call the code location the same, so that their histories are one."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert settings["dagster"]["code_location_name"] == settings["dg"]["project"]["code_location_name"]
