"""Kinds of sources through Dagster: what is fetched is loaded, and the asset shows where it comes from."""

from pathlib import Path
from typing import Any

import pytest

from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.test_source import DAY, KEY, bench_with
from orchestration_project_tests.components.workbench import evaluations
from orchestration_project_tests.servers.sftp import USER, SftpServer

NAME = f"sales_{DAY}.csv"


def fetched_and_loaded(folder: Path, **source: Any) -> tuple[list[tuple[Any, ...]], object]:
    """Fetch and load in two runs; returns the loaded orders, and what the asset shows as its place."""
    with bench_with(folder, **source) as bench:
        assert evaluations(bench.run(job="fetch_sales"))["source_complete"].passed
        assert bench.landing("sales") == [NAME]
        bench.run(job="sales_job", first=DAY)
        node = bench.defs.resolve_asset_graph().get(KEY)
        return bench.query("SELECT order_id FROM cleaned_sales ORDER BY 1"), node.metadata["dagster/uri"]


def test_a_folder(tmp_path: Path) -> None:
    """A file from a folder is loaded."""
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / NAME).write_text(sales(sale("A1"), sale("A2")))
    place = (tmp_path / "store").as_uri()
    rows, shown = fetched_and_loaded(tmp_path, object_store={"url": place})
    assert (rows, shown) == ([("A1",), ("A2",)], place)


@pytest.mark.xdist_group("sftp")
def test_an_sftp_server(tmp_path: Path, sftp_server: SftpServer, sftp: Path) -> None:
    """A file from an SFTP server is loaded."""
    (sftp / NAME).write_text(sales(sale("A1"), sale("A2")))
    login = {"user": USER, "key_file": str(sftp_server.key_file), "host_key": sftp_server.fingerprint}
    place = {"host": "127.0.0.1", "port": sftp_server.port, "path": str(sftp)}
    rows, shown = fetched_and_loaded(tmp_path, sftp=place | login)
    assert (rows, shown) == ([("A1",), ("A2",)], f"sftp://127.0.0.1:{sftp_server.port}{sftp}")
