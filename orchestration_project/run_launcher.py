"""Deprecated: where a `dagster.yaml` of release 0.1 finds the class that is in `components.run_launcher` now."""

import warnings

from orchestration_project.components.run_launcher import LocalRunLauncher

__all__ = ["LocalRunLauncher"]

warnings.warn(
    f"{__name__} is deprecated: name orchestration_project.components.run_launcher in dagster.yaml",
    DeprecationWarning,
    stacklevel=2,
)
