"""`explain`: what a load would do with a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration_project.cli.common import feed_named, new_console, new_table, print_json, printable
from orchestration_project.cli.project import project_here
from orchestration_project.hashes import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from orchestration_project.components.feed_spec import FeedSpec
    from orchestration_project.inspection.explain import Example, Explanation, Reason
    from orchestration_project.settings import Settings
    from orchestration_project.storage.files import FoundFile

OUTCOMES = {
    "loaded": "[green]would be loaded whole[/green]",
    "loaded_with_rejects": "[yellow]would be loaded, but for its rejects[/yellow]",
    "refused": "[red]would be refused as a whole[/red]",
    "nothing_new": "[green]brings nothing new[/green]",
}


class ArchivedFile(click.Path):
    """A file that exists. In the place of one that is in the cold archive there is a link, which leads nowhere."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path."""
        from orchestration_project.storage.files import find_archived

        archived = find_archived(Path(value))
        return Path(value) if archived and archived.cold else super().convert(value, param, ctx)


@click.command()
@click.argument("file", type=ArchivedFile(path_type=Path, exists=True, dir_okay=False, readable=True))
@click.option("--feed", "name", metavar="FEED", help="The feed that the file is for; else its folder or content tells.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as JSON.")
@click.pass_context
def explain(context: click.Context, file: Path, name: str | None, as_json: bool) -> None:
    """Tell what a load would do with FILE, by reading and validating it as a load does. Changes nothing.

    The files in a zip archive are explained one by one; --json prints a list of them.

    Exits with 0 when it would be loaded whole or brings nothing new, 1 when some records would be rejected, 2 when it
    would be refused as a whole, or could not be explained.

    Example: orchestration-project explain data/landing/sales/sales_2024-01-15.csv
    """
    import datetime as dt

    from orchestration_project.ingest.unpack import unfolded
    from orchestration_project.inspection.explain import Outcome, found_file
    from orchestration_project.inspection.explain import explain as explained
    from orchestration_project.settings import Settings
    from orchestration_project.storage.batches import is_repair
    from orchestration_project.storage.cold import at_hand

    found = found_file(file)
    if found is None:
        raise click.UsageError(f"{file} is no regular file: loads leave links, pipes and the like alone.")
    if is_repair(file.name):
        raise click.UsageError(
            f"{file} is a repair file: what becomes of it depends on the rejects that it corrects; only a load tells."
        )
    settings, specs, now = Settings.from_env(), project_here().feeds(), dt.datetime.now(dt.UTC)
    with at_hand(found, settings.cold_archive_url) as here, unfolded([here], settings.max_file_bytes) as files:
        spec = feed_named(name, specs) if name else _feed_for(file, files[0], settings, specs)
        results = [explained(settings, spec.feed, spec.options, item, now) for item in files]
    if as_json:
        print_json([item.as_dict() for item in results] if files[0].is_member else results[0].as_dict())
    else:
        console = new_console()
        for item in results:
            render_explanation(console, item)
    # What the load would bring decides: bytes that are known already need nobody.
    codes = {Outcome.LOADED: 0, Outcome.NOTHING_NEW: 0, Outcome.LOADED_WITH_REJECTS: 1, Outcome.REFUSED: 2}
    context.exit(max(codes[item.outcome] for item in results))


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
    # Feeds may share their columns and differ in their file names only: a name that fits decides.
    best = [match for match in matches if match.named] or matches
    if not best:
        raise click.UsageError(
            f"{file} has the columns of no feed ({', '.join(specs)}): name the one that it is for with --feed, or draft"
            " one with new-feed."
        )
    if len(best) > 1:
        raise click.UsageError(f"{file} fits {', '.join(match.feed for match in best)}: name one with --feed.")
    # On stderr: stdout is the result, which --json makes for programs.
    click.echo(f"{found.name} has the format and the columns of {best[0].feed}.", err=True)
    return specs[best[0].feed]


def render_explanation(console: "Console", found: "Explanation") -> None:
    """Print what would happen to a file."""
    console.print(f"[bold]{printable(found.file)}[/bold] {OUTCOMES[found.outcome]}", soft_wrap=True)
    for line in _facts(found):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    if found.columns:
        console.print(_columns(found))
    if found.ignored_by:
        console.print(_with_examples("Which records are ignored", "rule", found.ignored_by))
    if found.reasons:
        console.print(_with_examples("Why records would be rejected", "reason", found.reasons))
    for note in found.notes:
        console.print(f"Note: {printable(note)}", soft_wrap=True, highlight=False)


def _facts(found: "Explanation") -> Iterator[str]:
    for refusal in found.refusals:
        where = f" (line {refusal.line})" if refusal.line else ""
        yield f"[red]{printable(refusal.rule)}{where}[/red]: {printable(refusal.reason)}"
    version = f"{shown(found.sha256)}..."
    yield f"feed {found.feed}, batch {found.batch or 'unknown'}, {found.bytes:,} bytes, SHA-256 {version}"
    if found.known:
        yield f"ledger: {printable(found.known.what)}"
    if found.reading:
        parts = [str(found.reading.format), found.reading.compression, found.reading.encoding]
        dialect = f", delimiter {found.reading.delimiter!r}" if found.reading.delimiter else ""
        header = f", header in line {found.reading.header_line}" if found.reading.header_line else ""
        yield ", ".join(part for part in parts if part) + dialect + header
        yield (
            f"{found.records:,} records: {found.cleaned:,} cleaned, {found.rejected:,} rejected, {found.blank:,} blank"
            + (f", {found.ignored:,} ignored" if found.ignored_by else "")
        )


def _columns(found: "Explanation") -> "Table":
    table = new_table("Columns", contract=False, file=False, values=True)
    for column in found.columns:
        name = "[yellow]missing[/yellow]" if column.header is None else printable(column.header)
        table.add_row(column.column, name, f"{column.records:,}")
    for extra, records in found.extra.items():
        table.add_row("[yellow]_rescued[/yellow]", printable(extra), f"{records:,}")
    return table


def _with_examples(title: str, what: str, items: "Sequence[Reason]") -> "Table":
    table = new_table(title, **{what: False, "records": True, "first_of_them": False})
    for item in items:
        table.add_row(printable(item.reason), f"{item.records:,}", "\n".join(map(_example, item.examples)))
    return table


def _example(example: "Example") -> str:
    where = f"record {example.row}" + (f", line {example.line}" if example.line else "")
    values = ", ".join(f"{name} {'empty' if value is None else repr(value)}" for name, value in example.values.items())
    return printable(f"{where}: {values}" if values else where)
