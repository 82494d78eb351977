"""Processes that deliver, and may die while they do. Another process can be given each of these functions.

Belongs here: what such a process needs, and nothing that takes long to import, since each case starts some of them.
"""

import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from orchestration_project.delivery.dlt_target import DltTarget
from orchestration_project.delivery.model import StagedPart
from orchestration_project.delivery.postgres import PostgresTarget
from orchestration_project.storage import cloud_objects
from orchestration_project_tests.delivery.delivered import Outlet
from orchestration_project_tests.delivery.parts import deliver
from orchestration_project_tests.reliability.victim import CONTEXT

END_SECONDS = 300
"""How long a client may take to end. One that hangs is a fault, and must not keep the tests from ending."""
FIRST, SECOND, THIRD = "2024-01-15", "2024-01-16", "2024-01-17"

State = list[tuple[Any, ...]]


def started(work: Callable[[], object]) -> BaseProcess:
    """Do something in a process of its own: DuckDB's extension may take the process along when a server goes."""
    process = CONTEXT.Process(target=work)
    process.start()
    return process


def ended(process: BaseProcess) -> int:
    """The exit code of a process, which must not hang."""
    process.join(END_SECONDS)
    found = process.exitcode
    process.kill()
    process.join()
    assert found is not None, "it hangs"
    return found


def deliver_files(made: Outlet, environment: Mapping[str, str]) -> None:
    """Deliver files, with a client that does not ask twice."""
    os.environ.update(environment)  # noqa: TID251 - of a process of its own
    vars(cloud_objects)["RETRIES"] = 0
    made.deliver()


def deliver_table(url: str, write: list[StagedPart], remove: tuple[str, ...]) -> None:
    """Deliver to PostgreSQL."""
    deliver(PostgresTarget(url), *write, remove=remove)


def deliver_by_dlt(url: str, folder: Path, write: list[StagedPart], remove: tuple[str, ...]) -> None:
    """Deliver by dlt, with nothing left outside of a folder."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    os.environ.update(HOME=str(home), DESTINATION__POSTGRES__CREDENTIALS=url)  # noqa: TID251 - of a process of its own
    os.chdir(home)
    deliver(DltTarget("postgres", "warehouse", folder / "work"), *write, remove=remove)
