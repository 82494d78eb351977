"""A mart in Dagster: its asset, the check of its totals, and its proof for `verify`.

Belongs here: what `SqlTable` makes. How a mart is made and compared is in `warehouse.marts`; what `defs.yaml` may say,
and how it becomes a `MartSpec`, in `sql_table`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from orchestration_project.components.charts import total
from orchestration_project.components.check_states import noted
from orchestration_project.components.feed_metadata import Metadata, compared, lineage_metadata, query_lineage
from orchestration_project.components.feed_spec import POOL, FeedSpec, keys_of
from orchestration_project.components.resources import Platform
from orchestration_project.components.source_links import link_to
from orchestration_project.inspection.findings import Finding, Proof, materialize
from orchestration_project.storage.batches import Batch
from orchestration_project.warehouse import marts
from orchestration_project.warehouse.connection import reading
from orchestration_project.warehouse.mart_definition import Mart
from orchestration_project.warehouse.published import changed_outside
from orchestration_project.warehouse.tables import BATCH

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DAYS_SHOWN = 60
BATCHES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class MartSpec:
    """A mart as its definitions see it.

    Attributes:
        mart: the table.
        feed: the feed whose batches it has; None: it has none.
        path: the file of its SELECT.
        description: what the table holds.
        descriptions: what columns mean, by name.
        nullable: the columns that may be empty.
        check: the name of the check of its totals.
        chart: the column whose newest days are shown; None for none.
        group: the asset's group.
        kinds: the asset's kinds.
        owners: the asset's owners.
    """

    mart: Mart
    feed: FeedSpec | None
    path: Path
    description: str
    descriptions: Mapping[str, str]
    nullable: frozenset[str]
    check: str
    chart: str | None
    group: str
    kinds: frozenset[str]
    owners: Sequence[str]

    @property
    def key(self) -> dg.AssetKey:
        """The asset's key."""
        return dg.AssetKey(self.mart.name)

    def key_of(self, batch: Batch) -> str:
        """The partition key with which a batch is made, whose start may be given as a timestamp.

        A batch from before its feed was rebuilt for another cadence may have no partition of its own any more.
        """
        assert self.feed
        batching = self.feed.options.batching
        return batching.key(max(batching.from_key(batching.key(batch)), batching.start))


def table_schema(
    columns: Mapping[str, str],
    descriptions: Mapping[str, str],
    key: Sequence[str],
    nullable: frozenset[str] = frozenset(),
) -> dg.TableSchema:
    """A mart's columns as Dagster shows them.

    Args:
        columns: their types, in order.
        descriptions: what they mean, by name.
        key: the columns that tell rows apart.
        nullable: the columns that may be empty.
    """
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                sql_type,
                descriptions.get(name),
                dg.TableColumnConstraints(
                    nullable=name in nullable, unique=[name] == list(key), other=["primary key"] if name in key else []
                ),
            )
            for name, sql_type in columns.items()
        ],
        dg.TableConstraints([f"primary key: {', '.join(key)}"]) if key else None,
    )


