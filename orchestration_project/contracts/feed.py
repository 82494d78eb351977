"""What a contract says, as plain immutable data.

Belongs here: the `Feed` model and its rules, split by kind. Does not belong here: reading documents
(`odcs.py`, `build.py`) and executing rules (`orchestration_project.ingest`).
"""

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from orchestration_project.contracts.division import Division
from orchestration_project.contracts.fixed_width import FixedWidth, Span
from orchestration_project.contracts.ignored_rules import IgnoredRule
from orchestration_project.contracts.outside import FillDown, ValueFrom

MASK = "***"
"""Shown instead of a personal value."""
ALL_SHEETS = "*"
"""Stands for all sheets of a workbook that have the header; no sheet can have this name."""


class FileFormat(StrEnum):
    """How a feed's files are written. CSV covers every delimiter, TSV included; XLSX covers OpenDocument."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    XLSX = "xlsx"
    FIXED_WIDTH = "fixed_width"


# The repr of rules is a part of what loads remember of a contract (`ingest.fingerprints`). If a class or a field had
# another name, every batch of a deployed feed would count as validated by another contract.


@dataclass(frozen=True, slots=True)
class Required:
    """The value may not be missing."""

    # Without an annotation it belongs to the class, and is no field that somebody could set.
    rule = "required"


@dataclass(frozen=True, slots=True)
class Bound:
    """The value is limited on one side; `limit` is text in the column's own type (ISO for dates)."""

    rule: Literal["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"]
    # Never a float: 0.1 would be another limit than the 0.1 in a file.
    limit: str


@dataclass(frozen=True, slots=True)
class MultipleOf:
    """The number is a whole multiple of `step` (a decimal number as text, greater than zero)."""

    step: str
    rule = "multipleOf"


@dataclass(frozen=True, slots=True)
class Length:
    """The text has at least or at most `characters` characters."""

    rule: Literal["minLength", "maxLength"]
    characters: int


@dataclass(frozen=True, slots=True)
class Pattern:
    """The text contains a match of the regular expression (ECMA-262 search semantics; `^$` anchor it)."""

    regex: str
    rule = "pattern"


