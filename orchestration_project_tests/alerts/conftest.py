"""What the tests of alerts share: servers, and a place with an outbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestration_project.alerts.store import open_store
from orchestration_project_tests.alerts.servers import MailServer, Webhook, mail_server, webhook
from orchestration_project_tests.alerts.workplace import Workplace


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that this process and its children trust."""
    with mail_server() as server:
        trusted = tmp_path / "authority.pem"
        trusted.write_bytes(server.certificates)
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        yield server


@pytest.fixture
def hook() -> Iterator[Webhook]:
    """A webhook."""
    with webhook() as server:
        yield server


@pytest.fixture
def workplace(data_dir: Path) -> Iterator[Workplace]:
    """A data folder with an outbox."""
    with open_store(data_dir / "alarms.sqlite") as connection:
        yield Workplace(data_dir, connection)
