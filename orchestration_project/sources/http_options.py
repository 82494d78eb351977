"""What `defs.yaml` may say of files behind HTTP or HTTPS. Nothing is opened here."""

import datetime as dt
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator

from orchestration_project.settings import is_named
from orchestration_project.sources.addresses import address_problem
from orchestration_project.sources.dated import BATCH_FIELD

LOGIN = "`user` and `password`"
"""Where the user and the password belong that somebody has put into an address."""


class HttpOptions(BaseModel, frozen=True, extra="forbid"):
    """Files behind HTTP or HTTPS: one URL, or one for each batch."""

    url: Annotated[
        str,
        Field(
            repr=False,  # somebody may write a password into it
            description="Address of the file. With `{year}`, `{month}`, `{day}`, `{hour}` in it, it is one for each"
            " batch from `start` until now. `env:NAME` is the address that an environment variable of that name holds.",
        ),
    ]
    name: Annotated[
        str | None,
        Field(
            description="Name of the file in landing, in which the same fields may stand. Left out: the last part of"
            " the address's path."
        ),
    ] = None
    start: Annotated[
        str | None,
        Field(description="First batch that is asked for, `YYYY-MM-DD`. Left out: the feed's `start_date`."),
    ] = None
    last_batches: Annotated[
        int | None,
        Field(
            ge=1,
            description="Only so many of the newest batches are asked for, so that one which changes later is noticed"
            " and long ones are left alone. Left out: all of them, at each fetch.",
        ),
    ] = None
    user: Annotated[str | None, Field(description="User for basic authentication, or `env:NAME`.")] = None
    password: Annotated[
        str | None, Field(repr=False, description="Password for basic authentication: always `env:NAME`.")
    ] = None
    token: Annotated[str | None, Field(repr=False, description="Bearer token: always `env:NAME`.")] = None
    headers: Annotated[
        dict[str, str] | None,
        Field(repr=False, description="Further headers of each request; a value may be `env:NAME`."),
    ] = None
    content_types: Annotated[
        list[str] | None,
        Field(
            description="The content types that are taken, such as `text/csv`. Left out: all but HTML, which is what"
            " servers send in the place of a file: a form to log in, a page with an error."
        ),
    ] = None
    missing: Annotated[
        list[Annotated[int, Field(ge=400, le=499)]] | None,
        Field(
            description="Answers that mean that a file is not there, beside 404 and 410: object stores whose lists are"
            " closed answer 403. If not one file of a source is there, its fetch fails, since that may be a refusal."
        ),
    ] = None
    redirects: Annotated[int, Field(ge=0, description="How many redirects are followed.")] = 5
    timeout_seconds: Annotated[
        float, Field(gt=0, description="How long a connection, or the next bytes of an answer, may take.")
    ] = 30.0
    file_seconds: Annotated[float, Field(gt=0, description="How long the download of one file may take.")] = 3600.0
    retries: Annotated[
        int,
        Field(
            ge=0,
            description="How often a request is repeated in a fetch, when the server does not answer, is too busy or"
            " ends the connection. A broken download goes on where it broke.",
        ),
    ] = 4

    @model_validator(mode="after")
    def _fits(self) -> "HttpOptions":
        if problem := self._problem():
            raise ValueError(problem)
        return self

    def _problem(self) -> str | None:
        is_hidden = is_named(self.url)
        if not is_hidden and (problem := address_problem(self.url, LOGIN)):
            return f"url {problem}"
        for name, value in (("password", self.password), ("token", self.token)):
            if value is not None and not is_named(value):
                return f"{name}: write env: and the name of an environment variable that holds it"
        if self.token is not None and self.user is not None:
            return "token and user: one of them is what the server is shown"
        if self.password is not None and self.user is None:
            return "password: it needs a user"
        if self.start is not None and not _is_date(self.start):
            return f"start: {self.start!r} is not a date in the form YYYY-MM-DD"
        return _name_problem("" if is_hidden else self.url, self.name, is_hidden)


def _is_date(text: str) -> bool:
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _name_problem(url: str, name: str | None, is_hidden: bool) -> str | None:
    last = urlsplit(url).path.rpartition("/")[2]
    if name is None and (is_hidden or not last):
        return "name: say how the file is called in landing; the address does not tell"
    if missing := sorted({*BATCH_FIELD.findall(url)} - {*BATCH_FIELD.findall(name or last)}):
        fields = ", ".join(f"{{{field}}}" for field in missing)
        return f"name: {fields} of the address has to be in it, or the files of all batches would have one name"
    return None
