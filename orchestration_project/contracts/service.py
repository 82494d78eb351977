"""How a feed is served: `servers` (how its files are written), `slaProperties` (how fresh it is), `team` (its owners).

Belongs here: what a contract says of a feed as a whole. Does not belong here: its columns and rules.
"""

import codecs
import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from orchestration_project.contracts.errors import Place, did_you_mean, excerpt, listed
from orchestration_project.contracts.feed import ALL_SHEETS, FileFormat, Parsing, SourceFormat
from orchestration_project.contracts.fixed_width import OF_LINES, read_fixed_width
from orchestration_project.contracts.parsing import FILE, OF_A_SERVER, Custom, read_custom, read_parsing

if TYPE_CHECKING:
    from open_data_contract_standard.model import Server, ServiceLevelAgreementProperty, Team, TeamMember

FORMATS = {
    "csv": FileFormat.CSV,
    "tsv": FileFormat.CSV,
    "json": FileFormat.JSON,
    "jsonl": FileFormat.JSON,
    "ndjson": FileFormat.JSON,
    "parquet": FileFormat.PARQUET,
    "xlsx": FileFormat.XLSX,
    "ods": FileFormat.XLSX,
    "fixed_width": FileFormat.FIXED_WIDTH,
}
_PLACES_OF_FILES = ("azure", "custom", "glue", "s3", "sftp")
_DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "\\t": "\t"}
_OF_A_FORMAT = {
    FileFormat.CSV: ("delimiter", "quote"),
    FileFormat.JSON: ("recordsPath",),
    FileFormat.XLSX: ("sheet",),
    FileFormat.FIXED_WIDTH: OF_LINES,
}
"""The properties of a server that mean something for one format only."""
_STATEFUL = ("utf-7", "hz", "iso2022")
"""Codecs whose bytes mean other letters by what stands before them. Files in them are valid ASCII, and so UTF-8."""
# Codecs that decode text, and in which no file is written.
_NO_ENCODINGS = frozenset(
    {"undefined", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "charmap", "mbcs", "oem"}
)
# What the standard's `delimiter` says of JSON: how objects are told apart, not fields.
_JSON_DELIMITERS = ("new_line", "array")

_KEY = re.compile(r"\.([A-Za-z_][\w-]*)|\['([^'\\]+)'\]")
_PATH = re.compile(rf"\$(?:{_KEY.pattern})*")

_UNITS = {
    dt.timedelta(seconds=1): ("s", "sec", "second", "seconds"),
    dt.timedelta(minutes=1): ("m", "min", "minute", "minutes"),
    dt.timedelta(hours=1): ("h", "hr", "hour", "hours"),
    dt.timedelta(days=1): ("d", "day", "days"),
    dt.timedelta(weeks=1): ("w", "week", "weeks"),
    # The longest month and year, so that data is never called late before it is.
    dt.timedelta(days=31): ("mo", "month", "months"),
    dt.timedelta(days=366): ("y", "yr", "year", "years"),
}
UNITS = {word: unit for unit, words in _UNITS.items() for word in words}
_DURATIONS, _TIME = ("latency", "frequency"), "timeOfAvailability"
# fromisoformat alone would also take 09 and 0900: too little to be sure that a time of day is meant.
_CLOCK = re.compile(r"\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:?\d{2})?")
# Dagster refuses an owner that is neither a mail address nor a team, and with it all definitions.
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


def read_source(servers: "Sequence[Server] | None", place: Place) -> tuple[SourceFormat, Parsing]:
    """How files are written: by the first `local` server, else by the first other one that holds files, else CSV.

    `place` is that of the list.
    """
    if not servers:
        return SourceFormat(), Parsing()
    index = _file_server(servers)
    if index is None:
        types = listed(dict.fromkeys(server.type for server in servers))
        place.problem(
            f"none of the servers ({types}) tells how files are written;"
            " add one: {server: landing, type: local, path: landing, format: csv}"
        )
        return SourceFormat(), Parsing()
    server, here = servers[index], place.item(index)
    custom = read_custom(server.customProperties, OF_A_SERVER, here)
    return _source(server, custom, here), read_parsing(custom, Parsing())


