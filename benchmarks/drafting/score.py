"""Draft a set by `new-feed`, and count the edits that make its right contract of the draft.

Belongs here: running the command, and what both contracts make of the samples. Does not belong here: which differences
count (`compare`), and printing.
"""

import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from click.testing import CliRunner

from benchmarks.drafting.compare import WHOLE, Draft, Edit, Right, edits
from benchmarks.drafting.corpus import SampleSet
from orchestration_project.cli.new_feed import new_feed
from orchestration_project.contracts import load_feed
from orchestration_project.contracts.feed import Column, Feed
from orchestration_project.formats.header import normalised
from orchestration_project.ingest.candidates import Candidate
from orchestration_project.ingest.counts import nothing_of
from orchestration_project.ingest.dry_run import dry_run, scratch_session, scratch_warehouse
from orchestration_project.ingest.options import ConfiguredFeed, feed_options
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.inspection.explain import found_file
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile, sha256_of
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from orchestration_project.ingest.counts import FileCount

MODIFIED = 1_709_900_000
"""When samples were last modified: of those whose names tell no day, it is the batch."""
NOTHING = Feed("draft", "0", ())


@dataclass(frozen=True, slots=True)
class Score:
    """How a draft came out.

    Attributes:
        name: of the set.
        columns: of the right contract; 0 if there is none.
        edits: what a person has to change.
        seconds: how long the command took, without the start of Python.
        refused: why there is no draft; empty if there is one.
        counts: what the right contract makes of the samples.
    """

    name: str
    columns: int
    edits: Sequence[Edit]
    seconds: float
    refused: str
    counts: "Sequence[FileCount]" = ()

    def __str__(self) -> str:
        """The edits, a line each, and why there is no draft."""
        lines = [f"{edit.kind}: {edit.column or 'the whole'} {edit.what}" for edit in self.edits]
        return "\n".join([f"no draft: {self.refused}", *lines] if self.refused else lines)

    @property
    def by_kind(self) -> Counter[str]:
        """The number of edits of each kind."""
        return Counter(edit.kind for edit in self.edits)


@dataclass(frozen=True, slots=True)
class Drafting:
    """What the command did: the folder that it wrote to, why it did not, and seconds."""

    folder: Path
    refused: str
    seconds: float


def score(chosen: SampleSet, folder: Path) -> Score:
    """Make a set's samples in an empty folder, draft a feed of them, and compare the draft with the right contract."""
    paths = write_samples(chosen, folder)
    done = run_new_feed(chosen.name, paths, folder / "draft")
    if chosen.refusal:
        right = re.search(chosen.refusal, done.refused, re.IGNORECASE)
        found = [] if right else [Edit("unsaid", WHOLE, f"no feed can be drafted: {chosen.refusal}")]
        return Score(chosen.name, 0, found, done.seconds, done.refused)
    feed, days = load_feed(chosen.contract), [sample.day for sample in chosen.samples()]
    return compared(done, feed, says_of(chosen.contract), chosen.cadence, days, paths)


def write_samples(chosen: SampleSet, folder: Path) -> list[Path]:
    """Write a set's samples, and return their paths."""
    (folder / "samples").mkdir(parents=True)
    paths = []
    for sample in chosen.samples():
        path = folder / "samples" / sample.name
        path.write_bytes(sample.content)
        os.utime(path, (MODIFIED, MODIFIED))
        paths.append(path)
    return paths


def run_new_feed(name: str, paths: Sequence[Path], output: Path) -> Drafting:
    """Run the command on samples, in this process: what is timed is drafting."""
    arguments = [*map(str, paths), "--name", name, "--output", str(output)]
    began = time.monotonic()
    done = CliRunner().invoke(new_feed, arguments)
    seconds = time.monotonic() - began
    error = done.exception
    said = done.output if isinstance(error, SystemExit) else f"{type(error).__name__}: {error}"
    return Drafting(output, said if done.exit_code else "", seconds)


