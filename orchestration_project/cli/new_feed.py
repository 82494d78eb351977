"""`new-feed`: a feed drafted from sample files."""

import shlex
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
    of the samples are not in it. The draft is tried on the samples and takes all of them.

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
    steps = next_steps(name, drafted, paths, files, settings.landing(name), project)
    render_draft(Console(), drafted, paths, steps)


def render_draft(console: "Console", drafted: "Draft", paths: Sequence[Path], steps: Sequence[str]) -> None:
    """Print what was drafted and what to do next.

    Args:
        console: where to.
        drafted: the draft.
        paths: its files.
        steps: a command each, or a comment of the shell, so that all of them can be pasted at once.
    """
    ignores = any(item.ignored for item in drafted.results)
    further = {"ignored": True} if ignores else {}
    table = new_table(
        "What the draft makes of the samples", file=False, records=True, cleaned=True, rejected=True, **further
    )
    for item in drafted.results:
        counts = [item.records, item.cleaned, item.rejected, *([item.ignored] if ignores else [])]
        table.add_row(printable(item.file), *(f"{count:,}" for count in counts))
    console.print(table)
    if not all(item.tried for item in drafted.results):
        console.print(
            "So many columns take a load long. So the samples were not loaded: this is told by their values alone.",
            soft_wrap=True,
        )
    for path in paths:
        console.print(f"written: {printable(path)}", soft_wrap=True, highlight=False)
    console.print("Next, in a shell:")
    for step in steps:
        console.print(f"  {printable(step)}", soft_wrap=True, highlight=False)


def next_steps(
    name: str, drafted: "Draft", paths: Sequence[Path], files: Sequence[Path], landing: Path, project: Project
) -> list[str]:
    """The commands that make a feed of a draft and load its samples.

    Args:
        name: of the feed.
        drafted: the draft.
        paths: its files.
        files: the samples.
        landing: the feed's drop folder.
        project: that the feed is for.
    """
    steps = [f"# go through each `check:` in {paths[0].name} and {paths[-1].name}"]
    # A draft in a folder of its own is found by nobody: Dagster loads what is in the project's defs folder.
    if paths[0].resolve().parent != (project.defs / name).resolve():
        steps.append(_move(project, name, paths[0].parent))
    copied = " ".join(shlex.quote(str(path)) for path in files)
    target = shlex.quote(str(landing))
    steps += ["dg check defs", f"mkdir -p {target} && cp -- {copied} {target}"]
    batches = sorted({item.batch for item in drafted.results})
    which = f"--partition {batches[0]}" if len(batches) == 1 else f"--partition-range {batches[0]}...{batches[-1]}"
    tables = f"raw_{name},cleaned_{name},rejected_{name}"
    return [*steps, f"dagster asset materialize -m {project.definitions} --select {tables} {which}"]


def _move(project: Project, name: str, folder: Path) -> str:
    if not project.found:
        return f"# move {folder} into the defs folder of your Dagster project, and go there"
    return f"mv -- {shlex.quote(str(folder.resolve()))} {shlex.quote(str(project.defs / name))}"
