"""A small feed and rows of its tables, for the tests of what checks measure."""

import datetime as dt

from orchestration_project.contracts.feed import Bound, Column, Feed, Required

MONDAY, TUESDAY, SUNDAY = dt.date(2024, 1, 15), dt.date(2024, 1, 16), dt.date(2024, 1, 21)
FEED = Feed(
    name="orders",
    version="1.0.0",
    columns=(
        Column("id", "VARCHAR", "id", rules=(Required(),)),
        Column("size", "INTEGER", "size", rules=(Bound("minimum", "1"),)),
        Column("buyer", "VARCHAR", "buyer", personal=True, unique=True),
    ),
    primary_key=("id",),
)
ROWS: list[tuple[str, int | None, str | None, dt.date]] = [
    ("a", 1, "Ann", MONDAY),
    ("b", 2, "-", MONDAY),
    ("c", None, None, MONDAY),
    ("c", 7, "Ann", MONDAY),
    ("d", 3, "Eve", TUESDAY),
]
