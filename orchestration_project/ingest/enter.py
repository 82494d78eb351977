"""The stage that enters files in the ledger, and takes the rows of those that go out of the raw table."""

from collections.abc import Sequence

from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.model import Entered, Staged, Validated
from orchestration_project.ingest.plan import refusal_entries
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.withdrawals import withdrawn_bytes
from orchestration_project.warehouse import ledger
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.quoting import ident
from orchestration_project.warehouse.tables import batch_filter


def enter(session: Session, validated: Validated) -> Entered:
    """Write the ledger's entries of a load, the refused files' too, and remove the rows of files that go.

    Keys are compared by the times that the ledger tells, so this comes before `deduplicate`.

    Args:
        session: inside the transaction.
        validated: what comes in.
    """
    staged = validated.staged
    _remove_rows(session, staged)
    reached(Point.REMOVED)
    ledger.write_entries(session.connection, [*staged.plan.entries, *_refused(session, staged)])
    reached(Point.ENTERED)
    return Entered(validated)


def _refused(session: Session, staged: Staged) -> list[Entry]:
    """The entries of refused files. The very file that was withdrawn stays that in the ledger when it is refused."""
    entries = refusal_entries(staged.candidates.refused, session.feed, session.options, session.request)
    noted = {(key, note.file, note.sha256) for (key, _), note in withdrawn_bytes(session).items()} if entries else ()
    return [entry for entry in entries if entry.identity not in noted]


def _remove_rows(session: Session, staged: Staged) -> None:
    removed: Sequence[tuple[object]] = session.connection.execute(
        f"SELECT DISTINCT _batch_date FROM {staged.removed}"
    ).fetchall()
    if removed:
        # The batches are named again, as literals: so DuckDB skips the blocks of all others.
        batches = batch_filter(batch for (batch,) in removed)
        session.connection.execute(
            f"""DELETE FROM {ident(raw_table(session.feed))}
                WHERE {batches} AND (_batch_date, _file, _file_version) IN (FROM {staged.removed})"""
        )
