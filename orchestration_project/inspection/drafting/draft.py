"""Draft a feed from sample files, and load the samples with the draft in a dry run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.formats.header import normalised
from orchestration_project.ingest.dry_run import scratch_warehouse
from orchestration_project.inspection.drafting.groups import groups_among
from orchestration_project.inspection.drafting.keys import keys_among
from orchestration_project.inspection.drafting.layout import DraftError, Layout, layout_of
from orchestration_project.inspection.drafting.names import column_names, naming_of
from orchestration_project.inspection.drafting.places import place_column
from orchestration_project.inspection.drafting.read import read_samples
from orchestration_project.inspection.drafting.render import DraftParts, LeftOut, render_contract, render_defs
from orchestration_project.inspection.drafting.tail import leave_out_ragged, leave_out_totals
from orchestration_project.inspection.drafting.trial import (
    MOST_COLUMNS,
    FileKey,
    Left,
    SampleResult,
    configured,
    count_draft,
    misfits_by_file,
    records_by_file,
    try_draft,
)
from orchestration_project.inspection.drafting.types import guesses
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole
from orchestration_project.storage.batches import is_repair
from orchestration_project.storage.files import FoundFile

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEED_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")


@dataclass(frozen=True, slots=True)
class Draft:
    """The texts of a feed's two files by their names, and the result of the dry run for each sample."""

    texts: dict[str, str]
    results: list[SampleResult]


def draft(settings: Settings, name: str, files: Sequence[FoundFile]) -> Draft:
    """Draft a feed.

    Args:
        settings: the limits of loads.
        name: of the feed.
        files: the samples.

    Raises:
        DraftError: the name can't be a feed's, or there is no draft that takes all samples.
        FileRefused: a sample is damaged, empty or too large.
    """
    if not FEED_NAME.fullmatch(name):
        raise DraftError(
            f"{name!r} can't be a feed's name: a small letter, then small letters, digits and _ (48 at most)"
        )
    # A load would take it for corrections of rejects, of a feed that has none yet.
    if repairs := [file.name for file in files if is_repair(file.name)]:
        raise DraftError(f"{', '.join(repairs)} is named as a repair file: rename the sample")
    with scratch_warehouse(settings, {file.path.parent.resolve() for file in files}) as (connection, work):
        parts, counted = _parts(connection, settings, name, files, work)
    texts = _texts(parts)
    if len(parts.columns) <= MOST_COLUMNS:
        return Draft(texts, try_draft(settings, configured(name, texts), files))
    # Reading a contract of hundreds of columns takes seconds: of those that are written alike, one is read.
    alike = {(guess.option.key, guess.missing > 0): column for column, (_, guess) in parts.columns.items()}
    within = {parts.groups.within} & {*parts.columns}
    few = {column: parts.columns[column] for column in {*alike.values(), *parts.keys.claimed, *within}}
    drafted = configured(name, _texts(replace(parts, columns=few)))
    ignores = len(parts.left_out.ignored) == len(parts.left_out.edges)
    return Draft(texts, count_draft(drafted, files, counted.left, counted.misfits, ignores))


def _texts(parts: DraftParts) -> dict[str, str]:
    return {f"{parts.name}.odcs.yaml": render_contract(parts), "defs.yaml": render_defs(parts)}


@dataclass(frozen=True, slots=True)
class _Counted:
    """The samples' records by file: how many are left, and how many of these have a value that does not fit."""

    left: dict[FileKey, Left]
    misfits: dict[FileKey, int]


def _parts(
    connection: "DuckDBPyConnection", settings: Settings, name: str, files: Sequence[FoundFile], work: Path
) -> tuple[DraftParts, _Counted]:
    layouts = [layout_of(connection, file, work, settings.max_file_bytes) for file in files]
    layout = _common(layouts)
    names = column_names(layout.fields)
    feed = _as_text(name, layout, names, layouts)
    headers = dict(zip(names, layout.fields, strict=True))
    # Each store may have a receipt 1: then what its files' names tell is a part of the key.
    if place := place_column([file.name for file in files], names):
        feed, names = replace(feed, columns=(*feed.columns, place)), [*names, place.name]
    left_out, left = _left_out(connection, feed, read_samples(connection, settings, feed, files, work))
    records = sum(item.whole for item in left.values())
    # Where the comma is the decimal separator, semicolons separate the fields.
    found = guesses(connection, feed, names, records, comma_first=layout.delimiter == ";")
    parts = DraftParts(
        name,
        len(files),
        layout,
        naming_of([file.name for file in files], [file.modified_at for file in files]),
        {column: (headers.get(column, column), found[column]) for column in names},
        keys_among(connection, feed, found),
        groups_among(connection, feed, {column: found[column] for column in headers}, len(files)),
        place,
        left_out,
    )
    return parts, _Counted(left, misfits_by_file(connection, feed, found) if len(names) > MOST_COLUMNS else {})


