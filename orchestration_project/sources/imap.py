"""A source of mails: attachments of the mails whose sender and subject are wanted.

Belongs here: which attachments are items, and where a fetch goes on. The protocol is in `imap_mailbox`, the form of
mails in `imap_mails`.

A mail is looked at once: the cursor is the number (UID) of the last mail whose attachments are all there. A server that
numbers its mails anew tells another UIDVALIDITY. Then all mails are looked at again, and known by their header.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from orchestration_project.errors import SourceError
from orchestration_project.settings import revealed
from orchestration_project.sources.imap_mailbox import HEADERS_AT_ONCE, FoundMail, Mailbox
from orchestration_project.sources.imap_mails import Envelope, attachments_of, content_of, envelope_of
from orchestration_project.sources.imap_options import ImapOptions
from orchestration_project.sources.model import Fetched, Item

TOO_LARGE = 0
"""Instead of a part's number: the mail was not read."""


@dataclass(slots=True)
class ImapSource:
    """A folder of a mail server.

    Attributes:
        options: what `defs.yaml` says.
        mailbox: the folder.
    """

    options: ImapOptions
    mailbox: Mailbox
    _places: dict[str, tuple[int, int]] = field(default_factory=dict, repr=False)
    _last: tuple[int, bytes] = field(default=(0, b""), repr=False)

    @property
    def url(self) -> str:
        """See `Source`."""
        return self.mailbox.shown

    def list(self, cursor: str | None) -> Iterator[Item]:
        """See `Source`. In the order in which the mails arrived."""
        validity, end = self.mailbox.examine()
        known = json.loads(cursor) if cursor else {}
        after = int(known["uid"]) if known.get("validity") == validity else 0
        uids = self.mailbox.uids(after, end)
        while group := list(islice(uids, HEADERS_AT_ONCE)):
            for mail in self.mailbox.headers(group):
                yield from self._items(mail, json.dumps({"validity": validity, "uid": mail.uid}))

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """See `Source`."""
        uid, part = self._places[item.key]
        if part == TOO_LARGE:
            raise SourceError(
                f"the mail {uid} has more than {self.options.max_mail_bytes:,} bytes: raise `max_mail_bytes`, or have"
                " it sent in parts"
            )
        content = content_of(self._mail(uid), part)
        if len(content) > limit:
            raise SourceError(
                f"the attachment has {len(content):,} bytes, and {limit:,} are allowed: raise `max_bytes`"
            )
        target.write_bytes(content)
        return Fetched(cursor=item.cursor)

    def close(self) -> None:
        """See `Source`."""
        self.mailbox.close()

    def _items(self, mail: FoundMail, cursor: str) -> Iterator[Item]:
        envelope = envelope_of(mail.header)
        if not self._is_wanted(envelope):
            return
        found = []
        for part, name in self._parts(mail):
            key = f"{envelope.key}/{part}"
            self._places[key] = (mail.uid, part)
            found.append(Item(key, envelope.key, name, None, mail.arrived))
        for place, item in enumerate(found, 1):
            # The mail is done with its last attachment.
            is_last = place == len(found)
            yield Item(item.key, item.version, item.name, None, item.modified_at, cursor if is_last else None)

    def _is_wanted(self, envelope: Envelope) -> bool:
        sender, subject = self.options.sender, self.options.subject
        return (sender is None or any(re.fullmatch(sender, address) for address in envelope.senders)) and (
            subject is None or re.fullmatch(subject, envelope.subject) is not None
        )

    def _parts(self, mail: FoundMail) -> Iterator[tuple[int, str]]:
        """The wanted attachments of a mail: the number of the part, and the name in landing."""
        date = f"{mail.arrived:%Y-%m-%d}"
        if mail.size > self.options.max_mail_bytes:
            yield TOO_LARGE, f"{date}_{mail.uid}_too_large"
            return
        for attachment in attachments_of(self._mail(mail.uid)):
            name = self.options.naming(date, mail.uid, attachment.part).name_of(attachment.name)
            if name is not None:
                yield attachment.part, name

    def _mail(self, uid: int) -> bytes:
        if self._last[0] != uid:
            # Without the one before: two large mails need not be in memory.
            self._last = (0, b"")
            self._last = (uid, self.mailbox.mail(uid))
        return self._last[1]


def open_imap(options: ImapOptions, secret: Callable[[str], str]) -> ImapSource:
    """A source of mails.

    Args:
        options: what `defs.yaml` says.
        secret: gives the value of an environment variable.

    Raises:
        SettingsError: the variable of the password or token is not set.
    """
    named = options.token or options.password or ""
    return ImapSource(options, Mailbox(options, revealed(named, secret)))
