"""`verification`: once a week, files, ledger and tables are proven again to agree.

It finds the feeds and the marts by their components, so it names none of them.
"""

from collections.abc import Iterator, Sequence

import dagster as dg

from orchestration_project.components.check_states import noted
from orchestration_project.components.feed_metadata import Metadata, compared
from orchestration_project.components.feed_runs import schedule_status
from orchestration_project.components.feed_spec import OPERATIONS, POOL, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.proofs import proofs_of
from orchestration_project.components.resources import Platform
from orchestration_project.ingest.batching import settle_killed
from orchestration_project.ingest.options import ConfiguredFeed
from orchestration_project.inspection.findings import Finding, Proof, Verification
from orchestration_project.inspection.verify import verify

OWNERS = ["team:sales_data"]
FINDINGS_SHOWN = 100
COLUMNS = {
    "feed": "Feed; empty where the warehouse as a whole is concerned.",
    "batch": "Partition key.",
    "file": "File, or table.",
    "what": "What disagrees.",
    "expected": "What should be there.",
    "found": "What is.",
    "remedy": "What to do.",
}
SCHEMA = dg.TableSchema([dg.TableColumn(name, "VARCHAR", described) for name, described in COLUMNS.items()])


@dg.definitions
def operations(context: dg.ComponentLoadContext) -> dg.Definitions:
    """The verification of all feeds and marts, with its job and schedule."""
    asset = _verification(feeds_of(context.component_tree), proofs_of(context.component_tree))
    job = dg.define_asset_job(
        "verification_job",
        selection=dg.AssetSelection.assets(asset),
        description="Proves again that files, ledger and tables agree.",
        executor_def=dg.in_process_executor,
    )
    schedule = dg.ScheduleDefinition(
        name="verification_weekly_schedule",
        job=job,
        cron_schedule="0 3 * * 0",
        execution_timezone="UTC",
        default_status=schedule_status(),
        description="Verifies all feeds on Sundays.",
    )
    return dg.Definitions(assets=[asset], jobs=[job], schedules=[schedule])


def _verification(feeds: Sequence[FeedSpec], proofs: Sequence[Proof]) -> dg.AssetsDefinition:
    # The raw tables are verified as well; edges to them would hide the graph.
    tables = [key for spec in feeds for key in (spec.cleaned, spec.rejected)]
    tables += [dg.AssetKey(proof.table) for proof in proofs]

    @dg.asset(
        deps=tables,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name=OPERATIONS,
        kinds={"duckdb", "file"},
        owners=OWNERS,
        description="What disagrees between the files in archive and quarantine, the ledger and the tables. It is not"
        " stored: the metadata of each run has it, and `orchestration-project verify` prints it.",
        metadata={"dagster/column_schema": SCHEMA},
        check_specs=[
            dg.AssetCheckSpec(
                "everything_proven",
                asset="verification",
                description="Files, ledger and tables agree in every feed.",
            )
        ],
    )
    def verification(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[None]]:
        sources = [ConfiguredFeed(spec.feed, spec.options) for spec in feeds]
        names = [spec.name for spec in feeds]
        # `verify` changes nothing. What a killed rebuild has left is no damage, but would be told as such.
        settle_killed(platform.warehouse, platform.settings, names)
        found = verify(platform.warehouse, platform.settings, sources, proofs=proofs, watched=names)
        # The alarm of this name reads the note. It must work while a load has the warehouse, so it can't ask there.
        result = noted(context, platform, "verification", "everything_proven", _check_result(found))
        yield dg.MaterializeResult(metadata=_metadata(found), check_results=[result])

    return verification


def _metadata(found: Verification) -> Metadata:
    return {
        "dagster/row_count": dg.MetadataValue.int(len(found.findings)),
        "files": dg.MetadataValue.int(found.files),
        "bytes": dg.MetadataValue.int(found.bytes),
        "records": dg.MetadataValue.int(found.records),
        "findings": dg.MetadataValue.table([_row(item) for item in found.findings[:FINDINGS_SHOWN]], SCHEMA),
    }


def _row(finding: Finding) -> dg.TableRecord:
    return dg.TableRecord({name: getattr(finding, name) for name in COLUMNS})


def _check_result(found: Verification) -> dg.AssetCheckResult:
    description = f"{found.files} archived files and {found.records} records are as the ledger says."
    if not found.proven:
        first = found.findings[0]
        description = (
            f"{len(found.findings)} finding(s), first {first.feed} {first.file!r}: {first.what}; {first.remedy}"
        )
    told = compared("no findings", f"{len(found.findings)} findings")
    return dg.AssetCheckResult(passed=found.proven, description=description, metadata=told | _metadata(found))
