"""Deliveries to PostgreSQL that die at any statement: the client is killed, its server process, or the whole server.

Belongs here: what happens between two statements. Pieces of data, and slow networks, are in `test_networks`.

At which statement it happens is told by the network between both, which knows PostgreSQL's messages. So it is the same
for DuckDB's extension, psycopg and dlt, whatever each of them sends. In the long form everybody dies at all statements.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Queue

import psycopg
import pytest

from orchestration_project_tests.delivery.parts import Staging
from orchestration_project_tests.reliability.deliverers import (
    END_SECONDS,
    FIRST,
    SECOND,
    THIRD,
    State,
    deliver_by_dlt,
    deliver_table,
    ended,
    started,
)
from orchestration_project_tests.reliability.evidence import TORTURE, tried
from orchestration_project_tests.servers.network import opened
from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.statements import Statements

pytestmark = pytest.mark.promise("crash")

ROWS = "SELECT _batch_date::text, count(*), sum(quantity) FROM warehouse.sales GROUP BY 1 ORDER BY 1"
OLD: State = [(FIRST, 3, 6), (SECOND, 3, 6), (THIRD, 3, 6)]
NEW: State = [(FIRST, 7, 28), (SECOND, 3, 6)]
TEMPLATE = "before"
QUIET_SECONDS = 60
"""How long a server may go on with what a dead client has sent."""


class Death(StrEnum):
    """Who dies by SIGKILL, and whether the statement reaches the server all the same."""

    CLIENT = "the client, and the statement is lost"
    CLIENT_AFTER = "the client, and the server executes the statement"
    BACKEND = "the connection's process of the server"
    SERVER = "the server, as in a crash of the machine"


@dataclass
class Wire:
    """A client's way to a server, and the database of one case.

    Attributes:
        server: the server.
        statements: the network between both.
        work: delivers to an URL, in a process of its own.
        before: what readers see before.
        database: the database of the case.
    """

    server: PostgresServer
    statements: Statements
    work: Callable[[str], object]
    before: State
    database: str = ""

    def begin(self) -> None:
        """Have a database with the state before, and none of an earlier case."""
        self.drop()
        self.database = self.server.new_database(TEMPLATE)

    def drop(self) -> None:
        """Forget the database of the case."""
        if self.database:
            with psycopg.connect(self.server.url(), autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {self.database} WITH (FORCE)".encode())

    def deliver(self) -> BaseProcess:
        """Begin a delivery over the network."""
        url = replace(self.server, port=self.statements.port).url(self.database)
        return started(partial(self.work, url))

    def rows(self) -> State:
        """What readers see."""
        with psycopg.connect(self.server.url(self.database)) as connection:
            if connection.execute("SELECT to_regclass('warehouse.sales')").fetchone() == (None,):
                return []
            return connection.execute(ROWS).fetchall()

    def ends_all(self) -> None:
        """Kill the processes of the server that work for the case."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            for (pid,) in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s", [self.database]
            ).fetchall():
                os.kill(pid, signal.SIGKILL)

    def quiet(self) -> None:
        """Wait until the server has done with all that was sent to it."""
        until = time.monotonic() + QUIET_SECONDS
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            while connection.execute(query, [self.database]).fetchone() != (0,):
                assert time.monotonic() < until, "the server goes on for a client that is dead"
                time.sleep(0.01)


def dies_at(wire: Wire, number: int, death: Death) -> list[str]:
    """Deliver, and let somebody die before a statement arrives; returns the statements that did."""
    clients: Queue[BaseProcess] = Queue()
    dead = threading.Event()

    def kill_client() -> None:
        # Not to wait for it here: only one may ask for the exit code.
        clients.get().kill()

    crash: Callable[[], object] = partial(wire.server.stop, signal.SIGQUIT)
    kills = {Death.BACKEND: wire.ends_all, Death.SERVER: crash}
    kill = kills.get(death, kill_client)

    def act() -> None:
        kill()
        dead.set()

    wire.statements.at_statement(number, act, arrives=death is Death.CLIENT_AFTER)
    client = wire.deliver()
    clients.put(client)
    code = ended(client)
    # A client may end before the server that it has lost is gone.
    assert dead.wait(END_SECONDS), "nobody died"
    if kill is kill_client:
        assert code == -signal.SIGKILL
    said = list(wire.statements.said)
    # For those who come now nothing happens any more; connections that are open are none of theirs.
    wire.statements.undisturbed()
    wire.server.start() if wire.server.process is None else wire.server.wait()
    wire.quiet()
    return said


