"""`export-rejects` and `waive`: what becomes of rejected records."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import click

from orchestration_project.cli.common import batch_of, warehouse_of


@click.command("export-rejects")
@click.argument("feed")
@click.option("--batch", "keys", multiple=True, metavar="KEY", help="Partition key; may be given several times.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; $DATA_DIR/repairs/FEED/ when left out.",
)
def export_rejects(feed: str, keys: Sequence[str], output: Path | None) -> None:
    """Write the open rejects of FEED to repair files, one a batch, to be corrected and dropped back in landing.

    Example: orchestration-project export-rejects sales --batch 2024-01-15
    """
    from orchestration_project.rejects import export

    with warehouse_of(feed, "export of rejects") as (connection, settings, spec):
        batches = [batch_of(spec, key) for key in keys]
        folder = output or settings.repairs(feed)
        written = export.export_rejects(connection, settings, spec.feed, spec.options.batching, batches, folder)
    # Printed when the warehouse is free again: with a pager, printing ends when somebody closes it.
    for item in written:
        click.echo(f"{item.path}: {item.rejects} rejects")
    if not written:
        click.echo(f"{feed} has no open rejects to correct.")
        return
    click.echo(
        f"Correct the values, leave _reject_id as it is, save as CSV with commas, and move the files to"
        f" {settings.landing(feed)}. Rows that you take out stay open."
    )


@click.command()
@click.argument("feed")
@click.option("--by", "who", required=True, help="Who decides that these rejects stay as they are.")
@click.option("--because", "why", required=True, help="Why.")
@click.option("--reject", "ids", multiple=True, metavar="ID", help="A _reject_id; may be given several times.")
@click.option("--batch", "key", metavar="KEY", help="All open rejects of a batch, by its partition key.")
@click.option("--reason", help="Of the batch only those that broke a rule, e.g. 'quantity: minimum'.")
def waive(feed: str, who: str, why: str, ids: Sequence[str], key: str | None, reason: str | None) -> None:
    """Close rejects of FEED without a correction, and note who decided so and why.

    Example: orchestration-project waive sales --by Ada --because "test orders" --batch 2024-01-15
    """
    from orchestration_project.rejects import waive

    if bool(ids) == bool(key) or (reason and not key):
        raise click.UsageError("Give either --reject, or --batch with or without --reason.")
    with warehouse_of(feed, "waiver") as (connection, settings, spec):
        choice = waive.Choice(ids, batch_of(spec, key) if key else None, reason)
        now = dt.datetime.now(dt.UTC)
        found = waive.waive(connection, settings, spec.feed, spec.options, choice, who, why, now, click.echo)
    click.echo(f"{len(found.new)} rejects waived; {len(found.closed)} were closed before and stay as they are.")
