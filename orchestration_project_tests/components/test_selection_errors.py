"""What Dagster's commands say of a mistake: the reason, where a reader looks for it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._check import CheckError

from orchestration_project.components.project import refused_selection
from orchestration_project_tests.components.workbench import REPOSITORY

pytestmark = pytest.mark.promise("seen")


def command(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Dagster with a data folder and a history of its own."""
    environment = os.environ | {"DATA_DIR": str(tmp_path), "PYTHONPATH": str(tmp_path), "NO_COLOR": "1"}  # noqa: TID251
    return subprocess.run(
        [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.found("a forgotten partition, or a day to come, was told by forty lines of traceback")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["*"], r"Error: the selected assets have partitions: add --partition .*", id="no partition"),
        pytest.param(
            ["cleaned_sales", "--partition-range", "2024-01-15...2999-01-01"],
            r"Error: no asset has the partition 2024-01-15\.\.\.2999-01-01, or .* the last one that is over",
            id="future",
        ),
    ],
)
def test_a_selection_that_does_not_fit_is_one_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    """The last line says what to do, and no line of code is above it."""
    ended = command(
        tmp_path, "dagster", "asset", "materialize", "-m", "orchestration_project.definitions", "--select", *arguments
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert re.fullmatch(expected, ended.stderr.splitlines()[-1])


@pytest.mark.parametrize(
    "error", [CheckError("no '--partition' option"), dg.DagsterInvalidSubsetError("x"), KeyError()]
)
def test_errors_of_others_are_shown_in_full(error: Exception) -> None:
    """Only what the command itself refuses is made short."""
    with pytest.raises(type(error)) as raised:
        raise error
    assert refused_selection(raised.value, ["dagster"]) is None


@pytest.mark.found("`dg check defs` showed a contract's fault in the middle of sixty lines")
def test_a_fault_of_a_contract_is_shown_last(tmp_path: Path) -> None:
    """The path in the contract and what is allowed there are the end of what `dg check defs` says."""
    shutil.copytree(REPOSITORY / "orchestration_project", tmp_path / "orchestration_project")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    contract = tmp_path / "orchestration_project" / "defs" / "sales" / "sales.odcs.yaml"
    text = contract.read_text(encoding="utf-8")
    contract.write_text(text.replace("logicalType: integer", "logicalType: intger", 1), encoding="utf-8")
    ended = command(tmp_path, "dg", "check", "defs")
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() + ended.stdout.splitlines() if re.search(r"\w", line)]
    found = [number for number, line in enumerate(lines) if "found 'intger'; allowed: " in line]
    assert len(found) == 2
    assert "Stack Trace" not in "".join(lines[found[-1] :])
    assert len(lines) < 20
