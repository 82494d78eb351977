"""Zip archives for tests: good ones, and every kind of bad one."""

import io
import struct
import warnings
import zipfile
from collections.abc import Mapping
from stat import S_IFLNK

HEAD = "id,n\n"


def packed(files: Mapping[str, str | bytes | None], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of files with certain records below their header; None: without a header; bytes as they are."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # zipfile warns of a name that is there twice
        for name, records in files.items():
            content = records if isinstance(records, bytes) else text_of(records)
            written.writestr(zipfile.ZipInfo(name), content, how)
    return stream.getvalue()


def text_of(records: str | None) -> str:
    """A file with some records, or without a header."""
    return "no header at all\n" if records is None else f"{HEAD}{records}\n"


def with_entry(name: str, content: str = "a,1", mode: int = 0) -> bytes:
    """An archive of a good file and one more entry, under a name or with a mode that may be hostile."""
    stream = io.BytesIO()
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    with zipfile.ZipFile(stream, "w") as written:
        written.writestr("s_2024-01-01.csv", text_of("a,1"))
        written.writestr(info, text_of(content))
    return stream.getvalue()


def link() -> bytes:
    """An archive with a symbolic link."""
    return with_entry("t_2024-01-01.csv", "/etc/passwd", S_IFLNK | 0o777)


def twice(*names: str) -> bytes:
    """An archive with several entries, perhaps of one name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as written, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for name in names:
            written.writestr(name, text_of("a,1"))
    return stream.getvalue()


def encrypted() -> bytes:
    """An archive that says that its member needs a password."""
    content = bytearray(packed({"s_2024-01-01.csv": "a,1"}))
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(magic) + offset] |= 1
    return bytes(content)


def unknown_method() -> bytes:
    """An archive with a compression that nobody has."""
    content = bytearray(packed({"s_2024-01-01.csv": "a,1"}))
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = content.index(magic) + offset
        content[start : start + 2] = struct.pack("<H", 98)
    return bytes(content)


def lying(content: bytes, size: int) -> bytes:
    """An archive whose only member is said to have another size than it has."""
    changed = bytearray(content)
    for magic, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = changed.index(magic) + offset
        changed[start : start + 4] = struct.pack("<I", size)
    return bytes(changed)


def damaged(content: bytes) -> bytes:
    """An archive in which a byte of the first member has changed."""
    changed = bytearray(content)
    changed[30 + changed[26] + 4] ^= 0xFF
    return bytes(changed)


def bad_name() -> bytes:
    """An archive with a name that is said to be UTF-8 and is not."""
    return packed({"s_2024-01-01_é.csv": "a,1"}).replace("é".encode(), b"\xff\xfe")


def endless_contents() -> bytes:
    """An archive whose table of contents is larger than any that is read."""
    return b"PK\x03\x04" + b"\0" * 100 + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 9, 9, 1 << 30, 0, 0)
