"""`status` and `metrics`: how it stands with each feed, and with the platform itself."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named, new_console, new_table, print_json, printable
from orchestration_project.cli.project import project_here
from orchestration_project.inspection.expectations import Freshness
from orchestration_project.inspection.status_model import (
    Availability,
    FeedStatus,
    FinishedBy,
    LastRun,
    PlatformStatus,
    StoreStatus,
)
from orchestration_project.publishing.lag import CopyState, CopyStatus

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FILES_SHOWN = 10
UNKNOWN = "?"
"""What can't be known while a load holds the warehouse; a 0 there would say that all is well."""
COLOURS = {
    Freshness.LATE: "[red]late[/red]",
    Freshness.FRESH: "[green]fresh[/green]",
    Freshness.NO_LATENCY: "-",
    Freshness.PAST: "past",
}
NOTHING = "empty"
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@click.command("status")
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option("--json", "as_json", is_flag=True, help="Print the status as JSON.")
@click.pass_context
def show_status(context: click.Context, feeds: Sequence[str], as_json: bool) -> None:
    """Tell how it stands with each FEED (default: with all): freshness, waiting and refused files, rejects, runs.

    Waits for nobody: while a load holds the warehouse it tells who does, and what the files say.

    Exits with 0 when all is well, 1 when something needs a person, 2 when that could not be told.

    Example: orchestration-project status --json
    """
    from orchestration_project.inspection.status import status_of
    from orchestration_project.settings import Settings

    project = project_here()
    specs, declared = project.feeds_and_sources()
    chosen = [feed_named(name, specs) for name in feeds] or list(specs.values())
    # Messages name commands to be typed here, so with the module of this project.
    sources = [replace(spec.configured, definitions=project.definitions) for spec in chosen]
    found = status_of(Settings.from_env(), sources, specs, dt.datetime.now(dt.UTC), declared)
    if as_json:
        print_json(found.as_dict())
    else:
        render_status(new_console(), found)
    context.exit(found.exit_code)


def render_status(console: "Console", found: PlatformStatus) -> None:
    """Print how things stand: a row a feed, a row a source, the files that need a person, then what is wrong."""
    console.print(_feeds(found))
    if any(feed.source for feed in found.feeds):
        console.print(_sources(found))
    if any(feed.refused or feed.landing.given_up or feed.left_out for feed in found.feeds):
        console.print(_files(found))
    for what, answer in (("Warehouse", found.warehouse), ("History", found.history)):
        console.print(f"{what}  {printable(_answer(answer))}", soft_wrap=True, highlight=False)
    if found.published.state is not CopyState.OFF:
        console.print(f"Published  {printable(_copy(found.published))}", soft_wrap=True, highlight=False)
    for problem in found.problems:
        console.print(f"[red]![/red] {printable(problem)}", soft_wrap=True, highlight=False)
    for note in found.notes:
        console.print(printable(note), soft_wrap=True, highlight=False)
    for unknown in found.unknown:
        console.print(f"[yellow]?[/yellow] {printable(unknown)}", soft_wrap=True, highlight=False)
    # Not where something is unknown: "All is well" has to be true.
    if not found.exit_code:
        console.print("[green]All is well.[/green]")


def _answer(answer: StoreStatus) -> str:
    return answer.where if answer.state is Availability.READY else f"{answer.where}  {answer.detail}".strip()


def _copy(copy: CopyStatus) -> str:
    told = copy.detail or ("not yet" if copy.state is CopyState.NONE else copy.state)
    behind = "" if copy.behind_seconds is None or not copy.published_at else f" by {_age(copy.behind_seconds)}"
    at = f", of {copy.published_at:%F %R %Z}" if copy.published_at else ""
    left_out = "".join(f"; left out: {each}" for each in copy.left_out)
    return f"{copy.where}  {told}{behind}{at}{left_out}"


