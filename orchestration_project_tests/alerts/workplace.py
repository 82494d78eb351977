"""A data folder with an outbox, and a clock that stands still until it is moved."""

import datetime as dt
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestration_project.alerts import outbox, sender, services
from orchestration_project.alerts.outbox import DeadTarget, Message
from orchestration_project.alerts.targets import FeedRoute, Routing, read_routing
from orchestration_project.settings import Settings
from orchestration_project.storage.sqlite_files import transaction

NOON = dt.datetime(2024, 1, 15, 12, tzinfo=dt.UTC)


@dataclass
class Workplace:
    """What a tick has at hand."""

    data_dir: Path
    connection: sqlite3.Connection
    urls: str = ""
    heartbeat: str = ""
    routes: dict[str, FeedRoute] = field(default_factory=dict)
    now: dt.datetime = NOON

    @property
    def settings(self) -> Settings:
        """The settings."""
        return Settings(data_dir=self.data_dir, alert_urls=self.urls, heartbeat_url=self.heartbeat)

    @property
    def routing(self) -> Routing:
        """Who takes what."""
        return read_routing(self.settings, self.routes)

    def put(self, *messages: Message) -> None:
        """Put messages as a tick does."""
        with transaction(self.connection):
            outbox.put(self.connection, messages, self.routing, self.now)

    def send(self, send: sender.Send = services.send) -> None:
        """Send what is due, in this process."""
        sender.run(self.settings, send, lambda: self.now)

    def dead(self) -> Sequence[DeadTarget]:
        """The targets that take nothing."""
        return outbox.dead_targets(self.connection, self.routing)

    def rows(self, columns: str) -> list[tuple[object, ...]]:
        """The outbox."""
        return self.connection.execute(f"SELECT {columns} FROM outbox ORDER BY id").fetchall()
