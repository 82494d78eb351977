"""Which records of a file are no data, as a contract says it: plain immutable data, split by kind.

Belongs here: the rules, and the totals that such a record may be used for. Does not belong here: reading them from a
document (`ignored.py`) and finding the records (`orchestration_project.ingest.ignored`).
"""

from dataclasses import dataclass, field

# The repr of these rules is a part of what loads remember of a contract (`ingest.fingerprints`). Totals are left out of
# it: they decide whether a file is accepted, never what its records are.


@dataclass(frozen=True, slots=True)
class ControlTotal:
    """The ignored record has the total of a column; `blocking`: a file whose records have another one is refused."""

    column: str
    blocking: bool = False


@dataclass(frozen=True, slots=True)
class IgnoredWhere:
    """Records for which a condition holds: SQL over the text of the columns that it `uses`, `_raw_line` among them."""

    name: str
    condition: str
    uses: tuple[str, ...] = ()
    totals: tuple[ControlTotal, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class IgnoredLast:
    """The last records of each file; blank ones are not counted."""

    name: str
    records: int
    totals: tuple[ControlTotal, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class IgnoredPrefix:
    """Lines that begin with a text."""

    name: str
    prefix: str
    totals: tuple[ControlTotal, ...] = field(default=(), repr=False)


IgnoredRule = IgnoredWhere | IgnoredLast | IgnoredPrefix
