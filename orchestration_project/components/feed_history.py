"""`history` of a feed's `defs.yaml`: what it asks of the feed, what changes are usual, and the asset that it adds.

Belongs here: attributes and specs. How versions are made is in `ingest.history`, what checks say of them in
`check_results.history`.
"""

from collections.abc import Mapping
from typing import Annotated

import dagster as dg
from pydantic import Field

from orchestration_project.contracts.errors import did_you_mean
from orchestration_project.contracts.feed import Feed
from orchestration_project.warehouse.feed_tables import IS_CURRENT, VALID_FROM, VALID_TO

NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "REAL", "HUGEINT")


class UsualChanges(dg.Model, dg.Resolvable):
    """What the newest snapshot may change without a warning of the check `usual_changes`."""

    max_gone: Annotated[
        float, Field(ge=0, le=1, description="Which share of the keys of the snapshot before may be missing.")
    ] = 0.2
    max_moves: Annotated[
        Mapping[str, float],
        Field(
            description="By column, by which share of its value a number may move: `list_price: 0.5` warns of every key"
            " whose price rose or fell by more than half.",
        ),
    ] = {}


def history_problem(feed: Feed, snapshot: bool, wanted: bool, changes: UsualChanges | None) -> str | None:
    """Why a feed can't have the history that is wanted, or not these limits; None if it can."""
    if not wanted:
        return "usual_changes needs history: true, in which they are found" if changes else None
    numbers = [column.name for column in feed.columns if any(part in column.sql_type for part in NUMBERS)]
    taken = [column.name for column in feed.columns if column.name.lower() in (VALID_FROM, VALID_TO, IS_CURRENT)]
    if not snapshot:
        return "history needs mode: snapshot: it compares each file, as the whole truth, with the one before"
    if not feed.primary_key:
        return "history needs a primaryKey in the contract: it tells what of two snapshots is the same thing"
    if taken:
        return f"the contract's column(s) {', '.join(taken)} have the names of columns of the history; rename them"
    for name in changes.max_moves if changes else ():
        if name not in numbers:
            return f"max_moves: {name!r} is no column of numbers{did_you_mean(name, numbers)}"
    return None
