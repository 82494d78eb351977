"""The project's own commands: `python -m orchestration_project ...`.

Belongs here: reading arguments and printing. Does not belong here: the work itself.
"""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from orchestration_project.errors import PlatformError
from orchestration_project.sample.manifest import Manifest, SampleSpec

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.landing.batches import Batch
    from orchestration_project.settings import Settings

COMMITTED_SAMPLE = Path(__file__).parents[1] / "data" / "sample"
DEFAULTS = SampleSpec()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Commands around the pipeline; the pipeline itself is run by `dagster` and `dg`."""


@main.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--days", type=click.IntRange(0), default=DEFAULTS.days, show_default=True, help="Sales files.")
@click.option("--rows", type=click.IntRange(1), default=DEFAULTS.rows, show_default=True, help="Records in each.")
@click.option("--first-day", type=click.DateTime(["%Y-%m-%d"]), default=str(DEFAULTS.first_day), show_default=True)
@click.option("--products", type=click.IntRange(1), default=DEFAULTS.products, show_default=True)
@click.option(
    "--defect-rate",
    type=click.FloatRange(0, 0.5),
    default=DEFAULTS.defect_rate,
    show_default=True,
    help="Share of the sales records that are damaged.",
)
@click.option("--seed", type=click.IntRange(0), default=DEFAULTS.seed, show_default=True)
def sample(
    folder: Path, days: int, rows: int, first_day: dt.datetime, products: int, defect_rate: float, seed: int
) -> None:
    """Generate sample files below FOLDER and print which defects they have."""
    from orchestration_project.sample import generate

    spec = SampleSpec(days, rows, first_day.date(), products, defect_rate, seed=seed)
    manifest = generate(spec, folder)
    Console().print(_injected(manifest))
    click.echo(f"{len(manifest.files)} files, {sum(file.records for file in manifest.files):,} records, in {folder}")


def _injected(manifest: Manifest) -> Table:
    table = Table(title="Injected defects", title_justify="left")
    table.add_column("defect")
    table.add_column("records", justify="right")
    table.add_column("what is wrong")
    table.add_column("expected reasons")
    for kind, count in manifest.injected.items():
        expected = "blank record" if kind.blank else "\n".join(kind.reasons) or "none: the record is good"
        table.add_row(kind, f"{count:,}", kind.meaning, expected)
    return table


@main.command("load-sample")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=COMMITTED_SAMPLE,
    help="A folder as `sample` makes it; the sample of this repository when left out.",
)
def load_sample(source: Path) -> None:
    """Deliver sample files to the landing folders, each of them once."""
    from orchestration_project.sample.delivery import deliver
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    delivery = deliver(source, settings.landing, settings.archive)
    _tell("delivered to landing", delivery.new)
    _tell("delivered before, left alone", delivery.known)


def _tell(what: str, names: Sequence[str]) -> None:
    if names:
        click.echo(f"{len(names)} {'file' if len(names) == 1 else 'files'} {what}: {', '.join(names)}")


@main.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    help="Also tell what came in since this moment (UTC), or that nothing did.",
)
def summary(since: dt.datetime | None) -> None:
    """Print what the warehouse holds: files, records, what was rejected and why, the top products."""
    from orchestration_project.settings import Settings
    from orchestration_project.summary import print_summary

    print_summary(Console(), Settings.from_env(), since.replace(tzinfo=dt.UTC) if since else None)


@main.command("export-rejects")
@click.argument("feed")
@click.option("--batch", "keys", multiple=True, metavar="KEY", help="Partition key; may be given several times.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; $DATA_DIR/repairs/FEED/ when left out.",
)
def export_rejects(feed: str, keys: Sequence[str], output: Path | None) -> None:
    """Write the open rejects of FEED to repair files, one a batch, to be corrected and dropped back in landing.

    Example: python -m orchestration_project export-rejects sales --batch 2024-01-15
    """
    from orchestration_project.ingest import export

    with _feed(feed, "export of rejects") as (connection, settings, spec):
        batches = [_batch(spec, key) for key in keys]
        folder = output or settings.repairs(feed)
        written = export.export_rejects(connection, settings, spec.feed, spec.options.batching, batches, folder)
    for item in written:
        click.echo(f"{item.path}: {item.rejects} rejects")
    if not written:
        click.echo(f"{feed} has no open rejects to correct.")
        return
    click.echo(
        f"Correct the values, leave _reject_id as it is, save as CSV with commas, and move the files to"
        f" {settings.landing(feed)}. Rows that you take out stay open."
    )


@main.command()
@click.argument("feed")
@click.option("--by", "who", required=True, help="Who decides that these rejects stay as they are.")
@click.option("--because", "why", required=True, help="Why.")
@click.option("--reject", "ids", multiple=True, metavar="ID", help="A _reject_id; may be given several times.")
@click.option("--batch", "key", metavar="KEY", help="All open rejects of a batch, by its partition key.")
@click.option("--reason", help="Of the batch only those that broke a rule, e.g. 'quantity: minimum'.")
def waive(feed: str, who: str, why: str, ids: Sequence[str], key: str | None, reason: str | None) -> None:
    """Close rejects of FEED without a correction, and note who decided so and why.

    Example: python -m orchestration_project waive sales --by Ada --because "test orders" --batch 2024-01-15
    """
    from orchestration_project.ingest import waiving

    if bool(ids) == bool(key) or (reason and not key):
        raise click.UsageError("Give either --reject, or --batch with or without --reason.")
    with _feed(feed, "waiver") as (connection, settings, spec):
        choice = waiving.Choice(ids, _batch(spec, key) if key else None, reason)
        now = dt.datetime.now(dt.UTC)
        found = waiving.waive(connection, settings, spec.feed, spec.options.batching, choice, who, why, now)
    click.echo(f"{len(found.new)} rejects waived; {len(found.closed)} were closed before and stay as they are.")


@contextmanager
def _feed(name: str, purpose: str) -> Iterator[tuple["DuckDBPyConnection", "Settings", "FeedSpec"]]:
    """A feed and the warehouse that has its tables; what goes wrong ends the command with its message."""
    from orchestration_project.components.feed_list import feeds_of_project
    from orchestration_project.ingest.load import make_tables
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    try:
        settings = Settings.from_env()
        specs = {spec.name: spec for spec in feeds_of_project(Path(__file__).parent)}
        if name not in specs:
            raise click.ClickException(f"There is no feed {name!r}; there are {', '.join(sorted(specs))}.")
        if not settings.database.exists():
            raise click.ClickException(f"There is no warehouse at {settings.database}.")
        with Warehouse.from_settings(settings).connection(f"{purpose} of {name}") as connection:
            make_tables(connection, specs[name].feed, specs[name].options.batching)
            yield connection, settings, specs[name]
    except PlatformError as error:
        raise click.ClickException(str(error)) from error


def _batch(spec: "FeedSpec", key: str) -> "Batch":
    batching = spec.options.batching
    try:
        return batching.from_key(key)
    except ValueError:
        raise click.ClickException(f"{key!r} is not a batch; write it like {batching.key(batching.start)}") from None


@main.command("make-history")
@click.argument("home", type=click.Path(path_type=Path, file_okay=False, exists=True))
def make_history(home: Path) -> None:
    """Make the databases of Dagster's history in HOME, so that processes may start at the same time."""
    from orchestration_project import history

    history.make_history(home)


class Unverified(click.ClickException):
    """Ends `verify` where it can't tell whether something disagrees."""

    exit_code = 2


@main.command("verify")
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option(
    "--batch", "batches", multiple=True, help="Partition key of a batch to verify; may be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def verify_feeds(context: click.Context, feeds: Sequence[str], batches: Sequence[str], as_json: bool) -> None:
    """Prove again that the files of each FEED (default: of all), the ledger and the tables agree. Changes nothing.

    Exits with 0 when all is proven, 1 when something disagrees, 2 when it could not be verified.
    """
    from orchestration_project.errors import PlatformError
    from orchestration_project.verification import print_verification, verify_project

    try:
        found = verify_project(feeds, batches or None)
    except PlatformError as error:
        raise Unverified(str(error)) from error
    if as_json:
        click.echo(json.dumps(found.as_dict(), indent=2, ensure_ascii=False))
    else:
        print_verification(Console(), found)
    context.exit(0 if found.proven else 1)


if __name__ == "__main__":
    main(prog_name="python -m orchestration_project")
