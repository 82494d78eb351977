"""Kinds of warehouses: a DuckDB file, a lake with its catalog in SQLite, and one in PostgreSQL and S3.

Belongs here: empty warehouses of each kind, and the servers that they need. Nothing is measured here.
"""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import Failed
from benchmarks.places import entered
from benchmarks.report import Section
from benchmarks.session import Session
from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.s3 import BUCKET, S3Server, running
from orchestration_project_tests.servers.warehouses import FILE, POSTGRES, SQLITE

# Commits wait for the disk, as they do where a catalog must not be lost. Each statement is logged, with the moment, who
# has asked and the time it took: only the server itself knows how long somebody has waited for a lock.
OPTIONS = ("fsync=on", "shared_buffers=128MB", "log_min_duration_statement=0", "log_line_prefix=%n %a ")
TICK = 1 / os.sysconf("SC_CLK_TCK")
"""In which the system counts CPU time, in seconds."""


@dataclass(frozen=True, slots=True)
class Servers:
    """A PostgreSQL server for catalogs, and an S3 server for files."""

    database: PostgresServer
    store: S3Server

    def new_lake(self, _: Path | None = None) -> dict[str, str]:
        """The settings of an empty lake."""
        catalog = self.database.url(self.database.new_database())
        data = f"s3://{BUCKET}/{uuid.uuid4().hex}"
        return {"WAREHOUSE_URL": f"ducklake:{catalog}", "WAREHOUSE_DATA": data} | self.store.environment

    def cpu_seconds(self) -> float:
        """The CPU time that both have taken since they were started."""
        return sum(cpu_of(process.pid) for process in (self.database.process, self.store.process) if process)


def cpu_of(pid: int) -> float:
    """The CPU time of a process, and of those that it has started and that have ended."""
    # After the name, which may have blanks in it: state is the third field, and 14 to 17 are the times.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) * TICK


@contextmanager
def servers(session: Session) -> Iterator[Servers]:
    """Both servers. PostgreSQL has its files in the system's folder for temporary ones: its user has to get there."""
    with postgres_server(*OPTIONS) as database, running(session.folder("s3")) as store:
        yield Servers(database, store)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of warehouse.

    Attributes:
        name: how results call it.
        empty: the settings of an empty warehouse, for a DATA_DIR that has none.
        servers: those that it needs; None: it needs none.
    """

    name: str
    empty: Callable[[Path], Mapping[str, str]]
    servers: Servers | None = None


def kinds(session: Session, stack: ExitStack, section: Section) -> list[Kind]:
    """All kinds, with their servers running as long as the stack is there; servers that do not start are a failure."""
    found = [Kind(FILE, lambda _: {}), Kind(SQLITE, in_sqlite)]
    both = started(session, section, stack, POSTGRES)
    return [*found, Kind(POSTGRES, both.new_lake, both)] if both else found


def started(session: Session, section: Section, stack: ExitStack, told: str = "the servers") -> Servers | None:
    """The servers, which run as long as the stack is there; None if they do not start: then the section says so."""
    try:
        return entered(stack, servers(session))
    except Failed as error:
        section.failures[told] = str(error)
        return None


def in_sqlite(data: Path) -> dict[str, str]:
    """The settings of an empty lake with SQLite, in a DATA_DIR."""
    return {"WAREHOUSE_URL": f"ducklake:sqlite:///{data}/lake.sqlite", "WAREHOUSE_DATA": f"{data}/lake"}
