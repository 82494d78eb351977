"""Where files go after landing: the archive of what was delivered, and quarantine.

    archive/<feed>/<batch>/<name>                  the first delivery of a name
    archive/<feed>/<batch>/v2/<name>               its next delivery, and so on
    archive/<feed>/<batch>/duplicate/<name>        bytes that another file already carried

The archive alone is enough to rebuild the warehouse: the folder tells batch, order and duplicates, the bytes tell the
version, the modification time is kept.
"""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from orchestration_project.errors import FileRefused
from orchestration_project.storage.files import FoundFile, discover, sha256_of

DELIVERY = re.compile(r"v([1-9]\d*)")
DUPLICATES = "duplicate"
REASON = ".reason.json"
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
    """All that the archive holds for a batch, in order of delivery of each name."""
    folder = root / key
    found = [*_deliveries(folder), *_deliveries(folder / DUPLICATES)]
    return sorted(found, key=lambda item: (item.number, item.file.name))


def _deliveries(folder: Path) -> Iterator[Archived]:
    yield from (Archived(file, 1) for file in discover(folder))
    if folder.is_dir():
        for child in folder.iterdir():
            if number := DELIVERY.fullmatch(child.name):
                yield from (Archived(file, int(number[1])) for file in discover(child))


def ensure_storable(name: str) -> None:
    """Make sure that a file can go to the archive.

    Raises:
        FileRefused: its name is that of one of the archive's own folders, or too long.
    """
    if len(name.encode()) > NAME_BYTES:
        raise FileRefused(
            "name_too_long", f"{name!r} has more than {NAME_BYTES} bytes; deliver it under a shorter name"
        )
    if name == DUPLICATES or DELIVERY.fullmatch(name):
        raise FileRefused("reserved_name", f"{name!r} is the name of a folder in the archive; deliver it as {name}.csv")


def batch_keys(root: Path) -> list[str]:
    """The names of the batch folders in an archive."""
    return sorted(child.name for child in root.iterdir() if child.is_dir()) if root.is_dir() else []


def write_reason(refused: Path, reason: Mapping[str, object]) -> None:
    """Write `<name>.reason.json` beside the place of a refused file, and to disk."""
    with refused.with_name(f"{refused.name}{REASON}").open("w", encoding="utf-8") as stream:
        json.dump(reason, stream, ensure_ascii=False, indent=2, default=str)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())


def free_name(folder: Path, name: str) -> Path:
    """The name, or the first of `name.2.csv`, ... that is not taken; cut so that its reason's name fits too."""
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > LONGEST_ENDING:
        stem, dot, ending = name, "", ""
    room = NAME_BYTES - len(f".{'9' * 6}{dot}{ending}{REASON}".encode())
    stem = stem.encode()[:room].decode(errors="ignore")
    numbers = chain([""], (f".{number}" for number in count(2)))
    targets = (folder / f"{stem}{number}{dot}{ending}" for number in numbers)
    return next(target for target in targets if not os.path.lexists(target))


def ensure_bytes(path: Path, sha256: str) -> None:
    """Make sure that a file in the archive has the bytes that it is known by.

    Raises:
        FileRefused: it has others.
        FileNotFoundError: it is gone.
    """
    if sha256_of(path) != sha256:
        raise FileRefused("damaged", f"{path} does not have the bytes that it had when it was accepted")


def write_whole(path: Path, content: bytes, replacing: bool = False) -> None:
    """Write a file so that it is there whole or not at all, even after a power cut.

    Args:
        path: where to.
        content: all of it.
        replacing: let it take the place of a file that is there, which stays until then.

    Raises:
        FileExistsError: something is there; it stays as it is.
    """
    ensure_folder(path.parent)
    if not replacing and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "will not be overwritten", str(path))
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("wb") as writer:
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


def ensure_folder(folder: Path) -> None:
    """Make a folder and those above it, each of them on disk."""
    if not folder.is_dir():
        ensure_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def flush(folder: Path) -> None:
    """Have on disk which files are in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
