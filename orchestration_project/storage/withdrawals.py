"""Files that were accepted and taken back: kept aside in the archive, each with a note that says who and why.

    archive/<feed>/withdrawn/<batch>/<name>                  as it lay in the archive, below `withdrawn`
    archive/<feed>/withdrawn/<batch>/<name>.withdrawn.json   the note
    archive/<feed>/.withdrawing.json                         several files, while they are moved together

The note is the decision. It is written first, and the ledger follows it, so that a rebuild without a ledger honours it.
Of several files, such as those of a zip archive, all go or none: what a kill has left is finished by the next load.
"""

import datetime as dt
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

from orchestration_project.errors import RecoveryError
from orchestration_project.failpoints import Recovery, reached
from orchestration_project.storage.archive import (
    DELIVERY,
    archive_folder,
    ensure_folder,
    flush,
    is_reserved,
    write_whole,
)
from orchestration_project.storage.files import FoundFile, find_archived

WITHDRAWN = "withdrawn"
NOTE = ".withdrawn.json"
TOGETHER = ".withdrawing.json"


@dataclass(frozen=True, slots=True)
class Note:
    """Who took a file back, when, and why; `withdrawn_at` has a time zone.

    `lacking` is empty, or the name of the zip archive that had the file, and whose newer version lacks it.
    """

    file: str
    sha256: str
    withdrawn_by: str
    reason: str
    withdrawn_at: dt.datetime
    lacking: str = ""

    @property
    def told(self) -> str:
        """The decision in words."""
        return f"withdrawn by {self.withdrawn_by} on {self.withdrawn_at:%F}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawn file.

    Attributes:
        note: the decision.
        place: the file's place relative to the archive before it was withdrawn, and again when it is taken back.
        key: the partition key of its batch.
        number: which delivery of its name it was.
        file: where it lies now; None if it is gone.
    """

    note: Note
    place: str
    key: str
    number: int
    file: FoundFile | None

    @property
    def identity(self) -> tuple[str, str, str]:
        """Batch (partition key), name and SHA-256: what tells the versions of a feed's files apart."""
        return self.key, self.note.file, self.note.sha256

    @property
    def archived_as(self) -> str:
        """Where it lies, relative to the archive."""
        return f"{WITHDRAWN}/{self.place}"


def note_of(path: Path) -> Path:
    """The place of a withdrawn file's note."""
    return path.with_name(f"{path.name}{NOTE}")


def was_withdrawn(archive: Path, key: str, number: int, name: str) -> bool:
    """Whether the `number`-th delivery of a name to a batch is one that was withdrawn: its place is kept for it."""
    root = archive / WITHDRAWN
    # Mostly nothing was ever withdrawn, and a load asks this for each of its files.
    return root.is_dir() and any(
        os.path.lexists(archive_folder(root, key, number, duplicate) / name) for duplicate in (False, True)
    )


def withdrawals(archive: Path) -> list[Withdrawal]:
    """All withdrawn files of a feed, by place.

    Raises:
        RecoveryError: a note can't be read.
    """
    root = archive / WITHDRAWN
    if not root.is_dir():
        return []
    return sorted(_read(root), key=lambda found: found.place)


def _read(root: Path) -> Iterator[Withdrawal]:
    # By the notes and not by the files: a note without its file is a decision, a file without a note is none.
    for path in root.rglob(f"*{NOTE}"):
        note = _noted(path)
        file = path.with_name(path.name.removesuffix(NOTE))
        place = file.relative_to(root)
        # 2024-03-01/duplicate/v2/a.csv is the second delivery of its name; the first has no folder of its own. The
        # folders inside of a zip archive may have any names.
        folders = takewhile(is_reserved, place.parts[1:-1])
        number = next((int(found[1]) for part in folders if (found := DELIVERY.fullmatch(part))), 1)
        yield Withdrawal(note, place.as_posix(), place.parts[0], number, find_archived(file))


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RecoveryError(f"{path} can't be read as a withdrawal: restore it from a backup") from error


def _noted(path: Path) -> Note:
    with _readable(path):
        return _note(json.loads(path.read_bytes()))


def _note(told: dict[str, str]) -> Note:
    moment = dt.datetime.fromisoformat(told.pop("withdrawn_at")).astimezone(dt.UTC)
    return Note(**told, withdrawn_at=moment)


