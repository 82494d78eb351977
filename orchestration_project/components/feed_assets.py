"""A feed's assets: the drop folder, and the three tables that one load writes together."""

import time
from collections.abc import Iterator, Sequence

import dagster as dg

from orchestration_project.components.feed_metadata import (
    history_metadata,
    lineage_metadata,
    lineage_of,
    metadata_of,
    parts,
    run_metadata,
)
from orchestration_project.components.feed_spec import POOL, FeedSpec, file_schema, keys_of, table_schema
from orchestration_project.components.resources import Platform
from orchestration_project.components.source_links import link_to
from orchestration_project.failpoints import Point, reached
from orchestration_project.ingest.fingerprints import reading_of, version_of
from orchestration_project.ingest.load import load
from orchestration_project.ingest.model import Request
from orchestration_project.ingest.report import Report
from orchestration_project.settings import Settings
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse.feed_tables import cleaned_layout, history_layout, raw_layout, rejected_layout

NO_VERSION = "INITIAL"
"""What Dagster takes for the version of the files in a drop folder, of which it is told nothing."""


def landing_spec(spec: FeedSpec, sources: Sequence[dg.AssetKey] = ()) -> dg.AssetSpec:
    """The drop folder as an asset that others fill, or the feed's sources."""
    description = f"Drop folder of the feed {spec.name}: `$DATA_DIR/landing/{spec.name}/`. {spec.feed.description}"
    return dg.AssetSpec(
        spec.landing,
        deps=[*dict.fromkeys(sources)],
        description=description.strip(),
        group_name=spec.name,
        kinds={"file", spec.feed.source.format.value},
        owners=spec.owners,
        tags=spec.tags,
        metadata={
            "dagster/uri": Settings.from_env().landing(spec.name).as_uri(),
            "dagster/column_schema": file_schema(spec.feed),
            "contract_version": spec.feed.version,
            **link_to(spec.contract, "contract"),
        },
    )


def build_feed_assets(spec: FeedSpec) -> dg.AssetsDefinition:
    """`raw_x`, `cleaned_x` and `rejected_x`: selectable apart, written by one load in one transaction."""

    # One op for three tables: they are committed together with the ledger, or a kill between two commits would leave
    # tables that contradict each other.
    @dg.multi_asset(
        name=f"load_{spec.name}",
        specs=_table_specs(spec),
        can_subset=True,
        partitions_def=spec.partitions_def,
        # Otherwise a backfill starts a run for each batch: a run costs seconds, a batch milliseconds.
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        description=f"Loads the files of the feed {spec.name}, in one transaction.",
    )
    def load_files(context: dg.AssetExecutionContext, platform: Platform) -> Iterator[dg.MaterializeResult[None]]:
        request = _request(spec, context)
        began = time.perf_counter()
        report = load(platform.warehouse, platform.settings, spec.feed, spec.options, request, context.log.info)
        # Refused files don't fail the run: the others are loaded, and a check says what was refused.
        _tell(context, spec, report)
        seconds, readers = time.perf_counter() - began, platform.settings.readers_file
        yield from _results(context, spec, request, report, seconds, readers)
        reached(Point.REPORTED)

    return load_files


def _request(spec: FeedSpec, context: dg.AssetExecutionContext) -> Request:
    selected = context.selected_asset_keys
    from_key = spec.options.batching.from_key
    return Request(
        [from_key(key) for key in keys_of(context)] if spec.partitions_def else None,
        read=spec.raw in selected,
        publish=any(key in selected for key in spec.published),
        run_id=context.run.run_id,
    )


def _tell(context: dg.AssetExecutionContext, spec: FeedSpec, report: Report) -> None:
    for refused in report.refused:
        context.log.error(
            f"{spec.name}: {refused.file.name!r} was refused and moved to quarantine: {refused.error.message}"
        )
    for name in report.changed:
        context.log.warning(f"{spec.name}: {name!r} was written to while it was read; it stays in landing")
    for name, why in report.stuck.items():
        context.log.error(
            f"{spec.name}: {name!r} was dealt with, but can't be taken off landing: {why}. Let the platform write to"
            " landing, archive and quarantine, or remove the file"
        )


