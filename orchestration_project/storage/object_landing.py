"""A feed's landing in an object store: objects are claimed, fetched into landing, and deleted once they are dealt with.

    LANDING_URL/<feed>/<name>                          as it was delivered
    landing/<feed>/<name>                              what was fetched, whole; from here on it is a file as any other

Belongs here: the steps of one object. Which objects a load takes, and which of them are dealt with, is told by
`ingest.object_landing`; what this machine remembers is in `object_notes`, who works on what in `object_claims`, and the
store's quarantine in `object_quarantine`.

What holds at every moment, whatever is killed:

1. An object is deleted only when its bytes are committed and archived, or are in both quarantines; and only if it still
   is the version that was fetched, written at that time.
2. A file in landing is a whole object: it gets its name when its bytes are on disk.
3. What a kill leaves half done is finished by the next load of the feed, on whatever machine: an object that is still
   there is fetched again, and the ledger knows its bytes.
"""

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from orchestration_project.errors import ObjectChanged, ObjectMissing, ObjectStoreDown, ObjectStoreError
from orchestration_project.failpoints import Landing, reached
from orchestration_project.storage.archive import NAME_BYTES, ensure_folder, flush, write_whole
from orchestration_project.storage.conditional_objects import ConditionalStore
from orchestration_project.storage.files import FoundFile, discover, is_unfinished
from orchestration_project.storage.object_claims import Claim, claim, forget_orphans, read_claims
from orchestration_project.storage.object_notes import (
    OBJECTS,
    Dealt,
    ObjectNote,
    forget_gone,
    forget_note,
    forget_parts,
    has_left,
    note_of,
    part_of,
    read_notes,
    write_note,
)
from orchestration_project.storage.object_quarantine import Refused, copy_refused, refused_of
from orchestration_project.storage.objects import StoredObject

THREADS = 16
"""How many objects are worked on at once: an answer from afar takes 50 ms, in which this machine has nothing to do."""
EPOCH, SECOND = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), 1_000_000_000

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Delivered:
    """The objects of a feed that are to be loaded, by name, and how many others are not looked at."""

    files: Sequence[FoundFile]
    ignored: int


