"""`new-feed`: a feed drafted from sample files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import EXISTING_FILE, new_table, printable
from orchestration_project.cli.project import Project, project_here

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration_project.inspection.drafting.draft import Draft


@click.command("new-feed")
@click.argument("files", type=EXISTING_FILE, nargs=-1, required=True, metavar="FILE...")
@click.option("--name", required=True, help="The feed's name: small letters, digits and _.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to; NAME/ in the defs folder of the project here when left out.",
)
def new_feed(files: tuple[Path, ...], name: str, output: Path | None) -> None:
    """Draft a feed, a contract and a defs.yaml, from sample files of it. Nothing is overwritten.

    Of a zip archive, the files in it are the samples.

    What is written are guesses from the samples, each with a comment `# check: ...` that tells what it rests on; values
    of the samples are not in it. The draft is tried: it takes all of the samples.

    Example: orchestration-project new-feed /tmp/receipts_*.csv --name receipts
    """
    from rich.console import Console

    from orchestration_project.ingest.unpack import unfolded
    from orchestration_project.inspection.drafting.draft import draft, write_draft
    from orchestration_project.inspection.explain import found_file
    from orchestration_project.settings import Settings

    project = project_here()
    if not output and not project.found:
        raise click.UsageError(
            "There is no Dagster project here (a pyproject.toml with [tool.dg.project]). Go to one, or name a folder"
            " with --output."
        )
    # Looked at before the samples are: drafting reads all of them.
    folder = output or project.defs / name
    if folder.exists() and any(folder.iterdir()):
        raise click.UsageError(f"{folder} is there already and will not be overwritten; give another with --output.")
    found = [file for path in files if (file := found_file(path))]
    if len(found) < len(files):
        raise click.UsageError("Each FILE has to be a regular file.")
    settings = Settings.from_env()
    with unfolded(found, settings.max_file_bytes) as samples:
        drafted = draft(settings, name, samples)
    paths = write_draft(drafted, folder)
    render_draft(Console(), name, drafted, paths, settings.landing(name), project)


def render_draft(
    console: "Console", name: str, drafted: "Draft", paths: Sequence[Path], landing: Path, project: Project
) -> None:
    """Print what was drafted and what to do next.

    Args:
        console: where to.
        name: of the feed.
        drafted: the draft.
        paths: its files.
        landing: the feed's drop folder.
        project: that the feed is for.
    """
    table = new_table("What the draft makes of the samples", file=False, records=True, cleaned=True, rejected=True)
    for item in drafted.results:
        table.add_row(printable(item.file), f"{item.records:,}", f"{item.cleaned:,}", f"{item.rejected:,}")
    console.print(table)
    for path in paths:
        console.print(f"written: {printable(path)}", soft_wrap=True, highlight=False)
    steps = [f"go through each `check:` in {paths[0].name} and {paths[-1].name}"]
    # A draft in a folder of its own is found by nobody: Dagster loads what is in the project's defs folder.
    steps += [] if paths[0].resolve().parent == (project.defs / name).resolve() else [_move(project, name)]
    steps += ["dg check defs", f"drop files in {landing}"]
    tables = f"raw_{name},cleaned_{name},rejected_{name}"
    steps += [f"dagster asset materialize -m {project.definitions} --select '{tables}' ..."]
    for number, step in enumerate(steps, start=1):
        console.print(f"{number}. {printable(step)}", soft_wrap=True, highlight=False)


def _move(project: Project, name: str) -> str:
    if not project.found:
        return "move the folder into the defs folder of your Dagster project"
    return f"move the folder to {(project.defs / name).relative_to(project.root)}"
