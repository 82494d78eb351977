"""A night, or a restore, in a process that dies by SIGKILL at the step that DIE_AT names."""

import datetime as dt
import os
import signal
import sys

from orchestration_project.backup.nightly import nightly
from orchestration_project.backup.restore import restore
from orchestration_project.backup.retention import Keep
from orchestration_project.backup.vault import open_vault
from orchestration_project.failpoints import AnyPoint, listen
from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse


def die(point: AnyPoint) -> None:
    """End this process at once."""
    if point == os.environ.get("DIE_AT"):  # noqa: TID251 - how a test speaks to this process
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    listen(die)
    settings = Settings.from_env()
    if sys.argv[1] == "restore":
        vault = open_vault(settings.backup_url)
        restore(settings, vault, vault.up_to(None), print)
    else:
        now = dt.datetime.fromisoformat(sys.argv[1])
        nightly(Warehouse.from_settings(settings), settings, now, print, Keep(1, 0, 0))
