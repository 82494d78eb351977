"""`alarms`, `silence`, `alert-test`, `send-alerts`: which alarms are on, which are silenced, who can be reached."""

import datetime as dt
import getpass
import re
import socket
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named, new_console, new_table, print_json, printable
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration_project.alerts.changes import Silence, Standing
    from orchestration_project.alerts.outbox import Message
    from orchestration_project.alerts.targets import Routing
    from orchestration_project.settings import Settings

SPAN = re.compile(r"(\d{1,5})\s*([mhd])")
UNITS = {"m": dt.timedelta(minutes=1), "h": dt.timedelta(hours=1), "d": dt.timedelta(days=1)}


class Until(click.ParamType[dt.datetime]):
    """A moment to come: how long from now (`30m`, `8h`, `3d`), a day, or a day and time of the machine's zone."""

    name = "moment"

    def convert(
        self, value: str | dt.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.datetime:
        """The moment, with a time zone."""
        # click also hands over what is converted already.
        if isinstance(value, dt.datetime):
            return value
        now = dt.datetime.now(dt.UTC)
        try:
            span = SPAN.fullmatch(value)
            moment = now + int(span[1]) * UNITS[span[2]] if span else dt.datetime.fromisoformat(value).astimezone()
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is neither a time from now, like 3d, 8h or 30m, nor like 2024-01-31T08:00", param, ctx
            )
        if moment <= now:
            self.fail(f"{value!r} has passed", param, ctx)
        return moment


@dataclass(frozen=True, slots=True)
class Listed:
    """What `alarms` tells.

    Attributes:
        evaluated_at: when it was last looked which alarms are on; None: never.
        alarms: those that are on.
        silences: those that hold.
    """

    evaluated_at: dt.datetime | None
    alarms: "Sequence[Standing]"
    silences: "Sequence[Silence]"

    @property
    def exit_code(self) -> int:
        """0 when no alarm is on, 1 when some are, 2 when nobody has looked."""
        return 2 if self.evaluated_at is None else int(bool(self.alarms))

    def as_dict(self) -> dict[str, object]:
        """As plain data, as `alarms --json` prints it."""
        return {
            "exit_code": self.exit_code,
            "evaluated_at": self.evaluated_at,
            "alarms": [_as_dict(standing) for standing in self.alarms],
            "silences": [
                {name: getattr(silence, name) for name in ("alarm", "until", "who", "reason", "made_at")}
                for silence in self.silences
            ],
        }


def _as_dict(standing: "Standing") -> dict[str, object]:
    alarm = standing.alarm
    names = ("id", "kind", "feed", "severity", "what", "count", "items", "todo", "run_id")
    return {name: getattr(alarm, name) for name in names} | {"since": standing.since, "told_at": standing.told_at}


@click.command("alarms")
@click.option("--json", "as_json", is_flag=True, help="Print the alarms as JSON.")
@click.pass_context
def show_alarms(context: click.Context, as_json: bool) -> None:
    """List the alarms that are on, as the alerts sensor last found them: since when, whether told, whether silenced.

    Exits with 0 when no alarm is on, 1 when some are, 2 when the sensor has not looked yet.

    Example: orchestration-project alarms --json
    """
    from orchestration_project.alerts import store
    from orchestration_project.settings import Settings

    path, now = store.path_of(Settings.from_env()), dt.datetime.now(dt.UTC)
    found = Listed(None, [], [])
    if path.exists():  # it only asks, so it makes no file
        with store.open_store(path) as connection:
            found = Listed(
                store.last_evaluation(connection),
                [item for item in store.read_standings(connection).values() if item.off_since is None],
                [silence for silence in store.read_silences(connection) if silence.holds(now)],
            )
    if as_json:
        print_json(found.as_dict())
    else:
        render_alarms(new_console(), found)
    context.exit(found.exit_code)


def render_alarms(console: "Console", found: Listed) -> None:
    """Print the alarms: a row each, what to do about them, the silences, and when it was looked."""
    silenced = {silence.alarm for silence in found.silences}
    if found.alarms:
        table = new_table("Alarms", alarm=False, since=False, told=False, what=False)
        for standing in found.alarms:
            told = "silenced" if standing.alarm.id in silenced else _time(standing.told_at)
            table.add_row(printable(standing.alarm.id), _time(standing.since), told, printable(standing.alarm.what))
        console.print(table)
        # Below the table and unbroken, because there are commands in it to be copied.
        for standing in found.alarms:
            line = f"{printable(standing.alarm.id)}: {printable(standing.alarm.todo)}"
            console.print(line, soft_wrap=True, highlight=False)
    for silence in found.silences:
        what = f"{silence.alarm} is silenced until {_time(silence.until)} by {silence.who}: {silence.reason}"
        console.print(printable(what), soft_wrap=True, highlight=False)
    if found.evaluated_at is None:
        console.print("Nobody has looked yet: switch alerts_sensor on, in the UI or with AUTOMATION=on.")
    else:
        all_well = "" if found.alarms else "[green]No alarm is on.[/green] "
        console.print(f"{all_well}As of {_time(found.evaluated_at)}.", highlight=False)


def _time(moment: dt.datetime | None) -> str:
    return f"{moment.astimezone(dt.UTC):%F %R} UTC" if moment else "-"


