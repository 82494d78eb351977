"""Copies of files.

A copy is a second set of a file's bytes, on disk: what its writer does afterwards does not reach them. A hard link
would be no copy: it is the same file under another name, and what is written to one is in both.
"""

import hashlib
import os
import shutil
from io import FileIO
from pathlib import Path

FICLONE = 0x40049409
"""Linux's request to share a file's blocks until one of both files is written to (Btrfs, XFS, bcachefs)."""
BLOCK = 1 << 20


def copy_bytes(source: Path, target: Path) -> str:
    """Give a new file the bytes, the times and the permissions of another one, and flush it to disk.

    Args:
        source: a regular file; a link is not followed.
        target: what is there is replaced.

    Returns:
        The SHA-256 of the bytes that were written, in hex.

    Raises:
        OSError: one can't be read, or the other not be written.
    """
    # A pipe that somebody has put in its place since would hold up the load for ever, but for O_NONBLOCK.
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with FileIO(reading) as reader, FileIO(target, "w+") as writer:
        digest = _hashed(writer) if _shared(reader, writer) else _written(reader, writer)
        # After the bytes, since writing sets the time; before the flush, which takes both to disk.
        shutil.copystat(source, target, follow_symlinks=False)
        os.fsync(writer.fileno())
    return digest


def copy_unhashed(source: Path, target: Path) -> None:
    """Give a new file the bytes and the permissions of another one, as fast as the disk can, and look no more at them.

    Args:
        source: a file that nobody writes to.
        target: what is there is replaced.
    """
    with FileIO(source) as reader, FileIO(target, "w+") as writer:
        shared = _shared(reader, writer)
    if not shared:
        shutil.copyfile(source, target)
    shutil.copymode(source, target)


def _shared(reader: FileIO, writer: FileIO) -> bool:
    """Share the blocks, where the file system can."""
    try:
        import fcntl

        fcntl.ioctl(writer.fileno(), FICLONE, reader.fileno())
    except (ImportError, OSError):  # each file system has its own error for what it can't do; the copy tells the others
        return False
    return True


def _hashed(stream: FileIO) -> str:
    stream.seek(0)
    return hashlib.file_digest(stream, "sha256").hexdigest()


def _written(reader: FileIO, writer: FileIO) -> str:
    digest = hashlib.sha256()
    while block := reader.read(BLOCK):
        digest.update(block)
        view = memoryview(block)
        while view:
            # Without a buffer, a write may take less than it is given, as on a disk that is nearly full.
            view = view[writer.write(view) :]
    return digest.hexdigest()
