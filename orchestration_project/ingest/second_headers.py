"""Find files that hold more than one table: what stands below another header is no data of the first one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.fields import is_written_in_digits, stripped
from orchestration_project.formats.header import spellings
from orchestration_project.warehouse.quoting import ident, literals
from orchestration_project.warehouse.tables import is_empty

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class SecondHeader:
    """The first record of a file that is the header of another table."""

    file: str
    version: str
    row: int


def second_headers(connection: "DuckDBPyConnection", feed: Feed, validated: str, records: str) -> list[SecondHeader]:
    """The second headers among the validated records.

    A record is one when it breaks a rule and at least half of what is in it are names of columns: two of them, or one
    in that column's own place. Where every column is text, and a header would break nothing, all of it has to be names:
    some of them may well be data.

    Args:
        connection: to the warehouse.
        feed: the contract.
        validated: relation of the validated records.
        records: relation of their text.
    """
    names = literals(_names(feed))
    texts = [f"lower({stripped(ident(column.name))})" for column in feed.source_columns]
    named = " + ".join(f"coalesce({text} IN ({names}), false)::INTEGER" for text in texts)
    own = " OR ".join(
        f"coalesce({text} IN ({literals(sorted(spellings(column)))}), false)"
        for text, column in zip(texts, feed.source_columns, strict=True)
    )
    filled = " + ".join(f"coalesce({text} <> '', false)::INTEGER" for text in texts)
    several = f"({named}) > 1 OR {own}"
    typed = any(column.sql_type != "VARCHAR" for column in feed.source_columns)
    condition, share = (f"_reasons IS NOT NULL AND {_may_be_header(feed)}", 2) if typed else ("true", 1)
    if is_empty(connection, f"{validated} WHERE {condition}"):
        return []
    # Materialized where few records are suspects: else all would be looked at before they are joined with these few.
    kind = "MATERIALIZED" if typed else "NOT MATERIALIZED"
    rows = connection.execute(
        f"""
        WITH suspects AS {kind} (
            FROM {records} SEMI JOIN (SELECT _rid FROM {validated} WHERE {condition}) USING (_rid))
        SELECT _file, _file_version, min(_row) FROM suspects
        WHERE _parse_error IS NULL AND ({named}) * {share} >= ({filled}) AND ({several})
        AND ({filled}) >= {min(2, len(texts))}
        GROUP BY _file, _file_version"""
    ).fetchall()
    return [SecondHeader(*row) for row in rows]


def _may_be_header(feed: Feed) -> str:
    """A condition that holds for each validated record of which half of what was in it may be names of columns.

    It spares a look at the text of all records for those that break rules otherwise: a value that is there tells what
    the text was. Each column that is surely filled with something else weighs against the ones that may be names.
    """
    names = _names(feed)
    listed, plain = literals(names), not any(character.isdigit() for name in names for character in name)
    weights = []
    for column in feed.source_columns:
        value = ident(column.name)
        if column.sql_type == "VARCHAR":
            absent = int(bool(column.parsing.null_words))
            weights.append(
                f"CASE WHEN {value} IS NULL THEN {absent} WHEN lower({stripped(value)}) IN ({listed})"
                " THEN 1 ELSE -1 END"
            )
        elif plain and is_written_in_digits(column.sql_type):
            weights.append(f"CASE WHEN {value} IS NULL THEN 1 ELSE -1 END")
        else:
            weights.append("1")
    return f"({' + '.join(weights)}) >= 0"


def _names(feed: Feed) -> list[str]:
    """All names under which files may carry the contract's columns."""
    return sorted(set().union(*(spellings(column) for column in feed.source_columns)))
