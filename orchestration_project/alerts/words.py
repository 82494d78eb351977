"""Numbers, times and sizes as all alarms write them."""

import datetime as dt
from collections.abc import Sequence

from orchestration_project.alerts.model import SHOWN


def number(count: int, one: str, many: str) -> str:
    """A number and its noun: `1 file`, `1,000 files`."""
    return f"{count:,} {one if count == 1 else many}"


def listed(keys: Sequence[str]) -> str:
    """The first of some keys, and how many more there are."""
    shown = ", ".join(keys[:SHOWN])
    return f"{shown} and {len(keys) - SHOWN:,} more" if len(keys) > SHOWN else shown


def span(time: dt.timedelta) -> str:
    """A time in words, rounded down: 3 days, 25 hours, 40 minutes."""
    hours = int(time.total_seconds() // 3600)
    # Up to two days in hours: limits such as 25 hours are crossed there, and "1 day" would not show it.
    if hours >= 48:
        return f"{hours // 24:,} days"
    return number(hours, "hour", "hours") if hours else number(int(time.total_seconds() // 60), "minute", "minutes")


def size(count: int) -> str:
    """A number of bytes in words."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.0f} MB"
