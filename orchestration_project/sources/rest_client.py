"""The pages of a REST API, through dlt's `RESTClient`: signing and paging are its work.

Belongs here: asking, and its errors in our words. No message has what a library says, since that may have an address
with a key in it. Does not belong here: what dlt is told (`rest_dlt`), when a request is sent again (`rest_session`),
what pages are (`rest_pages`), and what lands (`rest`).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.settings import revealed
from orchestration_project.sources.addresses import origin_of, shown
from orchestration_project.sources.rest_dlt import auth_of, is_oauth, paginator_of, selector
from orchestration_project.sources.rest_options import RestOptions
from orchestration_project.sources.rest_pages import Page, parsed
from orchestration_project.sources.rest_session import MAX_PAGE_BYTES, RestSession

if TYPE_CHECKING:
    from requests import Response

NO_REQUEST, TOO_MANY, FAILED = 400, 429, 500
REFUSED = (401, 403)


class RestClient:
    """Asks one API.

    Args:
        options: of the source.
        url: address of the first page, with values in the place of its fields.
        secret: gives the values of environment variables.

    Raises:
        SourceError: dlt is not installed.
        SettingsError: a variable is not set.
    """

    def __init__(self, options: RestOptions, url: str, secret: Callable[[str], str]) -> None:
        self._options, self._url, self._secret = options, url, secret
        try:
            from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
            from dlt.sources.helpers.rest_client.client import RESTClient
        except ImportError:
            raise SourceError(
                "what asks REST APIs is not installed: pip install 'orchestration-project[dlt]'"
            ) from None
        # dlt has types for some of what it takes.
        asking: Any = RESTClient
        self._session = RestSession(options.retries, options.timeout_seconds)
        self._auth = auth_of(options.auth, self._value, self._session) if options.auth else None
        # Not found by dlt itself: it would look for files of settings, in whatever folder the process has.
        self._client = asking(
            base_url=url,
            headers={name: self._value(value) for name, value in options.headers.items()},
            auth=self._auth,
            session=self._session,
            config=RuntimeConfiguration(dlthub_telemetry=False),
        )

    def pages(self, params: Mapping[str, str], limit: int) -> Iterator[Page]:
        """All pages, in their order.

        Args:
            params: of the first request.
            limit: bytes that all pages have at most.

        Raises:
            SourceDown: the server does not answer, or fails again and again.
            SourceError: it refuses, what it sends is no JSON, too much, or leads elsewhere or round in a circle.
        """
        asked, left = set[object](), limit
        self._session.left = min(left, MAX_PAGE_BYTES)
        with _told(self._url):
            for number, page in enumerate(self._paginate(params), start=1):
                body, kind = page.response.content, page.response.headers.get("Content-Type", "")
                left -= len(body) + 1
                self._session.left = max(0, min(left, MAX_PAGE_BYTES))
                yield parsed(body, number, kind)
                if not page.paginator.has_next_page or not page.request.url:
                    return
                self._require_next(page.request, asked, number)

    def _paginate(self, params: Mapping[str, str]) -> Iterator[Any]:
        hooks = {"response": [*([self._renew] if is_oauth(self._auth) else []), _refuse]}
        pages: Iterator[Any] = self._client.paginate(
            self._url,
            params={name: self._value(value) for name, value in params.items()},
            paginator=paginator_of(self._options),
            data_selector=selector(self._options.records),
            hooks=hooks,
            timeout=self._options.timeout_seconds,
            allow_redirects=False,
        )
        return pages

    def _value(self, text: str) -> str:
        """What a text of the options stands for."""
        return revealed(text, self._secret)

    def _require_next(self, request: Any, asked: set[object], number: int) -> None:
        """Look at the request for the next page, before it is sent with the key."""
        if not isinstance(request.url, str) or origin_of(request.url) != origin_of(self._url):
            raise SourceError(f"page {number:,} leads to another server for the next one, which is refused")
        # The address alone tells, where its parameters are in it; else these do.
        this = (request.url, tuple(sorted((name, str(value)) for name, value in (request.params or {}).items())))
        if this in asked:
            raise SourceError(f"page {number:,} leads to a page that was read before: there would be no end")
        asked.add(this)
        if number >= self._options.max_pages:
            raise SourceError(f"there are more than {number:,} pages; raise `max_pages` if that is right")

    def _renew(self, response: "Response", *_: object, **kwargs: Any) -> "Response":
        """Sign a request anew, once, if its token has expired before its time."""
        if response.status_code != REFUSED[0] or self._auth is None:
            return response
        # Unread, its connection would stay taken.
        response.close()
        again = response.request.copy()
        self._auth.access_token = None
        answer: Response = response.connection.send(self._auth(again), **kwargs)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def _refuse(response: "Response", *_: object, **__: object) -> None:
    """Raise for whatever is no answer; the session asks again where that helps."""
    from requests import HTTPError

    if not response.ok or response.is_redirect:
        response.close()
        raise HTTPError(response=response)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Errors of the client, in words without what it says."""
    import requests

    where = shown(url)
    try:
        yield
    except requests.HTTPError as error:
        raise _answered(where, 0 if error.response is None else error.response.status_code) from None
    except requests.TooManyRedirects:
        raise _answered(where, 302) from None
    except requests.exceptions.SSLError:
        raise SourceError(f"{where}: its certificate can't be verified") from None
    except requests.JSONDecodeError as error:
        kind = "HTML" if error.doc.lstrip()[:1] == "<" else "no JSON"
        raise SourceError(f"{where}: an answer is {kind}; nothing of this fetch lands") from None
    except requests.RequestException as error:
        raise SourceDown(f"{where} does not answer as it should: {type(error).__name__}") from None
    # What dlt raises of an answer that lacks what its paginator needs quotes the whole answer.
    except (ValueError, TypeError, AttributeError) as error:
        raise SourceError(
            f"{where}: an answer does not have what `pagination` needs ({type(error).__name__})"
        ) from None


def _answered(where: str, status: int) -> SourceError:
    if status in REFUSED:
        return SourceError(f"{where} refuses with {status}; see the option `auth` and the variables that it names")
    if status == TOO_MANY or status >= FAILED:
        return SourceDown(f"{where} fails with {status}, again and again")
    if status < NO_REQUEST:
        return SourceError(f"{where} redirects ({status}), which is not followed; declare the address that it leads to")
    return SourceError(f"{where} refuses with {status}; see the options `url` and `params`")
