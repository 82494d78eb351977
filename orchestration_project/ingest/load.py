"""The load itself, as its stages.

A contract that makes other values of equal text comes first: all batches are made anew with it before it is used.

Their order keeps the promise. What is new is read and validated first. Then one transaction enters the files in the
ledger, publishes their rows, and secures their bytes for the archive. Files move only after the commit.

A load that dies before the commit has changed nothing. One that dies after it leaves files in landing: the next load
knows them by their hash and only has to move them.

Where others may write to the warehouse, a load keeps them out only from the last step before its transaction until its
files are moved. What it has read before may be outdated by then; see `overtaken`.
"""

import random
import time
from collections.abc import Callable, Set
from contextlib import ExitStack, nullcontext

from orchestration_project.contracts.feed import Feed
from orchestration_project.errors import FilesUnfit
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.archive import archive, archive_known, secure
from orchestration_project.ingest.deduplicate import deduplicate
from orchestration_project.ingest.discover import blaming_changes, discover, leave_out
from orchestration_project.ingest.from_landing import settled_files
from orchestration_project.ingest.model import Request, Staged
from orchestration_project.ingest.object_landing import mark_objects, release_objects, take_objects
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.overtaken import Overtaken, begin, blaming_others, ensure_not_overtaken
from orchestration_project.ingest.plan import enter
from orchestration_project.ingest.publish import publish
from orchestration_project.ingest.read import read
from orchestration_project.ingest.remote_archive import store_landed
from orchestration_project.ingest.renew import renew
from orchestration_project.ingest.report import Report
from orchestration_project.ingest.session import Session, open_session
from orchestration_project.ingest.state import note_state
from orchestration_project.ingest.validate import validate
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.connection import Warehouse, alone, transaction
from orchestration_project.warehouse.snapshots import is_conflict
from orchestration_project.warehouse.tables import is_lake

ATTEMPTS = 4
"""How often a load is tried whose commit fails, since programs that do not heed the lock get in between."""


def load(
    warehouse: Warehouse,
    settings: Settings,
    feed: Feed,
    options: FeedOptions,
    request: Request,
    log: Callable[[str], None],
) -> Report:
    """Load a feed: take in new files and publish what is asked for.

    Args:
        warehouse: where the tables are.
        settings: where the files are, and how large one may be.
        feed: the contract.
        options: how the feed is run.
        request: which batches and which tables.
        log: takes a line of progress.

    Raises:
        ObjectStoreError: the store that files are delivered to can't be used.
        WarehouseBusy: somebody else held the warehouse for too long.
        DiskFull: a disk had no room; what was not committed by then has changed nothing.
        WarehouseError: the contract was changed and archived files do not fit it, counts do not balance, or an archived
            file is lost; no row was changed.
    """
    # Both before the lock is taken: nobody else has to wait because a store is slow, or a file is young.
    objects = take_objects(settings, feed, options, request, log)
    settled = settled_files(settings, feed, options, request, log)
    with open_session(warehouse, settings, feed, options, request, log, shared=True) as session:
        report = run_stages(session, settled)
        mark_objects(session, objects)
    return release_objects(objects, report)


def run_stages(session: Session, settled: Set[FoundFile] = frozenset()) -> Report:
    """All stages of a load, in an open session. Raises what `load` does.

    Where others may write meanwhile, the stages are run a second time, alone, if somebody did write what they rest on.

    Args:
        session: the session.
        settled: young files that were left alone while the load waited for them.
    """
    import duckdb

    staged, attempt = None, 1
    while True:
        try:
            with alone(session.connection) if attempt > 1 else nullcontext():
                report = _run_once(session, settled, staged)
        except Overtaken as error:
            session.tell(f"{error}: it is decided anew, while nobody else writes")
            staged = error.staged
        except duckdb.Error as error:
            if not is_conflict(error) or attempt == ATTEMPTS:
                raise
            # Whether or not the commit was made: what it has brought is known, and does not come in once more.
            session.tell("the lake refused the commit: its server was away, or a program wrote without the lock")
            staged = None
            # By chance: two that wait equally long would meet again.
            time.sleep(attempt * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        else:
            break
        attempt += 1
    if session.settings.shards and is_lake(session.connection):
        from orchestration_project.ingest.shard_files import remove_own

        remove_own(session)
    return report


def _run_once(whole: Session, settled: Set[FoundFile], before: Staged | None) -> Report:
    """All stages, once.

    Args:
        whole: the session; where all batches have to be made anew, it is narrowed to what is new afterwards.
        settled: young files that were left alone while the load waited for them.
        before: what was read in vain.

    Raises:
        Overtaken: somebody else has written what the stages rest on; nothing was changed.
    """
    connection = whole.connection
    # First of all: a table must not hold values that two contracts have made differently of equal text.
    with alone(connection):
        renewed = renew(whole)
    # A renewal has published all batches, so only those that change are left.
    session = whole.of_changes() if renewed else whole
    begun = begin(session)
    with blaming_others(session, begun):
        candidates = discover(whole, settled)
        left = archive_known(session, candidates)
    staged, stored = None if renewed else before, set[str]()
    while True:
        try:
            with ExitStack() as writing:
                with blaming_others(session, begun), blaming_changes(candidates):
                    # What was read before is of no use if reading ends half-way.
                    before, staged = staged, None
                    staged = read(session, candidates, before)
                    validated = validate(session, staged)
                    validated.ensure_fit()
                    store_landed(session, candidates, stored)
                    # Up to here others may write. They may not before all files are moved, either: a copy whose rows
                    # are not committed looks like one that a killed load has left.
                    writing.enter_context(alone(connection))
                    with transaction(connection):
                        reached(Point.BEGUN)
                        ensure_not_overtaken(session, begun, validated)
                        entered = enter(session, validated)
                        unique = deduplicate(session, entered)
                        published = publish(session, unique)
                        # Last, so that as little time as possible lies between this look at the files and the commit.
                        secure(session, candidates)
                reached(Point.COMMITTED)
                left += archive(session, candidates, published)
                report = Report.of(candidates, published, left, renewed)
                # Here, or the note of a load that was later could be written over.
                note_state(connection, session.settings, session.feed, session.options, report.counts, session.log)
            return report
        except FilesUnfit as error:
            # Nothing was changed. The other files are tried again without the ones that it names.
            candidates = leave_out(session, candidates, error.faults)
