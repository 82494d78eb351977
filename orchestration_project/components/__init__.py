"""What generates Dagster definitions from contracts and SELECTs. Thin: the work is in modules that do not know Dagster.

What a project names in a `defs.yaml` or in its `definitions.py` can be imported from here.
"""

from orchestration_project.components.alerts import Alerts
from orchestration_project.components.backup import Backup
from orchestration_project.components.check_states import noted
from orchestration_project.components.daily_summary import DailySummary
from orchestration_project.components.delivery import Delivery
from orchestration_project.components.file_feed import FileFeed
from orchestration_project.components.health import PlatformHealth
from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.components.lake_maintenance import LakeMaintenance
from orchestration_project.components.project import with_platform
from orchestration_project.components.resources import Platform
from orchestration_project.components.retention import Retention
from orchestration_project.components.source import Source
from orchestration_project.components.sql_table import SqlTable

__all__ = [
    "Alerts",
    "Backup",
    "DailySummary",
    "Delivery",
    "FileFeed",
    "LakeMaintenance",
    "Platform",
    "PlatformHealth",
    "Retention",
    "Source",
    "SqlTable",
    "WarehouseIOManager",
    "noted",
    "with_platform",
]
