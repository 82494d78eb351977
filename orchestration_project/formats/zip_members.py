"""What is in a zip archive: whether it can be unpacked as a whole, and the bytes of its members.

    sales.zip  monday.csv, shop/tuesday.csv    members: `sales.zip/monday.csv`, `sales.zip/shop/tuesday.csv`
               __MACOSX/..., .DS_Store, shop/  not looked at: no data, as hidden files in landing
               ../monday.csv                   the archive is refused

An archive is taken whole or not at all: a transport that broke one member has broken the delivery. What a member holds
is not looked at here, but when it is loaded as a file of its own. Where members stay is in `storage.members`.
"""

import lzma
import os
import re
import unicodedata
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from stat import S_ISLNK
from typing import TYPE_CHECKING, BinaryIO

from orchestration_project.errors import FileRefused
from orchestration_project.formats.decompress import HEAD_BYTES, WORKBOOK, too_large
from orchestration_project.storage.files import is_unfinished

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
"""How a zip archive begins, and one that has nothing in it."""
# Office files are zip archives whose parts say so.
OFFICE = frozenset({"[Content_Types].xml", "mimetype"})
MAX_MEMBERS = 10_000
MAX_DIRECTORY_BYTES = 16 << 20
"""How large the table of contents may be: Python makes objects of all of it before anybody can count."""
MAX_RATIO, FREE_BYTES = 200, 64 << 20
"""How many times larger than the archive its members may be; below a size that does no harm, any ratio is fine."""
MAX_NAME_BYTES, MAX_PART_BYTES = 1_000, 255
BLOCK = 1 << 20
# Python's reader bounds what it gives only for these two; of bzip2 and LZMA a block would become gigabytes at once.
BOUNDED = frozenset({0, 8})
SMALL_BLOCK = 4 << 10
DRIVE = re.compile(r"[A-Za-z]:")
END, END_64 = b"PK\x05\x06", b"PK\x06\x06"
END_BYTES, COMMENT_BYTES, LOCATOR_BYTES, END_64_BYTES = 22, 65_535, 20, 56


@dataclass(frozen=True, slots=True)
class Contents:
    """The paths of an archive's members in it, and how many entries are no data."""

    members: tuple[str, ...]
    ignored: int


