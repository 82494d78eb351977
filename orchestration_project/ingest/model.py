"""What a load is asked to do, and what its stages hand over to each other.

    Request -> Candidates -> Staged -> Validated -> Entered -> Unique -> Published -> Report

A stage takes the hand-over of the stage before it and returns its own, so none can run without its input. A hand-over
that stands for rows names the relation that holds them. All of them are frozen: what changes is a new one.

Belongs here: the hand-overs, but for the first one, which is in `candidates`, and the last one, in `report`.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestration_project.errors import FileKey, FileRefused, FilesUnfit
from orchestration_project.formats.staging import STAGED, ReadyFile
from orchestration_project.ingest.candidates import Candidates, Decided
from orchestration_project.ingest.counts import FileCount, ReasonCount
from orchestration_project.ingest.relations import (
    DUPLICATES,
    RECORDS,
    REMOVED,
    STAGED_HERE,
    VALIDATED,
    VALIDATED_APART,
    VALIDATED_HERE,
)
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.history_days import HistorySize
from orchestration_project.warehouse.ledger import IN_RAW, Entry
from orchestration_project.warehouse.ledger_batches import DayCount


@dataclass(frozen=True, slots=True)
class Request:
    """What a load is asked to do.

    Attributes:
        batches: the batches asked for; None for a snapshot feed, which has no partitions.
        read: whether `raw_x` is asked for: new files are read.
        landing: whether files are taken off landing; else only those of the archive count.
        publish: whether `cleaned_x` and `rejected_x` are.
        run_id: the run that asks.
        now: the present moment, with a time zone.
    """

    batches: Sequence[Batch] | None
    read: bool = True
    landing: bool = True
    publish: bool = True
    run_id: str = ""
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load changes.

    Attributes:
        entries: ledger entries to write.
        loads: entries whose rows come in.
        removals: entries whose rows go out.
    """

    entries: list[Entry]
    loads: list[Entry]
    removals: list[Entry]

    def with_decided(self, decided: Sequence[Decided]) -> "Plan":
        """The same with the files that were withdrawn or taken back."""
        gone = [item.before for item in decided if item.before and item.before.status in IN_RAW]
        return Plan([*self.entries, *(item.entry for item in decided)], self.loads, [*self.removals, *gone])


@dataclass(frozen=True, slots=True)
class Apart:
    """Shards have read files, and validated their records already.

    Attributes:
        validated: relation of what they validated.
        here: relation of the staged records that no shard has read, which are not validated yet.
        raw: on a lake, the files that have the raw table's rows, but for those of `here`.
        cleaned: on a lake, the files that have the valid rows of `validated`.
    """

    validated: str = VALIDATED_APART
    here: str = STAGED_HERE
    raw: tuple[str, ...] = ()
    cleaned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Staged:
    """Every record of the files that come in is in `relation`, as text; the files whose rows go are in `removed`.

    `files` are all files that were read: `relation` may leave some of them out. `apart` is what shards did, None where
    the session read all of them.
    """

    candidates: Candidates
    plan: Plan
    records: int
    relation: str = STAGED
    removed: str = REMOVED
    files: Sequence[ReadyFile] = ()
    apart: Apart | None = None


@dataclass(frozen=True, slots=True)
class Validated:
    """The records of some batches have been checked against the contract, each by itself.

    Attributes:
        staged: what came in.
        batches: the batches asked for and those whose files change, in order; None for a snapshot.
        count: how many records `relation` has.
        refusals: new files that must be refused as a whole for what their records are.
        relation: values and reasons.
        records: the records' text, with the same `_rid`.
        changeable: the table that has all of `relation` that may still change, such as the records of repair files.
    """

    staged: Staged
    batches: list[Batch] | None
    count: int
    refusals: Mapping[FileKey, FileRefused] = field(default_factory=dict)
    relation: str = VALIDATED
    records: str = RECORDS
    changeable: str = VALIDATED_HERE

    def ensure_fit(self) -> None:
        """Make sure that no file has to be refused.

        Raises:
            FilesUnfit: names those that have to be; nothing was changed.
        """
        if self.refusals:
            raise FilesUnfit(self.refusals)


@dataclass(frozen=True, slots=True)
class Entered:
    """The ledger has the files of a load, and `raw_x` has no rows of those that go. Inside the transaction."""

    validated: Validated


@dataclass(frozen=True, slots=True)
class Unique:
    """One record for each key: all others of `validated` are in `relation`.

    Attributes:
        validated: may have more batches than before: those that share keys with what changed.
        batches: all of them, in order; None for a snapshot.
        relation: the duplicates.
    """

    validated: Validated
    batches: list[Batch] | None
    relation: str = DUPLICATES


@dataclass(frozen=True, slots=True)
class Published:
    """The tables have what is published, and every file's records are accounted for.

    Attributes:
        entries: the ledger's new or changed entries.
        batches: the batches whose tables were written; None for a snapshot.
        counts: the records of each file in these batches, as the tables have them.
        reasons: why records of these batches are rejected.
        newest: the records of the feed's newest batch days, loaded now or before.
        history: how much the feed's history holds; None if it has none.
    """

    entries: list[Entry]
    batches: list[Batch] | None
    counts: list[FileCount]
    reasons: list[ReasonCount]
    newest: list[DayCount]
    history: HistorySize | None = None
