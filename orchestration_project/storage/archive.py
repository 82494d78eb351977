"""Where files stay after landing: the layout of the archive, reasons in quarantine, and how a file is written whole.

    archive/<feed>/<batch>/<name>                  the first delivery of a name
    archive/<feed>/<batch>/v2/<name>               its next delivery, and so on
    archive/<feed>/<batch>/duplicate/<name>        bytes that another file already carried
    archive/<feed>/<batch>/sales.zip/monday.csv    the name of a file that came in a zip archive, see `members`
    archive/<feed>/waivers/<when>-<digest>.json    who decided that which rejects will not be corrected, and why

In the place of an old file there may be a link that says where its bytes are: see `cold`.

The archive alone is enough to rebuild the warehouse: batch, order and duplicates are in the folders, the version comes
from the bytes, and the modification time is kept. How files get there from landing is in `transfer`.
"""

import datetime as dt
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import chain, count
from pathlib import Path

from orchestration_project.errors import FileRefused, RepairError
from orchestration_project.storage.files import FoundFile, discover, discover_cold, find_archived, sha256_of
from orchestration_project.storage.members import discover_members

DELIVERY = re.compile(r"v([1-9]\d*)")
DUPLICATES = "duplicate"
REASON = ".reason.json"
# What Linux's file systems allow for a name.
NAME_BYTES = 255
LONGEST_ENDING = 16


@dataclass(frozen=True, slots=True)
class Archived:
    """A file in the archive, and its number among the deliveries of that name."""

    file: FoundFile
    number: int


def archive_folder(root: Path, key: str, number: int, duplicate: bool) -> Path:
    """The folder for the `number`-th delivery of a name to the batch with partition key `key`."""
    folder = root / key
    if duplicate:
        folder /= DUPLICATES
    return folder if number == 1 else folder / f"v{number}"


def archived(root: Path, key: str) -> list[Archived]:
    """All files in the archive for a batch, in order of delivery: first deliveries, then second ones, and so on."""
    folder = root / key
    # Duplicates, too: only all deliveries together tell under which name the same bytes came first.
    found = [*_deliveries(folder), *_deliveries(folder / DUPLICATES)]
    return sorted(found, key=lambda item: (item.number, item.file.name))


def _deliveries(folder: Path) -> Iterator[Archived]:
    yield from (Archived(file, 1) for file in _files_in(folder))
    if folder.is_dir():
        for child in folder.iterdir():
            if number := DELIVERY.fullmatch(child.name):
                yield from (Archived(file, int(number[1])) for file in _files_in(child))


def _files_in(folder: Path) -> list[FoundFile]:
    return [*discover(folder), *discover_cold(folder), *discover_members(folder, is_reserved, find_archived)]


def is_reserved(name: str) -> bool:
    """Whether a name is that of one of the folders that the archive has for a batch."""
    return name == DUPLICATES or DELIVERY.fullmatch(name) is not None


def ensure_storable(name: str) -> None:
    """Make sure that a file can go to the archive.

    Raises:
        FileRefused: its name is that of one of the archive's own folders, or too long.
    """
    first, *inside = name.split("/")
    if any(len(part.encode()) > NAME_BYTES for part in (first, *inside)):
        raise FileRefused(
            "name_too_long", f"{name!r} has more than {NAME_BYTES} bytes; deliver it under a shorter name"
        )
    # It would lie where the folder of a later delivery, or of a duplicate, has to be made.
    if is_reserved(first):
        raise FileRefused(
            "reserved_name", f"{first!r} is the name of a folder in the archive; deliver it as {first}.csv"
        )


def batch_keys(root: Path) -> list[str]:
    """The names of the batch folders in an archive."""
    return sorted(child.name for child in root.iterdir() if child.is_dir()) if root.is_dir() else []


def write_reason(refused: Path, reason: Mapping[str, object]) -> None:
    """Write `<name>.reason.json` beside the place of a refused file, and flush it to disk."""
    with refused.with_name(f"{refused.name}{REASON}").open("w", encoding="utf-8") as stream:
        json.dump(reason, stream, ensure_ascii=False, indent=2, default=str)
        stream.write("\n")
        # The refused file follows at once, and none may be in quarantine without a reason, not even after a power cut.
        stream.flush()
        os.fsync(stream.fileno())


def is_about(refused: Path, name: str) -> bool:
    """Whether the reason beside a refused file says that it was delivered under a name."""
    try:
        return bool(json.loads(refused.with_name(f"{refused.name}{REASON}").read_bytes())["file"] == name)
    except (OSError, ValueError, TypeError, KeyError):
        return False


