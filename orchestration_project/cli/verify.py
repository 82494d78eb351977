"""`verify` and `make-history`: commands of whoever runs the platform."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import batch_of, feed_named, new_console, new_table, print_json
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration_project.inspection.findings import Verification


@click.command("verify")
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option(
    "--batch", "batches", multiple=True, metavar="KEY", help="Partition key to verify; may be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify_feeds(context: click.Context, feeds: Sequence[str], batches: Sequence[str], as_json: bool) -> None:
    """Prove again that the files of each FEED (default: of all), the ledger and the tables agree. Changes nothing.

    If a rebuild was killed, it is finished or undone first.

    Exits with 0 when all is proven, 1 when something disagrees, 2 when it could not be verified.

    Example: orchestration-project verify sales --batch 2024-01-15 --json
    """
    from orchestration_project.ingest.batching import settle_killed
    from orchestration_project.inspection.verify import verify
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    project, settings = project_here(), Settings.from_env()
    specs, proofs = project.feeds_and_proofs()
    chosen = [feed_named(name, specs) for name in feeds] or list(specs.values())
    # A mistyped batch would be "proven", because nothing of it disagrees.
    for spec in chosen:
        for key in batches:
            batch_of(spec, key)
    sources = [replace(spec.configured, definitions=project.definitions) for spec in chosen]
    warehouse = Warehouse.from_settings(settings)
    # Proving opens no session, so nothing else would finish what was killed, and files would lie in two trees.
    settle_killed(warehouse, settings, specs)
    found = verify(warehouse, settings, sources, batches or None, proofs, specs)
    if as_json:
        print_json(found.as_dict())
    else:
        render_verification(new_console(), found)
    context.exit(0 if found.proven else 1)


def render_verification(console: "Console", found: "Verification") -> None:
    """Print what was compared, what disagrees, and the remedies, each once and unbroken, to be copied."""
    from rich.markup import escape

    if found.findings:
        table = new_table("Findings")
        for name in ("feed", "batch", "file", "what", "expected", "found"):
            table.add_column(name, no_wrap=name in ("feed", "batch"), overflow="fold")
        for item in found.findings:
            cells = (item.feed, item.batch, item.file, item.what, item.expected, item.found)
            table.add_row(*(escape(cell) for cell in cells))
        console.print(table)
        console.print("[bold]What to do[/bold]")
        # A hundred damaged files of a feed have one remedy.
        for remedy in dict.fromkeys(item.remedy for item in found.findings):
            console.print(f"  {remedy}", soft_wrap=True, markup=False, highlight=False)
    for note in found.notes:
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    if found.cold_files:
        told = f"{found.cold_files:,} files are in the cold archive, and were looked up in its list, not read:"
        console.print(f"{told} `orchestration-project cold-archive verify` reads them", soft_wrap=True, markup=False)
    compared = f"{found.files:,} archived files ({found.bytes:,} bytes) and {found.records:,} records compared: "
    console.print(compared + (f"{len(found.findings):,} finding(s)" if found.findings else "all proven"))


@click.command("make-history")
@click.argument("home", type=click.Path(path_type=Path, file_okay=False, exists=True))
def make_history(home: Path) -> None:
    """Make the databases of Dagster's history in HOME, so that processes may start at the same time.

    Example: orchestration-project make-history "$DAGSTER_HOME"
    """
    from orchestration_project.components import run_launcher

    # Processes that start at the same time on an empty home left a database with two schema versions, which none of
    # them could open again.
    run_launcher.make_history(home)
