"""Which feeds a file matches: by its folder, or else by its format, its header and its name."""

import codecs
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestration_project.contracts.feed import Feed, FileFormat
from orchestration_project.errors import FileRefused
from orchestration_project.formats.decode import BOMS
from orchestration_project.formats.decompress import decompress, kind_of
from orchestration_project.formats.fixed_lines import looks_like
from orchestration_project.formats.header import HEAD_BYTES, find_header, normalised, require_columns, spellings
from orchestration_project.formats.json_documents import write_records
from orchestration_project.ingest.options import FeedOptions
from orchestration_project.settings import Settings
from orchestration_project.storage.files import FoundFile


@dataclass(frozen=True, slots=True)
class Match:
    """A feed that a file may be meant for, and whether the file's name has the form of that feed's names."""

    feed: str
    named: bool


def feed_of_folder(settings: Settings, path: Path) -> str | None:
    """The feed whose drop folder, archive or quarantine a file is in; None for a file elsewhere."""
    # Links are followed on both sides: a drop folder may be one to another disk.
    whole = path.resolve()
    for root in ("landing", "archive", "quarantine"):
        folder = (settings.data_dir / root).resolve()
        if whole.is_relative_to(folder) and len(whole.relative_to(folder).parts) > 1:
            return whole.relative_to(folder).parts[0]
    return None


def matching_feeds(feeds: Mapping[str, tuple[Feed, FeedOptions]], file: FoundFile, max_bytes: int) -> list[Match]:
    """The feeds whose format and required columns a file has; feeds that its name matches too come first.

    A Parquet file matches every feed of Parquet files, and a workbook every feed of workbooks: where their columns are
    can't be told from their first bytes.

    Args:
        feeds: contracts and how they are run, by name.
        file: the file.
        max_bytes: how large it may be, decompressed.

    Raises:
        FileRefused: the file is damaged, empty or too large.
    """
    with (
        TemporaryDirectory(prefix="orchestration-project-") as work,
        decompress(file.path, file.name, Path(work), max_bytes, workbooks=True).open("rb") as stream,
    ):
        head = stream.read(HEAD_BYTES)
    matches = [
        Match(name, _is_named(options, file))
        for name, (feed, options) in feeds.items()
        if feed.source.format is _kind(feed, head) and _has_columns(feed, head)
    ]
    return sorted(matches, key=lambda match: (not match.named, match.feed))


def _kind(feed: Feed, head: bytes) -> FileFormat:
    # The first bytes don't tell it; whether the file fits is told by its lines.
    if feed.source.format is FileFormat.FIXED_WIDTH:
        return FileFormat.FIXED_WIDTH
    # JSON is told by its first character, so text is decoded first: in UTF-16 every second byte of it is a NUL.
    kind = kind_of(head)
    return kind if kind in (FileFormat.PARQUET, FileFormat.XLSX) else kind_of(_text(feed, head[:64]).encode())


def _text(feed: Feed, head: bytes) -> str:
    mark = next((mark for mark in BOMS if head.startswith(mark)), b"")
    codec = BOMS.get(mark) or feed.source.encoding or "utf-8"
    # The incremental decoder does not stumble over a character that the head's end has cut in two.
    return codecs.getincrementaldecoder(codec)("replace").decode(head[len(mark) :])


def _is_named(options: FeedOptions, file: FoundFile) -> bool:
    try:
        options.batching.batch_for(file)
    except FileRefused:
        return False
    return options.batching.pattern is None or options.batching.is_dated(file.name)


def _has_columns(feed: Feed, head: bytes) -> bool:
    try:
        match feed.source.format:
            case FileFormat.CSV:
                find_header(feed, _text(feed, head))
            case FileFormat.FIXED_WIDTH:
                return looks_like(feed, _text(feed, head))
            case FileFormat.JSON:
                keys = tuple(_first_object(_records(feed, _text(feed, head))))
                known = {normalised(key) for key in keys}
                found = {column.name: 0 for column in feed.record_columns if spellings(column) & known}
                require_columns(feed, found, keys, "the first object")
            case FileFormat.PARQUET | FileFormat.XLSX:
                pass
    except FileRefused:
        return False
    return True


def _records(feed: Feed, text: str) -> str:
    """The text from which on records stand: where the contract says so, those of the first document."""
    if feed.source.records_path is None:
        return text
    found = BytesIO()
    # The head breaks off somewhere. What was found before that is enough.
    with suppress(FileRefused):
        write_records(BytesIO(text.encode()), feed.source.records_path, found, "the head")
    return found.getvalue().decode(errors="ignore")


def _first_object(text: str) -> dict[str, object]:
    """The first object of JSON lines or of an array; empty when there is none in the text."""
    try:
        # raw_decode stops after the first value; an array has its objects behind a bracket.
        found, _ = json.JSONDecoder().raw_decode(text.lstrip("[ \t\r\n"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
