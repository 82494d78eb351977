"""Judge raw records: one pass gives every record its values and every rule that it broke.

The result is the temporary table `_judged`: `_rid` (the record's in `_records`), the platform's columns, the contract's
columns as values, and `_reasons`, NULL for a record that breaks nothing. Blank records are left out.
"""

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed, Required
from orchestration_project.formats.fields import stripped
from orchestration_project.ingest.relations import RECORDS, show_records
from orchestration_project.ingest.values import Condition, source_conditions, text_of, value_conditions, value_of
from orchestration_project.warehouse.feed_tables import PLATFORM_COLUMNS
from orchestration_project.warehouse.quoting import ident, idents, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PLATFORM = ("_rid", *PLATFORM_COLUMNS, "_rescued")


def judge(connection: "DuckDBPyConnection", feed: Feed, condition: str, more: bool = False) -> int:
    """Make the view `_records`, and fill `_judged` with those of them for which `condition` holds.

    Args:
        connection: with `_staged` and `_removed`.
        feed: the contract.
        condition: SQL over the raw table's columns.
        more: keep what `_judged` has.

    Returns:
        How many it has then.
    """
    # What is judged already may be anywhere in the raw table.
    show_records(connection, feed, "true" if more else condition)
    select = judged_select(feed, condition)
    if more:
        # Made anew, since the files of the records that are there may be an enumeration, which has no place for others.
        select = f"FROM _judged UNION ALL BY NAME {select}"
    judged = connection.execute(f"CREATE OR REPLACE TEMP TABLE _judged AS {select}").fetchone()
    return int(judged[0]) if judged else 0


def judged_select(feed: Feed, condition: str) -> str:
    """The query behind `_judged`."""
    texts = {column.name: f"_t{index}" for index, column in enumerate(feed.source_columns)}
    query = f"SELECT * FROM {RECORDS} WHERE {condition} AND ({filled(feed)})"
    text_columns = [f"{text_of(column, ident(column.name))} AS {texts[column.name]}" for column in feed.source_columns]
    query = f"SELECT {idents(PLATFORM)}, _parse_error, {', '.join(text_columns)} FROM ({query})"
    values = [f"{value_of(column, texts[column.name])} AS {ident(column.name)}" for column in feed.source_columns]
    query = f"SELECT *, {', '.join(values)} FROM ({query})"
    for column in feed.derived_columns:
        query = f"SELECT *, TRY({_computed(column)}) AS {ident(column.name)} FROM ({query})"
    names = idents([*PLATFORM, *(column.name for column in feed.columns)])
    return f"SELECT {names}, {_reasons(feed, list(_conditions(feed, texts)))} AS _reasons FROM ({query})"


def judging_of(feed: Feed) -> str:
    """Identifies what decides values and verdicts: another contract or engine may make other rows of equal records."""
    import duckdb

    return hashlib.sha256(f"{duckdb.__version__}: {judged_select(feed, 'true')}".encode()).hexdigest()[:16]


def _computed(column: Column) -> str:
    return f"CAST(({column.expression}) AS {column.sql_type})"


def filled(feed: Feed) -> str:
    """A condition over the raw table that holds for all records but blank ones, which are nothing but empty fields.

    As a filter DuckDB looks at the next operand of an OR only for the rows for which no earlier one holds; mostly the
    first field decides.
    """
    fields = [f"{stripped(ident(column.name))} <> ''" for column in feed.source_columns]
    return " OR ".join([*fields, "_rescued IS NOT NULL", "_parse_error IS NOT NULL"])


def _conditions(feed: Feed, texts: dict[str, str]) -> Iterator[Condition]:
    for column in feed.source_columns:
        yield from source_conditions(column, texts[column.name])
    for column in feed.derived_columns:
        # NULL in the place of a value that can't be computed or does not fit would be a guess.
        failed = f"{ident(column.name)} IS NULL AND TRY(({_computed(column)}) IS NULL) IS NULL"
        yield Condition(f"{column.name}: type", failed)
        yield from value_conditions(column)


def _reasons(feed: Feed, conditions: list[Condition]) -> str:
    lacking = [
        Condition(f"{column.name}: {Required.rule}", f"{ident(column.name)} IS NULL")
        for column in feed.derived_columns
        if column.required
    ]
    # A computed value that is missing because something else is wrong is no fault of its own.
    return (
        "CASE WHEN _parse_error IS NOT NULL THEN ['_raw_line: ' || split_part(_parse_error, ':', 1)]"
        f" {_listed(conditions)} {_listed(lacking)} END"
    )


def _listed(conditions: list[Condition]) -> str:
    """WHEN clause that gives the reasons of the conditions that hold, if any does."""
    if not conditions:
        return ""
    # The list is built only for the few records that break something; for the others one boolean is all the work.
    any_broken = " OR ".join(f"({item.broken})" for item in conditions)
    reasons = ", ".join(f"CASE WHEN {item.broken} THEN {literal(item.reason)} END" for item in conditions)
    return f"WHEN {any_broken} THEN list_filter([{reasons}], lambda reason: reason IS NOT NULL)"
