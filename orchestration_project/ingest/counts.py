"""What became of records, counted in the tables: by file, and by the rule that they broke.

A reject is closed by the repair file that corrects it or by a waiver, which `_resolved_by` names. A record of a repair
file that is itself rejected is an attempt: it is closed with the reject that it was meant to correct, and only that one
is counted as open, repaired or waived.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.header import REJECT_ID
from orchestration_project.ingest.duplicates import only_duplicates
from orchestration_project.ingest.values import blank
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import IGNORED, rejected_table, tables_of
from orchestration_project.warehouse.ledger import of_repairs
from orchestration_project.warehouse.tables import batch_filter, ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NOT_REJECTED, WITHOUT_ID, REPAIRED_AGAIN = (f"{REJECT_ID}: {rule}" for rule in ("not_rejected", "required", "unique"))
WAIVED_BY = "waived by "
FIRST_NUMBER = 3
"""The place of the first field of `FileCount` that is a number of records."""
IS_WAIVED = f"coalesce(starts_with(_resolved_by, {literal(WAIVED_BY)}), false)"


def reject_id(feed: Feed) -> str:
    """What identifies a rejected record; it depends on the file and the record's number alone."""
    # By the first name of a feed that was renamed: repair files and waivers of before go on naming its rejects.
    return f"left(sha256(concat_ws('/', {literal(feed.first_name or feed.name)}, _file, _file_version, _row)), 16)"


def is_attempt(feed: Feed) -> str:
    """A condition that holds for the failed corrections of other rejects."""
    # A record that names no reject of its batch, or that could not be split so that nobody knows what it names, stands
    # for itself: it has to be repaired or waived like any other.
    aimless = f"_reason IN ({literals([NOT_REJECTED, WITHOUT_ID])}) OR starts_with(_reason, '_raw_line: ')"
    return f"({of_repairs(feed.name)} AND len(list_filter(_reasons, lambda _reason: {aimless})) = 0)"


def is_open(feed: Feed) -> str:
    """A condition that holds for the rejects that nobody has corrected or waived, attempts left out."""
    return f"(_resolved_by IS NULL AND NOT {is_attempt(feed)})"


# `id: duplicate_key (kept: a.csv row 3)` -> `id: duplicate_key`. (?s), since a file's name may have a line end: such
# duplicates were once counted for no check.
RULE_OF_REASON = "regexp_replace(_reason, '(?s) \\(kept: .*$', '')"
"""SQL that takes the details of `_reason` away, so that equal rules are counted together."""


@dataclass(frozen=True, slots=True)
class FileCount:
    """What became of the records of one file, counted in the tables; `batch` is None for a file without any.

    Of the rejected ones some are repaired or waived; `attempts` are failed repairs of rejects that are counted
    themselves; `duplicates` break no rule, but another record has their key. By the contract, `ignored` records are no
    data.
    """

    batch: Batch | None
    file: str
    version: str
    records: int
    blank: int
    cleaned: int
    rejected: int
    repaired: int = 0
    waived: int = 0
    attempts: int = 0
    duplicates: int = 0
    ignored: int = 0

    def __add__(self, other: "FileCount") -> "FileCount":
        """The count of two batches of a file together."""
        names = [item.name for item in fields(FileCount)[FIRST_NUMBER:]]
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def written(self) -> tuple[int, ...]:
        """What the ledger has of it, in the order of its columns."""
        return (
            self.records,
            self.blank,
            self.cleaned,
            self.rejected,
            self.repaired,
            self.waived,
            self.attempts,
            self.ignored,
        )

    @property
    def balanced(self) -> bool:
        """Whether each record is in exactly one place: cleaned, rejected, blank or ignored."""
        return self.records == self.cleaned + self.rejected + self.blank + self.ignored

    @property
    def open(self) -> int:
        """How many rejects nobody has corrected or waived."""
        return self.rejected - self.repaired - self.waived - self.attempts


def nothing_of(file: str, version: str) -> FileCount:
    """The count of a file of which the tables have nothing."""
    return FileCount(None, file, version, records=0, blank=0, cleaned=0, rejected=0)


def of_files(counts: Iterable[FileCount]) -> dict[tuple[str, str], FileCount]:
    """The counts of whole files by name and version: of a file that is divided into batches, the sum of its batches."""
    found: dict[tuple[str, str], FileCount] = {}
    for count in counts:
        key = count.file, count.version
        found[key] = found[key] + count if key in found else count
    return found


def count_records(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> list[FileCount]:
    """Count each file's records in `raw_x`, `cleaned_x` and `rejected_x`, for some batches (None: all)."""
    return [FileCount(*row) for row in connection.execute(_record_counts(feed, batch_filter(batches))).fetchall()]


def _record_counts(feed: Feed, condition: str) -> str:
    """Query of a row for each file: of its batch, names, and the counts of `FileCount` in their order.

    Each table is grouped by itself and the few groups are added up: a join of the tables would compare all their rows.
    """
    raw, cleaned, rejected = map(ident, tables_of(feed))
    attempt = is_attempt(feed)
    rejects = {
        "rejected": "count(*)",
        "repaired": f"count(*) FILTER (_resolved_by IS NOT NULL AND NOT {IS_WAIVED} AND NOT {attempt})",
        "waived": f"count(*) FILTER ({IS_WAIVED} AND NOT {attempt})",
        "attempts": f"count(*) FILTER ({attempt})",
        "duplicates": f"count(*) FILTER ({only_duplicates(feed)})",
    }
    parts = [
        ({"records": "count(*)"}, raw, condition),
        # Not a filter of the count above: as a condition, `blank` spares DuckDB all columns but one of most rows.
        ({"blank": "count(*)"}, raw, f"{condition} AND {blank(feed)}"),
        ({"cleaned": "count(*)"}, cleaned, condition),
        (rejects, rejected, condition),
    ]
    if feed.ignored:
        parts.append(({"ignored": "count(*)"}, raw, f"{condition} AND {IGNORED} IS NOT NULL"))
    names = ("records", "blank", "cleaned", *rejects, "ignored")
    counted = " UNION ALL ".join(
        f"""SELECT _batch_date, _file, _file_version, {", ".join(counts.get(name, "0") for name in names)}
            FROM {table} WHERE {where} GROUP BY _batch_date, _file, _file_version"""
        for counts, table, where in parts
    )
    return f"""
        WITH counted(_batch_date, _file, _file_version, {", ".join(names)}) AS ({counted})
        SELECT _batch_date, _file, _file_version, {", ".join(f"sum({name})::BIGINT" for name in names)}
        FROM counted GROUP BY ALL ORDER BY ALL"""


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """How many rejected records of a batch broke a rule; a duplicate's reason is counted without its winner."""

    batch: Batch
    reason: str
    records: int


def count_reasons(connection: "DuckDBPyConnection", feed: Feed, batches: Sequence[Batch] | None) -> list[ReasonCount]:
    """Count the reasons in `rejected_x`, for some batches (None: all), the most frequent first."""
    rows = connection.execute(
        f"""
        WITH reasons AS (
            SELECT _batch_date, unnest(_reasons) AS _reason
            FROM {ident(rejected_table(feed))} WHERE {batch_filter(batches)})
        SELECT _batch_date, {RULE_OF_REASON} AS rule, count(*) FROM reasons GROUP BY ALL ORDER BY 1, 3 DESC, 2"""
    ).fetchall()
    return [ReasonCount(*row) for row in rows]
