"""What a load did, as it tells whoever asked for it: files, batches and records, and what is left in landing.

Belongs here: the end of a load. What its stages hand over to each other on the way is in `model`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestration_project.ingest.candidates import Candidates, Refused
from orchestration_project.ingest.counts import FileCount, ReasonCount
from orchestration_project.ingest.model import Published
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.history_days import HistorySize
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.ledger_batches import DayCount


@dataclass(frozen=True, slots=True)
class Renewal:
    """All batches of a feed were made anew, because the contract reads, types or computes otherwise.

    Attributes:
        raw: whether the raw table was, too: all files were read again.
        asked: the batches that the load was asked for; None for a snapshot.
        parts: what was published, range by range of batches.
    """

    raw: bool
    asked: Sequence[Batch] | None
    parts: Sequence[Published]


@dataclass(frozen=True, slots=True)
class LeftInLanding:
    """What should have left landing and is still there.

    Attributes:
        changed: names of files that somebody wrote to meanwhile; the next load looks at them anew.
        stuck: by name, why a file could not be moved.
    """

    changed: Sequence[str] = ()
    stuck: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: "LeftInLanding") -> "LeftInLanding":
        return LeftInLanding([*self.changed, *other.changed], {**self.stuck, **other.stuck})


@dataclass(frozen=True, slots=True)
class Report:
    """What a load did.

    Attributes:
        entries: the ledger's new or changed entries.
        refused: files that went to quarantine.
        again: names of files whose bytes were there for the same file already.
        changed: names of files that were written to while they were read; they stay in landing.
        stuck: by name, why a file that was dealt with can't be taken off landing.
        batches: the batches whose tables were written: those asked for, and those reached through files and keys; None
            for a snapshot.
        counts: the records of each file in these batches, as the tables have them.
        reasons: why records of these batches are rejected.
        newest: the records of the feed's newest batch days, loaded now or before.
        renewed: set if all batches were made anew, whatever was asked for.
        history: how much the feed's history holds; None if it has none.
    """

    entries: list[Entry]
    refused: list[Refused]
    again: list[str]
    changed: Sequence[str]
    stuck: Mapping[str, str]
    batches: list[Batch] | None
    counts: list[FileCount]
    reasons: list[ReasonCount]
    newest: list[DayCount]
    renewed: Renewal | None = None
    history: HistorySize | None = None

    @classmethod
    def of(
        cls, candidates: Candidates, published: Published, left: LeftInLanding, renewed: Renewal | None = None
    ) -> "Report":
        """Put together what the stages found and did. What was published last counts."""
        counts, reasons, batches = published.counts, published.reasons, published.batches
        entries = {(entry.file, entry.sha256): entry for entry in published.entries}
        if renewed:
            entries = {(item.file, item.sha256): item for part in renewed.parts for item in part.entries} | entries
        # A batch that was renewed and then published once more is told as it is at the end.
        if renewed and batches is not None:
            again = set(batches)
            counts = [*(item for part in renewed.parts for item in part.counts if item.batch not in again), *counts]
            reasons = [*(item for part in renewed.parts for item in part.reasons if item.batch not in again), *reasons]
            batches = sorted(again.union(renewed.asked or (), *(part.batches or () for part in renewed.parts)))
        return cls(
            entries=[*entries.values()],
            refused=[*candidates.refused],
            again=[candidate.name for candidate, _ in candidates.known],
            changed=[*candidates.changed, *left.changed],
            stuck={**candidates.stuck, **left.stuck},
            batches=batches,
            counts=counts,
            reasons=reasons,
            newest=published.newest,
            renewed=renewed,
            history=published.history,
        )
