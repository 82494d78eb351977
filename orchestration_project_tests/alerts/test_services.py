"""What Apprise is asked before anything is sent, and what is told of its answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration_project.alerts import services
from orchestration_project.alerts.services import require_usable
from orchestration_project.alerts.targets import read_targets
from orchestration_project.setting_values import SettingsError
from orchestration_project_tests.components.workbench import REPOSITORY

GOOD = "json://bot:pass-word@host/token"


@pytest.mark.parametrize(
    ("url", "label"),
    [
        pytest.param("slak://token-a/token-b/token-c", "slak", id="no such service"),
        pytest.param("slack://pass-word", "slack", id="a token is missing"),
        pytest.param("mailto://bot:pass-word@host?to=nobody", "mailto host", id="no address"),
    ],
)
def test_an_url_that_apprise_can_not_use(tmp_path: Path, url: str, label: str) -> None:
    """It is an error that names the target by its label, and says how to try an URL."""
    with pytest.raises(SettingsError, match=f"can't use '{label}'") as caught:
        require_usable(read_targets(f"{GOOD} {url}"), tmp_path)
    assert not {"pass-word", "token"} & set(str(caught.value).replace("/", " ").split())


def test_urls_are_asked_about_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """URLs that Apprise can use are remembered, by nothing that tells them, until one changes."""
    targets = read_targets(GOOD)
    require_usable(targets, tmp_path)
    monkeypatch.setattr(services, "_plugin", lambda _target: None)
    require_usable(targets, tmp_path)
    kept = (tmp_path / "state" / "alert_urls.json").read_text(encoding="utf-8")
    assert {"salt", "hash"} == json.loads(kept).keys()
    with pytest.raises(SettingsError):
        require_usable(read_targets(GOOD + "2"), tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"hash": 1, "salt": "x"}', "[]"])
def test_what_is_remembered_may_be_broken(tmp_path: Path, content: str) -> None:
    """A file that can't be read is made again."""
    memory = tmp_path / "state" / "alert_urls.json"
    memory.parent.mkdir()
    memory.write_text(content, encoding="utf-8")
    require_usable(read_targets(GOOD), tmp_path)
    assert "salt" in memory.read_text(encoding="utf-8")


def test_apprise_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `ALERT_URLS` is set and Apprise is not installed, the error has the command that installs it."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    monkeypatch.setattr(services, "find_spec", lambda _name: None)
    require_usable([], tmp_path)
    with pytest.raises(SettingsError, match=r"pip install 'orchestration-project\[alerts\]'"):
        require_usable(read_targets(GOOD), tmp_path)


def test_definitions_do_not_import_apprise(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading the definitions imports Apprise only where `ALERT_URLS` is set, and only to see that URLs are usable."""
    code = "import sys; from orchestration_project.definitions import defs; defs(); print('apprise' in sys.modules)"

    def imported() -> str:
        done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert imported() == "False"
    monkeypatch.setenv("ALERT_URLS", GOOD)
    assert [imported(), imported()] == ["True", "False"]


@pytest.mark.parametrize(
    ("url", "told", "kept"),
    [
        pytest.param(
            "json://bot:pass-word@host/token", "no pass-word at host/TOKEN", "no *** at host/***", id="webhook"
        ),
        pytest.param("slack://Token-A/b/c", "no token-a at b", "no *** at b", id="a host that is a token"),
        pytest.param("json://host/?%2BX-Key=pass%2Dword", "pass-word pass%2Dword", "*** ***", id="encoded"),
        pytest.param("json://host/", "a\x1b[2J\nb", r"a\x1b[2J\nb", id="control characters"),
    ],
)
def test_secrets_are_masked(url: str, told: str, kept: str) -> None:
    """Of what a plugin says, the parts of the URL that may be secret are not kept."""
    assert services._masked(told, url) == kept
