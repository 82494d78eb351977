"""Which records of a file are no data, and whether the others add up to its total: without SQL.

A condition is drawn as terms, all of which have to hold. The contract gets them as SQL, the oracle reads the terms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from hypothesis import strategies as st

from orchestration_project.contracts.feed import Column, FileFormat
from orchestration_project.contracts.ignored_rules import IgnoredLast, IgnoredPrefix, IgnoredRule, IgnoredWhere
from orchestration_project_tests.oracle.delimited import Record, Refused
from orchestration_project_tests.oracle.values import BLANKS, Contract, NoValue, plain, significant, value_of

LINE = "_raw_line"


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a condition: nothing stands in a column (`text` None), or a text does, or begins what does."""

    column: str
    text: str | None = None
    begins: bool = False

    @property
    def sql(self) -> str:
        """The term in SQL."""
        name = '"' + self.column.replace('"', '""') + '"'
        if self.text is None:
            return f"{name} IS NULL"
        text = "'" + self.text.replace("'", "''") + "'"
        return f"STARTS_WITH({name}, {text})" if self.begins else f"{name} = {text}"

    def holds(self, found: str | None) -> bool:
        """Whether it holds for what stands in the column."""
        if self.text is None or found is None:
            return self.text is found
        return found.startswith(self.text) if self.begins else found == self.text


Meanings = Mapping[str, tuple[Term, ...]]
"""The terms of each condition, by the name of its rule."""


def ignored(contract: Contract, meanings: Meanings, records: Sequence[Record]) -> dict[int, str]:
    """The name of the rule by which records are ignored, by their numbers."""
    filled = [place for place, record in enumerate(records, start=1) if not record.blank]
    found = {}
    for place in filled:
        record = records[place - 1]
        holding = (
            rule.name for rule in contract.feed.ignored if holds(contract, meanings, rule, record, place, filled)
        )
        if (name := next(holding, None)) is not None:
            found[place] = name
    return found


def holds(
    contract: Contract, meanings: Meanings, rule: IgnoredRule, record: Record, place: int, filled: Sequence[int]
) -> bool:
    """Whether a rule holds for a record at a place; `filled` are the places of all that are not blank."""
    if isinstance(rule, IgnoredLast):
        return place in filled[-rule.records :]
    if isinstance(rule, IgnoredPrefix):
        return record.beginning.lstrip(BLANKS).startswith(rule.prefix)
    terms = meanings[rule.name]
    # Of a record that could not be split only its line is there: a condition that does not ask for it says nothing.
    if record.unsplit and all(term.column != LINE for term in terms):
        return False
    columns = {column.name: column for column in contract.feed.source_columns}
    return all(term.holds(text_in(record, term.column, columns)) for term in terms)


def text_in(record: Record, name: str, columns: Mapping[str, Column]) -> str | None:
    """The text that counts in a column of a record, or its line if it could not be split."""
    if name == LINE:
        return record.beginning.strip(BLANKS) or None if record.unsplit else None
    cell = significant(record.cells.get(name), columns[name])
    return None if cell is None else plain(cell)


def ensure_totals(contract: Contract, records: Sequence[Record], marks: Mapping[int, str]) -> None:
    """Make sure that the records add up to each total that a contract insists on.

    Raises:
        Refused: they do not, or there is not one record with the total.
    """
    for rule in contract.feed.ignored:
        for total in rule.totals:
            column = next(item for item in contract.feed.source_columns if item.name == total.column)
            told = [record for place, record in enumerate(records, start=1) if marks.get(place) == rule.name]
            data = [record for place, record in enumerate(records, start=1) if place not in marks]
            scale = column.sql_type.partition(",")[2].rstrip(")") or "0"
            wide = replace(column, sql_type=f"DECIMAL(38,{scale})")
            figures = [figure(record, wide) for record in told]
            amount = sum((figure(record, column) or Decimal(0) for record in data), Decimal(0))
            if total.blocking and figures != [amount]:
                raise Refused("control_total")


def figure(record: Record, column: Column) -> Decimal | None:
    """The number in a column of a record; None where there is none that can be read."""
    cell = significant(record.cells.get(column.name), column)
    try:
        return None if cell is None else Decimal(str(value_of(cell, column, None)))
    except NoValue:
        return None


@st.composite
def ignoring(draw: st.DrawFn, contract: Contract, texts: Mapping[str, Sequence[str]]) -> tuple[Contract, Meanings]:
    """The contract with up to three rules for records that are no data, and what its conditions mean."""
    plainly = [column for column in contract.feed.record_columns if column.sql_type == "VARCHAR"]
    terms = [Term(column.name) for column in contract.feed.record_columns]
    for column in plainly:
        words = [text for item in texts[column.name] if (text := item.strip(BLANKS)) and "\0" not in text][:6]
        terms += [Term(column.name, word, begins) for word in words for begins in (False, True)]
    terms += [Term(LINE, text, begins=True) for text in ("a", '"', "{", "#")]
    # Rows of typed values have no lines.
    choices = ["totals", "notes", "ends", *["comments"] * (contract.feed.source.format is not FileFormat.PARQUET)]
    rules, meanings = list[IgnoredRule](), dict[str, tuple[Term, ...]]()
    for name in draw(st.lists(st.sampled_from(choices), min_size=1, max_size=3, unique=True)):
        if name == "ends":
            rules.append(IgnoredLast(name, draw(st.integers(1, 3))))
        elif name == "comments":
            rules.append(IgnoredPrefix(name, draw(st.sampled_from(["#", "a", "1", "--"]))))
        else:
            meanings[name] = tuple(draw(st.lists(st.sampled_from(terms), min_size=1, max_size=2, unique=True)))
            names = tuple(dict.fromkeys(term.column for term in meanings[name]))
            rules.append(IgnoredWhere(name, " AND ".join(term.sql for term in meanings[name]), names))
    return replace(contract, feed=replace(contract.feed, ignored=tuple(rules))), meanings
