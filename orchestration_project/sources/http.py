"""Files behind HTTP or HTTPS: which addresses are asked, and which files are there.

Belongs here: the addresses of batches, and what is listed. Does not belong here: how a file is downloaded
(`http_download`), redirects, credentials and repeated requests (`http_session`), what `defs.yaml` may say
(`http_options`).
"""

import base64
import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestration_project.errors import ItemGone, SourceError
from orchestration_project.settings import is_named, revealed
from orchestration_project.sources.addresses import address_problem
from orchestration_project.sources.dated import BATCH_FIELD, batches_since, filled
from orchestration_project.sources.http_download import Download, Told
from orchestration_project.sources.http_options import LOGIN, HttpOptions
from orchestration_project.sources.http_session import Access, HttpSession
from orchestration_project.sources.model import Fetched, Item
from orchestration_project.storage.batches import Batching

# What servers answer that don't know HEAD, or don't allow it.
NO_HEAD = (400, 403, 405, 501)

NOT_MODIFIED = 304
ETAG = re.compile(r'(W/)?"[^"]*"')

# Two words: of a server that tells no version, each fetch has to see the bytes.
NOT_TOLD, SEEN = "not told", "seen"

Secret = Callable[[str], str]
Known = Callable[[str], str | None]


def open_http(options: HttpOptions, batching: Batching, now: dt.datetime, secret: Secret, known: Known) -> "HttpSource":
    """The files of a server.

    Args:
        options: as `defs.yaml` has them.
        batching: of the feed: which batches there are.
        now: the present moment, with a time zone.
        secret: gives the value of an environment variable.
        known: gives the version of a file that was fetched before, by its key.

    Raises:
        SourceError: the address can't be used.
        SettingsError: a variable that is named is not set.
    """
    url = revealed(options.url, secret)
    if problem := address_problem(url, LOGIN):
        raise SourceError(f"url {problem}")
    headers = {name: revealed(text, secret) for name, text in (options.headers or {}).items()}
    if options.token is not None:
        headers["Authorization"] = f"Bearer {revealed(options.token, secret)}"
    elif options.user is not None:
        pair = f"{revealed(options.user, secret)}:{revealed(options.password or '', secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    hides_path = is_named(options.url)
    access = Access(
        headers, options.timeout_seconds, options.retries, options.redirects, hides_path, options.missing or ()
    )
    return HttpSource(url, addresses_of(url, options, batching, now), options, access, known)


def addresses_of(url: str, options: HttpOptions, batching: Batching, now: dt.datetime) -> dict[str, str]:
    """The addresses by the names that their files have in landing; those of batches in the order of time."""
    name = options.name or unquote(urlsplit(url).path.rpartition("/")[2])
    if not BATCH_FIELD.search(url):
        return {name: url}
    batches = list(batches_since(options.start, batching, now))
    newest = batches[-options.last_batches :] if options.last_batches else batches
    return {filled(name, batch): filled(url, batch) for batch in newest}


class HttpSource:
    """Files of a server, each with an address of its own.

    Args:
        template: the address as it was declared.
        addresses: the addresses by the names in landing.
        options: as `defs.yaml` has them.
        access: how the server is asked.
        known: gives the version of a file that was fetched before, by its key.
    """

    def __init__(
        self, template: str, addresses: Mapping[str, str], options: HttpOptions, access: Access, known: Known
    ) -> None:
        self._addresses, self._options, self._access, self._known = addresses, options, access, known
        self._session = HttpSession(access)
        self._is_batched = bool(BATCH_FIELD.search(template))
        self.url = access.shown(template)

    def list(self, cursor: str | None) -> Iterator[Item]:  # noqa: ARG002 - files have no cursor
        """The files that are there; the key of one is its name in landing.

        The file of a batch that is not there is expected to come later.

        Raises:
            SourceDown: the server does not answer.
            SourceError: it refuses, or the only file is not there; or not one is, and `missing` has its answer.
        """
        is_there = False
        for name, url in self._addresses.items():
            try:
                told = self._look(url, self._known(name))
            except ItemGone:
                if not self._is_batched:
                    raise
                continue
            is_there = True
            yield Item(name, told.version or NOT_TOLD, name, told.size, told.modified_at)
        # A server that refuses everything would otherwise look like one that has nothing yet, for ever.
        if self._options.missing and not is_there:
            raise SourceError(
                f"{self.url}: not one file is there, so the answers that `missing` names may be a refusal; look at the"
                " address, user, password, token and headers"
            )

    def _look(self, url: str, known: str | None) -> Told:
        """What the server tells of a file, of which one version may be known."""
        with self._session.asked("HEAD", url, taken=NO_HEAD) as response:
            if response.status_code not in NO_HEAD:
                return Told.of(response)
        # Else the server would begin to send the file, though nobody reads it.
        is_tag = bool(known and ETAG.fullmatch(known))
        headers = {"If-None-Match": str(known)} if is_tag else {}
        with self._session.asked("GET", url, headers, taken=(NOT_MODIFIED,) if is_tag else ()) as response:
            told = Told.of(response)
            # The head of such an answer may lack what the file's own has; its size is that of no body.
            return replace(told, version=str(known), size=None) if response.status_code == NOT_MODIFIED else told

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """Download a file; one that breaks off goes on where it broke, if it is the same version still.

        Raises:
            ItemGone: it is not there any more, or was changed while it was read.
            SourceDown: the server does not answer, or each attempt breaks off.
            SourceError: it refuses; what it sends is HTML, or larger than the limit.
        """
        url = self._addresses[item.key]
        told = Download(self._session, url, self._access.shown(url), limit, self._options).into(target)
        # Otherwise a file that somebody writes to while the server reads it would land with bytes of both.
        if told.version and self._look(url, told.version).version != told.version:
            raise ItemGone(f"{self._access.shown(url)} was changed while it was read; the next fetch looks again")
        return Fetched(told.version or SEEN, modified_at=told.modified_at)

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
