"""Which staged records are no data: `_ignored` gets the name of the first rule of the contract that holds for each.

    contract: {name: totals, condition: label = 'Total'}, {name: signature, last: 1}
    record  1  Mug,    3   ->  NULL
            2  Total,  3   ->  totals
            3  (blank)     ->  NULL: it is blank
            4  signed      ->  signature

It is decided when a file is read, and noted in the raw table. So what is cleaned and rejected stays a function of that
table, and a contract that ignores other records has all files read again (`fingerprints.reading_of`).

Belongs here: the marks. What a total is used for is in `control_totals`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.contracts.ignored import RAW_LINE
from orchestration_project.contracts.ignored_rules import IgnoredLast, IgnoredPrefix, IgnoredRule, IgnoredWhere
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.staging import STAGED, ReadyFile
from orchestration_project.ingest.relations import ENDINGS, MARKED
from orchestration_project.ingest.values import filled, text_of
from orchestration_project.storage.batches import is_repair
from orchestration_project.warehouse.feed_tables import IGNORED
from orchestration_project.warehouse.tables import ident, idents, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE = "_batch_date, _file, _file_version"


def shown_in(feed: Feed) -> str:
    """The relation that shows a feed's staged records with their marks."""
    return MARKED if feed.ignored else STAGED


def mark_ignored(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Make the view `_marked`, if the feed ignores records: all staged records, with `_ignored`.

    Args:
        connection: with the staged records.
        feed: the contract.
        files: what was staged. No record of a repair file is ignored: it brings a record that somebody has corrected.
    """
    if not feed.ignored:
        return
    repairs = sorted({file.name for file in files if is_repair(file.name)})
    data = f"coalesce({filled(feed)}, false)" + (f" AND _file NOT IN ({literals(repairs)})" if repairs else "")
    last = max((rule.records for rule in feed.ignored if isinstance(rule, IgnoredLast)), default=0)
    if last:
        connection.execute(_endings(data, last))
    connection.execute(f"CREATE OR REPLACE TEMP VIEW {MARKED} AS {_marked(feed, data, bool(last))}")


def _endings(data: str, records: int) -> str:
    """Statement that makes a table of each file's first record of the last ones that are not blank."""
    return f"""CREATE OR REPLACE TEMP TABLE {ENDINGS} AS
        SELECT {FILE}, list_min(max(_row, {records})) AS _end FROM {STAGED} WHERE {data} GROUP BY {FILE}"""


def _marked(feed: Feed, data: str, with_endings: bool) -> str:
    """Query of the staged records with their marks.

    Conditions see the text that counts (without padding, NULL where nothing or a word for it stands) under the names of
    the columns; the raw text waits under another name meanwhile.
    """
    texts = _texts(feed)
    raw = {name: f"_r{place}" for place, name in enumerate(texts)}
    kept = [f"s.{ident(name)} AS {other}" for name, other in raw.items()]
    shown = [f"{text} AS {ident(name)}" for name, text in texts.items()]
    rest = f"s.* EXCLUDE ({idents(raw)})" if raw else "s.*"
    ending, join = (", e._end", f"LEFT JOIN {ENDINGS} e USING ({FILE})") if with_endings else ("", "")
    dropped = [*raw.values(), *(["_end"] if with_endings else []), "_is_data"]
    back = "".join(f", {other} AS {ident(name)}" for name, other in raw.items())
    cases = " ".join(f"WHEN {holds} THEN {literal(name)}" for name, holds in _conditions(feed.ignored))
    inner = ", ".join([rest, f"{data} AS _is_data", *shown, *kept]) + ending
    return f"""
        SELECT * EXCLUDE ({", ".join(dropped)})
            REPLACE (CASE WHEN NOT _is_data THEN NULL {cases} END AS {IGNORED}{back})
        FROM (SELECT {inner} FROM {STAGED} s {join})"""


def _texts(feed: Feed) -> dict[str, str]:
    """SQL for the text that counts of each column that a condition asks for, a broken record's line among them."""
    asked = {name for rule in feed.ignored if isinstance(rule, IgnoredWhere) for name in rule.uses}
    texts = {
        column.name: text_of(column, f"s.{ident(column.name)}")
        for column in feed.source_columns
        if column.name in asked
    }
    # In a JSON array an element has blanks before it, where the comma and the line end stood.
    line = f"nullif(trim(s.{RAW_LINE}, {literal(BLANKS)}), '')"
    return texts | ({RAW_LINE: line} if RAW_LINE in asked else {})


def _conditions(rules: Sequence[IgnoredRule]) -> Iterator[tuple[str, str]]:
    """The name of each rule, and SQL that is true for the records for which it holds."""
    for rule in rules:
        if isinstance(rule, IgnoredPrefix):
            begins = f"starts_with(ltrim({RAW_LINE}, {literal(BLANKS)}), {literal(rule.prefix)})"
            yield rule.name, f"coalesce({IGNORED} = {literal(rule.name)} OR {begins}, false)"
        elif isinstance(rule, IgnoredLast):
            yield rule.name, "_row >= _end"
        else:
            # A record that could not be split has no values: `sku IS NULL` would hold for each of them, and nobody
            # would be told of what is broken.
            whole = "" if RAW_LINE in rule.uses else "_parse_error IS NULL AND "
            # TRY: a cast in it may fail for a text.
            yield rule.name, f"{whole}coalesce(TRY({rule.condition}), false)"
