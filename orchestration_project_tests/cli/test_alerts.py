"""`alert-test`: whoever set the URLs sees at once who can be reached."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project_tests.alerts.servers import Webhook, unused_port, webhook


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A webhook."""
    with webhook() as server:
        yield server


def alert_test(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["alert-test", *arguments])


def test_everybody_is_tried(data_dir: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each target gets a message and the heartbeat a call; all is told, and one failure makes the exit code 1."""
    dead = f"json://bot:pass-word@127.0.0.1:{unused_port()}"
    monkeypatch.setenv("ALERT_URLS", f"{hook.url('all')} product_data={hook.url('team')} other={dead}")
    monkeypatch.setenv("HEARTBEAT_URL", f"http://127.0.0.1:{hook.port}/ping-token")
    result = alert_test()
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0] == f"json 127.0.0.1:{hook.port}: taken"
    assert lines[1] == f"product_data: json 127.0.0.1:{hook.port}: taken"
    assert lines[2].startswith("other: json 127.0.0.1:")
    assert "not taken: " in lines[2]
    assert "Connection refused" in lines[2]
    assert lines[3] == "heartbeat 127.0.0.1: taken"
    assert sorted(hook.paths) == ["/all", "/ping-token", "/team"]
    assert not {"pass-word", "ping-token"} & {*result.output.replace("/", " ").split()}


def test_a_feeds_own(data_dir: Path, hook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--feed` tries those who are told of one feed: the team that its contract names, and who takes all messages."""
    monkeypatch.setenv("ALERT_URLS", f"{hook.url('all')} product_data={hook.url('team')} other={hook.url('other')}")
    assert alert_test("--feed", "products").exit_code == 0
    assert sorted(hook.paths) == ["/all", "/team"]
    assert alert_test("--feed", "product").exit_code == 2


def test_nobody_to_tell(data_dir: Path) -> None:
    """Without any URL there is nothing to try, which is an error that names the settings."""
    result = alert_test()
    assert (result.exit_code, "ALERT_URLS" in result.output) == (2, True)


def test_a_bad_url(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An URL that can't be used is told by its number or label, without a traceback."""
    monkeypatch.setenv("ALERT_URLS", "pass-word")
    result = alert_test()
    assert (result.exit_code, "entry 1" in result.output, "pass-word" in result.output) == (2, True, False)
