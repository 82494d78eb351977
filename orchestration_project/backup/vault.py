"""The place of the backups, an object store, and how snapshots and objects lie in it.

    objects/3f/3fa9...                    an object, named by the SHA-256 of its bytes
    snapshots/20240116T020000000000Z      a snapshot: JSON, compressed by zstd
    running/<deployment>                  a backup is under way, and no other one begins

What is taken and what is kept is decided elsewhere.
"""

import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.backup.model import STAMP, BackupBroken, BackupError, Snapshot, Stored
from orchestration_project.errors import ObjectMissing, ObjectStoreError
from orchestration_project.failpoints import Backup, reached
from orchestration_project.storage.files import sha256_of
from orchestration_project.storage.objects import ObjectStore, open_objects

OBJECTS, SNAPSHOTS, RUNNING = "objects", "snapshots", "running"
ABANDONED = dt.timedelta(days=1)
"""A mark that is older is that of a machine that is gone."""
NOT_SET = "BACKUP_URL is not set, so there is no second place: a folder on another disk, s3://bucket/prefix, ..."


@dataclass(frozen=True, slots=True)
class Vault:
    """Snapshots and objects below one URL."""

    store: ObjectStore

    def put(self, stored: Stored, content: Path) -> None:
        """Store an object; where it is there already it stays the same."""
        self.store.put(_key(stored.object), content)
        reached(Backup.OBJECT_PUT)

    def sizes(self) -> dict[str, int]:
        """The bytes of all objects that there are, by name."""
        return {item.key.rpartition("/")[2]: item.size for item in self.store.list(OBJECTS)}

    def fetch(self, name: str, target: Path) -> None:
        """Write an object's bytes to a file, and make sure that they are those that were put there.

        Raises:
            BackupBroken: it is missing, or not whole.
        """
        try:
            self.store.download(_key(name), target)
        except ObjectMissing as error:
            raise BackupBroken(f"the object {name} is missing") from error
        if sha256_of(target) != name:
            raise BackupBroken(f"the object {name} is damaged: its bytes are not those that were put there")

    def snapshot_ids(self) -> list[str]:
        """The names of all snapshots, the oldest first."""
        return sorted(item.key.rpartition("/")[2] for item in self.store.list(SNAPSHOTS))

    def snapshot(self, name: str) -> Snapshot:
        """A snapshot.

        Raises:
            BackupBroken: it is missing or damaged.
            BackupError: a newer release has made it.
        """
        import zstandard

        try:
            text = self.store.get(f"{SNAPSHOTS}/{name}")
            found = Snapshot.from_json(zstandard.ZstdDecompressor().decompressobj().decompress(text))
        except (ObjectMissing, BackupBroken, zstandard.ZstdError) as error:
            raise BackupBroken(f"the snapshot {name} is damaged or missing: {error}") from error
        if found.id != name:
            raise BackupBroken(f"the snapshot {name} is that of {found.id}")
        return found

    def latest(self, note: Callable[[str], None]) -> Snapshot | None:
        """The newest snapshot that can be read; those that can't are noted.

        Raises:
            BackupError: a newer release has made one.
        """
        for name in reversed(self.snapshot_ids()):
            try:
                return self.snapshot(name)
            except BackupBroken as error:
                note(str(error))
        return None

    def up_to(self, moment: dt.datetime | None) -> Snapshot:
        """The last snapshot that was taken up to a moment, by default of all.

        Raises:
            BackupError: there is none.
            BackupBroken: it is damaged; an older one is never taken in its place.
        """
        ids = self.snapshot_ids()
        if not ids:
            raise BackupError(f"{self.store.url} has no backup")
        before = [name for name in ids if moment is None or taken_at(name) <= moment]
        if not before:
            raise BackupError(f"{self.store.url} has no backup of before {moment}: the first one is {ids[0]}")
        return self.snapshot(before[-1])

    def commit(self, snapshot: Snapshot) -> None:
        """Let a snapshot count.

        Raises:
            BackupError: another one has its name.
        """
        import zstandard

        text = zstandard.ZstdCompressor(write_checksum=True).compress(snapshot.to_json())
        if not self.store.create(f"{SNAPSHOTS}/{snapshot.id}", text):
            raise BackupError(f"{self.store.url} has another backup of the very moment {snapshot.id}: try again")
        reached(Backup.COMMITTED)

    def forget(self, names: Collection[str]) -> None:
        """Delete snapshots."""
        self.store.delete([f"{SNAPSHOTS}/{name}" for name in names])
        reached(Backup.FORGOTTEN)

    def remove(self, names: Collection[str]) -> None:
        """Delete objects."""
        self.store.delete([_key(name) for name in names])
        reached(Backup.REMOVED)

    @contextmanager
    def marked(self, marker: str, now: dt.datetime) -> Iterator[None]:
        """Be the only one who changes anything here, so that nobody deletes what another backup is about to name.

        Args:
            marker: tells this data folder from others. What a killed backup of it has left is replaced.
            now: the present moment, with a time zone.

        Raises:
            BackupError: another one is under way.
        """
        key = f"{RUNNING}/{marker}"
        self.store.put(key, uuid.uuid4().hex.encode())
        reached(Backup.MARKED)
        try:
            # Written first and looked for afterwards: of two who begin together, at least one sees the other.
            for mark in self.store.list(RUNNING):
                if mark.key != key and now - mark.modified_at < ABANDONED:
                    raise BackupError(
                        f"{self.store.url} is in use by another backup ({mark.key} since {mark.modified_at:%F %R}Z):"
                        " wait for it to end. If its machine is gone, delete that object, or wait for a day"
                    )
            yield
        finally:
            # If the store is what failed, the next backup replaces the mark.
            with suppress(ObjectStoreError):
                self.store.delete([key])


def open_vault(url: str) -> Vault:
    """The vault of an URL; nothing is asked of it yet.

    Raises:
        BackupError: no URL is set.
        ObjectStoreError: it can't be used.
    """
    if not url:
        raise BackupError(NOT_SET)
    return Vault(open_objects(url))


def taken_at(name: str) -> dt.datetime:
    """The moment that a snapshot's name tells."""
    try:
        return dt.datetime.strptime(name, STAMP).replace(tzinfo=dt.UTC)
    except ValueError as error:
        raise BackupBroken(f"{name!r} among the snapshots is none: move it away") from error


def _key(name: str) -> str:
    return f"{OBJECTS}/{name[:2]}/{name}"
