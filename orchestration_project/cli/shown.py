"""How explanations and drafts are printed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from orchestration_project.cli.common import new_table
from orchestration_project.cli.summary import printable
from orchestration_project.inspection.explain import Example, Explanation, Outcome
from orchestration_project.inspection.findings import DEFINITIONS

if TYPE_CHECKING:
    from orchestration_project.inspection.drafting.draft import Draft

VERDICTS = {
    Outcome.LOADED: "[green]would be loaded whole[/green]",
    Outcome.LOADED_WITH_REJECTS: "[yellow]would be loaded, but for its rejects[/yellow]",
    Outcome.REFUSED: "[red]would be refused as a whole[/red]",
    Outcome.NOTHING_NEW: "[green]brings nothing new[/green]",
}


def print_explanation(console: Console, found: Explanation) -> None:
    """Print what would happen to a file."""
    console.print(f"[bold]{printable(found.file)}[/bold] {VERDICTS[found.outcome]}", soft_wrap=True)
    for line in _facts(found):
        console.print(f"  {line}", soft_wrap=True, highlight=False)
    if found.columns:
        console.print(_columns(found))
    if found.reasons:
        table = new_table("Why records would be rejected", reason=False, records=True, first_of_them=False)
        for item in found.reasons:
            table.add_row(printable(item.reason), f"{item.records:,}", "\n".join(map(_example, item.examples)))
        console.print(table)
    for note in found.notes:
        console.print(f"Note: {printable(note)}", soft_wrap=True, highlight=False)


def print_draft(
    console: Console, name: str, drafted: "Draft", paths: Sequence[Path], landing: Path, in_place: bool
) -> None:
    """Print what was drafted and what to do next.

    Args:
        console: where to.
        name: of the feed.
        drafted: the draft.
        paths: its files.
        landing: the feed's drop folder.
        in_place: whether they are where Dagster finds them.
    """
    table = new_table("What the draft makes of the samples", file=False, records=True, cleaned=True, rejected=True)
    for item in drafted.results:
        table.add_row(printable(item.file), f"{item.records:,}", f"{item.cleaned:,}", f"{item.rejected:,}")
    console.print(table)
    for path in paths:
        console.print(f"written: {printable(path)}", soft_wrap=True, highlight=False)
    steps = [f"go through each `check:` in {paths[0].name} and {paths[-1].name}"]
    steps += [] if in_place else [f"move the folder to orchestration_project/defs/{name}"]
    steps += ["dg check defs", f"drop files in {landing}"]
    steps += [f"dagster asset materialize -m {DEFINITIONS} --select 'raw_{name},cleaned_{name},rejected_{name}' ..."]
    for number, step in enumerate(steps, start=1):
        console.print(f"{number}. {printable(step)}", soft_wrap=True, highlight=False)


def _facts(found: Explanation) -> Iterator[str]:
    for refusal in found.refusals:
        where = f" (line {refusal.line})" if refusal.line else ""
        yield f"[red]{printable(refusal.rule)}{where}[/red]: {printable(refusal.reason)}"
    yield f"feed {found.feed}, batch {found.batch or 'unknown'}, {found.bytes:,} bytes, SHA-256 {found.sha256[:16]}..."
    if found.known:
        yield f"ledger: {printable(found.known.what)}"
    if found.reading:
        parts = [str(found.reading.format), found.reading.compression, found.reading.encoding]
        dialect = f", delimiter {found.reading.delimiter!r}" if found.reading.delimiter else ""
        header = f", header in line {found.reading.header_line}" if found.reading.header_line else ""
        yield ", ".join(part for part in parts if part) + dialect + header
        yield (
            f"{found.records:,} records: {found.cleaned:,} cleaned, {found.rejected:,} rejected, {found.blank:,} blank"
        )


def _columns(found: Explanation) -> object:
    table = new_table("Columns", contract=False, file=False, values=True)
    for column in found.columns:
        name = "[yellow]missing[/yellow]" if column.header is None else printable(column.header)
        table.add_row(column.column, name, f"{column.records:,}")
    for extra, records in found.extra.items():
        table.add_row("[yellow]_rescued[/yellow]", printable(extra), f"{records:,}")
    return table


def _example(example: Example) -> str:
    where = f"record {example.row}" + (f", line {example.line}" if example.line else "")
    values = ", ".join(f"{name} {'empty' if value is None else repr(value)}" for name, value in example.values.items())
    return printable(f"{where}: {values}" if values else where)
