"""Repair files: rejected records as plain CSV, out to whoever corrects them and back again.

    the contract's columns under their names in files, _reject_id, _reasons, _raw_line

`_reject_id` tells which record is corrected; `_reasons` and `_raw_line` are for the reader and not read back. The files
are opened in spreadsheets, which execute what looks like a formula: such a text gets an apostrophe in front, and
loses it on the way back.

    =1+1   ->   '=1+1   ->   =1+1
    '=1    ->   ''=1    ->   '=1
    -1.5   ->   -1.5              a plain number

Writing the files and choosing their records is the work of the package `rejects`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Column, Feed, Required, SourceFormat
from orchestration_project.formats.delimited import stage_delimited, values_of
from orchestration_project.formats.fields import BLANKS
from orchestration_project.formats.header import REJECT_ID, Header
from orchestration_project.formats.staging import ReadyFile
from orchestration_project.storage.batches import is_repair
from orchestration_project.warehouse.feed_tables import REPAIRS
from orchestration_project.warehouse.tables import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOR_THE_READER = ("_reasons", "_raw_line")
# Apostrophes in front count, so that a text which had one keeps it: `'=1` becomes `''=1`.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
# Spreadsheets take a number with an apostrophe for text, and it is no formula.
NUMBER = re.compile(r"[+-]?[.,]?[0-9]+([.,][0-9]+)*([eE][+-]?[0-9]+)?")
# What FORMULA matches once it was protected, for DuckDB.
PROTECTED = r"^''*[=+\-@\t\r]"


def form_of(feed: Feed, name: str) -> Feed:
    """The contract by which a file is read: a repair file is the same CSV, whatever the feed's own files are."""
    return repair_form(feed) if is_repair(name) else feed


def repair_form(feed: Feed) -> Feed:
    """The contract of a feed's repair files."""
    # A name in the header may look like a formula, too; a spreadsheet gives it back protected.
    # What is around a reject's own file is not around a repair file: so the values stand in its columns.
    columns = [
        replace(column, aliases=(*column.aliases, protected(_source(column))), value_from=None)
        for column in feed.source_columns
    ]
    target = Column(REPAIRS, "VARCHAR", REJECT_ID, rules=(Required(),))
    others = [Column(name, "VARCHAR", name) for name in FOR_THE_READER]
    return replace(feed, source=SourceFormat(delimiter=","), columns=(*columns, target, *others))


def repair_header(feed: Feed) -> list[str]:
    """The header of a feed's repair files."""
    return [protected(name) for name in (*map(_source, feed.source_columns), REJECT_ID, *FOR_THE_READER)]


def _source(column: Column) -> str:
    return column.source or column.name


def protected(text: str) -> str:
    """The text as a spreadsheet may open it; `unprotected` gives it back."""
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unprotected(text: str) -> str:
    """SQL for the text that was protected."""
    return f"CASE WHEN regexp_matches({text}, {literal(PROTECTED)}) THEN substr({text}, 2) ELSE {text} END"


def stage_repairs(connection: "DuckDBPyConnection", feed: Feed, files: Sequence[ReadyFile]) -> None:
    """Add every record of repair files to `_staged`.

    Raises:
        FilesUnfit: names the files that can't be loaded.
    """
    names = {column.name for column in feed.source_columns}

    def values(header: Header) -> dict[str, str]:
        given = values_of(header)
        own = {name: unprotected(given[name]) for name in names & given.keys()}
        platform = {name: given[name] for name in ("_rescued", "_raw_line", "_parse_error") if name in given}
        # '' where the column is empty; a record that could not be split has NULL.
        return own | platform | {REPAIRS: f"trim(coalesce({given[REPAIRS]}, ''), {literal(BLANKS)})"}

    # The feed's own files are read after these.
    stage_delimited(connection, repair_form(feed), files, values, last=False)
