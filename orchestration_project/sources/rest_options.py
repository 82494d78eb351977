"""What `defs.yaml` may say of a REST API. Nothing is opened here, and no value of a secret is known."""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from orchestration_project.contracts.service import keys_of_path
from orchestration_project.settings import is_named
from orchestration_project.sources.addresses import address_problem
from orchestration_project.sources.dated import BATCH_FIELD

LOGIN = "`auth`"
"""Where the user and the password belong that somebody has put into an address."""
NAME_FIELD = re.compile(r"\{(feed|year|month|day|hour|minute|second)\}")


def _path(text: str) -> str:
    if keys_of_path(text) is None:
        raise ValueError("is no path: $ and the keys that lead there, such as $.data.items")
    return text


def _secret(text: str) -> str:
    if not is_named(text):
        raise ValueError("has to be env:NAME, the variable that has it: a secret does not belong into a file")
    return text


def _address(text: str) -> str:
    if not is_named(text) and (problem := address_problem(text, LOGIN)):
        raise ValueError(problem)
    return text


def _template(text: str) -> str:
    if set("{}/\0") & set(NAME_FIELD.sub("", text)) or not text:
        raise ValueError("is no name: its fields are {feed}, {year}, {month}, {day}, {hour}, {minute} and {second}")
    return text


Path = Annotated[str, AfterValidator(_path)]
Secret = Annotated[str, AfterValidator(_secret)]
Address = Annotated[str, AfterValidator(_address)]
Template = Annotated[str, AfterValidator(_template)]