def _table_specs(spec: FeedSpec) -> list[dg.AssetSpec]:
    feed, batch_type = spec.feed, spec.options.batching.sql_type
    title = feed.title or feed.name
    described = feed.description or title
    delivered = (
        f"{title}, as delivered: every record of every accepted file as text, with the file and record number it came"
        f" from. {described}"
    )
    checked = f"{title}, typed and checked: the records that hold everything the contract says. {described}"
    refused = (
        f"{title}, refused: the records that broke the contract, each with every rule it broke in `_reasons`. They are"
        f" corrected in the files that `orchestration-project export-rejects {feed.name}` writes, or waived."
    )
    specs = [
        _table_spec(spec, spec.raw, [spec.landing], raw_layout(feed, batch_type), delivered),
        _table_spec(spec, spec.cleaned, [spec.raw], cleaned_layout(feed, batch_type), checked),
        _table_spec(spec, spec.rejected, [spec.raw], rejected_layout(feed, batch_type), refused),
    ]
    if spec.options.history:
        versions = (
            f"{title}, over time: every version of each {', '.join(feed.primary_key)} in all accepted files, from which"
            f" day until which day it held. {described}"
        )
        specs.append(_table_spec(spec, spec.history, [spec.raw], history_layout(feed), versions))
    return specs


def _table_spec(
    spec: FeedSpec, key: dg.AssetKey, deps: Sequence[dg.AssetKey], columns: dict[str, str], description: str
) -> dg.AssetSpec:
    # For assets of a project that take the table as a DataFrame: by it the IO manager finds the rows of a partition.
    is_text = key in (spec.raw, spec.rejected)
    partition_expr = {"partition_expr": "_batch_date"} if spec.partitions_def else {}
    return dg.AssetSpec(
        key,
        deps=deps,
        skippable=True,
        code_version=_code_version(spec, key),
        description=description,
        group_name=spec.name,
        kinds={"duckdb", "sql"},
        owners=spec.owners,
        tags=spec.tags,
        metadata={
            "dagster/table_name": f"main.{key.to_user_string()}",
            "dagster/column_schema": table_schema(columns, spec.feed, is_text, versions=key == spec.history),
            "contract_version": spec.feed.version,
            **partition_expr,
            **link_to(spec.contract, "contract"),
        },
    )


def _code_version(spec: FeedSpec, key: dg.AssetKey) -> str:
    """Identifies what of the contract decides the rows of one of the feed's tables: with another one they are stale."""
    return reading_of(spec.feed) if key == spec.raw else version_of(spec.feed, spec.options)


def _versions(spec: FeedSpec, key: dg.AssetKey, run_id: str) -> dict[str, str]:
    """The tags by which Dagster tells whether a materialization is stale.

    It sets them itself for what was asked for. For the batches beyond, the run stands for what was read from each table
    before: a run writes all of a feed's tables at once.
    """
    upstream, version = (spec.landing, NO_VERSION) if key == spec.raw else (spec.raw, run_id)
    name = upstream.to_user_string()
    return {
        "dagster/code_version": _code_version(spec, key),
        "dagster/data_version": run_id,
        "dagster/data_version_is_user_provided": "true",
        f"dagster/input_data_version/{name}": version,
        f"dagster/input_event_pointer/{name}": "NULL",
    }


def _results(
    context: dg.AssetExecutionContext,
    spec: FeedSpec,
    request: Request,
    report: Report,
    seconds: float,
    readers: str | None,
) -> Iterator[dg.MaterializeResult[None]]:
    """An event for each selected table and batch, with the batch's own metadata.

    Batches and tables that were written beyond the selection get a materialization too: nothing changes unrecorded.
    What is about the run as a whole, and the column lineage, which is the same for all batches, is told once, with the
    event that comes last.
    """
    run_id, renewed = context.run.run_id, report.renewed
    # A changed contract makes batches anew that no run has asked for, and a late batch may take a key from a later one.
    written = [spec.raw] if request.read or (renewed and renewed.raw) else []
    written += spec.published if request.publish or renewed else []
    asked: set[Batch | None] = {None} if request.batches is None else set(request.batches)
    by_batch = parts(report, spec.options.batching)
    for key in written:
        selected = key in context.selected_asset_keys
        last = [batch for batch in by_batch if batch in asked or not selected][-1]
        for batch, part in by_batch.items():
            partition = None if batch is None else spec.options.batching.key(batch)
            metadata = metadata_of(spec, key, batch, part, readers) | history_metadata(spec, key, report)
            if batch == last:
                metadata |= run_metadata(spec, key, report, seconds) | lineage_metadata(lineage_of(spec, key))
            if not selected or batch not in asked:
                versions = _versions(spec, key, run_id)
                context.log_event(dg.AssetMaterialization(key, partition=partition, metadata=metadata, tags=versions))
            else:
                # Not with the result below: its metadata would stand at every partition of the range.
                context.add_asset_metadata(metadata, asset_key=key, partition_key=partition)
        if selected:
            # Else Dagster would take rows for the same as before as long as the contract is the same.
            yield dg.MaterializeResult(asset_key=key, data_version=dg.DataVersion(run_id))
