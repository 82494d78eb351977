"""What is known of a file: how it was read, and what the ledger says of its name and bytes. Reads only.

How it was read: format, compression, encoding, delimiter, and where each column of the contract was found. The reading
itself is in `formats`; this reports it, for `explain`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import PlatformError
from orchestration_project.formats.decode import BOMS, as_utf8
from orchestration_project.formats.decompress import compression_of, decompress
from orchestration_project.formats.given import naming_of
from orchestration_project.ingest.candidates import Candidate
from orchestration_project.ingest.counts import FileCount
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.ingest.plan import make_plan
from orchestration_project.inspection.verify_tables import ledger_lacks
from orchestration_project.settings import Settings
from orchestration_project.storage.withdrawals import withdrawals
from orchestration_project.warehouse import ledger, ledger_queries
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.ledger import Entry, Status
from orchestration_project.warehouse.ledger_queries import Identity
from orchestration_project.warehouse.tables import exists, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

BATCHES_SHOWN = 10
PATIENCE_SECONDS = 2.0
"""How long to wait for a warehouse that is in use: a command that only reads should not keep a person waiting."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says about a file.

    Attributes:
        loads: whether a load would bring in the file's rows.
        what: the same in words, with the reason.
    """

    loads: bool
    what: str


def warehouse_to_read(settings: Settings) -> Warehouse:
    """The warehouse for a command that only reads: it waits for a short time at most."""
    return Warehouse.from_settings(settings).with_timeout(min(settings.lock_timeout, PATIENCE_SECONDS))


def known_of(
    settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate
) -> tuple[Known | None, list[str]]:
    """What the ledger says about a file; None, with the reason as a note, if it could not be read.

    Args:
        settings: where warehouse and archive are.
        feed: the contract.
        options: how the feed is run.
        candidate: the file, prepared.
    """
    if not Warehouse.from_settings(settings).exists():
        return Known(loads=True, what="new: there is no warehouse yet"), []
    try:
        current = _current(settings, feed, options, candidate)
    except PlatformError as error:
        return None, [f"whether its name or bytes are known could not be checked: {error}"]
    return _outcome(current, settings, feed, options, candidate), []


def _current(settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate) -> dict[Identity, Entry]:
    """The ledger's current entries of the file and of all files of its batch with the same bytes."""
    with warehouse_to_read(settings).connection(f"explanation of {candidate.file.name}", read_only=True) as connection:
        if not exists(connection, ledger.TABLE):
            return {}
        # A connection that only reads can't bring a ledger of an older release up to date.
        for lacking in ledger_lacks(connection):
            raise PlatformError(f"{ledger.TABLE} {lacking.what}; the next load adds them")
        delivered = (options.batching.key(candidate.batch), candidate.name, candidate.sha256)
        found = ledger_queries.current_entries(connection, feed.name, [delivered], options.snapshot, options.by_name)
    return {options.identity(entry.batch, entry.file): entry for entry in found}


def _outcome(
    current: Mapping[Identity, Entry], settings: Settings, feed: Feed, options: FeedOptions, candidate: Candidate
) -> Known:
    """The outcome of a load, found with the plan that a load makes, so that both agree."""
    key = options.batching.key(candidate.batch)
    name, identity = candidate.name, options.identity(key, candidate.name)
    before = current.get(identity)
    for found in withdrawals(settings.archive(feed.name)):
        if (found.key, found.note.sha256) == (key, candidate.sha256):
            return Known(loads=False, what=f"refused: these bytes were {found.note.told}")
    # Of a snapshot feed superseded versions are listed, too. Whether one would count again, the plan says.
    if before and before.sha256 == candidate.sha256 and before.status is not Status.SUPERSEDED:
        return Known(loads=False, what="delivered before: the ledger has the same bytes under the same name")
    plan = make_plan({identity: [candidate]}, current, feed, options, Request(None), settings.archive(feed.name))
    status = next((item.status for item in plan.entries if (item.file, item.sha256) == (name, candidate.sha256)), None)
    if status is Status.DUPLICATE:
        naming = naming_of(feed)
        others = [
            entry.file
            for entry in current.values()
            if (entry.sha256, naming(entry.file)) == (candidate.sha256, naming(name)) and entry.file != name
        ]
        return Known(loads=False, what=f"a duplicate: {', '.join(sorted(others))} has the same bytes and keeps them")
    if status is Status.KEPT:
        return Known(loads=False, what="for the history alone: a newer snapshot is loaded")
    if status is not Status.LOADED:
        return Known(loads=False, what="outdated: a newer snapshot is loaded")
    if before and before.sha256 != candidate.sha256:
        return Known(loads=True, what=f"a correction: replaces the {before.records} records of {before.version}")
    gone = sorted(entry.file for entry in plan.removals if entry.file != name)
    return Known(loads=True, what=f"new, and replaces {', '.join(gone)}" if gone else "new")


