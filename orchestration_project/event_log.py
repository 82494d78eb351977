"""Deprecated: where a `dagster.yaml` of release 0.1 finds the class that is in `components.event_log` now."""

import warnings

from orchestration_project.components.event_log import EventLog

__all__ = ["EventLog"]

warnings.warn(
    f"{__name__} is deprecated: name orchestration_project.components.event_log in dagster.yaml",
    DeprecationWarning,
    stacklevel=2,
)
