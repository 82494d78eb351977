"""Requests to a REST API, below dlt's client: when one is sent again, and how much of an answer is read.

Belongs here: the session that dlt's client is given. Does not belong here: which requests there are (`rest_client`).

Pauses have a part of chance, which those of dlt's own session have not. Without it, all clients that a busy server has
turned away at one moment would come back at one moment.
"""

import itertools
import random
import time
from collections.abc import Iterator
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry
from urllib3.exceptions import InvalidHeader

from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.sources.http_session import PASSING

MAX_PAGE_BYTES = 64 << 20
"""A page is in memory as a whole, since only then can it be told where the next one is."""
PAGE_SECONDS = 600.0
"""A server that sends a byte now and then never runs into a timeout."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
FAILED = 500
BROKEN = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.HTTPError,
)
"""What a request may fail with that succeeds in a moment; HTTPError only with some answers."""


class RestSession(requests.Session):
    """Sends a request again when that may help.

    Args:
        retries: how often.
        timeout: seconds for a connection, and for the next bytes of an answer.

    Attributes:
        left: how many bytes the next answer has at most.
    """

    def __init__(self, retries: int, timeout: float) -> None:
        super().__init__()
        self._retries, self._timeout = retries, timeout
        self.left = MAX_PAGE_BYTES
        bounds = _Bounds(self)
        for scheme in ("http://", "https://"):
            self.mount(scheme, bounds)
        # Nobody wants a redirect: it may lead, with the key, to anywhere.
        self.max_redirects = 0

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """The answer to a request, read as a whole.

        Raises:
            RequestException: there is none, or a hook of the request raises it of the answer.
            SourceDown: it takes too long.
            SourceError: it is too large.
        """
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        for tried in itertools.count():
            is_last = tried >= self._retries
            answer: requests.Response | None
            try:
                answer = super().send(request, **kwargs)
                if is_last or not passes(answer):
                    return answer
            except BROKEN as error:
                answer = error.response
                if is_last or not (answer is None or passes(answer)):
                    raise
            time.sleep(pause(answer, tried))
        raise AssertionError("a count has no end")


def passes(answer: requests.Response) -> bool:
    """Whether another answer may come in a moment."""
    return answer.status_code in PASSING or answer.status_code >= FAILED


def pause(answer: requests.Response | None, tried: int) -> float:
    """How many seconds to wait before a request is sent again.

    Args:
        answer: what the server has sent; None: nothing that can be used.
        tried: how often the request was sent again before.

    Returns:
        what the server has asked for, or a pause that grows, each with a part of chance.
    """
    told = _retry_after(answer)
    if told is not None:
        return min(told, LONGEST_PAUSE) + random.uniform(0, FIRST_PAUSE)  # noqa: S311 - no secret
    grown = min(FIRST_PAUSE * 2**tried, LONGEST_PAUSE)
    return random.uniform(grown / 2, grown)  # noqa: S311 - no secret


def _retry_after(answer: requests.Response | None) -> float | None:
    text = None if answer is None else answer.headers.get("Retry-After")
    if text is None:
        return None
    try:
        return Retry().parse_retry_after(text)
    except InvalidHeader:
        return None


class _Bounds(HTTPAdapter):
    """Gives up an answer when it has too many bytes, or takes too long."""

    def __init__(self, session: RestSession) -> None:
        super().__init__()
        self._session = session

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        return super().build_response(req, _Bounded(resp, self._session.left))


class _Bounded:
    """The bytes of an answer as they come, which `requests` reads by `stream`."""

    def __init__(self, raw: Any, left: int) -> None:
        self._raw, self._left = raw, left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, amt: int, decode_content: bool | None = None) -> Iterator[bytes]:
        """The answer's bytes, unpacked, by blocks."""
        ends_at = time.monotonic() + PAGE_SECONDS
        try:
            yield from self._blocks(amt, decode_content, ends_at)
        except SourceError:
            self._raw.close()
            raise

    def _blocks(self, amt: int, decode_content: bool | None, ends_at: float) -> Iterator[bytes]:
        for block in self._raw.stream(amt, decode_content=decode_content):
            self._left -= len(block)
            if self._left < 0:
                raise SourceError(
                    f"the answer is larger than the file may be (`max_bytes`), or a page than {MAX_PAGE_BYTES:,} bytes"
                )
            if time.monotonic() > ends_at:
                raise SourceDown(f"a page was not sent within {PAGE_SECONDS:.0f} seconds")
            yield block
