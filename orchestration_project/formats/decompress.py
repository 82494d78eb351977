r"""What the first bytes of a file tell: what is compressed is unpacked, no larger than allowed; the format is guessed.

    \x1f\x8b...           gzip, unpacked           PAR1...     looks like Parquet
    \x28\xb5\x2f\xfd...   zstd, unpacked           {... [...   looks like JSON, after blanks
    BZh, \xfd7zXZ...      bzip2 and xz, unpacked   PK... xl/   looks like a workbook
    anything else         read as it is            PK... opendocument.spreadsheet   the same
                                                   the rest    looks like CSV

What is no text and none of these is refused under its own name, with what to do: zip, PDF, ... The encoding of a
text is the work of `decode`.
"""

import bz2
import gzip
import lzma
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

import zstandard

from orchestration_project.contracts.feed import FileFormat
from orchestration_project.errors import FileRefused

if TYPE_CHECKING:
    from _typeshed import SupportsRead

BLOCK = 4 << 20
PIECE = 1 << 10
"""Compressed bytes taken at a time: zstd makes up to 32,000 bytes of each, and gives all that it made at once."""
GZIP_MAGIC, ZSTD_MAGIC, XZ_MAGIC, PARQUET_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"PAR1"
# Three letters and a digit may begin any text. Behind them stand the digits of pi before a block of data, or those of
# its square root in a file of nothing.
BZIP2 = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
XZ_MEMORY = 256 << 20
"""More than any preset of xz needs; a file may ask for gigabytes."""
SKIPPABLE = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18", re.DOTALL)
"""Begins a zstd frame without content, as pzstd writes it before each of the others."""
HEAD_BYTES = 4 << 10
SHEET = "a spreadsheet ({}): save the sheet as CSV UTF-8 and deliver that, or as xlsx for a contract that says so"
# Any zip archive begins with PK, so a part that only Office files have is looked for, as far as the head goes.
WORKBOOK = re.compile(rb"PK\x03\x04.*?(?:xl/|\[Content_Types\]\.xml|_rels/)", re.DOTALL)
# The standard wants the type at this place of the archive, so that the first bytes tell it.
OPEN_DOCUMENT = re.compile(rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis\.opendocument\.spreadsheet", re.DOTALL)
OLD_WORKBOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ZIPPED = re.compile(rb"PK(?:\x03\x04|\x05\x06|\x07\x08)")
FOREIGN = (
    (rb"PK(?:\x03\x04|\x05\x06).*?(?:xl/|\[Content_Types\]\.xml|_rels/)", SHEET.format("xlsx or another Office file")),
    (rb"PK\x03\x04.{26}mimetypeapplication/vnd\.oasis", SHEET.format("OpenDocument")),
    (ZIPPED.pattern, "a zip archive that can't be unpacked here: deliver the files in it"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", SHEET.format("xls or another Office file of the old kind, OLE2")),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it and deliver the files in it"),
    (rb"Rar!\x1a\x07", "a RAR archive: unpack it and deliver the files in it"),
    (rb"%PDF-", "a PDF: ask for the data behind it, as CSV"),
    (
        rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,1000}?-->\s*)*<(?i:!doctype\s+html|html|head|body|table)[\s>]",
        "a page of HTML: it may be the error of a failed download, or a spreadsheet's export; deliver the data as CSV",
    ),
    (
        rb"\x1f\x8b|\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18|\xfd7zXZ\0|BZh[1-9](?:1AY&SY|\x17rE8P\x90)",
        "compressed twice: unpack it once",
    ),
)
"""The first bytes of what is not read, and what it is and what to do; the first that fits counts."""
BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
"""What may stand before the text of a JSON file: a byte order mark and white space."""


def decompress(path: Path, name: str, work: Path, max_bytes: int, workbooks: bool = False) -> Path:
    """The file itself, or a decompressed copy of it.

    Args:
        path: the file.
        name: its logical name, for messages.
        work: a folder for the copy.
        max_bytes: how large the file may be, decompressed; no more than that is written.
        workbooks: whether workbooks are read; whether it is a good one is told by `workbook`.

    Raises:
        FileRefused: it is larger, or damaged, or nothing is in it, or it is of a format that is not read.
    """
    magic = _head(path)
    # The name does not count: files come as .csv.gz that were unpacked on the way, and the other way round.
    if compression_of(magic) is None:
        _ensure_known(magic, name, workbooks)
        if path.stat().st_size > max_bytes:
            raise too_large(name, max_bytes)
        return path
    target = work / "decompressed"
    try:
        with _decompressor(path, magic) as reader, target.open("wb") as writer:
            shutil.copyfileobj(_Bounded(reader, name, max_bytes), writer, BLOCK)
    except (EOFError, OSError, zlib.error, zstandard.ZstdError, lzma.LZMAError) as error:
        # gzip and bz2 say by an OSError that data is damaged; one of the system has a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise FileRefused(
            "unreadable", f"{name!r} can't be decompressed: {error}; it is damaged or was cut off, deliver it again"
        ) from error
    # That of the file itself was looked at before, but a gzip file of nothing has bytes.
    if target.stat().st_size == 0:
        raise FileRefused("empty_file", f"{name!r} has no bytes at all once decompressed; deliver it again")
    _ensure_known(_head(target), name, workbooks)
    return target


