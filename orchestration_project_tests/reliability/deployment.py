"""`dagster dev` on data and a history of its own, as a person runs it, that can be killed in part or as a whole.

Processes are found by the group that `dagster dev` was started in, through /proc.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.servers.warehouses import place

POLL_SECONDS = 0.2

PARTS = {
    "daemon": "dagster._daemon",
    "webserver": "dagster_webserver",
    "code server": "dagster code-server",
    "run server": "dagster api grpc",
    "worker": "spawn_main",
    "parent": "-m dagster dev",
}
"""What tells the processes of `dagster dev` apart, in their command lines."""


@dataclass
class Deployment:
    """The project under `dagster dev`, all sensors on, with its data and history in a folder.

    Attributes:
        folder: for data and history.
        root: the project; this one unless it is a copy.
        environment: settings beside those that every deployment has.
    """

    folder: Path
    root: Path = REPOSITORY
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the folders and configure Dagster as the make targets do."""
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").symlink_to(REPOSITORY / "dagster.yaml")
        # Makes the databases: two processes that make them at the same time disturb each other.
        self.runs()

    @property
    def home(self) -> Path:
        """Where Dagster keeps its history."""
        return self.folder / "home"

    @cached_property
    def history(self) -> dg.DagsterInstance:
        """Dagster's history, which stays open: opening it for each question took a seventh of a test's time."""
        return dg.DagsterInstance.from_config(str(self.home))

    @property
    def settings(self) -> Settings:
        """The settings that the runs see."""
        data = self.folder / "data"
        url, lake_data = place(data)
        return Settings(data_dir=data, warehouse_url=url, warehouse_data=lake_data, lock_timeout=60)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse.from_settings(self.settings)

    @property
    def url(self) -> str:
        """Where its UI is, since it was started the last time."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start `dagster dev` in a process group of its own."""
        self.port = free_port()
        command = [sys.executable, "-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(self.port)]
        with (self.folder / "dev.log").open("ab") as log:
            self.started.append(
                subprocess.Popen(command, cwd=self.root, env=self.shell, stdout=log, stderr=log, start_new_session=True)
            )

    @property
    def shell(self) -> dict[str, str]:
        """The environment of its processes, and of commands about it."""
        inherited = dict(os.environ)  # noqa: TID251 - the command runs as it would from this shell
        own = {
            "DATA_DIR": str(self.settings.data_dir),
            "WAREHOUSE_URL": self.settings.warehouse_url,
            "WAREHOUSE_DATA": self.settings.warehouse_data,
            "DAGSTER_HOME": str(self.home),
            "AUTOMATION": "on",
            "PYTHONPATH": str(self.root),
            # A run whose process takes longer than this to start, 60 seconds by default, is started again.
            "DAGSTER_GRPC_TIMEOUT_SECONDS": "300",
        }
        return inherited | own | self.environment

    def command(self, *arguments: str) -> None:
        """Run a command of Dagster's as a person does beside it."""
        command = [sys.executable, "-m", "dagster", *arguments]
        done = subprocess.run(command, cwd=self.root, env=self.shell, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """What the web server answers to a query, as to one of the UI's own.

        Raises:
            OSError: nobody answers, such as while it starts.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - the address is our own
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def restart(self) -> None:
        """Start again as a person does: what is left of the last time is gone, but for a run that goes on."""
        self.kill(*(part for part in PARTS if part != "worker"))
        self.start()

    def kill(self, *parts: str) -> None:
        """Kill processes at once and without warning: those of some parts, or all."""
        for pid, command in self.processes().items():
            if not parts or any(PARTS[part] in command for part in parts):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        for process in self.started:
            process.poll()  # one that is dead is not to stay as a zombie

    def processes(self) -> dict[int, str]:
        """The processes that were started and still run, with their command lines."""
        groups = {process.pid for process in self.started}
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.getpgid(int(folder.name)) in groups:
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def runs(self, *statuses: dg.DagsterRunStatus) -> Sequence[dg.DagsterRun]:
        """The runs in the history, the newest first."""
        return self.history.get_runs(dg.RunsFilter(statuses=list(statuses)) if statuses else None)

    def wait_until(self, holds: Callable[[], object], seconds: float) -> float:
        """Wait until something holds; returns how long it took."""
        start = time.monotonic()
        while not holds():
            waited = time.monotonic() - start
            if waited > seconds:
                raise AssertionError(f"after {waited:.0f} s: {self.runs()}\n{self.log()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - start

    def log(self) -> str:
        """The end of what `dagster dev` printed."""
        return (self.folder / "dev.log").read_text(errors="replace")[-5000:]


@contextmanager
def deployed(
    folder: Path, root: Path = REPOSITORY, environment: Mapping[str, str] | None = None
) -> Iterator[Deployment]:
    """A deployment that is not started yet, of which no process is left in the end."""
    deployment = Deployment(folder, root, dict(environment or {}))
    with deployment.history:
        try:
            yield deployment
        finally:
            deployment.kill()
            for process in deployment.started:
                process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
