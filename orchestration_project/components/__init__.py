"""What generates Dagster definitions from contracts and SELECTs. Thin: the work is in modules without Dagster."""

from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.sql_table import SqlTable

__all__ = ["FileFeed", "SqlTable"]
