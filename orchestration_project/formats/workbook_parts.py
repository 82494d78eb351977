"""The zip archive of a workbook: its XML parts, each opened within bounds. What they mean is told by `workbook`.

The file is input of strangers. No part is unpacked beyond the bytes that are allowed, and no part may have a document
type: without one, XML has no entities that grow or that are fetched.
"""

import errno
import mmap
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.decompress import too_large

BLOCK = 1 << 16
SMALL_PART_BYTES = 16 << 20
"""More than the list of sheets, or the styles, of any workbook that people made."""
ENCRYPTED = 0x1
"""The bit of a zip entry that says so."""
OLE2, ENCRYPTED_PACKAGE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "EncryptedPackage".encode("utf-16-le")
T = TypeVar("T")
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # what zipfile raises for a password
    ValueError,
    ParseError,
    expat.ExpatError,
)


@contextmanager
def damage_refused(name: str) -> Iterator[None]:
    """Turn what the libraries say of a damaged file into its refusal."""
    try:
        yield
    except (*DAMAGED, OSError) as error:
        # A wrong offset in the archive sends the reader to a place that no file has; other errors are of the system.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise FileRefused(
            "unreadable",
            f"{name!r} is not a readable workbook: {visible(str(error))}; save it anew and deliver it again",
        ) from None


def refuse_other(path: Path, name: str) -> None:
    """Refuse a file that is no zip archive.

    Raises:
        FileRefused: it is none; an encrypted workbook and one of the old kind are named.
    """
    with path.open("rb") as stream:
        beginning = stream.read(8)
        if beginning == OLE2:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                # The name of the stream in which Office puts a workbook that it encrypts, as OLE2 writes names.
                has_package = content.find(ENCRYPTED_PACKAGE) >= 0
            if has_package:
                raise encrypted(name)
            raise FileRefused(
                "unsupported_format", f"{name!r} is a workbook of the old kind, xls: save it as xlsx and deliver that"
            )
    if not beginning.startswith(b"PK"):
        raise FileRefused("unreadable", f"{name!r} is not a workbook: xlsx files begin with PK; deliver it as xlsx")


def encrypted(name: str) -> FileRefused:
    """The refusal of a workbook that is encrypted."""
    return FileRefused("encrypted", f"{name!r} is an encrypted workbook: save it without a password and deliver that")


class Parts:
    """The parts of a workbook, by their names without case."""

    def __init__(self, archive: zipfile.ZipFile, name: str, max_bytes: int) -> None:
        self._archive, self._name, self._left = archive, name, max_bytes
        self._max_bytes = max_bytes
        self._opened: set[str] = set()
        names = Counter(_part_name(info.filename) for info in archive.infolist())
        # Programs don't agree which of two parts counts, so what is loaded might not be what people saw.
        if twice := [part for part, times in names.items() if times > 1]:
            raise FileRefused("unreadable", f"{name!r} has the part {visible(twice[0])} twice; save the workbook anew")
        self._infos = {_part_name(info.filename): info for info in archive.infolist()}

    def __contains__(self, part: str) -> bool:
        return _part_name(part) in self._infos

    def open(self, part: str) -> IO[bytes]:
        """A part's bytes, never more than the archive tells.

        Raises:
            FileRefused: it is missing or encrypted, has a document type, or there is no room left for it.
        """
        info = self._infos.get(_part_name(part))
        if info is None:
            raise FileRefused("unreadable", f"{self._name!r} lacks its part {visible(part)}; save the workbook anew")
        if info.flag_bits & ENCRYPTED:
            raise encrypted(self._name)
        # Spreadsheets write no other; what these methods unpack can't ask for memory.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"compression method {info.compress_type}")
        # Once, though a sheet is opened three times: for its header, its count and its rows.
        if info.filename not in self._opened:
            self._opened.add(info.filename)
            self._left -= info.file_size
        if self._left < 0:
            raise too_large(self._name, self._max_bytes)
        # zipfile gives no more bytes of a part than its entry tells, so what was counted above is a bound.
        self._refuse_document_type(info)
        return self._archive.open(info)

    def small(self, part: str) -> Element:
        """The root of a part that is small in every honest workbook."""
        with self.open(part) as stream:
            data = stream.read(SMALL_PART_BYTES + 1)
        if len(data) > SMALL_PART_BYTES:
            raise FileRefused("unreadable", f"{self._name!r}: {visible(part)} has more than {SMALL_PART_BYTES:,} bytes")
        return fromstring(data)  # noqa: S314 - what is known of attacks needs a document type, which `open` refuses

    def _refuse_document_type(self, info: zipfile.ZipInfo) -> None:
        """Read up to the first element: a document type can't come later."""
        parser = expat.ParserCreate()
        seen: list[str] = []
        parser.StartDoctypeDeclHandler = lambda *_: seen.append("document type")
        parser.StartElementHandler = lambda *_: seen.append("element")
        with self._archive.open(info) as stream:
            while not seen and (block := stream.read(BLOCK)):
                parser.Parse(block)
        if seen and seen[0] == "document type":
            raise FileRefused(
                "unreadable", f"{self._name!r}: {visible(info.filename)} has a document type, which no workbook has"
            )


def _part_name(name: str) -> str:
    # Names of parts have no case, begin with a slash in lists and with none in archives, and some programs write `\`.
    return name.replace("\\", "/").lstrip("/").casefold()


def parsed(stream: IO[bytes], parser: expat.XMLParserType, ready: list[T], name: str) -> Iterator[T]:
    """What a parser's handlers put into a list, while they read a stream.

    Raises:
        FileRefused: more bytes than a record may have, and nothing in the list.
    """
    since = 0
    while block := stream.read(BLOCK):
        parser.Parse(block)
        # Text without an end would be kept by the parser, however much of it comes.
        since = 0 if ready else since + len(block)
        yield from ready
        ready.clear()
        if since > MAX_RECORD_BYTES:
            raise FileRefused(
                "record_too_long", f"{name!r} has a record of more than {MAX_RECORD_BYTES:,} bytes; split it"
            )
    parser.Parse(b"", True)
    yield from ready
