"""docs/commands.md and the commands say the same, and every command can be learnt from its help."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from orchestration_project.cli.docs.pages import COMMANDS as PAGE
from orchestration_project.cli.docs.pages import commands_of
from orchestration_project.cli.main import main

COMMANDS = [pytest.param(name, command, id=name) for name, command in commands_of(main)]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_help_has_an_example_that_parses(name: str, command: click.Command) -> None:
    """The help of each command ends with an example whose options and arguments exist."""
    example = (command.help or "").partition("Example: orchestration-project ")[2].split()
    words = name.split()
    assert example[: len(words)] == words
    known = {option for parameter in command.params for option in parameter.opts if option.startswith("-")}
    assert {word for word in example if word.startswith("-")} <= known


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_option_is_explained(name: str, command: click.Command) -> None:
    """No option is left without a line of help."""
    assert [item.name for item in command.params if isinstance(item, click.Option) and not item.help] == []


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_command_has_its_exit_codes(name: str, command: click.Command) -> None:
    """A command that tells something by its exit code has a row in the table."""
    table = PAGE.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("###")[0]
    assert ("Exits with" in (command.help or "")) == (f"| `{name}`" in table)


def test_a_mistyped_command_is_an_error() -> None:
    """It ends with exit code 2 and says what is wrong."""
    result = CliRunner().invoke(main, ["verfy"])
    assert (result.exit_code, "verfy" in result.stderr) == (2, True)


def test_the_start_is_light() -> None:
    """Help and completion import neither Dagster nor an engine."""
    code = "import sys, orchestration_project.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"dagster", "duckdb", "pandas", "rich.console"} & set(done.stdout.split()) == set()
