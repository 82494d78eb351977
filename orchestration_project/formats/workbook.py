"""A workbook as a zip archive of XML parts: its sheets, styles and shared strings. Cells are read in `sheet_rows`.

    [Content_Types].xml, _rels/.rels  ->  xl/workbook.xml  ->  xl/worksheets/sheet1.xml, ...
                                                           ->  xl/styles.xml, xl/sharedStrings.xml

The file is input of strangers. No part is unpacked beyond the bytes that are allowed, and no part may have a document
type: without one, XML has no entities that grow or that are fetched.
"""

import errno
import mmap
import posixpath
import struct
import zipfile
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.parsers import expat

from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.cell_values import Shown, shown_by, unescaped
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.decompress import too_large

BLOCK = 1 << 16
SMALL_PART_BYTES = 16 << 20
"""More than the list of sheets, or the styles, of any workbook that people made."""
ENCRYPTED = 0x1
"""The bit of a zip entry that says so."""
OLE2, ENCRYPTED_PACKAGE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "EncryptedPackage".encode("utf-16-le")
TRUE = ("1", "true")
SHEET_TYPE = "/worksheet"
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


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet with cells: its name, its number from 1 among these sheets, and the part that holds it."""

    name: str
    number: int
    part: str


class SharedStrings:
    """The texts that cells name by number. They lie in a file: all of them at once may need more than the memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ends = array("Q", [0])
        self._bytes: mmap.mmap | bytes = b""

    def fill(self, texts: Iterator[str], stack: ExitStack) -> None:
        """Write the texts down; the stack closes their file."""
        with self._path.open("wb") as stream:
            for text in texts:
                self._ends.append(self._ends[-1] + stream.write(text.encode()))
        if self._ends[-1]:
            file = stack.enter_context(self._path.open("rb"))
            self._bytes = stack.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def text(self, number: int) -> str:
        """A text by its number from 0.

        Raises:
            ValueError: there is none.
        """
        if not 0 <= number < len(self._ends) - 1:
            raise ValueError(f"there is no shared string {number}")
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode()


@dataclass(frozen=True, slots=True)
class Workbook:
    """An open workbook.

    Attributes:
        name: the file's logical name.
        sheets: its sheets with cells, hidden ones too, in order.
        strings: its shared strings.
        shown: what the format of a cell shows, by the cell's style.
        from_1904: whether days are counted from 1904.
        uncalculated: whether its formulas still have to be calculated by whoever opens it.
    """

    name: str
    sheets: tuple[Sheet, ...]
    strings: SharedStrings
    shown: Sequence[Shown]
    from_1904: bool
    uncalculated: bool
    _parts: "_Parts"

    @contextmanager
    def open(self, sheet: Sheet) -> Iterator[IO[bytes]]:
        """The XML of a sheet.

        Raises:
            FileRefused: it is damaged, also if that turns out while it is read.
        """
        with damage_refused(self.name), self._parts.open(sheet.part) as stream:
            yield stream


def _child(element: Element, tag: str) -> Element | None:
    return next((child for child in element if child.tag.endswith("}" + tag)), None)


def _children(element: Element, tag: str) -> Iterator[Element]:
    """What is in the children of that kind."""
    return (item for child in element if child.tag.endswith("}" + tag) for item in child)


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


@contextmanager
def open_workbook(path: Path, name: str, work: Path, max_bytes: int) -> Iterator[Workbook]:
    """Open a workbook.

    Args:
        path: the file.
        name: its logical name, for messages.
        work: a folder for a copy of its strings.
        max_bytes: how many bytes its parts may have, unpacked.

    Raises:
        FileRefused: it is none, or encrypted, damaged or too large.
    """
    _refuse_other(path, name)
    with ExitStack() as stack:
        with damage_refused(name):
            parts = _Parts(stack.enter_context(zipfile.ZipFile(path)), name, max_bytes)
            found = _read(parts, name, SharedStrings(work / "strings"), stack)
        yield found


def _refuse_other(path: Path, name: str) -> None:
    with path.open("rb") as stream:
        beginning = stream.read(8)
        if beginning == OLE2:
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                encrypted = content.find(ENCRYPTED_PACKAGE) >= 0
            if encrypted:
                raise _encrypted(name)
            raise FileRefused(
                "unsupported_format", f"{name!r} is a workbook of the old kind, xls: save it as xlsx and deliver that"
            )
    if not beginning.startswith(b"PK"):
        raise FileRefused("unreadable", f"{name!r} is not a workbook: xlsx files begin with PK; deliver it as xlsx")


def _encrypted(name: str) -> FileRefused:
    return FileRefused("encrypted", f"{name!r} is an encrypted workbook: save it without a password and deliver that")


