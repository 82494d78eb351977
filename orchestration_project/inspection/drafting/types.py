"""Guess the types of columns from the values of the samples.

Each type that a contract can declare is an option. Options are written as a contract has them, read by the contract's
own reader, and tried on the values with the SQL by which a load reads values: so a draft never promises what a load
does not do. How a guess is written into the draft is in `render`.

    options that a value has the form of   ->   tried on some values   ->   the best of each meaning counted on all
    ->   one of them, by the values, by what the other columns are like, by what is likelier; doubts are told
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestration_project.contracts.feed import Feed
from orchestration_project.inspection.drafting.codes import IS_CODE, IS_DAY, IS_ID, is_code, without_year
from orchestration_project.inspection.drafting.options import BOOLEAN, DIGITS, TEXT, TypeOption, options_for
from orchestration_project.inspection.drafting.values import ColumnValues, Fit, Texts, in_parts

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SHARE_THAT_FITS = 0.95  # of the values a type has to fit so many: a sample may have mistakes in it
FEW_VALUES = 5  # of so few different ones, none is taken for a mistake
SHARE_TOLD = 0.5  # a text of which so many values are numbers or dates is told of
SMALL = 100_000_000  # whole numbers below it become INTEGER, which has room for values twenty times as large
MONEY_SCALE, MOST_DECIMALS = 2, 6
THOUSAND = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}")
"""1.234 and 1,234: a little more than one, or more than a thousand."""
DIGITS_AND_MARKS = re.compile(r"\+?\d[\d.,-]*")
FOREIGN_MONTH = re.compile(r"\d{1,2}[. -]+[^\W\d_]{3,}\.?[. -]+\d{2,4}.*")
Meaning = tuple[str, str]
Scores = Sequence[tuple[TypeOption, int]]
"""Options in their order, with how many of the tried values they read."""


@dataclass(frozen=True, slots=True)
class Guess:
    """The guessed type of a column.

    Attributes:
        option: the type.
        records, missing: of the samples; how many have no value.
        misfits: values that the type does not fit.
        distinct: how many different values there are.
        values: some of them; they must not get into a draft.
        also: other date formats that fit as many values.
        doubts: what else a person should check.
    """

    option: TypeOption
    records: int
    missing: int
    misfits: int
    distinct: int
    values: Sequence[str]
    also: Sequence[str] = ()
    doubts: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Choice:
    """A column, and the types that are left: the first one of each meaning, with how it fits all values.

    `near` tells of the type that came nearest if none is left.
    """

    texts: Texts
    fits: Sequence[tuple[TypeOption, Fit]] = ()
    near: str = ""


def guesses(
    connection: "DuckDBPyConnection", feed: Feed, names: Sequence[str], records: int, comma_first: bool
) -> dict[str, Guess]:
    """Guess the types of columns.

    Args:
        connection: to the warehouse that the samples were read into, without records that are no data.
        feed: the contract by which they were read.
        names: of the columns.
        records: how many there are.
        comma_first: whether `1,234` is rather a little more than one than a little more than a thousand.
    """
    choices = [choice for part in in_parts(connection, feed, names, records) for choice in _choices(part, comma_first)]
    house = _house_style(choices)
    return {choice.texts.name: _guess(choice, records, house) for choice in choices}


def _choices(values: ColumnValues, comma_first: bool) -> Iterator[_Choice]:
    """For each column the types that are left, in the order of the columns."""
    columns = {texts.name: texts for texts in values.texts()}
    options = {name: _possible(texts, comma_first) for name, texts in columns.items()}
    scores = _scored(values, options)
    best = {name: _best(columns[name], scores[name]) for name in columns}
    # A word stands for a missing value in a column with a type; it is declared there.
    declared = {
        name: [_with_words(option, columns[name].words) for option in options] for name, options in best.items()
    }
    fits = _fitted(values, declared)
    for name, texts in columns.items():
        found = [(option, fits[name, option.key]) for option in declared[name]]
        yield _Choice(texts, found, "" if found else _nearest(texts, scores[name]))


def _with_words(option: TypeOption, words: Mapping[str, int]) -> TypeOption:
    return replace(option, custom={**option.custom, "nullValues": [*words]}) if words else option


def _scored(values: ColumnValues, options: Mapping[str, Sequence[TypeOption]]) -> dict[str, Scores]:
    """The options of each column in their order, with how many of the tried values they read."""
    by_option = _by_option(options)
    read = {key: values.scores(option, names) for key, (option, names) in by_option.items()}
    return {name: [(item, read[item.key].get(name, 0)) for item in tried] for name, tried in options.items()}


def _fitted(values: ColumnValues, options: Mapping[str, Sequence[TypeOption]]) -> dict[tuple[str, str], Fit]:
    """How options fit all values, by column and option."""
    return {
        (name, key): fit
        for key, (option, names) in _by_option(options).items()
        for name, fit in values.fits(option, names).items()
    }


def _by_option(options: Mapping[str, Sequence[TypeOption]]) -> dict[str, tuple[TypeOption, list[str]]]:
    """The columns of each option: so many columns share a query."""
    found: dict[str, tuple[TypeOption, list[str]]] = {}
    for name, items in options.items():
        for option in items:
            found.setdefault(option.key, (option, []))[1].append(name)
    return found


def _possible(texts: Texts, comma_first: bool) -> list[TypeOption]:
    """The types that a column may have by its name and the form of its values."""
    if IS_CODE.search(texts.name) or not texts.tried:
        return []
    found = options_for(texts.tried, comma_first)
    is_day = IS_DAY.search(texts.name) is not None
    if texts.zeros or is_code(texts.tried) or (is_day and without_year(texts.tried)):
        found = [option for option in found if not option.is_number]
    digits = [option for option in found if option.options.get("format") in DIGITS]
    others = [option for option in found if option not in digits]
    # Eight digits are a day only where the column's name says so.
    return [*digits, *others] if is_day else others


def _best(texts: Texts, scores: Scores) -> list[TypeOption]:
    """Of the options that fit most values the first one of each meaning; none if too few values fit."""
    total, best = sum(texts.tried.values()), max((score for _, score in scores), default=0)
    # 0 and `a` are no truth values, though 0 alone is one.
    share = 1 if scores and scores[0][0] == BOOLEAN else SHARE_THAT_FITS
    if best < share * total or not best:
        return []
    digits = [option for option, score in scores if option.options.get("format") in DIGITS and score == total]
    found: dict[Meaning, TypeOption] = {}
    for option in digits or [option for option, score in scores if score == best]:
        found.setdefault(_meaning(option), option)
    return list(found.values())


def _meaning(option: TypeOption) -> Meaning:
    """Options of one meaning make the same value of a text."""
    if option.is_number:
        return "number", str(option.custom.get("decimalSeparator", "."))
    return option.logical, option.order


def _nearest(texts: Texts, scores: Scores) -> str:
    """What a text is told of whose values are mostly of another type."""
    total = sum(texts.tried.values())
    option, score = max(scores, key=lambda item: item[1], default=(TEXT, 0))
    if score < SHARE_TOLD * total or not score:
        return ""
    return f"{score:,} of {total:,} values looked at would be a {option.logical}, the others none"


@dataclass(frozen=True, slots=True)
class _House:
    """What the columns that leave no doubt have in common: decimal separators, and orders of day and month."""

    decimals: frozenset[str]
    orders: frozenset[str]

    def prefers(self, meaning: Meaning) -> bool:
        """Whether other columns are like this, and none is otherwise."""
        known = self.decimals if meaning[0] == "number" else self.orders
        return known == {meaning[1]}


def _house_style(choices: Sequence[_Choice]) -> _House:
    sure = [choice for choice in choices if len(choice.fits) == 1]
    meanings = Counter(_meaning(choice.fits[0][0]) for choice in sure if choice.fits[0][1].written)
    orders = {_meaning(choice.fits[0][0])[1] for choice in sure if choice.fits[0][0].logical in ("date", "timestamp")}
    return _House(frozenset(decimal for _, decimal in meanings), frozenset(orders & {"dMy", "Mdy"}))


def _guess(choice: _Choice, records: int, house: _House) -> Guess:
    texts = choice.texts
    base = _as_text(texts, records)
    if not choice.fits:
        return replace(base, doubts=[*_doubts_of_text(texts), choice.near])
    fewest = min(fit.misfits for _, fit in choice.fits)
    left = [(option, fit) for option, fit in choice.fits if fit.misfits == fewest]
    alike = [(option, fit) for option, fit in left if house.prefers(_meaning(option))]
    option, fit = (alike or left)[0]
    values = texts.present - fit.missing
    # An id that is not always a number is a text, and so are a few codes of which one is none: 0 and `a`.
    exact = texts.distinct <= FEW_VALUES or (option.is_number and IS_ID.search(texts.name))
    if fit.misfits > (0 if exact else (1 - SHARE_THAT_FITS) * values):
        told = f"{fit.misfits:,} of {values:,} values are no {option.logical}"
        return replace(base, doubts=[told, *_doubts_of_text(texts)])
    missing = records - texts.present + fit.missing
    found = replace(base, option=option, missing=missing, misfits=fit.misfits)
    others = [item for item, _ in left if item is not option]
    found = _with_told(found, others, bool(alike), texts)
    return _sized(found, texts.name, fit) if option.is_number else found


def _as_text(texts: Texts, records: int) -> Guess:
    """The guess that a column has texts, of which only the errors of spreadsheets stand for missing values."""
    errors = {word: times for word, times in texts.words.items() if word.startswith("#")}
    missing = records - texts.present + sum(errors.values())
    return Guess(_with_words(TEXT, errors), records, missing, 0, texts.distinct, texts.shown)


def _with_told(found: Guess, others: Sequence[TypeOption], by_house: bool, texts: Texts) -> Guess:
    """The guess with what is told of the other meanings that fit as well."""
    if found.option.logical == "boolean" and found.distinct == 1:
        return replace(found, doubts=["the samples have one of its two words only"])
    if not others:
        return found
    if found.option.is_number:
        told = [_thousand(found.option, by_house)] if any(map(THOUSAND.fullmatch, texts.tried)) else []
        return replace(found, doubts=told)
    forms = [str(item.options["format"]) for item in others if "format" in item.options]
    if by_house:
        return replace(found, doubts=[f"{', '.join(forms)} fits as well; day and month stand as in other columns"])
    return replace(found, also=forms)


def _thousand(option: TypeOption, by_house: bool) -> str:
    grouped = option.custom.get("thousandsSeparator")
    mark = grouped or option.custom.get("decimalSeparator", ".")
    meanings = ["more than a thousand", "a little more than one"]
    read, other = meanings if grouped else reversed(meanings)
    why = "numbers of other columns are written so" if by_house else "no value tells which"
    return f"`1{mark}234` is read as {read} and could be {other}: {why}"


def _doubts_of_text(texts: Texts) -> Iterator[str]:
    if not texts.present:
        yield "no record of the samples has a value"
    if any(DIGITS_AND_MARKS.fullmatch(value) for value in texts.tried):
        if IS_CODE.search(texts.name):
            yield "a code by its name, so a text, whose first zero is kept"
        elif texts.zeros:
            yield f"{texts.zeros:,} values begin with a zero that a number would lose"
        elif IS_DAY.search(texts.name) and without_year(texts.tried):
            yield "day and month without a year"
        elif is_code(texts.tried):
            yield "numbers to dial or to scan, so a text"
    if texts.tried and all(FOREIGN_MONTH.fullmatch(value) for value in texts.tried):
        yield "dates with names of months that a contract can't read: it knows the English ones"
    if words := {word: times for word, times in texts.words.items() if not word.startswith("#")}:
        told = ", ".join(f"`{word}` in {times:,}" for word, times in words.items())
        yield f"{told} records: if it means that there is no value, declare it by nullValues"


def _sized(found: Guess, name: str, fit: Fit) -> Guess:
    """The guess with the type that its numbers need."""
    option = found.option
    if option.logical == "integer" and (not fit.written or IS_ID.search(name)):
        return replace(found, option=replace(option, physical="INTEGER" if fit.largest < SMALL else "BIGINT"))
    if option.physical == "DOUBLE" or fit.exponents or fit.scale > MOST_DECIMALS:
        binary = replace(option, physical="DOUBLE", logical="number")
        return replace(found, option=binary, doubts=[*found.doubts, "binary fractions: sums are not exact"])
    if not fit.written:
        return replace(found, option=TEXT, misfits=0, also=(), doubts=["whole, but too long for a number"])
    whole = ["whole so far, but written with a point"] if option.logical == "integer" else []
    decimal = f"DECIMAL(18,{max(fit.scale, MONEY_SCALE)})"
    return replace(found, option=replace(option, physical=decimal, logical="number"), doubts=[*found.doubts, *whole])