def is_zip(path: Path, workbooks: bool = False) -> bool:
    """Whether a file is a zip archive of files: neither a workbook nor another Office file.

    Args:
        path: the file.
        workbooks: whether a damaged archive is taken for a workbook.
    """
    import zipfile

    try:
        with path.open("rb") as stream:
            if stream.read(4) not in MAGIC:
                return False
            stream.seek(0)
            head = stream.read(HEAD_BYTES)
            if _directory_bytes(stream) > MAX_DIRECTORY_BYTES:
                return True
        with zipfile.ZipFile(path) as opened:
            return OFFICE.isdisjoint(opened.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return not workbooks and not WORKBOOK.match(head)
    # It vanished, or can't be read: whoever loads it says so.
    except OSError:
        return False


def contents_of(path: Path, name: str) -> Contents:
    """The members of an archive, without a look at their bytes.

    Args:
        path: the archive.
        name: its logical name, for messages.

    Raises:
        FileRefused: it can't be unpacked.
    """
    with _opened(path, name) as opened:
        members, ignored = _members(opened, name)
    return Contents(tuple(info.filename for info in members), ignored)


def extract(path: Path, name: str, folder: Path, max_bytes: int) -> Contents:
    """Unpack an archive, each member on disk when this returns.

    Args:
        path: the archive.
        name: its logical name, for messages.
        folder: where to; its members get their paths below it.
        max_bytes: how large all members together may be.

    Raises:
        FileRefused: it can't be unpacked; a part of it may be in the folder.
        OSError: the folder can't be written to.
    """
    limit = min(max_bytes, max(FREE_BYTES, MAX_RATIO * path.stat().st_size))
    with _opened(path, name) as opened:
        members, ignored = _members(opened, name)
        written = 0
        for info in members:
            target = folder / info.filename
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as writer:
                for block in _blocks(opened, info, name):
                    written += len(block)
                    # Counted as it is read: what an archive says of its sizes may be a lie.
                    if written > limit:
                        raise too_large(name, max_bytes) if limit == max_bytes else _bomb(name)
                    writer.write(block)
                writer.flush()
                os.fsync(writer.fileno())
    return Contents(tuple(info.filename for info in members), ignored)


@contextmanager
def _opened(path: Path, name: str) -> Iterator["ZipFile"]:
    import zipfile

    with path.open("rb") as stream:
        if _directory_bytes(stream) > MAX_DIRECTORY_BYTES:
            raise _too_many(name)
        try:
            opened = zipfile.ZipFile(stream)
        # ValueError: a name is said to be UTF-8, and is not.
        except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise _damaged(name, error) from error
        with opened:
            yield opened


def _directory_bytes(stream: BinaryIO) -> int:
    """The size of an archive's table of contents, as its last bytes say it; 0 where they say nothing."""
    size = stream.seek(0, os.SEEK_END)
    start = max(0, size - END_BYTES - COMMENT_BYTES - LOCATOR_BYTES - END_64_BYTES)
    stream.seek(start)
    tail = stream.read()
    end = tail.rfind(END)
    stream.seek(0)
    # In archives of more than 4 GB or 65,535 members, the sizes stand in a record of their own before it.
    end_64 = max(0, end - LOCATOR_BYTES - END_64_BYTES)
    if end >= 0 and tail.startswith(END_64, end_64):
        return int.from_bytes(tail[end_64 + 40 : end_64 + 48], "little")
    return int.from_bytes(tail[end + 12 : end + 16], "little") if end >= 0 else 0


def _members(opened: "ZipFile", name: str) -> tuple[list["ZipInfo"], int]:
    """The entries that are data, and the number of the others.

    Raises:
        FileRefused: the archive can't be unpacked.
    """
    entries = opened.infolist()
    if len(entries) > MAX_MEMBERS:
        raise _too_many(name)
    for info in entries:
        _ensure_safe(info, name)
    members = [info for info in entries if _is_data(info)]
    if not members:
        raise FileRefused("no_members", f"{name!r} is a zip archive without a file in it; deliver it again")
    _ensure_single(members, name)
    return members, len(entries) - len(members)


def _is_data(info: "ZipInfo") -> bool:
    parts = PurePosixPath(info.filename).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not (hidden or info.is_dir() or is_unfinished(parts[-1]))


def _ensure_safe(info: "ZipInfo", name: str) -> None:
    """Make sure that an entry can be unpacked, and has its place in a folder of the archive's own.

    Raises:
        FileRefused: it can't, or has not.
    """
    inside = info.filename
    parts = inside.removesuffix("/").split("/")
    odd = any(unicodedata.category(mark) == "Cc" for mark in inside) or "\\" in inside or DRIVE.match(inside)
    if odd or not {"", ".", ".."}.isdisjoint(parts):
        raise FileRefused(
            "unsafe_name",
            f"{name!r} has a member {inside!r}: a path in an archive is relative, with single slashes and without `..`,"
            " drives or control characters; pack it again",
        )
    if len(inside.encode()) > MAX_NAME_BYTES or any(len(part.encode()) > MAX_PART_BYTES for part in parts):
        raise FileRefused(
            "name_too_long", f"{name!r} has a member whose path is too long: {inside[:80]!r}...; give it a shorter one"
        )
    if S_ISLNK(info.external_attr >> 16):
        raise FileRefused("link_in_archive", f"{name!r}: its member {inside!r} is a link; pack the file itself")
    if info.flag_bits & 0x1:
        raise FileRefused(
            "encrypted", f"{name!r}: its member {inside!r} needs a password; deliver the archive without one"
        )


def _ensure_single(members: list["ZipInfo"], name: str) -> None:
    """Make sure that no two members have one name, as some file systems see it, or one the name of another's folder."""
    seen: dict[str, str] = {}
    for info in members:
        known = seen.setdefault(_folded(info.filename), info.filename)
        if known is not info.filename:
            raise FileRefused(
                "duplicate_member",
                f"{name!r} has two members of one name, {known!r} and {info.filename!r}: which of them counts can't be"
                " told; pack it again",
            )
    for info in members:
        for folder in PurePosixPath(info.filename).parents:
            if (same := seen.get(_folded(str(folder)))) is not None:
                raise FileRefused(
                    "duplicate_member", f"{name!r} has {same!r} both as a file and as a folder; pack it again"
                )


def _folded(inside: str) -> str:
    return unicodedata.normalize("NFC", inside).casefold()


def _blocks(opened: "ZipFile", info: "ZipInfo", name: str) -> Iterator[bytes]:
    """The bytes of a member, of which Python compares the checksum at the end."""
    import zipfile

    size = BLOCK if info.compress_type in BOUNDED else SMALL_BLOCK
    left = info.file_size
    try:
        with opened.open(info) as reader:
            while block := reader.read(size):
                left -= len(block)
                yield block
    except NotImplementedError as error:
        raise FileRefused(
            "unsupported_compression",
            f"{name!r}: its member {info.filename!r} is compressed in a way that is not read ({error}); pack it with"
            " deflate",
        ) from error
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        # bz2 says by an OSError that data is damaged; one of the system has a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _damaged(name, error) from error
    if left:
        raise _damaged(name, f"{info.filename!r} has another size than it is said to have")


def _damaged(name: str, error: Exception | str) -> FileRefused:
    return FileRefused(
        "unreadable", f"{name!r} can't be unpacked: {error}; it is damaged or was cut off, deliver it again"
    )


def _too_many(name: str) -> FileRefused:
    return FileRefused(
        "too_many_members", f"{name!r} is a zip archive of more than {MAX_MEMBERS:,} files; deliver it in parts"
    )


def _bomb(name: str) -> FileRefused:
    return FileRefused(
        "zip_bomb",
        f"{name!r} would become more than {MAX_RATIO} times as large, which no table is; if it is right, deliver the"
        " files unpacked",
    )
