"""`fetch`: lands what is new, lists it without taking it, fetches again, and has an exit code for what it could do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli import fetch as command
from orchestration_project.cli.main import main
from orchestration_project.cli.project import Project
from orchestration_project.sources.http_options import HttpOptions
from orchestration_project.sources.session import DeclaredSource
from orchestration_project_tests.servers.http_files import HttpFiles, ServedFile, http_files
from orchestration_project_tests.sources.test_http import MONTHLY


class _Shop(Project):
    """A project whose feed `taxi` has a source."""

    url = ""

    def sources(self) -> dict[str, DeclaredSource]:
        """The source."""
        options = HttpOptions(url=self.url, retries=0, last_batches=500)
        return {"taxi": DeclaredSource("taxi", "http", options, MONTHLY, 100, 100.0)}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpFiles]:
    """A server with two months, and the project that fetches from it."""
    with http_files() as served:
        served.files |= {f"/2024-{month}.csv": ServedFile(b"a,b\n1,2\n") for month in ("01", "02")}
        _Shop.url = f"{served.url}/{{year}}-{{month}}.csv"
        monkeypatch.setattr(command, "project_here", lambda: _Shop(tmp_path, "x", "x.defs"))
        monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
        monkeypatch.setenv("NO_PROXY", "*")
        yield served


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["fetch", *arguments])


def test_it_lists_and_takes_nothing(server: HttpFiles, tmp_path: Path) -> None:
    """A dry run lists keys, names and sizes, and leaves no file at all."""
    listed = run("taxi", "--dry-run")
    assert listed.exit_code == 0
    assert "2024-01.csv" in listed.output
    assert "new" in listed.output
    assert not (tmp_path / "data").exists()
    run("taxi")
    assert "Nothing is new." in run("taxi", "--dry-run").output
    server.files["/2024-01.csv"].content = b"other"
    assert "changed" in run("taxi", "--dry-run").output


@pytest.mark.usefixtures("server")
def test_it_fetches_again(tmp_path: Path) -> None:
    """What was fetched comes once more when it is asked for; an unknown key is an error."""
    assert "2 landed" in run("taxi").output
    landed = tmp_path / "data" / "landing" / "taxi" / "2024-01.csv"
    landed.unlink()
    assert "0 landed" in run("taxi").output
    again = run("taxi", "--again", "2024-01.csv")
    assert (again.exit_code, landed.is_file()) == (0, True)
    assert run("taxi", "--again", "none.csv").exit_code == 2


def test_exit_codes(server: HttpFiles) -> None:
    """1: something was not fetched; 2: the source could not be listed, or there is none."""
    server.files["/2024-01.csv"].kind = "text/html"
    failed = run("taxi")
    assert (failed.exit_code, "1 failed" in failed.output) == (1, True)
    server.statuses["/2024-01.csv"] = [(503, {})]
    assert run("taxi").exit_code == 2
    unknown = run("taxy")
    assert (unknown.exit_code, "did you mean 'taxi'" in unknown.output) == (2, True)
