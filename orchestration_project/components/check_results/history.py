"""What the checks say of a feed's history: whether it is right, and whether the newest snapshot changed as usual.

What is measured is in `inspection.history`.
"""

import dagster as dg

from orchestration_project.components.check_results.subject import ERROR, WARN, CheckResult, Subject
from orchestration_project.components.feed_metadata import Cell, Metadata, table
from orchestration_project.contracts.feed import MASK, Feed
from orchestration_project.inspection.history import Change, Move, disagreements, newest_change
from orchestration_project.warehouse.feed_tables import history_table
from orchestration_project.warehouse.history_days import size_of


def history_matches(subject: Subject) -> CheckResult:
    """Whether the history has each snapshot's records, counted another way than it was made."""
    feed = subject.spec.feed
    found = list(disagreements(subject.connection, feed))
    size = size_of(subject.connection, feed.name, history_table(feed))
    metadata: Metadata = {
        "snapshots": dg.MetadataValue.int(size.snapshots),
        "versions": dg.MetadataValue.int(size.versions),
        "current_versions": dg.MetadataValue.int(size.current),
    }
    if found:
        rows = [{"what": item.what, "expected": item.expected, "found": item.found} for item in found]
        metadata["disagreements"] = table(rows)
    told = f"{size.versions} versions over {size.snapshots} snapshots"
    description = f"The history {found[0].what}: {found[0].found}." if found else f"{told}, as the snapshots have them."
    expected = "current versions = the newest snapshot; on each day as many versions as its snapshot has records"
    return CheckResult(not found, ERROR, description, expected, f"{len(found)} disagreements", metadata)


def usual_changes(subject: Subject) -> CheckResult:
    """Whether the newest snapshot has nearly all keys of the one before, and numbers near those that they were."""
    spec = subject.spec
    gone_limit, limits = spec.monitoring.changes.max_gone, spec.monitoring.changes.max_moves
    change = newest_change(subject.connection, spec.feed, limits)
    moved = "".join(f", {column} moved by at most {limit:.0%}" for column, limit in limits.items())
    expected = f"at most {gone_limit:.0%} of the keys gone{moved}"
    if change is None:
        return CheckResult(True, WARN, "There is no snapshot to compare with yet.", expected, "one snapshot")
    share = change.gone / change.keys if change.keys else 0.0
    passed = share <= gone_limit and not change.moves
    found = f"{change.gone} of {change.keys} keys gone ({share:.2%}), {len(change.moves)} numbers moved too far"
    description = f"From {change.before} to {change.day}: {found}, {change.begun} keys new."
    return CheckResult(passed, WARN, description, expected, found, _shown(subject, change))


def _shown(subject: Subject, change: Change) -> Metadata:
    metadata: Metadata = {
        "keys_gone": dg.MetadataValue.int(change.gone),
        "keys_begun": dg.MetadataValue.int(change.begun),
        "numbers_moved": dg.MetadataValue.int(len(change.moves)),
    }
    if change.moves:
        metadata["moves"] = table([_row(subject.spec.feed, move) for move in change.moves])
    return metadata


def _row(feed: Feed, move: Move) -> dict[str, Cell]:
    personal = feed.personal_columns
    values: dict[str, Cell] = {"before": move.before, "now": move.now, "share": round(move.share, 4)}
    if move.column in personal:
        values = dict.fromkeys(values, MASK)
    return {"key": MASK if personal & {*feed.primary_key} else move.key, "column": move.column, **values}
