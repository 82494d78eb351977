"""Find out how sample files are written: format, encoding, delimiter, header.

A load does not guess any of this: its contract tells it. What is found here goes into the drafted contract.
"""

import csv
import io
import json
import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed, FileFormat, SourceFormat
from orchestration_project.errors import FileRefused, PlatformError
from orchestration_project.formats.decode import as_utf8
from orchestration_project.formats.decompress import decompress, kind_of
from orchestration_project.formats.header import DELIMITERS, HEAD_BYTES, normalised
from orchestration_project.formats.prepare import prepare
from orchestration_project.formats.sheet_choice import fields_of, first_rows
from orchestration_project.formats.spreadsheet import open_spreadsheet
from orchestration_project.inspection.drafting.documents import records_path
from orchestration_project.inspection.drafting.headers import VALUE, header_among, is_names
from orchestration_project.storage.files import FoundFile
from orchestration_project.warehouse.tables import literal, types_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

OTHER_DELIMITERS = (":", "^", "~", "#", "\x1f")
# For a file without a byte order mark. UTF-8 (None) is first, since the others accept nearly any bytes.
ENCODINGS = (None, "cp1252", "iso-8859-1")
FOUND_AS = ("iso8859-1",)  # as Python calls the last one
EAST_ASIAN = ("cp932", "euc_jp", "cp949", "gb18030", "big5")
EAST_ASIAN_LETTER = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff00-\uffef]")
MOSTLY_LETTERS = 0.9
RECORDS_LOOKED_AT = 300
OBJECTS_LOOKED_AT = 5_000
BEGINNING = 4 << 10


class DraftError(PlatformError):
    """No feed can be drafted from the samples."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written.

    Attributes:
        format: the file format.
        encoding: to declare in the contract; None for UTF-8.
        delimiter: None if the format or the file has none.
        fields: the names of its columns as written, without blank and repeated ones, which no contract can name.
        left_out: how many columns these are.
        sheet: to declare in the contract; None if the workbook has one table, or the file is none.
        records_path: the keys that lead to the records inside of JSON documents; None if these are lines or one array.
        other_encodings: that read its beginning as letters, too, where the encoding is a guess.
        has_controls: whether control characters show that it is rather another one.
    """

    format: FileFormat
    encoding: str | None
    delimiter: str | None
    fields: tuple[str, ...]
    left_out: int = 0
    sheet: str | None = None
    records_path: tuple[str, ...] | None = None
    other_encodings: tuple[str, ...] = ()
    has_controls: bool = False

    @property
    def declared_delimiter(self) -> str | None:
        """The delimiter if a contract has to declare it, since loads do not find it themselves; else None."""
        return None if self.delimiter in DELIMITERS else self.delimiter

    @property
    def source(self) -> SourceFormat:
        """The same as a contract has it."""
        return SourceFormat(
            self.format,
            self.declared_delimiter,
            encoding=self.encoding,
            sheet=self.sheet,
            records_path=self.records_path,
        )


def layout_of(connection: "DuckDBPyConnection", file: FoundFile, work: Path, max_bytes: int) -> Layout:
    """How a file is written.

    Args:
        connection: that may read the file and the folder.
        file: the file.
        work: a folder for copies.
        max_bytes: how large the file may be, decompressed.

    Raises:
        FileRefused: it is damaged, empty or too large.
        DraftError: it has no header, or its encoding can't be found.
    """
    own = Path(mkdtemp(dir=work))
    plain = decompress(file.path, file.name, own, max_bytes, workbooks=True)
    with plain.open("rb") as stream:
        beginning = stream.read(BEGINNING)
    if kind_of(beginning) is FileFormat.XLSX:
        return _of_workbook(plain, file.name, own, max_bytes)
    if kind_of(beginning) is FileFormat.PARQUET:
        return _named(FileFormat.PARQUET, None, None, _parquet_columns(connection, plain))
    encoding, text, start = _decoded(plain, beginning, file.name, own)
    with text.open("rb") as stream:
        stream.seek(start)
        # The end of the head may cut a character in two.
        head = stream.read(HEAD_BYTES).decode("utf-8", errors="ignore")
    # After decoding: the first bytes of JSON in UTF-16 are none of ASCII's.
    if kind_of(head[:64].encode()) is FileFormat.JSON:
        source = SourceFormat(FileFormat.JSON, encoding=encoding, records_path=records_path(text))
        named = _named(FileFormat.JSON, encoding, None, _keys(file, source, own, max_bytes))
        return replace(named, records_path=source.records_path)
    delimiter, fields = _header(head, file.name)
    layout = _named(FileFormat.CSV, encoding, delimiter, fields)
    return _with_doubts(layout, plain) if encoding in ENCODINGS[1:] + FOUND_AS else layout


def _with_doubts(layout: Layout, plain: Path) -> Layout:
    """A layout whose encoding was found as the first that reads the file, with what speaks for others."""
    with plain.open("rb") as stream:
        raw = stream.read(HEAD_BYTES)
    others = tuple(encoding for encoding in EAST_ASIAN if _reads(raw, encoding))
    controls = re.search(r"[\x80-\x9f]", raw.decode(str(layout.encoding), errors="ignore")) is not None
    return replace(layout, other_encodings=others, has_controls=controls)


def _reads(raw: bytes, encoding: str) -> bool:
    """Whether bytes are text in an encoding of East Asia, mostly of its letters where they aren't ASCII."""
    try:
        # As a stream, which waits for the rest of a character that the end of the head has cut in two.
        text = getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError:
        return False
    letters = [letter for letter in text if letter > "\x7f"]
    found = sum(EAST_ASIAN_LETTER.match(letter) is not None for letter in letters)
    return bool(letters) and found >= MOSTLY_LETTERS * len(letters)


