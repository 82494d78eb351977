"""A Ray cluster of several nodes on this machine, each a group of processes of its own, ended by its pid."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 120
# The smallest that Ray takes: shards hand over files, and nothing through its store.
STORE_BYTES = 80_000_000


@dataclass
class RayCluster:
    """A head node, and others.

    Attributes:
        folder: of logs and sockets; its path has to be short, for the sockets' sake.
        port: of the head node.
        nodes: the process that started each node, the head first.
    """

    folder: Path
    port: int
    nodes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    @property
    def address(self) -> str:
        """What nodes and drivers connect to."""
        return f"127.0.0.1:{self.port}"

    def start_head(self, cpus: int) -> None:
        """Start the first node."""
        self._start(
            f"--head --port={self.port} --include-dashboard=false --temp-dir={self.folder} --num-cpus={cpus}".split()
        )

    def start_node(self, cpus: int) -> None:
        """Start another node."""
        self._start([f"--address={self.address}", f"--num-cpus={cpus}"])

    def _start(self, arguments: list[str]) -> None:
        ray = str(Path(sys.executable).with_name("ray"))
        common = ["--block", "--disable-usage-stats", f"--object-store-memory={STORE_BYTES}"]
        log = self.folder / f"node{len(self.nodes)}.log"
        with log.open("wb") as file:
            node = subprocess.Popen(
                [ray, "start", *common, *arguments], stdout=file, stderr=file, start_new_session=True
            )
        self.nodes.append(node)
        deadline = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in log.read_text(errors="replace"):
            assert node.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline, log.read_text(errors="replace")
            time.sleep(0.2)

    def processes(self, number: int) -> list[int]:
        """All processes of a node: Ray's workers have groups of their own, and stay in the session of its start."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(ProcessLookupError):
                if os.getsid(int(process.name)) == self.nodes[number].pid:
                    found.append(int(process.name))
        return found

    def kill(self, number: int) -> None:
        """End all processes of a node at once, as when its machine is lost."""
        for pid in self.processes(number):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.nodes[number].wait()

    def stop(self) -> None:
        """End all nodes."""
        # The head last: without it the others would look for it for a while.
        for number in reversed(range(len(self.nodes))):
            self.kill(number)


@contextmanager
def ray_cluster(*cpus: int) -> Iterator[RayCluster]:
    """A cluster of a node for each number of CPUs."""
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        cluster = RayCluster(Path(folder), free.getsockname()[1])
        free.close()
        try:
            cluster.start_head(cpus[0])
            for number in cpus[1:]:
                cluster.start_node(number)
            yield cluster
        finally:
            cluster.stop()
