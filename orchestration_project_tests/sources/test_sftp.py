"""Files from an SFTP server: each version lands once, the server's key is checked, and faults cost their own file."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncssh
import pytest
from pydantic import ValidationError

from orchestration_project.errors import ItemGone, SourceDown, SourceError
from orchestration_project.settings import secret
from orchestration_project.sources.sftp import SftpSource, open_sftp
from orchestration_project.sources.sftp_options import SftpOptions
from orchestration_project_tests.servers.sftp import PASSWORD, USER, SftpServer, password_server
from orchestration_project_tests.sources.fetches import Fetches

pytestmark = pytest.mark.xdist_group("sftp")


def opened(server: SftpServer, path: Path, **options: object) -> SftpSource:
    usual = {"key_file": str(server.key_file), "host_key": server.fingerprint, "recursive": True}
    given = {"host": "127.0.0.1", "port": server.port, "user": USER, "path": str(path), **usual, **options}
    return open_sftp(SftpOptions(**given), secret)  # type: ignore[arg-type]


def refusal(server: SftpServer, path: Path, **options: object) -> str:
    """What a listing with these options is refused with."""
    source = opened(server, path, **options)
    try:
        with pytest.raises(SourceError) as refused:
            list(source.list(None))
    finally:
        source.close()
    assert not refused.value.transient
    return str(refused.value)


def put(folder: Path, name: str, content: bytes, seconds: int = 1_700_000_000) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (seconds, seconds))
    return path


def test_each_version_lands_once(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """New files and new versions land with their time; unfinished, hidden and unwanted ones never do."""
    large = os.urandom(9_000_000)
    put(sftp, "a.csv", b"one")
    put(sftp, "eu/deep/b.csv", large)
    for name in ("c.csv.part", "d.csv.filepart", ".hidden.csv", "notes.txt"):
        put(sftp, name, b"not wanted")
    fetches = Fetches(tmp_path, partial(opened, sftp_server, sftp, pattern=r".*\.csv"))
    report = fetches.fetch()
    assert report.failed == {}
    assert fetches.landed() == {"a.csv": (b"one", 1_700_000_000.0), "b.csv": (large, 1_700_000_000.0)}
    assert fetches.fetch().unchanged == 2

    put(sftp, "a.csv", b"two", 1_700_000_001)
    assert [file.item.key for file in fetches.fetch().landed] == ["a.csv"]
    assert fetches.landed()["a.csv"][0] == b"two"
    source = opened(sftp_server, sftp, recursive=False, pattern=r".*\.csv")
    assert [item.key for item in source.list(None)] == ["a.csv"]
    assert source.url == f"sftp://127.0.0.1:{sftp_server.port}{sftp}"
    source.close()


def test_the_key_of_the_server_is_checked(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """A server with another key than the fingerprint or the file tells is refused, and its own fingerprint told."""
    other = asyncssh.generate_private_key("ssh-ed25519")
    assert sftp_server.fingerprint in refusal(sftp_server, sftp, host_key=other.get_fingerprint())
    known = tmp_path / "known_hosts"
    for key, expected in (
        (other.export_public_key(), False),
        ((sftp_server.folder / "host_key.pub").read_bytes(), True),
    ):
        known.write_bytes(f"[127.0.0.1]:{sftp_server.port} ".encode() + key)
        if expected:
            source = opened(sftp_server, sftp, host_key=None, known_hosts=str(known))
            assert not list(source.list(None))
            source.close()
        else:
            assert "another key" in refusal(sftp_server, sftp, host_key=None, known_hosts=str(known))
    known.write_text("")
    assert "another key" in refusal(sftp_server, sftp, host_key=None, known_hosts=str(known))


def test_who_is_not_let_in(
    sftp_server: SftpServer, sftp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password, a wrong key and a file that is no key are told without any secret."""
    monkeypatch.setenv("SHOP_PASSWORD", "hidden-word")
    password = {"password": "env:SHOP_PASSWORD"}
    told = refusal(sftp_server, sftp, key_file=None, **password)
    assert "refuses to log in" in told
    wrong = asyncssh.generate_private_key("ssh-ed25519")
    monkeypatch.setenv("SHOP_KEY", wrong.export_private_key().decode())
    assert "refuses to log in" in refusal(sftp_server, sftp, key_file=None, key="env:SHOP_KEY")
    monkeypatch.setenv("SHOP_KEY", "hidden-word")
    unreadable = refusal(sftp_server, sftp, key_file=None, key="env:SHOP_KEY")
    assert "no private key" in unreadable
    assert "no private key" in refusal(sftp_server, sftp, key_file=str(tmp_path / "nowhere"))
    assert "hidden-word" not in told + unreadable


def test_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password logs in where the server takes one; a wrong one is refused, without it being told."""
    put(tmp_path, "there/a.csv", b"one")
    with password_server() as (port, fingerprint):
        login = {"host": "127.0.0.1", "port": port, "user": USER, "password": "env:SHOP_PASSWORD"}
        options = SftpOptions.model_validate({**login, "host_key": fingerprint, "path": str(tmp_path / "there")})
        monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
        fetches = Fetches(tmp_path, partial(open_sftp, options, secret))
        assert (fetches.fetch().failed, [*fetches.landed()]) == ({}, ["a.csv"])
        monkeypatch.setenv("SHOP_PASSWORD", "hidden-word")
        with pytest.raises(SourceError, match="refuses to log in") as refused:
            fetches.fetch()
    assert not refused.value.transient
    assert "hidden-word" not in str(refused.value)


def test_a_key_from_the_environment(sftp_server: SftpServer, sftp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private key may be in an environment variable, also encrypted."""
    put(sftp, "a.csv", b"one")
    key = asyncssh.read_private_key(sftp_server.key_file)
    monkeypatch.setenv("SHOP_KEY", key.export_private_key("pkcs8-pem", "hidden-word").decode())
    monkeypatch.setenv("SHOP_PHRASE", "hidden-word")
    from_environment = {"key": "env:SHOP_KEY", "passphrase": "env:SHOP_PHRASE"}
    source = opened(sftp_server, sftp, key_file=None, **from_environment)
    assert [item.key for item in source.list(None)] == ["a.csv"]
    assert "hidden-word" not in repr(source) + repr(vars(source)["_options"])
    source.close()


