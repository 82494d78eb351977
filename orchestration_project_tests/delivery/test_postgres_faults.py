"""What ends a delivery to PostgreSQL half-way leaves the old state or the new one, and the next run heals it."""

import signal
import socket
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import psycopg
import pytest

from orchestration_project.delivery.model import StagedPart, differences
from orchestration_project.delivery.postgres import PostgresTarget
from orchestration_project.delivery.postgres_session import fault_of
from orchestration_project.errors import DeliveryError, TargetDown
from orchestration_project_tests.delivery.parts import SALES, Staging, contents, deliver, figures
from orchestration_project_tests.reliability.evidence import effort, tried
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.servers.postgres import PASSWORD, PostgresServer, postgres_server

FIRST, SECOND, THIRD = "2024-01-15", "2024-01-16", "2024-01-17"
CHANGED = [
    pytest.param(False, id="some parts"),
    pytest.param(True, id="a table that is made anew"),
]


def state(target: PostgresTarget, *parts: StagedPart) -> bool:
    """Whether a target has exactly these parts, in its rows and in what it says."""
    return target.delivered("sales") == contents(*parts) and not differences(
        figures(*parts), target.read_back(SALES, None)
    )


def redeliver(url: str, remove: tuple[str, ...], parts: list[StagedPart]) -> None:
    deliver(PostgresTarget(url), *parts, remove=remove)


@pytest.mark.promise("crash")
@pytest.mark.parametrize("anew", CHANGED)
def test_kills(postgres: PostgresServer, tmp_path: Path, anew: bool) -> None:
    """A delivery that is killed at any of its steps leaves the old state whole; the next one makes the new state."""
    url, staging = postgres.url(postgres.new_database()), Staging(tmp_path)
    target = PostgresTarget(url)
    before = [staging.day(FIRST, "1"), staging.day(SECOND, "1"), staging.day(THIRD, "1")]
    after = [staging.day(FIRST, "2", rows=7), before[1]]

    def begin() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS warehouse CASCADE")
        if not anew:
            deliver(target, *before)

    work = partial(redeliver, url, (), after) if anew else partial(redeliver, url, (THIRD,), after[:1])
    begin()
    steps = steps_of(work, None)
    assert state(target, *after)
    assert sum("COMMIT" in step for step in steps) == 1
    # In the usual run the steps around the rows and the commit; each of them otherwise.
    chosen = [number for number, step in enumerate(steps) if effort("INSERT" in step or "COMMIT" in step, True)]
    for fatal in [0, *chosen]:
        begin()
        assert killed(work, fatal)
        tried()
        # The last step rolls back what was not committed, and finds nothing to do.
        committed = fatal > next(number for number, step in enumerate(steps) if "COMMIT" in step)
        assert state(target, *(after if committed else [] if anew else before)), steps[fatal]
        work()
        assert state(target, *after), steps[fatal]


def end_when_somebody_waits(server: PostgresServer, how: signal.Signals) -> None:
    """Stop a server as soon as a transaction waits for a lock there."""
    with psycopg.connect(server.url(), autocommit=True) as watch:
        while watch.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() == (0,):
            time.sleep(0.1)
    server.stop(how)


DELIVERED, DIED = "delivered", "the process died"


def told_of(url: str, part: StagedPart) -> str:
    """What a delivery of a part ends with: that the server has gone, or not."""
    try:
        deliver(PostgresTarget(url), part)
    except TargetDown as error:
        return str(error)
    return DELIVERED


def told_elsewhere(url: str, part: StagedPart) -> str:
    """The same of a delivery in a process of its own, as a run has one."""
    # DuckDB 1.5.5's extension aborts its process now and then when the server goes while it waits.
    with ProcessPoolExecutor(1, mp_context=get_context("forkserver")) as process:
        try:
            return process.submit(told_of, url, part).result()
        except BrokenProcessPool:
            return DIED


@pytest.mark.promise("crash")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_the_server_ends(tmp_path: Path, how: signal.Signals) -> None:
    """A server that is stopped or crashes in the middle ends the delivery; the old state is there afterwards."""
    staging = Staging(tmp_path)
    with postgres_server() as server:
        target = PostgresTarget(server.url())
        before, after = staging.day(FIRST, "1"), staging.day(FIRST, "2", rows=effort(200_000, 2_000_000))
        deliver(target, before)
        other = psycopg.connect(server.url())
        # The delivery waits for this lock, after its rows were written, until the server is gone.
        other.execute("LOCK TABLE warehouse._deliveries IN SHARE MODE")
        timer = threading.Thread(target=end_when_somebody_waits, args=(server, how))
        timer.start()
        told = told_elsewhere(server.url(), after)
        timer.join()
        other.close()
        assert told != DELIVERED
        assert PASSWORD not in told
        with pytest.raises(TargetDown):
            deliver(target, after)
        server.start()
        assert state(target, before)
        deliver(target, after)
        assert state(target, after)


