"""Machines that vanish from the network in the middle of a load: the lock of a lake comes free, no row counts twice."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from orchestration_project.failpoints import Lake, Point
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.ingest.shop import Shop, named
from orchestration_project_tests.reliability.contention import keyed
from orchestration_project_tests.reliability.distant_load import LOADED, REACHED, load_all
from orchestration_project_tests.reliability.evidence import measured, tried
from orchestration_project_tests.servers.machine import Machine, machine
from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.warehouses import CHOICE, POSTGRES, SERVER, STORE

PATIENCE = 600
"""Seconds to wait for what comes within about a minute. Without its settings the system waits for longer than this."""
COMMITTING = (Point.SECURED, Lake.PROVEN)
TIMELESS = "?keepalives=0&tcp_user_timeout=0"
"""Of a connection that never gives up: what a machine has whose clock stood still, such as a virtual one."""


@pytest.fixture
def cable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Machine, PostgresServer]]:
    """Another machine, and the server of catalogs on this one, of which it sees nothing else but the folders."""
    with machine() as far, postgres_server(host=far.here) as server:
        for name, value in {CHOICE: POSTGRES, SERVER: server.url("{}"), STORE: str(tmp_path / "lakes")}.items():
            monkeypatch.setenv(name, value)
        yield far, server


@contextmanager
def distant(
    far: Machine, server: PostgresServer, shop: Shop, points: tuple[str, ...] = (), parameters: str = ""
) -> "Iterator[subprocess.Popen[str]]":
    """A load on the other machine, which has come to its point, if it has one."""
    command = [*far.prefix, sys.executable, "-m", "orchestration_project_tests.reliability.distant_load"]
    process = subprocess.Popen(
        [*command, str(shop.folder), str(PATIENCE), *points],
        cwd=REPOSITORY,
        env={**os.environ, SERVER: server.url("{}") + parameters},  # noqa: TID251 - as from this shell
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            assert not points or process.stdout.readline() == f"{REACHED}\n"
            yield process
        finally:
            process.kill()


def locks(server: PostgresServer, far: Machine, granted: bool) -> int:
    """How many locks of lakes the other machine has, or waits for."""
    query = """SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND client_addr = %s AND granted = %s"""
    with psycopg.connect(server.url()) as connection:
        ((found,),) = connection.execute(query, [far.there, granted]).fetchall()
        return int(found)


def held(shop: Shop) -> list[tuple[object, ...]]:
    """The rows of a shop that has loaded one file: of the tables, and of the ledger."""
    counted = shop.rows("SELECT id, n, (SELECT count(*) FROM raw_f) AS raw FROM cleaned_f")
    ledger = shop.rows("SELECT file, status FROM file_ledger")
    return [tuple(row.values()) for row in counted + ledger]


@pytest.mark.promise("concurrency")
@pytest.mark.found("A machine that vanished from the network kept the lock of a lake in PostgreSQL for two hours.")
def test_machines_that_vanish_in_the_middle_of_a_load(cable: tuple[Machine, PostgresServer], tmp_path: Path) -> None:
    """Others get the lock within a minute, who waits for an answer stops, who comes back commits nothing old."""
    far, server = cable
    returning, lost = (Shop(tmp_path / name, keyed()) for name in ("returning", "lost"))
    for shop in (returning, lost):
        # The first load of all, in which DuckLake itself sees no conflict between two that load the same.
        shop.deliver(named(1), "id,n\nk,1\n")
    with (
        distant(far, server, returning, COMMITTING, TIMELESS) as frozen,
        distant(far, server, lost, (Point.ENTERED,)) as sending,
        distant(far, server, lost) as waiting,
    ):
        while locks(server, far, granted=False) != 1:
            time.sleep(0.1)
        assert locks(server, far, granted=True) == 2
        far.cut()
        began = time.monotonic()
        assert sending.stdin
        sending.stdin.write("\n")
        sending.stdin.flush()
        while locks(server, far, granted=True):
            assert time.monotonic() - began < PATIENCE
            time.sleep(0.1)
        measured(f"A machine that vanished had lost its locks after {time.monotonic() - began:.0f} s.")
        for shop in (returning, lost):
            assert load_all(shop.folder, PATIENCE) == LOADED
        # The cable is still cut: they find out by themselves.
        for process in (sending, waiting):
            assert process.communicate(timeout=PATIENCE)[0].startswith("WarehouseDown")
        measured(f"All that it did had ended after {time.monotonic() - began:.0f} s.")
        far.mend()
        # It decides anew, if it gets the lock: then the file is there already.
        assert frozen.communicate("\n", timeout=PATIENCE)[0].startswith(("WarehouseDown", LOADED))
    for shop in (returning, lost):
        assert load_all(shop.folder, PATIENCE) == LOADED
        assert held(shop) == [("k", 1, 1), (named(1), "loaded")]
        tried()