def compression_of(beginning: bytes) -> str | None:
    """How a file that begins so is compressed; None if it is not."""
    if beginning.startswith(ZSTD_MAGIC) or SKIPPABLE.match(beginning):
        return "zstd"
    if BZIP2.match(beginning):
        return "bzip2"
    if beginning.startswith(XZ_MAGIC):
        return "xz"
    return "gzip" if beginning.startswith(GZIP_MAGIC) else None


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(HEAD_BYTES)


def _ensure_known(beginning: bytes, name: str, workbooks: bool) -> None:
    """Make sure that a file is not of a format which is known and not read.

    Raises:
        FileRefused: it is; with what to do.
    """
    # An encrypted xlsx is an OLE2 file, as an old xls is. `workbook_parts` tells them apart.
    if workbooks and (_is_workbook(beginning) or beginning.startswith(OLD_WORKBOOK)):
        return
    if "/" in name and ZIPPED.match(beginning) and not _is_workbook(beginning):
        raise FileRefused(
            "nested_archive", f"{name!r} is a zip archive in another one: deliver its files in the outer one"
        )
    for form, what in FOREIGN:
        if re.match(form, beginning, re.DOTALL):
            raise FileRefused("unsupported_format", f"{name!r} is {what}")


def kind_of(beginning: bytes) -> FileFormat:
    """The format that the first bytes of a decompressed file look like; CSV when they look like no other.

    Loads do not ask for it: their contract says it. It is for files that have no contract yet.
    """
    if beginning.startswith(PARQUET_MAGIC):
        return FileFormat.PARQUET
    if _is_workbook(beginning):
        return FileFormat.XLSX
    return FileFormat.JSON if beginning.lstrip(BEFORE_JSON)[:1] in (b"{", b"[") else FileFormat.CSV


def _is_workbook(beginning: bytes) -> bool:
    return bool(WORKBOOK.match(beginning) or OPEN_DOCUMENT.match(beginning))


def too_large(name: str, max_bytes: int) -> FileRefused:
    """The refusal of a file that is larger than the setting allows."""
    return FileRefused(
        "too_large",
        f"{name!r} has more than {max_bytes:,} bytes, decompressed; deliver it in parts, or raise MAX_FILE_BYTES",
    )


@contextmanager
def _decompressor(path: Path, magic: bytes) -> Iterator["SupportsRead[bytes]"]:
    kind = compression_of(magic)
    # Python's own reader goes on with the next member, and raises when the last one was cut off.
    if kind == "gzip":
        with gzip.open(path) as stream:
            yield stream
    else:
        with path.open("rb") as raw:
            yield _Frames(raw, _FRAMES[str(kind)])


class _Bounded:
    """A stream that refuses to give more than a number of bytes: a small file may become a terabyte."""

    def __init__(self, reader: "SupportsRead[bytes]", name: str, max_bytes: int) -> None:
        self._reader, self._name, self._max_bytes = reader, name, max_bytes
        self._given = 0

    def read(self, size: int = BLOCK, /) -> bytes:
        """The next bytes.

        Raises:
            FileRefused: there are too many.
        """
        data = self._reader.read(size)
        self._given += len(data)
        if self._given > self._max_bytes:
            raise too_large(self._name, self._max_bytes)
        return data


class _Frame(Protocol):
    """A decompressor of one frame."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


_FRAMES: dict[str, Callable[[], _Frame]] = {
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
    # Without a limit, the file itself says how much memory its decompressor takes.
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY),
}


class _Frames:
    """A stream of zstd, bzip2 or xz in which every byte belongs to a whole frame.

        file  [frame 1][frame 2]       read -> text 1, text 2, b""
        file  [frame 1][fra            read -> text 1, what can be had of text 2, EOFError

    A frame may end in the middle of a piece of the file: the rest of the piece begins the next frame.
    """

    # The libraries have readers of their own. That of zstandard gives what can be had of a frame that was cut off, as
    # if that were all; those of Python leave out what follows the last frame, and xz has no limit of memory there.
    def __init__(self, raw: BinaryIO, make: Callable[[], _Frame]) -> None:
        self._raw, self._make = raw, make
        self._frame = make()
        self._rest = b""

    def read(self, _size: int = 0, /) -> bytes:
        """The next decompressed bytes: those of a small piece of the file, however many were asked for.

        Raises:
            EOFError: the last frame is not complete.
        """
        while piece := self._rest or self._raw.read(PIECE):
            self._rest = b""
            if self._frame.eof:
                # xz fills up with NULs behind a frame; no frame begins with one.
                if not (piece := piece.lstrip(b"\0")):
                    continue
                self._frame = self._make()
            data = self._frame.decompress(piece)
            self._rest = self._frame.unused_data if self._frame.eof else b""
            # No bytes at all would be taken for the end, and a piece may give none.
            if data:
                return data
        if not self._frame.eof:
            raise EOFError("the last frame is not complete")
        return b""
