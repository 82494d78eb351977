"""Attachments from a mail server: each lands once, no mail is changed, and faults are told without the login."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestration_project.errors import SourceDown, SourceError
from orchestration_project.sources.imap import ImapSource, open_imap
from orchestration_project.sources.imap_options import ImapOptions
from orchestration_project_tests.ingest.shop import Shop
from orchestration_project_tests.servers.mail import PASSWORD, TOKEN, USER, MailServer
from orchestration_project_tests.sources.fetched import Fetcher
from orchestration_project_tests.sources.test_imap_mails import mail, part

pytestmark = pytest.mark.xdist_group("mail")
LOGIN = {"host": "127.0.0.1", "user": USER, "password": "env:P"}
CSV = b"Content-Disposition: attachment; filename=sales.csv"


def opened(said: dict[str, Any], password: str = PASSWORD) -> ImapSource:
    return open_imap(ImapOptions.model_validate(LOGIN | said), {"P": password}.__getitem__)


def said(server: MailServer, **options: Any) -> dict[str, Any]:
    return {"port": server.ports["imaps"], "ca_file": str(server.ca_file)} | options


def sales(number: int, header: bytes = b"", content: bytes | None = None) -> bytes:
    about = f"From: till@shop.example\r\nSubject: Daily sales\r\nMessage-ID: <{number}@shop>\r\n".encode()
    return mail(part(CSV, content or f"id,n\r\na{number},1\r\n".encode()), header=about + header)


@pytest.fixture
def fetcher(tmp_path: Path, mails: MailServer) -> Fetcher:
    return Fetcher(Shop(tmp_path), partial(opened, said(mails)))


def test_each_attachment_lands_once(fetcher: Fetcher, mails: MailServer) -> None:
    """New mails give files by their day and number, which load; those that were fetched are not asked for again."""
    mails.deliver(sales(1))
    mails.deliver(sales(2), arrived="02-Mar-2024 00:30:00 +0100")
    assert len(fetcher.fetch().landed) == 2
    assert sorted(fetcher.landed()) == ["2024-03-01_000001_sales.csv", "2024-03-01_000002_sales.csv"]
    assert fetcher.fetch().listed == 0
    mails.deliver(sales(3))
    assert [file.item.name for file in fetcher.fetch().landed] == ["2024-03-01_000003_sales.csv"]
    fetcher.shop.load()
    assert [row["id"] for row in fetcher.shop.table("cleaned")] == ["a1", "a2", "a3"]


def test_mails_that_are_numbered_anew(tmp_path: Path, mails: MailServer) -> None:
    """After another UIDVALIDITY mails that were fetched are known by their header; the next fetch asks for none."""
    fetcher = Fetcher(Shop(tmp_path), partial(opened, said(mails, name="{uid}_{date}_{part}_{name}")))
    mails.deliver(sales(1))
    fetcher.fetch()
    mails.empty()
    mails.deliver(sales(1))
    mails.deliver(sales(2))
    report = fetcher.fetch()
    assert ([file.item.name for file in report.landed], report.unchanged) == (["000002_2024-03-01_2_sales.csv"], 1)
    mails.empty()
    mails.deliver(sales(2))
    assert (fetcher.fetch().unchanged, fetcher.fetch().listed) == (1, 0)


def test_what_is_wanted(tmp_path: Path, mails: MailServer) -> None:
    """Sender, subject, attachment and day choose; what they leave out is not listed."""
    mails.deliver(sales(1), arrived="28-Feb-2024 10:00:00 +0000")
    mails.deliver(sales(2))
    mails.deliver(sales(3).replace(b"till@shop", b"someone@else"))
    mails.deliver(sales(4).replace(b"Daily", b"Weekly"))
    mails.deliver(sales(5).replace(b"sales.csv", b"logo.png"))
    chosen = {
        "sender": r".*@shop\.example",
        "subject": "Daily .*",
        "pattern": r"(?P<what>\w+)\.csv",
        "since": "2024-03-01",
        "name": "{what}-{date}-{part}.csv",
    }
    fetcher = Fetcher(Shop(tmp_path), partial(opened, said(mails, **chosen)))
    assert [file.item.name for file in fetcher.fetch().landed] == ["sales-2024-03-01-2.csv"]


def test_no_mail_is_changed(fetcher: Fetcher, mails: MailServer) -> None:
    """A mail that was fetched is still unread."""
    mails.deliver(sales(1))
    assert len(fetcher.fetch().landed) == 1
    connection = mails.connect()
    connection.select("INBOX", readonly=True)
    _, unread = connection.search(None, "UNSEEN")
    connection.logout()
    assert unread == [b"1"]


def test_a_mail_that_fails(tmp_path: Path, mails: MailServer) -> None:
    """A mail that is too large is told at each fetch, and costs no other mail."""
    mails.deliver(sales(1, content=b"x" * 5000))
    mails.deliver(sales(2))
    fetcher = Fetcher(Shop(tmp_path), partial(opened, said(mails, max_mail_bytes=1000)))
    first, second = fetcher.fetch(), fetcher.fetch()
    for report in (first, second):
        (fault,) = report.failed.values()
        assert "more than 1,000 bytes" in str(fault)
    assert (len(first.landed), len(second.landed)) == (1, 0)


def test_starttls_and_a_folder_with_other_letters(tmp_path: Path, mails: MailServer) -> None:
    """A connection may become a protected one, and a folder may have any name."""
    connection = mails.connect()
    connection.create('"Kassen&-Ums&AOQ-tze"')
    connection.logout()
    mails.deliver(sales(1), folder='"Kassen&-Ums&AOQ-tze"')
    options = said(mails, security="starttls", port=mails.ports["imap"], folder="Kassen&Umsätze")
    assert len(Fetcher(Shop(tmp_path), partial(opened, options)).fetch().landed) == 1


def test_a_token_in_the_place_of_a_password(tmp_path: Path, mails: MailServer) -> None:
    """A token of OAuth 2 logs in, as the server that gave it says; another one is refused, without it being told."""
    mails.deliver(sales(1))
    by_token = {**said(mails), "password": None, "token": "env:P"}
    assert len(Fetcher(Shop(tmp_path), partial(opened, by_token, TOKEN)).fetch().landed) == 1
    source = opened(by_token, "hidden-word")
    with pytest.raises(SourceError, match="refuses") as told:
        next(source.list(None))
    assert not isinstance(told.value, SourceDown)
    assert "hidden-word" not in str(told.value)
    source.close()


def test_what_is_refused(mails: MailServer) -> None:
    """A wrong password, no such folder and a certificate that is not trusted are told, without the password."""
    for options, password, message in (
        (said(mails), "geheim", "AUTHENTICATIONFAILED"),
        (said(mails, folder="None"), PASSWORD, "no such folder"),
        ({"port": mails.ports["imaps"]}, PASSWORD, "certificate that is not trusted"),
    ):
        source = opened(options, password)
        with pytest.raises(SourceError, match=message) as told:
            next(source.list(None))
        assert not isinstance(told.value, SourceDown)
        assert password not in f"{told.value} {source!r}"
        source.close()


def test_a_server_that_is_gone(mails: MailServer, tmp_path: Path) -> None:
    """A server that ended is a fault that passes; when it is back, everything is fetched."""
    mails.deliver(sales(1))
    fetcher = Fetcher(Shop(tmp_path), partial(opened, said(mails)))
    mails.stop()
    try:
        with pytest.raises(SourceDown, match="does not answer"):
            fetcher.fetch()
    finally:
        mails.start()
    assert len(fetcher.fetch().landed) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"password": "geheim"}, "env:NAME", id="password"),
        pytest.param({"token": "env:T"}, "one of password and token", id="both"),
        pytest.param({"sender": "("}, "no regular expression", id="sender"),
        pytest.param({"name": "{what}"}, "name has", id="unknown field"),
        pytest.param({"since": "soon"}, "isoformat", id="day"),
        pytest.param({"security": "off"}, "tls", id="security"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], message: str) -> None:
    """Options that can't be used are refused, in a message without what may be a password."""
    with pytest.raises(ValidationError, match=message) as refused:
        ImapOptions.model_validate(LOGIN | options)
    assert "geheim" not in str(refused.value)