def test_two_at_once(postgres: PostgresServer, tmp_path: Path) -> None:
    """Of deliveries of one table at once each is made whole, one after the other, or told that another was faster."""
    url, staging = postgres.url(postgres.new_database()), Staging(tmp_path)
    target = PostgresTarget(url)
    rivals = [[staging.day(FIRST, str(n), rows=n), staging.day(SECOND, str(n), rows=n)] for n in range(1, 5)]
    told: list[DeliveryError] = []

    def work(parts: list[StagedPart]) -> None:
        try:
            deliver(target, *parts)
        except DeliveryError as error:
            told.append(error)

    threads = [threading.Thread(target=work, args=(parts,)) for parts in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any(state(target, *parts) for parts in rivals)
    assert len(told) < len(rivals)
    assert all(error.transient for error in told), told


@pytest.mark.parametrize(
    ("change", "passes", "words"),
    [
        pytest.param({"password": "another secret"}, False, "password authentication failed", id="a wrong password"),
        pytest.param({"database": "nowhere"}, False, "does not exist", id="no such database"),
        pytest.param({"user": "nobody_here"}, False, "password authentication failed", id="no such user"),
    ],
)
def test_who_is_refused(postgres: PostgresServer, change: dict[str, str], passes: bool, words: str) -> None:
    """Whom the server refuses is told why, without the password."""
    with pytest.raises(DeliveryError, match=words) as refused:
        PostgresTarget(postgres.url(**change)).delivered("sales")
    assert refused.value.transient is passes
    assert refused.value.__suppress_context__
    assert all(secret not in str(refused.value) for secret in (PASSWORD, "secret", "shop_owner"))


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """A dead server is an error that passes, in every question; it has the address, and no password."""
    target = PostgresTarget("postgresql://loader:top%2Fsecret@127.0.0.1:9/shop")
    for question in (
        partial(target.delivered, "sales"),
        partial(target.read_back, SALES, None),
        partial(target.deliver, SALES, {}, [Staging(tmp_path).day(FIRST, "1")], []),
    ):
        with pytest.raises(TargetDown, match=r"^postgresql://127\.0\.0\.1:9/shop can't be used now") as refused:
            question()
        assert "secret" not in str(refused.value)
    assert "secret" not in repr(target._address)
    assert "secret" not in target.url


def test_a_server_that_hangs(tmp_path: Path) -> None:
    """A server that takes connections and says nothing is given up after a while, as one that passes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = PostgresTarget(f"postgresql://db@127.0.0.1:{silent.getsockname()[1]}/shop?connect_timeout=2")
        with pytest.raises(TargetDown, match="timeout"):
            target.deliver(SALES, {}, [Staging(tmp_path).day(FIRST, "1")], [])


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("postgresql://loader:top@secret@db/shop", id="an at sign in the password"),
        pytest.param("postgresql://loader:sec/ret@db/shop", id="a slash in the password"),
        pytest.param("postgresql://loader:secret@db:port/shop", id="a port that is no number"),
        pytest.param("host=db password=secret nonsense", id="no parameter"),
        pytest.param("mysql://loader:secret@db/shop", id="another kind"),
    ],
)
def test_an_address_that_cannot_be_read(url: str) -> None:
    """It is refused without being quoted, since nobody knows which part of it is the password."""
    with pytest.raises(DeliveryError) as refused:
        PostgresTarget(url)
    assert "sec" not in str(refused.value)


def test_no_value_of_a_row_is_told() -> None:
    """What the server says of a row is told without the row's values, which may be personal."""
    target = PostgresTarget("postgresql://db/shop")
    said = (
        'Failed to copy data: ERROR:  duplicate key value violates unique constraint "sales_key"\n'
        "DETAIL:  Key (customer)=(Ada Lovelace) already exists.\nCONTEXT:  COPY sales, line 1"
    )
    assert "Ada" not in str(fault_of(target._address, said))
    assert "duplicate key" in str(fault_of(target._address, said))
