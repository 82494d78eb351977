"""`fetch`: what a feed's source has that is new lands in its drop folder, or is listed."""

import datetime as dt
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import new_console, new_table, printable
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from orchestration_project.settings import Settings
    from orchestration_project.sources.session import DeclaredSource, Planned


@click.command("fetch")
@click.argument("feed")
@click.option("--dry-run", is_flag=True, help="List what would be fetched; take nothing and write nothing.")
@click.option("--again", metavar="KEY", multiple=True, help="Fetch this once more, though it was fetched before.")
@click.pass_context
def fetch_files(context: click.Context, feed: str, dry_run: bool, again: tuple[str, ...]) -> None:
    """Fetch what the source of FEED has that is new or has changed, into the feed's drop folder.

    The feed's sensor loads it from there. `--again` may be given several times; a KEY is what `--dry-run`, the UI and
    the check `source_complete` call it. Of a source of rows, all that came after it is fetched again, too.

    Exits with 0 when all was fetched, 1 when something could not be, 2 when the source could not be listed.

    Example: orchestration-project fetch products --dry-run
    """
    from orchestration_project.settings import Settings

    if dry_run and again:
        raise click.UsageError("--dry-run writes nothing, so it can't forget what --again names; leave one of them out")
    declared, settings = _source_of(feed), Settings.from_env()
    context.exit(_list(declared, settings) if dry_run else _fetch(declared, settings, again))


def _source_of(feed: str) -> "DeclaredSource":
    from orchestration_project.contracts.errors import did_you_mean

    sources = project_here().sources()
    if feed not in sources:
        there = ", ".join(sorted(sources)) or "none"
        raise click.UsageError(
            f"no source is declared for a feed {feed!r}; there are sources for {there}{did_you_mean(feed, sources)}"
        )
    return sources[feed]


def _fetch(declared: "DeclaredSource", settings: "Settings", again: tuple[str, ...]) -> int:
    from orchestration_project.errors import visible
    from orchestration_project.sources.session import fetch_now

    report, url = fetch_now(declared, settings, dt.datetime.now(dt.UTC), click.echo, again)
    click.echo(
        f"{visible(url)}: {report.listed:,} listed, {len(report.landed):,} landed with {report.bytes:,} bytes,"
        f" {report.unchanged:,} unchanged, {report.left:,} left for the next fetch, {len(report.failed):,} failed"
    )
    return int(bool(report.failed))


def _list(declared: "DeclaredSource", settings: "Settings") -> int:
    from orchestration_project.sources.session import plan_now

    table = new_table(f"What a fetch for {declared.feed} takes", key=False, lands_as=False, bytes=True, why=False)
    number = 0
    for planned in plan_now(declared, settings, dt.datetime.now(dt.UTC)):
        table.add_row(*_row(planned))
        number += 1
    new_console().print(table if number else "Nothing is new.")
    return 0


def _row(planned: "Planned") -> tuple[str, str, str, str]:
    item = planned.item
    size = "?" if item.size is None else f"{item.size:,}"
    return printable(item.key), printable(item.name), size, planned.why
