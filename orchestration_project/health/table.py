"""The table in which the platform's figures are kept: one row for each figure, hour after hour.

Belongs here: its columns, adding to it, thinning it out, reading it. Does not belong here: what is measured.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestration_project.health.model import Kind, Measurement
from orchestration_project.warehouse.owners import claim
from orchestration_project.warehouse.tables import ensure_table, ident

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

COLUMNS = {
    "measured_at": "TIMESTAMP",
    "subject_kind": "VARCHAR",
    "subject": "VARCHAR",
    "metric": "VARCHAR",
    "value": "DOUBLE",
    "unit": "VARCHAR",
}
DESCRIPTIONS = {
    "measured_at": "When it was measured, in UTC.",
    "subject_kind": "What the figure is about: `job`, `schedule`, `feed`, `store` or `disk`.",
    "subject": "The name of the job, schedule or feed; or `warehouse`, `archive`, `history`, `data`.",
    "metric": "What was measured; docs/reference.md lists the metrics.",
    "value": "The figure.",
    "unit": "`count`, `ratio`, `seconds`, `timestamp_seconds` (since 1970, UTC), `bytes` or `bytes_per_day`.",
}
HOURS_KEPT = dt.timedelta(days=90)
"""So long every measurement is kept; of a day before, only the last one."""


def add(
    connection: "DuckDBPyConnection", table: str, measured_at: dt.datetime, measurements: Sequence[Measurement]
) -> None:
    """Add the figures of one moment, and thin out the old ones.

    Args:
        connection: inside a transaction.
        table: the table, which is named as its asset. It is made where it is missing.
        measured_at: the moment, with a time zone.
        measurements: the figures.

    Raises:
        WarehouseError: another asset owns the table.
    """
    claim(connection, table, table)
    ensure_table(connection, table, COLUMNS)
    moment = _naive(measured_at)
    # Lists and unnest: one statement for all figures, however many feeds and jobs there are.
    connection.execute(
        f"""INSERT INTO {ident(table)} BY NAME
            SELECT $moment AS measured_at, unnest($kinds) AS subject_kind, unnest($subjects) AS subject,
                unnest($metrics) AS metric, unnest($values) AS value, unnest($units) AS unit""",
        {
            "moment": moment,
            "kinds": [item.metric.kind.value for item in measurements],
            "subjects": [item.subject for item in measurements],
            "metrics": [item.metric.name for item in measurements],
            "values": [item.value for item in measurements],
            "units": [item.metric.unit.value for item in measurements],
        },
    )
    _thin_out(connection, table, moment)


def _thin_out(connection: "DuckDBPyConnection", table: str, now: dt.datetime) -> None:
    """Of each day that is over for longer than `HOURS_KEPT`, keep the last measurement."""
    # Whole days only: of the day that is half beyond the limit the last measurement would change with every hour.
    first_whole = dt.datetime.combine((now - HOURS_KEPT).date(), dt.time())
    connection.execute(
        f"""DELETE FROM {ident(table)} WHERE measured_at < $1 AND measured_at NOT IN (
            SELECT max(measured_at) FROM {ident(table)} WHERE measured_at < $1 GROUP BY measured_at::DATE)""",
        [first_whole],
    )


def series(
    connection: "DuckDBPyConnection", table: str, kind: Kind, metric: str, since: dt.datetime
) -> dict[str, dict[dt.datetime, float]]:
    """The values of a metric by subject and moment (UTC, with a time zone), from a moment on.

    Args:
        connection: to a warehouse that has the table.
        table: its name.
        kind: what the metric is about.
        metric: its name.
        since: the first moment that counts, with a time zone.
    """
    rows = connection.execute(
        f"""SELECT subject, measured_at, value FROM {ident(table)}
            WHERE subject_kind = $1 AND metric = $2 AND measured_at >= $3 ORDER BY measured_at""",
        [kind.value, metric, _naive(since)],
    ).fetchall()
    found: dict[str, dict[dt.datetime, float]] = defaultdict(dict)
    for subject, moment, value in rows:
        found[subject][moment.replace(tzinfo=dt.UTC)] = value
    return dict(found)


def _naive(moment: dt.datetime) -> dt.datetime:
    # The column has no zone, so it is UTC that is written and compared, whatever zone the machine is in.
    return moment.astimezone(dt.UTC).replace(tzinfo=None)
