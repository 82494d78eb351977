"""`slaProperties` and `team`: how fresh the data has to be, and who owns it."""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, listed
from orchestration_project.contracts.schema_errors import shown

if TYPE_CHECKING:
    from open_data_contract_standard.model import ServiceLevelAgreementProperty, Team, TeamMember

_UNITS = {
    dt.timedelta(seconds=1): ("s", "sec", "second", "seconds"),
    dt.timedelta(minutes=1): ("m", "min", "minute", "minutes"),
    dt.timedelta(hours=1): ("h", "hr", "hour", "hours"),
    dt.timedelta(days=1): ("d", "day", "days"),
    dt.timedelta(weeks=1): ("w", "week", "weeks"),
    # The longest month and year: data is not called late before it is.
    dt.timedelta(days=31): ("mo", "month", "months"),
    dt.timedelta(days=366): ("y", "yr", "year", "years"),
}
UNITS = {word: unit for unit, words in _UNITS.items() for word in words}
_TESTED = ("latency", "frequency")
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


def read_service(
    properties: "Sequence[ServiceLevelAgreementProperty] | None", place: Place
) -> tuple[dt.timedelta | None, dt.timedelta | None]:
    """Latency and frequency; every other service level is documentation. `place` is that of the list."""
    found: dict[str, dt.timedelta] = {}
    for index, level in enumerate(properties or []):
        name, here = (level.property or "").strip(), place.item(index)
        if name in _TESTED:
            duration = _duration(level.value, level.unit, here)
            if found.setdefault(name, duration) != duration:
                here.problem(f"{name} is given twice, with different values")
        elif hint := did_you_mean(name, _TESTED, cutoff=0.8):
            here.key("property").problem(f"{name!r} is not known{hint}")
    return found.get("latency"), found.get("frequency")


def _duration(value: Any, unit: str | None, place: Place) -> dt.timedelta:
    word = (unit or "").strip().casefold()
    if word not in UNITS:
        place.key("unit").problem(f"found {shown(unit)}; allowed: {listed(UNITS)}{did_you_mean(word, UNITS)}")
        return dt.timedelta()
    try:
        if isinstance(value, bool):
            raise InvalidOperation  # noqa: TRY301
        seconds = Decimal(str(value)) * int(UNITS[word].total_seconds())
        if not seconds.is_finite() or seconds <= 0:
            raise InvalidOperation  # noqa: TRY301
        return dt.timedelta(seconds=float(seconds))
    except (InvalidOperation, OverflowError):
        place.key("value").problem(f"found {shown(value)}; allowed: a number more than 0")
        return dt.timedelta()


def read_owners(team: "Team | Sequence[TeamMember] | None") -> tuple[str, ...]:
    """The team's name as `team:name` and its members' mail addresses; who has left (dateOut) is no owner any more."""
    return tuple(dict.fromkeys(_owners(team)))


def _owners(team: "Team | Sequence[TeamMember] | None") -> Iterator[str]:
    if team is None:
        return
    members: Sequence[TeamMember]
    if isinstance(team, Sequence):
        members = team
    else:
        name = re.sub(r"[^a-z0-9]+", "_", (team.name or "").casefold()).strip("_")
        if name:
            yield f"team:{name}"
        members = team.members or []
    for member in members:
        username = (member.username or "").removeprefix("mailto:")
        if not member.dateOut and _EMAIL.fullmatch(username):
            yield username