@dataclass(frozen=True)
class ObjectLanding:
    """The landing of one feed.

    Attributes:
        store: at `LANDING_URL`.
        feed: its name.
        landing: its folder on this machine.
        quarantine: its quarantine on this machine.
        patience: how many seconds to wait for another process of this machine that takes objects of the feed.
    """

    store: ConditionalStore
    feed: str
    landing: Path
    quarantine: Path
    patience: float

    def delivered(self) -> Delivered:
        """What is in the store. Objects below subfolders, and those with names that landing does not take, are ignored.

        Raises:
            ObjectStoreError: the store can't be listed.
        """
        files, ignored = [], 0
        for found in self.store.list(self.feed):
            folder, _, name = found.key.partition("/")
            if not name or folder != self.feed or name.startswith("."):
                continue
            if "/" in name or is_unfinished(name) or len(name.encode()) > NAME_BYTES:
                ignored += 1
            else:
                files.append(self._file(name, found))
        return Delivered(sorted(files, key=lambda file: file.name), ignored)

    def _file(self, name: str, found: StoredObject) -> FoundFile:
        # By whole microseconds: a fraction of seconds would be rounded.
        written = (found.modified_at - EPOCH) // dt.timedelta(microseconds=1) * 1000
        return FoundFile(f"{self.store.url}/{self.feed}/{name}", name, found.size, written, version=found.version)

    def free(self, files: Sequence[FoundFile], now: dt.datetime) -> list[FoundFile]:
        """Those objects that no other machine has claimed."""
        claims = read_claims(self.store, self.feed) if files else {}
        if not claims:
            return [*files]
        claimed = {digest for digest, claim in claims.items() if claim.holds(now)}
        others = claimed - {note.digest for note in read_notes(self.landing)}
        return [file for file in files if note_of(file).digest not in others]

    def fetched(self, files: Sequence[FoundFile]) -> set[str]:
        """The names of those objects that are in landing on this machine already."""
        here = {note.digest for note in read_notes(self.landing) if note.is_in(self.landing)}
        return {file.name for file in files if note_of(file).digest in here} if here else set()

    def take(self, wanted: Callable[[FoundFile], bool], now: dt.datetime) -> tuple[int, int]:
        """Claim and fetch what is wanted. A name that landing has already waits until that file has left it.

        Args:
            wanted: which objects.
            now: the present moment, with a time zone.

        Returns:
            How many objects were fetched, and how many were not: another machine has them, or they were replaced.

        Raises:
            ObjectStoreError: the store can't be used, or lacks a condition; what was fetched by then is in landing.
        """
        self.store.require_conditions()
        with self._alone():
            forget_parts(self.landing)
            # What a killed load has refused: fetched again, it would be refused once more.
            self._mark_refused()
            self._release()
            listed, claims = self.delivered().files, read_claims(self.store, self.feed)
            digests = {note_of(file).digest for file in listed}
            forget_gone(self.landing, digests)
            forget_orphans(self.store, claims, digests, now)
            names = {file.path.name for file in discover(self.landing)}
            todo = [note_of(file) for file in listed if file.name not in names and wanted(file)]
            if not todo:
                return 0, 0
            machine = self._machine()

            def take_one(note: ObjectNote) -> bool:
                # The note is there before the claim: who dies in between must know its own claim again.
                write_note(self.landing, note)
                if claim(self.store, self.feed, note, machine, claims.get(note.digest), now):
                    reached(Landing.CLAIMED)
                    return self._fetch(note)
                forget_note(self.landing, note)
                return False

            fetched = sum(_each(take_one, todo))
            flush(self.landing)
            return fetched, len(todo) - fetched

    def _machine(self) -> str:
        """An id of the folder that objects are fetched to: whoever works there continues what another one began."""
        path = self.landing / OBJECTS / ".machine"
        if not path.exists():
            write_whole(path, uuid.uuid4().hex.encode())
        return path.read_text()

    def _fetch(self, note: ObjectNote) -> bool:
        """Fetch a claimed object; returns whether it is in landing."""
        try:
            sha256 = self._download(note)
        except (ObjectChanged, ObjectMissing):
            # Its writer has replaced it: the new version is another object, which is listed next time.
            write_note(self.landing, replace(note, dealt=Dealt.GIVEN_BACK))
            return False
        reached(Landing.FETCHED)
        write_note(self.landing, replace(note, sha256=sha256))
        reached(Landing.NOTED)
        if os.path.lexists(self.landing / note.name):  # somebody has put a file there meanwhile
            return False
        part_of(self.landing, note).rename(self.landing / note.name)
        reached(Landing.LANDED)
        return True

    def _download(self, note: ObjectNote) -> str:
        """Fetch the bytes of the version that was listed; returns their SHA-256."""
        part, digest, size = part_of(self.landing, note), hashlib.sha256(), 0
        with part.open("wb") as stream:
            for piece in self.store.read_version(f"{self.feed}/{note.name}", note.version):
                digest.update(piece)
                size += stream.write(piece)
            stream.flush()
            # Bytes before the name: after a power cut the name could otherwise lead to an empty file.
            os.fsync(stream.fileno())
        if size != note.size:
            raise ObjectStoreDown(f"{self.store.url}: of {note.name} {size:,} of {note.size:,} bytes came")
        os.utime(part, ns=(note.mtime_ns, note.mtime_ns))
        return digest.hexdigest()

    def undecided(self) -> list[ObjectNote]:
        """The objects that were fetched, are not in landing any more, and not in quarantine."""
        self._mark_refused()
        return self._gone()

    def _gone(self) -> list[ObjectNote]:
        notes = read_notes(self.landing)
        return [note for note in notes if note.sha256 and not note.dealt and has_left(self.landing, note)]

    def _mark_refused(self) -> None:
        for note, refused in refused_of(self.quarantine, self._gone()).items():
            # What was refused of a zip archive is a part of it.
            if any(file.name == note.name for file in refused):
                write_note(self.landing, replace(note, dealt=Dealt.REFUSED))

    def mark(self, dealt: Mapping[ObjectNote, Dealt]) -> None:
        """Note how objects were dealt with. From then on they are taken off the store without asking the warehouse."""
        for note, how in dealt.items():
            write_note(self.landing, replace(note, dealt=how))
            reached(Landing.MARKED)

    def release(self) -> dict[str, str]:
        """Take what was dealt with off the store; returns the names of objects that stay, each with why."""
        try:
            with self._alone():
                return self._release()
        except ObjectStoreError as error:
            return {note.name: str(error) for note in read_notes(self.landing) if note.dealt}

    def _release(self) -> dict[str, str]:
        done = [note for note in read_notes(self.landing) if note.dealt]
        claims = read_claims(self.store, self.feed) if done else {}
        refused = refused_of(self.quarantine, [note for note in done if note.dealt is not Dealt.GIVEN_BACK])
        down = list[str]()

        def release_one(note: ObjectNote) -> str:
            # Each object would wait anew for a store that does not answer: ten thousand of them for half a day.
            if down:
                return down[0]
            try:
                self._release_one(note, claims.get(note.digest), refused.get(note, ()))
            except ObjectStoreError as error:
                if isinstance(error, ObjectStoreDown):
                    down.append(str(error))
                return str(error)
            return ""

        return {note.name: why for note, why in zip(done, _each(release_one, done), strict=True) if why}

    def _release_one(self, note: ObjectNote, last: Claim | None, refused: Sequence[Refused]) -> None:
        for file in refused:
            copy_refused(self.store, self.feed, file)
        # Where somebody has taken a refused file out of quarantine, the object is given back.
        if note.dealt is Dealt.ARCHIVED or (note.dealt is Dealt.REFUSED and refused):
            self._delete(note)
            reached(Landing.DELETED)
        # After the object: without its claim another machine would take it.
        self.store.delete(last.keys if last else ())
        reached(Landing.UNCLAIMED)
        forget_note(self.landing, note)

    def _delete(self, note: ObjectNote) -> None:
        key = f"{self.feed}/{note.name}"
        try:
            there = self._file(note.name, self.store.head(key))
        except ObjectMissing:
            return
        # The same bytes, written again, may have the same version, and another time. Compared to the second, since some
        # stores list milliseconds, and tell none of a single object.
        if there.mtime_ns // SECOND == note.mtime_ns // SECOND:
            self.store.delete_version(key, note.version)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Nobody else on this machine takes objects of the feed meanwhile."""
        folder = self.landing / OBJECTS
        ensure_folder(folder)
        try:
            with FileLock(folder / ".lock", timeout=self.patience):
                yield
        except Timeout:
            raise ObjectStoreDown(
                f"{self.feed}: another process takes objects from {self.store.url} for more than {self.patience:g} s;"
                " ask for a new run when it has ended"
            ) from None


def _each(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    with ThreadPoolExecutor(THREADS) as pool:
        return [*pool.map(work, items)]
