"""What becomes of a rejected record: SQL over `rejected_x` that tells its identity and whether it is still open.

A reject is closed by the repair file that corrects it or by a waiver, which `_resolved_by` names. A record of a repair
file that is itself rejected is an attempt: it is closed with the reject that it was meant to correct, and only that one
is counted as open, repaired or waived.
"""

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.header import REJECT_ID
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.quoting import literal, literals

NOT_REJECTED, WITHOUT_ID, REPAIRED_AGAIN = (f"{REJECT_ID}: {rule}" for rule in ("not_rejected", "required", "unique"))
WAIVED_BY = "waived by "
IS_WAIVED = f"coalesce(starts_with(_resolved_by, {literal(WAIVED_BY)}), false)"


def reject_id(feed: Feed) -> str:
    """What identifies a rejected record; it depends on the file and the record's number alone."""
    return f"left(sha256(concat_ws('/', {literal(feed.first_name or feed.name)}, _file, _file_version, _row)), 16)"


def is_attempt(feed: Feed) -> str:
    """A condition that holds for the failed corrections of other rejects."""
    aimless = f"_reason IN ({literals([NOT_REJECTED, WITHOUT_ID])}) OR starts_with(_reason, '_raw_line: ')"
    return f"({of_repairs(feed.name)} AND len(list_filter(_reasons, lambda _reason: {aimless})) = 0)"


def is_open(feed: Feed) -> str:
    """A condition that holds for the rejects that nobody has corrected or waived, attempts left out."""
    return f"(_resolved_by IS NULL AND NOT {is_attempt(feed)})"
