"""`alarms`, `silence` and `alert-test`, as a person types them; who set the URLs sees at once who can be reached."""

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.alerts import store
from orchestration_project.alerts.changes import Standing
from orchestration_project.cli.main import main
from orchestration_project_tests.alerts.samples import NOW, alarm
from orchestration_project_tests.alerts.servers import Webhook, unused_port, webhook

F = "file_quarantined:f"


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def put_on(data_dir: Path) -> None:
    """Let an alarm be on, as the sensor would have found it."""
    found = Standing(alarm(what="f: 3 files \x1b[2J[bold]", count=3, items=["a", "b"]), NOW, told_at=NOW, told_level=2)
    with store.open_store(data_dir / "alarms.sqlite") as connection:
        store.write_standings(connection, {F: found}, NOW)


def test_before_the_sensor_has_looked(data_dir: Path) -> None:
    """Nobody knows, and the exit code says so; no file is made by asking."""
    result = call("alarms")
    assert result.exit_code == 2
    assert "switch alerts_sensor on" in result.output
    assert [*data_dir.iterdir()] == []


def test_no_alarm_is_on(data_dir: Path) -> None:
    """All is well, as of the moment of the last look."""
    with store.open_store(data_dir / "alarms.sqlite") as connection:
        store.write_standings(connection, {}, NOW)
    result = call("alarms")
    assert (result.exit_code, result.output) == (0, "No alarm is on. As of 2024-03-01 12:00 UTC.\n")


def test_an_alarm_is_listed(data_dir: Path) -> None:
    """Its id, since when it is on, when it was told, and what to do; a terminal finds no instruction in it."""
    put_on(data_dir)
    result = call("alarms")
    assert result.exit_code == 1
    assert F in result.output
    assert "2024-03-01 12:00 UTC" in result.output
    assert "f: 3 files \\x1b[2J[bold]" in result.output
    assert f"{F}: do it" in result.output
    (listed,) = json.loads(call("alarms", "--json").stdout)["alarms"]
    assert (listed["id"], listed["count"], listed["items"]) == (F, 3, ["a", "b"])
    assert listed["told_at"] == NOW.isoformat()


def test_a_silence_is_kept_with_who_and_why(data_dir: Path) -> None:
    """It is listed until it ends, and can be ended before."""
    put_on(data_dir)
    result = call("silence", F, "--until", "3d", "--reason", "known", "--by", "Ada")
    assert (result.exit_code, result.output.partition(" until ")[0]) == (0, f"{F} is silenced")
    shown = call("alarms").output
    assert "by Ada: known" in shown
    assert "silenced" in shown
    assert call("silence", F, "--end").output == f"{F} is told again.\n"
    assert call("silence", F, "--end").output == f"{F} was not silenced.\n"
    assert json.loads(call("alarms", "--json").stdout)["silences"] == []


@pytest.mark.parametrize(("until", "hours"), [("30m", 0.5), ("8h", 8), ("3d", 72), ("", 5)])
def test_until_is_a_span_or_a_moment(data_dir: Path, until: str, hours: float) -> None:
    """Both forms of a moment are understood; a time without a zone is the machine's."""
    in_five_hours = dt.datetime.now().astimezone() + dt.timedelta(hours=5)
    given = until or f"{in_five_hours:%FT%T}"
    assert call("silence", "batch_missing:f", "--until", given, "--reason", "x").exit_code == 0
    (silence,) = json.loads(call("alarms", "--json").stdout)["silences"]
    left = dt.datetime.fromisoformat(silence["until"]) - dt.datetime.fromisoformat(silence["made_at"])
    assert left / dt.timedelta(hours=1) == pytest.approx(hours, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        pytest.param([F, "--until", "3d"], "Give --until and --reason, or --end", id="no reason"),
        pytest.param([F, "--reason", "x"], "Give --until and --reason, or --end", id="no end"),
        pytest.param([F, "--end", "--reason", "x"], "Give --until and --reason, or --end", id="both"),
        pytest.param([F], "Give --until and --reason, or --end", id="neither"),
        pytest.param([F, "--until", "soon", "--reason", "x"], "'soon' is neither", id="no moment"),
        pytest.param([F, "--until", "2020-01-01", "--reason", "x"], "has passed", id="the past"),
        pytest.param([F, "--until", "99999d", "--reason", "x"], "", id="far away"),
        pytest.param(["file_quarantine:f", "--until", "3d", "--reason", "x"], f"did you mean '{F}'?", id="mistyped"),
        pytest.param(["nonsense", "--until", "3d", "--reason", "x"], f"on are {F}", id="no alarm"),
    ],
)
def test_what_can_t_be_silenced(data_dir: Path, arguments: list[str], error: str) -> None:
    """What is mistyped is refused in a line that helps; nothing is silenced."""
    put_on(data_dir)
    result = call("silence", *arguments)
    assert result.exit_code == (2 if error else 0)
    assert error in result.output
    if error:
        assert json.loads(call("alarms", "--json").stdout)["silences"] == []


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
