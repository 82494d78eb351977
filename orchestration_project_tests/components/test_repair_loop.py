"""The repair loop as a user goes it: export, correct, drop, waive; by the sensor, the job and the commands."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.components.resources import Platform
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.workbench import Workbench, evaluations, materializations, project, value

pytestmark = pytest.mark.promise("repair")
DAY, NEXT = "2024-01-15", "2024-01-16"


@pytest.fixture
def bench(data_dir: Path) -> Iterator[Workbench]:
    """A warehouse with two days of sales, three of them rejected, and a catalogue with a rejected product."""
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        bad = [sale("B1", quantity=0), sale("B2", quantity="two"), sale("B3", channel="fax")]
        bench.drop("sales", f"sales_{DAY}.csv", sales(sale("A1"), *bad))
        bench.drop("sales", f"sales_{NEXT}.csv", sales(sale("C1", day=NEXT)))
        bench.run("raw_sales", "cleaned_sales", "rejected_sales", first=DAY, last=NEXT)
        bench.drop(
            "products", f"products_{DAY}.json", catalogue((1, "Kettle", "Kitchen", -1.0), (2, "Lamp", "Living", 4.0))
        )
        bench.run("raw_products", "cleaned_products", "rejected_products")
        yield bench


def command(*arguments: str, exit_code: int = 0) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == exit_code, result.output
    return result.output


def corrected(path: Path, **values: str) -> str:
    """An exported file with some values replaced in all rows."""
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows([row | values for row in rows])
    return stream.getvalue()


def test_the_whole_loop(bench: Workbench, data_dir: Path) -> None:
    """The command exports, the sensor asks for the batch, its run closes the rejects, a waiver the last of them."""
    output = command("export-rejects", "sales")
    path = data_dir / "repairs" / "sales" / f"{DAY}.repair.csv"
    assert f"{path}: 3 rejects" in output
    assert str(data_dir / "landing" / "sales") in output

    dropped = bench.drop("sales", path.name, corrected(path, quantity="2"), modified=1_710_000_000)
    with bench.environment():
        sensor = bench.defs.resolve_sensor_def("sales_files_sensor")
        context = dg.build_sensor_context(
            instance=bench.instance, resources={"platform": Platform()}, repository_def=bench.defs.get_repository_def()
        )
        (request,) = sensor.evaluate_tick(context).run_requests or []
    assert (request.partition_key, dropped.exists()) == (DAY, True)
    result = bench.run("raw_sales", "cleaned_sales", "rejected_sales", first=request.partition_key)

    accounting = evaluations(result)["accounting"]
    assert accounting.passed
    names = ("records", "cleaned", "rejected", "open", "repaired", "waived")
    assert {name: value(accounting.metadata, name) for name in names} == {
        "records": 7,
        "cleaned": 3,
        "rejected": 4,
        "open": 1,
        "repaired": 2,
        "waived": 0,
    }
    rejects = materializations(result, "rejected_sales")[DAY].metadata
    assert [value(rejects, name) for name in ("open", "repaired", "waived")] == [1, 2, 0]

    who = ("--by", "Ada", "--because", "a test")
    assert "1 rejects waived" in command("waive", "sales", *who, "--batch", DAY, "--reason", "channel: enum")
    ledger = "SELECT file, repaired, waived, attempts FROM file_ledger WHERE feed = 'sales' ORDER BY file"
    assert bench.query(ledger) == [
        (path.name, 0, 0, 1),
        (f"sales_{DAY}.csv", 2, 1, 0),
        (f"sales_{NEXT}.csv", 0, 0, 0),
    ]
    closed = f"SELECT DISTINCT _resolved_by FROM rejected_sales WHERE _file = 'sales_{DAY}.csv' ORDER BY 1"
    assert bench.query(closed) == [(path.name,), ("waived by Ada: a test",)]
    assert "no open rejects" in command("export-rejects", "sales")
    (line,) = [line.split() for line in command("summary").splitlines() if DAY in line and " 7 " in line]
    assert line[:8] == [DAY, "7", "3", "0", "4", "0", "2", "1"]


def test_a_snapshot_feed_s_loop(bench: Workbench, data_dir: Path) -> None:
    """A JSON catalogue is repaired by CSV and stays the newest."""
    command("export-rejects", "products", "--output", str(data_dir / "mine"))
    path = data_dir / "mine" / f"{DAY}.repair.csv"
    bench.drop("products", path.name, corrected(path, list_price="12.50"))
    bench.run("raw_products", "cleaned_products", "rejected_products")
    assert bench.query("SELECT name, list_price::VARCHAR FROM cleaned_products ORDER BY 1") == [
        ("Kettle", "12.50"),
        ("Lamp", "4.00"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["export-rejects", "nothing"], "there are products, sales", id="no such feed"),
        pytest.param(["export-rejects", "sales"], "There is no warehouse", id="no warehouse"),
        pytest.param(["waive", "sales", "--by", "A", "--because", "b"], "Give either", id="nothing chosen"),
        pytest.param(["waive", "sales", "--reject", "x"], "--by", id="nobody"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], said: str, data_dir: Path) -> None:
    """In one line, and no file is made."""
    assert said in command(*arguments, exit_code=2)
    assert list(data_dir.iterdir()) == []


def test_batches_and_rejects_that_are_not_there_are_said(bench: Workbench) -> None:
    """With what was given and what is expected."""
    assert "'January' is not a batch; write it like 2010-01-01" in command(
        "export-rejects", "sales", "--batch", "January", exit_code=2
    )
    who = ("--by", "Ada", "--because", "why")
    assert "no reject x" in command("waive", "sales", *who, "--reject", "x", exit_code=2)
