"""What several commands need: a feed by its name, the warehouse with a feed's tables, tables and JSON to print."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.project import project_here
from orchestration_project.cli.published import published_afterwards

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console
    from rich.table import Table

    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.settings import Settings
    from orchestration_project.storage.batches import Batch

PIPED_WIDTH = 1000
"""rich takes 80 columns where there is no terminal: names that were piped into a program were cut to 12 characters."""
EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


def feed_named(name: str, specs: Mapping[str, "FeedSpec"]) -> "FeedSpec":
    """The feed of a name.

    Raises:
        UsageError: there is none; the nearest one is suggested.
    """
    from orchestration_project.contracts.errors import did_you_mean

    if name not in specs:
        hint = did_you_mean(name, specs)
        raise click.UsageError(f"no such feed: {name}; there are {', '.join(sorted(specs)) or 'none'}{hint}")
    return specs[name]


@contextmanager
def warehouse_of(name: str, purpose: str) -> Iterator[tuple["DuckDBPyConnection", "Settings", "FeedSpec"]]:
    """A feed and the warehouse that has its tables. What is written to them is published at the end of the block.

    Raises:
        UsageError: there is no such feed, or no warehouse.
        PlatformError: the warehouse can't be used.
    """
    from orchestration_project.ingest.batching import ensure_same_batching, settle_recovery
    from orchestration_project.ingest.renew import ensure_current
    from orchestration_project.ingest.session import ensure_feed_tables, ensure_history
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse
    from orchestration_project.warehouse.ledger import ensure_ledger

    settings = Settings.from_env()
    spec = feed_named(name, project_here().feeds())
    warehouse = Warehouse.from_settings(settings)
    if not warehouse.exists():
        raise click.UsageError(f"There is no warehouse at {warehouse.where}: load files first.")
    with published_afterwards(settings), warehouse.connection(f"{purpose} of {name}") as connection:
        ensure_ledger(connection)
        # What a kill left of a rebuild comes first: before that, ledger and folders may be of two batchings.
        settle_recovery(connection, settings, warehouse, name)
        ensure_same_batching(connection, name, spec.options, settings.archive(name))
        # A new contract may add columns. One that reads otherwise is refused below: its rejects may be others.
        ensure_feed_tables(connection, spec.feed, spec.options.batching)
        ensure_history(connection, spec.feed, spec.options.history)
        ensure_current(connection, spec.feed, spec.options)
        yield connection, settings, spec


def batch_of(spec: "FeedSpec", key: str) -> "Batch":
    """The batch of a partition key.

    Raises:
        UsageError: it is none.
    """
    batching = spec.options.batching
    try:
        return batching.from_key(key)
    except ValueError:
        raise click.UsageError(f"{key!r} is not a batch; write it like {batching.key(batching.start)}") from None


def new_console() -> "Console":
    """Where to print a result: as wide as the terminal; without one, so wide that nothing is cut or folded."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=PIPED_WIDTH)


def new_table(title: str, **columns: bool) -> "Table":
    """A table to print.

    Args:
        title: stands above it.
        columns: by name, whether they hold numbers; `_` stands for a blank.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for name, is_number in columns.items():
        # In a narrow terminal rich would break names of columns within a word.
        longest_word = max(map(len, name.split("_")))
        table.add_column(
            name.replace("_", " ").strip(),
            justify="right" if is_number else "left",
            overflow="fold",
            min_width=longest_word,
        )
    return table


def printable(value: object) -> str:
    """A value as text in which neither rich nor a terminal finds an instruction: markup, colours, cursor moves."""
    from rich.markup import escape

    from orchestration_project.errors import visible

    # Names of files are the choice of their sender. `[red]` is markup for rich; an escape sequence moves the cursor.
    return escape(visible(str(value)))


def print_json(value: object) -> None:
    """Print plain data as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: object) -> str:
    # Called for what JSON has no form of; a datetime is a date, too.
    return value.isoformat() if isinstance(value, dt.date) else str(value)
