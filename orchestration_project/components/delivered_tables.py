"""What the definitions know of a table that is delivered: whose partitions it has, its key, what is personal in it.

Belongs here: from names of tables to what a delivery needs of them. Nothing here asks a warehouse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from orchestration_project.components.feed_metadata import query_lineage
from orchestration_project.components.feed_spec import PLATFORM_DESCRIPTIONS, FeedSpec
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.proofs import ProvenTable
from orchestration_project.components.sql_table import SqlTable
from orchestration_project.contracts.columns import is_about_people
from orchestration_project.inspection.lookup.mart_rows import FollowedMart, in_order
from orchestration_project.warehouse.feed_tables import (
    VALID_FROM,
    cleaned_layout,
    history_layout,
    raw_layout,
    rejected_layout,
)
from orchestration_project.warehouse.mart_definition import Mart
from orchestration_project.warehouse.tables import BATCH, Columns

UNREAD = frozenset({"_raw_line", "_parse_error", "_rescued"})
"""Text of files that no contract has classified. Anything may stand there."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that may be delivered.

    Attributes:
        name: its name, which is the key of its asset.
        feed: the feed whose partitions its asset has; None: it has none.
        columns: its columns; None: they are known when it is delivered.
        key: the columns that tell rows apart.
        required: the columns that are never empty.
        description: what it holds.
        descriptions: what columns mean.
    """

    name: str
    feed: FeedSpec | None = None
    columns: Columns | None = None
    key: Sequence[str] = ()
    required: frozenset[str] = frozenset()
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All tables that components make, and from what it follows which of their columns are personal."""

    tables: Mapping[str, Table]
    feeds: Sequence[FeedSpec]
    marts: Sequence[Mart]

    def table(self, name: str) -> Table:
        """A table; of one that no component makes, such as a DataFrame's, nothing but the name is known."""
        return self.tables.get(name, Table(name))

    def personal(self, name: str, columns: Sequence[str]) -> frozenset[str]:
        """The columns of a table that are personal.

        Those of a feed are, by their classification. A mart's are, if they are made from one that is. Of other tables
        the columns' names decide.

        Args:
            name: the table.
            columns: its columns.
        """
        known = {
            table.to_user_string(): spec.feed.personal_columns | UNREAD
            for spec in self.feeds
            for table in (spec.raw, spec.cleaned, spec.rejected, spec.history)
        }
        # Only as far as needed: to read the lineage of a SELECT takes a while.
        for followed in in_order([FollowedMart(mart) for mart in self.marts]):
            if name in known:
                break
            known[followed.mart.name] = _made_from(followed.mart, known)
        found = known.get(name)
        return frozenset(filter(is_about_people, columns)) if found is None else found & {*columns}


def _made_from(mart: Mart, personal: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The columns of a mart that are made from a personal one, or that the lineage does not know."""
    from sqlglot.errors import SqlglotError

    if not any(personal.get(table) for table in mart.inputs):
        return frozenset()
    try:
        lineage = query_lineage(mart.query, mart.inputs)
    except (SqlglotError, ValueError, KeyError):
        lineage = {}
    # Names in SQL have no case, and the lineage has them in small letters.
    hidden = {(table.casefold(), name.casefold()) for table, names in personal.items() for name in names}
    harmless = {
        name.casefold()
        for name, origins in lineage.items()
        if not any((origin.table.casefold(), origin.column.casefold()) in hidden for origin in origins)
    }
    return frozenset(name for name in mart.columns if name.casefold() not in harmless and name != BATCH)


def catalogue_of(tree: dg.ComponentTree) -> Catalogue:
    """The tables of all components below a `defs` folder."""
    feeds = feeds_of(tree)
    tables = {table.name: table for spec in feeds for table in _tables_of(spec)}
    # Dagster finds subclasses of an abstract class as well as of others; its annotation does not say so.
    proven = tree.get_all_components(of_type=ProvenTable)  # type: ignore[type-abstract]
    marts = [mart for component in proven if (mart := component.mart(tree))]
    tables |= {mart.name: Table(mart.name, None, mart.columns, mart.key, frozenset(mart.key)) for mart in marts}
    for component in tree.get_all_components(of_type=SqlTable):
        spec = component.spec(tree)
        tables[spec.mart.name] = Table(
            spec.mart.name,
            spec.feed,
            spec.mart.columns,
            spec.mart.key,
            frozenset(spec.mart.columns) - spec.nullable,
            spec.description,
            spec.descriptions,
        )
    return Catalogue(tables, feeds, marts)


def _tables_of(spec: FeedSpec) -> list[Table]:
    feed, batch_type = spec.feed, spec.options.batching.sql_type
    meanings = {column.name: column.description for column in feed.columns if column.description}
    known = Table("", None if spec.options.snapshot else spec, descriptions={**PLATFORM_DESCRIPTIONS, **meanings})
    key = feed.primary_key
    # Keys are compared within the look-back: in a batch of long ago there may be the same one.
    batched = key if spec.options.snapshot or not key else (BATCH, *key)
    required = frozenset({BATCH, *key, *(column.name for column in feed.columns if column.required)})
    return [
        replace(known, name=spec.raw.to_user_string(), columns=raw_layout(feed, batch_type)),
        replace(
            known,
            name=spec.cleaned.to_user_string(),
            columns=cleaned_layout(feed, batch_type),
            key=batched,
            required=required,
            description=feed.description,
        ),
        replace(known, name=spec.rejected.to_user_string(), columns=rejected_layout(feed, batch_type)),
        *([_history_of(spec, known)] if spec.options.history else []),
    ]


def _history_of(spec: FeedSpec, known: Table) -> Table:
    key = (*spec.feed.primary_key, VALID_FROM)
    columns = history_layout(spec.feed)
    return replace(
        known, name=spec.history.to_user_string(), feed=None, columns=columns, key=key, required=frozenset(key)
    )
