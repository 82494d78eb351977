"""The platform's initial load by number of records, with little memory."""

from functools import partial

from benchmarks.data import days
from benchmarks.measure import Contender, ratio, take_turns
from benchmarks.report import UNKNOWN, Section, Target, megabytes, seconds, times
from benchmarks.session import CATALOGUE, MEMORY_LIMIT, SALES, SHOP, Session, materialize

DAYS = 30
SIZES = (1_000_000, 3_000_000, 10_000_000)
FULL_SIZES = (*SIZES, 30_000_000, 100_000_000)
COMPARED = 30_000_000
"""The largest size whose time is compared with that of the size below; a larger one has only to end."""
GROWTH = 1.1
"""What a record may cost in a load several times as large."""
INTRO = """The same load, with `WAREHOUSE_MEMORY_LIMIT={limit}` for DuckDB; Python and Dagster need memory beside it."""


def measure(session: Session) -> Section:
    """Measure the load at each size."""
    contenders = {size: _contender(session, size) for size in sizes_of(session)}
    take_turns(list(contenders.values()), session.log)
    section = Section(
        "Scaling",
        INTRO.format(limit=MEMORY_LIMIT),
        ["records", "time", "a million records", "of the row above", "peak memory"],
    )
    above: float | None = None
    for size, item in contenders.items():
        each = ratio(item.seconds, size / 1e6)
        row = [f"{size:,}", seconds(item.seconds), seconds(each), times(ratio(each, above)) if above else UNKNOWN]
        section.rows.append([*row, megabytes(item.peak_bytes)])
        above = each
    section.targets = targets_of({size: item.seconds for size, item in contenders.items()})
    section.add_failures(contenders.values())
    return section


def sizes_of(session: Session) -> tuple[int, ...]:
    """How many records are loaded: as many as the session says in the largest load, the others in proportion."""
    sizes = FULL_SIZES if session.full else SIZES
    if session.rows is None:
        return sizes
    return tuple(size * session.rows // sizes[-1] for size in sizes)


def _contender(session: Session, size: int) -> Contender:
    name = f"{size:,} records"
    command = materialize(SHOP, [*SALES, *CATALOGUE], days(DAYS))
    environment = session.environment("scaling") | {"WAREHOUSE_MEMORY_LIMIT": MEMORY_LIMIT}
    return Contender(name, command, environment, prepare=partial(_prepare, session, size))


def _prepare(session: Session, size: int) -> None:
    session.data_dir("scaling", session.files(size, days(DAYS)))
    session.dagster_home("scaling")


def targets_of(found: dict[int, float | None]) -> list[Target]:
    """What is aimed at between the two largest sizes that are compared."""
    below, above = [size for size in found if size <= COMPARED][-2:]
    limit = round(above / below * GROWTH, 2)
    return [Target(f"{above:,} to {below:,} records, time", ratio(found[above], found[below]), limit)]
