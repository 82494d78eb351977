"""Compare a feed's archive and quarantine with its ledger: every file is there, with the bytes that were accepted."""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from orchestration_project.errors import FileChanged, FileRefused, ObjectStoreError
from orchestration_project.ingest.from_archive import archived_batches
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import PAGE, Finding, Verification, load_again
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import REASON, Archived, archived
from orchestration_project.storage.cold import key_of, sizes
from orchestration_project.storage.files import FoundFile, find_archived, fingerprint
from orchestration_project.storage.members import kept_zips, unpacked, version_in
from orchestration_project.storage.objects import masked, open_objects
from orchestration_project.storage.transfer import INCOMING
from orchestration_project.storage.withdrawals import WITHDRAWN
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity

READERS = 4  # files that are hashed at once: more would make a disk seek and slow a network share down


@dataclass(frozen=True, slots=True)
class Archive:
    """A feed's archive as it was listed while the warehouse was locked, so that no load changed it meanwhile.

    Attributes:
        source: the feed.
        root: the archive's folder.
        present: entries whose file is at its place.
        absent: entries whose file is not, with whether it is still in landing, or on its way from there.
        unknown: by batch, the files at places that no entry names.
        versions: the names and hashes that the ledger knows.
        last: of each file, the number of the last delivery that loads know.
        zips: the zip archives that were unpacked.
        cold_archive_url: where the bytes are of those whose place has a link.
    """

    source: ConfiguredFeed
    root: Path
    present: list[tuple[Entry, FoundFile]]
    absent: list[tuple[Entry, bool]]
    unknown: list[tuple[str, Archived]]
    versions: Set[tuple[str, str]]
    last: Mapping[Identity, int]
    zips: list[FoundFile]
    cold_archive_url: str = ""

    def findings(self, counts: Verification) -> Iterator[Finding]:
        """Hash the files; yields what is missing, damaged or unknown, and adds what was read to the counts."""
        yield from (self._absent(entry, waits) for entry, waits in self.absent)
        files = [found for _, found in self.present] + [item.file for _, item in self.unknown] + self.zips
        with ThreadPoolExecutor(READERS) as readers:
            hashes = list(readers.map(_hash, files))
        here = [found for found in files if not found.cold]
        counts.files += len(here)
        counts.bytes += sum(found.size for found in here)
        counts.cold_files += len(files) - len(here)
        yield from self._not_in_cold_archive([found for found in files if found.cold])
        # Not strict: the hashes of the unknown files come behind those of the present ones.
        for (entry, _), sha256 in zip(self.present, hashes, strict=False):
            if sha256 != entry.sha256:
                yield self._damaged(entry, sha256)
        others = hashes[len(self.present) :]
        for (key, item), sha256 in zip(self.unknown, others, strict=False):
            # A further copy of a version that is known loses nothing.
            if (item.file.name, sha256) not in self.versions:
                yield self._unknown(key, item, sha256)
        for found, sha256 in zip(self.zips, others[len(self.unknown) :], strict=True):
            if not sha256.startswith(version_in(found.path)):
                yield self._damaged_zip(found, sha256)

    def _not_in_cold_archive(self, files: Sequence[FoundFile]) -> Iterator[Finding]:
        """The files whose bytes the cold archive does not list with their size."""
        name, url = self.source.feed.name, self.cold_archive_url
        try:
            present = sizes(open_objects(url)) if files else {}
        except ObjectStoreError as error:
            remedy = "set COLD_ARCHIVE_URL, or wait until that place answers, and verify again; loads need it only for"
            told = f"{len(files)} file(s) that were moved there"
            yield Finding(name, "", "", "the cold archive can't be listed", told, str(error), f"{remedy} old files")
            return
        for found in files:
            if present.get(found.cold) != found.size:
                place = found.path.relative_to(self.root)
                remedy = f"restore {key_of(found.cold)} at {masked(url)}, or the file itself from a backup ({PAGE})"
                told = f"{present[found.cold]} bytes" if found.cold in present else "no such object"
                expected = f"{key_of(found.cold)} with {found.size} bytes"
                yield Finding(name, place.parts[0], found.name, "is not in the cold archive", expected, told, remedy)

    def _absent(self, entry: Entry, waits: bool) -> Finding:
        if waits:
            return Finding(
                entry.feed,
                entry.batch,
                entry.file,
                "waits to be moved to the archive",
                str(entry.archived_as),
                "not moved yet",
                load_again(self.source, [entry.batch]),
            )
        return Finding(
            entry.feed,
            entry.batch,
            entry.file,
            "is not in the archive",
            self._place(entry),
            "no such file",
            self._restore(entry),
        )

    def _damaged(self, entry: Entry, sha256: str) -> Finding:
        remedy = f"move the damaged file out of the archive; {self._restore(entry)}"
        return Finding(
            entry.feed,
            entry.batch,
            entry.file,
            f"does not have the bytes that were accepted: {entry.archived_as}",
            f"SHA-256 {entry.sha256}",
            sha256 if " " in sha256 else f"SHA-256 {sha256}",
            remedy,
        )

    def _damaged_zip(self, found: FoundFile, sha256: str) -> Finding:
        return Finding(
            self.source.feed.name,
            "",
            found.name,
            f"does not have the bytes that were delivered: {found.path.relative_to(self.root)}",
            f"SHA-256 {version_in(found.path)}...",
            sha256 if " " in sha256 else f"SHA-256 {sha256}",
            "restore it from a backup, or delete it: its members have places of their own, and no load reads it unless"
            " a newer version comes",
        )

    def _place(self, entry: Entry) -> str:
        return str(self.root / str(entry.archived_as))

    def _restore(self, entry: Entry) -> str:
        # Delivered again, the bytes of a superseded version would be the newest ones and replace what counts.
        again = "" if entry.status is Status.SUPERSEDED else "have the very same file delivered again, or "
        return f"restore {self._place(entry)} from a backup, or {again}accept the loss ({PAGE})"

    def _unknown(self, key: str, item: Archived, sha256: str) -> Finding:
        remedy = load_again(self.source, [key])
        # A load reads an unknown file only if it comes after the last delivery of its name that is known.
        if item.number <= self.last.get((key, item.file.name), 0):
            remedy = (
                f"move it to landing/{self.source.feed.name}/ to have it loaded as a delivery, or out of the archive"
            )
        return Finding(
            self.source.feed.name,
            key,
            item.file.name,
            "is in the archive but not in the ledger",
            "an entry for every archived file",
            f"{item.file.path.relative_to(self.root)} with SHA-256 {sha256}",
            remedy,
        )


