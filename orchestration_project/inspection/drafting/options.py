"""The types that a column may have, as a contract writes them, and which of them a text has the form of.

Pure functions: nothing is read and no value is tried here. Which option fits the values is in `types`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.columns import read_columns
from orchestration_project.contracts.date_formats import translate
from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.feed import Column, Parsing

if TYPE_CHECKING:
    from open_data_contract_standard.model import SchemaProperty

# The likelier first: of two that fit the same values the first is chosen, and the others are named in the draft.
DAYS = (
    "yyyy-MM-dd yyyy/MM/dd yyyy.MM.dd dd.MM.yyyy dd/MM/yyyy MM/dd/yyyy dd-MM-yyyy MM-dd-yyyy d.M.yyyy d/M/yyyy M/d/yyyy"
    " d-M-yyyy yyyy/M/d dd.MM.yy dd/MM/yy MM/dd/yy dd-MM-yy MM-dd-yy yy-MM-dd d.M.yy d/M/yy M/d/yy dd-MMM-yyyy"
    " d-MMM-yyyy dd-MMM-yy yyyyMMdd ddMMyyyy"
).split()
DAYS += ["dd MMM yyyy", "d MMM yyyy", "d. MMM yyyy", "d MMMM yyyy", "MMM d, yyyy", "MMM dd, yyyy", "MMMM d, yyyy"]
DAYS += ["MMM d yyyy", "MMMM d yyyy", "d MMM yy"]
DIGITS = ("yyyyMMdd", "ddMMyyyy")
"""Forms that a number may have: they are days only where the column's name says so."""
TIMES = ("HH:mm:ss", "HH:mm", "HH:mm:ss.SSS", "HH:mm:ss.SSSSSS", "H:mm", "H:mm:ss", "h:mm a", "h:mm:ss a")
CLOCKS = ("H:mm", "H:mm:ss", "h:mm a", "h:mm:ss a")
"""Forms of a time of day that are not ISO 8601."""
SEPARATORS = {" ": " ", "'T'": "T", ", ": ", "}
ZONES = ("XXX", " XXX", "XX", " XX", "X", " X", " z")
CURRENCIES = ("€", "$", "£", "¥", "EUR", "USD", "GBP", "CHF")
NUMBER_STYLES = ((".", ","), (",", "."), (".", "'"), (",", " "), (".", " "), (",", "\u00a0"), (",", "\u202f"))
"""Decimal and thousands separators, the likelier first."""
PROBED_DECIMAL = "DECIMAL(38,12)"  # decimals are tried with it; the scale that the values need is found afterwards
NUMBER = re.compile(r"[\d.,'\u00a0\u202f \u2019+-]*\d[\d.,'\u00a0\u202f \u2019]*([eE][+-]?\d+)?")
ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?)?( ?(Z|[+-]\d{2}(:?\d{2})?))?")
ISO_CLOCK = re.compile(r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
TRUTH = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"))
"""The pairs of words that a BOOLEAN has; 1 and 0 are rather numbers."""


@dataclass(frozen=True)
class TypeOption:
    """A type that a column may have, with its options and custom properties, as a contract writes them."""

    physical: str
    logical: str
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def column(self) -> Column:
        """The column `c` of this type, as the contract's reader makes it."""
        place = Place()
        (built,) = read_columns([self._property()], Parsing(), place)
        assert not place.problems  # no text of a sample is in an option
        return built.column

    def _property(self) -> "SchemaProperty":
        from open_data_contract_standard.model import SchemaProperty

        document = {
            "name": "c",
            "physicalType": self.physical,
            "logicalType": self.logical,
            "logicalTypeOptions": dict(self.options) or None,
            "customProperties": [{"property": name, "value": value} for name, value in self.custom.items()],
        }
        return SchemaProperty.model_validate(document)

    @property
    def is_number(self) -> bool:
        """Whether it is a number of any kind."""
        return self.logical in ("integer", "number")

    @property
    def order(self) -> str:
        """In which order a date has its fields: `dMy` of dd.MM.yyyy; of other types nothing."""
        form = str(self.options.get("format", ""))
        return "".join(dict.fromkeys(re.sub("[^dMy]", "", form)))

    @property
    def key(self) -> str:
        """A text that is the same for equal options."""
        return repr((self.physical, self.options, self.custom))


TEXT = TypeOption("VARCHAR", "string")
BOOLEAN = TypeOption("BOOLEAN", "boolean")
DOUBLE = TypeOption("DOUBLE", "number")


def options_for(texts: Iterable[str], comma_first: bool) -> list[TypeOption]:
    """The types that some values of a column may have, by their form; the likelier first.

    Args:
        texts: the values.
        comma_first: whether `1,234` is rather a little more than one than a little more than a thousand.
    """
    texts = list(texts)
    if is_truth(texts):
        return [BOOLEAN]
    # Thousands of values have a handful of forms.
    forms = {re.sub(r"\d", "1", text): text for text in texts}
    found = {option.key: option for form in forms for option in _moments_like(form)}
    # 31.01.24 has points like a number, but is none.
    numbers = list(_numbers([form for form in forms if form.isdigit() or not _moments_like(form)], comma_first))
    rank = _moment_ranks()
    return numbers + sorted(found.values(), key=lambda option: rank[option.key])


def is_truth(texts: Iterable[str]) -> bool:
    """Whether values are the two words of a truth value, or one of them that is no mere letter."""
    words = {text.casefold() for text in texts}
    return any(words <= set(pair) and (len(words) == 2 or len(min(words, key=len)) > 1) for pair in TRUTH if words)


def _numbers(forms: Sequence[str], comma_first: bool) -> Iterator[TypeOption]:
    signs = [sign for sign in CURRENCIES if any(sign in form for form in forms)]
    bare = [re.sub("|".join(map(re.escape, CURRENCIES)), "", form).strip() for form in forms]
    like = [form for form in bare if NUMBER.fullmatch(form)]
    if not like:
        return
    custom = {"currencySymbols": signs} if signs else {}
    grouped = [(decimal, mark) for decimal, mark in NUMBER_STYLES if any(mark in form for form in like)]
    comma = [(",", "")] if any("," in form for form in like) else []
    # `1,234` is a number in both styles, so their order decides.
    for decimal, mark in [(".", ""), *comma, *grouped] if comma_first else [(".", ""), *grouped, *comma]:
        style = _style(decimal, mark) | custom
        if (decimal, mark) != (",", ""):  # to a whole number it is the first style once more
            yield TypeOption("BIGINT", "integer", custom=style)
        yield TypeOption(PROBED_DECIMAL, "number", custom=style)
    yield DOUBLE


def _style(decimal: str, thousands: str) -> dict[str, Any]:
    point = {"decimalSeparator": decimal} if decimal != "." else {}
    return {**point, **({"thousandsSeparator": thousands} if thousands else {})}


@cache
def _moment_ranks() -> dict[str, int]:
    return {option.key: place for place, option in enumerate(_moments())}


def _moments() -> Iterator[TypeOption]:
    """All dates and times, the likelier first."""
    for day in DAYS:
        yield _date(day)
    for day in DAYS:
        for time in TIMES:
            for separator in SEPARATORS:
                yield _timestamp(f"{day}{separator}{time}")
    yield from (ANY_TIMESTAMP, ANY_ZONED, ANY_CLOCK)
    for day in DAYS:
        for time in TIMES:
            for separator in SEPARATORS:
                yield from (_timestamp(f"{day}{separator}{time}{zone}", zoned=True) for zone in ZONES)
    yield from map(_clock, CLOCKS)


ANY_TIMESTAMP = TypeOption("TIMESTAMP", "timestamp")
ANY_ZONED = TypeOption("TIMESTAMPTZ", "timestamp", {"timezone": True})
ANY_CLOCK = TypeOption("TIME", "time")


@cache
def _date(form: str) -> TypeOption:
    return TypeOption("DATE", "date", {"format": form})


@cache
def _timestamp(form: str, zoned: bool = False) -> TypeOption:
    return TypeOption("TIMESTAMPTZ" if zoned else "TIMESTAMP", "timestamp", {"format": form})


@cache
def _clock(form: str) -> TypeOption:
    return TypeOption("TIME", "time", {"format": form})


@cache
def _day_forms() -> dict[str, re.Pattern[str]]:
    return {day: re.compile(translate(day, "date").regex) for day in DAYS}


@cache
def _clock_forms() -> dict[tuple[str, str], re.Pattern[str]]:
    # `z` would match any word, such as half of the day.
    zones = {zone: "UTC|GMT|[A-Z]{2,4}T" if zone == " z" else _zone(zone) for zone in ZONES} | {"": ""}
    return {
        (time, zone): re.compile(f"{translate(time, 'time').regex}{' ' * (zone[:1] == ' ')}(?:{regex})")
        for time in TIMES
        for zone, regex in zones.items()
    }


def _zone(zone: str) -> str:
    return translate(f"yyyyMMddHH{zone.strip()}", "timestamp").regex.rpartition(r"\d{2}")[2]


@cache
def _moments_like(form: str) -> tuple[TypeOption, ...]:
    """The dates and times that a text has the form of; whether there is such a day is another matter."""
    found = []
    if (iso := ISO.fullmatch(form)) and iso[1]:
        found += [ANY_ZONED] if iso[4] else [ANY_TIMESTAMP]
    if iso and iso[4]:
        return tuple(found)  # forms with an offset would say the same
    if ISO_CLOCK.fullmatch(form):
        found.append(ANY_CLOCK)
    found += [_clock(clock) for clock in CLOCKS if _clock_forms()[clock, ""].fullmatch(form)]
    for day, regex in _day_forms().items():
        if match := regex.match(form):
            found += _moments_on(day, form[match.end() :])
    return tuple(found)


def _moments_on(day: str, rest: str) -> Iterator[TypeOption]:
    """The options of a text that begins with a day, by what stands behind that."""
    if not rest:
        yield _date(day)
    for separator, written in SEPARATORS.items():
        if rest.startswith(written):
            clock = rest[len(written) :]
            for (time, zone), regex in _clock_forms().items():
                if regex.fullmatch(clock):
                    yield _timestamp(f"{day}{separator}{time}{zone}", zoned=bool(zone))
