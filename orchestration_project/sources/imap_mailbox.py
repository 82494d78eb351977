"""A folder of a mail server, opened for reading only: which mails it has, their headers, and one mail.

Belongs here: the protocol, TLS, login, and what errors say. Does not belong here: what a mail is made of.

EXAMINE opens the folder, and BODY.PEEK reads: the server itself lets nothing be changed that way.
"""

import base64
import datetime as dt
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from orchestration_project.errors import ItemGone, SourceDown, SourceError
from orchestration_project.sources.imap_options import ImapOptions

HEADERS_AT_ONCE = 200
# An answer of a search is one line, and Python reads none of more than a million bytes.
UIDS_AT_ONCE = 50_000
PORTS = {"tls": 993}
PLAIN_PORT = 143
_UID, _SIZE, _ARRIVED = (
    re.compile(rb"UID (\d+)"),
    re.compile(rb"RFC822\.SIZE (\d+)"),
    re.compile(rb'INTERNALDATE "([^"]+)"'),
)
_CODE = re.compile(r"\[([A-Z-]+)[\] ]")


@dataclass(frozen=True, slots=True)
class FoundMail:
    """A mail in the folder: its number there, its size in bytes, when it arrived, and its header."""

    uid: int
    size: int
    arrived: dt.datetime
    header: bytes


