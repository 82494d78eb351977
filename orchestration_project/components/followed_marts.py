"""The marts that `where` follows a record into, and which columns of their keys it must not show.

A column of a mart has no classification of its own. What it is made from has one: so a key is shown only if its origin
is known, and no personal column is among it.
"""

from collections.abc import Mapping

import dagster as dg

from orchestration_project.components.feed_metadata import query_lineage
from orchestration_project.components.file_feed import feeds_of
from orchestration_project.components.proofs import ProvenTable
from orchestration_project.inspection.lookup.mart_rows import FollowedMart, in_order
from orchestration_project.inspection.rule_checks import hidden_columns
from orchestration_project.warehouse.feed_tables import tables_of
from orchestration_project.warehouse.mart_definition import Mart
from orchestration_project.warehouse.tables import BATCH


def followed_marts(tree: dg.ComponentTree) -> list[FollowedMart]:
    """The marts below a `defs` folder that a SELECT makes, each after those that it is made from."""
    # Dagster finds subclasses of an abstract class as well as of others; its annotation does not say so.
    tables = tree.get_all_components(of_type=ProvenTable)  # type: ignore[type-abstract]
    marts = [mart for table in tables if (mart := table.mart(tree))]
    hidden = {table: hidden_columns(spec.feed) for spec in feeds_of(tree) for table in tables_of(spec.feed)}
    found = []
    for followed in in_order([FollowedMart(mart) for mart in marts]):
        mart = followed.mart
        hidden[mart.name] = hidden_of(mart, hidden)
        found.append(FollowedMart(mart, hidden[mart.name]))
    return found


def hidden_of(mart: Mart, hidden: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The columns of a mart that may hold what is hidden in its inputs, or whose origin can't be told.

    Args:
        mart: the mart.
        hidden: by table, the columns that are not shown.
    """
    from sqlglot.errors import SqlglotError

    if not any(hidden.get(table) for table in mart.inputs):
        return frozenset()
    try:
        lineage = query_lineage(mart.query, mart.inputs)
    except (SqlglotError, ValueError, KeyError):
        lineage = {}
    # Names in SQL have no case, and the lineage has them in small letters.
    unseen = {(table.casefold(), name.casefold()) for table, names in hidden.items() for name in names}
    shown = {
        name
        for name, origins in lineage.items()
        if origins and not any((origin.table.casefold(), origin.column.casefold()) in unseen for origin in origins)
    }
    return frozenset(mart.columns) - shown - {BATCH}
