"""Columns that have a value on the first record of a group only, as exports have it that write an order's lines.

    order  status  total  sku
    #1001  paid    50.00  A-1      status and total stand on the first line of an order only
    #1001                 A-2  ->  status: {within: order} is filled down
    #1002  open     7.50  A-1      total is not: added up, it would count for each line

What belongs to an order holds for each of its lines, except amounts. It is proposed only where the samples prove that
no later record of a group has a value; two columns whose gaps are alike by chance are not enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.fields import stripped
from orchestration_project.inspection.drafting.codes import IS_ID
from orchestration_project.inspection.drafting.names import personal_because
from orchestration_project.inspection.drafting.types import Guess
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FEWEST_GROUPS = 20
"""So many groups of several records have to have a value on their first record only. Of fewer it may be by chance."""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of records, and the columns with a value on the first record of a group only.

    Attributes:
        within: the column that is the same in all records of a group; empty if there are no such groups.
        filled: what may be filled down.
        amounts: what would be counted several times then.
    """

    within: str = ""
    filled: tuple[str, ...] = ()
    amounts: tuple[str, ...] = ()


def groups_among(connection: "DuckDBPyConnection", feed: Feed, guesses: Mapping[str, Guess], files: int) -> Groups:
    """The groups that the samples prove; none as a rule.

    Args:
        connection: to the warehouse that the samples were read into, without records that are no data.
        feed: the contract by which they were read.
        guesses: what the columns of the records are, by name.
        files: how many samples there are.
    """
    sparse = {name: guess for name, guess in guesses.items() if 0 < guess.missing < guess.records}
    for within in _possible(guesses, sparse, files):
        if found := _first_only(connection, feed, within, list(sparse)):
            amounts = tuple(name for name in found if guesses[name].option.is_number and not IS_ID.search(name))
            return Groups(within, tuple(name for name in found if name not in amounts), amounts)
    return Groups()


def _possible(guesses: Mapping[str, Guess], sparse: Mapping[str, Guess], files: int) -> list[str]:
    """The columns that may tell groups, those that are called ids first."""
    # Counted before any record is read once more: a column with a value for each group has as many values as groups.
    values = {guess.records - guess.missing for guess in sparse.values()}
    found = [
        name
        for name, guess in guesses.items()
        if not guess.missing
        and FEWEST_GROUPS <= guess.distinct < guess.records
        and any(guess.distinct <= count <= guess.distinct * files for count in values)
        and guess.option.logical in ("string", "integer")
        and not personal_because(name, guess.values)
    ]
    return sorted(found, key=lambda name: IS_ID.search(name) is None)


def _first_only(connection: "DuckDBPyConnection", feed: Feed, within: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that no record of a group has but its first; empty unless one of them has each first record."""
    counts = ", ".join(
        f"count(*) FILTER (_first AND _filled[{place}] AND _several), count(*) FILTER (_first <> _filled[{place}]),"
        f" count(*) FILTER (_filled[{place}] AND NOT _first)"
        for place in range(1, len(columns) + 1)
    )
    group, texts = stripped(ident(within)), ", ".join(stripped(ident(name)) for name in columns)
    row = connection.execute(
        f"""WITH texts AS (SELECT _file, _file_version, _row, {group} AS _group,
                list_transform([{texts}], lambda _text: coalesce(_text, '') <> '') AS _filled
            FROM {ident(raw_table(feed))}),
        records AS (SELECT _filled, lag(_group) OVER _order IS DISTINCT FROM _group AS _first,
                lead(_group) OVER _order IS NOT DISTINCT FROM _group AS _several
            FROM texts WINDOW _order AS (PARTITION BY _file, _file_version ORDER BY _row))
        SELECT {counts} FROM records"""
    ).fetchone()
    found = list(row or ())
    of_columns = {name: found[3 * place : 3 * place + 3] for place, name in enumerate(columns)}
    if not any(groups >= FEWEST_GROUPS and not other for groups, other, _ in of_columns.values()):
        return ()
    return tuple(name for name, (groups, _, below) in of_columns.items() if groups >= FEWEST_GROUPS and not below)
