"""Deprecated, for a `dagster.yaml` of an older release: name `orchestration_project.components.run_launcher` there."""

from orchestration_project.components.run_launcher import *  # noqa: F403 - whatever an older dagster.yaml may name
