"""Unpack what is delivered as gzip or zstd, told by the magic bytes, and see that no file is too large."""

import gzip
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import zstandard

from orchestration_project.errors import FileRefused

if TYPE_CHECKING:
    from _typeshed import SupportsRead

BLOCK = 4 << 20
ZSTD_PIECE = 1 << 10
"""Compressed bytes taken at a time: zstd makes up to 32,000 bytes of one, and gives all that it made at once."""
GZIP_MAGIC, ZSTD_MAGIC = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


def decompress(path: Path, name: str, work: Path, max_bytes: int) -> Path:
    """The file itself, or a decompressed copy of it.

    Args:
        path: the file.
        name: its logical name, for messages.
        work: a folder for the copy.
        max_bytes: how large the file may be, decompressed; no more than that is written.

    Raises:
        FileRefused: it is larger, or damaged, or nothing is in it.
    """
    with path.open("rb") as stream:
        magic = stream.read(4)
    if not magic.startswith((GZIP_MAGIC, ZSTD_MAGIC)):
        if path.stat().st_size > max_bytes:
            raise too_large(name, max_bytes)
        return path
    target = work / "decompressed"
    try:
        with _decompressor(path, magic) as reader, target.open("wb") as writer:
            shutil.copyfileobj(_Bounded(reader, name, max_bytes), writer, BLOCK)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise FileRefused(
            "unreadable", f"{name!r} can't be decompressed: {error}; it is damaged or was cut off, deliver it again"
        ) from error
    if target.stat().st_size == 0:
        raise FileRefused("empty_file", f"{name!r} has no bytes at all once decompressed; deliver it again")
    return target


def too_large(name: str, max_bytes: int) -> FileRefused:
    """The refusal of a file that is larger than the setting allows."""
    return FileRefused(
        "too_large",
        f"{name!r} has more than {max_bytes:,} bytes, decompressed; deliver it in parts, or raise MAX_FILE_BYTES",
    )


@contextmanager
def _decompressor(path: Path, magic: bytes) -> Iterator["SupportsRead[bytes]"]:
    if magic.startswith(GZIP_MAGIC):
        with gzip.open(path) as stream:
            yield stream
    else:
        with path.open("rb") as raw:
            yield _ZstdFrames(raw)


class _Bounded:
    """A stream that refuses to give more than a number of bytes."""

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


class _ZstdFrames:
    """A zstd stream that tells when its last frame was cut off; the library's reader takes that for the end."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._rest = b""

    def read(self, _size: int = 0, /) -> bytes:
        """The next decompressed bytes: those of a small piece of the file.

        Raises:
            EOFError: the last frame is not complete.
        """
        while block := self._rest or self._raw.read(ZSTD_PIECE):
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
