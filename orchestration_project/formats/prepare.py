"""Make a delivered file readable by DuckDB with explicit options only, or refuse it.

    delivered bytes -> decompress -> decode -> header, count the records -> Prepared

Nothing is sniffed from a sample: compression and encoding are proved over the whole file, the header is found by the
contract's names. A plain UTF-8 file with its header in the first line is read where it lies. Any other is written anew
in a work folder, the table of a workbook as CSV. No relation is made here; that is what `stage` does with a `Prepared`.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.contracts.fixed_width import FixedWidth
from orchestration_project.errors import FileRefused
from orchestration_project.formats.csv_scanner import LONG_RECORD_BYTES, MAX_RECORD_BYTES, Scan, scan
from orchestration_project.formats.csv_split import Split, split_records, take_out_broken
from orchestration_project.formats.decode import as_utf8, encoding_of
from orchestration_project.formats.decompress import decompress
from orchestration_project.formats.fixed_lines import find_names, with_fillers
from orchestration_project.formats.given import Given, given_texts, preamble_of
from orchestration_project.formats.header import HEAD_BYTES, REJECT_ID, Header, find_header, is_one_line, normalised
from orchestration_project.formats.json_array import write_elements
from orchestration_project.formats.json_documents import write_records
from orchestration_project.formats.skipped import FIRST_LINE

BLOCK = 4 << 20
GLOB_CHARACTERS = frozenset("*?[]{}\\")
NO_DELIMITERS = bytes({*range(1, 32)} - {*b"\t\n\r"})
"""What may stand where DuckDB wants a delimiter and a line has none: control characters, which JSON forbids."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that DuckDB can read.

    Attributes:
        name: the file's logical name.
        readable: what to read: the file itself or a rewritten copy.
        header: its header; None for JSON, Parquet and where a contract of fixed width files has none. Of a workbook,
            that of the first sheet that is read.
        quote: the quote in `readable`; empty when nothing is quoted. The header tells the delimiter.
        line_end: the line end in `readable`.
        skip: lines before the first record in `readable`.
        records: records counted without DuckDB's reader, blank ones included; None where the format itself tells.
        long_records: whether some need larger buffers than usual.
        skipped: file of the records that DuckDB leaves out, see `SkippedRecords`; None when there are none.
        text: the whole file as UTF-8: what a second, careful reading starts from.
        offset: where in `text` the data begins.
        no_delimiter: of a file whose lines are not split, a character that is not in it.
        given: what is told around its records, see `given`; in the records of a workbook, where each sheet has its own.
    """

    name: str
    readable: Path
    header: Header | None = None
    quote: str = '"'
    line_end: str = "\n"
    skip: int = 0
    records: int | None = None
    long_records: bool = False
    skipped: Path | None = None
    text: Path | None = None
    offset: int = 0
    no_delimiter: str = ""
    given: Given = field(default_factory=dict, hash=False)


def prepare(feed: Feed, path: Path, name: str, work: Path, max_bytes: int) -> Prepared:
    """Prepare one file.

    Args:
        feed: the contract.
        path: the file.
        name: its logical name, for messages.
        work: an empty folder of its own for rewritten copies.
        max_bytes: how large the file may be, decompressed.

    Raises:
        FileRefused: the file can't be read as the contract says; with line and byte where there are any.
    """
    if path.stat().st_size == 0:
        raise FileRefused("empty_file", f"{name!r} has no bytes at all, not even a header; deliver it again")
    plain = decompress(path, name, work, max_bytes, workbooks=feed.source.format is FileFormat.XLSX)
    if feed.source.format is FileFormat.XLSX:
        return _prepare_workbook(feed, plain, name, work, max_bytes)
    # Parquet and xlsx are no text: they say themselves how theirs is encoded.
    if feed.source.format is FileFormat.PARQUET:
        return Prepared(name, _plainly_named(plain, work), given=given_texts(feed, name))
    text, start = as_utf8(plain, feed.source.encoding, name, work)
    if feed.source.format is FileFormat.JSON:
        lines = _as_lines(text, start, feed.source.records_path, name, work)
        return replace(_prepare_lines(lines, name, work), given=given_texts(feed, name))
    if feed.source.format is FileFormat.FIXED_WIDTH:
        return _prepare_fixed_width(feed, plain, text, start, name, work)
    return _prepare_delimited(feed, text, start, name, work)


def split_carefully(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """Read a delimited file again, record by record, where the fast way would lose or join records."""
    header, text = _parts(file)
    good, skipped = work / "records.csv", work / "skipped.csv"
    found = split_records(text, file.offset, len(header.fields), header.delimiter, feed.source.quote, good, skipped)
    # What was split is written with commas, whatever the delivered file has.
    plain = replace(file, readable=good, header=replace(header, delimiter=","), quote='"', line_end="\n", skip=1)
    return _counted(plain, found, skipped)


def _without_broken(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """The file without the records that DuckDB would join with others, lose or shift."""
    header, text = _parts(file)
    good, skipped = work / "regular.csv", work / "skipped.csv"
    first_line = _first_line(file.line_end)
    found = take_out_broken(
        text, file.offset, len(header.fields), header.delimiter, feed.source.quote, good, skipped, first_line
    )
    return _counted(replace(file, readable=good), found, skipped)


def _counted(file: Prepared, found: Scan | Split, skipped: Path) -> Prepared:
    return replace(
        file,
        records=found.count,
        long_records=found.longest > LONG_RECORD_BYTES,
        skipped=skipped if found.skipped else None,
    )


def _parts(file: Prepared) -> tuple[Header, Path]:
    if file.header is None or file.text is None:
        raise TypeError(f"{file.name!r} is not a delimited file")
    return file.header, file.text


def _prepare_delimited(feed: Feed, text: Path, start: int, name: str, work: Path) -> Prepared:
    head = _head(text, start)
    header = find_header(feed, head)
    _refuse_misnamed_repair(name, header)
    given = given_texts(feed, name, preamble_of(head, header, feed.source.quote)) if feed.given_columns else {}
    # The text is UTF-8 by now, so the header's characters tell how many bytes it has.
    first = head[: header.length]
    offset = start + len(first.encode())
    skipped = work / "skipped.csv"
    with text.open("rb") as stream:
        stream.seek(offset)
        found = scan(stream, header.delimiter, feed.source.quote, skipped, len(header.fields))
    plain = Prepared(
        name, text, header, feed.source.quote, line_end=found.line_end, skip=1, text=text, offset=offset, given=given
    )
    file = _counted(plain, found, skipped)
    # By blocks where that can be done: record by record takes thirty times as long.
    if not found.regular:
        return _without_broken(feed, file, work) if found.uniform else split_carefully(feed, file, work)
    # DuckDB takes the end of the first line for that of all lines. And it skips one line: a header over two lines, a
    # preamble or a byte order mark above the data has to go.
    same_end = not found.count or first[len(first.rstrip("\r\n")) :] == found.line_end
    if start == 0 and is_one_line(first) and same_end:
        return replace(file, readable=_plainly_named(text, work))
    return replace(file, readable=_copy_from(text, offset, work / "data.csv", _first_line(found.line_end)))


def _prepare_workbook(feed: Feed, path: Path, name: str, work: Path, max_bytes: int) -> Prepared:
    # The libraries of XML and archives would slow the start of every code location.
    from orchestration_project.formats.sheet_csv import convert

    made = convert(feed, path, name, work, max_bytes)
    for header in made.headers:
        _refuse_misnamed_repair(name, header)
    return Prepared(name, made.path, made.headers[0], records=made.records, long_records=made.long_records)


def _refuse_misnamed_repair(name: str, header: Header) -> None:
    """Refuse a repair file under any other name.

    A repair file proper is read by a contract of its own, which expects the column.

    Raises:
        FileRefused: the header has the column of repair files.
    """
    if REJECT_ID in map(normalised, header.unexpected.values()):
        raise FileRefused(
            "misnamed_repair",
            f"{name!r} has the column {REJECT_ID} of repair files, whose records would count twice in any other file:"
            " deliver it under a name that ends with .repair.csv, or without that column",
            line=header.line,
        )


def _first_line(line_end: str) -> bytes:
    return FIRST_LINE + line_end.encode()


def _prepare_fixed_width(feed: Feed, plain: Path, text: Path, start: int, name: str, work: Path) -> Prepared:
    fixed = feed.source.fixed or FixedWidth()
    whole = _copy_from(text, start, work / "text") if start else text
    if fixed.count_bytes:
        whole = with_fillers(whole, encoding_of(plain, text, feed.source.encoding), name, work / "counted")
    head = _head(whole, 0)
    header = find_names(feed, head) if fixed.header_line else None
    offset = len(head[: header.length].encode()) if header else 0
    readable = _copy_from(whole, offset, work / "records") if offset else _plainly_named(whole, work)
    lines = _prepare_lines(readable, name, work)
    return replace(lines, header=header, text=whole, offset=offset, given=given_texts(feed, name))


def _prepare_lines(readable: Path, name: str, work: Path) -> Prepared:
    """A file each of whose lines is a record, whatever is in it."""
    skipped, no_delimiter = work / "skipped.csv", _no_delimiter(readable, name)
    found = _scan_lines(readable, no_delimiter, skipped)
    # DuckDB can't read mixed line ends. It is enough to replace them, since no value has one in it.
    if not found.uniform:
        readable = _with_line_feeds(readable, work / "lines")
        found = _scan_lines(readable, no_delimiter, skipped)
    if found.longest > MAX_RECORD_BYTES:
        raise FileRefused("record_too_long", f"{name!r} has a record of more than {MAX_RECORD_BYTES:,} bytes; split it")
    file = Prepared(name, readable, no_delimiter=no_delimiter, quote="", line_end=found.line_end)
    return _counted(file, found, skipped)


def _no_delimiter(path: Path, name: str) -> str:
    """A control character that is not in a file: at one that is, DuckDB would split its line.

    Raises:
        FileRefused: all of them are.
    """
    # JSON forbids them all, and hardly a text has one. So almost always the first one is free.
    for character in NO_DELIMITERS:
        with path.open("rb") as stream:
            if not any(character in block for block in iter(lambda: stream.read(BLOCK), b"")):
                return chr(character)
    raise FileRefused("unreadable", f"{name!r} has every control character there is: it is no text; deliver it anew")


def _as_lines(text: Path, start: int, path: Sequence[str] | None, name: str, work: Path) -> Path:
    """A JSON file with a record a line: itself, or a copy."""
    if path is not None:
        with text.open("rb") as reader, (work / "records.json").open("wb") as writer:
            reader.seek(start)
            write_records(reader, path, writer, name)
        return work / "records.json"
    if _head(text, start).lstrip()[:1] == "[":
        write_elements(text, start, work / "elements.json", name)
        return work / "elements.json"
    return _plainly_named(text, work) if start == 0 else _copy_from(text, start, work / "data.json")


def _scan_lines(path: Path, no_delimiter: str, skipped: Path) -> Scan:
    with path.open("rb") as stream:
        return scan(stream, no_delimiter, "", skipped)


def _with_line_feeds(source: Path, target: Path) -> Path:
    """A copy of a text whose lines all end by LF; a line end is never data where lines are not split."""
    with (
        source.open(encoding="utf-8", newline=None) as reader,
        target.open("w", encoding="utf-8", newline="\n") as writer,
    ):
        shutil.copyfileobj(reader, writer, BLOCK)
    return target


def _head(text: Path, start: int) -> str:
    with text.open("rb") as stream:
        stream.seek(start)
        # The last character may be cut off.
        return stream.read(HEAD_BYTES).decode("utf-8", errors="ignore")


def _copy_from(source: Path, offset: int, target: Path, first_line: bytes = b"") -> Path:
    with source.open("rb") as reader, target.open("wb") as writer:
        writer.write(first_line)
        reader.seek(offset)
        shutil.copyfileobj(reader, writer, BLOCK)
    return target


def _plainly_named(path: Path, work: Path) -> Path:
    """The file itself, or a copy of it, if DuckDB would not open it under its name."""
    # DuckDB takes *, ? and [ in a path for a pattern, and opens no path that is not UTF-8; it has no way to quote them.
    unfit = GLOB_CHARACTERS & set(str(path)) or str(path) != os.fsencode(path).decode("utf-8", errors="replace")
    return _copy_from(path, 0, work / "plain") if unfit else path
