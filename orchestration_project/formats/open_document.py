"""An OpenDocument spreadsheet, as LibreOffice writes it: its archive, its sheets, and where each of them begins.

    mimetype, META-INF/manifest.xml, content.xml

    <office:spreadsheet> <table:table table:name="Sales"> rows </table:table> ... </office:spreadsheet>

All sheets are in one part. Cells are read in `open_document_rows`.
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.parsers import expat

from orchestration_project.formats.workbook import Sheet
from orchestration_project.formats.workbook_parts import BLOCK, Parts, damage_refused, encrypted

CONTENT, MANIFEST, WHOLE = "content.xml", "META-INF/manifest.xml", "encrypted-package"
_SPACE = "urn:oasis:names:tc:opendocument:xmlns:{}:1.0}}"
OFFICE, TABLE, TEXT, DRAWING = (_SPACE.format(name) for name in ("office", "table", "text", "drawing"))
ROOT, SPREADSHEET, SHEET = f"{OFFICE}document-content", f"{OFFICE}spreadsheet", f"{TABLE}table"
NAME = f"{TABLE}name"


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """An open document: the file's logical name, and its sheets, hidden ones too, in order."""

    name: str
    sheets: tuple[Sheet, ...]
    _parts: Parts

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The XML with all sheets.

        Raises:
            FileRefused: it is damaged, also if that turns out while it is read.
        """
        with damage_refused(self.name), self._parts.open(CONTENT) as stream:
            yield stream


@contextmanager
def open_document(path: Path, name: str, max_bytes: int) -> Iterator[OpenDocument]:
    """Open an OpenDocument spreadsheet.

    Args:
        path: the file.
        name: its logical name, for messages.
        max_bytes: how many bytes its parts may have, unpacked.

    Raises:
        FileRefused: it is encrypted, damaged or too large.
    """
    with ExitStack() as stack:
        with damage_refused(name):
            parts = Parts(stack.enter_context(zipfile.ZipFile(path)), name, max_bytes)
            # Who encrypts a document leaves its parts where they are, or puts all of them into one.
            if WHOLE in parts or _is_encrypted(parts):
                raise encrypted(name)
            with parts.open(CONTENT) as stream:
                found = OpenDocument(name, tuple(_sheets(stream)), parts)
        yield found


def _is_encrypted(parts: Parts) -> bool:
    if MANIFEST not in parts:
        return False
    return any(item.tag.endswith("}encryption-data") for item in parts.small(MANIFEST).iter())


def is_sheet(tag: str, attributes: Mapping[str, str], around: Sequence[str]) -> bool:
    """Whether an element is a sheet.

    Args:
        tag: the element.
        attributes: what it says of itself.
        around: the elements that it is in, from the root.
    """
    # Tables are also in drawings and in the copies that are kept of other documents, whose names tell where these are.
    return tag == SHEET and around[-1:] == [SPREADSHEET] and "'#$" not in attributes.get(NAME, "")


def _sheets(stream: IO[bytes]) -> list[Sheet]:
    """The sheets of a document.

    Raises:
        ValueError: it is no document.
    """
    found: list[Sheet] = []
    around: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not around and tag != ROOT:
            raise ValueError(f"{CONTENT} begins with {tag.rpartition('}')[2][:40]!r}")
        if is_sheet(tag, attributes, around):
            found.append(Sheet(attributes.get(NAME, ""), len(found) + 1, CONTENT))
        around.append(tag)

    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: around.pop()
    while block := stream.read(BLOCK):
        parser.Parse(block)
    parser.Parse(b"", True)
    return found
