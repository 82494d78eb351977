"""Make a delivered file readable by DuckDB with explicit options only, or refuse it: its encoding, header and records.

Nothing is sniffed from a sample: compression and encoding are proved over the whole file, the header by the contract's
names. A plain UTF-8 file with its header in the first line is read where it lies; any other is written anew in a work
folder.
"""

import codecs
import gzip
import io
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileRefused
from orchestration_project.transforms.excise import excise
from orchestration_project.transforms.header import (
    HEAD_BYTES,
    REJECT_ID,
    Header,
    find_header,
    is_one_line,
    normalised,
)
from orchestration_project.transforms.records import FIRST_LINE, Records, scan, split

if TYPE_CHECKING:
    from _typeshed import SupportsRead

BLOCK = 4 << 20
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
BOMS = {
    codecs.BOM_UTF8: "utf-8",
    # That of UTF-16 is the beginning of this one, so this one is looked for first.
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
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
        records: records counted without DuckDB's CSV reader, blank ones included; None where the format itself tells.
        blank: 1-based numbers of the records that are empty lines.
        broken: CSV of number, raw text and error of records that could not be split; None when DuckDB is to find them.
        text: the whole file as UTF-8 and `offset` where its data begins: what a second, careful reading starts from.
        array: whether a JSON file is one array rather than an object a line.
    """

    name: str
    readable: Path
    header: Header | None = None
    quote: str = '"'
    line_end: str = "\n"
    skip: int = 0
    records: int | None = None
    blank: list[int] = field(default_factory=list)
    broken: Path | None = None
    text: Path | None = None
    offset: int = 0
    array: bool = False


def prepare(feed: Feed, path: Path, name: str, work: Path) -> Prepared:
    """Prepare one file.

    Args:
        feed: the contract.
        path: the file.
        name: its logical name, for messages.
        work: an empty folder of its own for rewritten copies.

    Raises:
        FileRefused: the file can't be read as the contract says; with line and byte where there are any.
    """
    if path.stat().st_size == 0:
        raise FileRefused("empty_file", f"{name!r} has no bytes at all, not even a header; deliver it again")
    plain = _decompress(path, name, work)
    if feed.source.format is FileFormat.PARQUET:
        return Prepared(name, _plainly_named(plain, work))
    text, start = _as_utf8(feed, plain, name, work)
    if feed.source.format is FileFormat.JSON:
        return _prepare_json(text, start, name, work)
    return _prepare_delimited(feed, text, start, name, work)


def split_carefully(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """Read a delimited file again, record by record, where the fast way would lose or join records."""
    header, text = _parts(file)
    good, broken = work / "records.csv", work / "broken.csv"
    found = split(text, file.offset, len(header.fields), header.delimiter, feed.source.quote, good, broken)
    return replace(
        file,
        readable=good,
        header=replace(header, delimiter=","),
        quote='"',
        line_end="\n",
        records=found.count,
        blank=found.blank,
        broken=broken,
    )


def _excised(feed: Feed, file: Prepared, work: Path) -> Prepared:
    """The file without its records with broken quotes, which would make DuckDB join or lose others."""
    header, text = _parts(file)
    good, broken = work / "regular.csv", work / "broken.csv"
    found = excise(text, file.offset, header.delimiter, feed.source.quote, good, broken, _first_line(file.line_end))
    return replace(file, readable=good, records=found.count, blank=found.blank, broken=broken)


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
    with text.open("rb") as stream:
        stream.seek(offset)
        records = scan(stream, header.delimiter, feed.source.quote)
    file = Prepared(
        name,
        text,
        header,
        quote=feed.source.quote,
        line_end=records.line_end,
        skip=1,
        records=records.count,
        blank=records.blank,
        text=text,
        offset=offset,
    )
    if not records.regular:
        return _excised(feed, file, work) if records.uniform else split_carefully(feed, file, work)
    same_end = not records.count or first[len(first.rstrip("\r\n")) :] == records.line_end
    if start == 0 and is_one_line(first) and same_end:
        return replace(file, readable=_plainly_named(text, work))
    return replace(file, readable=_copy_from(text, offset, work / "data.csv", _first_line(records.line_end)))


def _first_line(line_end: str) -> bytes:
    return FIRST_LINE + line_end.encode()


def _prepare_json(text: Path, start: int, name: str, work: Path) -> Prepared:
    first = _head(text, start).lstrip()[:1]
    readable = _plainly_named(text, work) if start == 0 else _copy_from(text, start, work / "data.json")
    if first == "[":
        return Prepared(name, readable, array=True)
    records = _scan_lines(readable)
    if not records.uniform:
        readable = _with_line_feeds(readable, work / "lines.json")
        records = _scan_lines(readable)
    return Prepared(name, readable, quote="", line_end=records.line_end, records=records.count, blank=records.blank)


def _scan_lines(path: Path) -> Records:
    with path.open("rb") as stream:
        return scan(stream, NO_DELIMITER, "")


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


def _decompress(path: Path, name: str, work: Path) -> Path:
    with path.open("rb") as stream:
        magic = stream.read(4)
    if not magic.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        return path
    target = work / "decompressed"
    try:
        with _decompressor(path, magic) as reader, target.open("wb") as writer:
            shutil.copyfileobj(reader, writer, BLOCK)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise FileRefused(
            "unreadable", f"{name!r} can't be decompressed: {error}; it is damaged or was cut off, deliver it again"
        ) from error
    if target.stat().st_size == 0:
        raise FileRefused("empty_file", f"{name!r} has no bytes at all once decompressed; deliver it again")
    return target


@contextmanager
def _decompressor(path: Path, magic: bytes) -> Iterator["SupportsRead[bytes]"]:
    if magic.startswith(GZIP_MAGIC):
        with gzip.open(path) as stream:
            yield stream
    else:
        with path.open("rb") as raw:
            yield _ZstdFrames(raw)


class _ZstdFrames:
    """A zstd stream that tells when its last frame was cut off; the library's reader takes that for the end."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def read(self, size: int = BLOCK, /) -> bytes:
        """The next decompressed bytes, of about `size` compressed ones.

        Raises:
            EOFError: the last frame is not complete.
        """
        while block := self._rest or self._raw.read(size):
            self._rest = b""
            if self._frame.eof:
                self._frame = zstandard.ZstdDecompressor().decompressobj()
            data = self._frame.decompress(block)
            self._rest = self._frame.unused_data if self._frame.eof else b""
            if data:
                return data
        if not self._frame.eof:
            raise EOFError("the last zstd frame is not complete")
        return b""


def _as_utf8(feed: Feed, path: Path, name: str, work: Path) -> tuple[Path, int]:
    """The file as UTF-8 and where its text begins."""
    with path.open("rb") as stream:
        beginning = stream.read(4)
    declared = codecs.lookup(feed.source.encoding).name if feed.source.encoding else None
    mark = next((mark for mark in BOMS if beginning.startswith(mark)), b"")
    if mark and BOMS[mark] != "utf-8":
        return _transcode(path, BOMS[mark], len(mark), name, work), 0
    if declared and declared.startswith(("utf-16", "utf-32")):
        return _transcode(path, declared, 0, name, work), 0
    try:
        _transcode_blocks(path, "utf-8", len(mark), None)
    except _Undecodable as error:
        if mark or not declared or declared in ("utf-8", "ascii"):
            raise _undecodable(path, name, "UTF-8", error) from None
        return _transcode(path, declared, 0, name, work), 0
    return path, len(mark)


class _Undecodable(Exception):
    def __init__(self, byte: int, value: int) -> None:
        self.byte, self.value = byte, value


def _undecodable(path: Path, name: str, encoding: str, error: _Undecodable) -> FileRefused:
    line = _line_at(path, encoding, error.byte)
    return FileRefused(
        "undecodable",
        f"{name!r} is not {encoding}: byte {error.byte} (0x{error.value:02x}) in line {line} can't be decoded. Deliver"
        " it as UTF-8, or declare its encoding in the contract's server",
        line=line,
        byte=error.byte,
    )


def _line_at(path: Path, encoding: str, byte: int) -> int:
    """The 1-based line in which a byte stands; any line end counts."""
    with path.open("rb") as stream, io.BytesIO(stream.read(byte)) as before:
        text = io.TextIOWrapper(before, encoding, errors="replace", newline=None)
        return 1 + sum(line.endswith("\n") for line in text)


def _transcode(path: Path, encoding: str, start: int, name: str, work: Path) -> Path:
    target = work / "utf-8"
    try:
        with target.open("wb") as writer:
            _transcode_blocks(path, encoding, start, writer)
    except _Undecodable as error:
        raise _undecodable(path, name, encoding, error) from None
    return target


def _transcode_blocks(path: Path, encoding: str, start: int, writer: BinaryIO | None) -> None:
    """Write a file as UTF-8; without a writer, only prove that it can be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    position = start
    with path.open("rb") as stream:
        stream.seek(start)
        block = b"\n"
        while block:
            block = stream.read(BLOCK)
            pending = len(decoder.getstate()[0])
            if writer is None and not pending and block.isascii():
                position += len(block)
                continue
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                byte = position - pending + error.start
                raise _Undecodable(byte, error.object[error.start]) from None
            if writer is not None:
                writer.write(text.encode())
            position += len(block)
