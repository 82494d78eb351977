"""The values of the columns, some columns at a time: each different text with how often it stands in the samples.

    k  c       n
    0  R-1001  1        a row for each different text of column number k
    1  2,40    7

A query of its own for each column would spend more time on being planned than on values: 700 columns took minutes. So
columns are turned into rows, and one query serves many of them. How many at a time is limited by the number of their
values, and so is the memory.

Belongs here: what the texts are, and how many of them a type reads. Which type that is, is decided in `types`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.feed import Feed
from orchestration_project.formats.fields import BLANKS, stripped
from orchestration_project.ingest.values import text_of, value_of
from orchestration_project.inspection.drafting.options import CURRENCIES, PROBED_DECIMAL, TypeOption
from orchestration_project.warehouse.feed_tables import raw_table
from orchestration_project.warehouse.tables import ident, literal, literals

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NULL_WORDS = frozenset(
    "null na n/a #n/a nan none nil - -- --- ? . \\n (null) <null> #null! unknown error #error n.a. n.v. k.a. undefined"
    " missing not_available unbekannt #value! #ref! #div/0! #name? #num!".split()
)
"""Words, without case, that may stand for a missing value."""
CELLS = 3_000_000  # values of that many records and columns are looked at together
MOST_TRIED, FEWEST_TRIED, TRIED = 500, 60, 70_000
"""Different values of a column that decide its type; fewer of each where there are many columns."""
NARROW_DECIMAL = "DECIMAL(18,6)"
"""A cast to it takes a fiftieth of the time that one to `PROBED_DECIMAL` takes, whose numbers have 128 bits."""
ZEROS = r"[+-]?0\d+([.,]\d+)?"
"""00123 and 012.3: as numbers, they would lose their zeros."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is known of a column's texts.

    Attributes:
        name: of the column.
        present: records with a text.
        distinct: how many different ones.
        tried: some of them, with how often they occur; without words for missing values.
        words: the words for missing values among them, with how often they occur.
        zeros: texts that begin with a zero that a number would lose.
        shown: some of all texts.
    """

    name: str
    present: int
    distinct: int
    tried: Mapping[str, int]
    words: Mapping[str, int]
    zeros: int
    shown: Sequence[str]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a type fits all values of a column.

    Attributes:
        missing: records with a word for a missing value.
        misfits: records with a value that the type does not read.
        largest: of numbers, the largest absolute value.
        scale, written: of numbers, the most digits behind the point, without and with final zeros.
        exponents: how many numbers are written with an exponent.
    """

    missing: int
    misfits: int
    largest: float
    scale: int
    written: int
    exponents: int


