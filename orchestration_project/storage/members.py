"""Where zip archives and what was in them stay: files of their own that wait for a load, and the delivered archive.

    archive/<feed>/.unpacked/.new/...                          while an archive is being unpacked
    archive/<feed>/.unpacked/7/sales.zip/monday.csv            waits for a load, as a file in landing does
    archive/<feed>/.unpacked/7/.zip/sales.zip                  the archive, until all that it replaces is dealt with
    archive/<feed>/zips/2024-03-04.<version>/sales.zip         the archive, as it was delivered

Here is only the layout. What is in an archive is read in `formats.zip_members`, and the steps are in `ingest.unpack`.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from orchestration_project.hashes import shown
from orchestration_project.storage.files import FoundFile, discover, find, find_archived

UNPACKED = ".unpacked"
NEW = ".new"
ZIP = ".zip"
ZIPS = "zips"


def discover_members(
    folder: Path,
    apart: Callable[[str], bool] = lambda _: False,
    look: Callable[[Path], FoundFile | None] = find,
) -> list[FoundFile]:
    """The files below the visible folders of a folder, by path: of `sales.zip/monday.csv`, `sales.zip` is the folder.

    Args:
        folder: where zip archives have a folder each.
        apart: whether a folder of that name is none of a zip archive.
        look: returns the file at a path.
    """
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    roots = [folder / name for name in names if not name.startswith(".") and not apart(name)]
    paths = (Path(top, name) for root in roots for top, _, files in os.walk(root) for name in files)
    found = (replace(file, name=file.path.relative_to(folder).as_posix()) for path in paths if (file := look(path)))
    return sorted(found, key=lambda file: file.name)


def unpacked(archive: Path) -> list[FoundFile]:
    """The members that wait for a load. Of a name that came twice, the later one."""
    found = {file.name: file for folder in unpackings(archive) for file in discover_members(folder)}
    return [*found.values()]


def unpackings(archive: Path) -> list[Path]:
    """The folders of unpacked archives, in the order in which these came."""
    root = archive / UNPACKED
    # Mostly nothing was ever unpacked, and every tick of a sensor asks.
    folders = [child for child in root.iterdir() if child.name.isdecimal()] if root.is_dir() else []
    return sorted(folders, key=lambda folder: int(folder.name))


def has_unpackings(archive: Path) -> bool:
    """Whether archives were unpacked, or were being unpacked by a process that died, and are not done with."""
    return (archive / UNPACKED).is_dir()


def unfinished(folder: Path) -> FoundFile | None:
    """The archive of a folder of `unpackings`, while what it replaces is not dealt with."""
    return next(iter(discover(folder / ZIP)), None)


def new_unpacking(archive: Path) -> Path:
    """An empty folder to unpack into; what a killed load has left there goes."""
    discard_new(archive)
    folder = archive / UNPACKED / NEW
    (folder / ZIP).mkdir(parents=True)
    return folder


def discard_new(archive: Path) -> None:
    """Remove what was unpacked of an archive that was not taken."""
    shutil.rmtree(archive / UNPACKED / NEW, ignore_errors=True)


def next_unpacking(archive: Path) -> Path:
    """The folder that `new_unpacking` gets as its place once it is whole."""
    last = max((int(folder.name) for folder in unpackings(archive)), default=0)
    return archive / UNPACKED / str(last + 1)


def place_of_zip(archive: Path, key: str, sha256: str, name: str) -> Path:
    """Where an archive is kept, by the partition key of its batch: its version stands in the path."""
    # With the key: an `export.zip` that has the bytes of the day before is another delivery.
    return archive / ZIPS / f"{key}.{shown(sha256)}" / name


def version_in(place: Path) -> str:
    """The first hex digits of the SHA-256 that an archive had when it got its place."""
    return place.parent.name.rpartition(".")[2]


def kept_zips(archive: Path, name: str = "") -> list[FoundFile]:
    """The archives that were unpacked, by place; those of a name, or all."""
    # A pattern that ends with a name would leave out links, which lead nowhere.
    root = archive / ZIPS
    paths = (folder / name for folder in root.glob("*")) if name else root.glob("*/*")
    return [file for path in sorted(paths) if (file := find_archived(path))]


def remove_empty(archive: Path) -> None:
    """Remove the folders of archives of which nothing waits any more."""
    root = archive / UNPACKED
    for top, _, _ in os.walk(root, topdown=False):
        with suppress(OSError):  # it has files
            Path(top).rmdir()


def take_over_unpacked(old: Path, new: Path) -> None:
    """Move what waits in the archive of a feed that was renamed. Call it again after a kill."""
    for folder in unpackings(old):
        (new / UNPACKED).mkdir(parents=True, exist_ok=True)
        shutil.move(folder, next_unpacking(new))
