"""What generates Dagster definitions from contracts. Thin: the work is in modules that do not know Dagster."""

from orchestration_project.components.file_feed import FileFeed

__all__ = ["FileFeed"]
