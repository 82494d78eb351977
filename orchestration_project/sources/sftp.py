"""Files on an SFTP server, as a source: which are listed, and how one becomes a file.

Belongs here: folders and files. Does not belong here: how to log in, and faults (`sftp_session`); what `defs.yaml` may
say (`sftp_options`).
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from stat import S_IFREG, S_ISDIR, S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import quote

from orchestration_project.errors import ItemGone, SourceError, visible
from orchestration_project.sources.model import Fetched, Item
from orchestration_project.sources.naming import require_size, written
from orchestration_project.sources.sftp_options import SftpOptions
from orchestration_project.sources.sftp_session import Secret, SftpSession, text_of

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs


def open_sftp(options: SftpOptions, secret: Secret) -> "SftpSource":
    """The files of a server. Nothing is asked of it yet.

    Raises:
        SettingsError: a variable that is named is not set.
    """
    return SftpSource(options, SftpSession(options, secret))


class SftpSource:
    r"""Files of a server; the key of one is its path below the folder, with bytes that are no UTF-8 as `\xff`.

    Args:
        options: as `defs.yaml` has them.
        session: with the server.
    """

    def __init__(self, options: SftpOptions, session: SftpSession) -> None:
        self._options, self._session = options, session
        self._top = options.path.encode()
        # What its key does not tell: a path that is no UTF-8.
        self._own_paths: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._session.place}/{quote(self._options.path.lstrip('/'))}"

    def list(self, cursor: str | None) -> Iterator[Item]:  # noqa: ARG002 - files have no cursor
        """See `model.Source`. Links are not followed: they may lead anywhere, and in circles."""
        folders = [b""]
        while folders:
            folder = folders.pop()
            try:
                for below, attrs in self._entries(folder):
                    mode = _mode(attrs)
                    if S_ISDIR(mode) and self._options.recursive:
                        folders.append(below)
                    elif S_ISREG(mode) and (item := self._item(below, attrs)):
                        yield item
            except ItemGone:
                # One below was removed meanwhile. The folder itself has to be there.
                if not folder:
                    raise
            except SourceError as error:
                if not folder or error.transient:
                    raise
                key = f"{text_of(folder)}/"
                yield Item(key, "", "", problem=str(error))

    def _entries(self, folder: bytes) -> Iterator[tuple[bytes, "SFTPAttrs"]]:
        for entry in self._session.names(self._path(folder)):
            own = entry.filename if isinstance(entry.filename, bytes) else entry.filename.encode()
            # `.` and `..` as well
            if not own.startswith(b"."):
                yield (folder + b"/" + own if folder else own), entry.attrs

    def _item(self, below: bytes, attrs: "SFTPAttrs") -> Item | None:
        key = text_of(below)
        modified_at = dt.datetime.fromtimestamp(attrs.mtime or 0, dt.UTC)
        item = self._options.naming.item(key, _version(attrs), attrs.size or 0, modified_at)
        if item and key.encode() != below:
            self._own_paths[key] = below
        return item

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """See `model.Source`. A file that is written to while it is read is left for the next fetch."""
        require_size(item, item.size or 0, limit)
        path = self._path(self._own_paths.get(item.key, item.key.encode()))
        self._require_listed(item, path)
        written(self._session.pieces(path), target, item, limit)
        self._require_listed(item, path)
        return Fetched()

    def _require_listed(self, item: Item, path: bytes) -> None:
        """Make sure that a file is the one that was listed: no link in its place, and no other version."""
        status = self._session.status(path)
        if not S_ISREG(_mode(status)) or _version(status) != item.version:
            raise ItemGone(f"{self._session.place}: {visible(item.key)} was written to since it was listed")

    def close(self) -> None:
        """See `model.Source`."""
        self._session.close()

    def _path(self, below: bytes) -> bytes:
        return self._top + b"/" + below if below else self._top


def _mode(attrs: "SFTPAttrs") -> int:
    # A server that does not tell the kind has files as far as we know; one that is a folder fails when it is read.
    return S_IFREG if attrs.permissions is None else attrs.permissions


def _version(attrs: "SFTPAttrs") -> str:
    return f"{attrs.size}-{attrs.mtime}"
