"""What `defs.yaml` may say of a source of mails. Nothing is opened, and no secret is read."""

import datetime as dt
import re
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestration_project.settings import is_named
from orchestration_project.sources.naming import Naming

OWN_FIELDS = ("date", "uid", "part")


class ImapOptions(BaseModel):
    """Attachments of mails in a folder of a mail server. Mails are read only: none is marked, moved or deleted."""

    # A message of pydantic's would show a password that somebody has written down.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: Annotated[str, Field(description="The mail server.")]
    port: Annotated[int | None, Field(ge=1, le=65535, description="Left out: 993, or 143 without `tls`.")] = None
    security: Annotated[
        Literal["tls", "starttls", "none"],
        Field(description="How the connection is protected. `none` sends the password as plain text."),
    ] = "tls"
    ca_file: Annotated[
        str | None, Field(description="Certificates to trust, instead of the machine's: a file in PEM form.")
    ] = None
    user: Annotated[str, Field(description="The name to log in with.")]
    password: Annotated[str | None, Field(description="The password, as `env:NAME`.")] = None
    token: Annotated[str | None, Field(description="An OAuth 2 token instead (XOAUTH2), as `env:NAME`.")] = None
    folder: Annotated[str, Field(description="The folder with the mails.")] = "INBOX"
    sender: Annotated[
        str | None,
        Field(description="A regular expression that the sender's address must match as a whole, in lower case."),
    ] = None
    subject: Annotated[
        str | None, Field(description="A regular expression that the subject must match as a whole.")
    ] = None
    since: Annotated[str | None, Field(description="Mails that arrived before this day are left out.")] = None
    pattern: Annotated[
        str | None, Field(description="A regular expression that an attachment's name must match as a whole.")
    ] = None
    name: Annotated[
        str,
        Field(
            description="The name of a file in landing: `{name}` of the attachment, named groups of `pattern`;"
            " `{date}`, the day on which the mail arrived (UTC), its number `{uid}`, and `{part}`, the number of the"
            " attachment in it."
        ),
    ] = "{date}_{uid}_{name}"
    max_mail_bytes: Annotated[
        int, Field(ge=1, description="How large a mail may be; a larger one is told and left out.")
    ] = 100_000_000
    seconds: Annotated[float, Field(gt=0, description="How long the server may send nothing.")] = 60.0

    def naming(self, date: str, uid: int, part: int) -> Naming:
        """How attachments of a mail are named."""
        name = self.name
        for field, value in zip(OWN_FIELDS, (date, f"{uid:06d}", str(part)), strict=True):
            name = name.replace(f"{{{field}}}", value)
        return Naming(self.pattern, name)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for secret in (self.password, self.token):
            if secret is not None and not is_named(secret):
                raise ValueError("password and token are not written down here: write env:NAME")
        if (self.password is None) == (self.token is None):
            raise ValueError("one of password and token is needed")
        for field, pattern in (("sender", self.sender), ("subject", self.subject)):
            try:
                re.compile(pattern or "")
            except re.error as error:
                raise ValueError(f"{field} {pattern!r} is no regular expression: {error}") from None
        if problem := self.naming("2024-01-01", 1, 1).problem():
            raise ValueError(problem)
        if self.since is not None:
            dt.date.fromisoformat(self.since)
        return self
