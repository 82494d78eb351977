"""`find` and `where`: which records have a value, and where a record is now."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import feed_named, new_console, new_table, print_json, printable
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from orchestration_project.inspection.lookup.model import FileVersion, Found, Located, Record, RecordPlace, Reject
    from orchestration_project.inspection.lookup.versions import Asked
    from orchestration_project.settings import Settings

LARGEST_ROW = 2**63 - 1
MOST = 10_000
COLOURS = dict.fromkeys(("cleaned", "blank", "ignored", "kept"), "green") | {"rejected": "yellow"}
COLOURS |= dict.fromkeys(("missing", "contradictory"), "red")


@click.command("find")
@click.argument("value")
@click.option("--feed", "name", metavar="FEED", help="Search this feed only.")
@click.option(
    "--column", metavar="COLUMN", help="Search this column only, by its name or its header; else keys and text columns."
)
@click.option(
    "--limit", type=click.IntRange(1, MOST), default=20, show_default=True, help="How many records of a feed to list."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def find_value(
    context: click.Context, value: str, name: str | None, column: str | None, limit: int, as_json: bool
) -> None:
    """Find the records whose files have VALUE, such as an order number or a product's code, and tell where each is.

    VALUE is the whole text of a value, as the file has it. Personal columns are searched too, and shown masked. Changes
    nothing.

    Exits with 0 when records have it, 1 when none has, 2 when that could not be told.

    Example: orchestration-project find S20240115-000001 --feed sales
    """
    from orchestration_project.inspection.lookup.find import Search, find
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    settings, specs = Settings.from_env(), project_here().feeds()
    chosen = [feed_named(name, specs)] if name else list(specs.values())
    if not value:
        raise click.UsageError("VALUE is empty: give the text of a value.")
    if not _is_text(value):
        raise click.UsageError("VALUE is no text in UTF-8, so no record can have it.")
    warehouse = Warehouse.from_settings(settings)
    if not warehouse.exists():
        raise click.UsageError(f"There is no warehouse at {warehouse.where}: load files first.")
    found = find(settings, [spec.configured for spec in chosen], Search(value, column, limit))
    if as_json:
        print_json(found.as_dict())
    else:
        render_found(new_console(), found)
    context.exit(0 if found.records else 1)


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


def render_found(console: "Console", found: "Found") -> None:
    """Print the records that have the value, how many more there are, and what else there is to know."""
    for feed in found.feeds:
        if not feed.records:
            continue
        table = new_table(feed.feed, batch=False, file=False, row=True, key=False, found_in=False, state=False)
        for match in feed.matches:
            place = match.place
            state = f"[{COLOURS[match.state]}]{match.state}[/]"
            why = "; ".join(match.reasons) + (f" ({match.resolved_by})" if match.resolved_by else "")
            key = ", ".join(_shown(value) for value in match.key.values())
            cells = (place.batch, printable(place.file), str(place.row), key, printable(", ".join(match.columns)))
            table.add_row(*cells, f"{state} {printable(why)}".strip())
        console.print(table)
        if more := feed.records - len(feed.matches):
            console.print(f"{more:,} more in {feed.feed}: --limit lists more, the newest batches first.")
    for note in found.notes:
        console.print(printable(note), soft_wrap=True, highlight=False)
    searched = ", ".join(feed.feed for feed in found.feeds) or "no feed that has records"
    console.print(f"{found.records:,} record(s) found in {searched}.", soft_wrap=True, highlight=False)
    if found.records:
        console.print("`orchestration-project where FILE ROW` tells all of one.", highlight=False)


@click.command("where")
@click.argument("file")
@click.argument("row", type=click.IntRange(1, LARGEST_ROW))
@click.option("--feed", "name", metavar="FEED", help="The feed, where several have a FILE.")
@click.option("--batch", "key", metavar="KEY", help="Partition key, where several batches have a FILE.")
@click.option("--version", metavar="VERSION", help="Begin of the SHA-256 of the bytes, where FILE was delivered again.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def where_is(
    context: click.Context,
    file: str,
    row: int,
    name: str | None,
    key: str | None,
    version: str | None,
    as_json: bool,
) -> None:
    """Tell where record ROW of FILE is now: cleaned, rejected and why, repaired, waived, and which mart rows it feeds.

    FILE is a path, a name, or a place in the archive. ROW is the record's number, as `_row` has it: from 1, in a
    workbook the number of its row. Personal values are masked. Changes nothing.

    Exits with 0 when the record is found, 1 when it is not in the tables, 2 when that could not be told.

    Example: orchestration-project where sales_2024-01-15.csv 3
    """
    from dataclasses import replace

    from orchestration_project.inspection.lookup.where import where
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    project = project_here()
    specs, marts = project.feeds_and_marts()
    if name:
        feed_named(name, specs)
    sources = {spec.name: replace(spec.configured, definitions=project.definitions) for spec in specs.values()}
    asked = replace(_asked(settings, file), feed=name, batch=key, version=version)
    found = where(settings, sources, marts, asked, row)
    if not found.files:
        raise click.UsageError(_unknown(settings, asked))
    if as_json:
        print_json(found.as_dict())
    else:
        render_located(new_console(), found)
    context.exit(0 if found.is_found else 1)


def _asked(settings: "Settings", typed: str) -> "Asked":
    """The file that a text means; one that exists is told by its place and bytes.

    Raises:
        UsageError: no file can be called so, or it is a folder.
    """
    from orchestration_project.inspection.lookup.versions import Asked
    from orchestration_project.storage.files import find, sha256_of

    if "\0" in typed or not typed:
        raise click.UsageError("FILE is no name of a file.")
    path = Path(typed)
    if path.is_dir():
        raise click.UsageError(f"{_as_name(typed)} is a folder: name a file.")
    found, data = find(path), settings.data_dir.resolve()
    whole = path.parent.resolve() / path.name
    folder = PurePosixPath(_as_name(str(whole.relative_to(data)))) if whole.is_relative_to(data) else None
    return Asked(_as_name(typed), found, folder, sha256_of(path) if found else "")


def _as_name(typed: str) -> str:
    r"""A path as text, with bytes that are no UTF-8 as `\xff`: so files are named in the tables."""
    try:
        return os.fsencode(typed).decode(errors="backslashreplace")
    except UnicodeEncodeError:
        return typed.encode(errors="backslashreplace").decode()


def _unknown(settings: "Settings", asked: "Asked") -> str:
    from orchestration_project.errors import visible
    from orchestration_project.warehouse.connection import Warehouse

    warehouse = Warehouse.from_settings(settings)
    if not warehouse.exists():
        return f"There is no warehouse at {warehouse.where}, and no such file in landing or quarantine."
    narrowed = any((asked.feed, asked.batch, asked.version))
    which = " that --feed, --batch and --version allow" if narrowed else ""
    todo = "`find VALUE` looks for records" if asked.found is None else "`explain FILE` tells what a load would do"
    told = f"No file{which} was delivered as {visible(asked.file)}"
    return f"{told}: give its name, its path or its place in the archive; {todo}."


def render_located(console: "Console", found: "Located") -> None:
    """Print each version of the file that was meant, with what became of the record."""
    for note in found.notes:
        console.print(f"Note: {printable(note)}", soft_wrap=True, highlight=False)
    for file in found.files:
        state = f"[{COLOURS[file.record.state]}]{file.record.state}[/]" if file.record else f"[yellow]{file.state}[/]"
        console.print(f"[bold]{printable(file.file)}[/bold] record {found.row}: {state}", soft_wrap=True)
        for line in _facts(file):
            console.print(f"  {line}", soft_wrap=True, highlight=False)
        if file.record and file.record.raw is not None:
            console.print(_values(file.record))
        if file.record and file.record.marts:
            console.print(_marts(file.record))
    if len(found.files) + found.more > 1:
        more = f"{found.more:,} more versions are known. " if found.more else ""
        console.print(f"{more}--feed, --batch and --version choose one.", soft_wrap=True)


def _facts(file: "FileVersion") -> Iterator[str]:
    parts = [f"batch {file.batch or 'unknown'}", f"version {file.version}" if file.version else "", file.path]
    yield printable(", ".join([f"feed {file.feed}", *filter(None, parts)]))
    yield printable(file.what)
    if file.todo:
        yield f"What to do: {printable(file.todo)}"
    record = file.record
    if record is None:
        return
    if record.place.file != file.file:
        yield f"its record: {_named(record.place)}"
    if record.ignored_by:
        yield f"by the contract's rule {printable(record.ignored_by)}"
    if record.corrects:
        yield f"meant to correct {_named(record.corrects)}"
    if record.reject:
        yield from _why(file.feed, record.place.batch, record.reject)


def _why(feed: str, batch: str, reject: "Reject") -> Iterator[str]:
    for reason in reject.reasons:
        yield f"[yellow]{printable(reason)}[/]"
    for duplicate in reject.duplicates:
        if duplicate.kept:
            yield f"kept instead: {_named(duplicate.kept)}, {duplicate.state}"
    if reject.repaired_by:
        yield f"repaired by {_named(reject.repaired_by)}"
    elif reject.waived:
        waived = reject.waived
        yield f"waived by {printable(waived.by)} on {waived.at[:10]}: {printable(waived.because)}"
    elif reject.resolution == "open":
        yield (
            f"open: `orchestration-project export-rejects {feed} --batch {batch}` exports it to be corrected, or"
            f" `orchestration-project waive {feed} --reject {reject.reject_id} --by WHO --because WHY` closes it"
        )


def _named(place: "RecordPlace") -> str:
    return printable(f"{place.file} record {place.row} (batch {place.batch}, version {place.version})")


def _values(record: "Record") -> "Table":
    """The record's text in its file beside its values in the cleaned table."""
    raw, cleaned = record.raw or {}, record.cleaned or {}
    table = new_table("Values", column=False, file=False, **({"cleaned": False} if cleaned else {}))
    for name in dict.fromkeys([*raw, *cleaned]):
        values = [_shown(raw.get(name)) if name in raw else "[dim]computed[/dim]"]
        table.add_row(printable(name), *values, *([_shown(cleaned.get(name))] if cleaned else []))
    for name, text in (("_rescued", record.unexpected), ("_raw_line", record.raw_line)):
        if text is not None:
            table.add_row(name, _shown(text), *([""] if cleaned else []))
    return table


def _shown(value: str | None) -> str:
    return "[dim]empty[/dim]" if value is None else printable(value)


def _marts(record: "Record") -> "Table":
    table = new_table("Rows of marts", mart=False, key=False, state=False)
    for fed in record.marts:
        state = "is there" if fed.present == fed.rows else f"{fed.present} of {fed.rows} there: materialize it"
        keys = [", ".join(f"{name} {_shown(value)}" for name, value in key.items()) for key in fed.keys]
        if fed.rows > len(keys) and keys:
            keys.append(f"{fed.rows - len(keys):,} more")
        told = f"[red]could not be told[/]: {printable(fed.problem)}" if fed.problem else state
        table.add_row(printable(fed.mart), "\n".join(map(str, keys)), told)
    return table
