"""Deprecated, for a `dagster.yaml` of an older release: name `orchestration_project.components.event_log` there."""

from orchestration_project.components.event_log import *  # noqa: F403 - whatever an older dagster.yaml may name
