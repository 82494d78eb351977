"""A workbook: its sheets, styles and shared strings. Its archive is opened in `workbook_parts`.

    [Content_Types].xml, _rels/.rels  ->  xl/workbook.xml  ->  xl/worksheets/sheet1.xml, ...
                                                           ->  xl/styles.xml, xl/sharedStrings.xml

Cells are read in `sheet_rows`.
"""

import mmap
import posixpath
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element
from xml.parsers import expat

from orchestration_project.errors import FileRefused
from orchestration_project.formats.cell_values import Shown, shown_by, unescaped
from orchestration_project.formats.workbook_parts import Parts, damage_refused, parsed, refuse_other

TRUE = ("1", "true")
SHEET_TYPE = "/worksheet"


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
            raise ValueError(f"a cell names the shared string {number}, which is not there")
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
    _parts: Parts

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
    refuse_other(path, name)
    with ExitStack() as stack:
        with damage_refused(name):
            parts = Parts(stack.enter_context(zipfile.ZipFile(path)), name, max_bytes)
            found = _read(parts, name, SharedStrings(work / "strings"), stack)
        yield found


def _read(parts: Parts, name: str, strings: SharedStrings, stack: ExitStack) -> Workbook:
    main = _main_part(parts, name)
    root = parts.small(main)
    related = _related(parts, main)
    if strings_part := _first(related, "/sharedStrings"):
        with parts.open(strings_part) as stream:
            strings.fill(_texts(stream, name), stack)
    # A workbook that asks to be calculated when it is opened has values that nobody has calculated, or old ones, as the
    # files of some libraries do.
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


def _main_part(parts: Parts, name: str) -> str:
    found = _first(_related(parts, ""), "/officeDocument") if "_rels/.rels" in parts else None
    if found is None:
        raise FileRefused("unreadable", f"{name!r} is a zip archive, but not a workbook; deliver it as xlsx")
    # xlsb has the same archive and the same lists, but its parts are no XML.
    if found.endswith(".bin"):
        raise FileRefused(
            "unsupported_format", f"{name!r} is a binary workbook, xlsb: save it as xlsx and deliver that"
        )
    if "sheet" not in found and "workbook" not in found:
        raise FileRefused("unreadable", f"{name!r} is an Office file, but not a workbook; deliver it as xlsx")
    return found


def _related(parts: Parts, part: str) -> Mapping[str, tuple[str, str]]:
    """Type and name of the parts that a part names, by their ids there."""
    folder, file = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{file}.rels")
    if listed not in parts:
        return {}
    base = posixpath.join("/", folder)
    # A part names others relative to its own folder, or from the root. What is outside of the archive is never opened.
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
    # A cell names its style, a style its format, and a format has a code unless it is built in.
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

    # Of a text with several formats each run is a `t` of its own; hints of pronunciation have one, too.
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