def free_name(folder: Path, name: str) -> Path:
    """The name, or the first of `name.2.csv`, ... that is not taken; cut so that its reason's name fits too."""
    stem, dot, ending = name.rpartition(".")
    # A long part behind the last dot is no ending but a piece of the name, and may be cut like the rest.
    if not stem or len(ending) > LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    # Cut by bytes: a letter beyond ASCII has up to four, and half of one is left away.
    room = NAME_BYTES - len(f".{'9' * 6}{dot}{ending}{REASON}".encode())
    stem = stem.encode()[:room].decode(errors="ignore")
    numbers = chain([""], (f".{number}" for number in count(2)))
    targets = (folder / f"{stem}{number}{dot}{ending}" for number in numbers)
    # lexists: a link that leads nowhere takes the name as well.
    return next(target for target in targets if not os.path.lexists(target))


def ensure_bytes(path: Path, sha256: str) -> None:
    """Make sure that a file in the archive still has the bytes that were accepted.

    Raises:
        FileRefused: it has other bytes.
        FileNotFoundError: it is gone.
    """
    archived_file = find_archived(path)
    # Who fetches bytes from the cold archive compares them. Here its link has to say the right ones.
    if ((archived_file and archived_file.cold) or sha256_of(path)) != sha256:
        raise FileRefused("damaged", f"{path} does not have the bytes that it had when it was accepted")


def write_whole(path: Path, content: bytes, replacing: bool = False) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut.

    Args:
        path: where to.
        content: all of it.
        replacing: whether to replace a file that is there; it stays until the new one is whole.

    Raises:
        FileExistsError: something is there and `replacing` is off; it stays as it is.
    """
    ensure_folder(path.parent)
    if not replacing and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "will not be overwritten", str(path))
    # In the same folder, since a rename is one step only within a file system; hidden, so that no reader lists it.
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as writer:
            writer.write(content)
            writer.flush()
            # Bytes before the name: after a power cut the name could otherwise lead to an empty file.
            os.fsync(writer.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


def ensure_folder(folder: Path) -> None:
    """Make a folder and its parents, and flush each to disk: else a power cut could take the files in it away."""
    if not folder.is_dir():
        ensure_folder(folder.parent)
        # Another process may make it at the same time.
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def flush(folder: Path) -> None:
    """Flush a folder's list of files to disk: a rename is safe against a power cut only after that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


FOLDER = "waivers"


@dataclass(frozen=True, slots=True)
class Waiver:
    """Rejects that will not be corrected, by somebody's decision; `waived_at` has a time zone."""

    waived_by: str
    because: str
    waived_at: dt.datetime
    reject_ids: tuple[str, ...]


def write_waiver(archive: Path, waiver: Waiver) -> Path:
    """Write a waiver to a feed's archive, whole or not at all; returns its file."""
    text = json.dumps(asdict(waiver), ensure_ascii=False, indent=2, default=dt.datetime.isoformat) + "\n"
    moment = waiver.waived_at.astimezone(dt.UTC)
    # The names sort by time; the digest keeps two decisions of one moment apart.
    path = archive / FOLDER / f"{moment:%Y%m%dT%H%M%S.%fZ}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
    write_whole(path, text.encode())
    return path


def waivers_listing(archive: Path) -> str:
    """A digest of the names, sizes and times of a feed's waiver files, without reading them; empty without files."""
    # Asked at each load, while waivers change seldom: reading them all each time made a day cost more with the years.
    found = ((path.name, path.lstat()) for path in _files(archive / FOLDER))
    listed = "".join(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n" for name, stat in found)
    return hashlib.sha256(listed.encode()).hexdigest() if listed else ""


def read_waivers(archive: Path) -> list[Waiver]:
    """All waivers of a feed, the oldest first.

    Raises:
        RepairError: one can't be read; the message names it.
    """
    return sorted(_read(archive / FOLDER), key=lambda waiver: (waiver.waived_at, waiver.waived_by, waiver.because))


def _read(folder: Path) -> Iterator[Waiver]:
    for path in _files(folder):
        try:
            waiver = _waiver(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise RepairError(
                f"{path} can't be read as a waiver: restore it from a backup, or remove it and waive its rejects again"
            ) from error
        yield waiver


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[!.]*.json"))


def _waiver(waived_by: str, because: str, waived_at: str, reject_ids: list[str]) -> Waiver:
    # A text in the place of the list would be read as the ids of its letters.
    if not isinstance(reject_ids, list):
        raise TypeError("reject_ids is a list")
    moment = dt.datetime.fromisoformat(waived_at).astimezone(dt.UTC)
    return Waiver(str(waived_by), str(because), moment, tuple(map(str, reject_ids)))
