"""`sample` and `load-sample`: files to try the platform with."""

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import new_table
from orchestration_project.sample.defects import SampleSpec

if TYPE_CHECKING:
    from rich.table import Table

    from orchestration_project.sample.defects import Manifest

COMMITTED_SAMPLE = Path(__file__).parents[2] / "data" / "sample"
"""There in a checkout only. An installed package makes the same bytes anew, so the wheel carries no data."""
# What `sample` makes without options is what `data/sample` holds, so both ways to load the sample give the same rows.
DEFAULTS = SampleSpec()


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--days", type=click.IntRange(0), default=DEFAULTS.days, show_default=True, help="Sales files.")
@click.option("--rows", type=click.IntRange(1), default=DEFAULTS.rows, show_default=True, help="Records in each.")
@click.option(
    "--first-day",
    type=click.DateTime(["%Y-%m-%d"]),
    default=str(DEFAULTS.first_day),
    show_default=True,
    help="Day of the first sales file.",
)
@click.option(
    "--products",
    type=click.IntRange(1),
    default=DEFAULTS.products,
    show_default=True,
    help="Products in the catalogue.",
)
@click.option(
    "--defect-rate",
    type=click.FloatRange(0, 0.5),
    default=DEFAULTS.defect_rate,
    show_default=True,
    help="Share of the sales records that are damaged.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=DEFAULTS.seed, show_default=True, help="The same seed, the same files."
)
def sample(
    folder: Path, days: int, rows: int, first_day: dt.datetime, products: int, defect_rate: float, seed: int
) -> None:
    """Generate sample files below FOLDER and print which defects they have.

    Example: orchestration-project sample /tmp/sample --days 30 --rows 100000
    """
    from rich.console import Console

    from orchestration_project.sample.files import generate

    spec = SampleSpec(days, rows, first_day.date(), products, defect_rate, seed=seed)
    manifest = generate(spec, folder)
    Console().print(_injected(manifest))
    click.echo(f"{len(manifest.files)} files, {sum(file.records for file in manifest.files):,} records, in {folder}")


def _injected(manifest: "Manifest") -> "Table":
    table = new_table("Injected defects", defect=False, records=True, what_is_wrong=False, expected_reasons=False)
    for kind, count in manifest.injected.items():
        expected = "blank record" if kind.blank else "\n".join(kind.reasons) or "none: the record is good"
        table.add_row(kind, f"{count:,}", kind.meaning, expected)
    return table


@click.command("load-sample")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder as `sample` makes it; the sample of this repository when left out.",
)
def load_sample(source: Path | None) -> None:
    """Deliver sample files to the landing folders, each of them once.

    Example: orchestration-project load-sample --from /tmp/sample
    """
    from orchestration_project.sample.files import deliver
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    with _sample(source) as folder:
        delivered = deliver(folder, settings.landing, settings.archive)
    _tell("delivered to landing", delivered.new)
    _tell("delivered before, left alone", delivered.known)


def _tell(what: str, names: Sequence[str]) -> None:
    if names:
        click.echo(f"{len(names)} {'file' if len(names) == 1 else 'files'} {what}: {', '.join(names)}")


@contextmanager
def _sample(source: Path | None) -> Iterator[Path]:
    """The folder that was named, else the committed sample, else that sample generated for as long as it is needed."""
    if source or COMMITTED_SAMPLE.is_dir():
        yield source or COMMITTED_SAMPLE
        return
    from orchestration_project.sample.files import generate

    # Only until the files are delivered: landing gets copies.
    with TemporaryDirectory() as folder:
        generate(DEFAULTS, Path(folder))
        yield Path(folder)
