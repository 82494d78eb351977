"""What the UI shows as stale when a contract changes, asked as the UI asks it: by GraphQL."""

import asyncio
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import in_process_test_workspace
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster_graphql.schema import create_schema

from orchestration_project_tests.components.test_file_feed import CONTRACT, DATE, folder
from orchestration_project_tests.components.workbench import Workbench, feeds, materializations, value

pytestmark = pytest.mark.promise("seen")

TABLES = ("raw_meters", "cleaned_meters", "rejected_meters")
DAYS = ("2024-03-05", "2024-03-06", "2024-03-07")
FRESH = ["FRESH", "FRESH", "MISSING"]
QUERY = """query ($keys: [AssetKeyInput!], $days: [String!]) {
    assetNodes(assetKeys: $keys) { assetKey { path } staleStatusByPartition(partitions: $days) } }"""
CODE = """
from contextlib import ExitStack
from pathlib import Path
from orchestration_project_tests.components.test_file_feed import DATE, folder
from orchestration_project_tests.components.workbench import feeds

contract = Path(__file__).with_name("contract.yaml").read_text(encoding="utf-8")
defs = ExitStack().enter_context(feeds(meters=folder(contract, batch_pattern=DATE)))
"""
RETYPED = CONTRACT.replace("physicalType: INTEGER", "physicalType: BIGINT")
STRICTER = CONTRACT.replace("minimum: 0", "minimum: 5")
REWORDED = CONTRACT.replace("description: The meter.", "description: A meter.").replace("1.0.0", "1.1.0")


@contextmanager
def loading(contract: str, home: Path, instance: dg.DagsterInstance) -> Iterator[Workbench]:
    """A code location with the feed."""
    with feeds(meters=folder(contract, batch_pattern=DATE)) as defs:
        yield Workbench(defs, home / "data", instance)


def stale(contract: str, home: Path, instance: dg.DagsterInstance) -> dict[str, list[str]]:
    """Whether each table is stale for each of `DAYS`."""
    # Of another name each time: Python keeps a module that it has loaded.
    code = home / f"location_{len(list(home.glob('location_*.py')))}.py"
    code.write_text(CODE, encoding="utf-8")
    code.with_name("contract.yaml").write_text(contract, encoding="utf-8")
    origin = LoadableTargetOrigin(executable_path=sys.executable, python_file=str(code), attribute="defs")
    variables: dict[str, Any] = {"keys": [{"path": [name]} for name in TABLES], "days": DAYS}
    with (
        warnings.catch_warnings(action="ignore", category=DeprecationWarning),
        in_process_test_workspace(instance, origin) as context,
    ):
        asked = create_schema().execute_async(QUERY, context_value=context, variable_values=variables)
        result = asyncio.run(asked)
    assert not result.errors
    return {node["assetKey"]["path"][0]: node["staleStatusByPartition"] for node in result.data["assetNodes"]}


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A history on disk, since a code location of its own is asked about it."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def load_all(contract: str, home: Path, instance: dg.DagsterInstance) -> None:
    """Load two days."""
    with loading(contract, home, instance) as bench:
        for day in DAYS[:2]:
            bench.drop("meters", f"m_{day}.csv", f"meter,kwh\n{day},7\nM2,3\n")
        bench.run(job="meters_job", first=DAYS[0], last=DAYS[1])


@pytest.mark.found("nothing showed that tables were made with another contract than the present one")
@pytest.mark.parametrize(
    ("contract", "changed"),
    [(RETYPED, ["STALE", "STALE"]), (STRICTER, ["STALE", "STALE"]), (REWORDED, ["FRESH", "FRESH"])],
)
def test_a_changed_contract_makes_tables_stale(
    contract: str, changed: list[str], tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """What reads, types or validates otherwise shows; words don't. Raw rows are the same text all the while."""
    load_all(CONTRACT, tmp_path, instance)
    assert stale(CONTRACT, tmp_path, instance) == dict.fromkeys(TABLES, FRESH)
    assert stale(contract, tmp_path, instance) == {
        "raw_meters": FRESH,
        "cleaned_meters": [*changed, "MISSING"],
        "rejected_meters": [*changed, "MISSING"],
    }


@pytest.mark.found("batches that a load wrote beyond those asked for had no version of the code in their record")
def test_batches_that_were_not_asked_for_are_fresh_too(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """A load of one batch under a new contract makes all anew, and says so of each of them."""
    load_all(CONTRACT, tmp_path, instance)
    reread = CONTRACT.replace("{name: meter,", "{name: device, physicalName: meter,")
    with loading(reread, tmp_path, instance) as bench:
        result = bench.run(*TABLES, first=DAYS[1])
        for table in TABLES:
            assert sorted(map(str, materializations(result, table))) == [*DAYS[:2]]
        assert bench.query("SELECT count(device) FROM cleaned_meters") == [(4,)]
    assert stale(reread, tmp_path, instance) == dict.fromkeys(TABLES, FRESH)


def test_batches_by_other_rules_stay_stale(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    """Where rules alone have changed, the batch that was loaded is fresh, and the others stay stale."""
    load_all(CONTRACT, tmp_path, instance)
    with loading(STRICTER, tmp_path, instance) as bench:
        bench.run(*TABLES, first=DAYS[1])
        told = bench.check(("cleaned_meters", "validated"), first=DAYS[1])["validated"]
        assert (told.passed, value(told.metadata, "batches")) == (False, 1)
        assert value(told.metadata, "command").endswith(f"--partition {DAYS[0]}")
    assert stale(STRICTER, tmp_path, instance)["cleaned_meters"] == ["STALE", "FRESH", "MISSING"]