def test_what_may_not_be_read(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """A file and a folder that may not be read are named, and the others land; without the folder nothing is listed."""
    put(sftp, "a.csv", b"one")
    put(sftp, "closed.csv", b"x").chmod(0)
    put(sftp, "closed/b.csv", b"x").parent.chmod(0)
    fetches = Fetches(tmp_path, partial(opened, sftp_server, sftp))
    report = fetches.fetch()
    assert [*fetches.landed()] == ["a.csv"]
    assert {*report.failed} == {"closed.csv", "closed/"}
    assert all("does not let" in str(error) for error in report.failed.values())
    (sftp / "closed").chmod(0o755)
    assert "has no" in refusal(sftp_server, sftp / "nowhere")


def test_odd_names_and_links(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """A name that is no UTF-8 lands readable; links, which may go in circles, and pipes are left alone."""
    (sftp / "deep").mkdir()
    (sftp / "deep" / "loop").symlink_to(sftp)
    (sftp / "link.csv").symlink_to("/etc/hostname")
    os.mkfifo(sftp / "pipe.csv")
    put(sftp, os.fsdecode(b"deep/caf\xe9.csv"), b"latin")
    put(sftp, "größe.csv", b"utf-8")
    fetches = Fetches(tmp_path, partial(opened, sftp_server, sftp))
    assert fetches.fetch().failed == {}
    assert {name: content for name, (content, _) in fetches.landed().items()} == {
        r"caf\xe9.csv": b"latin",
        "größe.csv": b"utf-8",
    }
    assert fetches.fetch().unchanged == 2


@pytest.mark.parametrize("change", ["grows", "is removed", "becomes a link"])
def test_a_file_that_changes(sftp_server: SftpServer, sftp: Path, tmp_path: Path, change: str) -> None:
    """A file that is written to, removed or replaced by a link while it is read is left for the next fetch."""
    there = put(sftp, "a.csv", b"x" * 6_000_000)
    source = opened(sftp_server, sftp)
    (item,) = source.list(None)
    session = source._session
    pieces = session.pieces

    def changing(path: bytes) -> Iterator[bytes]:
        for piece in pieces(path):
            yield piece
            if change == "grows":
                there.write_bytes(b"y" * 6_000_001)
            else:
                there.unlink(missing_ok=True)
                if change == "becomes a link":
                    there.symlink_to("/etc/hostname")

    session.pieces = changing  # type: ignore[method-assign]
    with pytest.raises(ItemGone):
        source.fetch(item, tmp_path / "got", 1 << 30)
    session.pieces = pieces  # type: ignore[method-assign]
    with pytest.raises(ItemGone):
        source.fetch(item, tmp_path / "again", 1 << 30)
    source.close()


def test_a_file_over_the_limit(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """A file over the limit is told, and the others land."""
    put(sftp, "large.csv", b"x" * 101)
    put(sftp, "small.csv", b"x")
    fetches = Fetches(tmp_path, partial(opened, sftp_server, sftp))
    report = fetches.fetch(limit=100)
    assert [*fetches.landed()] == ["small.csv"]
    assert "more than 100 bytes" in str(report.failed["large.csv"])


def test_a_server_that_dies(sftp_server: SftpServer, sftp: Path, tmp_path: Path) -> None:
    """A server that is killed while a file is read makes a fault that passes; the source goes on when it is back."""
    put(sftp, "a.csv", b"x" * 9_000_000)
    source = opened(sftp_server, sftp)
    (item,) = source.list(None)
    pieces = source._session.pieces(str(sftp / "a.csv").encode())
    next(pieces)
    sftp_server.stop()
    try:
        with pytest.raises(SourceDown, match="does not answer"):
            list(pieces)
        with pytest.raises(SourceDown, match="does not answer"):
            source.fetch(item, tmp_path / "got", 1 << 30)
    finally:
        sftp_server.start()
    source.fetch(item, tmp_path / "got", 1 << 30)
    assert (tmp_path / "got").stat().st_size == 9_000_000
    source.close()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({"host_key": None}, "always checked", id="no key of the server"),
        pytest.param({"host_key": "MD5:aa"}, "begins with SHA256:", id="another fingerprint"),
        pytest.param({"password": "hidden-word"}, "password has to be env:NAME", id="literal password"),
        pytest.param({"key_file": None}, "is needed to log in", id="nothing to log in with"),
        pytest.param({"pattern": "("}, "no regular expression", id="pattern"),
    ],
)
def test_options_that_cant_be_used(options: dict[str, str], expected: str) -> None:
    """What can't be used is refused when definitions load, without telling a password."""
    usual = {"host": "h", "user": "u", "key_file": "/k", "host_key": "SHA256:x"}
    with pytest.raises(ValidationError, match=expected) as refused:
        SftpOptions(**usual | options)  # type: ignore[arg-type]
    assert "hidden-word" not in str(refused.value)


def test_a_missing_library(sftp_server: SftpServer, sftp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without asyncssh, the refusal names the extra that has it."""
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    assert "orchestration-project[sftp]" in refusal(sftp_server, sftp)
