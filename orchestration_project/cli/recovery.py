"""`rebuild`, `withdraw` and `drop-feed`: what is done with whole feeds and files."""

import datetime as dt
import getpass

import click

from orchestration_project.cli.common import feed_named
from orchestration_project.cli.project import project_here
from orchestration_project.cli.published import published_afterwards

OUTDATED = "What is made from cleaned_{} may be outdated now; `orchestration-project verify` prints what to do."


@click.command("rebuild")
@click.argument("feed")
@click.option("--from", "old", metavar="OLDNAME", default="", help="Name that the feed had before it was renamed.")
@click.option("--accept-loss", is_flag=True, help="Go on without accepted files that the archive lacks.")
def rebuild_feed(feed: str, old: str, accept_loss: bool) -> None:
    """Plan all archived files of FEED anew, as its defs.yaml and contract say now, and make its tables from them.

    For a changed cadence, start_date, batch_pattern, timezone or mode, and for a warehouse that was lost or that nobody
    trusts. Until the new tables are whole the old ones stay. A rebuild that is killed is finished or undone by the next
    command or load. Loads wait for it to end.

    Example: orchestration-project rebuild sales
    """
    from orchestration_project.recovery.rebuild import rebuild
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    settings, specs = Settings.from_env(), project_here().feeds()
    spec = feed_named(feed, specs)
    # All that it has would move to FEED, and its own next load would begin with nothing.
    if old in specs:
        raise click.UsageError(f"{old} has a definition, so {feed} is not that feed renamed")
    warehouse = Warehouse.from_settings(settings)
    with published_afterwards(settings):
        found = rebuild(warehouse, settings, spec.feed, spec.options, click.echo, old, accept_loss)
    click.echo(
        f"{feed} is rebuilt: {found.files:,} of {found.archived:,} archived files are loaded, in {found.batches:,}"
        f" batches, with {found.records:,} records."
    )
    click.echo(OUTDATED.format(feed))


@click.command("withdraw")
@click.argument("feed")
@click.argument("file")
@click.option("--reason", "why", default="", help="Why the file does not count; required but with --undo.")
@click.option("--by", "who", default=getpass.getuser, show_default="the user", help="Who decides so.")
@click.option("--batch", "key", default="", metavar="KEY", help="Partition key, where several batches have a FILE.")
@click.option("--undo", "is_undone", is_flag=True, help="Let a withdrawn file count again.")
def withdraw_file(feed: str, file: str, why: str, who: str, key: str, is_undone: bool) -> None:
    """Take the accepted FILE of FEED back: its rows go, and the archive keeps it, with who decided so and why.

    If it had replaced an earlier version, that one counts again. The same bytes delivered again for the same batch go
    to quarantine. FILE may be a zip archive: all of its files go together, and come back together.

    Example: orchestration-project withdraw sales sales_2024-01-15.csv --reason "test data"
    """
    from orchestration_project.recovery.withdraw import Chosen, undo, withdraw
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    if bool(why.strip()) == is_undone:
        raise click.UsageError("Give either --reason or --undo.")
    settings, now = Settings.from_env(), dt.datetime.now(dt.UTC)
    spec, warehouse = feed_named(feed, project_here().feeds()), Warehouse.from_settings(settings)
    chosen = Chosen(file, key)
    with published_afterwards(settings):
        if is_undone:
            found = undo(warehouse, settings, spec.feed, spec.options, chosen, now, click.echo)
        else:
            found = withdraw(warehouse, settings, spec.feed, spec.options, chosen, who, why, now, click.echo)
    for name, batch in found.files:
        click.echo(f"{name} (batch {batch}) is {'taken back' if is_undone else 'withdrawn'}.")
    if not is_undone:
        click.echo(f"{found.records:,} records are out of the tables.")
    for name in found.counting:
        click.echo(f"{name}: {'it' if is_undone else 'the version before it'} counts now.")
    click.echo(OUTDATED.format(feed))


@click.command("drop-feed")
@click.argument("feed")
def drop_unknown_feed(feed: str) -> None:
    """Remove the tables and the lines of FEED, which has no definition any more. Its files are kept in data/dropped/.

    Example: orchestration-project drop-feed sales
    """
    from orchestration_project.recovery.drop import drop_feed
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    settings = Settings.from_env()
    warehouse, now = Warehouse.from_settings(settings), dt.datetime.now(dt.UTC)
    with published_afterwards(settings):
        kept = drop_feed(warehouse, settings, feed, project_here().feeds(), now)
    click.echo(f"{feed} is dropped.")
    for folder in kept:
        click.echo(f"Kept: {folder}")
