"""What a load tells of each table and batch, as metadata of its events: row counts, files, reasons of rejects, lineage.

Belongs here also what the metadata of other assets and checks is made of: tables, what was expected and found, and
column lineage of a feed's tables (from its contract) and of a query (from its SQL).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

import dagster as dg

from orchestration_project.components.charts import Quality, cleaned_rows, reject_share
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.contracts.feed import Feed
from orchestration_project.ingest.candidates import Refused
from orchestration_project.ingest.counts import FileCount, ReasonCount
from orchestration_project.ingest.report import Report
from orchestration_project.storage.batches import Batch, Batching
from orchestration_project.warehouse.feed_tables import (
    cleaned_layout,
    history_layout,
    raw_layout,
    raw_table,
    rejected_layout,
)
from orchestration_project.warehouse.ledger import Entry
from orchestration_project.warehouse.tables import batch_filter

# Metadata is stored in Dagster's history, with each event. What is shown are examples; all rows are in the tables.
ROWS_SHOWN = 50
Cell = str | int | float | None
Metadata = dict[str, dg.MetadataValue]


@dataclass(slots=True)
class Part:
    """The part of a load's report that is about one batch, or all of a snapshot's."""

    files: list[Entry] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    counts: list[FileCount] = field(default_factory=list)
    reasons: list[ReasonCount] = field(default_factory=list)


def parts(report: Report, batching: Batching) -> dict[Batch | None, Part]:
    """The report batch by batch, for every batch that was written; for a snapshot one part, under None.

    What is about none of these, such as a refused file without a date, is told with the last batch.
    """
    if report.batches is None:
        return {None: Part(report.entries, report.refused, report.counts, report.reasons)}
    found: dict[Batch | None, Part] = {batch: Part() for batch in report.batches}
    last = found[report.batches[-1]]
    for entry in report.entries:
        found.get(batching.from_key(entry.batch), last).files.append(entry)
    for refused in report.refused:
        found.get(refused.batch, last).refused.append(refused)
    for count in report.counts:
        found.get(count.batch, last).counts.append(count)
    for reason in report.reasons:
        found.get(reason.batch, last).reasons.append(reason)
    return found


def metadata_of(
    spec: FeedSpec, key: dg.AssetKey, batch: Batch | None, part: Part, readers: str | None = None
) -> Metadata:
    """The metadata of one of the feed's tables for one batch (None: for a snapshot).

    Args:
        spec: the feed.
        key: the table's.
        batch: the batch.
        part: what the load reports of it.
        readers: the file that queries for people are to be asked of; None if it need not be named.
    """
    # Dagster takes `dagster/row_count` for the rows of the whole table; those of one partition have a name of their
    # own.
    count_name = "dagster/row_count" if spec.options.snapshot else "dagster/partition_row_count"
    if key == spec.raw:
        records = sum(count.records for count in part.counts)
        ignored = sum(count.ignored for count in part.counts)
        told = {"ignored": dg.MetadataValue.int(ignored)} if spec.feed.ignored else {}
        return {count_name: dg.MetadataValue.int(records), **told, **_file_metadata(part)}
    if key not in (spec.cleaned, spec.rejected):
        return {}
    cleaned = sum(count.cleaned for count in part.counts)
    rejected = sum(count.rejected for count in part.counts)
    if key == spec.cleaned:
        # As `max_reject_rate` and the check count: a key that repeats is no sign of a broken file.
        broken = rejected - sum(count.duplicates for count in part.counts)
        rate = broken / (rejected + cleaned) if broken else 0.0
        return {count_name: dg.MetadataValue.int(cleaned), "reject_rate": dg.MetadataValue.float(rate)}
    metadata: Metadata = {
        count_name: dg.MetadataValue.int(rejected),
        "open": dg.MetadataValue.int(sum(count.open for count in part.counts)),
        "repaired": dg.MetadataValue.int(sum(count.repaired for count in part.counts)),
        "waived": dg.MetadataValue.int(sum(count.waived for count in part.counts)),
    }
    reasons = _reason_table(part.reasons, rejected)
    if reasons:
        metadata |= {"rejects_by_reason": reasons, "open_rejects_sql": _rejects_query(key, batch, readers)}
    return metadata


def history_metadata(spec: FeedSpec, key: dg.AssetKey, report: Report) -> Metadata:
    """What a history adds to the metadata of the raw table, which has all snapshots, and what it tells of itself."""
    if (size := report.history) is None:
        return {}
    if key == spec.raw:
        return {"dagster/row_count": dg.MetadataValue.int(size.records)}
    if key != spec.history:
        return {}
    return {
        "dagster/row_count": dg.MetadataValue.int(size.versions),
        "current_versions": dg.MetadataValue.int(size.current),
        "snapshots": dg.MetadataValue.int(size.snapshots),
    }


def _rejects_query(key: dg.AssetKey, batch: Batch | None, readers: str | None) -> dg.MetadataValue:
    """The SQL that shows the rejects which are still open, to be pasted into DuckDB."""
    lines = [
        *([] if readers is None else [f"-- duckdb -readonly {quote(readers)}"]),
        "SELECT _file, _row, _reasons, *",
        f"FROM {key.to_user_string()}",
        "WHERE _resolved_by IS NULL",
        *([] if batch is None else [f"  AND {batch_filter([batch])}"]),
        "ORDER BY _file, _row;",
    ]
    return dg.MetadataValue.md("\n".join(["```sql", *lines, "```"]))


def _file_metadata(part: Part) -> Metadata:
    files = [
        {
            "file": entry.file,
            "status": str(entry.status),
            "version": entry.version,
            "bytes": entry.bytes,
            "records": entry.records,
        }
        for entry in part.files
    ]
    refused = [{"file": item.file.name, "rule": item.error.rule, "reason": item.error.message} for item in part.refused]
    metadata: Metadata = {"bytes": dg.MetadataValue.int(sum(entry.bytes for entry in part.files))}
    if files:
        metadata["files"] = table(files)
    if refused:
        metadata["refused_files"] = table(refused)
    return metadata


def run_metadata(spec: FeedSpec, key: dg.AssetKey, report: Report, seconds: float) -> Metadata:
    """What is told of a load as a whole, once a run and table: its seconds and, if several, the newest days' chart."""
    metadata: Metadata = {"seconds": dg.MetadataValue.float(round(seconds, 3))}
    days = [Quality(item.day, item.cleaned, item.rejected) for item in report.newest]
    charts = {spec.cleaned: cleaned_rows, spec.rejected: reject_share}
    # One day is no chart, and a snapshot has no days.
    if len(days) > 1 and key in charts:
        metadata["newest_days"] = dg.MetadataValue.md(charts[key](days, "batch day").markdown)
    return metadata


