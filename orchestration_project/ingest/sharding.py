"""Divide what a load reads into shards, and show what they have made as the relations that the next stages ask.

Reading and validating are all that a shard does: each looks at one record, or at one file. What looks at several files
(which record keeps a key, what corrects what, the totals and the reject rate of a file) is asked of the load's own
relations as ever, with the same queries. They read the columns that they need from the shards' Parquet files.

Repair files stay with the load: whether their records are valid depends on other files. A file is never divided.
"""

import heapq
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from orchestration_project.errors import FileKey, ShardFailed
from orchestration_project.formats.stage import stage
from orchestration_project.formats.staging import ReadyFile, show
from orchestration_project.ingest.ignored import mark_ignored, shown_in
from orchestration_project.ingest.model import Apart
from orchestration_project.ingest.relations import KEPT_APART, KEPT_HERE, STAGED_APART, STAGED_HERE, VALIDATED_APART
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.shard import ShardResult, ShardTask
from orchestration_project.ingest.shard_files import lake_folder, remove_own
from orchestration_project.ingest.shard_lake import LakeFolder
from orchestration_project.ingest.shard_parts import Part
from orchestration_project.ingest.shard_runners import run_all
from orchestration_project.storage.batches import is_repair
from orchestration_project.warehouse.tables import literals


def shards_of(session: Session, ready: Sequence[ReadyFile]) -> list[list[ReadyFile]]:
    """The files of each shard; none where the load is better done by this process alone.

    Args:
        session: tells how many shards there may be, and from which size on.
        ready: all files that are read.
    """
    settings, files = session.settings, [file for file in ready if not is_repair(file.name)]
    sizes = {file.key: file.prepared.readable.stat().st_size for file in files}
    if not settings.shards or sum(sizes.values()) < settings.shards_from_bytes:
        return []
    number = min(settings.shards, len(files))
    if number < 2:
        session.tell("read without shards: there are not two files to divide among them")
        return []
    return divided(files, sizes, number)


def divided(files: Sequence[ReadyFile], sizes: dict[FileKey, int], number: int) -> list[list[ReadyFile]]:
    """Files in so many groups of about the same size; each group has them in their order."""
    # The largest first, each to the group that has least: the last ones, which are small, make up for the differences.
    shard_of, least = dict[FileKey, int](), [(0, shard) for shard in range(number)]
    for file in sorted(files, key=lambda file: sizes[file.key], reverse=True):
        size, shard = heapq.heappop(least)
        shard_of[file.key] = shard
        heapq.heappush(least, (size + sizes[file.key], shard))
    return [[file for file in files if shard_of[file.key] == shard] for shard in range(number)]


def read_apart(session: Session, ready: Sequence[ReadyFile], shards: Sequence[Sequence[ReadyFile]]) -> Apart:
    """Have shards read and validate their files, and read the others here; fills `_staged_apart`.

    Args:
        session: outside of a transaction.
        ready: all files that are read.
        shards: the files of each shard.

    Raises:
        FilesUnfit: names files that can't be loaded.
        ShardFailed: a shard failed each time it was tried.
    """
    lake = lake_folder(session)
    tasks = _tasks(session, shards, lake)
    session.tell(f"reading and validating in {len(tasks)} shards, by {session.settings.shards_executor}")
    try:
        results = run_all(tasks, session.settings.shards_executor, session.tell)
    except BaseException:
        if lake:
            remove_own(session)
        raise
    if unfit := {key for result in results for key in result.unfit}:
        _refuse(session, [file for file in ready if file.key in unfit])
    others = [file for file in ready if is_repair(file.name)]
    stage(session.connection, session.feed, session.batching.sql_type, others)
    mark_ignored(session.connection, session.feed, others)
    _show(session, results, len(tasks))
    if lake is None:
        return Apart()
    # Of a divided feed the records go to other batches than those of their delivery, which the load tells.
    raw = () if session.feed.division else _files(result.records for result in results)
    return Apart(raw=raw, cleaned=_files(result.cleaned for result in results))


def _files(parts: Iterable[Part | None]) -> tuple[str, ...]:
    return tuple(part.path for part in parts if part and part.rows)


def _tasks(session: Session, shards: Sequence[Sequence[ReadyFile]], lake: LakeFolder | None) -> list[ShardTask]:
    settings, transfer = session.settings, session.transfer
    folder = Path(tempfile.mkdtemp(prefix="shards-", dir=session.work))
    return [
        ShardTask(
            number,
            len(shards),
            session.feed,
            session.batching.sql_type,
            tuple(files),
            (transfer.landing, session.archive, session.work),
            folder,
            settings.shard_threads,
            settings.shard_memory_limit,
            lake,
        )
        for number, files in enumerate(shards, 1)
    ]


def _refuse(session: Session, unfit: Sequence[ReadyFile]) -> None:
    """Read the unfit files once more, here: which of them are told of, and how, must not depend on shards.

    Raises:
        FilesUnfit: as it is raised where there are no shards.
    """
    stage(session.connection, session.feed, session.batching.sql_type, unfit)
    raise ShardFailed(f"{unfit[0].name!r} could not be read by a shard, and was read without a fault afterwards")


def _show(session: Session, results: Sequence[ShardResult], shards: int) -> None:
    """Make the views of all staged records and of those that are validated already."""
    connection, feed = session.connection, session.feed
    # The numbers that shards leave free, see `shard.run_shard`.
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW {STAGED_HERE} AS
            SELECT * REPLACE (_rid * {shards + 1} AS _rid) FROM {shown_in(feed)}"""
    )
    records = [result.records for result in results if result.records]
    validated = [result.validated for result in results if result.validated]
    show(connection, STAGED_APART, [f"FROM {_parquet(records)}", f"FROM {STAGED_HERE}"])
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {VALIDATED_APART} AS FROM {_parquet(validated)}")


def _parquet(parts: Sequence[Part]) -> str:
    return f"read_parquet([{literals(part.path for part in parts)}])"


def without_left_out(session: Session, kept: str, left_out: str) -> Apart:
    """The same without files that are left out.

    Args:
        session: with what shards have made.
        kept: relation of the staged records that stay.
        left_out: relation that names the others' files.
    """
    connection = session.connection
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW {KEPT_HERE} AS
            FROM {STAGED_HERE} ANTI JOIN {left_out} USING (_batch_date, _file, _file_version)"""
    )
    # By numbers, not by files: of a divided file the validated records are in other batches than the delivered ones.
    connection.execute(
        f"""CREATE OR REPLACE TEMP VIEW {KEPT_APART} AS
            FROM {VALIDATED_APART} SEMI JOIN (SELECT _rid FROM {kept}) USING (_rid)"""
    )
    return Apart(KEPT_APART, KEPT_HERE)
