"""What dlt is told of a REST API: how requests are signed, and how the next page is found.

Belongs here: our options as objects of dlt. Does not belong here: asking with them (`rest_client`).
"""

from collections.abc import Callable
from typing import Any

from orchestration_project.contracts.service import keys_of_path
from orchestration_project.sources.rest_options import Auth, RestOptions


def is_oauth(auth: Any) -> bool:
    """Whether requests are signed with a token that is asked for, and expires."""
    return hasattr(auth, "obtain_token")


def auth_of(auth: Auth, value: Callable[[str], str], session: Any) -> Any:
    """What signs requests.

    Args:
        auth: the options.
        value: gives what a text of them stands for.
        session: with which tokens are asked for.
    """
    from dlt.sources.helpers.rest_client.auth import (
        APIKeyAuth,
        BearerTokenAuth,
        HttpBasicAuth,
        OAuth2ClientCredentials,
    )

    given = {name: value(text) for name, text in auth if isinstance(text, str)}
    match auth.style:
        case "api_key" if auth.query is not None:
            return APIKeyAuth(name=auth.query, api_key=given["token"], location="query")
        case "api_key":
            return APIKeyAuth(name=given["header"], api_key=given["token"], location="header")
        case "bearer":
            return BearerTokenAuth(token=given["token"])
        case "basic":
            return HttpBasicAuth(username=given["user"], password=given["password"])
        case _:
            return OAuth2ClientCredentials(
                access_token_url=given["token_url"],
                client_id=given["client_id"],
                client_secret=given["client_secret"],
                access_token_request_data={"scope": auth.scope} if auth.scope else {},
                session=session,
            )


def paginator_of(options: RestOptions) -> Any:
    """What finds the next page."""
    from dlt.sources.helpers.rest_client import paginators as styles

    given = options.pagination
    if given is None:
        return styles.SinglePagePaginator()
    match given.style:
        case "header_link":
            return styles.HeaderLinkPaginator()
        case "json_link":
            return styles.JSONLinkPaginator(selector(given.next or "$"))
        case "cursor":
            return styles.JSONResponseCursorPaginator(selector(given.next or "$"), given.parameter or "cursor")
        case "offset":
            return styles.OffsetPaginator(
                given.limit or 1,
                given.first or 0,
                given.parameter or "offset",
                given.limit_parameter,
                total_path=selector(options.total) if options.total else None,
                # Where the total is known, an empty page in between is no end.
                stop_after_empty_page=options.total is None,
            )
        case _:
            return styles.PageNumberPaginator(
                base_page=1 if given.first is None else given.first,
                page_param=given.parameter or "page",
                total_path=selector(given.pages) if given.pages else None,
                stop_after_empty_page=given.pages is None,
            )


def selector(path: str) -> str:
    """A path as dlt reads it."""
    return "$" + "".join(f".'{key}'" for key in keys_of_path(path) or ())
