"""`python -m benchmarks`: what it writes, and how it ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.report import Section
from benchmarks.session import ROOT, Session


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command with two parts: one that works in its folder, and one that fails."""

    def good(session: Session) -> Section:
        assert session.folder("files").is_dir()
        return Section("Good", f"rows: {session.rows}", [])

    def bad(_: Session) -> Section:
        return Section("Bad", "Nothing came out.", [], failures={"tool": "it said no"})

    monkeypatch.setattr(command, "PARTS", {"load": good, "scaling": bad})
    return CliRunner()


def test_a_failure_is_reported_and_the_rest_goes_on(runner: CliRunner, tmp_path: Path) -> None:
    """All parts are in the results, with the machine; the exit code tells that something failed."""
    results = tmp_path / "results.md"
    done = runner.invoke(command.main, ["--work", str(tmp_path / "work"), "--results", str(results), "--rows", "5000"])
    assert done.exit_code == 1
    page = results.read_text(encoding="utf-8")
    assert "## Good\n\nrows: 5000" in page
    assert "it said no" in page
    assert "- duckdb: 1.5.5" in page
    assert "cores" in page


def test_nothing_is_left(runner: CliRunner, tmp_path: Path) -> None:
    """What the parts put into their folder is gone, and the working folder is empty."""
    runner.invoke(command.main, ["--work", str(tmp_path / "work"), "--results", str(tmp_path / "results.md")])
    assert list((tmp_path / "work").iterdir()) == []


def test_a_part_alone_is_printed_only(runner: CliRunner, tmp_path: Path) -> None:
    """A part that works ends with 0, and the results of all parts are left as they are."""
    page = command.HERE / "results.md"
    before = page.read_bytes() if page.exists() else None
    done = runner.invoke(command.main, ["load", "--work", str(tmp_path / "work")])
    assert done.exit_code == 0, done.output
    assert "## Good" in done.output
    assert "## Bad" not in done.output
    assert (page.read_bytes() if page.exists() else None) == before


ENDLESS = """
import sys
from pathlib import Path
from benchmarks import __main__ as command
from benchmarks.measure import run

def endless(session):
    run([sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"], {}, session.log)

command.PARTS["load"] = endless
command.main(["load", "--work", sys.argv[1]])
"""


def test_a_session_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM ends the command that is measured, and takes the session's folder away."""
    work = tmp_path / "work"
    with subprocess.Popen([sys.executable, "-c", ENDLESS, str(work)], cwd=ROOT, stderr=subprocess.DEVNULL) as session:
        while not (found := [int(log.read_text() or 0) for log in work.glob("*/output.log")]) or not found[0]:
            assert session.poll() is None
            time.sleep(0.05)
        session.terminate()
    assert session.returncode
    assert list(work.iterdir()) == []
    while _is_there(found[0]):  # until whoever inherited the process has taken note of its end
        time.sleep(0.05)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
