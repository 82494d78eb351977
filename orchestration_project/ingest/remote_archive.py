"""The part that a load has in an archive that is in an object store (`ARCHIVE_URL`).

    before the commit    the bytes are stored under their SHA-256, read back and compared; others may write meanwhile
    after it             an index that names their places is stored, then a link takes the place of each file

Belongs here: these two steps. The layout is in `storage.cold`, and all readers of archived files fetch by their links.
What a killed load has left as a file is moved by `retention`; its object or file in landing is not taken off before.
"""

import datetime as dt
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestration_project.errors import ObjectStoreError
from orchestration_project.failpoints import Cold, reached
from orchestration_project.ingest.candidates import Candidates
from orchestration_project.ingest.session import Session
from orchestration_project.storage.archive import flush
from orchestration_project.storage.cold import ColdArchiveError, put_link, store_bytes, store_index
from orchestration_project.storage.files import find_archived
from orchestration_project.storage.objects import ObjectStore, open_objects

THREADS = 8


def store_landed(session: Session, candidates: Candidates, stored: set[str]) -> None:
    """Store the bytes of the files that come in from landing, before the load keeps others from writing.

    Args:
        session: of the load.
        candidates: what comes in.
        stored: the SHA-256 of what this load has stored already; grows.

    Raises:
        ObjectStoreError: the store can't be used, or gives other bytes back: somebody may have written to a file.
    """
    files = [(item.file.path, item.sha256) for item in candidates.landed if item.sha256 not in stored]
    store(session, files)
    stored |= {sha256 for _, sha256 in files}


def store(session: Session, files: Sequence[tuple[Path, str]]) -> None:
    """Make sure that the store has the bytes of some files; without `ARCHIVE_URL`, nothing is done.

    Args:
        session: of the load.
        files: their paths, each with its SHA-256.

    Raises:
        ObjectStoreError: it can't be used, or gives other bytes back.
    """
    if not session.settings.archive_url or not files:
        return
    archive = open_objects(session.settings.archive_url)
    with ThreadPoolExecutor(THREADS) as pool, tempfile.TemporaryDirectory(dir=session.work) as folder:
        for _ in pool.map(lambda item: _store_one(archive, item[0], item[1], Path(folder)), files):
            pass
    session.tell(f"{len(files)} file(s) stored in the archive at {archive.url}")


def _store_one(archive: ObjectStore, path: Path, sha256: str, work: Path) -> None:
    # A load that failed has left its bytes there. Over a slow line each attempt would send all of them anew, and hold
    # the warehouse as long; to ask for what is not there takes one short request.
    try:
        store_bytes(archive, path, sha256, work, present=True)
    except ColdArchiveError:  # it does not have them, or other ones
        store_bytes(archive, path, sha256, work)


def link(session: Session, files: Sequence[tuple[str, Path, str]], stored: bool) -> dict[str, str]:
    """Let links take the places of archived files whose bytes the store has; without `ARCHIVE_URL`, none.

    Args:
        session: of the load, which has the warehouse's lock: nobody reads these files meanwhile.
        files: their names in landing, their places in the archive and their SHA-256.
        stored: whether this load has stored their bytes.

    Returns:
        The names of those that have no link, each with why.
    """
    if not session.settings.archive_url:
        return {}
    found = [(file, sha256) for _, place, sha256 in files if (file := find_archived(place)) and not file.cold]
    if not found:
        return {}
    try:
        archive = open_objects(session.settings.archive_url)
        store(session, [] if stored else [(file.path, sha256) for file, sha256 in found])
        store_index(archive, session.archive, found, dt.datetime.now(dt.UTC))
    except ObjectStoreError as error:
        without = {file.path for file, _ in found}
        return {name: str(error) for name, place, _ in files if place in without}
    for file, sha256 in found:
        put_link(session.archive, file, sha256)
        reached(Cold.LINKED)
    for folder in {file.path.parent for file, _ in found}:
        flush(folder)
    return {}
