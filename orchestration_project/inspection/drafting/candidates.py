"""The types that a column may have, written as a contract has them and read by the contract's own reader."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestration_project.contracts.columns import read_columns
from orchestration_project.contracts.errors import Place
from orchestration_project.contracts.feed import Column, Parsing

DAYS = (
    "yyyy-MM-dd yyyy/MM/dd dd.MM.yyyy dd/MM/yyyy MM/dd/yyyy dd-MM-yyyy d.M.yyyy d/M/yyyy M/d/yyyy dd.MM.yy dd/MM/yy"
    " MM/dd/yy d/M/yy M/d/yy dd-MMM-yyyy yyyyMMdd"
).split()
TIMES = ("HH:mm:ss", "HH:mm", "HH:mm:ss.SSS", "HH:mm:ss.SSSSSS", "H:mm", "h:mm a", "h:mm:ss a")
GAPS = {"yyyy-MM-dd": (" ", "'T'")}
CURRENCIES = ("€", "$", "£", "¥", "EUR", "USD", "GBP", "CHF")
STYLES = ((".", ","), (",", "."), (".", "'"), (",", " "), (".", " "), (",", "\u00a0"), (",", "\u202f"))
PROBED_DECIMAL = "DECIMAL(38,12)"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A type with its options and custom properties, as a contract writes them."""

    physical: str
    logical: str
    options: Mapping[str, Any] = field(default_factory=dict)
    custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> Column:
        """As the contract's reader understands it, under the name `c`."""
        from open_data_contract_standard.model import SchemaProperty

        document = {
            "name": "c",
            "physicalType": self.physical,
            "logicalType": self.logical,
            "logicalTypeOptions": dict(self.options) or None,
            "customProperties": [{"property": name, "value": value} for name, value in self.custom.items()],
        }
        place = Place()
        (built,) = read_columns([SchemaProperty.model_validate(document)], Parsing(), place)
        assert not place.problems  # all candidates are the platform's own
        return built.column


TEXT = Candidate("VARCHAR", "string")


def candidates(currencies: Sequence[str], comma_first: bool) -> Iterator[Candidate]:
    """What a column may be; of two that fit the same values the first is meant.

    Args:
        currencies: the signs that stand in its values.
        comma_first: whether `1,234` is a little more than one rather than a little more than a thousand.
    """
    yield Candidate("BOOLEAN", "boolean")
    signs = {"currencySymbols": list(currencies)} if currencies else {}
    plain_comma = {"decimalSeparator": ","}
    grouped = [_style(decimal, thousands) for decimal, thousands in STYLES]
    styles = [{}, plain_comma, *grouped] if comma_first else [{}, *grouped, plain_comma]
    for style in styles:
        separators = {**style, **signs}
        if style is not plain_comma:
            yield Candidate("BIGINT", "integer", custom=separators)
        yield Candidate(PROBED_DECIMAL, "number", custom=separators)
    yield Candidate("DOUBLE", "number")
    for day in DAYS:
        yield Candidate("DATE", "date", {"format": day})
        for time in TIMES:
            for gap in GAPS.get(day, (" ",)):
                yield Candidate("TIMESTAMP", "timestamp", {"format": f"{day}{gap}{time}"})
    yield Candidate("TIMESTAMP", "timestamp")
    yield Candidate("TIMESTAMPTZ", "timestamp", {"timezone": True})
    yield Candidate("TIME", "time")


def _style(decimal: str, thousands: str) -> dict[str, str]:
    point = {"decimalSeparator": decimal} if decimal != "." else {}
    return {**point, "thousandsSeparator": thousands}
