"""Addresses, prefixes and names with a batch in them: `reports/{year}/{month}/sales_{year}-{month}-{day}.csv`."""

import datetime as dt
import re
from collections.abc import Iterator

from orchestration_project.storage.batches import Batch, Batching

BATCH_FIELD = re.compile(r"\{(year|month|day|hour)\}")
"""What stands for a part of a batch."""
FORMS = {"year": "%Y", "month": "%m", "day": "%d", "hour": "%H", "minute": "%M", "second": "%S"}


def fields_of(moment: Batch) -> dict[str, str]:
    """What the parts of a moment are written as, by their names; a date is its midnight."""
    whole = moment if isinstance(moment, dt.datetime) else dt.datetime.combine(moment, dt.time())
    return {name: f"{whole:{form}}" for name, form in FORMS.items()}


def filled(template: str, moment: Batch) -> str:
    """A template with the parts of a moment in it."""
    values = fields_of(moment)
    return BATCH_FIELD.sub(lambda field: values[field[1]], template)


def batches_since(start: str | None, batching: Batching, now: dt.datetime) -> Iterator[Batch]:
    """The batches of a feed, from a day on (YYYY-MM-DD; None: from its first one) to the present one."""
    first = batching.floor(dt.datetime.fromisoformat(start)) if start else batching.start
    batch, last = max(first, batching.start), batching.current(now)
    while batch <= last:
        yield batch
        batch = batching.after(batch)
