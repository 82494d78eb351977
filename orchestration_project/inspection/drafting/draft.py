"""Draft a feed from sample files, and load the samples with the draft in a dry run."""

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from orchestration_project.contracts import load_feed
from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.errors import FileRefused
from orchestration_project.formats.header import normalised
from orchestration_project.ingest.counts import nothing_of
from orchestration_project.ingest.dry_run import dry_run, read_file, scratch_session, scratch_warehouse
from orchestration_project.ingest.model import Candidate
from orchestration_project.ingest.options import ConfiguredFeed, FeedOptions, feed_options
from orchestration_project.ingest.publish import insert_staged
from orchestration_project.inspection.drafting.layout import DraftError, Layout, layout_of
from orchestration_project.inspection.drafting.names import column_names, keys_among, naming_of
from orchestration_project.inspection.drafting.places import place_column
from orchestration_project.inspection.drafting.render import DraftParts, render_contract, render_defs
from orchestration_project.inspection.drafting.types import guess
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole
from orchestration_project.storage.batches import Batching, Cadence, is_repair
from orchestration_project.storage.files import FoundFile, sha256_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEED_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
ANY_DAY = dt.date(2000, 1, 1)  # the batch of all samples while they are looked at: what tells it is still to be found


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What a load by the draft would do with a sample: numbers of records."""

    file: str
    records: int
    cleaned: int
    rejected: int


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
        parts = _parts(connection, settings, name, files, work)
    texts = {f"{name}.odcs.yaml": render_contract(parts), "defs.yaml": render_defs(parts)}
    return Draft(texts, _dry_run(settings, name, texts, files))


def _parts(
    connection: "DuckDBPyConnection", settings: Settings, name: str, files: Sequence[FoundFile], work: Path
) -> DraftParts:
    layouts = [layout_of(connection, file, work, settings.max_file_bytes) for file in files]
    layout = _common(layouts)
    names = column_names(layout.fields)
    feed = _as_text(name, layout, names, layouts)
    headers = dict(zip(names, layout.fields, strict=True))
    # Each store may have a receipt 1: then what its files' names tell is a part of the key.
    if place := place_column([file.name for file in files], names):
        feed, names = replace(feed, columns=(*feed.columns, place)), [*names, place.name]
    options = FeedOptions(Batching(Cadence.DAILY, ANY_DAY))
    # All into one table: a type, a key or a missing value has to be told by all samples together.
    for file in files:
        candidate = Candidate(file, ANY_DAY, sha256_of(file.path))
        session = scratch_session(connection, settings, feed, options, candidate, work)
        insert_staged(connection, feed, read_file(session, candidate))
    # Where the comma is the decimal separator, semicolons separate the fields.
    guesses = {column: guess(connection, feed, column, comma_first=layout.delimiter == ";") for column in names}
    return DraftParts(
        name,
        len(files),
        layout,
        naming_of([file.name for file in files], [file.modified_at for file in files]),
        {column: (headers.get(column, column), guesses[column]) for column in names},
        keys_among(connection, feed, guesses),
        place,
    )


def _common(layouts: Sequence[Layout]) -> Layout:
    """One layout for all samples, with the columns of all of them."""
    # A file with one column has no delimiter; the others decide.
    delimiters = {layout.delimiter for layout in layouts if layout.delimiter}
    if len({layout.format for layout in layouts}) > 1 or len(delimiters) > 1:
        raise DraftError("the samples have different formats or delimiters: draft a feed from those of one kind")
    fields: dict[str, str] = {}
    # In the order in which they come first: a column may be missing in some samples, or be spelled otherwise.
    for layout in layouts:
        for field in layout.fields:
            fields.setdefault(normalised(field), field)
    encoding = next((layout.encoding for layout in layouts if layout.encoding), None)
    delimiter = next(iter(delimiters), None)
    sheets = {layout.sheet for layout in layouts}
    sheet = layouts[0].sheet if len(sheets) == 1 else None
    return replace(layouts[0], encoding=encoding, delimiter=delimiter, fields=tuple(fields.values()), sheet=sheet)


def _as_text(name: str, layout: Layout, names: Sequence[str], layouts: Sequence[Layout]) -> Feed:
    """A contract with text columns only, by which the samples are read before their types are known."""
    # A load finds the header by the required columns, so all that every sample has are required.
    everywhere = set.intersection(*({normalised(field) for field in item.fields} for item in layouts))
    columns = [
        Column(column, "VARCHAR", field, rules=(Required(),) if normalised(field) in everywhere else ())
        for column, field in zip(names, layout.fields, strict=True)
    ]
    return Feed(name, "0", tuple(columns), layout.source)


def _dry_run(settings: Settings, name: str, texts: dict[str, str], files: Sequence[FoundFile]) -> list[SampleResult]:
    """Load each sample with the draft, read from its texts as a project would read it."""
    with TemporaryDirectory(prefix="orchestration-project-") as folder:
        contract = Path(folder) / f"{name}.odcs.yaml"
        contract.write_text(texts[contract.name], encoding="utf-8")
        attributes = yaml.safe_load(texts["defs.yaml"])["attributes"]
        attributes.pop("contract")
        drafted = ConfiguredFeed(load_feed(contract), feed_options(**attributes))
    return [_result(settings, drafted, file) for file in files]


def _result(settings: Settings, drafted: ConfiguredFeed, file: FoundFile) -> SampleResult:
    try:
        batch = drafted.options.batching.batch_for(file)
    except FileRefused as error:
        raise DraftError(f"the draft would refuse a sample: {error}") from error
    with scratch_warehouse(settings, [file.path.parent.resolve()]) as (connection, work):
        candidate = Candidate(file, batch, sha256_of(file.path))
        session = scratch_session(connection, settings, drafted.feed, drafted.options, candidate, work)
        tried = dry_run(session, candidate)
    # Nothing is written then: who begins with a draft that refuses its own samples looks for the fault in the files.
    for refusal in tried.refusals:
        raise DraftError(f"the draft would refuse a sample: {refusal}")
    count = tried.count or nothing_of(file.name, "")
    return SampleResult(file.name, count.records, count.cleaned, count.rejected)


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
