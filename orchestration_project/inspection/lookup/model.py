"""What a lookup finds, as plain data: where records are, what became of them, which rows of marts they feed. No I/O.

The names of the fields and the values of the enums are those of `find --json` and `where --json`. All values of records
are text, as DuckDB writes it, with personal ones masked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

Values = Mapping[str, str | None]
"""The values of a record by column."""


class RecordState(StrEnum):
    """Where a record of a loaded file is.

    IGNORED: the contract says that it is no data. KEPT: in the raw table alone, for the feed's history, since a newer
    snapshot is published. MISSING: the file has no record of that number. CONTRADICTORY: the tables contradict each
    other about it.
    """

    CLEANED = "cleaned"
    REJECTED = "rejected"
    BLANK = "blank"
    IGNORED = "ignored"
    KEPT = "kept"
    MISSING = "missing"
    CONTRADICTORY = "contradictory"

    @property
    def is_found(self) -> bool:
        """Whether the record is where it should be."""
        return self not in (RecordState.MISSING, RecordState.CONTRADICTORY)


class FileState(StrEnum):
    """What became of a version of a file; WAITING: it is in landing. The others are those of the ledger."""

    LOADED = "loaded"
    KEPT = "kept"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    QUARANTINED = "quarantined"
    WITHDRAWN = "withdrawn"
    WAITING = "waiting"


class Resolution(StrEnum):
    """Whether a reject is still open, was corrected by a record of a repair file, or waived by somebody."""

    OPEN = "open"
    REPAIRED = "repaired"
    WAIVED = "waived"


@dataclass(frozen=True, slots=True)
class RecordPlace:
    """A record of a feed: its file and number, the file's version, and the partition key of its batch."""

    file: str
    row: int
    version: str
    batch: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """What a rejected record has in common with the one that is kept.

    Attributes:
        reason: the reason, which names the kept record.
        columns: the key.
        kept: the kept record; None if the tables do not have it any more.
        state: where that one is; it may be rejected itself, for another key.
    """

    reason: str
    columns: Sequence[str]
    kept: RecordPlace | None
    state: RecordState | None


@dataclass(frozen=True, slots=True)
class Waived:
    """Who waived a reject, why, and when (UTC, as text)."""

    by: str
    because: str
    at: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Why a record is rejected, and what closed that.

    Attributes:
        reject_id: identifies it in repair files and waivers.
        reasons: every rule that it broke.
        duplicates: of each key that another record has.
        resolution: whether it is open, repaired or waived.
        repaired_by: the record of a repair file that was cleaned in its place.
        waived: the waiver.
    """

    reject_id: str
    reasons: Sequence[str]
    duplicates: Sequence[Duplicate]
    resolution: Resolution
    repaired_by: RecordPlace | None
    waived: Waived | None


@dataclass(frozen=True, slots=True)
class MartRows:
    """The rows of a mart that a record feeds.

    Attributes:
        mart: the table.
        rows: how many rows its SELECT makes with the record that it does not make without it.
        present: how many of these the table has now, told by their key; fewer if it is out of date.
        keys: the key of the first of them.
        problem: why this could not be told; empty if it could.
    """

    mart: str
    rows: int
    present: int
    keys: Sequence[Values]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A record of a loaded file.

    Attributes:
        place: the file that the tables have it from.
        state: where it is.
        raw: its text by column, as the file has it.
        unexpected: its columns that the contract does not know, as JSON.
        raw_line: its text if it could not be split into columns.
        ignored_by: the rule by which the contract ignores it.
        cleaned: its values.
        reject: why it is rejected.
        corrects: of a record of a repair file, the reject that it names.
        marts: the rows of marts that it feeds.
    """

    place: RecordPlace
    state: RecordState
    raw: Values | None = None
    unexpected: str | None = None
    raw_line: str | None = None
    ignored_by: str | None = None
    cleaned: Values | None = None
    reject: Reject | None = None
    corrects: RecordPlace | None = None
    marts: Sequence[MartRows] = ()


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A version of a file that was asked for.

    Attributes:
        feed, file, version, batch: which; the batch's partition key is empty where the file has none.
        state: what became of it.
        path: where it is, relative to `DATA_DIR`; empty if it is not known.
        records: how many records it has; None if it was not loaded.
        what: what became of it, in words.
        todo: what to do; empty if nothing.
        record: the record that was asked for, if the file's records are in the tables.
    """

    feed: str
    file: str
    version: str
    batch: str
    state: FileState
    path: str
    records: int | None
    what: str
    todo: str = ""
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Located:
    """The answer of `where`: the versions of files that were meant, those whose records count first.

    Attributes:
        row: the record's number.
        files: the versions.
        more: how many further versions there are.
        notes: what else there is to know.
    """

    row: int
    files: Sequence[FileVersion]
    more: int = 0
    notes: Sequence[str] = ()

    @property
    def is_found(self) -> bool:
        """Whether any of the files has the record in the tables."""
        return any(file.record and file.record.state.is_found for file in self.files)

    def as_dict(self) -> dict[str, object]:
        """As plain data, as `where --json` prints it."""
        return {"found": self.is_found, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Match:
    """A record in which a value was found.

    Attributes:
        place: the record.
        columns: the columns that have the value; `_raw_line` for a record that could not be split.
        key: its text in the columns of the primary key.
        state: where it is.
        reasons: why it is rejected.
        resolved_by: the repair file or the waiver that closed the reject.
    """

    place: RecordPlace
    columns: Sequence[str]
    key: Values
    state: RecordState
    reasons: Sequence[str] = ()
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True)
class FoundInFeed:
    """What was found in a feed.

    Attributes:
        feed: its name.
        searched: the columns that were searched.
        records: how many records have the value.
        matches: the first of them, of the newest batches.
    """

    feed: str
    searched: Sequence[str]
    records: int
    matches: Sequence[Match]


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of `find`. The value itself is not in it: it may be personal."""

    feeds: Sequence[FoundInFeed]
    notes: Sequence[str] = ()

    @property
    def records(self) -> int:
        """How many records have the value."""
        return sum(feed.records for feed in self.feeds)

    def as_dict(self) -> dict[str, object]:
        """As plain data, as `find --json` prints it."""
        return {"records": self.records, **asdict(self)}
