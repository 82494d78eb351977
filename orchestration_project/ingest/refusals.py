"""Which new files are refused as a whole for what their records turned out to be, once these are validated.

A file is refused when too many of its records break the contract, when they do not add up to its own total, or when it
holds more than one table: what stands below another header is no data of the first one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileKey, FileRefused
from orchestration_project.formats.fields import as_name, as_names, is_written_in_digits, stripped
from orchestration_project.formats.header import spellings
from orchestration_project.ingest.control_totals import refuse_unreconciled
from orchestration_project.ingest.divide import by_delivery
from orchestration_project.ingest.model import Staged
from orchestration_project.ingest.options import REPEATED
from orchestration_project.ingest.session import Session
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.ledger_queries import repetitions
from orchestration_project.warehouse.tables import ident, is_empty, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def refusals(session: Session, staged: Staged, validated: str, records: str) -> Mapping[FileKey, FileRefused]:
    """The new files that hold another table too, or of whose records too many break the contract.

    What they would have replaced stays. A file of the archive was accepted once, so it is not refused any more.

    Args:
        session: of the load.
        staged: what comes in.
        validated: relation of the validated records.
        records: relation of their text.
    """
    connection, feed, limit = session.connection, session.feed, session.options.max_reject_rate
    landed = {candidate.key for candidate in staged.candidates.landed}
    loads = {(str(session.batching.from_key(entry.batch)), entry.file): entry.version for entry in staged.plan.loads}
    new = {(*key, version) for key, version in loads.items() if key in landed}
    if not new:
        return {}
    validated, records = by_delivery(feed, validated), by_delivery(feed, records)
    found = {
        rate.key: rate.refusal(limit)
        for rate in reject_rates(connection, validated, limit)
        if (*rate.key, rate.version) in new
    }
    # In the other formats names stand beside each value or in the schema, so no record can be a header.
    has_headers = feed.source.format in (FileFormat.CSV, FileFormat.XLSX)
    headers = second_headers(connection, feed, validated, records) if has_headers else []
    tables = {
        header.key: FileRefused(
            "several_tables",
            f"{header.file!r}: record {header.row} is the header of another table; deliver one table a file",
        )
        for header in headers
        if (*header.key, header.version) in new
    }
    # The later ones count: another table below the first explains the many rejects that it brings.
    totals = refuse_unreconciled(session, staged, {key: version for key, version in loads.items() if key in landed})
    return {**found, **totals, **_repeated(session, staged), **tables}


def _repeated(session: Session, staged: Staged) -> Mapping[FileKey, FileRefused]:
    """The new files that have the bytes of another batch's file, loaded now or before, where a feed refuses these."""
    if session.options.repeated_bytes != "refuse":
        return {}
    landed = {item.key: item for item in staged.candidates.landed}
    # A day without records repeats nothing, nor does a repair.
    loads = [entry for entry in staged.plan.loads if entry.records != 0 and not entry.repair]
    new = {(str(session.batching.from_key(entry.batch)), entry.file): entry for entry in loads}
    earlier: dict[str, Entry] = {}
    # Two new files of one load may repeat each other; the ledger knows neither of them yet, so the older one is the
    # first.
    for entry in sorted(loads, key=lambda entry: entry.rank):
        earlier.setdefault(entry.sha256, entry)
    asked = [(entry.batch, entry.file, entry.sha256) for key, entry in new.items() if key in landed]
    known = {
        (item.batch, item.file): (item.other_batch, item.other_file)
        for item in repetitions(session.connection, session.feed.name, asked)
    }
    found = {}
    for key, entry in new.items():
        first = earlier[entry.sha256]
        batch, file = known.get((entry.batch, entry.file), (first.batch, first.file))
        if key in landed and batch != entry.batch:
            found[key] = FileRefused(
                REPEATED,
                f"{entry.file!r} has the same bytes as {file!r} of batch {batch}, and repeated_bytes is refuse:"
                " deliver the right file, or set it to warn or load in the feed's defs.yaml",
            )
    return found


@dataclass(frozen=True, slots=True)
class RejectRate:
    """How many of a file's records break a rule of the contract, and why: the most frequent reasons, at most five."""

    batch: Batch
    file: str
    version: str
    rejected: int
    records: int
    worst: str

    @property
    def key(self) -> FileKey:
        """What tells the file apart from the other files of the load."""
        return str(self.batch), self.file

    def refusal(self, limit: float) -> FileRefused:
        """Why a file with such a rate is refused."""
        return FileRefused(
            "too_many_rejects",
            f"{self.file!r}: {self.rejected} of {self.records} records break the contract, more than"
            f" max_reject_rate {limit:g} allows: {self.worst}",
        )


def reject_rates(connection: "DuckDBPyConnection", validated: str, above: float) -> list[RejectRate]:
    """The files of whose validated records more than a share break a rule of the contract.

    Keys do not count here: that another file has a record's key is not this file's fault.
    """
    rows = connection.execute(_reject_rates(validated), {"above": above}).fetchall()
    return [RejectRate(*row) for row in rows]


