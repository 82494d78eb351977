"""How numbers, shares, sizes and moments are written on the page. None is a dash: nothing is known."""

import datetime as dt
from decimal import Decimal

DASH = "-"
KILO = 1000
LEAST_SHARE = 0.001
SIZES = ("kB", "MB", "GB", "TB")


def whole(value: int | None) -> str:
    """A count, with thousands set apart."""
    return DASH if value is None else f"{value:,}"


def money(value: Decimal | None) -> str:
    """An amount in the shop's currency, which no contract names."""
    return DASH if value is None else f"{value:,.2f}"


def percent(value: float | None) -> str:
    """A share of 1. What is not nothing is not written as nothing."""
    if value is None:
        return DASH
    return f"<{LEAST_SHARE:.1%}" if 0 < value < LEAST_SHARE else f"{value:.1%}"


def size(value: int | None) -> str:
    """A number of bytes, in decimal units."""
    if value is None or value < KILO:
        return DASH if value is None else f"{value} B"
    power = min(len(SIZES), (len(str(value)) - 1) // 3)
    return f"{value / KILO**power:,.1f} {SIZES[power - 1]}"


def moment(value: dt.datetime | None) -> str:
    """A moment in UTC, to the minute. The warehouse's are without a zone and in UTC."""
    if value is None:
        return DASH
    utc = value if value.tzinfo is None else value.astimezone(dt.UTC)
    return f"{utc:%Y-%m-%d %H:%M} UTC"
