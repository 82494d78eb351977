"""A Redis server of the machine's own program: on 127.0.0.1, started and stopped by its process id."""

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis

from orchestration_project_tests.browser.chromium import lacking

START_SECONDS = 60


@dataclass
class RedisServer:
    """A server that keeps everything in memory: what was in it is gone when it is started again.

    Attributes:
        folder: for its log.
        port: where it listens.
        process: the server while it runs.
    """

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        program = shutil.which("redis-server") or lacking("Redis is not installed; on Debian: apt install redis-server")
        self.folder.mkdir(parents=True, exist_ok=True)
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--dir", str(self.folder)]
        with (self.folder / "redis.log").open("ab") as log:
            # A session of its own: Ctrl+C is for whoever started it, and that ends it in its turn.
            self.process = subprocess.Popen([program, *options], stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "redis.log").read_text(encoding="utf-8")
            assert time.monotonic() < until, (self.folder / "redis.log").read_text(encoding="utf-8")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it at once, as a machine that is switched off."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        client = redis.Redis(port=self.port)
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False
        finally:
            client.close()
