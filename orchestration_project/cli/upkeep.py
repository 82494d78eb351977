"""`verify` and `make-history`: commands of whoever runs the platform."""

from collections.abc import Sequence
from pathlib import Path

import click

from orchestration_project.cli.common import print_json


@click.command("make-history")
@click.argument("home", type=click.Path(path_type=Path, file_okay=False, exists=True))
def make_history(home: Path) -> None:
    """Make the databases of Dagster's history in HOME, so that processes may start at the same time.

    Example: python -m orchestration_project make-history "$DAGSTER_HOME"
    """
    from orchestration_project.components import history

    history.make_history(home)


@click.command("verify")
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option(
    "--batch", "batches", multiple=True, metavar="KEY", help="Partition key to verify; may be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify_feeds(context: click.Context, feeds: Sequence[str], batches: Sequence[str], as_json: bool) -> None:
    """Prove again that the files of each FEED (default: of all), the ledger and the tables agree. Changes nothing.

    Exits with 0 when all is proven, 1 when something disagrees, 2 when it could not be verified.

    Example: python -m orchestration_project verify sales --batch 2024-01-15 --json
    """
    from rich.console import Console

    from orchestration_project.cli.verify import print_verification, verify_project

    found = verify_project(feeds, batches or None)
    if as_json:
        print_json(found.as_dict())
    else:
        print_verification(Console(), found)
    context.exit(0 if found.proven else 1)
