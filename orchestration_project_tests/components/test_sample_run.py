"""The generated sample, end to end: every injected defect is found where it was injected, and nothing else is."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration_project.sample.defects import Manifest, SampleSpec
from orchestration_project.sample.files import generate
from orchestration_project_tests.components.workbench import Workbench, project

SPEC = SampleSpec(days=4, rows=300, defect_rate=0.2)
TABLES = ("raw", "cleaned", "rejected")


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Workbench, Manifest]]:
    """The sample, loaded as a range by the jobs of both feeds."""
    data_dir = tmp_path_factory.mktemp("sampled")
    manifest = generate(SPEC, data_dir / "landing")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(project(), data_dir, instance)
        bench.run(job="products_job")
        days = [f"{file.day}" for file in manifest.of("sales")]
        bench.run(job="sales_job", first=days[0], last=days[-1])
        yield bench, manifest


@pytest.mark.parametrize("feed", ["sales", "products"])
def test_every_injected_defect_is_found(sampled: tuple[Workbench, Manifest], feed: str) -> None:
    """The rejected records are exactly those of the manifest: file, record number and every reason."""
    bench, manifest = sampled
    found = {
        (file, row): sorted(reason.partition(" (kept")[0] for reason in reasons)
        for file, row, reasons in bench.query(f"SELECT _file, _row, _reasons FROM rejected_{feed}")
    }
    expected = {
        (file.name, row): sorted(reasons) for file in manifest.of(feed) for row, reasons in file.rejected.items()
    }
    assert found == expected


@pytest.mark.parametrize("feed", ["sales", "products"])
def test_every_record_is_accounted_for(sampled: tuple[Workbench, Manifest], feed: str) -> None:
    """Each file's records are cleaned, rejected or blank, in the numbers of the manifest; the ledger says the same."""
    bench, manifest = sampled
    ledger = bench.query(
        f"SELECT file, records, cleaned, rejected, blank_records FROM file_ledger WHERE feed = '{feed}' ORDER BY 1"
    )
    assert ledger == [
        (file.name, file.records, file.cleaned, len(file.rejected), file.blank) for file in manifest.of(feed)
    ]
    totals = [bench.query(f"SELECT count(*) FROM {table}_{feed}")[0][0] for table in TABLES]
    assert totals[0] == sum(file.records for file in manifest.of(feed))
    assert totals[1] == sum(file.cleaned for file in manifest.of(feed))


def test_unknown_products_are_orphans(sampled: tuple[Workbench, Manifest]) -> None:
    """A sold product that the catalogue lacks is kept and marked."""
    bench, _ = sampled
    ((orphans,),) = bench.query("SELECT list(product_id) FROM product_warehouse WHERE NOT in_catalog")
    assert SPEC.products + 1000 in orphans
