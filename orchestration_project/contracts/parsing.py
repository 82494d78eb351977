"""How the texts of files become values: custom properties, date formats and time zones as a `Parsing`.

Custom properties hold what the standard has no field for; the table in docs/contracts.md describes each of ours.
"""

import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.date_formats import DateFormat, translate
from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed
from orchestration_project.contracts.feed import Parsing
from orchestration_project.contracts.fixed_width import OF_A_SPAN, OF_LINES
from orchestration_project.contracts.sql_types import TIMESTAMPTZ, Kind, Literals, SqlType

if TYPE_CHECKING:
    from open_data_contract_standard.model import CustomProperty

PARSING = ("nullValues", "trim", "decimalSeparator", "thousandsSeparator", "currencySymbols")
FILE = ("delimiter", "quote", "sheet", "recordsPath", *OF_LINES)
NAMES = ("aliases", *OF_A_SPAN)
OUTSIDE = ("valueFrom", "fillDown")
OF_A_SERVER = (*FILE, *PARSING)
OF_A_COLUMN = (*NAMES, *OUTSIDE, *PARSING)
OF_AN_OBJECT = ("ignoredRecords",)
NUMERIC = ("decimalSeparator", "thousandsSeparator", "currencySymbols")
OURS = (*OF_A_SERVER, *NAMES, *OUTSIDE, *OF_AN_OBJECT)

DECIMAL_SEPARATORS = (".", ",")
# The Swiss write 1'000 with either apostrophe; programs that write French put one of the two no-break blanks.
THOUSANDS_SEPARATORS = ("", ",", ".", " ", "'", "\u2019", "_", "\u00a0", "\u202f")
# Near enough to be a slip of ours, far enough from what other tools call theirs.
_CLOSE = 0.82

Custom = dict[str, tuple[Any, Place]]
"""A custom property's value and its place, by name."""


def read_custom(properties: "Sequence[CustomProperty] | None", allowed: Sequence[str], place: Place) -> Custom:
    """The properties that mean something here; `place` is the owner's.

    Properties of other tools are ignored. One that only looks like ours, or stands in the wrong place, is reported:
    it would silently do nothing.
    """
    found: Custom = {}
    for index, custom in enumerate(properties or []):
        name, here = custom.property or "", place.key("customProperties").item(index)
        # The standard lets a tool mark its own properties, and names of tools may well be like ours.
        if custom.vendor is not None:
            continue
        if name in found:
            here.problem(f"{name!r} is given twice")
        elif name in allowed:
            found[name] = (custom.value, here.key("value"))
        else:
            _report_slip(name, here.key("property"))
    return found


def _report_slip(name: str, place: Place) -> None:
    """Report a property of ours in the wrong place, or a name that is close to one of ours."""
    if name in OURS:
        owners = {"a property (column)": OF_A_COLUMN, "a server": OF_A_SERVER, "an object": OF_AN_OBJECT}
        where = " or ".join(owner for owner, names in owners.items() if name in names)
        place.problem(f"{name!r} has no effect here; it belongs to {where}")
    elif hint := did_you_mean(name, OURS, cutoff=_CLOSE):
        place.problem(f"{name!r} is not known{hint} (a property of another tool: give its `vendor`)")


def read_parsing(custom: Custom, base: Parsing) -> Parsing:
    """`base` with what the custom properties say about reading text."""
    changes: dict[str, Any] = {}
    if "nullValues" in custom:
        changes["null_words"] = tuple(dict.fromkeys(word for word in read_words(*custom["nullValues"]) if word))
    if "currencySymbols" in custom:
        changes["currency_symbols"] = tuple(_symbols(*custom["currencySymbols"]))
    if "trim" in custom and (trim := _one_of((True, False), "true or false", *custom["trim"])) is not None:
        changes["trim"] = trim
    for name, field, allowed in (
        ("decimalSeparator", "decimal_separator", DECIMAL_SEPARATORS),
        ("thousandsSeparator", "thousands_separator", THOUSANDS_SEPARATORS),
    ):
        if name in custom and (mark := _one_of(allowed, listed(map(repr, allowed)), *custom[name])) is not None:
            changes[field] = mark
    parsing = replace(base, **changes)
    if parsing.decimal_separator == parsing.thousands_separator:
        _, place = custom.get("thousandsSeparator") or custom["decimalSeparator"]
        place.problem(f"decimalSeparator and thousandsSeparator are both {parsing.decimal_separator!r}")
        return base
    return parsing


def read_column_parsing(custom: Custom, base: Parsing, declared: SqlType, derived: bool) -> Parsing:
    """`base` with what a column's custom properties say; those without effect on the column are reported."""
    # A property without effect was meant to have one: the author learns it here, not from rejected records.
    for name, (_, place) in custom.items():
        if derived:
            place.problem(f"{name} has no effect: a column with transformLogic is computed, not read from the file")
        elif name in NUMERIC and not declared.kind.is_number:
            place.problem(f"{name} has no effect on a {declared.sql} column")
    if declared.kind.is_number:
        return read_parsing(custom, base)
    # A server's properties are for all columns: how numbers are written says nothing about this one.
    plain = Parsing()
    base = replace(
        base,
        decimal_separator=plain.decimal_separator,
        thousands_separator=plain.thousands_separator,
        currency_symbols=plain.currency_symbols,
    )
    return read_parsing({name: found for name, found in custom.items() if name not in NUMERIC}, base)


