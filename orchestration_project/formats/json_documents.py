r"""The records of JSON documents, which stand one after another, as one record a line, block by block.

    recordsPath $.data.items
    {"data": {"items": [{"id": 1}, {"id": 2}], "n": 2}}
    {"data": {"items": [{"id": 3}], "n": 1}}               ->    {"id": 1}\n {"id": 2}\n{"id": 3}\n

Belongs here: the way to the records. Does not belong here: telling the elements of their array apart (`json_array`).

What stands beside the records is left out, but not before it was proved to be JSON. Behind a quote too many, records
would else be taken for a part of it, and be missing without a word.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NoReturn

from orchestration_project.errors import FileRefused, visible
from orchestration_project.formats.csv_scanner import MAX_RECORD_BYTES
from orchestration_project.formats.json_array import BLOCK, Elements

TOKEN = re.compile(rb'("(?:[^"\\\x00-\x1f]|\\.)*"|[{}\[\],:]|[-+.0-9A-Za-z]+)')
"""A text, a bracket or the like, or all that may be a part of a number or a word."""
NOT_BLANK = re.compile(rb"[^ \t\r\n]")
FIRST_WINDOW = 1 << 12
"""How much is looked at first to find the end of an array; most pages of an interface are small."""
KINDS = {b"{": "an object", b"[": "an array", b'"': "a text", b"n": "null", b"t": "true", b"f": "false"}
KINDS |= {bytes([digit]): "a number" for digit in b"-0123456789"}
"""What a value is, by its first byte."""


def write_records(reader: BinaryIO, path: Sequence[str], writer: BinaryIO, name: str) -> None:
    """Write each record of a file as a line.

    Args:
        reader: UTF-8, at the beginning of the first document.
        path: the keys that lead to the array of records in each document, from the outermost; none: it is the array.
        writer: where to. What it got is of no use after an error.
        name: the file's logical name, for messages.

    Raises:
        FileRefused: a document is no JSON, or has no array at the path.
    """
    documents = _Documents(reader, writer, path, name)
    while documents.next():
        documents.copy(path)
    if not documents.number:
        documents.refuse("unreadable", "has no JSON document at all")


class _Documents:
    """A file of documents, which is read once from its beginning to its end.

    Attributes:
        number: of the document that is being read, from 1.
    """

    def __init__(self, reader: BinaryIO, writer: BinaryIO, path: Sequence[str], name: str) -> None:
        self.number = 0
        self._reader, self._writer, self._name = reader, writer, name
        self._path = "$" + "".join(f".{key}" if key.isidentifier() else f"['{key}']" for key in path)
        # What was read, where in it the next byte is, and how many bytes were before it.
        self._data, self._at, self._before = b"", 0, 0

    def next(self) -> bool:
        """Go to the next document; False: there is none."""
        there = bool(self._skip_blanks())
        self.number += there
        return there

    def copy(self, path: Sequence[str]) -> None:
        """Write the records of the value that comes next, to which the last keys of the path are still to be found."""
        if not path:
            self._require("[", "is no array of records")
            self._copy_elements()
            return
        self._require("{", f"has no key {visible(path[0])!r}")
        found = False
        for key in self._members():
            if key != path[0]:
                self._skip_value()
            elif found:
                self._astray(f"the key {visible(key)!r} stands twice")
            else:
                self.copy(path[1:])
                found = True
        if not found:
            self._astray(f"there is no key {visible(path[0])!r}")

    def refuse(self, rule: str, what: str) -> NoReturn:
        """Refuse the file."""
        raise FileRefused(rule, f"{self._name!r} {what}; deliver it again")

    def _require(self, bracket: str, otherwise: str) -> None:
        first = self._skip_blanks()
        if first not in KINDS:
            self._invalid("no value stands there" if first else "it ends too early")
        if first != bracket.encode():
            self._astray(f"{KINDS[first]} stands there, which {otherwise}")

    def _astray(self, why: str) -> NoReturn:
        raise FileRefused(
            "missing_records",
            f"{self._name!r} has no records at {self._path} in document {self.number:,}: {why}. Deliver it as the"
            " contract says, or correct recordsPath there",
        )

    def _invalid(self, why: str) -> NoReturn:
        where = f"in document {self.number:,}, byte {self._before + self._at:,}"
        self.refuse("unreadable", f"is no JSON {where}: {why}")

    def _members(self) -> Iterator[str]:
        """The keys of the object that comes next; whoever asks for the next one has read the value of the last one."""
        self._token()
        token = self._token()
        while token != b"}":
            if token[:1] != b'"' or self._token() != b":":
                self._invalid("a key and a colon should stand there")
            yield str(self._parsed(token))
            token = self._token()
            if token == b",":
                token = self._token() if self._skip_blanks() == b'"' else b""
            elif token != b"}":
                self._invalid("a comma or the end of an object should stand there")

    def _copy_elements(self) -> None:
        elements = Elements()
        for lines in self._lines(elements):
            # Of an empty array, the line end in the place of its closing bracket would count as a blank record.
            if elements.filled:
                self._writer.write(lines)

    def _skip_value(self) -> None:
        opening = self._skip_blanks().decode(errors="replace")
        if opening not in ("[", "{"):
            token = self._token()
            if token in (b"}", b"]", b",", b":"):
                self._invalid("a value should stand there")
            self._parsed(token)
            return
        elements, part = Elements(opening), b""
        for lines in self._lines(elements):
            *whole, part = (part + lines).split(b"\n")
            if len(part) > MAX_RECORD_BYTES:
                self._invalid(f"what stands beside the records has an element of more than {MAX_RECORD_BYTES:,} bytes")
            if elements.filled:
                for line in whole:
                    self._parsed(b"{" + line + b"}" if opening == "{" else line)

    def _lines(self, elements: Elements) -> Iterator[bytes]:
        """The elements of the array, or the members of the object, that comes next."""
        window = FIRST_WINDOW
        while not elements.ended and self._left():
            lines = elements.lines(memoryview(self._data)[self._at : self._at + window])
            self._at += elements.read
            # Not all that was read: behind a small array, the rest of it would be looked at over and over.
            window = min(2 * window, BLOCK)
            yield lines
        if elements.fault:
            self._invalid(elements.fault)

    def _parsed(self, text: bytes) -> object:
        try:
            # Numbers stay texts: nobody looks at them, and Python refuses very long ones.
            return json.loads(text, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            self._invalid("what stands before it is no value")

    def _token(self) -> bytes:
        """The next bracket, comma, colon, text, number or word."""
        self._skip_blanks()
        found = TOKEN.match(self._data, self._at)
        # At the end of what was read, a number may go on.
        while (not found or found.end() == len(self._data)) and self._grow():
            found = TOKEN.match(self._data, self._at)
        if not found:
            self._invalid("no value stands there" if self._left() else "it ends too early")
        self._at = found.end()
        return found[1]

    def _skip_blanks(self) -> bytes:
        """The next byte that is not white space; empty at the end."""
        while self._left():
            if found := NOT_BLANK.search(self._data, self._at):
                self._at = found.start()
                return found[0]
            self._at = len(self._data)
        return b""

    def _left(self) -> bool:
        """Whether anything is left to read."""
        return self._at < len(self._data) or self._grow()

    def _grow(self) -> bool:
        """Read on. False: the file has ended."""
        kept = self._data[self._at :]
        if len(kept) > MAX_RECORD_BYTES:
            self._invalid(f"a text of more than {MAX_RECORD_BYTES:,} bytes stands there")
        # Twice as much each time: a long text is looked at from its beginning again.
        more = self._reader.read(max(BLOCK, len(kept)))
        if more:
            self._data, self._before, self._at = kept + more, self._before + self._at, 0
        return bool(more)