def _file_server(servers: "Sequence[Server]") -> int | None:
    # A contract also lists the databases and topics in which the same data is offered to others.
    local = [index for index, server in enumerate(servers) if server.type == "local"]
    others = [index for index, server in enumerate(servers) if server.type in _PLACES_OF_FILES and server.format]
    return next(iter([*local, *others]), None)


def _source(server: "Server", custom: Custom, place: Place) -> SourceFormat:
    name = (server.format or "").strip().casefold()
    if name not in FORMATS:
        place.key("format").problem(f"found {server.format!r}; allowed: {listed(FORMATS)}{did_you_mean(name, FORMATS)}")
        return SourceFormat()
    file_format = FORMATS[name]
    for property_name in [name for name in FILE if name in custom and name not in _OF_A_FORMAT.get(file_format, ())]:
        custom[property_name][1].problem(f"{property_name} has no effect on {name} files")
    if file_format is not FileFormat.CSV:
        encoding = _encoding(server.encoding, place.key("encoding"))
        sheet = _sheet(*custom["sheet"]) if file_format is FileFormat.XLSX and "sheet" in custom else None
        fixed = read_fixed_width(custom, encoding) if file_format is FileFormat.FIXED_WIDTH else None
        path = _records_path(*custom["recordsPath"]) if "recordsPath" in custom else None
        return SourceFormat(file_format, encoding=encoding, sheet=sheet, fixed=fixed, records_path=path)
    quote = _quote(*custom["quote"]) if "quote" in custom else '"'
    delimiter = _delimiter(server, custom, place) or ("\t" if name == "tsv" else None)
    if delimiter == quote:
        place.problem(f"delimiter and quote are both {quote!r}")
    return SourceFormat(file_format, delimiter, quote, _encoding(server.encoding, place.key("encoding")))


def _sheet(value: Any, place: Place) -> str | int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
    if is_number or (isinstance(value, str) and value.strip()):
        return value.strip() if isinstance(value, str) else int(value)
    place.problem(f"found {excerpt(value)}; allowed: a sheet's name, its number from 1, or {ALL_SHEETS!r}")
    return None


def keys_of_path(text: str) -> tuple[str, ...] | None:
    """The keys of a path such as `$.data.items`; none of `$`. None: it is another one, such as `$..items`."""
    if not _PATH.fullmatch(text):
        return None
    return tuple(plain or quoted for plain, quoted in _KEY.findall(text))


def _records_path(value: Any, place: Place) -> tuple[str, ...] | None:
    keys = keys_of_path(value) if isinstance(value, str) else None
    if keys is None:
        place.problem(
            f"found {excerpt(value)}; allowed: $ and the keys that lead to the array of records, e.g. $.data.items or"
            " $['a key'].items"
        )
    return keys


def _delimiter(server: "Server", custom: Custom, place: Place) -> str | None:
    given = [custom["delimiter"]] if "delimiter" in custom else []
    if server.delimiter is not None and server.delimiter not in _JSON_DELIMITERS:
        given.append((server.delimiter, place.key("delimiter")))
    found = [
        _one_character(_DELIMITERS.get(value, value) if isinstance(value, str) else value, here)
        for value, here in given
    ]
    if len(set(found)) > 1:
        given[0][1].problem(f"the server's delimiter is {server.delimiter!r}, this one {given[0][0]!r}")
    return found[0] if found else None


def _quote(value: Any, place: Place) -> str:
    return _one_character(value, place) or '"'


def _one_character(value: Any, place: Place) -> str | None:
    plain = isinstance(value, str) and len(value) == 1 and not value.isalnum() and value not in "\r\n\ufeff"
    if not plain:
        place.problem(f"found {excerpt(value)}; allowed: one character that is neither a letter nor a digit")
    return str(value) if plain else None