@dataclass(frozen=True, slots=True)
class TextFormat:
    """The text is an email, uuid, uri, hostname, ipv4 or ipv6; `regex` is anchored."""

    name: str
    regex: str
    rule = "format"


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of `values` (text in the column's own type)."""

    values: tuple[str, ...]
    rule = "enum"


Rule = Required | Bound | MultipleOf | Length | Pattern | TextFormat | OneOf


@dataclass(frozen=True, slots=True)
class Parsing:
    """How the text of one column becomes a value; nothing is guessed beyond it.

    Attributes:
        date_format: a DuckDB strptime pattern; None: ISO 8601.
        date_width: the exact number of characters, when every field of the pattern has a fixed width.
        date_regex: matches (in full) exactly the texts that the contract's pattern allows. strptime is laxer: it takes
            `1/2/20` for `d/M/yyyy`.
        has_timezone: whether the text itself has an offset.
        utc_letter: whether that offset may be a final `Z`, which strptime does not know.
        default_timezone: the zone of text without an offset.
    """

    null_words: tuple[str, ...] = ()
    trim: bool = True
    decimal_separator: str = "."
    thousands_separator: str = ""
    currency_symbols: tuple[str, ...] = ()
    date_format: str | None = None
    date_width: int | None = None
    date_regex: str | None = None
    has_timezone: bool = False
    utc_letter: bool = False
    default_timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the warehouse table.

    `source` is the header in the file and None for a derived column, whose `expression` is SQL over the columns that it
    `uses`. `sql_type` is a DuckDB type. `personal` columns are masked wherever values are shown. `span` is where a
    fixed width line has it. A column with `value_from` is not in the file; its `source` is its name in repair files.
    """

    name: str
    sql_type: str
    source: str | None
    aliases: tuple[str, ...] = ()
    expression: str | None = None
    uses: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()
    unique: bool = False
    parsing: Parsing = Parsing()
    description: str = ""
    classification: str = ""
    personal: bool = False
    span: Span | None = None
    value_from: ValueFrom | None = None
    fill_down: FillDown | None = None

    @property
    def is_in_records(self) -> bool:
        """Whether the records of files have the column."""
        return self.source is not None and self.value_from is None

    @property
    def required(self) -> bool:
        """Whether the contract forbids missing values."""
        return any(isinstance(rule, Required) for rule in self.rules)


# The names of the standard's fields: `quality` finds a rule's operator by them.
Operator = Literal[
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a measured number must be. The between operators have two `limits` (inclusive, smaller first)."""

    operator: Operator
    limits: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class MetricRule:
    """A library metric of the standard, measured for each batch of the cleaned table.

    `columns` is one column, several for `duplicateValues` of the whole object, and empty for `rowCount`.
    `missing_values` (None stands for NULL), `valid_values` and `pattern` are the arguments of `missingValues` and
    `invalidValues`.
    """

    name: str
    metric: Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
    comparison: Comparison
    columns: tuple[str, ...] = ()
    percent: bool = False
    missing_values: tuple[str | None, ...] = ()
    valid_values: tuple[str, ...] = ()
    pattern: str | None = None
    blocking: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class SqlRule:
    """A query that returns one number for a batch; `{table}` in it stands for the batch's rows of the cleaned table."""

    name: str
    query: str
    comparison: Comparison
    blocking: bool = False
    description: str = ""


QualityRule = MetricRule | SqlRule


@dataclass(frozen=True, slots=True)
class SourceFormat:
    """How the files of a feed are written.

    `delimiter` None means: the one of comma, semicolon, tab and pipe by which the header line splits into the feed's
    columns. `encoding` is tried for files without a byte order mark that are not UTF-8; None: only UTF-8 is accepted.
    `sheet` is of workbooks: a sheet's name, its number from 1, or `ALL_SHEETS`; None: the one sheet with the header.
    `fixed` tells how lines of fixed width are cut, `records_path` which keys lead to the records of JSON documents.
    """

    format: FileFormat = FileFormat.CSV
    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
    # Not in the text by which loads know how files were read: it was the same text before there were these.
    sheet: str | int | None = field(default=None, repr=False)
    fixed: FixedWidth | None = field(default=None, repr=False)
    records_path: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def consecutive(self) -> bool:
        """Whether a file's records are numbered from 1 without gaps; in a workbook they have the numbers of rows."""
        return self.format is not FileFormat.XLSX


@dataclass(frozen=True, slots=True)
class Feed:
    """A contract: what the files of one feed must look like, and what its tables hold.

    `primary_key` names columns in key order; where it is empty, nothing is deduplicated. `latency` is how long after
    a batch its data may be missing, `frequency` how often it comes, `available_at` by when it is promised (with
    an offset, or in the feed's time zone). `first_name` is that of a renamed feed, by which its rejects are identified.
    `ignored` tells which records are no data: the first rule that holds counts. `division` divides files into batches.
    """

    name: str
    version: str
    columns: tuple[Column, ...]
    source: SourceFormat = SourceFormat()
    primary_key: tuple[str, ...] = ()
    quality: tuple[QualityRule, ...] = ()
    latency: dt.timedelta | None = None
    frequency: dt.timedelta | None = None
    available_at: tuple[dt.time, ...] = ()
    owners: tuple[str, ...] = ()
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    first_name: str = ""
    ignored: tuple[IgnoredRule, ...] = ()
    division: Division | None = None

    @property
    def source_columns(self) -> tuple[Column, ...]:
        """The columns that are read from files, or are told by what is around their records: the raw table's."""
        return tuple(column for column in self.columns if column.source is not None)

    @property
    def record_columns(self) -> tuple[Column, ...]:
        """The columns that the records of files have."""
        return tuple(column for column in self.columns if column.is_in_records)

    @property
    def given_columns(self) -> tuple[Column, ...]:
        """The columns that are told by what is around the records, such as the file's name."""
        return tuple(column for column in self.columns if column.value_from is not None)

    @property
    def derived_columns(self) -> tuple[Column, ...]:
        """The columns that are computed, in an order in which each uses only earlier ones."""
        return tuple(column for column in self.columns if column.source is None)

    def sources_of(self, column: Column) -> tuple[str, ...]:
        """The names of the columns of the file that a column is computed from, directly or through others."""
        if column.source is not None:
            return (column.name,)
        # It comes to an end: a contract whose columns use each other in a circle is refused.
        used = [self.sources_of(other) for other in self.columns if other.name in column.uses]
        return tuple(dict.fromkeys(name for names in used for name in names))

    @property
    def personal_columns(self) -> frozenset[str]:
        """Names of the columns whose values are masked."""
        return frozenset(column.name for column in self.columns if column.personal)