def says_of(contract: Path) -> Mapping[str, Mapping[str, str]]:
    """What a contract's custom properties `draftSays` have, by header; WHOLE: those of the object."""
    (whole,) = yaml.safe_load(contract.read_text(encoding="utf-8"))["schema"]
    said = {WHOLE: _says(whole)}
    said |= {normalised(item.get("physicalName", item["name"])): _says(item) for item in whole["properties"]}
    return {header: patterns for header, patterns in said.items() if patterns}


def _says(item: Mapping[str, Any]) -> Mapping[str, str]:
    custom = {entry["property"]: entry["value"] for entry in item.get("customProperties", [])}
    found: Mapping[str, str] = custom.get("draftSays", {})
    return found


def compared(
    done: Drafting,
    feed: Feed,
    says: Mapping[str, Mapping[str, str]],
    cadence: str,
    days: Sequence[object],
    paths: Sequence[Path],
) -> Score:
    """The score of a draft.

    Args:
        done: what the command did.
        feed: the right contract.
        says: see `says_of`.
        cadence: how often files come.
        days: what the names of the samples tell; None: nothing.
        paths: the samples.
    """
    files = [file for path in paths if (file := found_file(path))]
    with opened(feed, files) as (counts, reads_alike):
        ignored = [count.ignored for count in counts]
        right = Right(feed, says, cadence, days, ignored, reads_alike)
        draft = Draft(NOTHING) if done.refused else _draft(done.folder, files, any(ignored))
        found = edits(draft, right)
    return Score(feed.name, len(feed.source_columns), found, done.seconds, done.refused, counts)


def _draft(folder: Path, files: Sequence[FoundFile], some_ignored: bool) -> Draft:
    (contract,) = folder.glob("*.odcs.yaml")
    attributes = yaml.safe_load((folder / "defs.yaml").read_text(encoding="utf-8"))["attributes"]
    batching = feed_options(**{name: value for name, value in attributes.items() if name != "contract"}).batching
    days = [batching.batch_for(file) if batching.pattern else None for file in files]
    feed = load_feed(contract)
    ignored = [0] * len(files)
    if some_ignored or feed.ignored:
        with opened(feed, files) as (counts, _):
            ignored = [count.ignored for count in counts]
    return Draft(feed, contract.read_text(encoding="utf-8"), attributes.get("cadence", "snapshot"), days, ignored)


@contextmanager
def opened(
    feed: Feed, files: Sequence[FoundFile]
) -> "Iterator[tuple[list[FileCount], Callable[[Column, Column], bool]]]":
    """What a contract makes of samples: counts of each file, and a function that compares how two columns read them."""
    settings, configured = Settings(threads=1), ConfiguredFeed(feed, feed_options(start_date="2000-01-01"))
    with scratch_warehouse(settings, {file.path.parent for file in files}) as (connection, work):
        counts = []
        for file in files:
            candidate = Candidate(file, configured.options.batching.batch_for(file), sha256_of(file.path))
            session = scratch_session(connection, settings, feed, configured.options, candidate, work)
            counts.append(dry_run(session, candidate).count or nothing_of(file.name, ""))
        yield counts, lambda found, wanted: _reads_alike(connection, feed, found, wanted)


def _reads_alike(connection: "DuckDBPyConnection", feed: Feed, found: Column, wanted: Column) -> bool:
    """Whether two columns of the same type give the same value to each text of the right column in the samples."""
    if found.parsing == wanted.parsing:
        return True
    texts = [text_of(column, ident(wanted.name)) for column in (found, wanted)]
    # A text that is no value of the type is rejected, a word for "no value" is not: both have no value.
    values = [
        f"({value_of(column, text)}, {text} IS NULL)" for column, text in zip((found, wanted), texts, strict=True)
    ]
    # Records that are no data say nothing about a column; the table tells them only where the contract has rules.
    data = "_parse_error IS NULL" + (" AND _ignored IS NULL" if feed.ignored else "")
    row = connection.execute(
        f"""SELECT count(*) FILTER ({values[0]} IS DISTINCT FROM {values[1]})
            FROM {ident(raw_table(feed))} WHERE {data}"""
    ).fetchone()
    return row == (0,)
