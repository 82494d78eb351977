"""Mails as bytes: names in all their encodings, and contents byte for byte."""

import base64

import pytest

from orchestration_project.errors import SourceError
from orchestration_project.sources.imap_mails import attachments_of, content_of, envelope_of

CSV = b"id,n\r\n\xe4,1\r\n"


def mail(*parts: bytes, header: bytes = b"", boundary: bytes = b"B") -> bytes:
    """A mail of several parts."""
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--%b--\r\n" % boundary
    return header + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%b\r\n\r\n" % boundary + body


def part(about: bytes, content: bytes = b"x") -> bytes:
    """A part with its header."""
    return about + b"\r\n\r\n" + content


@pytest.mark.parametrize(
    ("about", "name"),
    [
        pytest.param(b'Content-Disposition: attachment; filename="a b.csv"', "a b.csv", id="plain"),
        pytest.param(b"Content-Disposition: attachment; filename*=utf-8''Ums%C3%A4tze.csv", "Umsätze.csv", id="2231"),
        pytest.param(
            b"Content-Disposition: attachment; filename*0*=utf-8''Ums%C3%A4; filename*1=tze.csv",
            "Umsätze.csv",
            id="parts",
        ),
        pytest.param(
            b'Content-Disposition: attachment; filename="=?utf-8?b?VW1zw6R0emUuY3N2?="', "Umsätze.csv", id="2047"
        ),
        pytest.param(b"Content-Type: text/csv; name=sales.csv", "sales.csv", id="name of the type"),
        pytest.param(b"Content-Disposition: inline; filename=sales.csv", "sales.csv", id="inline"),
        pytest.param(b'Content-Disposition: attachment; filename="../../etc/x.csv"', "x.csv", id="path"),
        pytest.param(b'Content-Disposition: attachment; filename="C:\\\\data\\\\x.csv"', "x.csv", id="another path"),
        pytest.param(
            b'Content-Disposition: attachment; filename="=?nope?b?eA==?="', "=?nope?b?eA==?=", id="unknown set"
        ),
        pytest.param(b"Content-Type: text/plain", None, id="no name"),
    ],
)
def test_names(about: bytes, name: str | None) -> None:
    """A part is an attachment if it has a name, whatever form the name is written in."""
    assert [found.name for found in attachments_of(mail(part(about)))] == ([name] if name else [])


@pytest.mark.parametrize(
    ("encoding", "sent"),
    [
        pytest.param(b"8bit", CSV, id="8bit"),
        pytest.param(b"base64", base64.encodebytes(CSV), id="base64"),
        pytest.param(b"quoted-printable", b"id,n=0D=0A=E4,=\r\n1=0D=0A", id="quoted-printable"),
    ],
)
def test_contents(encoding: bytes, sent: bytes) -> None:
    """An attachment has the bytes that its sender attached."""
    about = b"Content-Disposition: attachment; filename=a.csv\r\nContent-Transfer-Encoding: " + encoding
    whole = mail(part(b"Content-Type: text/plain"), part(about, sent))
    (found,) = attachments_of(whole)
    assert content_of(whole, found.part) == CSV


def test_a_mail_in_a_mail() -> None:
    """Attachments of a forwarded mail are found as well."""
    inner = mail(part(b"Content-Disposition: attachment; filename=a.csv", b"inner"), boundary=b"I")
    whole = mail(part(b"Content-Type: message/rfc822", inner), part(b"Content-Type: text/csv; name=a.csv", b"outer"))
    assert [content_of(whole, found.part) for found in attachments_of(whole)] == [b"inner", b"outer"]


def test_damage() -> None:
    """What can't be read exactly is refused: base64 with other marks or cut off, and a mail without its end."""
    about = b"Content-Disposition: attachment; filename=a.csv\r\nContent-Transfer-Encoding: base64"
    for content in (b"aWQ\xffsbg", b"aWQsbg0KMSwyD"):
        with pytest.raises(SourceError, match="damaged"):
            content_of(mail(part(about, content)), 2)
    whole = mail(part(about, b"aWQsbg=="))
    with pytest.raises(SourceError, match="cut off"):
        content_of(whole[: whole.index(b"--B--")], 2)
    with pytest.raises(SourceError, match="no part 7"):
        content_of(whole, 7)


def test_envelopes() -> None:
    """Sender and subject are decoded; the key tells mails apart that have the same Message-ID, or none."""
    header = (
        b'From: "Till, 1" <Till@Shop.example>\r\nSubject: =?utf-8?q?Ums=C3=A4tze?=\r\n today\r\nMessage-ID: <1@x>\r\n'
    )
    found = envelope_of(header)
    assert (found.senders, found.subject) == (("till@shop.example",), "Umsätze today")
    assert found.key.startswith("1@x#")
    assert envelope_of(header + b"\r\n") == found
    assert envelope_of(header + b"Date: Fri, 01 Mar 2024 10:00:00 +0000\r\n").key != found.key
    assert envelope_of(b"\xff\xfe: \xff\r\n\r\n").senders == ()
