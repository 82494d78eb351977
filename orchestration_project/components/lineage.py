"""Column lineage: from which columns of the tables before it each column of a table is made.

Belongs here: the lineage of a feed's tables, from its contract; of a query, from its SQL; and how Dagster is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from orchestration_project.components.feed_metadata import Metadata, table
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.contracts.feed import Feed
from orchestration_project.warehouse.feed_tables import cleaned_layout, raw_layout, raw_table, rejected_layout


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
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope
    from sqlglot.schema import MappingSchema

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
    layout = cleaned_layout if key == spec.cleaned else rejected_layout
    return published_lineage(spec.feed, layout(spec.feed, batch_type))
