"""What this machine knows of the objects that it took from a landing in a store: a small JSON file for each.

    landing/<feed>/.objects/<digest>.json    the note
    landing/<feed>/.objects/<digest>.part    the bytes, while they are fetched

Belongs here: the notes, and what the folders of this machine say about an object. What is done in the store is in
`object_landing`.

A note may be lost, by a power cut for example: then its object is fetched once more, and the ledger knows the bytes. So
notes are renamed into place, but not flushed to disk.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from orchestration_project.hashes import digest_of
from orchestration_project.storage.files import FoundFile, is_at

OBJECTS = ".objects"
NOTE, PART = ".json", ".part"


class Dealt(StrEnum):
    """How an object was dealt with.

    NOT_YET: it is on its way. ARCHIVED: its rows are committed, and the archive has its bytes. REFUSED: quarantine has
    it. GIVEN_BACK: this machine has nothing of it any more, so anybody may take it.
    """

    NOT_YET = ""
    ARCHIVED = "archived"
    REFUSED = "refused"
    GIVEN_BACK = "given back"


@dataclass(frozen=True, slots=True)
class ObjectNote:
    """What is known of an object that was taken.

    Attributes:
        name: below the feed's folder in the store, and of the file in landing.
        version: the store's.
        size: bytes.
        mtime_ns: when it was written, by the store's clock; the file in landing has this time.
        sha256: of its bytes; empty before they are all here.
        dealt: how it was dealt with.
    """

    name: str
    version: str
    size: int
    mtime_ns: int
    sha256: str = ""
    dealt: Dealt = Dealt.NOT_YET

    @property
    def digest(self) -> str:
        """Tells apart all objects that ever have this name: also the same bytes, written again."""
        # Some stores' versions are a hash of the bytes, so they alone would not.
        return digest_of(f"{self.version}/{self.mtime_ns}/{self.name}")

    def file_in(self, landing: Path) -> FoundFile:
        """The file that it becomes in landing."""
        return FoundFile(str(landing / self.name), self.name, self.size, self.mtime_ns)

    def is_in(self, landing: Path) -> bool:
        """Whether its file is in landing."""
        return is_at(self.file_in(landing), landing / self.name)


def note_of(file: FoundFile) -> ObjectNote:
    """The note of an object that is about to be taken."""
    return ObjectNote(file.name, file.version, file.size, file.mtime_ns)


def read_notes(landing: Path) -> list[ObjectNote]:
    """All notes of a feed, by name; one that can't be read is none."""
    found = (_read(path) for path in (landing / OBJECTS).glob(f"*{NOTE}"))
    return sorted(filter(None, found), key=lambda note: (note.name, note.digest))


def _read(path: Path) -> ObjectNote | None:
    try:
        told = json.loads(path.read_bytes())
        return ObjectNote(**{**told, "dealt": Dealt(told["dealt"])})
    except (OSError, ValueError, TypeError, LookupError):
        return None


def write_note(landing: Path, note: ObjectNote) -> None:
    """Write a note in place of the one that there is of its object."""
    path = landing / OBJECTS / f"{note.digest}{NOTE}"
    new = path.with_name(f".{path.name}")
    new.write_text(json.dumps(asdict(note), ensure_ascii=False), encoding="utf-8")
    new.replace(path)


def forget_note(landing: Path, note: ObjectNote) -> None:
    """Remove a note."""
    (landing / OBJECTS / f"{note.digest}{NOTE}").unlink(missing_ok=True)


def part_of(landing: Path, note: ObjectNote) -> Path:
    """Where the bytes of an object are while they are fetched."""
    return landing / OBJECTS / f"{note.digest}{PART}"


def has_left(landing: Path, note: ObjectNote) -> bool:
    """Whether the file of an object that was fetched is not in landing any more."""
    # In this order: its last step is a rename from the one place to the other.
    return not part_of(landing, note).exists() and not note.is_in(landing)


def forget_parts(landing: Path) -> None:
    """Remove what killed fetches have left. Their objects count as not fetched from then on."""
    for note in read_notes(landing):
        if part_of(landing, note).exists():
            # First: a hash without the bytes would pass for that of a file which has left landing.
            write_note(landing, replace(note, sha256=""))
    for path in (landing / OBJECTS).glob(f"*{PART}"):
        path.unlink()


def forget_gone(landing: Path, objects: Collection[str]) -> None:
    """Remove the notes of objects that were never fetched, and are not among these digests any more."""
    for note in read_notes(landing):
        if not note.sha256 and not note.dealt and note.digest not in objects:
            forget_note(landing, note)
