"""The cluster of `deploy/cluster`, as processes on this machine: what would run on several ones, each killable alone.

Nothing of it is left in the end: each part is a session of its own, and is ended with all that it has started.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.settings import Settings
from orchestration_project.warehouse.connection import Warehouse
from orchestration_project_tests.cluster.processes import processes_of
from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.deployment import free_port
from orchestration_project_tests.servers.postgres import PostgresServer, postgres_server
from orchestration_project_tests.servers.redis import RedisServer
from orchestration_project_tests.servers.s3 import BUCKET, S3Server
from orchestration_project_tests.servers.s3 import running as s3_server

CONFIGURATION = REPOSITORY / "deploy" / "cluster"
DEFINITIONS = "orchestration_project.definitions"
# As docs/cluster.md says: a history that does not answer is not waited for without end.
HISTORY_PATIENCE = "connect_timeout=10&keepalives_idle=30&keepalives_interval=10&tcp_user_timeout=60000"
POLL_SECONDS, STOP_SECONDS = 0.2, 30
PARTS: Mapping[str, Sequence[str]] = {
    "code server": ("dagster", "code-server", "start", "--location-name", "orchestration_project"),
    "daemon": ("dagster._daemon", "run"),
    "webserver": ("dagster_webserver", "--host", "127.0.0.1"),
    "read-only webserver": ("dagster_webserver", "--host", "127.0.0.1", "--read-only"),
    "worker": ("orchestration_project", "worker"),
}
"""The modules that are run, with their arguments."""
LISTENING = ("code server", "webserver", "read-only webserver")


@dataclass
class Cluster:
    """Servers, code server, daemon, web servers and workers, with the data of all of them in a folder.

    Attributes:
        folder: for data, Dagster's home and logs.
        postgres: the server of Dagster's history.
        redis: the broker.
        store: the object store of a lake, if the warehouse is one.
        root: the project's folder, from which its modules are imported.
        definitions: the module with the definitions.
        environment: settings beside those that every cluster has.
        parts: the processes by name: the keys of `PARTS`, and names of workers.
    """

    folder: Path
    postgres: PostgresServer
    redis: RedisServer
    root: Path = REPOSITORY
    definitions: str = DEFINITIONS
    environment: dict[str, str] = field(default_factory=dict)
    parts: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in LISTENING})
    database: str = ""
    store: S3Server | None = None

    def __post_init__(self) -> None:
        """Make the folders and the history, before two processes that start together do."""
        self.home.mkdir(parents=True)
        (self.home / "dagster.yaml").symlink_to(CONFIGURATION / "dagster.yaml")
        self.database = self.database or self.postgres.new_database()
        self.command("dagster", "instance", "migrate")

    @property
    def home(self) -> Path:
        """`$DAGSTER_HOME`."""
        return self.folder / "home"

    @property
    def settings(self) -> Settings:
        """The settings that the runs see."""
        return Settings.from_env(self.own_environment)

    @property
    def warehouse(self) -> Warehouse:
        """The warehouse."""
        return Warehouse.from_settings(self.settings)

    def url(self, name: str) -> str:
        """Where a web server is."""
        return f"http://127.0.0.1:{self.ports[name]}"

    @property
    def own_environment(self) -> dict[str, str]:
        """What the environment of each process has to have."""
        own = {
            "DATA_DIR": str(self.folder / "data"),
            "WAREHOUSE_LOCK_TIMEOUT": "60",
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_POSTGRES_URL": f"{self.postgres.url(self.database)}?{HISTORY_PATIENCE}",
            "CELERY_BROKER_URL": self.redis.url,
            "CODE_SERVER_HOST": "127.0.0.1",
            "CODE_SERVER_PORT": str(self.ports["code server"]),
            "AUTOMATION": "on",
            "PYTHONPATH": os.pathsep.join(dict.fromkeys((str(self.root), str(REPOSITORY)))),
            "DAGSTER_GRPC_TIMEOUT_SECONDS": "300",
        }
        return own | self.environment

    def start(self, *parts: str) -> None:
        """Start parts by name; a name such as `worker 1` is a worker."""
        for name in parts:
            kind = next(kind for kind in PARTS if name.startswith(kind))
            module, *arguments = PARTS[kind]
            if kind == "code server":
                arguments += ["-m", self.definitions, "--host", "127.0.0.1"]
            if kind in self.ports:
                arguments += ["--port", str(self.ports[kind])]
            if kind.endswith(("daemon", "webserver")):
                arguments += ["--workspace", str(CONFIGURATION / "workspace.yaml")]
            self.run(name, "-m", module, *arguments)

    def run(self, name: str, *arguments: str) -> None:
        """Start Python with arguments, as a part with a name and a session of its own."""
        with self.log_of(name).open("ab") as log:
            self.parts[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.root,
                env=self._shell,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def command(self, module: str, *arguments: str) -> str:
        """Run a command of a module to its end; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=self._shell,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def kill(self, name: str) -> None:
        """Kill the process of a part at once and without warning, and not what it has started."""
        self.parts[name].kill()
        self.parts[name].wait()

    def stop(self, name: str, seconds: float = STOP_SECONDS) -> bool:
        """Ask a part to end, as a service manager does, then end what is left; returns whether nothing was left."""
        process = self.parts.pop(name)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        clean = not processes_of(process.pid)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return clean

    def close(self) -> None:
        """End all parts; the code server last, because the others ask it."""
        for name in sorted(self.parts, key=lambda name: (name == "code server", name)):
            self.stop(name)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """In the block, this process has the environment of the cluster's own ones."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.own_environment.items():
                patch.setenv(name, value)
            yield

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        """Dagster's history, as its processes see it."""
        with self.inside(), dg.DagsterInstance.from_config(str(self.home)) as instance:
            yield instance

    def runs(self, *statuses: dg.DagsterRunStatus) -> Sequence[dg.DagsterRun]:
        """The runs in the history, the newest first."""
        with self.instance() as instance:
            return instance.get_runs(dg.RunsFilter(statuses=list(statuses)) if statuses else None)

    def begun(self, seconds: float) -> dg.DagsterRun:
        """Wait for a run that a worker carries out; returns it."""
        self.wait_until(self.carried_out, seconds)
        return self.carried_out()[0]

    def carried_out(self) -> list[dg.DagsterRun]:
        """The runs that are under way, and have told which process they are."""
        return [run for run in self.runs(dg.DagsterRunStatus.STARTED) if self.pids_of(run)]

    @contextmanager
    def held(self, run: dg.DagsterRun) -> Iterator[None]:
        """Let a run stand still until the block ends, wherever it is. Its worker goes on."""
        # Not by the lock of the warehouse: for that a run waits for ten seconds only.
        process = self.pids_of(run)[-1]
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)

    def worker_of(self, run: dg.DagsterRun) -> str:
        """The name of the part that carries a run out, by what the run itself has told."""
        group = os.getpgid(self.pids_of(run)[-1])
        return next(name for name, process in self.parts.items() if process.pid == group)

    def wait_until(self, holds: Callable[[], object], seconds: float) -> float:
        """Wait until something holds; returns how long it took."""
        start = time.monotonic()
        while not holds():
            waited = time.monotonic() - start
            assert waited < seconds, f"after {waited:.0f} s: {self.runs()}\n{self.logs()}"
            time.sleep(POLL_SECONDS)
        return time.monotonic() - start

    def log_of(self, name: str) -> Path:
        """Where a part prints to."""
        return self.folder / f"{name.replace(' ', '_')}.log"

    def logs(self) -> str:
        """The ends of what the parts printed."""
        return "\n".join(f"{name}:\n{self.log_of(name).read_text(errors='replace')[-3000:]}" for name in self.parts)

    def pids_of(self, run: dg.DagsterRun) -> list[int]:
        """The processes that a run has told to be its own, by their ids; the last one carries it out."""
        with self.instance() as instance:
            entries = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = [entry.dagster_event.engine_event_data.metadata for entry in entries if entry.dagster_event]
        return [int(str(metadata["pid"].value)) for metadata in told if "pid" in metadata]

    @property
    def _shell(self) -> dict[str, str]:
        return dict(os.environ) | self.own_environment  # noqa: TID251 - the command runs as it would from this shell


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A cluster with a DuckDB file, whose servers run, and nothing else yet; in the end nothing runs."""
    with ExitStack() as stack:
        yield _closed(stack, Cluster(folder, stack.enter_context(postgres_server()), _broker(stack, folder)))


@contextmanager
def lake_cluster(
    folder: Path, root: Path = REPOSITORY, definitions: str = DEFINITIONS, catalog: PostgresServer | None = None
) -> Iterator[Cluster]:
    """The same with a lake: its files on an S3 server of its own, its catalog in a database of the same server.

    Args:
        folder: for all of it.
        root: the project's folder.
        definitions: the module with the definitions.
        catalog: another server for the catalog.
    """
    with ExitStack() as stack:
        server = stack.enter_context(postgres_server())
        (folder / "s3").mkdir(parents=True)
        store = stack.enter_context(s3_server(folder / "s3"))
        environment = {**_lake(catalog or server, f"s3://{BUCKET}/lake"), **store.environment}
        yield _closed(
            stack, Cluster(folder, server, _broker(stack, folder), root, definitions, environment, store=store)
        )


def _lake(catalog: PostgresServer, data: str) -> dict[str, str]:
    return {"WAREHOUSE_URL": f"ducklake:{catalog.url(catalog.new_database())}", "WAREHOUSE_DATA": data}


def _broker(stack: ExitStack, folder: Path) -> RedisServer:
    broker = RedisServer(folder / "redis", free_port())
    broker.start()
    stack.callback(broker.stop)
    return broker


def _closed(stack: ExitStack, made: Cluster) -> Cluster:
    stack.callback(made.close)
    return made
