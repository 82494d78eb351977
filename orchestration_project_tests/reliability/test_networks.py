"""Deliveries and backups over a network that is cut or slow, or whose client is killed, at any step of what they send.

Whatever happens, readers of the target see the state before or the state after, and the next run heals.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Queue

import psycopg
import pytest

from orchestration_project.errors import ObjectStoreDown
from orchestration_project.storage import cloud_objects
from orchestration_project_tests.backup.saved import DAY, filled
from orchestration_project_tests.delivery.delivered import correct_day, outlet, three_days
from orchestration_project_tests.delivery.parts import Staging
from orchestration_project_tests.ingest.shop import named
from orchestration_project_tests.reliability.deliverers import (
    FIRST,
    SECOND,
    THIRD,
    State,
    deliver_by_dlt,
    deliver_files,
    deliver_table,
    ended,
    started,
)
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.servers.network import Network, network
from orchestration_project_tests.servers.postgres import PostgresServer
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = [pytest.mark.promise("crash"), pytest.mark.xdist_group("s3")]

STEPS = effort(2, 30)
"""At how many steps, evenly spread over what is sent, something happens."""
DELAY = 0.02
"""Seconds for each piece of data on a slow network."""


@dataclass(frozen=True)
class Side:
    """A target and a delivery to it.

    Attributes:
        network: between both.
        begin: makes the state before, without that network.
        deliver: brings the new state, over the network; another process can be given it.
        rows: what readers see.
        after: what they see of the new state.
    """

    network: Network
    begin: Callable[[], object]
    deliver: Callable[[], object]
    rows: Callable[[], State]
    after: State


# -- the targets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path, s3: str, s3_server: S3Server) -> Iterator[Side]:
    """Parquet files in an object store; a day of three is corrected."""
    old = three_days(tmp_path / "old")
    new = replace(old, folder=tmp_path / "new")
    shutil.copytree(old.folder, new.folder)
    correct_day(new, 2)
    made = outlet(old, s3)

    def begin() -> None:
        made.store.delete([found.key for found in made.store.list()])
        made.deliver()

    with network(s3_server.ports["s3"]) as between:
        environment = {**s3_server.environment, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{between.port}"}
        corrected = replace(made, shop=new)
        yield Side(between, begin, partial(deliver_files, corrected, environment), made.rows, corrected.expected())


@pytest.fixture(params=["postgres", "dlt"])
def database(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> Iterator[Side]:
    """A table of PostgreSQL, delivered to by DuckDB's extension or by dlt; a day is corrected, another one removed."""
    staging, name = Staging(tmp_path), postgres.new_database()
    work = partial(deliver_by_dlt, folder=tmp_path) if request.param == "dlt" else deliver_table
    before = [staging.day(day, "1") for day in (FIRST, SECOND, THIRD)]

    def rows() -> State:
        with psycopg.connect(postgres.url(name)) as connection:
            query = "SELECT _batch_date::text, count(*), sum(quantity) FROM warehouse.sales GROUP BY 1 ORDER BY 1"
            return connection.execute(query).fetchall()

    def begin() -> None:
        with psycopg.connect(postgres.url(name), autocommit=True) as connection:
            for schema in ("warehouse", "warehouse_staging"):
                connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
        assert ended(started(partial(work, postgres.url(name), write=before, remove=()))) == 0

    with network(postgres.port) as between:
        url = replace(postgres, port=between.port).url(name)
        todo = partial(work, url, write=[staging.day(FIRST, "2", rows=7)], remove=(THIRD,))
        yield Side(between, begin, todo, rows, [(FIRST, 7, 28), (SECOND, 3, 6)])


# -- what happens to them ---------------------------------------------------------------------------------------------


def disturbed_at_each_step(side: Side) -> None:
    """Cut the network or kill the client, in turn, at some of the steps, each time from the state before."""
    side.begin()
    before = side.rows()
    side.network.at(0, lambda: None)
    assert ended(started(side.deliver)) == 0
    assert side.rows() == side.after != before
    pieces = side.network.pieces
    for step in range(STEPS):
        side.begin()
        assert side.rows() == before
        disturbed_at(side, (step + 1) * pieces // (STEPS + 1), cuts=step % 2 == 0)
        assert side.rows() in (before, side.after), f"step {step} of {STEPS}, {pieces} pieces of data"
        assert ended(started(side.deliver)) == 0
        assert side.rows() == side.after
        tried()


def disturbed_at(side: Side, piece: int, cuts: bool) -> None:
    """Deliver, and cut the network or kill the client before a piece of data arrives."""
    deliveries: Queue[BaseProcess] = Queue()
    side.network.at(piece, side.network.cut if cuts else lambda: deliveries.get().kill())
    process = started(side.deliver)
    deliveries.put(process)
    ended(process)
    side.network.mend()


def test_a_delivery_of_files_that_is_cut_or_killed(files: Side) -> None:
    """The network cut, or the client killed: an object store has the state before or after, and the next one heals."""
    disturbed_at_each_step(files)


def test_a_delivery_to_a_database_that_is_cut_or_killed(database: Side) -> None:
    """The network cut, or the client killed: a database has the state before or after, and the next one heals."""
    disturbed_at_each_step(database)


def test_a_slow_network_to_files(files: Side) -> None:
    """It delays a delivery, and nothing else."""
    is_delivered_slowly(files)


def test_a_slow_network_to_a_database(database: Side) -> None:
    """It delays a delivery, and nothing else."""
    is_delivered_slowly(database)


def is_delivered_slowly(side: Side) -> None:
    """Deliver over a slow network."""
    side.begin()
    side.network.delay = DELAY
    assert ended(started(side.deliver)) == 0
    assert side.rows() == side.after
    tried()


# -- backups ----------------------------------------------------------------------------------------------------------


def test_a_backup_over_a_bad_network(
    tmp_path: Path, s3: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A night whose network is cut leaves the backups whole, and the next one heals; over a slow one it is proven."""
    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    with network(s3_server.ports["s3"]) as between:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{between.port}")
        saved = filled(tmp_path / "machine", url=s3)
        between.delay = DELAY
        between.at(0, lambda: None)
        assert saved.night().checked.proven
        pieces = between.pieces
        between.mend()
        for step in range(STEPS):
            whole = saved.vault.snapshot_ids()
            saved.shop.deliver(named(4), f"id,n\nd,{step}\n", 9 + step)
            saved.shop.load()
            between.at((step + 1) * pieces // (STEPS + 1), between.cut)
            try:
                saved.night()
            except ObjectStoreDown:
                between.mend()
                assert set(whole) <= set(saved.vault.snapshot_ids())
                saved.now += DAY
            between.mend()
            assert saved.check().proven
            assert saved.night().checked.proven
            tried()
        assert saved.restored("after").state() == saved.state()
