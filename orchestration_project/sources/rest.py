"""REST APIs as sources: all pages of a fetch are one file, each page byte for byte, with a line end behind it.

    GET /products           {"items": [{"price": 1.10}], "next": "/products?page=2"}
    GET /products?page=2    {"items": [{"price": 3}], "next": null}

No number is read and written anew, so 1.10 stays 1.10; the contract's `recordsPath` says where the records are. A fetch
of which a page fails lands nothing: half an answer would look like all of it.

A fetch is for all records, for those since a cursor, or for a batch. An answer with the bytes of the last one lands
nothing, see `fetch`.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from orchestration_project.contracts.service import keys_of_path
from orchestration_project.errors import SourceError
from orchestration_project.settings import is_named, revealed
from orchestration_project.sources.addresses import address_problem, shown
from orchestration_project.sources.dated import BATCH_FIELD, batches_since, fields_of, filled
from orchestration_project.sources.model import Fetched, Item
from orchestration_project.sources.rest_client import RestClient
from orchestration_project.sources.rest_options import LOGIN, NAME_FIELD, RestOptions
from orchestration_project.sources.rest_pages import Shifted, Tally
from orchestration_project.storage.batches import Batch, Batching

TRIES = 3
ALL, SINCE, FIRST = "all records", "since ", "from the beginning"
COMPLETE = "complete"
"""Version of a batch that has ended: it is asked for once more after its end, and then no more."""


def open_rest(
    options: RestOptions, feed: str, batching: Batching, now: dt.datetime, secret: Callable[[str], str]
) -> "RestSource":
    """A REST API as a source.

    Args:
        options: as `defs.yaml` has them.
        feed: the feed that is fetched for.
        batching: of that feed.
        now: the present moment, with a time zone.
        secret: gives the values of environment variables.

    Raises:
        SettingsError: a variable is not set.
    """
    url = revealed(options.url, secret)
    if is_named(options.url):
        _require_address(url, options)
    return RestSource(options, url, feed, batching, now, secret)


def _require_address(url: str, options: RestOptions) -> None:
    """Look at an address that no definition has seen.

    Raises:
        SourceError: it is none, has a password, or fields where the options say something else.
    """
    if problem := address_problem(url, LOGIN):
        raise SourceError(f"the variable of `url` {problem}")
    if options.cursor is not None and BATCH_FIELD.search(url):
        raise SourceError("a fetch goes on by its `cursor` or batch by batch, and the address in the variable has both")


class RestSource:
    """See `open_rest`; `url` is the address itself."""

    def __init__(
        self,
        options: RestOptions,
        url: str,
        feed: str,
        batching: Batching,
        now: dt.datetime,
        secret: Callable[[str], str],
    ) -> None:
        self._options, self._address, self._feed, self._batching = options, url, feed, batching
        self._now, self._secret = now, secret
        self._asked: dict[str, tuple[Batch | None, str | None]] = {}
        self.url = shown(url)

    def list(self, cursor: str | None) -> Iterator[Item]:
        """What is to be asked for: everything, what is new since the cursor, or the batches from the start until now.

        Nothing is asked yet. So all but a batch that has ended and was fetched since is of another version each time.
        """
        anew = f"asked at {self._now.isoformat()}"
        if BATCH_FIELD.search(self._address) or self._options.is_batched:
            current = self._batching.current(self._now)
            for batch in batches_since(self._options.start, self._batching, self._now):
                key = self._batching.key(batch)
                self._asked[key] = (batch, None)
                yield Item(key, anew if batch == current else COMPLETE, self._name(batch))
            return
        since = cursor or (self._options.cursor.start if self._options.cursor else None)
        key = ALL if self._options.cursor is None else FIRST if since is None else f"{SINCE}{since}"
        self._asked[key] = (None, since)
        yield Item(key, anew, self._name(None))

    def fetch(self, item: Item, target: Path, limit: int) -> Fetched:
        """Write all pages to a file.

        Raises:
            SourceDown: the server does not answer, or fails again and again.
            SourceError: it refuses, a page is no JSON or too large, or data changed while it was read, each time.
        """
        batch, since = self._asked[item.key]
        params = self._options.params
        if self._options.cursor is not None and since is not None:
            params = {**params, self._options.cursor.parameter: since}
        client = RestClient(self._options, _with_batch(self._address, batch), self._secret)
        try:
            for tried in range(1, TRIES + 1):
                tally = self._tally(since)
                try:
                    with target.open("wb") as writer:
                        for page in client.pages(_each_filled(params, batch), limit):
                            tally.add(page)
                            writer.write(page.body + b"\n")
                    cursor = tally.close()
                    break
                except Shifted as error:
                    if tried == TRIES:
                        raise SourceError(
                            f"{self.url}: data changed while it was read, {TRIES} times: {error}. Nothing lands"
                        ) from None
        finally:
            client.close()
        empty = self._options.cursor is not None and not tally.records
        return Fetched(cursor=cursor, empty=empty, records=tally.records)

    def close(self) -> None:
        """Nothing is open between two fetches."""

    def _tally(self, since: str | None) -> Tally:
        total = keys_of_path(self._options.total) if self._options.total else None
        return Tally(self._options, keys_of_path(self._options.records) or (), total, since)

    def _name(self, batch: Batch | None) -> str:
        hourly = batch is None or isinstance(batch, dt.datetime)
        usual = "{feed}_{year}-{month}-{day}" + "T{hour}" * hourly + "{minute}{second}" * (batch is None) + ".json"
        moment = self._now.astimezone(self._batching.timezone) if batch is None else batch
        values = {**fields_of(moment), "feed": self._feed}
        return NAME_FIELD.sub(lambda found: values[found[1]], self._options.name or usual)


def _with_batch(template: str, batch: Batch | None) -> str:
    return template if batch is None else filled(template, batch)


def _each_filled(params: Mapping[str, str], batch: Batch | None) -> dict[str, str]:
    return {name: _with_batch(value, batch) for name, value in params.items()}
