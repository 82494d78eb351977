"""What `defs.yaml` may say of a source of rows: a database, a query, and how its rows are divided into files.

Belongs here: the options, and whether they fit together. Nothing is opened, and no secret is read.
"""

import datetime as dt
import re
from functools import cached_property
from typing import Annotated, Literal, Self
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orchestration_project.settings import is_named
from orchestration_project.sources.sql_query import END, SINCE, START, parameters_of
from orchestration_project.storage.batches import Batch, Batching, Cadence

SCHEMES = ("postgresql", "postgres", "sqlite")
SECRETS = ("password", "sslpassword")
FIELD = re.compile(r"\{(\w+)\}")
USUAL_NAMES = {
    "increment": "{feed}_{date}_{number}.parquet",
    "batches": "{feed}_{batch}.parquet",
    "all": "{feed}_{date}.parquet",
}
"""By how rows are divided, the usual name of their file. It has all fields that there are."""
TELLING = {"increment": "number", "batches": "batch", "all": "date"}
"""By how rows are divided, the field that tells their files apart."""


class SqlBatches(BaseModel, frozen=True, extra="forbid"):
    """A file for each batch, such as a day: the rows from its start up to its end."""

    cadence: Annotated[
        Literal["hourly", "daily", "weekly", "monthly", "yearly"],
        Field(description="How long a batch is; usually as for the feed."),
    ] = "daily"
    start: Annotated[str, Field(description="The first batch, such as '2024-01-01'; hourly '2024-01-01-00:00'.")]
    timezone: Annotated[str, Field(description="The time zone in which batches begin, such as Europe/Berlin.")] = "UTC"
    again: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="How many of the last batches may still change. Each fetch asks for them again, and lands those"
            " whose rows differ. A batch that is older is asked for a last time.",
        ),
    ] = 0
    delay_minutes: Annotated[
        int, Field(ge=0, description="How many minutes after its end a batch is asked for first.")
    ] = 0

    @cached_property
    def batching(self) -> Batching:
        """How time is divided. Raises ValueError if the time zone is unknown."""
        try:
            zone = ZoneInfo(self.timezone)
        except (OSError, ValueError, KeyError):
            raise ValueError(f"batches: there is no timezone {self.timezone!r}") from None
        return Batching(Cadence(self.cadence), dt.date.min, timezone=zone)

    @cached_property
    def first(self) -> Batch:
        """The first batch. Raises ValueError if `start` tells none."""
        if not self.batching.is_key(self.start):
            raise ValueError(f"batches: start {self.start!r} is no {self.cadence} batch, such as '2024-01-01'")
        return self.batching.from_key(self.start)


class SqlOptions(BaseModel):
    """A query whose rows become Parquet files.

    With `increment`, each fetch takes the rows that are new. With `batches`, each batch is a file. With neither, each
    fetch takes all rows, and a day has one file.
    """

    # A message of pydantic's would show an URL, with its password.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[
        str,
        Field(
            description="The database: `postgresql://user@host:port/database` or `sqlite:///path/to/file`. With"
            " `env:NAME` it is read from an environment variable when a fetch begins, as it must be if it has a"
            " password."
        ),
    ]
    password: Annotated[
        str | None, Field(description="The password, as `env:NAME`, if it does not stand in the URL.")
    ] = None
    query: Annotated[
        str,
        Field(
            description="One SELECT. It has `:since` for an increment, `:batch_start` and `:batch_end` for batches:"
            " they are bound, not put into the text. End it with ORDER BY, so that the same rows are the same file."
        ),
    ]
    increment: Annotated[
        str | None,
        Field(
            description="A column of the query that grows: a moment, a date, or a whole number. The next fetch takes"
            " rows from `:since` on, which is its largest value so far less the overlap."
        ),
    ] = None
    start: Annotated[
        str | None, Field(description="With an increment: the first `:since`, such as '2024-01-01' or '0'.")
    ] = None
    overlap: Annotated[
        int | None,
        Field(
            ge=0,
            description="With an increment: how far before the largest value the next fetch begins; seconds for a"
            " moment, days for a date, else a number. It is longer than any transaction that writes such rows. Rows"
            " that came before are left out.",
        ),
    ] = None
    batches: Annotated[SqlBatches | None, Field(description="A file for each batch.")] = None
    name: Annotated[
        str | None,
        Field(
            description="The name of a file in landing: `{feed}`; for an increment `{date}`, the day of the fetch in"
            " UTC, and `{number}`, which counts its files; for batches `{batch}`; else `{date}`."
        ),
    ] = None
    seconds: Annotated[
        int,
        Field(
            gt=0, description="How long the query may take; with PostgreSQL, until it sends its first or its next rows."
        ),
    ] = 600

    @property
    def way(self) -> str:
        """How rows are divided: "increment", "batches" or "all"."""
        return "increment" if self.increment else "batches" if self.batches else "all"

    @property
    def template(self) -> str:
        """The template of names in landing."""
        return self.name or USUAL_NAMES[self.way]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for problem in (self._address_problem(), self._way_problem(), self._query_problem(), self._name_problem()):
            if problem:
                raise ValueError(problem)
        _ = self.batches and self.batches.first
        return self

    def _address_problem(self) -> str:
        if self.password is not None and not is_named(self.password):
            return "password is not written down here: set an environment variable, and write env:NAME"
        if is_named(self.url):
            return ""
        parts = urlsplit(self.url)
        if parts.scheme not in SCHEMES:
            return f"url begins with none of {', '.join(f'{scheme}://' for scheme in SCHEMES)}, nor with env:"
        if parts.password is not None or any(name in SECRETS for name, _ in parse_qsl(parts.query)):
            return "url has a password: put it into an environment variable, and write `url: env:NAME`"
        return ""

    def _way_problem(self) -> str:
        if self.increment and self.batches:
            return "increment and batches exclude each other"
        if self.increment and (self.start is None or self.overlap is None):
            return "an increment needs `start` and `overlap`"
        if not self.increment and (self.start is not None or self.overlap is not None):
            return "`start` and `overlap` belong to an increment"
        return ""

    def _query_problem(self) -> str:
        needed = {"increment": {SINCE}, "batches": {START, END}, "all": set()}[self.way]
        found = set(parameters_of(self.query))
        if missing := sorted(needed - found):
            return f"query lacks :{missing[0]}, without which it gives all rows each time"
        if others := sorted(found - needed):
            return f"query has :{others[0]}, which needs {'`increment`' if others[0] == SINCE else '`batches`'}"
        return ""

    def _name_problem(self) -> str:
        known, found = FIELD.findall(USUAL_NAMES[self.way]), FIELD.findall(self.template)
        if unknown := [field for field in found if field not in known]:
            return f"name has {{{unknown[0]}}}, and the fields are {', '.join(f'{{{field}}}' for field in known)}"
        if TELLING[self.way] not in found:
            return f"name lacks {{{TELLING[self.way]}}}, without which files would replace each other"
        return ""