class ColumnValues:
    """The values of some columns, in a temporary table as the module's docstring shows it."""

    def __init__(self, connection: "DuckDBPyConnection", feed: Feed, names: Sequence[str], most_tried: int) -> None:
        """Make the table.

        Args:
            connection: to the warehouse that the samples were read into.
            feed: the contract by which they were read.
            names: of the columns.
            most_tried: how many different values of a column may decide its type.
        """
        self._connection, self._names, self._most_tried = connection, names, most_tried
        self._numbers = {name: number for number, name in enumerate(names)}
        columns = ", ".join(map(ident, names))
        connection.execute(f"""CREATE OR REPLACE TEMP TABLE _values AS
            WITH cells AS (SELECT unnest(range({len(names)})) AS k, unnest([{columns}]) AS c FROM {raw_table(feed)}),
            texts AS (SELECT k, {stripped("c")} AS c FROM cells WHERE c IS NOT NULL)
            SELECT k, c, count(*) AS n FROM texts WHERE c <> '' GROUP BY ALL""")

    def texts(self) -> list[Texts]:
        """What is known of each column's texts, in the order of the columns."""
        # Ordered by a hash, the values are a mix of all samples, and the same at each draft.
        self._connection.execute(f"""CREATE OR REPLACE TEMP TABLE _tried AS
            WITH chosen AS (SELECT k, min_by(struct_pack(c, n), hash(c), {self._most_tried}) AS picked
                FROM _values WHERE lower(c) NOT IN ({literals(sorted(NULL_WORDS))}) GROUP BY k)
            SELECT k, unnest(picked, recursive := true) FROM chosen""")
        tried = self._by_column("SELECT k, map_from_entries(list((c, n) ORDER BY c)) FROM _tried GROUP BY k")
        words = self._by_column(
            f"""SELECT k, map_from_entries(list((c, n) ORDER BY c)) FROM _values
                WHERE lower(c) IN ({literals(sorted(NULL_WORDS))}) GROUP BY k"""
        )
        counts = self._by_column(
            f"""SELECT k, sum(n)::BIGINT, count(*),
                (sum(n) FILTER (c < '1' AND regexp_full_match(c, {literal(ZEROS)})))::BIGINT FROM _values GROUP BY k"""
        )
        return [self._texts(name, *(of.get(name) for of in (counts, tried, words))) for name in self._names]

    def _texts(
        self,
        name: str,
        counts: Sequence[int] | None,
        tried: Sequence[dict[str, int]] | None,
        words: Sequence[dict[str, int]] | None,
    ) -> Texts:
        present, distinct, zeros = counts or (0, 0, 0)
        some, missing = (tried or [{}])[0], (words or [{}])[0]
        return Texts(name, present, distinct, some, missing, zeros or 0, [*some, *missing])

    def scores(self, option: TypeOption, names: Iterable[str]) -> dict[str, int]:
        """How many of the records with the values that are tried a type reads, for some columns."""
        names = list(names)
        found = self._scores(_narrow(option), names)
        wide = [name for name, (read, tried) in found.items() if read < tried and option != _narrow(option)]
        found |= self._scores(option, wide) if wide else {}
        return {name: read for name, (read, _) in found.items()}

    def _scores(self, option: TypeOption, names: Iterable[str]) -> dict[str, tuple[int, int]]:
        reads = f"({value_of(option.column, text_of(option.column, 'c'))}) IS NOT NULL"
        rows = self._by_column(
            f"""SELECT k, coalesce(sum(n) FILTER ({reads}), 0)::BIGINT, sum(n)::BIGINT
                FROM _tried WHERE {self._are(names)} GROUP BY k"""
        )
        return {name: (read, tried) for name, (read, tried) in rows.items()}

    def fits(self, option: TypeOption, names: Iterable[str]) -> dict[str, Fit]:
        """How a type fits all values of some columns."""
        names = list(names)
        found = self._fits(_narrow(option), names)
        wide = [name for name, fit in found.items() if fit.misfits and option != _narrow(option)]
        return found | (self._fits(option, wide) if wide else {})

    def _fits(self, option: TypeOption, names: Iterable[str]) -> dict[str, Fit]:
        column = option.column
        point = literal(column.parsing.decimal_separator)
        # Without a sign of a currency behind it; an exponent decides anyway.
        digits = f"rtrim(split_part(t, {point}, 2), {literal(''.join(CURRENCIES) + BLANKS)})"
        sizes = (
            r"""max(abs(v::DOUBLE)), max(length(rtrim(digits, '0'))), max(length(digits)),
                sum(n) FILTER (v IS NOT NULL AND contains(lower(replace(t, 'EUR', '')), 'e'))"""
            if option.is_number
            else "0, 0, 0, 0"
        )
        rows = self._by_column(
            f"""WITH texts AS (SELECT k, n, {text_of(column, "c")} AS t FROM _values WHERE {self._are(names)}),
            read AS (SELECT k, n, t, {value_of(column, "t")} AS v, {digits} AS digits FROM texts)
            SELECT k, sum(n) FILTER (t IS NULL), sum(n) FILTER (t IS NOT NULL AND v IS NULL), {sizes}
            FROM read GROUP BY k"""
        )
        return {name: _fit(*row) for name, row in rows.items()}

    def _are(self, names: Iterable[str]) -> str:
        return f"k IN ({', '.join(str(self._numbers[name]) for name in names)})"

    def _by_column(self, query: str) -> dict[str, tuple[Any, ...]]:
        return {self._names[number]: tuple(row) for number, *row in self._connection.execute(query).fetchall()}


def _narrow(option: TypeOption) -> TypeOption:
    """The option to begin with: of most columns it reads all values, and then the given one reads them alike."""
    return replace(option, physical=NARROW_DECIMAL) if option.physical == PROBED_DECIMAL else option


def _fit(missing: int | None, misfits: int | None, *sizes: float | None) -> Fit:
    largest, scale, written, exponents = (size or 0 for size in sizes)
    return Fit(int(missing or 0), int(misfits or 0), largest, int(scale), int(written), int(exponents))


def in_parts(
    connection: "DuckDBPyConnection", feed: Feed, names: Sequence[str], records: int
) -> Iterator[ColumnValues]:
    """The values of all columns, as many columns at a time as may be held together.

    Args:
        connection: to the warehouse that the samples were read into.
        feed: the contract by which they were read.
        names: of the columns.
        records: how many there are.
    """
    together = max(CELLS // max(records, 1), 1)
    most = min(max(TRIED // len(names), FEWEST_TRIED), MOST_TRIED)
    for first in range(0, len(names), together):
        yield ColumnValues(connection, feed, names[first : first + together], most)
    connection.execute("DROP TABLE IF EXISTS _values; DROP TABLE IF EXISTS _tried")
