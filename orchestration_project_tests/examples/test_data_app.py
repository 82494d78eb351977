"""The data app: marts are delivered to PostgreSQL, and a small program reads them as a user who can only read."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import dagster as dg
import psycopg
import pytest

from orchestration_project.sample.defects import SampleSpec
from orchestration_project.sample.files import generate
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, feeds
from orchestration_project_tests.servers.postgres import OWNER, PASSWORD, PostgresServer

DEFS, APP = REPOSITORY / "orchestration_project" / "defs", REPOSITORY / "examples" / "data_app"


def texts(folder: Path, ending: str) -> dict[str, str]:
    """The files of a folder of definitions, as a person copies them."""
    paths = [path for path in folder.iterdir() if path.is_file() and path.suffix in ending.split()]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture(scope="module")
def environment(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """The delivery's address is set; the value is what the app is told: the same place, and a user of its own."""
    database = postgres.new_database()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", f"postgresql://{OWNER}@127.0.0.1:{postgres.port}/{database}")
        patch.setenv("PGPASSWORD", PASSWORD)
        yield {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.port),
            "PGDATABASE": database,
            "PGUSER": f"dashboard_{database}",
            "PGPASSWORD": "x",
        }


@pytest.fixture(scope="module")
def bench(
    environment: dict[str, str], postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    """The shop with two days of its sample, delivered; the app's user is a member of the reading role."""
    folders = {name: texts(DEFS / name, ".yaml") for name in ("sales", "products")}
    folders["product_daily_sales"] = texts(DEFS / "product_marts" / "product_daily_sales", ".yaml .sql")
    folders["product_marts"] = {
        name: text for name, text in texts(DEFS / "product_marts", ".py").items() if name == "product_warehouse.py"
    }
    with feeds(**folders, data_app=texts(APP, ".yaml")) as defs, dg.DagsterInstance.ephemeral() as instance:
        made = Workbench(defs, tmp_path_factory.mktemp("data"), instance)
        sample = generate(SampleSpec(days=2, rows=200), made.data_dir / "landing")
        days = [f"{file.day}" for file in sample.of("sales")]
        made.run(job="products_job")
        made.run(job="sales_job", first=days[0], last=days[-1], raise_on_error=False)
        delivered = made.run(job="deliver_data_app", first=days[-1])
        assert [item.passed for item in delivered.get_asset_check_evaluations()] == [True, True]
        with psycopg.connect(postgres.url(environment["PGDATABASE"]), autocommit=True) as owner:
            owner.execute(f"CREATE ROLE {environment['PGUSER']} LOGIN PASSWORD 'x' IN ROLE warehouse_reader".encode())
        yield made


def run_app(environment: dict[str, str]) -> str:
    """What the app prints."""
    inherited = dict(os.environ)  # noqa: TID251 - as from a shell
    command = [sys.executable, str(APP / "revenue.py")]
    return subprocess.run(command, env=inherited | environment, check=True, capture_output=True, text=True).stdout


def answer(port: int, path: str) -> str:
    """What a browser gets."""
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def test_the_app_shows_what_the_warehouse_has(bench: Workbench, environment: dict[str, str]) -> None:
    """Printed, as a page and as JSON, the revenue of each category is the warehouse's, to the cent."""
    expected = bench.query(
        """SELECT coalesce(category, 'unknown'), sum(daily.units_sold)::BIGINT, sum(daily.revenue)
            FROM product_daily_sales AS daily LEFT JOIN product_warehouse USING (product_id)
            WHERE _batch_date = (SELECT max(_batch_date) FROM product_daily_sales)
            GROUP BY 1 ORDER BY 3 DESC, 1"""
    )
    printed = [line.rsplit(maxsplit=2) for line in run_app(environment).splitlines()[2:]]
    assert [(name, int(units), Decimal(revenue)) for name, units, revenue in printed] == expected
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.syspath_prepend(str(APP))
        import revenue  # type: ignore[import-not-found]  # it is on the path of whoever runs it

        with ThreadingHTTPServer(("127.0.0.1", 0), revenue.Pages) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            page = answer(server.server_port, "/")
            rows = json.loads(answer(server.server_port, "/revenue.json"))
            server.shutdown()
    assert all(name in page for name, *_ in expected)
    assert [(row["category"], int(row["units"]), Decimal(row["revenue"])) for row in rows] == expected


def test_a_second_delivery_writes_nothing(bench: Workbench) -> None:
    """What the target has already is not written again, and the checks agree."""
    ((day,),) = bench.query("SELECT max(_batch_date)::VARCHAR FROM product_daily_sales")
    again = bench.run(job="deliver_data_app", first=day)
    written = [
        event.step_materialization_data.materialization.metadata["written"].value
        for event in again.all_events
        if event.is_step_materialization
    ]
    assert written == ["none", "none"]
    assert [item.passed for item in again.get_asset_check_evaluations()] == [True, True]


def test_what_dagster_keeps_has_no_password(bench: Workbench) -> None:
    """Neither the events of runs nor the definitions tell the password."""
    node = bench.defs.resolve_asset_graph().get(dg.AssetKey(["data_app", "product_daily_sales"]))
    assert node.kinds == {"postgres"}
    events = [str(entry) for record in bench.instance.get_runs() for entry in bench.instance.all_logs(record.run_id)]
    assert events
    assert all(PASSWORD not in event for event in events)
    assert "postgresql://127.0.0.1:" in str(node.metadata["dagster/uri"])
