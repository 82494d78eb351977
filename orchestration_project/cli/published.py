"""`publish`, and what every command that writes to the warehouse does at its end."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from orchestration_project.settings import Settings


@click.command("publish")
@click.pass_context
def publish_copy(context: click.Context) -> None:
    """Bring the copy for readers, data/published/, up to date with the warehouse.

    Each run does so at its end; this is for what a killed process left, and for changes by hand. It waits for the
    warehouse, and not for runs that are under way: the last of them publishes at its end.

    Exits with 1 when it is left to such a run.

    Example: orchestration-project publish
    """
    from orchestration_project.publishing.publish import Outcome, publish
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    found = publish(settings, _tell)
    if found.outcome is Outcome.PUBLISHED and found.manifest:
        tables = found.manifest.tables
        click.echo(
            f"{settings.published} shows {len(tables)} tables with {sum(table.rows for table in tables):,} rows;"
            f" {len(found.written)} files were written, the warehouse was held for {found.seconds:.1f} s."
        )
    else:
        click.echo(f"Nothing was written: {found.outcome}.")
    context.exit(int(found.outcome is Outcome.PUT_OFF))


@contextmanager
def published_afterwards(settings: "Settings") -> Iterator[None]:
    """Publish at the end of the block what it has written to the warehouse."""
    from orchestration_project.publishing.runs import publishing

    with publishing(settings, _tell):
        yield


def _tell(line: str) -> None:
    click.echo(line, err=True)