def batch_notes(batches: Sequence[FileCount]) -> list[str]:
    """Into which batches a file is divided."""
    if not batches:
        return []
    listed = [f"{count.batch} ({count.records:,})" for count in batches[:BATCHES_SHOWN]]
    more = f" and {len(batches) - BATCHES_SHOWN:,} more" if len(batches) > BATCHES_SHOWN else ""
    return [f"its records are in {len(batches):,} batch(es): {', '.join(listed)}{more}"]


BLOCK, BEGINNING = 4 << 20, 16  # bytes; the longest mark of a compression or an encoding has 6


@dataclass(frozen=True, slots=True)
class Reading:
    """How a file is read; `encoding`, `delimiter` and `header_line` are None if the format has none."""

    format: FileFormat
    compression: str | None
    encoding: str | None
    delimiter: str | None = None
    header_line: int | None = None


@dataclass(frozen=True, slots=True)
class ColumnFound:
    """Where a column of the contract is found in a file.

    Attributes:
        column: its name.
        header: its name in the file, as written; None when it is missing. In JSON and Parquet files a column without
            any value counts as missing.
        position: number of the field, from 1, in delimited files and sheets; in fixed width files of its first
            character.
        records: how many records have a value.
    """

    column: str
    header: str | None
    position: int | None
    records: int


def reading_of_file(feed: Feed, candidate: Candidate, work: Path, max_bytes: int) -> Reading:
    """How a file that could be read is read.

    Args:
        feed: the contract.
        candidate: the file, prepared.
        work: a folder for copies.
        max_bytes: how large the file may be, decompressed.
    """
    path, name, own = candidate.file.path, candidate.file.name, Path(mkdtemp(dir=work))
    is_workbook = feed.source.format is FileFormat.XLSX
    plain = decompress(path, name, own, max_bytes, is_workbook)
    compression = compression_of(_head(path))
    header = candidate.prepared.header if candidate.prepared else None
    if is_workbook or feed.source.format is FileFormat.PARQUET:
        return Reading(feed.source.format, compression, None, header_line=header.line if header else None)
    # Who reads the file afterwards has no encoding any more: all text was made UTF-8. So it is found out again.
    text, start = as_utf8(plain, feed.source.encoding, name, own)
    mark = next((codec for mark, codec in BOMS.items() if _starts(plain, mark)), None)
    encoding = "utf-8" if text == plain else mark or feed.source.encoding
    return Reading(
        feed.source.format,
        compression,
        f"{encoding} with byte order mark" if start or mark else encoding,
        (header.delimiter or None) if header else None,
        header.line if header else None,
    )


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(BEGINNING)


def _starts(path: Path, magic: bytes) -> bool:
    return _head(path).startswith(magic)


def columns_found(connection: "DuckDBPyConnection", feed: Feed, candidate: Candidate) -> list[ColumnFound]:
    """Where each column of the contract is found.

    Args:
        connection: to the warehouse that the file was read into.
        feed: the contract.
        candidate: the file, prepared.
    """
    columns = feed.source_columns
    # Counted rather than looked up in the header: a JSON file has none, and a Parquet column may have no value at all.
    counts = ", ".join(f"count(nullif({ident(column.name)}, ''))" for column in columns)
    filled = connection.execute(f"SELECT {counts} FROM {ident(raw_table(feed))}").fetchone() or ()
    header = candidate.prepared.header if candidate.prepared else None
    found = []
    for column, records in zip(columns, filled, strict=True):
        if column.value_from:
            name = f"valueFrom: {column.value_from.origin}" if records else None
            found.append(ColumnFound(column.name, name, None, records))
        elif column.span and feed.source.fixed:
            name = header.fields[header.positions[column.name]].strip() if header else column.source
            found.append(ColumnFound(column.name, name, column.span.position, records))
        elif header:
            position = header.positions.get(column.name)
            name = None if position is None else header.fields[position]
            found.append(ColumnFound(column.name, name, None if position is None else position + 1, records))
        else:
            found.append(ColumnFound(column.name, column.source if records else None, None, records))
    return found


def lines_before(candidate: Candidate) -> int | None:
    """The number of lines before the first record if each record is one line, so that they can be named; else None."""
    prepared = candidate.prepared
    if prepared is None or prepared.text is None:
        return None
    # A quoted line end makes a record of two lines. As many lines as records means that there is none.
    with prepared.text.open("rb") as stream:
        before = _lines(iter([stream.read(prepared.offset)]))
        after = _lines(iter(lambda: stream.read(BLOCK), b""))
    return before if after == prepared.records else None


def _lines(blocks: Iterator[bytes]) -> int:
    """The number of lines with the ends LF, CR or CRLF; the last line may lack its end."""
    # A block may end between CR and LF, so both are counted apart. Where there are LFs each line has one.
    feeds = returns = 0
    last = b""
    for block in blocks:
        feeds, returns, last = feeds + block.count(b"\n"), returns + block.count(b"\r"), block[-1:] or last
    return (feeds or returns) + (last not in (b"", b"\n", b"\r"))
