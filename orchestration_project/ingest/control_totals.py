"""Control totals: whether the records of a file add up to what its own totals record says.

A till adds up what it has written, before anybody validates. So all records of the file that are data count: cleaned
ones, rejected ones and duplicates. Values are compared exactly, as decimals.

    id,amount
    1,10.50
    2,4.50
    Total,15.00   ->  it matches
    Total,15.01   ->  the records add up to 15.00

A record whose amount can't be read adds nothing; how many there are is told with the difference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import MASK, Column, Feed
from orchestration_project.contracts.ignored_rules import ControlTotal, IgnoredRule
from orchestration_project.errors import FileKey, FileRefused
from orchestration_project.ingest.model import Staged
from orchestration_project.ingest.session import Session
from orchestration_project.ingest.values import digits_of, text_of, value_of
from orchestration_project.storage.batches import is_repair
from orchestration_project.warehouse.feed_tables import IGNORED
from orchestration_project.warehouse.tables import ident, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

REFUSED = "control_total"
FileVersion = tuple[str, str, str]
"""Batch (as the tables have it, as text), name and version."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The total of a column in one file.

    Attributes:
        column: its name.
        blocking: whether a file with another total is refused.
        personal: whether figures of the column are masked.
        lines: how many totals records the file has.
        total: what the totals record says; None where that can't be read.
        sum: what the records add up to.
        records: how many records have a value.
        unreadable: how many records have one that can't be read.
    """

    column: str
    blocking: bool
    personal: bool
    lines: int = 0
    total: Decimal | None = None
    sum: Decimal = Decimal(0)
    records: int = 0
    unreadable: int = 0

    @property
    def matches(self) -> bool:
        """Whether there is one totals record, and it says what the records add up to."""
        return self.lines == 1 and self.total == self.sum

    @property
    def told(self) -> str:
        """What was found, in words."""
        total, found = (MASK if self.personal else f"{figure:,}" for figure in (self.total or 0, self.sum))
        summed = f"the {self.records:,} records add up to {found}"
        if self.unreadable:
            summed += f", and {self.unreadable:,} have no readable {self.column}"
        said = f"its total is {total}"
        if self.lines != 1:
            said = f"the file has {f'{self.lines:,}' if self.lines else 'no'} totals records, not 1"
        elif self.total is None:
            said = "its total can't be read"
        return f"control total of {self.column}: {said}; {summed}"


def totals_of(feed: Feed) -> list[tuple[IgnoredRule, ControlTotal]]:
    """The contract's control totals, each with the rule by which the totals record is found."""
    return [(rule, total) for rule in feed.ignored for total in rule.totals]


def reconcile(
    connection: "DuckDBPyConnection", feed: Feed, relation: str, files: Sequence[FileVersion]
) -> dict[FileVersion, list[Reconciled]]:
    """The control totals of some files; repair files, which bring single records, have none.

    Args:
        connection: to the warehouse.
        feed: the contract.
        relation: the raw table, or staged records with its columns; a condition may follow its name.
        files: those that are asked for. One without any record has no totals record either.
    """
    columns = {column.name: column for column in feed.source_columns}
    found: dict[FileVersion, list[Reconciled]] = {file: [] for file in files if not is_repair(file[1])}
    for rule, total in totals_of(feed) if found else ():
        column = columns[total.column]
        nothing = Reconciled(column.name, total.blocking, column.personal)
        rows = connection.execute(_totals_select(column, rule.name, relation)).fetchall()
        read = {(str(batch), name, version): _read(nothing, *figures) for batch, name, version, *figures in rows}
        for file, reconciled in found.items():
            reconciled.append(read.get(file, nothing))
    return found


def _read(nothing: Reconciled, lines: int, total: object, summed: object, records: int, unreadable: int) -> Reconciled:
    # Whole numbers come as int; as text they keep every digit.
    figure = None if total is None else Decimal(str(total))
    return replace(nothing, lines=lines, total=figure, sum=Decimal(str(summed)), records=records, unreadable=unreadable)


def _totals_select(column: Column, rule: str, relation: str) -> str:
    """Query of a row for each file: batch, name and version, and the figures of one total."""
    scale = digits_of(column.sql_type)[1] if column.sql_type.startswith("DECIMAL") else 0
    # A total has more digits than the values of which it is the sum.
    wide = replace(column, sql_type=f"DECIMAL(38,{scale})")
    return f"""
        WITH texts AS (
            SELECT _batch_date, _file, _file_version, _parse_error, {IGNORED} AS _rule,
                {text_of(column, ident(column.name))} AS _text
            FROM {relation}),
        figures AS (
            SELECT *, {value_of(column, "_text")} AS _value, {value_of(wide, "_text")} AS _total FROM texts)
        SELECT _batch_date, _file, _file_version,
            count(*) FILTER (_rule = {literal(rule)}),
            max(_total) FILTER (_rule = {literal(rule)}),
            coalesce(sum(_value) FILTER (_rule IS NULL), 0),
            count(_value) FILTER (_rule IS NULL),
            count(*) FILTER (_rule IS NULL AND _value IS NULL AND (_text IS NOT NULL OR _parse_error IS NOT NULL))
        FROM figures GROUP BY ALL"""


def refuse_unreconciled(session: Session, staged: Staged, new: Mapping[FileKey, str]) -> Mapping[FileKey, FileRefused]:
    """The new files with another total than their records, where the contract says that this is an error.

    Args:
        session: of the load; it is told of files for which this is a warning.
        staged: what comes in.
        new: the versions of the files that were not accepted before, by batch and name.
    """
    if not totals_of(session.feed):
        return {}
    files = [(*key, version) for key, version in new.items()]
    found = {}
    for (batch, name, _), totals in reconcile(session.connection, session.feed, staged.relation, files).items():
        wrong = [total for total in totals if not total.matches]
        if blocking := [total.told for total in wrong if total.blocking]:
            found[batch, name] = FileRefused(REFUSED, f"{name!r}: {'; '.join(blocking)}. Deliver it again, complete")
        elif wrong:
            session.tell(f"{name!r}: {'; '.join(total.told for total in wrong)}")
    return found