def build_asset(spec: MartSpec) -> dg.AssetsDefinition:
    """The mart's asset, partitioned as the input that it has its batches from."""
    mart, feed = spec.mart, spec.feed

    @dg.asset(
        name=mart.name,
        deps=[dg.AssetKey(table) for table in mart.inputs],
        partitions_def=feed.partitions_def if feed else None,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=POOL,
        group_name=spec.group,
        kinds=set(spec.kinds),
        owners=list(spec.owners),
        description=spec.description,
        metadata={
            **({"partition_expr": BATCH} if feed else {}),
            "dagster/table_name": f"main.{mart.name}",
            "dagster/column_schema": table_schema(mart.columns, spec.descriptions, mart.key, spec.nullable),
            **link_to(spec.path, "query"),
        },
    )
    def make_mart(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        purpose = f"{mart.name}, run {context.run.run_id}"
        if feed is None:
            with platform.warehouse.transaction(purpose) as connection:
                rows = marts.replace_whole(connection, mart)
            return dg.MaterializeResult(metadata={"dagster/row_count": rows, **_lineage(mart)})
        asked = [feed.options.batching.from_key(key) for key in keys_of(context)]
        with platform.warehouse.transaction(purpose) as connection:
            # It makes more than was asked for: batches whose input has changed since, such as by a record that came
            # late.
            made = marts.replace(connection, mart, asked)
            chart = _chart(connection, spec)
        _tell_batches(context, spec, asked, made)
        # Once a run, not on each of its batches.
        context.add_asset_metadata(chart, partition_key=spec.key_of(max(asked)))
        return dg.MaterializeResult()

    return make_mart


def _tell_batches(
    context: dg.AssetExecutionContext, spec: MartSpec, asked: Sequence[Batch], made: Mapping[Batch, int]
) -> None:
    """An event for each batch that was made: nothing changes unrecorded, so also for those that were not asked for."""
    for batch, rows in made.items():
        metadata: Metadata = {"dagster/partition_row_count": dg.MetadataValue.int(rows)}
        if batch == max(asked):
            # It is the same for all batches, and this is the event that comes last.
            metadata |= _lineage(spec.mart)
        if batch in asked:
            context.add_asset_metadata(metadata, partition_key=spec.key_of(batch))
        else:
            context.log_event(dg.AssetMaterialization(spec.key, partition=spec.key_of(batch), metadata=metadata))


def _lineage(mart: Mart) -> Metadata:
    return lineage_metadata(query_lineage(mart.query, mart.inputs))


def _chart(connection: "DuckDBPyConnection", spec: MartSpec) -> Metadata:
    """The newest days of the chosen total; one day is no chart."""
    if spec.chart is None:
        return {}
    values = marts.newest_totals(connection, spec.mart, spec.chart, DAYS_SHOWN)
    name = spec.chart.replace("_", " ").capitalize()
    return {"newest_days": dg.MetadataValue.md(total(name, values, "day").markdown)} if len(values) > 1 else {}


def build_check(spec: MartSpec) -> dg.AssetChecksDefinition:
    """The blocking check that the mart's totals are those of the input that they are reconciled with."""
    mart, totals = spec.mart, spec.mart.reconciliation
    assert totals
    what = f"{' and '.join(totals.totals)} of each {', '.join(mart.compared_by) or 'total'}"
    compared_again = (
        ": added up again for the batches of the run, for all in a run that names none. The others were made from what"
        " is published, and neither side has been written to since, told by numbers of rows and sums of batches"
    )

    @dg.asset_check(
        name=spec.check,
        asset=spec.key,
        blocking=True,
        pool=POOL,
        description=f"The sums of {totals.table}: {what}{compared_again if spec.feed else ''}.",
    )
    def reconcile(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        with reading(platform.warehouse, f"check of {mart.name}") as connection:
            # Before the first load tables are missing. Empty ones stand in for them, in this session only: such a check
            # once made them in the warehouse, so that a question changed what it asked about.
            marts.stand_in_tables(connection, mart)
            if spec.feed is None:
                result = _reconciled_whole(connection, spec)
            else:
                asked = spec.feed.keys_of_run(context.run.tags)
                batches = None if asked is None else sorted(map(spec.feed.options.batching.from_key, asked))
                result = _reconciled(connection, spec, batches)
        # It tells of batches that are out of date, too, whatever the run is for: so it is about all of them.
        return noted(context, platform, mart.name, spec.check, result)

    return reconcile


def _reconciled(
    connection: "DuckDBPyConnection", spec: MartSpec, batches: Sequence[Batch] | None
) -> dg.AssetCheckResult:
    mart = spec.mart
    # The batches of the run are added up again. All others are compared by the notes that loads and the mart have left,
    # a row for each batch: so a day costs as much after years as on the first day.
    outdated, differing = (
        marts.outdated_batches(connection, mart),
        marts.differing_batches(connection, mart, batches),
    )
    stale = {*outdated, *differing}
    wrong = what_is_wrong(connection, spec, stale)
    assert mart.reconciliation
    table = mart.reconciliation.table
    expected = f"{' and '.join(mart.reconciliation.totals)} of every batch as in {table}"
    return dg.AssetCheckResult(
        passed=not wrong,
        description=wrong or f"Every batch equals {table}.",
        metadata={
            **compared(expected, f"{len(stale)} batches that differ"),
            "stale_days": len(stale),
            "days_added_up": "all" if batches is None else len(batches),
        },
    )


def _reconciled_whole(connection: "DuckDBPyConnection", spec: MartSpec) -> dg.AssetCheckResult:
    mart = spec.mart
    assert mart.reconciliation
    table, differing = mart.reconciliation.table, marts.differing_keys(connection, mart)
    wrong = f"{differing} row(s) differ from {table}; materialize {mart.name} again" if differing else ""
    expected = f"{' and '.join(mart.reconciliation.totals)} of every row as in {table}"
    return dg.AssetCheckResult(
        passed=not wrong,
        description=wrong or f"Every row equals {table}.",
        metadata={**compared(expected, f"{differing} rows that differ"), "differing_rows": differing},
    )


def what_is_wrong(connection: "DuckDBPyConnection", spec: MartSpec, stale: set[Batch]) -> str:
    """What is wrong with a mart that has batches, or with the tables that it is made from; empty if nothing is.

    Args:
        connection: with the mart's tables, or what stands in for them.
        spec: the mart.
        stale: its batches that are known to be out of date.
    """
    # The inputs first. To make the mart again from rows that somebody has changed would only copy the change.
    for table in sorted(spec.mart.listed):
        if changed := changed_outside(connection, table):
            what = f"{table} has more or fewer rows than were loaded for {len(changed)} batch day(s)"
            return f"{what}; load them again: {_listed(spec, changed)}"
    if stale:
        what = f"{len(stale)} batch day(s) differ from {spec.mart.batches_of}"
        return f"{what}; materialize {spec.mart.name} again: {_listed(spec, stale)}"
    return ""


def _listed(spec: MartSpec, batches: Sequence[Batch] | set[Batch]) -> str:
    keys = sorted(set(map(spec.key_of, batches)))
    shown = ", ".join(keys[:BATCHES_SHOWN])
    return f"{shown} and {len(keys) - BATCHES_SHOWN} more" if len(keys) > BATCHES_SHOWN else shown


def proof_of(spec: MartSpec) -> Proof:
    """The mart's totals against the input that they are reconciled with, over all batches."""
    totals, batches_of = spec.mart.reconciliation, spec.feed.cleaned.to_user_string() if spec.feed else None

    def find(connection: "DuckDBPyConnection") -> Iterator[Finding]:
        if totals is None:
            return
        what, expected = f"{' or '.join(totals.totals)} differ from {totals.table}", f"the sums of {totals.table}"
        name = spec.mart.name
        if spec.feed is None:
            if rows := marts.differing_keys(connection, spec.mart):
                yield Finding("", "", name, what, expected, f"others in {rows} row(s)", materialize([name], []))
            return
        # Several batches of a former cadence may have one key now, and one command makes them.
        for key in dict.fromkeys(map(spec.key_of, marts.differing_batches(connection, spec.mart))):
            yield Finding("", key, name, what, expected, "others", materialize([name], [key]))

    return Proof(spec.mart.name, find, (totals.table,) if totals else (), batches_of)