def read_words(value: Any, place: Place) -> list[str]:
    """A list of texts, or one text with commas between the words."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",")]
    if not isinstance(value, list):
        place.problem(f"found {excerpt(value)}; allowed: a list of texts, or a text with commas")
        return []
    for index, word in enumerate(value):
        if not isinstance(word, str):
            place.item(index).problem(f"found {excerpt(word)}; allowed: text (put it in quotes)")
    return [word for word in value if isinstance(word, str)]


def _one_of(allowed: Sequence[Any], words: str, value: Any, place: Place) -> Any:
    """The value when it is allowed; None after it was reported."""
    # 1 == True and 0 == False, so the type counts too.
    if any(value == choice and type(value) is type(choice) for choice in allowed):
        return value
    place.problem(f"found {excerpt(value)}; allowed: {words}")
    return None


def _symbols(value: Any, place: Place) -> Iterator[str]:
    for word in read_words(value, place):
        symbol = word.strip()
        # Such a symbol would be cut out of the number itself.
        if not symbol or any(character.isdigit() or character in "+-.," for character in symbol):
            place.problem(f"found {word!r}; allowed: a currency's sign or code, e.g. '€' or 'EUR'")
        else:
            yield symbol


def read_moments(declared: SqlType, options: dict[str, Any], base: Parsing, place: Place) -> tuple[Literals, Parsing]:
    """How dates and times of a column are written; columns of other types keep `base`.

    Args:
        declared: the column's type as declared; a TIMESTAMP whose texts have an offset becomes a TIMESTAMPTZ.
        options: the column's `logicalTypeOptions`.
        base: how its feed's files write values.
        place: that of the options.
    """
    if declared.kind not in (Kind.DATE, Kind.TIME, Kind.TIMESTAMP):
        return Literals(declared), base
    date_format = _date_format(options, declared.kind, place.key("format"))
    _check_timezone(options.get("timezone"), declared, date_format, place.key("timezone"))
    zone = _zone(options, place.key("defaultTimezone"))
    # A type with a zone means texts with one, unless the contract says which zone texts without one are in.
    implied = declared == TIMESTAMPTZ and options.get("defaultTimezone") is None
    zoned = options.get("timezone", implied) is True
    has_offset = date_format.has_offset if date_format else zoned
    # A TIMESTAMP would lose the offset.
    if declared.kind is Kind.TIMESTAMP and (zoned or has_offset):
        declared = TIMESTAMPTZ
    parsing = replace(base, has_timezone=has_offset, default_timezone=zone)
    if date_format:
        parsing = replace(
            parsing,
            date_format=date_format.strptime,
            date_width=date_format.width,
            date_regex=date_format.regex,
            utc_letter=date_format.utc_letter,
        )
    return Literals(declared, date_format, zone), parsing


def _check_timezone(zoned: Any, declared: SqlType, date_format: DateFormat | None, place: Place) -> None:
    """Report a `timezone` option that contradicts the type or the format."""
    if zoned not in (None, True, False):
        place.problem(f"found {excerpt(zoned)}; allowed: true or false")
    if zoned and declared.kind is Kind.TIME:
        place.problem("a time with an offset is not supported; use a timestamp")
    if zoned is False and date_format and date_format.has_offset:
        place.problem("the format has an offset, so it can't be false")
    if zoned is False and declared == TIMESTAMPTZ:
        place.problem("false contradicts physicalType TIMESTAMPTZ")


def _date_format(options: dict[str, Any], kind: Kind, place: Place) -> DateFormat | None:
    pattern = options.get("format")
    if pattern is None:
        return None
    if not isinstance(pattern, str):
        place.problem(f"found {excerpt(pattern)}; allowed: a date pattern, e.g. 'yyyy-MM-dd'")
        return None
    try:
        return translate(pattern, "date" if kind is Kind.DATE else "time" if kind is Kind.TIME else "timestamp")
    except ValueError as error:
        place.problem(str(error))
        return None


def _zone(options: dict[str, Any], place: Place) -> str:
    name = options.get("defaultTimezone")
    if name is None:
        return "UTC"
    try:
        zoneinfo.ZoneInfo(name)
    # A path gives a ValueError, a folder such as `Europe` an OSError, a number a TypeError.
    except (ValueError, TypeError, OSError, zoneinfo.ZoneInfoNotFoundError):
        known = zoneinfo.available_timezones()
        place.problem(
            f"found {excerpt(name)}; allowed: a time zone's name, e.g. Europe/Berlin{did_you_mean(str(name), known)}"
        )
        return "UTC"
    return str(name)
