"""The kinds of sources: by the name of the attribute in `defs.yaml`, how one is opened.

Belongs here: one line for each kind, and what all of them are opened with. Does not belong here: what a kind does; that
is in a module of its own, which is imported when a source of the kind is opened.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from orchestration_project.sources.http_options import HttpOptions
from orchestration_project.sources.imap_options import ImapOptions
from orchestration_project.sources.model import Source
from orchestration_project.sources.sql_options import SqlOptions
from orchestration_project.storage.batches import Batching

Secret = Callable[[str], str]
"""Gives the value of an environment variable, by its name."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source is opened for.

    Attributes:
        feed: the feed that it fetches for.
        batching: of that feed, for sources that are asked batch by batch.
        now: the present moment, with a time zone.
        secret: gives the values of environment variables.
    """

    feed: str
    batching: Batching
    now: dt.datetime
    secret: Secret


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source.

    Attributes:
        options: what `defs.yaml` may say of it.
        shown_as: its kind in Dagster, which has icons for some.
        open: makes a source of its options.
    """

    options: type[BaseModel]
    shown_as: str
    open: Callable[[Any, Opening], Source]


def _http(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.http import open_http

    return open_http(options, opening.batching, opening.now, opening.secret)


def _imap(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.imap import open_imap

    return open_imap(options, opening.secret)


def _sql(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.sql import open_sql

    return open_sql(options, opening.feed, opening.now, opening.secret)


# In this order the reference has them.
KINDS = {
    "http": Kind(HttpOptions, "http", _http),
    "imap": Kind(ImapOptions, "email", _imap),
    "sql": Kind(SqlOptions, "sql", _sql),
}
"""By attribute. A further kind is a line here, and a field of the component `Source`."""
