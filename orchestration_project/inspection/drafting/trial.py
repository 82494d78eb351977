"""Try a draft: load each sample with it in a scratch warehouse, and count what becomes of the records.

A load of very many columns takes DuckDB longer to plan than to run, several seconds for 700. There the samples are not
loaded once more: their values were tried already, with the SQL of a load, when the types were chosen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from orchestration_project.contracts import load_feed
from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileRefused
from orchestration_project.hashes import shown
from orchestration_project.ingest.candidates import Candidate
from orchestration_project.ingest.counts import nothing_of
from orchestration_project.ingest.dry_run import dry_run, scratch_session, scratch_warehouse
from orchestration_project.ingest.options import ConfiguredFeed, feed_options
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.inspection.drafting.layout import DraftError
from orchestration_project.inspection.drafting.types import Guess
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile, sha256_of
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FileKey = tuple[str, str]
"""A sample's name and the beginning of the hash of its bytes."""
MOST_COLUMNS = 150
"""Samples with more are not loaded once more."""


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What a load by the draft would do with a sample: the partition it goes to, and numbers of records.

    `tried` is false where there are too many columns: then `cleaned` and `rejected` are those of the sample's values.
    """

    file: str
    batch: str
    records: int
    cleaned: int
    rejected: int
    ignored: int = 0
    tried: bool = True


def configured(name: str, texts: Mapping[str, str]) -> ConfiguredFeed:
    """A draft's feed, read from its texts as a project would read it.

    Args:
        name: of the feed.
        texts: the draft's files by name.
    """
    with TemporaryDirectory(prefix="orchestration-project-") as folder:
        contract = Path(folder) / f"{name}.odcs.yaml"
        contract.write_text(texts[contract.name], encoding="utf-8")
        attributes = yaml.safe_load(texts["defs.yaml"])["attributes"]
        attributes.pop("contract")
        return ConfiguredFeed(load_feed(contract), feed_options(**attributes))


def try_draft(settings: Settings, drafted: ConfiguredFeed, files: Sequence[FoundFile]) -> list[SampleResult]:
    """Load each sample with the draft.

    Args:
        settings: the limits of loads.
        drafted: the draft.
        files: the samples.

    Raises:
        DraftError: it refuses one.
    """
    return [_result(settings, drafted, file) for file in files]


@dataclass(frozen=True, slots=True)
class Left:
    """How many records a sample has, and how many are left when some are taken away, one kind after the other."""

    records: int
    not_blank: int
    no_totals: int
    whole: int


def count_draft(
    drafted: ConfiguredFeed,
    files: Sequence[FoundFile],
    left: Mapping[FileKey, Left],
    misfits: Mapping[FileKey, int],
    ignores: bool,
) -> list[SampleResult]:
    """What becomes of the samples' records, told by their values instead of by a load.

    Args:
        drafted: the draft.
        files: the samples.
        left: their records.
        misfits: how many of those that are left have a value that does not fit.
        ignores: whether the draft ignores totals; else they lack what is required.

    Raises:
        DraftError: a sample's name tells no batch.
    """
    results = []
    for file in files:
        key = (file.name, shown(sha256_of(file.path)))
        own, totals = left[key], left[key].not_blank - left[key].no_totals
        rejected = own.no_totals - own.whole + misfits.get(key, 0) + (0 if ignores else totals)
        ignored = totals if ignores else 0
        cleaned = own.not_blank - rejected - ignored
        batch = drafted.options.batching.key(batch_of(drafted, file))
        results.append(SampleResult(file.name, batch, own.records, cleaned, rejected, ignored, tried=False))
    return results


def records_by_file(connection: "DuckDBPyConnection", feed: Feed, condition: str = "true") -> dict[FileKey, int]:
    """How many records of each sample in the raw table a condition holds for."""
    rows = connection.execute(
        f"SELECT _file, _file_version, count(*) FROM {ident(raw_table(feed))} WHERE {condition} GROUP BY ALL"
    ).fetchall()
    return {(file, version): count for file, version, count in rows}


def misfits_by_file(connection: "DuckDBPyConnection", feed: Feed, guesses: Mapping[str, Guess]) -> dict[FileKey, int]:
    """How many records of each sample have a value that its column's type does not read."""
    found = [_misfit(name, guess) for name, guess in guesses.items() if guess.misfits]
    return records_by_file(connection, feed, " OR ".join(found)) if found else {}


def _misfit(name: str, guess: Guess) -> str:
    column = guess.option.column
    text = text_of(column, ident(name))
    return f"({text} IS NOT NULL AND ({value_of(column, text)}) IS NULL)"


def batch_of(drafted: ConfiguredFeed, file: FoundFile) -> Batch:
    """The batch that a sample is for.

    Raises:
        DraftError: the draft would refuse it.
    """
    try:
        return drafted.options.batching.batch_for(file)
    except FileRefused as error:
        raise DraftError(f"the draft would refuse a sample: {error}") from error


def _result(settings: Settings, drafted: ConfiguredFeed, file: FoundFile) -> SampleResult:
    batch = batch_of(drafted, file)
    with scratch_warehouse(settings, [file.path.parent.resolve()]) as (connection, work):
        candidate = Candidate(file, batch, sha256_of(file.path))
        session = scratch_session(connection, settings, drafted.feed, drafted.options, candidate, work)
        tried = dry_run(session, candidate)
    # Nothing is written then: who begins with a draft that refuses its own samples looks for the fault in the files.
    for refusal in tried.refusals:
        raise DraftError(f"the draft would refuse a sample: {refusal}")
    count = tried.count or nothing_of(file.name, "")
    key = drafted.options.batching.key(batch)
    return SampleResult(file.name, key, count.records, count.cleaned, count.rejected, count.ignored)
