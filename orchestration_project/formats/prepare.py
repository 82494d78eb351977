"""Make a delivered file readable by DuckDB with explicit options only, or refuse it: its encoding, header and records.

Nothing is sniffed from a sample: compression and encoding are proved over the whole file, the header by the contract's
names. A plain UTF-8 file with its header in the first line is read where it lies; any other is written anew in a work
folder.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileRefused
from orchestration_project.formats.csv_scanner import LONG_RECORD_BYTES, MAX_RECORD_BYTES, Records, Split, scan, split
from orchestration_project.formats.csv_split import excise
from orchestration_project.formats.decode import as_utf8
from orchestration_project.formats.decompress import decompress
from orchestration_project.formats.gaps import FIRST_LINE
from orchestration_project.formats.header import HEAD_BYTES, REJECT_ID, Header, find_header, is_one_line, normalised
from orchestration_project.formats.json_array import write_elements

BLOCK = 4 << 20
GLOB_CHARACTERS = frozenset("*?[]{}\\")
NO_DELIMITER = "\x01"
"""Stands where DuckDB wants a delimiter and a JSON line has none; a control character, which JSON forbids in text."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file that DuckDB can read.

    Attributes:
        name: the file's logical name.
        readable: what to read: the file itself or a rewritten copy.
        header: its header; None for JSON and Parquet.
        quote, line_end: of `readable`, whose delimiter the header tells.
        skip: lines before the first record in `readable`.
        records: records counted without DuckDB's reader, blank ones included; None where the format itself tells.
        long_records: whether some need larger buffers than usual.
        gaps: the records that DuckDB leaves out, see `Gaps`; None when there are none.
        text: the whole file as UTF-8 and `offset` where its data begins: what a second, careful reading starts from.
    """

    name: str
    readable: Path
    header: Header | None = None
    quote: str = '"'
    line_end: str = "\n"
    skip: int = 0
    records: int | None = None
    long_records: bool = False
    gaps: Path | None = None
    text: Path | None = None
    offset: int = 0


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
    plain = decompress(path, name, work, max_bytes)
    if feed.source.format is FileFormat.PARQUET:
        return Prepared(name, _plainly_named(plain, work))
    text, start = as_utf8(plain, feed.source.encoding, name, work)
    if feed.source.format is FileFormat.JSON:
        return _prepare_json(text, start, name, work)
    return _prepare_delimited(feed, text, start, name, work)


def split_carefully(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """Read a delimited file again, record by record, where the fast way would lose or join records."""
    header, text = _parts(file)
    good, gaps = work / "records.csv", work / "gaps.csv"
    found = split(text, file.offset, len(header.fields), header.delimiter, feed.source.quote, good, gaps)
    plain = replace(file, readable=good, header=replace(header, delimiter=","), quote='"', line_end="\n", skip=1)
    return _counted(plain, found, gaps)


def _excised(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """The file without its records with broken quotes, which would make DuckDB join or lose others."""
    header, text = _parts(file)
    good, gaps = work / "regular.csv", work / "gaps.csv"
    found = excise(text, file.offset, header.delimiter, feed.source.quote, good, gaps, _first_line(file.line_end))
    return _counted(replace(file, readable=good), found, gaps)


def _counted(file: Prepared, found: Records | Split, gaps: Path) -> Prepared:
    return replace(
        file,
        records=found.count,
        long_records=found.longest > LONG_RECORD_BYTES,
        gaps=gaps if found.gaps else None,
    )


def _parts(file: Prepared) -> tuple[Header, Path]:
    if file.header is None or file.text is None:
        raise TypeError(f"{file.name!r} is not a delimited file")
    return file.header, file.text


def _prepare_delimited(feed: Feed, text: Path, start: int, name: str, work: Path) -> Prepared:
    head = _head(text, start)
    header = find_header(feed, head)
    if REJECT_ID in map(normalised, header.unexpected.values()):
        raise FileRefused(
            "misnamed_repair",
            f"{name!r} has the column {REJECT_ID} of repair files, whose records would count twice in any other file:"
            " deliver it under a name that ends with .repair.csv, or without that column",
            line=header.line,
        )
    first = head[: header.length]
    offset = start + len(first.encode())
    gaps = work / "gaps.csv"
    with text.open("rb") as stream:
        stream.seek(offset)
        records = scan(stream, header.delimiter, feed.source.quote, gaps)
    plain = Prepared(name, text, header, feed.source.quote, line_end=records.line_end, skip=1, text=text, offset=offset)
    file = _counted(plain, records, gaps)
    if not records.regular:
        return _excised(feed, file, work) if records.uniform else split_carefully(feed, file, work)
    same_end = not records.count or first[len(first.rstrip("\r\n")) :] == records.line_end
    if start == 0 and is_one_line(first) and same_end:
        return replace(file, readable=_plainly_named(text, work))
    return replace(file, readable=_copy_from(text, offset, work / "data.csv", _first_line(records.line_end)))


def _first_line(line_end: str) -> bytes:
    return FIRST_LINE + line_end.encode()


def _prepare_json(text: Path, start: int, name: str, work: Path) -> Prepared:
    readable = _as_lines(text, start, name, work)
    records = _scan_lines(readable, work)
    if not records.uniform:
        readable = _with_line_feeds(readable, work / "lines.json")
        records = _scan_lines(readable, work)
    if records.longest > MAX_RECORD_BYTES:
        raise FileRefused("record_too_long", f"{name!r} has a record of more than {MAX_RECORD_BYTES:,} bytes; split it")
    return _counted(Prepared(name, readable, quote="", line_end=records.line_end), records, work / "gaps.csv")


def _as_lines(text: Path, start: int, name: str, work: Path) -> Path:
    """A JSON file with a record a line: itself, or a copy."""
    if _head(text, start).lstrip()[:1] == "[":
        write_elements(text, start, work / "elements.json", name)
        return work / "elements.json"
    return _plainly_named(text, work) if start == 0 else _copy_from(text, start, work / "data.json")


def _scan_lines(path: Path, work: Path) -> Records:
    with path.open("rb") as stream:
        return scan(stream, NO_DELIMITER, "", work / "gaps.csv")


def _with_line_feeds(source: Path, target: Path) -> Path:
    """A copy of a text whose lines all end by LF; a line end is never data in JSON."""
    with (
        source.open(encoding="utf-8", newline=None) as reader,
        target.open("w", encoding="utf-8", newline="\n") as writer,
    ):
        shutil.copyfileobj(reader, writer, BLOCK)
    return target


def _head(text: Path, start: int) -> str:
    with text.open("rb") as stream:
        stream.seek(start)
        return stream.read(HEAD_BYTES).decode("utf-8", errors="ignore")


def _copy_from(source: Path, offset: int, target: Path, first_line: bytes = b"") -> Path:
    with source.open("rb") as reader, target.open("wb") as writer:
        writer.write(first_line)
        reader.seek(offset)
        shutil.copyfileobj(reader, writer, BLOCK)
    return target


def _plainly_named(path: Path, work: Path) -> Path:
    # DuckDB takes *, ? and [ in a path for a pattern, and none that is not UTF-8: a copy is the only sure way around.
    unfit = GLOB_CHARACTERS & set(str(path)) or str(path) != os.fsencode(path).decode("utf-8", errors="replace")
    return _copy_from(path, 0, work / "plain") if unfit else path
