"""One file over HTTP, whole and of one version, however often the connection breaks.

Belongs here: what an answer tells of a file, its bytes, ranges. Does not belong here: how a request is made
(`http_session`), which files there are (`http`).

A download that breaks goes on where it broke, if the server has a strong `ETag` and says that it still is the same
file (`If-Range`). Else it begins anew. So no file has bytes of two versions.

The bytes are taken as they are sent. Some servers call a `.csv.gz` a CSV with the encoding gzip; it stays compressed.
"""

import datetime as dt
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from orchestration_project.errors import SourceDown, SourceError, visible
from orchestration_project.sources.http_options import HttpOptions
from orchestration_project.sources.http_session import FIRST_PAUSE, LONGEST_PAUSE, HttpSession

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 18
HTML = re.compile(rb"\s*(<!doctype\s+html|<html)", re.IGNORECASE)
HTML_TYPES = ("text/html", "application/xhtml+xml")
RANGE = re.compile(r"bytes (?P<from>\d+)-\d+/(?P<size>\d+|\*)")
WHOLE, PART, NO_SUCH_RANGE = 200, 206, 416


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells of a file, in the head of an answer.

    Attributes:
        version: `ETag`, else `Last-Modified` and the size; empty if it tells neither.
        strong: an `ETag` that is another one whenever a byte is; empty if there is none.
        size: bytes, None if it does not tell.
        modified_at: None if it does not tell.
    """

    version: str
    strong: str
    size: int | None
    modified_at: dt.datetime | None

    @classmethod
    def of(cls, response: "requests.Response") -> "Told":
        """What an answer tells."""
        headers = response.headers
        etag, modified, length = (headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
        size = int(length) if length.isdecimal() else None
        version = etag or (f"{modified}, {length} bytes" if modified else "")
        return cls(version, "" if etag.startswith("W/") else etag, size, _moment(modified))


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


class Download:
    """The download of one file.

    Args:
        session: requests to the server.
        url: the file's address.
        shown: the address as it may be shown.
        limit: bytes after which it is refused.
        options: as `defs.yaml` has them.
    """

    def __init__(self, session: HttpSession, url: str, shown: str, limit: int, options: HttpOptions) -> None:
        self._session, self._url, self._shown, self._limit, self._options = session, url, shown, limit, options
        self._told = Told("", "", None, None)

    def into(self, target: Path) -> Told:
        """Write the bytes to a file; tells which version they are.

        Raises:
            ItemGone: there is no such file.
            SourceDown: each attempt broke off, or it took too long.
            SourceError: it is refused, or is no file to be taken.
        """
        ends_at, broken = time.monotonic() + self._options.file_seconds, 0
        with target.open("wb") as stream:
            while True:
                try:
                    self._go_on(stream, ends_at)
                    return self._told
                except SourceDown:
                    broken += 1
                    if broken > self._options.retries or time.monotonic() > ends_at:
                        raise
                pause = min(FIRST_PAUSE * 2**broken, LONGEST_PAUSE)
                time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - no secret

    def _go_on(self, stream: BinaryIO, ends_at: float) -> None:
        there = stream.tell()
        goes_on = bool(there and self._told.strong)
        headers = {"Range": f"bytes={there}-", "If-Range": self._told.strong} if goes_on else {}
        with self._session.asked("GET", self._url, headers, taken=(NO_SUCH_RANGE,)) as response:
            if not (goes_on and response.status_code == PART and self._continues(response, there)):
                stream.seek(0)
                stream.truncate()
                self._begin(response)
            self._copy(response, stream, ends_at)
        if self._told.size is not None and stream.tell() != self._told.size:
            raise SourceDown(f"{self._shown} ended after {stream.tell():,} of {self._told.size:,} bytes")

    def _continues(self, response: "requests.Response", there: int) -> bool:
        """Whether a part is the one that was asked for, of the same version."""
        found = RANGE.fullmatch(response.headers.get("Content-Range", ""))
        etag = response.headers.get("ETag", self._told.strong)
        sizes = ("*", str(self._told.size)) if self._told.size is not None else (found and found["size"],)
        return bool(found and int(found["from"]) == there and found["size"] in sizes and etag == self._told.strong)

    def _begin(self, response: "requests.Response") -> None:
        if response.status_code != WHOLE:
            # The next attempt asks for the whole file.
            self._told = Told("", "", None, None)
            raise SourceDown(f"{self._shown}: the server answers {response.status_code} to a request for the rest")
        self._told = Told.of(response)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().casefold()
        allowed = self._options.content_types
        if allowed is None and kind in HTML_TYPES:
            raise SourceError(f"{self._shown} answers with a page of HTML, and not with a file")
        if allowed is not None and kind not in {name.casefold() for name in allowed}:
            raise SourceError(f"{self._shown} answers with the content type {visible(kind)!r}, not with {allowed}")
        if self._told.size is not None and self._told.size > self._limit:
            raise self._too_large(f"{self._told.size:,} bytes")

    def _copy(self, response: "requests.Response", stream: BinaryIO, ends_at: float) -> None:
        for chunk in response.raw.stream(CHUNK, decode_content=False):
            if stream.tell() == 0 and self._options.content_types is None and HTML.match(chunk):
                raise SourceError(f"{self._shown} answers with a page of HTML, and not with a file")
            if stream.tell() + len(chunk) > self._limit:
                raise self._too_large("more")
            if time.monotonic() > ends_at:
                raise SourceDown(
                    f"{self._shown} was not there as a whole after {self._options.file_seconds:g} s; raise"
                    " `file_seconds` if the file is that large"
                )
            stream.write(chunk)

    def _too_large(self, size: str) -> SourceError:
        return SourceError(f"{self._shown} has {size}; {self._limit:,} are allowed: `max_bytes`, or MAX_FILE_BYTES")
