"""A server with the S3 protocol on 127.0.0.1, started and stopped by its process id."""

import datetime as dt
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from obstore.store import S3Store

KEY, SECRET, BUCKET = "test-key", "secret-word", "tests"
PARTS = ("master", "volume", "filer", "s3")
START_SECONDS = 60


@dataclass
class S3Server:
    """SeaweedFS in a folder of its own. It goes on with its objects when it is started again after a stop.

    Attributes:
        policies: of more users, by their names. A user's key is the name, and the secret that of all.
    """

    folder: Path
    ports: Mapping[str, int]
    policies: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)
    has_objects: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What the environment has to have for clients of the server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.ports['s3']}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def start(self) -> None:
        """Start it, and wait until it stores an object."""
        users: list[dict[str, object]] = [{"name": "test", **_credentials(KEY), "actions": ["Admin"]}]
        users += [{"name": name, **_credentials(name), "policyNames": [name]} for name in self.policies]
        policies = [{"name": name, "content": policy} for name, policy in self.policies.items()]
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": users, "policies": policies}))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command(config), stdout=log, stderr=log, cwd=self.folder)
        self._wait()

    @property
    def client(self) -> "S3Store":
        """Its bucket, for a client that does not ask twice."""
        from obstore.store import S3Store

        config = {name.lower(): value for name, value in self.environment.items() if name != "AWS_ALLOW_HTTP"}
        return S3Store(
            BUCKET,
            config=config,  # type: ignore[arg-type]
            client_options={"allow_http": True},
            retry_config={"max_retries": 0, "retry_timeout": dt.timedelta(seconds=1)},
        )

    def _command(self, config: Path) -> list[str]:
        ports = [f"-{name}.port={self.ports[name]}" for name in PARTS]
        grpc = [f"-{name}.port.grpc={self.ports[f'{name}.grpc']}" for name in PARTS]
        others = [f"-s3.port.{name}={self.ports[name]}" for name in ("lance", "iceberg")]
        return [
            str(Path(sys.executable).with_name("weed")),
            f"-logdir={self.folder}",
            *"server -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -s3".split(),
            *"-volume.max=0 -volume.minFreeSpace=1 -master.volumeSizeLimitMB=64".split(),
            f"-dir={self.folder}",
            f"-s3.config={config}",
            *ports,
            *grpc,
            *others,
        ]

    def _wait(self) -> None:
        # Its status is good before it can store anything.
        until, client = time.monotonic() + START_SECONDS, self.client
        while True:
            assert self.process
            assert self.process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
            try:
                # After a stop it takes new objects before it finds the old ones.
                if self.has_objects:
                    client.get("object").bytes()
                client.put("object", b"1")
                self.has_objects = True
                return
            except Exception:  # noqa: BLE001 - whatever it is that does not work yet
                assert time.monotonic() < until, (self.folder / "log").read_text(errors="replace")[-2000:]
                time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, as a machine that is switched off."""
        # A polite end takes 15 seconds.
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None
        for name in PARTS:
            for socket_name in (f"{name}-{self.ports[name]}", f"{name}-grpc-{self.ports[f'{name}.grpc']}"):
                Path("/tmp", f"seaweedfs-{socket_name}.sock").unlink(missing_ok=True)  # noqa: S108 - the server's choice

    def pause(self) -> None:
        """Let it answer nothing, without closing a connection."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again."""
        assert self.process
        self.process.send_signal(signal.SIGCONT)


def _credentials(key: str) -> dict[str, object]:
    return {"credentials": [{"accessKey": key, "secretKey": SECRET}]}


def unused_ports(names: list[str]) -> dict[str, int]:
    """A port for each name, that nobody listens on."""
    with ExitStack() as stack:
        found = {}
        for name in names:
            listener = stack.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            found[name] = int(listener.getsockname()[1])
        return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running server, for tests that stop it and start it again as well."""
    folder = Path(tempfile.mkdtemp(prefix="s3_"))
    try:
        with running(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(folder: Path, policies: Mapping[str, str] | None = None) -> Iterator[S3Server]:
    """A running server whose objects are in a folder, and perhaps users with policies."""
    ports = unused_ports([*PARTS, *(f"{name}.grpc" for name in PARTS), "lance", "iceberg"])
    server = S3Server(folder, ports, policies or {})
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty place on a running server; what its clients need is in the environment."""
    if s3_server.process is None:
        s3_server.start()
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def without_credentials(patch: pytest.MonkeyPatch) -> None:
    """Take everything for object stores out of the environment."""
    for name in list(os.environ):  # noqa: TID251 - the environment itself is what is prepared here
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            patch.delenv(name)
