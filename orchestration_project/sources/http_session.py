"""Requests over HTTP: who is asked, with which credentials, how often, and what an answer's status means.

Belongs here: one request, its redirects and repetitions. Does not belong here: which files there are, and how one is
written to disk (`http`).

A redirect may lead anywhere a server says, so each one is looked at: only to http and https, never from https to http,
and never from a public address into a private network. What is looked at are the addresses that the name has at that
moment. Who controls the name can have it answer otherwise a moment later; a firewall has the last word. Credentials go
to the host of the configured address only.
"""

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from orchestration_project.errors import ItemGone, SourceDown, SourceError
from orchestration_project.sources.addresses import SCHEMES, origin_of, shown

if TYPE_CHECKING:
    import requests
    from urllib3 import BaseHTTPResponse, Retry

GONE = (404, 410)
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be others in a moment."""
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_PAUSE = 60.0
"""How long a server may have a request wait by `Retry-After`; of longer ones the fetch says that the source is down."""
FIRST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class Access:
    """How a server is asked.

    Attributes:
        headers: of requests to the configured host, credentials among them.
        timeout: seconds for a connection, and for the next bytes of an answer.
        retries: how often a request is repeated.
        redirects: how many redirects are followed.
        hides_path: whether the path of the address is a secret too, since an environment variable has it.
        missing: the statuses that mean that there is no such file, beside `GONE`.
    """

    headers: Mapping[str, str] = field(repr=False)
    timeout: float
    retries: int
    redirects: int
    hides_path: bool = False
    missing: Sequence[int] = ()

    def shown(self, url: str) -> str:
        """An address without what may be secret: user, query, and the path of one from the environment."""
        return shown(url, self.hides_path)


class HttpSession:
    """Requests to one server; connections are kept.

    Args:
        access: how it is asked.
    """

    def __init__(self, access: Access) -> None:
        import requests
        from requests.adapters import HTTPAdapter

        self._access = access
        self._session = requests.Session()
        # Or requests would look for a password in ~/.netrc, which nobody has chosen for this.
        self._session.auth = lambda request: request
        adapter = HTTPAdapter(max_retries=_patience(access.retries))
        for scheme in SCHEMES:
            self._session.mount(f"{scheme}://", adapter)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    @contextmanager
    def asked(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, taken: Sequence[int] = ()
    ) -> Iterator["requests.Response"]:
        """The answer to a request, whose body is not read yet.

        Args:
            method: `GET` or `HEAD`.
            url: the address.
            headers: further ones of this request.
            taken: the failures that are an answer, too.

        Raises:
            ItemGone: there is no such file.
            SourceDown: the server does not answer, or has no time.
            SourceError: it refuses, or leads where nobody should follow.
        """
        with self._told(url):
            response = self._followed(method, url, headers or {})
        try:
            if response.status_code not in taken:
                self._require_success(response, url)
            with self._told(url):
                yield response
        finally:
            response.close()

    def _followed(self, method: str, first: str, headers: Mapping[str, str]) -> "requests.Response":
        url = first
        for _ in range(self._access.redirects + 1):
            # The file's own bytes: they are compared and kept, compressed or not.
            sent = {"Accept-Encoding": "identity", "Accept": "*/*", **headers}
            if origin_of(url) == origin_of(first):
                sent |= self._access.headers
            response = self._session.request(
                method, url, headers=sent, stream=True, allow_redirects=False, timeout=self._access.timeout
            )
            target = response.headers.get("Location")
            if response.status_code not in REDIRECTS or target is None:
                return response
            response.close()
            following = urljoin(url, target)
            self._require_safe(first, url, following)
            url = following
        raise SourceError(
            f"{self._access.shown(first)} leads on for more than {self._access.redirects} redirects; raise `redirects`"
            " if they lead to the file"
        )

    def _require_safe(self, first: str, url: str, following: str) -> None:
        scheme, place = urlsplit(following).scheme, self._access.shown(first)
        if scheme not in SCHEMES or not urlsplit(following).hostname:
            raise SourceError(f"{place} leads to an address that is neither http nor https: it is not followed")
        if urlsplit(url).scheme == "https" and scheme == "http":
            raise SourceError(f"{place} leads from https to http: it is not followed, anybody could change the file")
        if origin_of(following) != origin_of(first) and not is_private(first) and is_private(following):
            raise SourceError(f"{place} leads into a private network: it is not followed")

    def _require_success(self, response: "requests.Response", url: str) -> None:
        status, place = response.status_code, self._access.shown(url)
        if status in GONE or status in self._access.missing:
            raise ItemGone(f"{place} is not there: the server answers {status}")
        if status in PASSING or status >= 500:
            raise SourceDown(f"{place}: the server answers {status}, also when it is asked again")
        if status in (401, 403):
            raise SourceError(f"{place}: the server answers {status}: look at user, password, token and headers")
        if not 200 <= status < 300:
            raise SourceError(f"{place}: the server answers {status}")

    @contextmanager
    def _told(self, url: str) -> Iterator[None]:
        """Have the faults of the connection told in our words: those of the library have the request in them."""
        import requests
        from urllib3.exceptions import HTTPError

        place = self._access.shown(url)
        try:
            yield
        except requests.exceptions.SSLError:
            raise SourceError(
                f"{place}: its certificate can't be verified; REQUESTS_CA_BUNDLE names a file with that of your own"
                " authority"
            ) from None
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.InvalidHeader):
            raise SourceError(f"{place}: the address or a header can't be used") from None
        except (requests.RequestException, HTTPError, OSError) as error:
            raise SourceDown(f"{place} does not answer, or has ended the connection ({type(error).__name__})") from None


def _patience(retries: int) -> "Retry":
    """When a request is repeated: the library's own rules, with a bounded pause."""
    from urllib3 import Retry

    # Not `retry_after_max`, which is new in urllib3 2.6.
    class Patience(Retry):
        def get_retry_after(self, response: "BaseHTTPResponse") -> float | None:
            seconds = super().get_retry_after(response)
            return None if seconds is None else min(seconds, LONGEST_PAUSE)

    return Patience(
        total=retries,
        # What the answer's body breaks with is repeated by `http`, which knows how much of it is there.
        allowed_methods=("GET", "HEAD"),
        status_forcelist=PASSING,
        backoff_factor=FIRST_PAUSE,
        backoff_jitter=FIRST_PAUSE,
        raise_on_status=False,
    )


def is_private(url: str) -> bool:
    """Whether an address leads into a private network, or to this machine."""
    host = urlsplit(url).hostname or ""
    return any(not ipaddress.ip_address(address).is_global for address in addresses_of(host))


def addresses_of(host: str) -> list[str]:
    """The addresses that a name has now; none if nobody knows it here, as behind a proxy."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    # `fe80::1%eth0` has the interface's name in it.
    return [str(entry[4][0]).partition("%")[0] for entry in found]