def _named(format: FileFormat, encoding: str | None, delimiter: str | None, fields: Sequence[str]) -> Layout:  # noqa: A002
    # A contract finds its columns by name. So one without a name, and both of a name that stands twice, are left out:
    # their values go to `_rescued`.
    times = Counter(map(normalised, fields))
    usable = tuple(
        field.strip("\ufeff \t\r\n") for field in fields if normalised(field) and times[normalised(field)] == 1
    )
    return Layout(format, encoding, delimiter, usable, len(fields) - len(usable))


def _of_workbook(plain: Path, name: str, work: Path, max_bytes: int) -> Layout:
    """The first sheet with a header; it is declared if another one has a header too."""
    with open_spreadsheet(plain, name, work, max_bytes) as workbook:
        tables = {
            sheet.name: header
            for sheet in workbook.sheets
            if (header := _header_row([fields_of(values) for _, values in first_rows(workbook, sheet)]))
        }
    if not tables:
        raise DraftError(f"{name!r} has no sheet with a header that could be found: a row has to name the columns")
    sheet, fields = next(iter(tables.items()))
    return replace(_named(FileFormat.XLSX, None, None, fields), sheet=sheet if len(tables) > 1 else None)


def _header_row(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The first row with as many filled cells as most rows have, or more, if it looks like a header."""
    filled = [[field for field in row if field.strip()] for row in rows]
    widths = Counter(map(len, filled))
    width = max(widths.items(), key=lambda item: (item[1], item[0]), default=(0, 0))[0]
    # Records lack values where they are optional, the header names all columns.
    first = next((row for row in filled if len(row) >= width > 0), [])
    return first if is_names(first) else []


def _decoded(plain: Path, beginning: bytes, name: str, work: Path) -> tuple[str | None, Path, int]:
    """The encoding to declare, the file as UTF-8, and the byte at which its text begins."""
    # UTF-16 without a mark: of each ASCII character one byte is 0, the second (`i\0d\0`) or the first (`\0i\0d`).
    wide = {beginning[1:2]: "utf-16-le", beginning[0:1]: "utf-16-be"}.get(b"\0")
    why = ""
    for encoding in (wide,) if wide else ENCODINGS:
        try:
            return encoding, *as_utf8(plain, encoding, name, work)
        except FileRefused as error:
            # What the first of the others says tells most: how far the file is from UTF-8.
            why = error.message if encoding == ENCODINGS[1] or not why else why
    raise DraftError(f"the encoding of {name!r} can't be recognised, deliver it as UTF-8: {why}")


def _parquet_columns(connection: "DuckDBPyConnection", path: Path) -> list[str]:
    import duckdb

    try:
        return list(types_of(connection, f"read_parquet([{literal(str(path))}])"))
    except duckdb.Error as error:
        raise DraftError(f"{path.name!r} is not a readable Parquet file") from error


def _keys(file: FoundFile, source: SourceFormat, work: Path, max_bytes: int) -> list[str]:
    """The keys of the first objects, in the order in which they come."""
    # A load's own code makes one object a line of whatever the file is: lines, or an array over many of them.
    form = Feed("draft", "0", (Column("c", "VARCHAR", "c"),), source)
    prepared = prepare(form, file.path, file.name, Path(mkdtemp(dir=work)), max_bytes)
    # Of many objects: one leaves out the keys that it has no value for.
    keys: dict[str, None] = {}
    with prepared.readable.open(encoding="utf-8", errors="replace") as lines:
        for line in islice(lines, OBJECTS_LOOKED_AT):
            keys |= dict.fromkeys(_keys_of(line))
    if not keys:
        raise DraftError(
            f"{file.name!r} has no JSON object a line, nor an array of objects, nor exactly one such array inside of"
            " its documents. If there are several, write the contract by hand, with recordsPath of the server"
        )
    return list(keys)


def _keys_of(line: str) -> list[str]:
    try:
        found = json.loads(line)
    except ValueError:
        return []
    return list(found) if isinstance(found, dict) else []


def _header(head: str, name: str) -> tuple[str | None, list[str]]:
    """Delimiter and header. The delimiter is None if there is one column only.

    Raises:
        DraftError: there is no header.

    The best delimiter gives most records the same width; of two that do, it is the one with more columns. How the
    header is told from the lines above it is in `headers`.
    """
    # The rare ones only where the usual ones give nothing: a colon also stands in times, a # in colours.
    for delimiters in (DELIMITERS, OTHER_DELIMITERS):
        found = [
            (share, len(fields), delimiter, fields)
            for delimiter in delimiters
            for share, fields in _split(head, delimiter)
        ]
        if found:
            _, _, delimiter, fields = max(found)
            return delimiter, fields
    first = next((line for line in io.StringIO(head, newline=None) if line.strip()), "").strip()
    if not first or VALUE.fullmatch(first) or any(delimiter in first for delimiter in DELIMITERS):
        raise DraftError(
            f"{name!r} has no header that could be found: the platform finds columns by their names, so a line above"
            " the records has to name them"
        )
    # A sample may have the first of several columns only; whether all samples have but one, `draft` looks.
    return None, next(csv.reader([first]))


def _split(head: str, delimiter: str) -> Iterator[tuple[float, list[str]]]:
    """The share of records with the most frequent width, and the header, if there is one by this delimiter."""
    try:
        reader = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, skipinitialspace=True)
        records = [record for record in islice(reader, RECORDS_LOOKED_AT) if record]
    except csv.Error:
        return
    if found := header_among(records):
        yield found
