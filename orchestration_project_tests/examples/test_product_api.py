"""The example of a REST API: its server answers, its source fetches, its feed loads."""

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project_tests.components.workbench import Workbench, feeds
from orchestration_project_tests.examples.test_examples import EXAMPLES, folder_of

FOLDER = "product_api"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """The feed and its source, with the example's server at a free port."""
    monkeypatch.setenv("PRODUCT_API_KEY", "key-of-the-test")
    command = [sys.executable, str(EXAMPLES / FOLDER / "server.py"), "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            monkeypatch.setenv("PRODUCT_API_URL", server.stdout.readline().strip())
            files = {name: text for name, text in folder_of(FOLDER).items() if name.endswith(".yaml")}
            with feeds(product_api=files) as defs, dg.DagsterInstance.ephemeral() as instance:
                yield Workbench(defs, tmp_path, instance)
        finally:
            # Not SIGTERM: Dagster lets it do what SIGINT does, which jobs in the background ignore, and those that they
            # start. Such a session of tests hung here.
            server.kill()


def test_the_catalogue_is_fetched_and_loaded(bench: Workbench) -> None:
    """All pages are one file, whose products are in the table and its history; the same answer lands nothing more."""
    bench.run(job="fetch_product_api")
    (name,) = bench.landing(FOLDER)
    text = (bench.data_dir / "landing" / FOLDER / name).read_text()
    assert (len(text.splitlines()), '"price": 1.10}' in text) == (3, True)
    bench.run(job="fetch_product_api")
    assert bench.landing(FOLDER) == [name]
    day = name.removeprefix("product_api_")[:10]
    bench.run(job="product_api_job", first=day, last=day)
    assert bench.query("SELECT count(*), count(DISTINCT product_id), sum(price) FROM cleaned_product_api") == [
        (25, 25, Decimal("327.50"))
    ]
    assert bench.query("SELECT count(*) FROM rejected_product_api") == [(0,)]
    assert bench.query("SELECT count(*) FROM product_api_history") == [(25,)]
    assert os.environ["PRODUCT_API_KEY"] not in str(bench.instance.all_logs(bench.instance.get_runs()[0].run_id))  # noqa: TID251