def set_aside(archive: Path, place: str, note: Note) -> None:
    """Note that a file is withdrawn, then move it aside.

    Args:
        archive: the feed's archive.
        place: where the file lies, relative to the archive.
        note: the decision.
    """
    aside = archive / WITHDRAWN / place
    # Either may be done already, when a way back has failed before this file's turn came.
    if not (note_of(aside).exists() and _noted(note_of(aside)) == note):
        write_whole(note_of(aside), _json(asdict(note)))
    reached(Recovery.WITHDRAWAL_NOTED)
    if not os.path.lexists(aside):
        _move(archive / place, aside)
    reached(Recovery.SET_ASIDE)


def take_back(archive: Path, place: str) -> None:
    """Move a withdrawn file back, then remove its note."""
    aside = archive / WITHDRAWN / place
    # It is there already if somebody was killed between the move and the note.
    if not os.path.lexists(archive / place):
        _move(aside, archive / place)
    # The note goes last: as long as it is there the next load moves the file aside again, so it is never half undone.
    reached(Recovery.TAKEN_BACK)
    note_of(aside).unlink(missing_ok=True)
    flush(aside.parent)
    reached(Recovery.UNNOTED)
    # `was_withdrawn` looks for the folder first: without it, loads ask nothing.
    _remove_empty(aside.parent, archive)


def set_all_aside(archive: Path, notes: Mapping[str, Note]) -> None:
    """Withdraw files by their places in the archive, each as `set_aside` does: all, or after a kill at once none."""
    with _together(archive, notes, back=False):
        for place, note in notes.items():
            set_aside(archive, place, note)


def take_all_back(archive: Path, notes: Mapping[str, Note]) -> None:
    """Take withdrawn files back by their places, each as `take_back` does: all, or after a kill at once none."""
    with _together(archive, notes, back=True):
        _take_noted_back(archive, notes)


def _take_noted_back(archive: Path, places: Iterable[str]) -> None:
    for place in places:
        if note_of(archive / WITHDRAWN / place).exists() and _is_there(archive, place):
            take_back(archive, place)


def _is_there(archive: Path, place: str) -> bool:
    """Whether a file is at its place or aside; a lost one must not stop the loads that come to finish."""
    return os.path.lexists(archive / place) or os.path.lexists(archive / WITHDRAWN / place)


@contextmanager
def _together(archive: Path, notes: Mapping[str, Note], back: bool) -> Iterator[None]:
    """Write down what is to be moved, until it is done; what fails is finished, or turned round by whoever called."""
    path = archive / TOGETHER
    # A single file needs none: its own note is the step that decides.
    if len(notes) > 1:
        files = [{"place": place, **asdict(note)} for place, note in notes.items()]
        write_whole(path, _json({"back": back, "files": files}), replacing=True)
        reached(Recovery.TOGETHER_NOTED)
    yield
    _forget_together(archive)


def _forget_together(archive: Path) -> None:
    (archive / TOGETHER).unlink(missing_ok=True)
    flush(archive)


def _json(content: object) -> bytes:
    return (json.dumps(content, ensure_ascii=False, indent=2, default=dt.datetime.isoformat) + "\n").encode()


def moving_together(archive: Path) -> tuple[bool, Mapping[str, Note]]:
    """The files that a killed withdrawal was moving, by place, and whether they were on their way back.

    Raises:
        RecoveryError: what it has left can't be read.
    """
    path = archive / TOGETHER
    if not path.exists():
        return False, {}
    with _readable(path):
        found = json.loads(path.read_bytes())
        return bool(found["back"]), {told.pop("place"): _note(told) for told in found["files"]}


def finish_withdrawals(archive: Path) -> None:
    """Finish what a killed withdrawal has begun, or the way back of several files.

    A file that has a note and is still at its place is moved aside.
    """
    back, notes = moving_together(archive)
    if back:
        _take_noted_back(archive, notes)
    else:
        for place in filter(partial(_is_there, archive), notes):
            set_aside(archive, place, notes[place])
    if notes:
        _forget_together(archive)
    for found in withdrawals(archive):
        if found.file is None and find_archived(archive / found.place):
            _move(archive / found.place, archive / found.archived_as)


def _move(source: Path, target: Path) -> None:
    ensure_folder(target.parent)
    source.rename(target)
    flush(target.parent)


def _remove_empty(folder: Path, archive: Path) -> None:
    while folder != archive and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
