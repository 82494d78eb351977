"""What a load is asked to do, and what its stages hand over to each other. What it reports is in `report`.

    Request -> Candidates -> Staged -> Validated -> Entered -> Unique -> Published -> Report

A stage takes the hand-over of the stage before it and returns its own, so none can run without its input. A hand-over
that stands for rows names the relation that holds them. All of them are frozen: what changes is a new one.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestration_project.errors import FileChanged, FileKey, FileRefused, FilesUnfit, WarehouseError
from orchestration_project.formats.prepare import Prepared
from orchestration_project.formats.staging import STAGED, ReadyFile
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
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.history_days import HistorySize
from orchestration_project.warehouse.ledger import IN_RAW, Entry
from orchestration_project.warehouse.ledger_batches import DayCount
from orchestration_project.warehouse.ledger_queries import Identity

Unfit = FileRefused | FileChanged
"""Why a file can't be loaded now: it is at fault, or somebody writes to it."""


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
class Candidate:
    """A file that may be loaded, with what is known of it.

    Attributes:
        file: where it is.
        batch: what it is for.
        sha256: of its bytes.
        archived_as: its place in the archive; None for a file in landing.
        number: of a file in the archive, its number among the deliveries of its name.
        reread: whether it was loaded before and is only read again, because its rows are not what its bytes say.
        prepared: how to read it; None as long as a later candidate of the same name counts instead.
    """

    file: FoundFile
    batch: Batch
    sha256: str
    archived_as: str | None = None
    number: int = 0
    reread: bool = False
    prepared: Prepared | None = None

    @property
    def name(self) -> str:
        """The file's logical name."""
        return self.file.name

    @property
    def key(self) -> FileKey:
        """What tells it apart from the other files of the load."""
        return str(self.batch), self.name


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that goes to quarantine, and why; `sha256` is empty when it could not be read at all."""

    file: FoundFile
    error: FileRefused
    batch: Batch | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Decided:
    """The ledger's entry of a file that somebody withdrew or took back, and the entry that it had; None if it had none.

    Its rows go if it had any.
    """

    entry: Entry
    before: Entry | None


@dataclass(frozen=True, slots=True)
class Candidates:
    """The files that a load is about.

    Attributes:
        fresh: by file, the candidates that bring something new, in order of delivery: the last one counts.
        known: candidates whose bytes the ledger has for the same file, with their entry.
        current: the ledger's current entries of all files concerned.
        refused: files for quarantine.
        changed: names of files that somebody wrote to while they were read; they stay in landing.
        stuck: by name, why a zip archive that was unpacked can't be taken off landing.
        unreadable: why a file of the archive could not be read again; its rows stay as they are.
        decided: files that were withdrawn or taken back, or came too late: only their entries change.
    """

    fresh: Mapping[Identity, tuple[Candidate, ...]] = field(default_factory=dict)
    known: Sequence[tuple[Candidate, Entry]] = ()
    current: Mapping[Identity, Entry] = field(default_factory=dict)
    refused: Sequence[Refused] = ()
    changed: Sequence[str] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[FileKey, Unfit] = field(default_factory=dict)
    decided: Sequence[Decided] = ()

    @property
    def latest(self) -> list[Candidate]:
        """The candidate of each file that counts."""
        return [candidates[-1] for candidates in self.fresh.values()]

    @property
    def landed(self) -> list[Candidate]:
        """Those of `latest` that lie in landing."""
        return [candidate for candidate in self.latest if candidate.archived_as is None]

    def with_prepared(self, prepared: Mapping[FileKey, Prepared]) -> "Candidates":
        """The same, and how the latest candidate of some files is read."""
        fresh = {
            identity: (*found[:-1], replace(found[-1], prepared=prepared[found[-1].key]))
            if found[-1].key in prepared
            else found
            for identity, found in self.fresh.items()
        }
        return replace(self, fresh=fresh)

    def without(self, faults: Mapping[FileKey, Unfit]) -> "Candidates":
        """The same without the latest candidate of some files. One at fault goes to quarantine, another waits.

        Raises:
            WarehouseError: one was accepted before and lies in the archive; to refuse it would lose rows.
        """
        fresh, refused = dict(self.fresh), [*self.refused]
        changed, unreadable = [*self.changed], dict(self.unreadable)
        of_keys = {found[-1].key: identity for identity, found in self.fresh.items()}
        for key, error in faults.items():
            identity = of_keys.get(key, key)
            *earlier, last = fresh.pop(identity, ()) or (None,)
            # None: no candidate but a duplicate, read from the archive to take the place of a file that went.
            if last is None or (last.archived_as is not None and not last.reread):
                raise lost_file(key[1], error) from error
            # The delivery before it is tried next. A bad one must not displace good ones that wait beside it.
            if earlier:
                fresh[identity] = tuple(earlier)
            # Its rows stay: it was accepted once, and a stricter contract does not say that they are to go.
            if last.reread:
                unreadable[key] = error
            elif isinstance(error, FileRefused):
                refused.append(Refused(last.file, error, last.batch, last.sha256))
            else:
                changed.append(last.name)
        return replace(self, fresh=fresh, refused=refused, changed=changed, unreadable=unreadable)


def lost_file(name: str, error: Exception) -> WarehouseError:
    """The error for a file that was accepted before and can't be read any more."""
    return WarehouseError(
        f"{name!r} was accepted once and can't be read from the archive any more: {error}. Restore the file from a"
        " backup, or the contract if it was made stricter"
    )


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
    """

    validated: str = VALIDATED_APART
    here: str = STAGED_HERE


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
