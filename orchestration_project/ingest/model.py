"""What a load is asked to do, what it takes in, and what it reports."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from orchestration_project.errors import FileRefused
from orchestration_project.formats.prepare import Prepared
from orchestration_project.ingest.counts import FileCount, ReasonCount
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.ledger_queries import DayCount


@dataclass(frozen=True, slots=True)
class Request:
    """What a load is asked to do.

    Attributes:
        batches: the batches asked for; None for a snapshot feed, which has no partitions.
        read: whether `raw_x` is asked for: new files are read.
        publish: whether `cleaned_x` and `rejected_x` are.
        run_id: the run that asks.
        now: the present moment, with a time zone.
    """

    batches: Sequence[Batch] | None
    read: bool = True
    publish: bool = True
    run_id: str = ""
    now: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file on its way in.

    Attributes:
        file: where it is.
        batch: what it is for.
        sha256: of its bytes.
        archived_as: its place in the archive when it is read from there.
        number: of a file in the archive, its number among the deliveries of its name.
        reread: whether it is known and only read again, its rows being not what its bytes say.
        prepared: how to read it; None as long as a later delivery of the same name counts instead.
    """

    file: FoundFile
    batch: Batch
    sha256: str
    archived_as: str | None = None
    number: int = 0
    reread: bool = False
    prepared: Prepared | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that goes to quarantine, and why; `sha256` is empty when it could not be read at all."""

    file: FoundFile
    error: FileRefused
    batch: Batch | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        entries: the ledger's new or changed entries.
        refused: files that went to quarantine.
        again: names of files whose bytes were there under the same name already.
        changed: names of files that were written to while they were read; they stay in landing.
        stuck: by name, why a file that was dealt with can't be taken off landing.
        batches: the batches whose tables were written: those asked for, and those reached through files and keys; None
            for a snapshot.
        counts: the records of each file in these batches, as the tables have them.
        reasons: why records of these batches are rejected.
        newest: the records of the feed's newest batch days, loaded now or before.
    """

    entries: list[Entry]
    refused: list[Refused]
    again: list[str]
    changed: list[str]
    stuck: dict[str, str]
    batches: list[Batch] | None
    counts: list[FileCount]
    reasons: list[ReasonCount]
    newest: list[DayCount]