def _reject_rates(validated: str) -> str:
    """Query of the files above a rate. Reasons are looked at for these few files only."""
    return f"""
        WITH rates AS (
            SELECT _batch_date, _file, _file_version, count(*) FILTER (_reasons IS NOT NULL) AS _rejected,
                count(*) AS _records
            FROM {validated} GROUP BY ALL HAVING _rejected > _records * $above),
        broken AS (
            SELECT _batch_date, _file, _file_version, unnest(_reasons) AS reason
            FROM {validated} SEMI JOIN rates USING (_batch_date, _file, _file_version)),
        reasons AS (
            SELECT _batch_date, _file, _file_version, reason, count(*) AS times FROM broken GROUP BY ALL),
        worst AS (
            SELECT _batch_date, _file, _file_version,
                list(reason || ' (' || times || ')' ORDER BY times DESC, reason)[:5] AS listed
            FROM reasons GROUP BY ALL)
        SELECT _batch_date, _file, _file_version, _rejected, _records, array_to_string(listed, ', ')
        FROM rates JOIN worst USING (_batch_date, _file, _file_version)"""


@dataclass(frozen=True, slots=True)
class SecondHeader:
    """The first record of a file that is the header of another table."""

    batch: Batch
    file: str
    version: str
    row: int

    @property
    def key(self) -> FileKey:
        """What tells the file apart from the other files of the load."""
        return str(self.batch), self.file


def second_headers(connection: "DuckDBPyConnection", feed: Feed, validated: str, records: str) -> list[SecondHeader]:
    """The second headers among the validated records.

    A record is one when it breaks a rule and at least half of what is in it are names of columns: two of them, or one
    in that column's own place. Where every column is text, and a header would break nothing, all of it has to be names:
    some of them may well be data. What stood below such a record was once loaded as data of the first table.

    Example, for the columns `id`, `place` and `n`, a number:

        id,place,city   header: `n` is no number, and two names of three
        id,,y           header: half of two, and `id` in its own place
        N,,y            data: a name, but that of another column
        id,x,y          data: one name of three
        id,place,2      data: it breaks no rule

    Args:
        connection: to the warehouse.
        feed: the contract.
        validated: relation of the validated records.
        records: relation of their text.
    """
    names, columns = literals(_names(feed)), feed.record_columns
    # A single name may be data; in the column that it names it hardly is.
    own = " OR ".join(
        f"coalesce(_texts[{place}] IN ({literals(sorted(spellings(column)))}), false)"
        for place, column in enumerate(columns, start=1)
    )
    typed = any(column.sql_type != "VARCHAR" for column in columns)
    condition, share = (f"_reasons IS NOT NULL AND {_may_be_header(feed)}", 2) if typed else ("true", 1)
    if is_empty(connection, f"{validated} WHERE {condition}"):
        return []
    # Where all has to be names, hardly a record comes further than to its first text.
    first = "true" if typed else f"coalesce({as_name(stripped(ident(columns[0].name)))} IN ({names}, ''), true)"
    # The text of the few suspects is read, never that of all records. Their fields are compared as one list: a
    # condition for each column made DuckDB plan for seconds where a contract has 50 texts.
    rows = connection.execute(
        f"""
        WITH suspects AS MATERIALIZED (
            FROM {records} SEMI JOIN (SELECT _rid FROM {validated} WHERE {condition}) USING (_rid)
            WHERE _parse_error IS NULL AND {first}),
        texts AS MATERIALIZED (
            SELECT _batch_date, _file, _file_version, _row,
                {as_names(ident(column.name) for column in columns)} AS _texts FROM suspects),
        counts AS (
            SELECT *, len(list_filter(_texts, lambda _text: _text <> '')) AS _filled,
                len(list_filter(_texts, lambda _text: _text IN ({names}))) AS _named FROM texts)
        SELECT _batch_date, _file, _file_version, min(_row) FROM counts
        WHERE _named * {share} >= _filled AND (_named > 1 OR {own}) AND _filled >= {min(2, len(columns))}
        GROUP BY _batch_date, _file, _file_version"""
    ).fetchall()
    return [SecondHeader(*row) for row in rows]


def _may_be_header(feed: Feed) -> str:
    """A condition that holds for each validated record of which half of what was in it may be names of columns.

    It spares a look at the text of all records for those that break rules otherwise: a value that is there tells what
    the text was. Each column that is surely filled with something else weighs against the ones that may be names.
    """
    names = _names(feed)
    listed, plain = literals(names), not any(character.isdigit() for name in names for character in name)
    weights, texts = [], dict[int, list[str]]()
    for column in feed.record_columns:
        value = ident(column.name)
        # NULL may stand for one of the contract's words for missing, which may be a name as well; else the field was
        # empty.
        if column.fill_down:
            # The value may be that of another record.
            weights.append("1")
        elif column.sql_type == "VARCHAR":
            texts.setdefault(int(bool(column.parsing.null_words)), []).append(value)
        # What was read as a number is no name, unless names have digits. What could not be read may be one.
        elif plain and is_written_in_digits(column.sql_type):
            weights.append(f"CASE WHEN {value} IS NULL THEN 1 ELSE -1 END")
        else:
            weights.append("1")
    for absent, values in texts.items():
        weight = f"CASE WHEN _text IS NULL THEN {absent} WHEN _text IN ({listed}) THEN 1 ELSE -1 END"
        weights.append(f"list_sum(list_transform({as_names(values)}, lambda _text: {weight}))")
    return f"({' + '.join(weights)}) >= 0"


def _names(feed: Feed) -> list[str]:
    """All names under which files may carry the contract's columns."""
    return sorted(set().union(*(spellings(column) for column in feed.record_columns)))
