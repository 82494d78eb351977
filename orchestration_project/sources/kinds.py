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
from orchestration_project.sources.object_store_options import ObjectStoreOptions
from orchestration_project.sources.rest_options import RestOptions
from orchestration_project.sources.sftp_options import SftpOptions
from orchestration_project.sources.sql_options import SqlOptions
from orchestration_project.storage.batches import Batching

Secret = Callable[[str], str]
"""Gives the value of an environment variable, by its name."""
Known = Callable[[str], str | None]
"""Gives the version of an item that was fetched before, by its key; None if it was not."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source is opened for.

    Attributes:
        feed: the feed that it fetches for.
        batching: of that feed, for sources that are asked batch by batch.
        now: the present moment, with a time zone.
        secret: gives the values of environment variables.
        known: tells which versions were fetched before, for sources that can be asked whether there is another one.
    """

    feed: str
    batching: Batching
    now: dt.datetime
    secret: Secret
    known: Known


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

    return open_http(options, opening.batching, opening.now, opening.secret, opening.known)


def _rest(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.rest import open_rest

    return open_rest(options, opening.feed, opening.batching, opening.now, opening.secret)


def _imap(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.imap import open_imap

    return open_imap(options, opening.secret)


def _sql(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.sql import open_sql

    return open_sql(options, opening.feed, opening.now, opening.secret)


def _object_store(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.object_store import open_object_store

    return open_object_store(options, opening.batching, opening.now, opening.secret)


def _sftp(options: Any, opening: Opening) -> Source:
    from orchestration_project.sources.sftp import open_sftp

    return open_sftp(options, opening.secret)


# In this order the reference has them.
KINDS = {
    "http": Kind(HttpOptions, "http", _http),
    "rest": Kind(RestOptions, "http", _rest),
    "imap": Kind(ImapOptions, "email", _imap),
    "sql": Kind(SqlOptions, "sql", _sql),
    "object_store": Kind(ObjectStoreOptions, "s3", _object_store),
    "sftp": Kind(SftpOptions, "sftp", _sftp),
}
"""By attribute. A further kind is a line here, and a field of the component `Source`."""
