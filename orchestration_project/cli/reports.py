"""`status` and `summary`: how things stand."""

import datetime as dt
from collections.abc import Sequence

import click

from orchestration_project.cli.common import feed_named, print_json, project_feeds


@click.command("status")
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@click.pass_context
def show_status(context: click.Context, feeds: Sequence[str], as_json: bool) -> None:
    """Tell how it stands with each FEED (default: with all): freshness, waiting and refused files, rejects, runs.

    Waits for nobody: while a load holds the warehouse it tells who does, and what the files say.

    Exits with 0 when all is well, 1 when something needs a person, 2 when that could not be told.

    Example: python -m orchestration_project status --json
    """
    from rich.console import Console

    from orchestration_project.cli.standing import print_status
    from orchestration_project.inspection.status import status_of
    from orchestration_project.settings import Settings

    specs = project_feeds()
    chosen = [feed_named(name, specs) for name in feeds] or list(specs.values())
    found = status_of(Settings.from_env(), [spec.configured for spec in chosen], specs, dt.datetime.now(dt.UTC))
    if as_json:
        print_json(found.as_dict())
    else:
        print_status(Console(), found)
    context.exit(found.exit_code)


@click.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    metavar="MOMENT",
    help="Also tell what came in since this moment (UTC), or that nothing did; written 2024-01-15T06:00:00Z.",
)
def summary(since: dt.datetime | None) -> None:
    """Print what the warehouse holds: files, records, what was rejected and why, the top products.

    Example: python -m orchestration_project summary --since 2024-01-15T06:00:00Z
    """
    from rich.console import Console

    from orchestration_project.cli.summary import print_summary
    from orchestration_project.settings import Settings

    print_summary(Console(), Settings.from_env(), since.replace(tzinfo=dt.UTC) if since else None)
