"""The project's definitions in a process that dies by SIGKILL at the point that DIE_AT names."""

import os
import signal

from orchestration_project.definitions import defs
from orchestration_project.failpoints import AnyPoint, listen

__all__ = ["defs"]


def _die_at(point: AnyPoint) -> None:
    if point == os.environ.get("DIE_AT"):  # noqa: TID251 - how a test speaks to this process
        os.kill(os.getpid(), signal.SIGKILL)


listen(_die_at)