def _left_out(
    connection: "DuckDBPyConnection", feed: Feed, records: Mapping[FileKey, int]
) -> tuple[LeftOut, dict[FileKey, Left]]:
    """Take away the records that tell nothing of the columns; also how many of each file's `records` are left.

    Raises:
        DraftError: none is.
    """
    counts = [records, records_by_file(connection, feed)]
    edges = leave_out_totals(connection, feed)
    counts.append(records_by_file(connection, feed))
    ragged = leave_out_ragged(connection, feed)
    counts.append(records_by_file(connection, feed))
    if not counts[-1]:
        raise DraftError(_why_nothing(ragged))
    left = {file: Left(*(count.get(file, 0) for count in counts)) for file in counts[0]}
    return LeftOut(ragged, edges), left


def _why_nothing(ragged: int) -> str:
    if not ragged:
        return "the samples have a header and no records: draft from files with data"
    return (
        f"all {ragged:,} records of the samples have more or fewer fields than their header, such as a delimiter behind"
        " the last field in only one of the two: a load would reject all of them"
    )


def _common(layouts: Sequence[Layout]) -> Layout:
    """One layout for all samples, with the columns of all of them."""
    # A file with one column has no delimiter; the others decide.
    delimiters = {layout.delimiter for layout in layouts if layout.delimiter}
    if len({layout.format for layout in layouts}) > 1 or len(delimiters) > 1:
        raise DraftError("the samples have different formats or delimiters: draft a feed from those of one kind")
    if len({layout.records_path for layout in layouts}) > 1:
        raise DraftError("the samples have their records at different places in their documents: draft a feed from one")
    fields: dict[str, str] = {}
    # In the order in which they come first: a column may be missing in some samples, or be spelled otherwise.
    for layout in layouts:
        for field in layout.fields:
            fields.setdefault(normalised(field), field)
    # A table with one column is rather one whose columns were not found.
    if len(fields) + max(layout.left_out for layout in layouts) < 2:
        raise DraftError(
            "the samples have one column only, as far as one can tell, since no delimiter splits their lines. If it is"
            " a list, write its contract by hand (docs/contracts.md); if fields have places of their own in the lines,"
            " these are fixed width files"
        )
    encoded = next((layout for layout in layouts if layout.encoding), layouts[0])
    delimiter = next(iter(delimiters), None)
    sheets = {layout.sheet for layout in layouts}
    sheet = layouts[0].sheet if len(sheets) == 1 else None
    return replace(encoded, delimiter=delimiter, fields=tuple(fields.values()), sheet=sheet)


def _as_text(name: str, layout: Layout, names: Sequence[str], layouts: Sequence[Layout]) -> Feed:
    """A contract with text columns only, by which the samples are read before their types are known."""
    # A load finds the header by the required columns, so all that every sample has are required.
    everywhere = set.intersection(*({normalised(field) for field in item.fields} for item in layouts))
    columns = [
        Column(column, "VARCHAR", field, rules=(Required(),) if normalised(field) in everywhere else ())
        for column, field in zip(names, layout.fields, strict=True)
    ]
    return Feed(name, "0", tuple(columns), layout.source)


def write_draft(drafted: Draft, folder: Path) -> list[Path]:
    """Write a draft's files to a folder that does not exist yet, or is empty.

    Raises:
        DraftError: something is in the folder; nothing was written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DraftError(
            f"{folder} exists already and will not be overwritten: remove it, or give another with --output"
        )
    paths = [folder / name for name in drafted.texts]
    for path in paths:
        write_whole(path, drafted.texts[path.name].encode())
    return paths
