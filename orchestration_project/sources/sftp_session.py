"""A session with an SFTP server: log in, have its key checked, and tell its faults in words of ours.

Belongs here: what of asyncssh is used, one request at a time. Does not belong here: which files are fetched (`sftp`),
and what `defs.yaml` may say (`sftp_options`). Only an operation imports asyncssh, which is an extra.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from orchestration_project.errors import ItemGone, SourceDown, SourceError, visible
from orchestration_project.settings import revealed
from orchestration_project.sources.sftp_options import HOW_TO_GET_IT, SftpOptions

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile, SFTPName, SSHClient, SSHClientConnection

PIECE = 4 << 20
"""Bytes that are asked for at once; the client asks for the blocks of a piece in parallel."""

Secret = Callable[[str], str]
Result = TypeVar("Result")


class SftpSession:
    """A session, which begins with the first request; after a fault of the connection, a new one begins.

    Args:
        options: as `defs.yaml` has them.
        secret: gives the value of an environment variable.

    Raises:
        SettingsError: a variable that is named is not set.
    """

    def __init__(self, options: SftpOptions, secret: Secret) -> None:
        def value(text: str | None) -> str | None:
            return text and revealed(text, secret)

        self._options = options
        self._host, self._user = value(options.host) or "", value(options.user) or ""
        self._password, self._key, self._passphrase = map(value, (options.password, options.key, options.passphrase))
        self._loop = asyncio.new_event_loop()
        self._connection: SSHClientConnection | None = None
        self._client: SFTPClient | None = None
        self.place = f"sftp://{visible(self._host)}:{options.port}"

    def names(self, folder: bytes) -> "Iterator[SFTPName]":
        """What a folder has, name by name.

        Raises:
            ItemGone: there is no such folder. So do the other two of a file.
            SourceDown: the server does not answer, or ended the connection.
            SourceError: it refuses.
        """
        what = text_of(folder)
        names = self._ask(_scan(folder), what)
        while True:
            with self._told(what):
                try:
                    name = self._run(_next(names))
                except StopAsyncIteration:
                    return
            yield name

    def status(self, path: bytes) -> "SFTPAttrs":
        """Size, time and kind of a file; of a link, its own."""
        return self._ask(lambda client: client.lstat(path), text_of(path))

    def pieces(self, path: bytes) -> Iterator[bytes]:
        """The bytes of a file, piece by piece."""
        what, read = text_of(path), 0
        file = self._ask(_open(path), what)
        try:
            while piece := self._ask(_read(file, read), what):
                read += len(piece)
                yield piece
        finally:
            if self._client is not None:  # else the file went with the connection
                self._ask(_close(file), what)

    def close(self) -> None:
        """End the session."""
        self._drop()
        if not self._loop.is_closed():
            self._loop.close()

    def _ask(self, request: "Callable[[SFTPClient], Coroutine[Any, Any, Result]]", what: str) -> Result:
        with self._told(what):
            self._client = client = self._client or self._run(self._log_in())
            return self._run(request(client))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._loop.run_until_complete(asyncio.wait_for(work, self._options.timeout_seconds))

    async def _log_in(self) -> "SFTPClient":
        import asyncssh

        options, seconds = self._options, self._options.timeout_seconds
        # Nothing of the user's own is used: no agent, no keys, no configuration, which differ between processes.
        self._connection = await asyncssh.connect(
            self._host,
            options.port,
            client_factory=_checker(options.host_key),
            username=self._user,
            password=self._password,
            client_keys=self._keys() or None,
            known_hosts=options.known_hosts or ([], [], []),
            config=None,
            agent_path=None,
            gss_auth=False,
            gss_kex=False,
            connect_timeout=seconds,
            login_timeout=seconds,
        )
        # Names are bytes: on some servers they are no UTF-8.
        return await self._connection.start_sftp_client(path_encoding=None)

    def _keys(self) -> list[Any]:
        import asyncssh

        try:
            if self._key:
                return [asyncssh.import_private_key(self._key, self._passphrase)]
            if self._options.key_file:
                return [asyncssh.read_private_key(self._options.key_file, self._passphrase)]
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, OSError):
            where = f"the file {self._options.key_file}" if not self._key else "the variable of `key`"
            raise SourceError(
                f"{self.place}: {where} has no private key that can be read; if it is encrypted, set `passphrase`"
            ) from None
        return []

    def _drop(self) -> None:
        """Give up the connection."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None and not self._loop.is_closed():
            connection.abort()
            with suppress(Exception):
                self._run(connection.wait_closed())

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        try:
            import asyncssh
        except ImportError:
            raise SourceError(
                f"{self.place}: what speaks SFTP is not installed: pip install 'orchestration-project[sftp]'"
            ) from None
        name = visible(what)
        try:
            yield
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            raise ItemGone(f"{self.place} has no {name}") from None
        except asyncssh.SFTPPermissionDenied:
            raise SourceError(f"{self.place} does not let {visible(self._user)} read {name}") from None
        except (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection) as error:
            raise self._down(error) from None
        except asyncssh.SFTPError as error:
            raise SourceError(f"{self.place} refuses {name} ({type(error).__name__}, code {error.code})") from None
        except asyncssh.HostKeyNotVerifiable as error:
            self._drop()
            raise SourceError(f"{self.place} has another key than it should: {error.reason}. {HOW_TO_GET_IT}") from None
        except asyncssh.PermissionDenied:
            self._drop()
            raise SourceError(
                f"{self.place} refuses to log in {visible(self._user)}: look at the user, and at the password or key"
            ) from None
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise self._down(error) from None

    def _down(self, error: Exception) -> SourceDown:
        self._drop()
        return SourceDown(f"{self.place} does not answer, or ended the connection ({type(error).__name__})")


def text_of(path: bytes) -> str:
    r"""A path as text, with bytes that are no UTF-8 as `\xff`."""
    return path.decode(errors="backslashreplace")


def _scan(folder: bytes) -> "Callable[[SFTPClient], Coroutine[Any, Any, AsyncIterator[SFTPName]]]":
    async def scan(client: "SFTPClient") -> "AsyncIterator[SFTPName]":
        return client.scandir(folder)

    return scan


def _open(path: bytes) -> "Callable[[SFTPClient], Coroutine[Any, Any, SFTPClientFile]]":
    async def opened(client: "SFTPClient") -> "SFTPClientFile":
        return await client.open(path, "rb")

    return opened


def _read(file: "SFTPClientFile", offset: int) -> "Callable[[SFTPClient], Coroutine[Any, Any, bytes]]":
    async def read(_: "SFTPClient") -> bytes:
        # Its declared type is that of files that are read as text.
        return cast("bytes", await file.read(PIECE, offset))

    return read


def _close(file: "SFTPClientFile") -> "Callable[[SFTPClient], Coroutine[Any, Any, None]]":
    return lambda _: file.close()


async def _next(names: "AsyncIterator[SFTPName]") -> "SFTPName":
    return await anext(names)


def _checker(fingerprint: str | None) -> "Callable[[], SSHClient]":
    """What decides whether a server's key is the right one, where no file of known hosts has it."""
    import asyncssh

    class Checker(asyncssh.SSHClient):
        """Takes the key of one fingerprint."""

        def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - as asyncssh calls it
            """Whether a key is that of the server."""
            if fingerprint is not None and key.get_fingerprint() == fingerprint:
                return True
            raise ValueError(f"it shows {key.get_fingerprint()} ({key.get_algorithm()})")

    return Checker