def _feeds(found: PlatformStatus) -> "Table":
    table = new_table(
        "Feeds",
        feed=False,
        newest_batch=False,
        state=False,
        waiting=False,
        given_up=True,
        refused=True,
        open_rejects=True,
        last_run=False,
    )
    for feed in found.feeds:
        given_up = feed.landing.given_up
        table.add_row(
            feed.feed,
            feed.newest_batch or "-",
            COLOURS.get(feed.freshness, NOTHING),
            _waiting(feed),
            UNKNOWN if given_up is None else str(len(given_up)),
            str(len(feed.refused)),
            UNKNOWN if feed.open_rejects is None else f"{feed.open_rejects:,}",
            _run(feed.last_run, found.history),
        )
    return table


def _waiting(feed: FeedStatus) -> str:
    landing = feed.landing
    parts = [f"oldest {_age(landing.oldest_seconds)}"] if landing.oldest_seconds is not None else []
    parts += [f"{landing.settling} being written"] if landing.settling else []
    parts += [f"{landing.running} in a run"] if landing.running else []
    parts += [f"{landing.not_looked_at} not looked at"] if landing.not_looked_at else []
    parts += ["finished by settle time"] if landing.finished_by is FinishedBy.SETTLE_TIME else []
    return f"{landing.waiting:,} ({', '.join(parts)})" if parts else str(landing.waiting)


def _age(seconds: float) -> str:
    name, unit = next(((name, unit) for name, unit in UNITS if seconds >= unit), ("s", 1))
    return f"{seconds / unit:.0f} {name}"


def _run(run: LastRun | None, history: StoreStatus) -> str:
    # No run at all, or nobody could ask: the second must not look like the first.
    if run is None:
        return "-" if history.state is Availability.READY else UNKNOWN
    status = f"[red]{run.status}[/red]" if run.status == "FAILURE" else run.status
    when: dt.datetime | None = run.ended_at or run.started_at
    return f"{status} {when:%F %R}" if when else status


def _sources(found: PlatformStatus) -> "Table":
    columns = {"feed": False, "last_fetch": False, "landed": False, "left": True, "failed": True}
    table = new_table("Sources", **columns, lag=True, files=True)
    for feed in found.feeds:
        if source := feed.source:
            failed = "[red]not listed[/red]" if source.error else f"{len(source.failed):,}"
            table.add_row(
                feed.feed,
                f"{source.fetched_at:%F %R}" if source.fetched_at else "-",
                f"{source.landed:,} of {source.listed:,}",
                f"{source.left:,}",
                failed,
                "-" if source.lag_seconds is None else _age(source.lag_seconds),
                f"{source.files:,}",
            )
    return table


def _files(found: PlatformStatus) -> "Table":
    table = new_table("Files that need a person", feed=False, file=False, why=False)
    for feed in found.feeds:
        rows = [(name, "given up: see why its runs failed") for name in feed.landing.given_up or []]
        rows += [(item.file, f"in quarantine, {item.rule}: {item.reason}") for item in feed.refused]
        rows += [(place, "left out by an earlier release: rebuild brings it in") for place in feed.left_out or []]
        # A thousand refused files would push what is wrong out of the window.
        for name, why in rows[:FILES_SHOWN]:
            table.add_row(feed.feed, printable(name), printable(why))
        if len(rows) > FILES_SHOWN:
            table.add_row(feed.feed, f"{len(rows) - FILES_SHOWN:,} more", "--json has all")
    return table


@click.command("metrics")
@click.pass_context
def print_metrics(context: click.Context) -> None:
    """Print the newest figures of the platform's health in the text format of Prometheus.

    They are those of `$DATA_DIR/metrics/orchestration_project.prom`, which each run of `platform_health` writes.

    Exits with 1 when there are none yet.

    Example: orchestration-project metrics | grep free_share
    """
    from orchestration_project.health.metrics import metrics_file
    from orchestration_project.settings import Settings

    # The file, not the table: a load may hold the warehouse for longer than a scrape waits.
    path = metrics_file(Settings.from_env())
    try:
        click.echo(path.read_text(encoding="utf-8"), nl=False)
    except FileNotFoundError:
        click.echo(
            f"There are no figures in {path} yet: the asset platform_health measures them. Switch its schedule on, or"
            " materialize it.",
            err=True,
        )
        context.exit(1)
