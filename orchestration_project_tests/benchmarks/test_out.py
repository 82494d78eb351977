"""The ways out: what is compared, what is counted, and whether all rows have arrived."""

import socket
import threading
from pathlib import Path

import duckdb

from benchmarks.measure import Contender, Usage, paired
from benchmarks.parts.out import Results
from benchmarks.peers.copy_out import main as copy_out
from benchmarks.places import TABLE, folder_place
from benchmarks.report import UNKNOWN
from benchmarks.session import Session
from orchestration_project_tests.servers.network import network


def contender(name: str, *seconds: float) -> Contender:
    """A contender whose runs took so long."""
    return Contender(name, [], usages=[Usage(taken, 1_000_000, taken) for taken in seconds])


def test_ratios_are_of_the_same_round() -> None:
    """A round in which the whole machine was slow tells as much as another one; a failure has no ratio."""
    copied = contender("folder: copied by DuckDB", 1.0, 10.0, 1.0)
    assert paired(contender("folder: delivered", 2.0, 21.0, 3.0), copied) == 2.1
    failed = contender("folder: dlt", 1.0)
    failed.failure = "it said no"
    assert paired(failed, copied) is None


def test_a_place_has_a_row_for_everybody(tmp_path: Path) -> None:
    """A changed day is compared with nothing, and what is sent is shown where it was counted."""
    with folder_place(Session(tmp_path)) as place, network(9) as wire:
        wire.sent, wire.received, wire.requests = 2_500_000, 1_000_000, 7
        results = Results(place, [contender("folder: copied by DuckDB", 1.0)], [contender("a changed day", 2.0)])
        results.wires["a changed day"] = wire
        copied, changed = results.rows()
    assert list(copied)[3:] == ["1.00 x", "1 MB", UNKNOWN, UNKNOWN, UNKNOWN]
    assert list(changed)[3:] == [UNKNOWN, "1 MB", "2.50 MB", "1.00 MB", "7"]


def test_rows_are_counted_where_they_arrive(tmp_path: Path) -> None:
    """The table that DuckDB copies to a folder is there with all of its rows, and other files do not count."""
    warehouse = str(tmp_path / "warehouse.duckdb")
    with duckdb.connect(warehouse) as connection:
        connection.execute(
            f"CREATE TABLE {TABLE} AS SELECT DATE '2024-01-01' + i::INTEGER AS _batch_date, i FROM range(9) AS n(i)"
        )
    with folder_place(Session(tmp_path)) as place:
        url = place.empty("turn")
        assert place.rows(url) == 0
        copy_out(warehouse, TABLE, url)
        duckdb.execute(f"COPY (SELECT 1 AS n) TO '{url}/other.parquet'")
        assert place.rows(url) == 9


def test_a_network_counts_and_can_be_cut() -> None:
    """Bytes of both directions and requests are counted; after a cut the connection has ended, and none is made."""
    request, answer = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while connection.recv(1000):
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with network(server.getsockname()[1]) as between:
            with socket.create_connection(("127.0.0.1", between.port)) as client:
                for _ in range(2):
                    client.sendall(request)
                    assert client.recv(1000) == answer
                assert (between.pieces, between.sent, between.requests) == (2, 2 * len(request), 2)
                between.cut()
                assert client.recv(1000) == b""
            with socket.create_connection(("127.0.0.1", between.port)) as client:
                assert client.recv(1000) == b""
            thread.join()
        assert between.received == 2 * len(answer)