class _Options(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """Errors don't quote what was given: it may be a secret in the wrong place."""


class Pagination(_Options, frozen=True):
    """How the next page of an answer is found."""

    style: Annotated[
        Literal["header_link", "json_link", "cursor", "offset", "page_number"],
        Field(
            description="`header_link`: a link in the header `Link`; `json_link`: one in the answer; `cursor`: a mark"
            " in the answer that is sent back; `offset`, `page_number`: counted up, until a page is empty or the answer"
            " says that it was the last one."
        ),
    ]
    next: Annotated[
        Path | None,
        Field(description="Of `json_link` and `cursor`: where the link or mark is in an answer, such as `$.next`."),
    ] = None
    parameter: Annotated[
        str | None,
        Field(description="Of `cursor`, `offset`, `page_number`: the parameter. Left out: `cursor`, `offset`, `page`."),
    ] = None
    limit: Annotated[int | None, Field(ge=1, description="Of `offset`: how many records a page has.")] = None
    limit_parameter: Annotated[str, Field(description="Of `offset`: the parameter that has `limit`.")] = "limit"
    first: Annotated[
        int | None, Field(ge=0, description="Of `offset` and `page_number`: where to begin. Left out: 0 and 1.")
    ] = None
    pages: Annotated[Path | None, Field(description="Of `page_number`: where an answer has the number of pages.")] = (
        None
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.next is not None) != (self.style in ("json_link", "cursor")):
            raise ValueError("`next` belongs to the styles json_link and cursor, which need it")
        if (self.limit is not None) != (self.style == "offset"):
            raise ValueError("`limit` belongs to the style offset, which needs it")
        if self.pages is not None and self.style != "page_number":
            raise ValueError("`pages` belongs to the style page_number")
        return self


class Auth(_Options, frozen=True):
    """How requests are signed."""

    style: Annotated[Literal["api_key", "bearer", "basic", "oauth2"], Field(description="Which of these.")]
    header: Annotated[str | None, Field(description="Of `api_key`: the header that has it.")] = None
    query: Annotated[
        str | None,
        Field(description="Of `api_key`: the parameter that has it. Servers note addresses, so prefer a header."),
    ] = None
    token: Annotated[Secret | None, Field(description="Of `api_key` and `bearer`: `env:NAME`.")] = None
    user: Annotated[str | None, Field(description="Of `basic`: the user, or `env:NAME`.")] = None
    password: Annotated[Secret | None, Field(description="Of `basic`: `env:NAME`.")] = None
    token_url: Annotated[Address | None, Field(description="Of `oauth2`: where tokens are asked for.")] = None
    client_id: Annotated[str | None, Field(description="Of `oauth2`: the client, or `env:NAME`.")] = None
    client_secret: Annotated[Secret | None, Field(description="Of `oauth2`: `env:NAME`.")] = None
    scope: Annotated[str | None, Field(description="Of `oauth2`: the scope that is asked for.")] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        needed = {
            "api_key": {"token", "query" if self.query is not None else "header"},
            "bearer": {"token"},
            "basic": {"user", "password"},
            "oauth2": {"token_url", "client_id", "client_secret"},
        }[self.style]
        given = {name for name, value in self if value is not None} - {"style"}
        if missing := needed - given:
            raise ValueError(f"the style {self.style} needs {', '.join(sorted(missing))}")
        if surplus := given - needed - ({"scope"} if self.style == "oauth2" else set()):
            raise ValueError(f"the style {self.style} has no use for {', '.join(sorted(surplus))}")
        return self


class Cursor(_Options, frozen=True):
    """Which records are new: those from the newest value on that the last fetch has seen."""

    field: Annotated[
        str,
        Field(description="Key of each record that has a number or a moment in ISO 8601, such as `updated_at`."),
    ]
    parameter: Annotated[str, Field(description="The parameter that has the newest value seen, such as `since`.")]
    start: Annotated[
        str | None, Field(description="Its value in the first fetch. Left out: the first one has no such parameter.")
    ] = None


class RestOptions(_Options, frozen=True):
    """The answers of a REST API: all pages of a fetch are one file, byte for byte, one page after the other."""

    url: Annotated[
        Address,
        Field(
            repr=False,
            description="Address of the first page. With `{year}`, `{month}`, `{day}`, `{hour}` in it or in `params`,"
            " there is a fetch and a file for each batch from `start` until now. `env:NAME` is the address that an"
            " environment variable of that name holds.",
        ),
    ]
    params: Annotated[
        dict[str, str], Field(repr=False, description="Parameters of the address; a value may be `env:NAME`.")
    ] = {}
    headers: Annotated[
        dict[str, str], Field(repr=False, description="Headers of each request; a value may be `env:NAME`.")
    ] = {}
    records: Annotated[
        Path, Field(description="Where the array of records is in a page: the contract's `recordsPath`.")
    ] = "$"
    pagination: Annotated[
        Pagination | None, Field(description="How the next page is found. Left out: there is one page.")
    ] = None
    auth: Annotated[Auth | None, Field(description="How requests are signed. Left out: they are not.")] = None
    cursor: Annotated[
        Cursor | None, Field(description="Ask for new records only. Left out: each fetch has all of them.")
    ] = None
    total: Annotated[
        Path | None,
        Field(
            description="Where a page says how many records there are on all of them. If others came, since data"
            " changed while it was read, the fetch begins anew, up to 3 times."
        ),
    ] = None
    start: Annotated[
        str | None,
        Field(description="First batch that is asked for, `YYYY-MM-DD`. Left out: the feed's `start_date`."),
    ] = None
    name: Annotated[
        Template | None,
        Field(
            description="Name of the file in landing, with `{feed}` and the fields of the batch, or else of the moment"
            " of the fetch in the feed's time zone, `{minute}` and `{second}` too. Left out:"
            " `{feed}_{year}-{month}-{day}.json` for batches (hours with `T{hour}`), else"
            " `{feed}_{year}-{month}-{day}T{hour}{minute}{second}.json`."
        ),
    ] = None
    max_pages: Annotated[int, Field(ge=1, description="A fetch with more pages than these is given up.")] = 10_000
    timeout_seconds: Annotated[
        float, Field(gt=0, description="How long a connection, or the next bytes of an answer, may take.")
    ] = 30.0
    retries: Annotated[
        int,
        Field(ge=0, description="How often a page is asked for again, if the server is down, busy or breaks off."),
    ] = 4

    @property
    def is_batched(self) -> bool:
        """Whether there is a fetch for each batch."""
        return any(BATCH_FIELD.search(text) for text in (self.url, *self.params.values()))

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.is_batched and self.cursor is not None:
            raise ValueError("a fetch goes on by its `cursor` or batch by batch, not both")
        if self.start is not None and not self.is_batched:
            raise ValueError("`start` needs {year}, {month} or {day} in `url` or `params`")
        if self.cursor is not None and self.cursor.parameter in self.params:
            raise ValueError("the cursor's `parameter` is one of `params` already")
        return self