@dataclass(slots=True)
class Mailbox:
    """A folder, which is opened when it is first asked.

    Attributes:
        options: where it is.
        secret: the password, or the token.
    """

    options: ImapOptions
    secret: str = field(repr=False)
    _connection: imaplib.IMAP4 | None = None

    @property
    def shown(self) -> str:
        """Its address as it may be shown to anybody."""
        scheme = "imaps" if self.options.security == "tls" else "imap"
        return f"{scheme}://{self.options.host}:{self._port}/{self.options.folder}"

    @property
    def _port(self) -> int:
        return self.options.port or PORTS.get(self.options.security, PLAIN_PORT)

    def examine(self) -> tuple[int, int]:
        """Open the folder; returns its UIDVALIDITY, and the number that the next mail will get."""
        with self._told() as connection:
            state, _ = connection.select(_quoted(self.options.folder), readonly=True)
            if state != "OK":
                raise SourceError(f"{self.shown}: there is no such folder, or it can't be read")
            return self._number(connection, "UIDVALIDITY"), self._number(connection, "UIDNEXT")

    def uids(self, after: int, end: int) -> Iterator[int]:
        """The numbers of the mails after one of them and before another, in order."""
        since = self.options.since
        arrived = f" SINCE {_day(dt.date.fromisoformat(since))}" if since else ""
        for first in range(after + 1, end, UIDS_AT_ONCE):
            last = min(first + UIDS_AT_ONCE, end) - 1
            with self._told() as connection:
                _, found = connection.uid("SEARCH", f"UID {first}:{last}{arrived}")
                uids = sorted(int(uid) for line in found if line for uid in line.split())
            # Of a range beyond the last mail, servers give the last mail.
            yield from (uid for uid in uids if first <= uid <= last)

    def headers(self, uids: Sequence[int]) -> list[FoundMail]:
        """The headers of some mails, in order. One that was deleted meanwhile is left out."""
        asked = ",".join(map(str, uids))
        found = self._fetch(asked, "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER])")
        mails = [mail for about, literal in found if (mail := _found(about, literal))]
        return sorted((mail for mail in mails if mail.uid in set(uids)), key=lambda mail: mail.uid)

    def mail(self, uid: int) -> bytes:
        """A whole mail. Raises ItemGone if it is not there any more."""
        for about, literal in self._fetch(str(uid), "(UID BODY.PEEK[])"):
            if (number := _UID.search(about)) and int(number[1]) == uid:
                return literal
        raise ItemGone(f"{self.shown}: the mail {uid} was deleted or moved meanwhile")

    def close(self) -> None:
        """Log out."""
        if self._connection:
            with suppress(OSError, imaplib.IMAP4.error):
                self._connection.logout()
            _hang_up(self._connection)
            self._connection = None

    def _fetch(self, uids: str, what: str) -> list[tuple[bytes, bytes]]:
        """What stands around each literal of the answer, and the literal."""
        with self._told() as connection:
            state, answer = connection.uid("FETCH", uids, what)
            if state != "OK":
                raise SourceError(f"{self.shown} does not give the mails {uids[:20]}")
        # What a server says of a mail may stand before its bytes, or after them.
        around = [(part[0], part[1]) if isinstance(part, tuple) else (part or b"", None) for part in answer]
        following = [*around[1:], (b"", None)]
        return [
            (about + (after if other is None else b""), literal)
            for (about, literal), (after, other) in zip(around, following, strict=True)
            if literal is not None
        ]

    @contextmanager
    def _told(self) -> Iterator[imaplib.IMAP4]:
        """The connection; its faults are told in words of ours."""
        try:
            self._connection = self._connection or self._opened()
            yield self._connection
        except ssl.SSLCertVerificationError as error:
            raise SourceError(
                f"{self.shown} has a certificate that is not trusted: {error.verify_message}; `ca_file` names others"
            ) from None
        # An abort is an error, too, and comes first: the connection is gone.
        except (imaplib.IMAP4.abort, OSError) as error:
            _hang_up(self._connection)
            self._connection = None
            raise SourceDown(
                f"{self.shown} does not answer, or ended the connection ({type(error).__name__})"
            ) from None
        except imaplib.IMAP4.error as error:
            code = _CODE.search(str(error))
            raise SourceError(
                f"{self.shown} refuses{f' ({code[1]})' if code else ''}; look at user and login"
            ) from None

    def _opened(self) -> imaplib.IMAP4:
        options = self.options
        context = ssl.create_default_context(cafile=options.ca_file)
        connection = (
            imaplib.IMAP4_SSL(options.host, self._port, ssl_context=context, timeout=options.seconds)
            if options.security == "tls"
            else imaplib.IMAP4(options.host, self._port, timeout=options.seconds)
        )
        try:
            if options.security == "starttls":
                connection.starttls(context)
            self._log_in(connection)
        except BaseException:
            _hang_up(connection)
            raise
        return connection

    def _log_in(self, connection: imaplib.IMAP4) -> None:
        user = self.options.user
        if self.options.token:
            answer = f"user={user}\x01auth=Bearer {self.secret}\x01\x01".encode()
            # A server that refuses the token asks once more, for nothing.
            connection.authenticate("XOAUTH2", lambda asked: b"" if asked else answer)
        elif (user + self.secret).isascii():
            connection.login(user, self.secret)
        else:
            connection.authenticate("PLAIN", lambda _: f"\0{user}\0{self.secret}".encode())

    def _number(self, connection: imaplib.IMAP4, name: str) -> int:
        _, found = connection.response(name)
        if not found or not isinstance(found[0], bytes) or not found[0].isdigit():
            raise SourceError(f"{self.shown} tells no {name}, without which mails have no numbers that stay")
        return int(found[0])


def _hang_up(connection: imaplib.IMAP4 | None) -> None:
    if connection:
        with suppress(OSError):
            connection.shutdown()


def _found(about: bytes, header: bytes) -> FoundMail | None:
    uid, size, arrived = _UID.search(about), _SIZE.search(about), _ARRIVED.search(about)
    if not uid or not size or not arrived:
        return None
    # A day of one digit has a blank before it, and all have hyphens, which mails have not.
    moment = parsedate_to_datetime(arrived[1].decode("ascii").strip().replace("-", " ", 2))
    return FoundMail(int(uid[1]), int(size[1]), moment.astimezone(dt.UTC), header)


def _day(day: dt.date) -> str:
    # Not by strftime, whose months are those of the machine's language.
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"{day.day}-{months[day.month - 1]}-{day.year}"


def _quoted(folder: str) -> str:
    """A folder's name as the protocol has it: in its own form of UTF-7, in quotes."""

    def shifted(found: re.Match[str]) -> str:
        coded = base64.b64encode(found[0].encode("utf-16-be")).decode("ascii").rstrip("=").replace("/", ",")
        return f"&{coded}-"

    name = re.sub(r"[^\x20-\x7e]+", shifted, folder.replace("&", "&-"))
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
