"""The cold archive: a second place, by URL, for old files of the archive; and the link that stands where one was.

    archive/<feed>/<batch>/<name> -> cold:<sha256>:<bytes>:<modification time, in nanoseconds>
    archive/<feed>/zips/<version>/.members/<name>.json     what is in a zip archive whose bytes are there
    COLD_ARCHIVE_URL/files/3f/3fa9...             the bytes, by their SHA-256
    COLD_ARCHIVE_URL/index/<feed>/<when>.json     what was moved from which places

Belongs here: the layout of both sides, and storing and fetching bytes. Which files are moved is told by `retention`,
and with `ARCHIVE_URL` by each load.

The link is a symbolic one that leads nowhere. It takes the file's place in one step, and goes wherever the file would
go: aside when it is withdrawn, into another batch when a feed is rebuilt. Nobody can deliver one, since links in
landing are left alone. The bytes are found by their hash and not by a place, so nothing in the cold archive is ever
replaced.
"""

import datetime as dt
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestration_project.errors import ObjectMissing, ObjectStoreError
from orchestration_project.failpoints import Cold, reached
from orchestration_project.hashes import digest_of
from orchestration_project.storage.archive import ensure_folder, flush, write_whole
from orchestration_project.storage.files import FoundFile, sha256_of
from orchestration_project.storage.objects import ObjectStore, open_objects

FILES, INDEX = "files", "index"
NEW_LINK = ".cold.new"
MEMBERS = ".members"


class ColdArchiveError(ObjectStoreError):
    """The cold archive does not have a file as it was moved there, or nobody knows where it is."""


def key_of(sha256: str) -> str:
    """The key of a file's bytes."""
    return f"{FILES}/{sha256[:2]}/{sha256}"


def sizes(store: ObjectStore) -> Mapping[str, int]:
    """The bytes of each file that a cold archive lists, by SHA-256."""
    return {found.key.rpartition("/")[2]: found.size for found in store.list(FILES)}


def local_path(file: FoundFile, url: str, work: Path) -> Path:
    """Where the bytes of an archived file can be read: in its place, or in a copy that is fetched and compared.

    Args:
        file: the file.
        url: of the cold archive; it is needed only for a file that is there.
        work: a folder for the copy, which stays until the folder is removed.

    Raises:
        ColdArchiveError: the cold archive does not have these bytes.
        ObjectStoreDown: it does not answer.
    """
    if not file.cold:
        return file.path
    copy = Path(tempfile.mkdtemp(dir=work)) / file.path.name
    fetch(file, url, copy)
    return copy


def fetch(file: FoundFile, url: str, target: Path) -> None:
    """Write the bytes of a file in the cold archive to a path, with its modification time; errors as `local_path`."""
    if not url:
        raise ColdArchiveError(
            f"the bytes of {file.path} are in the cold archive: set COLD_ARCHIVE_URL to the place that it had when they"
            " were moved there"
        )
    store = open_objects(url)
    told = f"{file.path} is in the cold archive at {store.url}"
    try:
        store.download(key_of(file.cold), target)
    except ObjectMissing as error:
        raise ColdArchiveError(f"{told}, which does not have it: restore {key_of(file.cold)} there") from error
    if sha256_of(target) != file.cold:
        raise ColdArchiveError(f"{told}, which has other bytes: restore {key_of(file.cold)} there")
    os.utime(target, ns=(file.mtime_ns, file.mtime_ns))


def store_bytes(store: ObjectStore, path: Path, sha256: str, work: Path, present: bool = False) -> None:
    """Make sure that a cold archive has the bytes of a file: store them, and read them back.

    Args:
        store: the cold archive.
        path: of the file, to which nobody writes.
        sha256: of its bytes.
        work: a folder for the copy that is read back.
        present: whether the bytes seem to be there already; then they are only read back.

    Raises:
        ColdArchiveError: other bytes came back.
        ObjectStoreError: the store can't be used.
    """
    if not present:
        store.put(key_of(sha256), path)
        reached(Cold.PUT)
    # Those that a killed run has stored, too: the local bytes go when these are right.
    with tempfile.TemporaryDirectory(dir=work) as folder:
        fetch(FoundFile(str(path), path.name, 0, 0, cold=sha256), store.url, Path(folder, "copy"))
    reached(Cold.READ_BACK)