def _reason_table(reasons: Iterable[ReasonCount], rejected: int) -> dg.MetadataValue | None:
    """How many of the rejected records broke each rule; a record may break several. None where no rule was broken."""
    totals: dict[str, int] = defaultdict(int)
    for item in reasons:
        totals[item.reason] += item.records
    worst_first = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))
    if not totals:
        return None
    return table(
        [{"reason": reason, "records": count, "share": round(count / rejected, 4)} for reason, count in worst_first]
    )


def compared(expected: str, found: str) -> Metadata:
    """What a check expected and what it found: every check tells it first."""
    return {"expected": dg.MetadataValue.text(expected), "found": dg.MetadataValue.text(found)}


def table(rows: Sequence[Mapping[str, Cell]]) -> dg.MetadataValue:
    """Rows as a table; not more than `ROWS_SHOWN` of them."""
    records = [
        dg.TableRecord({name: "" if value is None else value for name, value in row.items()})
        for row in rows[:ROWS_SHOWN]
    ]
    columns = [
        dg.TableColumn(name, "string" if isinstance(value, str) else "number") for name, value in rows[0].items()
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A column that another one is made from."""

    table: str
    column: str


Lineage = Mapping[str, tuple[Origin, ...]]
"""The origins of each column of a table; columns that the platform makes up are left out."""


def raw_lineage(feed: Feed, landing: str) -> Lineage:
    """The lineage of `raw_x`: each of the contract's columns comes from its header in the files.

    Args:
        feed: the contract.
        landing: the name by which the feed's files are known as a table.
    """
    return {column.name: (Origin(landing, column.source),) for column in feed.columns if column.source is not None}


def published_lineage(feed: Feed, layout: Mapping[str, str]) -> Lineage:
    """The lineage of `cleaned_x` or `rejected_x`, whose columns are `layout`: copies of raw columns, or computed."""
    raw, known = raw_layout(feed, ""), {column.name: column for column in feed.columns}
    found = {
        name: (name,) if name in raw else feed.sources_of(known[name])
        for name in layout
        if name in raw or name in known
    }
    return {name: tuple(Origin(raw_table(feed), source) for source in sources) for name, sources in found.items()}


def query_lineage(query: str, tables: Mapping[str, Mapping[str, str]]) -> Lineage:
    """The lineage of a query's columns, read from its SQL.

    Args:
        query: one SELECT of DuckDB's SQL.
        tables: the columns and types of the tables that it may read.

    Raises:
        sqlglot.errors.SqlglotError: the query can't be understood, or reads a column that no table has.
    """
    # It takes 50 ms and is asked when a run tells of the table: definitions load in every process, and need no lineage.
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

    #    SELECT item, sum(number * price) AS earned FROM lines GROUP BY item
    #    ->  item: lines.item;  earned: lines.number, lines.price
    # The query is qualified once. `lineage` would do it again for each column if it got no scope.
    schema = MappingSchema({table: dict(columns) for table, columns in tables.items()}, dialect="duckdb")
    qualified = qualify(sqlglot.parse_one(query, read="duckdb"), schema=schema, dialect="duckdb")
    assert isinstance(qualified, exp.Query)
    scope = build_scope(qualified)
    found: dict[str, tuple[Origin, ...]] = {}
    for selected in qualified.selects:
        name = selected.alias_or_name
        nodes = lineage(name, qualified, schema=schema, scope=scope, dialect="duckdb").walk()
        # A leaf's name is `alias."column"`; where it reads from is the table itself.
        leaves = {
            Origin(node.source.name, exp.to_column(node.name).name)
            for node in nodes
            if isinstance(node.source, exp.Table)
        }
        found[name] = tuple(sorted(leaves))
    return found


def lineage_metadata(lineage: Lineage) -> Metadata:
    """The lineage as Dagster reads it, and as a table: the open-source UI draws none from the former."""
    deps = {
        column: [dg.TableColumnDep(dg.AssetKey(origin.table), origin.column) for origin in origins]
        for column, origins in lineage.items()
    }
    rows = [
        {"column": column, "made from": ", ".join(f"{origin.table}.{origin.column}" for origin in origins)}
        for column, origins in lineage.items()
    ]
    return {
        "dagster/column_lineage": dg.MetadataValue.column_lineage(dg.TableColumnLineage(deps)),
        "columns_made_from": table(rows),
    }


def lineage_of(spec: FeedSpec, key: dg.AssetKey) -> Lineage:
    """The column lineage of one of the feed's tables."""
    batch_type = spec.options.batching.sql_type
    if key == spec.raw:
        return raw_lineage(spec.feed, spec.landing.to_user_string())
    if key == spec.history:
        return published_lineage(spec.feed, history_layout(spec.feed))
    layout = cleaned_layout if key == spec.cleaned else rejected_layout
    return published_lineage(spec.feed, layout(spec.feed, batch_type))
