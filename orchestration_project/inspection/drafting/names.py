"""Names: columns from headers, batches from file names. Pure functions."""

import datetime as dt
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 60
DATES = (
    (r"(?<!\d)(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})_(?P<month>\d{2})_(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})\.(?P<month>\d{2})\.(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<day>\d{2})[-_.](?P<month>\d{2})[-_.](?P<year>\d{4})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?!\d)", "daily"),
    (r"(?<!\d)(?P<year>\d{4})[-_](?P<month>\d{2})(?!\d)", "monthly"),
    (r"(?<!\d)(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?!\d)", "monthly"),
)


@dataclass(frozen=True, slots=True)
class Naming:
    """How file names tell their batch (`pattern`; None: they do not), and the earliest day of the samples."""

    pattern: str | None
    cadence: str
    first: dt.date


def column_names(headers: Sequence[str]) -> list[str]:
    """Names for columns in small letters, digits and `_`, each once, as a contract allows them."""
    taken: set[str] = {"rowid"}
    names = []
    for number, header in enumerate(headers, start=1):
        name = _snake(header) or f"column_{number}"
        name = free = name if name[0].isalpha() else f"c_{name}"
        further = 2
        while free in taken:
            free, further = f"{name}_{further}", further + 1
        taken.add(free)
        names.append(free)
    return names


def _snake(header: str) -> str:
    plain = unicodedata.normalize("NFKD", header).encode("ascii", "ignore").decode()
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", plain)
    return re.sub(r"[^a-z0-9]+", "_", parted.casefold()).strip("_")[:LONGEST].rstrip("_")


def naming_of(names: Sequence[str], modified: Sequence[dt.datetime]) -> Naming:
    """How the names of sample files tell their batch: the first form of a date that all of them have.

    Args:
        names: of the files.
        modified: when each of them was last modified.
    """
    for pattern, cadence in DATES:
        days = [_day(pattern, name) for name in names]
        found = [day for day in days if day is not None]
        if found and len(found) == len(days):
            return Naming(pattern, cadence, min(found))
    return Naming(None, "daily", min(moment.date() for moment in modified))


def _day(pattern: str, name: str) -> dt.date | None:
    found = re.search(pattern, name)
    if found is None:
        return None
    try:
        return dt.date(int(found["year"]), int(found["month"]), int(found.groupdict().get("day") or 1))
    except ValueError:
        return None
