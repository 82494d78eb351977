"""`alert-test` and `send-alerts`: whether messages reach their targets, and the process that takes them there."""

import datetime as dt
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named, printable
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from orchestration_project.alerts.outbox import Message
    from orchestration_project.alerts.targets import Routing
    from orchestration_project.settings import Settings


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
    errors = _tested(settings, routing, feed)
    for label, error in errors.items():
        click.echo(f"{printable(label)}: {f'not taken: {error}' if error else 'taken'}")
    context.exit(1 if any(errors.values()) else 0)


def _tested(settings: "Settings", routing: "Routing", feed: str | None) -> dict[str, str]:
    """What became of a message to each target and of the heartbeat, by label; an empty text: all is well."""
    from orchestration_project.alerts.services import call, send

    targets = routing.targets() if feed is None else routing.targets_of(feed)
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
