"""Custom properties: what the standard has no field for. The table in docs/contracts.md describes each."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, listed
from orchestration_project.contracts.feed import Parsing
from orchestration_project.contracts.schema_errors import shown

if TYPE_CHECKING:
    from open_data_contract_standard.model import CustomProperty

PARSING = ("nullValues", "trim", "decimalSeparator", "thousandsSeparator", "currencySymbols")
FILE = ("delimiter", "quote")
NAMES = ("aliases",)
OF_A_SERVER = (*FILE, *PARSING)
OF_A_COLUMN = (*NAMES, *PARSING)
NUMERIC = ("decimalSeparator", "thousandsSeparator", "currencySymbols")
OURS = (*OF_A_SERVER, *NAMES)

DECIMAL_SEPARATORS = (".", ",")
THOUSANDS_SEPARATORS = ("", ",", ".", " ", "'", "\u2019", "_", "\u00a0", "\u202f")
# Near enough to be a slip of ours, far enough from what other tools call theirs.
_CLOSE = 0.82

Custom = dict[str, tuple[Any, Place]]
"""A custom property's value and where it stands, by name."""


def read_custom(properties: "Sequence[CustomProperty] | None", allowed: Sequence[str], place: Place) -> Custom:
    """The properties that mean something here; `place` is the owner's.

    Those of other tools are ignored, but not one that only looks like ours, or is in the wrong place: it would
    silently do nothing.
    """
    found: Custom = {}
    for index, custom in enumerate(properties or []):
        name, here = custom.property or "", place.key("customProperties").item(index)
        if custom.vendor is not None:
            continue
        if name in found:
            here.problem(f"{name!r} is given twice")
        elif name in allowed:
            found[name] = (custom.value, here.key("value"))
        elif name in OURS:
            owners = {"a property (column)": OF_A_COLUMN, "a server": OF_A_SERVER}
            where = " or ".join(owner for owner, names in owners.items() if name in names)
            here.key("property").problem(f"{name!r} has no effect here; it belongs to {where}")
        elif hint := did_you_mean(name, OURS, cutoff=_CLOSE):
            here.key("property").problem(f"{name!r} is not known{hint} (a property of another tool: give its `vendor`)")
    return found


def read_parsing(custom: Custom, base: Parsing) -> Parsing:
    """`base` with what the custom properties say about reading text."""
    changes: dict[str, Any] = {}
    if "nullValues" in custom:
        changes["null_words"] = tuple(dict.fromkeys(word for word in read_words(*custom["nullValues"]) if word))
    if "currencySymbols" in custom:
        changes["currency_symbols"] = tuple(_symbols(*custom["currencySymbols"]))
    if "trim" in custom:
        value, place = custom["trim"]
        if isinstance(value, bool):
            changes["trim"] = value
        else:
            place.problem(f"found {shown(value)}; allowed: true or false")
    for name, field, allowed in (
        ("decimalSeparator", "decimal_separator", DECIMAL_SEPARATORS),
        ("thousandsSeparator", "thousands_separator", THOUSANDS_SEPARATORS),
    ):
        if name in custom:
            value, place = custom[name]
            if value in allowed:
                changes[field] = value
            else:
                place.problem(f"found {shown(value)}; allowed: {listed(map(repr, allowed))}")
    parsing = replace(base, **changes)
    if parsing.decimal_separator == parsing.thousands_separator:
        _, place = custom.get("thousandsSeparator") or custom["decimalSeparator"]
        place.problem(f"decimalSeparator and thousandsSeparator are both {parsing.decimal_separator!r}")
        return base
    return parsing


def read_words(value: Any, place: Place) -> list[str]:
    """A list of texts, or one text with commas between the words."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",")]
    if not isinstance(value, list):
        place.problem(f"found {shown(value)}; allowed: a list of texts, or a text with commas")
        return []
    for index, word in enumerate(value):
        if not isinstance(word, str):
            place.item(index).problem(f"found {shown(word)}; allowed: text (put it in quotes)")
    return [word for word in value if isinstance(word, str)]


def _symbols(value: Any, place: Place) -> Iterator[str]:
    for word in read_words(value, place):
        symbol = word.strip()
        if not symbol or any(character.isdigit() or character in "+-.," for character in symbol):
            place.problem(f"found {word!r}; allowed: a currency's sign or code, e.g. '€' or 'EUR'")
        else:
            yield symbol
