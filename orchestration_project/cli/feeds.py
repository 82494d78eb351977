"""`explain` and `new-feed`: commands about single files and the feeds that they are for."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named, print_json, project_feeds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.settings import Settings
    from orchestration_project.storage.files import FoundFile

DEFS = Path(__file__).parents[1] / "defs"
EXISTING_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=True)


@click.command()
@click.argument("file", type=EXISTING_FILE)
@click.option("--feed", "name", metavar="FEED", help="The feed that the file is for; else its folder or content tells.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
@click.pass_context
def explain(context: click.Context, file: Path, name: str | None, as_json: bool) -> None:
    """Tell what a load would do with FILE, by reading and judging it as a load does. Changes nothing.

    Exits with 0 when it would be loaded whole or brings nothing new, 1 when some records would be rejected, 2 when it
    would be refused as a whole, or could not be explained.

    Example: python -m orchestration_project explain data/landing/sales/sales_2024-01-15.csv
    """
    import datetime as dt

    from rich.console import Console

    from orchestration_project.cli.shown import print_explanation
    from orchestration_project.inspection.explain import Outcome, found_file
    from orchestration_project.inspection.explain import explain as explained
    from orchestration_project.settings import Settings
    from orchestration_project.storage.batches import is_repair

    found = found_file(file)
    if found is None:
        raise click.UsageError(f"{file} is no regular file: loads leave links, pipes and the like alone.")
    if is_repair(file.name):
        raise click.UsageError(
            f"{file} is a repair file: what becomes of it depends on the rejects that it corrects; only a load tells."
        )
    settings = Settings.from_env()
    specs = project_feeds()
    spec = feed_named(name, specs) if name else _feed_for(file, found, settings, specs)
    found_out = explained(settings, spec.feed, spec.options, found, dt.datetime.now(dt.UTC))
    if as_json:
        print_json(found_out.as_dict())
    else:
        print_explanation(Console(), found_out)
    codes = {Outcome.LOADED: 0, Outcome.NOTHING_NEW: 0, Outcome.LOADED_WITH_REJECTS: 1, Outcome.REFUSED: 2}
    context.exit(codes[found_out.outcome])


def _feed_for(file: Path, found: "FoundFile", settings: "Settings", specs: "Mapping[str, FeedSpec]") -> "FeedSpec":
    """The feed whose folder a file is in, else the only one that it fits.

    Raises:
        UsageError: there is none, or there are several.
        FileRefused: the file can't be looked into.
    """
    from orchestration_project.inspection.match import feed_of_folder, matching_feeds

    if name := feed_of_folder(settings, file):
        return feed_named(name, specs)
    feeds = {spec.name: (spec.feed, spec.options) for spec in specs.values()}
    matches = matching_feeds(feeds, found, settings.max_file_bytes)
    best = [match for match in matches if match.named] or matches
    if not best:
        raise click.UsageError(
            f"{file} has the columns of no feed ({', '.join(specs)}): name the one that it is for with --feed, or draft"
            " one with new-feed."
        )
    if len(best) > 1:
        raise click.UsageError(f"{file} fits {', '.join(match.feed for match in best)}: name one with --feed.")
    click.echo(f"{found.name} has the format and the columns of {best[0].feed}.", err=True)
    return specs[best[0].feed]


@click.command("new-feed")
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--name", required=True, help="The feed's name: small letters, digits and _.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; orchestration_project/defs/NAME/ when left out.",
)
def new_feed(files: tuple[Path, ...], name: str, output: Path | None) -> None:
    """Draft a feed, a contract and a defs.yaml, from sample files of it. Nothing is overwritten.

    What is written are guesses from the samples, each with a comment `# check: ...` that tells what it rests on; values
    of the samples are not in it. The draft is tried: it takes all of the samples.

    Example: python -m orchestration_project new-feed /tmp/receipts_*.csv --name receipts
    """
    from rich.console import Console

    from orchestration_project.cli.shown import print_draft
    from orchestration_project.inspection.drafting.draft import draft, write_draft
    from orchestration_project.inspection.explain import found_file
    from orchestration_project.settings import Settings

    folder = output or DEFS / name
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is there already and will not be overwritten; give another with --output.")
    found = [file for path in files if (file := found_file(path))]
    if len(found) < len(files):
        raise click.UsageError("Each FILE has to be a regular file.")
    settings = Settings.from_env()
    drafted = draft(settings, name, found)
    paths = write_draft(drafted, folder)
    print_draft(Console(), name, drafted, paths, settings.landing(name), in_place=folder.resolve() == DEFS / name)
