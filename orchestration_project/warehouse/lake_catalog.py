"""What a lake's catalog is: the database that says which Parquet files the tables consist of.

Belongs here: what all catalogs can do, and what a lake's snapshot is. The kinds are in `lake_sqlite` and
`lake_postgres`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from orchestration_project.warehouse.lock import Holder

NEWEST = "SELECT snapshot_id, snapshot_time FROM ducklake_snapshot ORDER BY snapshot_id DESC LIMIT 1"
"""SQL, in the catalog itself, for its newest snapshot. Every commit to the lake makes one."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of a lake.

    Attributes:
        number: grows by one with each commit.
        made_at: when it was committed, with a time zone.
    """

    number: int
    made_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Attaching:
    """How DuckDB attaches a lake by its catalog.

    Attributes:
        path: what follows `ducklake:`.
        options: more options of ATTACH.
        secrets: statements that make what it names; they hold passwords.
    """

    path: str
    options: Mapping[str, str]
    secrets: tuple[str, ...] = field(default=(), repr=False)


class Catalog(Protocol):
    """The database that has a lake's catalog."""

    @property
    def extension(self) -> str:
        """The extension of DuckDB that reads it."""

    @property
    def where(self) -> str:
        """Its URL, without a password."""

    @property
    def name(self) -> str:
        """Its short name."""

    @property
    def to_move(self) -> str:
        """What a person does with it before the lake is made anew, as the rest of a sentence after `move`."""

    def newest(self) -> Snapshot | None:
        """The newest snapshot; None: there is no lake yet.

        Raises:
            WarehouseDown: the database does not answer.
            WarehouseBroken: it can't be read.
        """

    def attaching(self, read_only: bool) -> Attaching:
        """How DuckDB attaches the lake."""

    def holder(self) -> Holder | None:
        """Who has the lock; None if nobody has, or that can't be told."""

    def locked(self, purpose: str, timeout: float) -> AbstractContextManager[Callable[[], None]]:
        """Hold the one lock of the lake; gives a proof that it is still held, which raises WarehouseDown if not.

        Raises:
            WarehouseBusy: somebody else held it for longer than `timeout` seconds; names them.
            WarehouseDown: the database does not answer.
        """

    def masked(self, text: str) -> str:
        """A text without the catalog's password."""