def committed(said: Sequence[str]) -> bool:
    """Whether statements have committed the rows: what comes before them and after them is in other transactions."""
    rows = [number for number, statement in enumerate(said) if statement == "end of rows"]
    return bool(rows) and "COMMIT" in said[rows[-1] :]


def deaths_at(
    statements: Sequence[str], usual: Collection[int], everybody: Collection[int] = ()
) -> list[tuple[int, Death]]:
    """At which statements who dies: in the long form everybody at every one.

    Args:
        statements: all that there are.
        usual: in the usual run, where somebody dies, another one each time.
        everybody: in the usual run, where everybody does.
    """
    ways = [*Death]
    if TORTURE:
        usual, everybody = (), range(len(statements))
    return [
        (number, death)
        for number in range(len(statements))
        for death in ways
        if number in everybody or (number in usual and death is ways[number % len(ways)])
    ]


def each_dies(wire: Wire, deaths: Sequence[tuple[int, Death]], seen: Callable[[Sequence[str]], State | None]) -> None:
    """Have deaths at statements, each from the state before.

    Args:
        wire: the way.
        deaths: the statements, and who dies there.
        seen: what readers must see after statements; None: the state before or after.
    """
    for number, death in deaths:
        wire.begin()
        said = dies_at(wire, number, death)
        told = f"{death}; {number} statements have arrived: {said[-3:]}"
        expected, found = seen(said), wire.rows()
        assert found in ([wire.before, NEW] if expected is None else [expected]), told
        assert ended(wire.deliver()) == 0, told
        assert wire.rows() == NEW, told
        tried()


def all_statements(wire: Wire) -> list[str]:
    """What a delivery that nobody disturbs says."""
    wire.begin()
    wire.statements.undisturbed()
    assert ended(wire.deliver()) == 0
    assert wire.rows() == NEW != wire.before
    return list(wire.statements.said)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server of these tests alone, since it dies."""
    with postgres_server() as own:
        yield own


@pytest.fixture
def wire(server: PostgresServer) -> Iterator[Wire]:
    """A way to the server; what is delivered, each test says itself."""
    statements = Statements(server.port)
    with opened(statements):
        made = Wire(server, statements, print, [])
        yield made
        made.drop()


def made_before(wire: Wire, work: Callable[[str], object]) -> None:
    """Make the database that each case begins with."""
    with psycopg.connect(wire.server.url(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {TEMPLATE}".encode())
    assert ended(started(partial(work, wire.server.url(TEMPLATE)))) == 0


def nothing(_: str) -> None:
    """Deliver nothing."""


@pytest.mark.parametrize("anew", [False, True], ids=["some parts", "a table that is made anew"])
def test_postgres(wire: Wire, tmp_path: Path, anew: bool) -> None:
    """Until COMMIT has arrived readers see the old rows, then the new ones, whoever dies; the next run heals."""
    staging = Staging(tmp_path)
    old = [staging.day(day, "1") for day in (FIRST, SECOND, THIRD)]
    changed = staging.day(FIRST, "2", rows=7)
    if anew:
        made_before(wire, nothing)
        wire.work = partial(deliver_table, write=[changed, old[1]], remove=())
    else:
        made_before(wire, partial(deliver_table, write=old, remove=()))
        wire.work, wire.before = partial(deliver_table, write=[changed], remove=(THIRD,)), OLD
    statements = all_statements(wire)
    assert committed(statements)
    begin, commit = last(statements, "BEGIN TRANSACTION"), last(statements, "COMMIT")
    usual = [last(statements, "DROP TABLE"), commit, commit + 1] if anew else range(begin, len(statements))
    deaths = deaths_at(statements, usual, [] if anew else [commit])
    each_dies(wire, deaths, lambda said: NEW if committed(said) else wire.before)


def test_dlt(wire: Wire, tmp_path: Path) -> None:
    """Of a delivery by dlt readers see the state before or after, whoever dies at whatever statement, and it heals."""
    staging = Staging(tmp_path)
    old = [staging.day(day, "1") for day in (FIRST, SECOND, THIRD)]
    work = partial(deliver_by_dlt, folder=tmp_path)
    made_before(wire, partial(work, write=old, remove=()))
    wire.work, wire.before = partial(work, write=[staging.day(FIRST, "2", rows=7)], remove=(THIRD,)), OLD
    statements = all_statements(wire)
    merge = last(statements, 'DELETE FROM "warehouse"')
    each_dies(wire, deaths_at(statements, range(merge - 1, merge + 3)), lambda _: None)


def last(statements: Sequence[str], begin: str) -> int:
    """The number of the last statement that begins so."""
    return max(number for number, statement in enumerate(statements) if statement.startswith(begin))
