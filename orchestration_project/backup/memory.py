"""What a data folder remembers of its backups, in `$DATA_DIR/.backup/`; and that one backup runs at a time.

    .backup/platform     tells the deployment; comes back with a restore
    .backup/last         what the last backup saved of which file. A cache: without it all files are read again
    .backup/work/        what is under way
    .backup/lock

Nothing here is needed to restore.
"""

import hashlib
import json
import shutil
import socket
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from orchestration_project.backup.model import BackupBroken, BackupError, Catalogue
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole

FOLDER = ".backup"


@dataclass(frozen=True, slots=True)
class Last:
    """The last backup, as this data folder knows it.

    Attributes:
        snapshot: its name; empty: there was none.
        catalogue: what it saved.
        marks: by the path of a saved file, what told then whether the file changes.
        damaged: objects that were found damaged since; they are stored again.
    """

    snapshot: str = ""
    catalogue: Catalogue = field(default_factory=Catalogue)
    marks: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Memory:
    """The folder."""

    folder: Path

    @property
    def work(self) -> Path:
        """For files of the backup that is under way."""
        return self.folder / "work"

    def platform(self) -> str:
        """What tells the deployment from others; made once."""
        path = self.folder / "platform"
        if not path.exists():
            self.set_platform(uuid.uuid4().hex)
        return path.read_text(encoding="ascii").strip()

    def set_platform(self, platform: str) -> None:
        """Be a certain deployment, after a restore."""
        write_whole(self.folder / "platform", platform.encode(), replacing=True)

    def marker(self) -> str:
        """A name for a backup under way: two copies of a deployment, on two machines, have two."""
        place = f"{socket.gethostname()}:{self.folder}"
        return f"{self.platform()}-{hashlib.sha256(place.encode()).hexdigest()[:8]}"

    def last(self) -> Last:
        """The last backup; an empty one if nothing is known of it."""
        import zstandard

        try:
            text = zstandard.ZstdDecompressor().decompressobj().decompress((self.folder / "last").read_bytes())
            found = json.loads(text)
            marks = {path: tuple(mark) for path, mark in found["marks"].items()}
            catalogue = Catalogue.from_json(found["catalogue"].encode())
            return Last(found["snapshot"], catalogue, marks, frozenset(found["damaged"]))
        except (OSError, zstandard.ZstdError, ValueError, LookupError, TypeError, AttributeError, BackupBroken):
            return Last()

    def leave(self) -> None:
        """Leave nothing on a machine that has only looked at backups: it may want to restore one."""
        if not (self.folder / "platform").exists():
            shutil.rmtree(self.folder, ignore_errors=True)
            with suppress(OSError):  # there is more in it
                self.folder.parent.rmdir()

    def keep(self, last: Last) -> None:
        """Remember the last backup."""
        import zstandard

        plain = {
            "snapshot": last.snapshot,
            "catalogue": last.catalogue.to_json().decode(),
            "marks": last.marks,
            "damaged": sorted(last.damaged),
        }
        content = zstandard.ZstdCompressor(write_checksum=True).compress(json.dumps(plain).encode())
        write_whole(self.folder / "last", content, replacing=True)


@contextmanager
def remembering(settings: Settings) -> Iterator[Memory]:
    """The memory of the data folder, with an empty work folder, for the only backup of this folder that runs.

    Raises:
        BackupError: another one runs.
    """
    memory = Memory(settings.data_dir / FOLDER)
    memory.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(memory.folder / "lock", timeout=0):
            shutil.rmtree(memory.work, ignore_errors=True)
            memory.work.mkdir()
            try:
                yield memory
            finally:
                shutil.rmtree(memory.work, ignore_errors=True)
                memory.leave()
    except Timeout as error:
        raise BackupError("another backup of this data folder is under way: wait for it to end") from error
