"""The files that a load may take in, and what is known of each: the first hand-over of `model`.

    Candidate -> counts, goes to quarantine, stays in landing, or is known

Belongs here: which of them counts, and what becomes of those that turn out not to fit. How they are found is in
`discover`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestration_project.errors import FileChanged, FileKey, FileRefused, WarehouseError
from orchestration_project.formats.prepare import Prepared
from orchestration_project.storage.batches import Batch
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.ledger_queries import Identity

Unfit = FileRefused | FileChanged
"""Why a file can't be loaded now: it is at fault, or somebody writes to it."""


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