def _hash(found: FoundFile) -> str:
    """A file's SHA-256, or why it has none, in words with spaces."""
    try:
        return fingerprint(found)
    except (FileRefused, FileChanged) as error:
        # The lock is free again: it may have been moved to the cold archive since it was listed.
        moved = find_archived(found.path)
        return moved.cold if moved and moved.cold else str(error)


def take_stock(
    settings: Settings,
    source: ConfiguredFeed,
    entries: Sequence[Entry],
    last: Mapping[Identity, int],
    keys: Sequence[str] | None,
) -> Archive:
    """List a feed's archive and match it with the ledger's entries.

    Args:
        settings: where the folders are.
        source: the feed.
        entries: the ledger's entries of the batches, those of refused files left out.
        last: of each file, the number of the last delivery that loads know.
        keys: partition keys of the batches; None for all.
    """
    root, landing = settings.archive(source.feed.name), settings.landing(source.feed.name)
    versions = {(entry.file, entry.sha256) for entry in entries}
    archive = Archive(source, root, [], [], [], versions, last, [], settings.cold_archive_url)
    members = {file.name: file.path for file in unpacked(root)}
    for entry in entries:
        found = find_archived(root / entry.archived_as) if entry.archived_as else None
        if found:
            archive.present.append((entry, found))
        else:
            place = str(entry.archived_as)
            # The last two: a withdrawal or its undoing may have been killed in between.
            waiting = map(
                find_archived,
                (
                    members.get(entry.file, landing / entry.file),
                    root / INCOMING / entry.file,
                    root / WITHDRAWN / place,
                    root / place.removeprefix(f"{WITHDRAWN}/"),
                ),
            )
            archive.absent.append((entry, any(file and _hash(file) == entry.sha256 for file in waiting)))
    archive.zips.extend(kept_zips(root) if keys is None else ())
    places = {root / str(entry.archived_as) for entry in entries}
    for key, _ in archived_batches(root, source.options.batching):
        if keys is None or key in keys:
            archive.unknown.extend((key, item) for item in archived(root, key) if item.file.path not in places)
    return archive


def quarantine_findings(settings: Settings, source: ConfiguredFeed) -> Iterator[Finding]:
    """Files in quarantine without a reason, and reasons without their file."""
    name, folder = source.feed.name, settings.quarantine(source.feed.name)
    names = set(_names(folder))
    for file in sorted(names):
        if f"{file}{REASON}" in names:
            continue
        if not file.endswith(REASON):
            remedy = f"move {folder / file} to landing/{name}/ to have it loaded or refused again"
            yield Finding(
                name, "", file, "is in quarantine without a reason", f"{file}{REASON}", "no such file", remedy
            )
        elif file.removesuffix(REASON) not in names:
            refused = file.removesuffix(REASON)
            remedy = f"delete {folder / file}: the file was taken away, or will be refused again when it is loaded"
            yield Finding(name, "", refused, "is not in quarantine, but its reason is", refused, "no such file", remedy)


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            yield from (entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