@contextmanager
def at_hand(file: FoundFile, url: str) -> Iterator[FoundFile]:
    """A file whose bytes are in its place: itself, or a copy that is there during the block; errors as `local_path`."""
    with tempfile.TemporaryDirectory() as folder:
        yield replace(file, location=str(local_path(file, url, Path(folder))), cold="")


def put_link(root: Path, file: FoundFile, sha256: str) -> None:
    """Let a link take the place of a file whose bytes are in the cold archive.

    Args:
        root: the feed's archive.
        file: as it is now, while nobody can move it.
        sha256: of its bytes.
    """
    new = root / NEW_LINK
    new.unlink(missing_ok=True)  # a killed move has left it
    new.symlink_to(f"cold:{sha256}:{file.size}:{file.mtime_ns}")
    # One step: there is the file or the link, and never neither.
    new.replace(file.path)


def note_members(archive: Path, members: Sequence[str]) -> None:
    """Note what a kept zip archive has in it: each newer one of its name asks for that, and would fetch them all."""
    note = archive.parent / MEMBERS / f"{archive.name}.json"
    ensure_folder(note.parent)
    write_whole(note, json.dumps([*members]).encode(), replacing=True)


def noted_members(archive: Path) -> list[str] | None:
    """What a kept zip archive has in it, as it was noted; None: it was not, as where links were made anew."""
    try:
        found: list[str] = json.loads((archive.parent / MEMBERS / f"{archive.name}.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def index_of(root: Path, moved: Sequence[tuple[FoundFile, str]]) -> bytes:
    """What the index tells of files that are moved, each with its SHA-256: where the links stand, and what they say."""
    files = [
        {
            "place": os.fsdecode(file.path.relative_to(root)),
            "sha256": sha256,
            "bytes": file.size,
            "mtime_ns": file.mtime_ns,
        }
        for file, sha256 in moved
    ]
    return json.dumps({"format": 1, "files": files}, indent=1).encode()


def store_index(store: ObjectStore, root: Path, moved: Sequence[tuple[FoundFile, str]], now: dt.datetime) -> None:
    """Store an index of files, which is there before their links are.

    Args:
        store: the cold archive.
        root: the feed's archive.
        moved: the files, each with its SHA-256.
        now: the present moment, which orders the indexes.
    """
    index = index_of(root, moved)
    store.create(f"{INDEX}/{root.name}/{now:%Y%m%dT%H%M%S}-{digest_of(index.decode())}.json", index)
    reached(Cold.INDEXED)


def relink(root: Path, content: bytes) -> int:
    """Make the links that an index tells of, where there is nothing; returns how many.

    Raises:
        ColdArchiveError: it can't be read as an index.
    """
    try:
        links = {
            root / told["place"]: f"cold:{told['sha256']}:{int(told['bytes'])}:{int(told['mtime_ns'])}"
            for told in json.loads(content)["files"]
        }
    except (ValueError, LookupError, TypeError) as error:
        raise ColdArchiveError(f"an index of the cold archive can't be read: {error}") from error
    if out := [place for place in links if not place.resolve().is_relative_to(root.resolve())]:
        raise ColdArchiveError(f"an index of the cold archive names {out[0]}, which is not in the feed's archive")
    missing = {place: link for place, link in links.items() if not os.path.lexists(place)}
    for place, link in missing.items():
        ensure_folder(place.parent)
        place.symlink_to(link)
        flush(place.parent)
    return len(missing)
