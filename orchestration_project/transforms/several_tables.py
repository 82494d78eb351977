"""Find files that hold more than one table: what stands below another header is no data of the first one."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.transforms.header import spellings
from orchestration_project.transforms.raw import raw_table
from orchestration_project.transforms.records import BLANKS
from orchestration_project.warehouse.sql import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class SecondHeader:
    """The first record of a file that is the header of another table."""

    file: str
    version: str
    row: int


def second_headers(connection: "DuckDBPyConnection", feed: Feed) -> list[SecondHeader]:
    """The second headers among the records of `_judged`.

    A record is one when it breaks a rule and at least half of what is in it are names of columns: two of them, or one
    in that column's own place. Where every column is text, and a header would break nothing, all of it has to be names:
    some of them may well be data.
    """
    names = literals(sorted(set().union(*(spellings(column) for column in feed.source_columns))))
    texts = [f"lower(trim({ident(column.name)}, {literal(BLANKS)}))" for column in feed.source_columns]
    named = " + ".join(f"coalesce({text} IN ({names}), false)::INTEGER" for text in texts)
    own = " OR ".join(
        f"coalesce({text} IN ({literals(sorted(spellings(column)))}), false)"
        for text, column in zip(texts, feed.source_columns, strict=True)
    )
    filled = " + ".join(f"coalesce({text} <> '', false)::INTEGER" for text in texts)
    typed = any(column.sql_type != "VARCHAR" for column in feed.source_columns)
    several = f"({named}) > 1 OR {own}"
    condition, share = ("_reasons IS NOT NULL", 2) if typed else ("true", 1)
    rows = connection.execute(
        f"""SELECT _file, _file_version, min(_row)
            FROM {ident(raw_table(feed))} AS raw
            SEMI JOIN (SELECT _rid FROM _judged WHERE {condition}) ON raw.rowid = _rid
            WHERE _parse_error IS NULL AND ({named}) * {share} >= ({filled}) AND ({several})
            AND ({filled}) >= {min(2, len(texts))}
            GROUP BY _file, _file_version"""
    ).fetchall()
    return [SecondHeader(*row) for row in rows]