class _Parts:
    """The parts of a workbook, by their names without case."""

    def __init__(self, archive: zipfile.ZipFile, name: str, max_bytes: int) -> None:
        self._archive, self._name, self._left = archive, name, max_bytes
        self._max_bytes = max_bytes
        self._opened: set[str] = set()
        names = Counter(_part_name(info.filename) for info in archive.infolist())
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
            raise _encrypted(self._name)
        # Spreadsheets write no other; what these methods unpack can't ask for memory.
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise zipfile.BadZipFile(f"compression method {info.compress_type}")
        if info.filename not in self._opened:
            self._opened.add(info.filename)
            self._left -= info.file_size
        if self._left < 0:
            raise too_large(self._name, self._max_bytes)
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
    return name.replace("\\", "/").lstrip("/").casefold()


def _read(parts: _Parts, name: str, strings: SharedStrings, stack: ExitStack) -> Workbook:
    main = _main_part(parts, name)
    root = parts.small(main)
    related = _related(parts, main)
    if strings_part := _first(related, "/sharedStrings"):
        with parts.open(strings_part) as stream:
            strings.fill(_texts(stream, name), stack)
    properties, calculation = _child(root, "workbookPr"), _child(root, "calcPr")
    return Workbook(
        name,
        tuple(_sheets(root, related)),
        strings,
        _shown(parts.small(styles)) if (styles := _first(related, "/styles")) else (),
        from_1904=properties is not None and properties.get("date1904") in TRUE,
        uncalculated=calculation is not None and calculation.get("fullCalcOnLoad") in TRUE,
        _parts=parts,
    )


def _main_part(parts: _Parts, name: str) -> str:
    found = _first(_related(parts, ""), "/officeDocument") if "_rels/.rels" in parts else None
    if found is None:
        raise FileRefused("unreadable", f"{name!r} is a zip archive, but not a workbook; deliver it as xlsx")
    if found.endswith(".bin"):
        raise FileRefused(
            "unsupported_format", f"{name!r} is a binary workbook, xlsb: save it as xlsx and deliver that"
        )
    if "sheet" not in found and "workbook" not in found:
        raise FileRefused("unreadable", f"{name!r} is an Office file, but not a workbook; deliver it as xlsx")
    return found


def _related(parts: _Parts, part: str) -> Mapping[str, tuple[str, str]]:
    """Type and name of the parts that a part names, by their ids there."""
    folder, file = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{file}.rels")
    if listed not in parts:
        return {}
    base = posixpath.join("/", folder)
    return {
        item.get("Id", ""): (item.get("Type", ""), posixpath.normpath(posixpath.join(base, item.get("Target", ""))))
        for item in parts.small(listed)
        if item.get("TargetMode") != "External"
    }


def _first(related: Mapping[str, tuple[str, str]], kind: str) -> str | None:
    return next((part for found, part in related.values() if found.endswith(kind)), None)


def _sheets(root: Element, related: Mapping[str, tuple[str, str]]) -> Iterator[Sheet]:
    """The sheets with cells; those that are one chart, or macros of the nineties, have none."""
    number = 0
    for item in _children(root, "sheets"):
        reference = next((value for key, value in item.items() if key.endswith("}id")), "")
        kind, part = related.get(reference, ("", ""))
        if kind.endswith(SHEET_TYPE):
            number += 1
            yield Sheet(item.get("name", ""), number, part)


def _shown(styles: Element) -> Sequence[Shown]:
    """What the format of a cell shows, by the cell's style."""
    codes = {int(item.get("numFmtId", "0")): item.get("formatCode") for item in _children(styles, "numFmts")}
    numbers = [int(item.get("numFmtId") or 0) for item in _children(styles, "cellXfs")]
    known = {number: shown_by(number, codes.get(number)) for number in set(numbers)}
    return [known[number] for number in numbers]


def _texts(stream: IO[bytes], name: str) -> Iterator[str]:
    """The shared strings: the runs of each together, without the hints how it is pronounced."""
    ready: list[str] = []
    runs: list[str] = []
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    hints = 0

    def start(tag: str, _: object) -> None:
        nonlocal hints
        hints += tag.endswith("}rPh")
        if tag.endswith("}t") and not hints:
            parser.CharacterDataHandler = runs.append

    def end(tag: str) -> None:
        nonlocal hints
        hints -= tag.endswith("}rPh")
        parser.CharacterDataHandler = None
        if tag.endswith("}si"):
            ready.append(unescaped("".join(runs)))
            runs.clear()

    parser.StartElementHandler, parser.EndElementHandler = start, end
    return parsed(stream, parser, ready, name)


def parsed(stream: IO[bytes], parser: expat.XMLParserType, ready: list[T], name: str) -> Iterator[T]:
    """What a parser's handlers put into a list, while they read a stream.

    Raises:
        FileRefused: more bytes than a record may have, and nothing in the list.
    """
    since = 0
    while block := stream.read(BLOCK):
        parser.Parse(block)
        since = 0 if ready else since + len(block)
        yield from ready
        ready.clear()
        if since > MAX_RECORD_BYTES:
            raise FileRefused(
                "record_too_long", f"{name!r} has a record of more than {MAX_RECORD_BYTES:,} bytes; split it"
            )
    parser.Parse(b"", True)
    yield from ready
