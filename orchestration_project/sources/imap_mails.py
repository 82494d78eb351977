"""A mail as bytes becomes its sender, its subject and its attachments, byte for byte. No I/O here.

Content-Type: multipart/mixed
    text/plain                                       no name: no attachment
    text/csv; name*=utf-8''Ums%C3%A4tze.csv          part 2, Umsätze.csv, also if it is shown inline
    message/rfc822                                   a mail that was forwarded
        application/zip; filename="=?utf-8?...?="    part 5: parts count as they come, at all depths
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import (
    CloseBoundaryNotFoundDefect,
    InvalidBase64CharactersDefect,
    InvalidBase64LengthDefect,
    InvalidBase64PaddingDefect,
)
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

from orchestration_project.errors import SourceError, visible
from orchestration_project.hashes import shown

# Python decodes what is damaged as far as it goes, and only notes it.
DAMAGE = (InvalidBase64CharactersDefect, InvalidBase64LengthDefect, InvalidBase64PaddingDefect)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the header of a mail tells.

    Attributes:
        senders: the addresses in From, in lower case. Whoever sends a mail chooses them.
        subject: decoded, in one line.
        key: the same for the same mail, whatever number a server gives it: its Message-ID and a hash of its header.
    """

    senders: tuple[str, ...]
    subject: str
    key: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part of a mail that has a name: its number among the parts, and its name without folders."""

    part: int
    name: str


def envelope_of(header: bytes) -> Envelope:
    """Read the header of a mail."""
    mail = message_from_bytes(header)
    senders = getaddresses([str(value) for value in mail.get_all("From", [])])
    # With all of the header: senders that give each mail the same Message-ID exist, and so do mails without one.
    digest = shown(hashlib.sha256(header.strip()).hexdigest())
    identity = " ".join(str(mail.get("Message-ID", "")).split()).strip("<>")
    return Envelope(
        tuple(address.lower() for _, address in senders if address),
        " ".join(_decoded(str(mail.get("Subject", ""))).split()),
        f"{identity}#{digest}",
    )


def attachments_of(raw: bytes) -> list[Attachment]:
    """The attachments of a mail, those of forwarded mails included."""
    return [Attachment(number, name) for number, name, _ in _named(message_from_bytes(raw))]


def content_of(raw: bytes, part: int) -> bytes:
    """The bytes of an attachment.

    Raises:
        SourceError: the mail is cut off or damaged there, or has no such part.
    """
    mail = message_from_bytes(raw)
    if any(isinstance(defect, CloseBoundaryNotFoundDefect) for inner in mail.walk() for defect in inner.defects):
        raise SourceError("the mail is cut off: a boundary that ends its parts is missing; have it sent again")
    for number, name, found in _named(mail):
        if number == part:
            content = found.get_payload(decode=True)
            if any(isinstance(defect, DAMAGE) for defect in found.defects):
                raise SourceError(f"the attachment {visible(name)!r} is damaged: its base64 can't be read exactly")
            assert isinstance(content, bytes)
            return content
    raise SourceError(f"the mail has no part {part} with a name any more")


def _named(mail: "Message[str, str]") -> Iterator[tuple[int, str, "Message[str, str]"]]:
    for number, part in enumerate(mail.walk(), 1):
        if part.is_multipart():
            continue
        if name := part.get_filename():
            # Some senders write a path, of their own kind of system.
            yield number, _decoded(name).replace("\\", "/").rpartition("/")[2], part


def _decoded(text: str) -> str:
    """A text without the encoded words of RFC 2047, which senders use for names as well."""
    try:
        return str(make_header(decode_header(text)))
    except (LookupError, UnicodeError, ValueError):
        return text
