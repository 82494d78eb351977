"""Prepare candidates for reading: each file's encoding, header and number of records, or why it can't be read."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FileKey, FileRefused
from orchestration_project.failpoints import Point, reached
from orchestration_project.formats.prepare import Prepared, prepare
from orchestration_project.formats.repair_files import form_of
from orchestration_project.formats.stage import count
from orchestration_project.ingest.model import Candidate, Candidates, Unfit
from orchestration_project.ingest.session import Session
from orchestration_project.storage.files import ensure_unchanged, map_files

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def prepare_latest(session: Session, candidates: Candidates) -> Candidates:
    """Prepare the candidate of each file that counts; of one that can't be read, the candidate before it.

    Raises:
        WarehouseError: a file in the archive can't be read any more.
    """
    while waiting := [candidate for candidate in candidates.latest if candidate.prepared is None]:
        prepared, faults = _prepare_all(session, waiting)
        candidates = candidates.with_prepared(prepared).without(faults)
    return candidates


def _prepare_all(
    session: Session, waiting: list[Candidate]
) -> tuple[Mapping[FileKey, Prepared], Mapping[FileKey, Unfit]]:
    """How each file is read, and what is wrong with the others."""
    prepared: dict[FileKey, Prepared] = {}
    faults: dict[FileKey, Unfit] = {}
    tried = map_files(lambda item: _prepare(session, item), waiting, lambda item: item.file.size)
    told = f"{session.feed.name}: files prepared"
    for candidate, result in session.progress.of(tried, told, len(waiting)):
        if isinstance(result, Prepared):
            prepared[candidate.key] = result
            reached(Point.PREPARED)
        else:
            faults[candidate.key] = result
    return prepared, faults


def _prepare(session: Session, candidate: Candidate) -> Prepared:
    path, limit = candidate.file.path, session.settings.max_file_bytes
    try:
        prepared = prepare_counted(session.connection, session.feed, path, candidate.name, session.work, limit)
    except (FileNotFoundError, FileRefused):
        # What is wrong with a file that was replaced meanwhile says nothing about the one that is there now.
        ensure_unchanged(candidate.file)
        raise
    ensure_unchanged(candidate.file)
    return prepared


def prepare_counted(
    connection: "DuckDBPyConnection", feed: Feed, path: Path, name: str, work: Path, max_bytes: int
) -> Prepared:
    """Prepare one file, its records counted.

    Args:
        connection: counts what is not text.
        feed: the contract.
        path: the file.
        name: its logical name.
        work: a folder in which one for this file's rewritten copies is made.
        max_bytes: how large the file may be, decompressed.

    Raises:
        FileRefused: the file can't be read.
        FileNotFoundError: there is none.
    """
    prepared = prepare(form_of(feed, name), path, name, Path(tempfile.mkdtemp(dir=work)), max_bytes)
    return replace(prepared, records=count(connection, feed, prepared, max_bytes))
