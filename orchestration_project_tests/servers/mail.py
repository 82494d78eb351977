"""Dovecot, a mail server, on 127.0.0.1: with a password or a token, and a certificate of its own; ended by its pid."""

import grp
import imaplib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
import trustme

from orchestration_project_tests.browser.chromium import lacking
from orchestration_project_tests.servers.rest_api import Answer, Asked, RestServer, serving
from orchestration_project_tests.servers.s3 import unused_ports

USER, PASSWORD, TOKEN = "shop", "pass-word:Ä", "ya29.a-token"
START_SECONDS = 120
VALIDITIES = itertools.count(1_700_000_000)
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
default_internal_user = {internal}
default_login_user = {login}
default_internal_group = {internal_group}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mails
mail_uid = {account}
mail_gid = {group}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={password}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {folder}/oauth2.conf
}}
userdb {{
  driver = static
  args = uid={account} gid={group} home={folder}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


OAUTH2 = """
introspection_mode = post
introspection_url = {url}/introspect
username_attribute = username
active_attribute = active
active_value = true
"""


def _introspected(asked: Asked) -> Answer:
    """What the server that gives tokens says of one (RFC 7662)."""
    is_active = dict(parse_qsl(asked.body)).get("token") == TOKEN
    return Answer({"active": "true", "username": USER} if is_active else {"active": "false"})


@dataclass
class MailServer:
    """A server with the folder of one user.

    Attributes:
        folder: what it writes.
        ports: of `imap` and `imaps`.
    """

    folder: Path
    ports: dict[str, int]
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def ca_file(self) -> Path:
        """The certificate that its own is trusted by."""
        return self.folder / "ca.pem"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen([_program(), "-F", "-c", str(self.folder / "dovecot.conf")])
        until = time.monotonic() + START_SECONDS
        while True:
            assert self._process.poll() is None, (self.folder / "log").read_text(errors="replace")[-2000:]
            try:
                self.connect().logout()
            except (OSError, imaplib.IMAP4.error):
                assert time.monotonic() < until, (self.folder / "log").read_text(errors="replace")[-2000:]
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        """End it with its processes."""
        if self._process:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def connect(self) -> imaplib.IMAP4:
        """A connection of somebody else, logged in."""
        connection = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=START_SECONDS)
        connection.authenticate("PLAIN", lambda _: f"\0{USER}\0{PASSWORD}".encode())
        return connection

    def empty(self) -> None:
        """Remove all mails and folders; mails that come then are numbered anew."""
        shutil.rmtree(self.folder / "mails", ignore_errors=True)
        _make_mails(self.folder)

    def deliver(self, mail: bytes, folder: str = "INBOX", arrived: str = "01-Mar-2024 10:00:00 +0000") -> None:
        """Put a mail into a folder."""
        connection = self.connect()
        state, told = connection.append(folder, "", f'"{arrived}"', mail)
        assert state == "OK", told
        connection.logout()


@pytest.fixture(scope="session")
def mail_server() -> Iterator[MailServer]:
    """A running server, for tests that stop it and start it again as well."""
    with serving(_introspected) as tokens, _made(tokens) as server:
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def mails(mail_server: MailServer) -> MailServer:
    """A running server without any mail."""
    mail_server.empty()
    return mail_server


@contextmanager
def _made(tokens: RestServer) -> Iterator[MailServer]:
    with tempfile.TemporaryDirectory(prefix="mail_") as made:
        folder, ports = Path(made), unused_ports(["imap", "imaps"])
        server = MailServer(folder, ports)
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        authority.cert_pem.write_to_path(str(server.ca_file))
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
        config = CONFIG.format(folder=folder, password=PASSWORD, **ports, **_accounts())
        # Its processes run as several users.
        folder.chmod(0o755)
        _make_mails(folder)
        (folder / "dovecot.conf").write_text(config, encoding="utf-8")
        (folder / "oauth2.conf").write_text(OAUTH2.format(url=tokens.url), encoding="utf-8")
        yield server


def _accounts() -> dict[str, str]:
    """Whom the parts of the server run as. Those that are near to the network refuse root."""
    if not os.geteuid():
        server = {"internal": "dovecot", "internal_group": "dovecot", "login": "dovenull"}
        return server | {"account": "nobody", "group": "nogroup"}
    own, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    return {"internal": own, "internal_group": group, "login": own, "account": own, "group": group}


def _make_mails(folder: Path) -> None:
    mails, numbers = folder / "mails", folder / "mails" / "dovecot-uidlist"
    mails.mkdir()
    # Dovecot takes the present second, which may be that of the folder before.
    numbers.write_text(f"3 V{next(VALIDITIES)} N1\n")
    if not os.geteuid():
        for path in (mails, numbers):
            shutil.chown(path, _accounts()["account"], _accounts()["group"])


def _program() -> str:
    found = shutil.which("dovecot") or shutil.which("/usr/sbin/dovecot")
    return found or lacking("Dovecot is not installed; on Debian: apt install dovecot-imapd")
