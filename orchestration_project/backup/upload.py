"""What of a backup has to be stored, and storing it. Several threads use one uploader.

An object is stored if the place does not have one of its name and size. So what a killed backup has stored is used, and
what is missing or was cut off there is stored again.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from orchestration_project.backup.memory import Last
from orchestration_project.backup.model import Snapshot, Stored
from orchestration_project.backup.sealing import ZSTD, Keys, pack, seal
from orchestration_project.backup.vault import Vault


@dataclass(slots=True)
class Uploader:
    """Stores contents as objects, each once.

    Attributes:
        vault: where they go.
        keys: what encrypts them.
        work: a folder for what is under way.
        present: the bytes of the objects that are there, by name.
        known: what was stored of a content, by its SHA-256 and how it was packed.
        put, bytes: how many objects were stored, and their bytes.
    """

    vault: Vault
    keys: Keys
    work: Path
    present: dict[str, int]
    known: dict[tuple[str, str], Stored] = field(default_factory=dict)
    put: int = 0
    bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def begin(cls, vault: Vault, keys: Keys, work: Path, last: Last, previous: Snapshot | None) -> "Uploader":
        """An uploader that knows what the last snapshot saved, and what of it is still there."""
        present = {name: size for name, size in vault.sizes().items() if name not in last.damaged}
        uploader = cls(vault, keys, work, present)
        # What was encrypted for other recipients, or not at all, is none that counts under this key.
        if previous and previous.sealed_for == keys.recipients:
            uploader.known = {_identity(item): item for item in last.catalogue.stored if uploader._is_there(item)}
        return uploader

    def has(self, stored: Stored) -> bool:
        """Whether a content is stored, by the present key, as far as the list of objects can tell."""
        return self.known.get(_identity(stored)) == stored

    def known_content(self, sha256: str) -> Stored | None:
        """Where a content is that the last snapshot or this one has stored; None if it is not."""
        return self.known.get((sha256, ZSTD)) or self.known.get((sha256, ""))

    def save(self, source: Path, compress: bool, ensure: Callable[[], None] = lambda: None) -> Stored:
        """Store a content; returns where it is.

        Args:
            source: the file that has it.
            compress: whether it may get smaller by that.
            ensure: called when the file was read; raises if it was not the one that was meant.
        """
        with self.scratch() as path:
            packed = pack(source, path, compress)
            ensure()
            if known := self.known.get((packed.sha256, packed.how)):
                return known
            stored = seal(packed, self.keys)
            if not self._is_there(stored):
                self.vault.put(stored, path)
            with self._lock:
                # Two threads may have put the same object; it is one all the same.
                if not self._is_there(stored):
                    self.put += 1
                    self.bytes += stored.size
                    self.present[stored.object] = stored.size
                return self.known.setdefault((packed.sha256, packed.how), stored)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A path for a file that is needed for a moment."""
        path = self.work / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def new_folder(self) -> Path:
        """A new folder for what is needed up to the end of the backup."""
        folder = self.work / uuid.uuid4().hex
        folder.mkdir()
        return folder

    def _is_there(self, stored: Stored) -> bool:
        return self.present.get(stored.object) == stored.size


def _identity(stored: Stored) -> tuple[str, str]:
    return stored.sha256, ZSTD if stored.how.startswith(ZSTD) else ""