@click.command("silence")
@click.argument("alarm")
@click.option("--until", type=Until(), help="How long from now (30m, 8h, 3d), a day, or a time like 2024-01-31T08:00.")
@click.option("--reason", default="", help="Why; required but with --end.")
@click.option("--by", "who", default=getpass.getuser, show_default="the user", help="Who decides so.")
@click.option("--end", is_flag=True, help="Let the ALARM be told again.")
def silence_alarm(alarm: str, until: dt.datetime | None, reason: str, who: str, end: bool) -> None:
    """Don't tell of ALARM for a while, whether it is on now or comes on; `alarms` lists the ids.

    It is kept who decided so and why. If the alarm is still on at the end, it is told again.

    Example: orchestration-project silence file_quarantined:sales --until 3d --reason "partner repairs them"
    """
    from orchestration_project.alerts import store
    from orchestration_project.alerts.changes import Silence
    from orchestration_project.settings import Settings

    # --end stands alone. Without it both others are needed: whoever finds a silence at night has to know the reason.
    if end == bool(until or reason.strip()) or (not end and not (until and reason.strip())):
        raise click.UsageError("Give --until and --reason, or --end.")
    now = dt.datetime.now(dt.UTC)
    with store.open_store(store.path_of(Settings.from_env())) as connection:
        if end:
            ended = store.end_silences(connection, alarm, now)
            click.echo(f"{printable(alarm)} {'is told again' if ended else 'was not silenced'}.")
            return
        assert until
        on = store.read_standings(connection)
        _require_known(alarm, on)
        store.add_silence(connection, Silence(alarm, now, until, who.strip(), reason.strip()))
    state = "" if alarm in on else ", which is not on now,"
    click.echo(f"{printable(alarm)}{state} is silenced until {_time(until)}.")


def _require_known(alarm: str, on: Collection[str]) -> None:
    """Make sure that there can be an alarm of an id: one that is on, or of a kind that there is.

    Raises:
        UsageError: there can't; the nearest one is suggested.
    """
    from orchestration_project.alerts.model import Kind
    from orchestration_project.contracts.errors import did_you_mean

    # An alarm that is not on may be silenced ahead, so only its kind can be looked up. A mistyped id would silence
    # nothing, and that would show at night.
    kinds = [str(kind) for kind in Kind]
    if alarm not in on and alarm.partition(":")[0] not in kinds:
        hint = did_you_mean(alarm, on) or did_you_mean(alarm.partition(":")[0], kinds)
        listed = ", ".join(on) or "none"
        raise click.UsageError(f"no such alarm: {printable(alarm)}; on are {listed}{hint}")


@click.command("alert-test")
@click.option("--feed", metavar="FEED", help="Send it only to those who are told of this feed's alarms.")
@click.pass_context
def alert_test(context: click.Context, feed: str | None) -> None:
    """Send a message to each target of `ALERT_URLS` and the teams, call `HEARTBEAT_URL`, and tell who took it.

    Exits with 0 when all took it, 1 when one did not, 2 when there is nothing to send to.

    Example: orchestration-project alert-test --feed sales
    """
    from orchestration_project.alerts.services import require_usable
    from orchestration_project.alerts.targets import read_routing
    from orchestration_project.settings import Settings

    settings, specs = Settings.from_env(), project_here().feeds()
    if feed is not None:
        feed_named(feed, specs)
    routing = read_routing(settings, {name: spec.route for name, spec in specs.items()})
    if not routing.configured and not routing.heartbeat:
        raise click.UsageError("There is nobody to send to: neither ALERT_URLS nor HEARTBEAT_URL is set.")
    require_usable(routing.configured, settings.data_dir)
    # Past the outbox: it is to be told now whether a target takes a message, and not to be tried for a day.
    errors = _tested(settings, routing, feed)
    for label, error in errors.items():
        click.echo(f"{printable(label)}: {f'not taken: {error}' if error else 'taken'}")
    context.exit(1 if any(errors.values()) else 0)


def _tested(settings: "Settings", routing: "Routing", feed: str | None) -> dict[str, str]:
    """What became of a message to each target and of the heartbeat, by label; an empty text: all is well."""
    from orchestration_project.alerts.services import call, send

    targets = routing.targets() if feed is None else routing.targets_of(feed)
    # All at once: one that does not answer takes half a minute. One thread more is for the heartbeat.
    with ThreadPoolExecutor(max_workers=len(targets) + 1) as pool:
        results = {target.label: pool.submit(send, target, _test_message(feed)) for target in targets}
        if routing.heartbeat and feed is None:
            results[routing.heartbeat] = pool.submit(call, settings.heartbeat_url)
        return {label: result.result() for label, result in results.items()}


def _test_message(feed: str | None) -> "Message":
    from orchestration_project.alerts.outbox import Message

    about = f"the feed {feed}" if feed else "the platform"
    return Message(
        f"Test message about {about}",
        f"Alarms about {about} will reach you like this. Nothing is wrong, and there is nothing to do.\n\n"
        f"Sent by `orchestration-project alert-test` on {socket.gethostname()},"
        f" {dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC.",
    )


@click.command("send-alerts", hidden=True)
def send_alerts() -> None:
    """Send what waits in the outbox. The alerts sensor starts this by itself.

    Example: orchestration-project send-alerts
    """
    from orchestration_project.alerts.sender import run
    from orchestration_project.settings import Settings

    run(Settings.from_env())
