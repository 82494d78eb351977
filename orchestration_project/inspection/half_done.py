"""What a kill left half done of a rebuild or a withdrawal, and what finishes or undoes it. Reads only.

The next load or `verify` settles it (`ingest.batching`); until then somebody who asks is told. A drop that was killed
leaves a feed without a definition, which is in `unknown_feeds`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestration_project.errors import RecoveryError
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import load_again, rebuild_of
from orchestration_project.settings import Settings
from orchestration_project.storage.files import find
from orchestration_project.storage.trees import is_switching, is_unfinished
from orchestration_project.storage.withdrawals import WITHDRAWN, Withdrawal, withdrawals
from orchestration_project.warehouse import ledger_queries
from orchestration_project.warehouse.batching import waiting_tree
from orchestration_project.warehouse.ledger import Status

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VERIFY = "`orchestration-project verify`"


def half_done(connection: "DuckDBPyConnection | None", settings: Settings, spec: ConfiguredFeed) -> list[str]:
    """What is half done in a feed, each with what to do.

    Args:
        connection: to the warehouse, which has a ledger. That it could be opened says that nobody is at work: who
            rebuilds or withdraws holds its lock. None: there is no warehouse, so only the folders are asked.
        settings: where the folders are.
        spec: the feed.
    """
    found = [*_rebuild(connection, settings, spec)]
    try:
        noted = withdrawals(settings.archive(spec.name))
    except RecoveryError as error:
        return [*found, str(error)]
    return found if connection is None else [*found, *_withdrawals(connection, settings, spec, noted)]


def _rebuild(connection: "DuckDBPyConnection | None", settings: Settings, spec: ConfiguredFeed) -> Iterator[str]:
    archive = settings.archive(spec.name)
    tree = waiting_tree(connection, spec.name)[0] if connection else ""
    if tree or is_switching(archive):
        yield (
            "a rebuild was killed after its tables were committed, and its folders are not all in their places:"
            f" {VERIFY} or the next load finishes it"
        )
    elif is_unfinished(archive):
        yield (
            "a rebuild was killed before its tables were committed, so the feed is as it was: "
            f"{VERIFY} or the next load removes what is left of it; `{rebuild_of(spec.name)}` begins again"
        )


def _withdrawals(
    connection: "DuckDBPyConnection", settings: Settings, spec: ConfiguredFeed, noted: list[Withdrawal]
) -> Iterator[str]:
    """Where note, file and ledger are not of one mind: a load brings file and ledger to what the note says."""
    archive, notes = settings.archive(spec.name), {item.identity: item for item in noted}
    known = {entry.identity: entry for entry in ledger_queries.entries_of_versions(connection, spec.name, notes)}
    for identity, item in notes.items():
        key, file, _ = identity
        if identity in known and known[identity].status is not Status.WITHDRAWN:
            yield (
                f"the withdrawal of {file!r} (batch {key}) was killed, and its rows still count:"
                f" the next load takes them out: `{load_again(spec, [key])}`"
            )
        elif item.file is None and find(archive / item.place):
            yield (
                f"the way back of the withdrawn {file!r} (batch {key}) was killed, and its note still counts:"
                f" `orchestration-project withdraw {spec.name} {file} --batch {key} --undo` begins again"
            )
    for entry in ledger_queries.withdrawn_entries(connection, spec.name):
        if entry.identity not in notes and find(archive / str(entry.archived_as).removeprefix(f"{WITHDRAWN}/")):
            yield (
                f"the way back of the withdrawn {entry.file!r} (batch {entry.batch}) was killed, and its rows are"
                f" missing: the next load brings them in: `{load_again(spec, [entry.batch])}`"
            )
