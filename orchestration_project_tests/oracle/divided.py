"""Which batch each record of a divided file is in, without SQL: loads of feeds with a `batch_column` are held to it."""

import datetime as dt
from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from orchestration_project.contracts.division import Division


def batch_of(division: Division, values: Mapping[str, Any], delivered: dt.date) -> dt.date | None:
    """The batch that a record tells by its values; None if it can't be told, and the record is to be rejected.

    Args:
        division: how files are divided.
        values: of the record.
        delivered: the batch of the file's delivery, after which none of its records may be.
    """
    value = values.get(division.column)
    if value is None:
        return None
    if isinstance(value, dt.datetime):
        value = (value.astimezone(ZoneInfo(division.timezone)) if value.tzinfo else value).date()
    if division.unit == "week":
        value -= dt.timedelta(days=value.weekday())
    elif division.unit == "month":
        value = value.replace(day=1)
    return value if division.start <= value <= delivered else None
