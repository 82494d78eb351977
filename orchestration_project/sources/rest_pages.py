"""What the pages of one fetch are, taken together: how many records, up to which cursor, and whether they fit.

Belongs here: pure checks of parsed pages. Does not belong here: asking for them (`rest_client`).
"""

import datetime as dt
import hashlib
import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from orchestration_project.errors import SourceError
from orchestration_project.sources.rest_options import RestOptions

Value = Decimal | dt.datetime | dt.date
MISSING = object()
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


class Shifted(SourceError):
    """The data changed while its pages were read, so that records may be missing: the fetch begins anew."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer.

    Attributes:
        body: its bytes.
        document: what they say; numbers are Decimals.
    """

    body: bytes
    document: Any


def parsed(body: bytes, number: int, content_type: str) -> Page:
    """A page.

    Args:
        body: its bytes.
        number: of the page, from 1.
        content_type: what the server says that it is; of HTML that tells more than a byte.

    Raises:
        SourceError: it is no JSON in UTF-8.
    """
    try:
        return Page(body, json.loads(body.decode(), parse_int=Decimal, parse_float=Decimal))
    except (ValueError, RecursionError, InvalidOperation):
        kind = "HTML" if "html" in content_type.lower() or body.lstrip()[:1] == b"<" else "no JSON in UTF-8"
        raise SourceError(f"page {number:,} is {kind}; nothing of this fetch lands") from None


def at(document: Any, keys: tuple[str, ...]) -> Any:
    """What is at a path of a document; `MISSING` if there is nothing."""
    for key in keys:
        if not isinstance(document, dict) or key not in document:
            return MISSING
        document = document[key]
    return document


def comparable(value: Any) -> Value:
    """A value of a cursor, to be compared with others.

    Raises:
        SourceError: it is neither a number nor a moment in ISO 8601. As texts, 9 would come after 10.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, str) and NUMBER.fullmatch(value):
        return Decimal(value)
    if isinstance(value, str):
        for read in (dt.date.fromisoformat, dt.datetime.fromisoformat):
            with suppress(ValueError):
                return read(value)
    raise SourceError("the cursor's field has a value that is neither a number nor a moment in ISO 8601")


@dataclass(slots=True)
class Tally:
    """What was seen of a fetch so far.

    Attributes:
        options: of the source.
        since: the cursor with which the fetch began.
        records: how many came.
        newest: the largest value of the cursor's field, as it was written; None before one came.
    """

    options: RestOptions
    keys: tuple[str, ...]
    total_keys: tuple[str, ...] | None
    since: str | None
    records: int = 0
    newest: str | None = None
    _pages: int = 0
    _totals: set[Any] = field(default_factory=set)
    _last: bytes = b""

    def add(self, page: Page) -> None:
        """Look at a page.

        Raises:
            Shifted: it says another total than the pages before.
            SourceError: it has no records where they should be, is the page before once more, or its cursor is none.
        """
        self._pages += 1
        found = at(page.document, self.keys)
        if not isinstance(found, list):
            raise SourceError(
                f"page {self._pages:,} has no array of records at {self.options.records}; see the option `records`"
            )
        # A server that does not know the parameter sends the same page for ever.
        digest = hashlib.sha256(page.body).digest()
        if found and digest == self._last:
            raise SourceError(
                f"page {self._pages:,} is the one before once more: the server does not look at what should lead to"
                " the next one; see the option `pagination`"
            )
        self._last = digest
        self.records += len(found)
        self._note_total(page.document)
        if self.options.cursor is not None:
            self._note_cursor(found, self.options.cursor.field)

    def close(self) -> str | None:
        """The cursor for the next fetch; None leaves it as it is.

        Raises:
            Shifted: as many records as the pages say did not come.
            SourceError: the newest record is older than those that were asked for.
        """
        if self._totals and self._totals != {self.records}:
            said = ", ".join(sorted(str(total) for total in self._totals))
            raise Shifted(f"{self.records:,} records came, and the pages say {said}")
        if self.newest is None or self.since is None:
            return self.newest
        try:
            goes_back = comparable(self.newest) < comparable(self.since)  # type: ignore[operator]
        except TypeError:
            raise SourceError(f"the cursor {self.since!r} can't be compared with {self.newest!r}") from None
        if goes_back:
            raise SourceError(
                f"the newest record has {self.newest!r}, and those from {self.since!r} on were asked for: the source"
                " went back, or does not look at the parameter. Nothing lands, and the cursor stays where it is"
            )
        return self.newest

    def _note_total(self, document: Any) -> None:
        if self.total_keys is None:
            return
        total = at(document, self.total_keys)
        if not isinstance(total, Decimal):
            raise SourceError(f"page {self._pages:,} has no number at {self.options.total}; see the option `total`")
        self._totals.add(int(total))
        if len(self._totals) > 1:
            raise Shifted(f"page {self._pages:,} says another total than those before")

    def _note_cursor(self, records: list[Any], name: str) -> None:
        for record in records:
            value = record.get(name, MISSING) if isinstance(record, dict) else MISSING
            if value is MISSING:
                raise SourceError(f"page {self._pages:,} has a record without {name!r}, the cursor's field")
            # A record that was never changed may have no such moment. It lands all the same.
            if value is not None:
                self._advance(value)

    def _advance(self, value: Any) -> None:
        try:
            if self.newest is None or comparable(value) > comparable(self.newest):  # type: ignore[operator]
                comparable(value)
                self.newest = str(value)
        except TypeError:
            raise SourceError("the cursor's field has moments with a time zone and without, or numbers too") from None
