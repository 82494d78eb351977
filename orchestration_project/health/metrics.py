"""The newest figures as a file that the textfile collector of Prometheus' node exporter reads.

It is replaced as a whole with each measurement. Whoever reads it needs neither the warehouse nor Dagster.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from orchestration_project.health.model import METRICS, Measurement
from orchestration_project.settings import Settings
from orchestration_project.storage.archive import write_whole

NAME = "name"
"""The label of the subject. `job` would be better English, but Prometheus uses that one for itself."""
MEASURED = "orchestration_project_measured_timestamp_seconds"


def metrics_file(settings: Settings) -> Path:
    """Where the file is."""
    return settings.data_dir / "metrics" / "orchestration_project.prom"


def exposition(measured_at: dt.datetime, measurements: Sequence[Measurement]) -> bytes:
    """The figures in the text format of Prometheus, each with the name of its subject as a label."""
    # A tenth of a second that only this run has to pay.
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    # One of its own: the library's default registry adds figures of this Python process to each file.
    registry = CollectorRegistry()
    gauges = {metric: Gauge(metric.exported_as, metric.description, [NAME], registry=registry) for metric in METRICS}
    for item in measurements:
        gauges[item.metric].labels(item.subject).set(item.value)
    Gauge(MEASURED, "When the figures were measured.", registry=registry).set(measured_at.timestamp())
    return generate_latest(registry)


def write_metrics(settings: Settings, measured_at: dt.datetime, measurements: Sequence[Measurement]) -> Path:
    """Replace the file by one with these figures; returns its path."""
    path = metrics_file(settings)
    write_whole(path, exposition(measured_at, measurements), replacing=True)
    return path