def _encoding(name: str | None, place: Place) -> str | None:
    """The codec's name in Python; None for UTF-8 and for ASCII, which is part of it."""
    if name is None:
        return None
    try:
        codec = codecs.lookup(name).name
        # lookup also knows base64, rot13 and the like, which make no bytes of text.
        "a".encode(codec)
    except (LookupError, ValueError):
        # unicode_escape and the like are text codecs as well, but no file is written in them.
        codec = "undefined"
    if codec.startswith(_STATEFUL):
        place.problem(
            f"found {name!r}, in which all bytes are ASCII: a lost one changes the letters behind it without an error;"
            " have the files delivered in UTF-8"
        )
        return None
    if codec.replace("-", "_") in _NO_ENCODINGS:
        known = ("utf-8", "utf-16", "iso-8859-1", "iso-8859-15", "cp1252", "cp850", "cp437", "shift_jis", "gb18030")
        place.problem(
            f"found {name!r}; allowed: the name of a text encoding, e.g. {listed(known)}{did_you_mean(name, known)}"
        )
        return None
    return None if codec in ("utf-8", "utf-8-sig", "ascii") else codec


@dataclass(frozen=True, slots=True)
class ServiceLevels:
    """What a contract promises: how long after a batch's end data may be missing, how often and by when it comes."""

    latency: dt.timedelta | None = None
    frequency: dt.timedelta | None = None
    available_at: tuple[dt.time, ...] = ()


def read_service(properties: "Sequence[ServiceLevelAgreementProperty] | None", place: Place) -> ServiceLevels:
    """Latency, frequency and times of availability; every other service level is documentation.

    Each driver (regulatory, analytics, operational) may have a time of availability of its own. `place` is that of the
    list.
    """
    durations: dict[str, dt.timedelta] = {}
    times: list[dt.time] = []
    for index, level in enumerate(properties or []):
        name, here = (level.property or "").strip(), place.item(index)
        if name in _DURATIONS:
            duration = _duration(level.value, level.unit, here)
            if durations.setdefault(name, duration) != duration:
                here.problem(f"{name} is given twice, with different values")
        elif name == _TIME:
            times += _time_of_day(level.value, here)
        elif hint := did_you_mean(name, (*_DURATIONS, _TIME), cutoff=0.8):
            here.key("property").problem(f"{name!r} is not known{hint}")
    return ServiceLevels(durations.get("latency"), durations.get("frequency"), tuple(dict.fromkeys(times)))


def _time_of_day(value: Any, place: Place) -> list[dt.time]:
    """The time of day that a text tells, such as `09:00`, `09:00-08:00` or `09:00Z`; none after a problem."""
    try:
        if not _CLOCK.fullmatch(str(value)):
            raise ValueError  # noqa: TRY301
        return [dt.time.fromisoformat(str(value))]
    except ValueError:
        place.key("value").problem(
            f"found {excerpt(value)}; allowed: a time of day in quotes, such as '09:00' or '09:00-08:00'"
        )
        return []


def _duration(value: Any, unit: str | None, place: Place) -> dt.timedelta:
    word = (unit or "").strip().casefold()
    if word not in UNITS:
        place.key("unit").problem(f"found {excerpt(unit)}; allowed: {listed(UNITS)}{did_you_mean(word, UNITS)}")
        return dt.timedelta()
    try:
        if isinstance(value, bool):  # which Python also takes as 0 or 1
            raise InvalidOperation  # noqa: TRY301
        seconds = Decimal(str(value)) * int(UNITS[word].total_seconds())
        if not seconds.is_finite() or seconds <= 0:
            raise InvalidOperation  # noqa: TRY301
        return dt.timedelta(seconds=float(seconds))
    except (InvalidOperation, OverflowError):
        place.key("value").problem(f"found {excerpt(value)}; allowed: a number more than 0")
        return dt.timedelta()


def read_owners(team: "Team | Sequence[TeamMember] | None") -> tuple[str, ...]:
    """The team's name as `team:name` and its members' mail addresses, without members who have left (dateOut)."""
    return tuple(dict.fromkeys(_owners(team)))


def _owners(team: "Team | Sequence[TeamMember] | None") -> Iterator[str]:
    if team is None:
        return
    members: Sequence[TeamMember]
    # Up to 3.0 a team was the list of its members.
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
