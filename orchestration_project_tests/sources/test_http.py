"""Files behind HTTP: whole and of one version from a server that misbehaves, and nothing secret in what is told."""

import datetime as dt
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestration_project.errors import ItemGone, PlatformError, SourceDown, SourceError
from orchestration_project.sources import http_session
from orchestration_project.sources.fetch import fetch
from orchestration_project.sources.http import open_http
from orchestration_project.sources.http_options import HttpOptions
from orchestration_project.sources.memory import exclusive_memory
from orchestration_project.sources.model import FetchReport, Limits
from orchestration_project.storage.batches import Batching, Cadence
from orchestration_project_tests.servers.http_files import HttpFiles, ServedFile, http_files

NOW = dt.datetime(2024, 4, 20, tzinfo=dt.UTC)
MONTHLY = Batching(Cadence.MONTHLY, dt.date(2024, 1, 1))
HIDDEN = "s3cret-of-the-shop"
NAMED = "env:HIDDEN"
CONTENT = bytes(range(256)) * 2000
PATH = "/data/sales.bin"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short, and no proxy is asked."""
    monkeypatch.setattr(http_session, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr("orchestration_project.sources.http_download.FIRST_PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[HttpFiles]:
    with http_files() as served:
        served.files[PATH] = ServedFile(CONTENT, "application/octet-stream")
        yield served


def fetched(folder: Path, url: str, limit: int = 10_000_000, **options: Any) -> FetchReport:
    """Fetch once, from a source of a monthly feed."""
    secrets = {"HIDDEN": HIDDEN, "URL": url}
    with exclusive_memory(folder / "memory.sqlite") as memory:
        known = memory.versions
        source = open_http(
            HttpOptions(url=url, **options), MONTHLY, NOW, secrets.__getitem__, lambda key: known([key]).get(key)
        )
        with closing(source):
            return fetch(source, memory, folder / "landing", Limits(limit), NOW, lambda _: None)


def landing(folder: Path) -> dict[str, bytes]:
    """What is in landing, hidden files too."""
    return {path.name: path.read_bytes() for path in sorted((folder / "landing").iterdir())}


def fault(report: FetchReport, kind: type[PlatformError]) -> str:
    """Why the only item was not fetched."""
    (error,) = report.failed.values()
    assert type(error) is kind
    return str(error)


def test_a_file_lands_once(tmp_path: Path, server: HttpFiles) -> None:
    """It has the server's time; unchanged it is not downloaded again, changed it is."""
    fetched(tmp_path, server.url + PATH)
    assert landing(tmp_path) == {"sales.bin": CONTENT}
    assert (tmp_path / "landing" / "sales.bin").stat().st_mtime == server.files[PATH].modified
    assert fetched(tmp_path, server.url + PATH).unchanged == 1
    assert len(server.gets(PATH)) == 1
    server.files[PATH].content = b"corrected"
    fetched(tmp_path, server.url + PATH)
    assert landing(tmp_path) == {"sales.bin": b"corrected"}


@pytest.mark.parametrize(
    ("etag", "modified", "head", "gets"),
    [
        pytest.param(False, 1_705_300_000.0, True, 1, id="Last-Modified alone"),
        pytest.param(True, None, False, 3, id="no HEAD"),  # each look is a GET whose body is not read
        pytest.param(False, None, True, 2, id="neither: the bytes tell"),
    ],
)
def test_servers_that_tell_less(
    tmp_path: Path, server: HttpFiles, etag: bool, modified: float | None, head: bool, gets: int
) -> None:
    """Without ETag, without any version, without HEAD: a file that did not change lands once."""
    server.files[PATH] = ServedFile(CONTENT, "text/csv", modified, etag)
    server.head = head
    assert len(fetched(tmp_path, server.url + PATH).landed) == 1
    again = fetched(tmp_path, server.url + PATH)
    assert (len(again.landed), again.unchanged) == (0, 1)
    assert len(server.gets(PATH)) >= gets


def test_a_server_without_head_is_asked_for_another_version(tmp_path: Path, server: HttpFiles) -> None:
    """It sends nothing of a file that is known, told by `If-None-Match`; another version lands as ever."""
    server.head = False
    fetched(tmp_path, server.url + PATH)
    asked, sent = len(server.gets(PATH)), len(server.sent)
    assert fetched(tmp_path, server.url + PATH).unchanged == 1
    assert [headers.get("If-None-Match") for headers in server.gets(PATH)[asked:]] == [server.files[PATH].tag]
    assert len(server.sent) == sent
    server.files[PATH].content = b"corrected"
    fetched(tmp_path, server.url + PATH)
    assert landing(tmp_path) == {"sales.bin": b"corrected"}


def test_a_file_for_each_batch(tmp_path: Path, server: HttpFiles) -> None:
    """Each month from the start is asked for; one that is not there yet comes when it is."""
    del server.files[PATH]
    for month in ("01", "02", "04"):
        server.files[f"/2024/taxi_2024-{month}.csv"] = ServedFile(month.encode())
    url = f"{server.url}/{{year}}/taxi_{{year}}-{{month}}.csv"
    assert [file.item.name for file in fetched(tmp_path, url).landed] == [
        "taxi_2024-01.csv",
        "taxi_2024-02.csv",
        "taxi_2024-04.csv",
    ]
    server.files["/2024/taxi_2024-03.csv"] = ServedFile(b"03")
    assert [file.item.name for file in fetched(tmp_path, url).landed] == ["taxi_2024-03.csv"]
    assert fetched(tmp_path, url, last_batches=2).listed == 2
    assert fetched(tmp_path, url, start="2024-02-01").listed == 3


def test_a_file_that_is_not_there(tmp_path: Path, server: HttpFiles) -> None:
    """The only file of a source that is missing is an error with its address."""
    with pytest.raises(ItemGone, match=r"/none\.csv is not there"):
        fetched(tmp_path, f"{server.url}/none.csv")


def test_a_server_that_refuses_what_is_not_there(tmp_path: Path, server: HttpFiles) -> None:
    """If 403 is said to mean that a file is missing, such a batch comes later; a server with no file is an error."""
    for month in ("02", "03", "04"):
        server.statuses[f"/taxi_2024-{month}.csv"] = [(403, {})] * 100
    url = f"{server.url}/taxi_{{year}}-{{month}}.csv"
    with pytest.raises(SourceError, match="not one file is there"):
        fetched(tmp_path, url, missing=[403])
    server.files["/taxi_2024-01.csv"] = ServedFile(b"01")
    assert [file.item.name for file in fetched(tmp_path, url, missing=[403]).landed] == ["taxi_2024-01.csv"]
    with pytest.raises(SourceError, match="answers 403: look at user"):
        fetched(tmp_path, url)


def test_a_broken_download_goes_on(tmp_path: Path, server: HttpFiles) -> None:
    """It is cut twice, and goes on each time where it broke."""
    server.cuts[PATH] = [100_000, 200_000]
    assert len(fetched(tmp_path, server.url + PATH).landed) == 1
    assert landing(tmp_path) == {"sales.bin": CONTENT}
    ranges = [headers.get("Range") for headers in server.gets(PATH)]
    assert ranges[0] is None
    assert all(ranges[1:])
    assert len(ranges) == 3


@pytest.mark.parametrize("ranges", [True, False])
def test_no_file_has_bytes_of_two_versions(tmp_path: Path, server: HttpFiles, ranges: bool) -> None:
    """A file that is another one when the download goes on is begun anew."""
    server.files[PATH].ranges = ranges
    server.cuts[PATH] = [100_000]

    def change() -> None:
        server.files[PATH] = ServedFile(CONTENT[::-1], "application/octet-stream", 1_705_400_000.0, ranges=ranges)

    server.meanwhile[PATH] = change
    fetched(tmp_path, server.url + PATH)
    assert landing(tmp_path) == {"sales.bin": CONTENT[::-1]}
    assert (tmp_path / "landing" / "sales.bin").stat().st_mtime == 1_705_400_000


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, server: HttpFiles) -> None:
    """It is not landed; the next fetch takes the new one."""
    server.meanwhile[PATH] = lambda: server.files.update({PATH: ServedFile(b"new")})
    assert "changed while it was read" in fault(fetched(tmp_path, server.url + PATH), ItemGone)
    assert landing(tmp_path) == {}
    fetched(tmp_path, server.url + PATH)
    assert landing(tmp_path) == {"sales.bin": b"new"}


def test_a_wrong_length(tmp_path: Path, server: HttpFiles) -> None:
    """A file that always ends before its length is a source that is down; nothing lands."""
    server.files[PATH].length = len(CONTENT) + 10
    server.cuts[PATH] = [len(CONTENT) - 1] * 10
    assert "does not answer" in fault(fetched(tmp_path, server.url + PATH, retries=2), SourceDown)
    assert landing(tmp_path) == {}


def test_a_busy_server_is_asked_again(tmp_path: Path, server: HttpFiles) -> None:
    """A 500, then a 429 that names a pause, then the file."""
    server.statuses[PATH] = [(500, {}), (429, {"Retry-After": "0"})]
    assert len(fetched(tmp_path, server.url + PATH).landed) == 1


def test_a_server_that_stays_busy(tmp_path: Path, server: HttpFiles) -> None:
    """Asked often enough, the source is down."""
    server.statuses[PATH] = [(503, {})] * 9
    with pytest.raises(SourceDown, match="answers 503"):
        fetched(tmp_path, server.url + PATH, retries=2)
    assert len(server.asked) == 3


def test_a_slow_server(tmp_path: Path, server: HttpFiles) -> None:
    """One that takes longer than the limit is down."""
    server.pause = 1.0
    with pytest.raises(SourceDown, match="does not answer"):
        fetched(tmp_path, server.url + PATH, timeout_seconds=0.1, retries=0)


def test_nobody_answers(tmp_path: Path, server: HttpFiles) -> None:
    """A connection that is refused is a source that is down."""
    with pytest.raises(SourceDown, match="does not answer"):
        fetched(tmp_path, "http://127.0.0.1:1/sales.csv", retries=0)
    assert not server.asked


def test_redirects(tmp_path: Path, server: HttpFiles) -> None:
    """Some are followed; a loop ends; other schemes are refused."""
    server.redirects |= {"/old.bin": PATH, "/loop": "/loop", "/file": "file:///etc/passwd"}
    assert len(fetched(tmp_path, f"{server.url}/old.bin").landed) == 1
    with pytest.raises(SourceError, match="more than 5 redirects"):
        fetched(tmp_path, f"{server.url}/loop")
    with pytest.raises(SourceError, match="neither http nor https"):
        fetched(tmp_path, f"{server.url}/file")


def test_no_redirect_leads_inside(tmp_path: Path, server: HttpFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a public address nothing leads into a private network."""
    server.redirects["/out"] = "http://10.0.0.1/inside"
    # The name of this machine, as one that is known on the internet.
    known = {"127.0.0.1": ["93.184.215.14"], "10.0.0.1": ["10.0.0.1"]}
    monkeypatch.setattr(http_session, "addresses_of", known.__getitem__)
    with pytest.raises(SourceError, match="into a private network"):
        fetched(tmp_path, f"{server.url}/out")


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://127.0.0.1/", True),
        ("http://[::1]/", True),
        ("http://192.168.1.1/", True),
        ("http://169.254.169.254/latest", True),
        ("http://8.8.8.8/", False),
    ],
)
def test_private_addresses(url: str, private: bool) -> None:
    """Those of this machine, of private networks and of clouds' metadata are private."""
    assert http_session.is_private(url) == private


def test_credentials_stay_with_their_host(tmp_path: Path, server: HttpFiles) -> None:
    """They are shown to the configured host, and to no other that it leads to."""
    with http_files() as other:
        other.files["/away.bin"] = ServedFile(b"away")
        server.redirects["/go.bin"] = f"{other.url}/away.bin"
        fetched(tmp_path, f"{server.url}/go.bin", token=NAMED, headers={"X-Key": NAMED})
        assert all(HIDDEN in str(headers) for _, _, headers in server.asked)
        assert other.asked
        assert not any(HIDDEN in str(headers) for _, _, headers in other.asked)


def test_a_login(tmp_path: Path, server: HttpFiles) -> None:
    """User and password from the environment open the file; wrong ones are told without them."""
    server.login = "Basic c2hvcDpzM2NyZXQtb2YtdGhlLXNob3A="
    assert len(fetched(tmp_path, server.url + PATH, user="shop", password=NAMED).landed) == 1
    with pytest.raises(SourceError, match="answers 401: look at user") as found:
        fetched(tmp_path, server.url + PATH, user="else", password=NAMED)
    assert HIDDEN not in str(found.value)


def test_no_secret_is_told(tmp_path: Path, server: HttpFiles) -> None:
    """Not in what is shown of options and source, not in errors; of an address from the environment only the host."""
    options = HttpOptions(url="env:URL", name="x.csv", token=NAMED)
    values = {"URL": f"{server.url}/{HIDDEN}/x.csv?key={HIDDEN}", "HIDDEN": HIDDEN}
    source = open_http(options, MONTHLY, NOW, values.__getitem__, lambda _: None)
    with pytest.raises(SourceError) as found:
        list(source.list(None))
    source.close()
    assert found.value.__cause__ is None
    told = f"{found.value!r} {source.url} {source!r} {options!r} {source._access!r}"
    assert HIDDEN not in told
    assert HIDDEN in server.asked[0][1]


def test_html_is_no_file(tmp_path: Path, server: HttpFiles) -> None:
    """A page in the place of a file is refused, by its type or by how it begins; `content_types` decides else."""
    server.files["/a.csv"] = ServedFile(b"a,b", "text/html; charset=utf-8")
    assert "page of HTML" in fault(fetched(tmp_path / "1", f"{server.url}/a.csv"), SourceError)
    server.files["/a.csv"] = ServedFile(b"\n<!DOCTYPE html><p>Please log in")
    assert "page of HTML" in fault(fetched(tmp_path / "2", f"{server.url}/a.csv"), SourceError)
    assert fetched(tmp_path / "3", f"{server.url}/a.csv", content_types=["text/csv"]).landed
    refused = fetched(tmp_path / "4", f"{server.url}/a.csv", content_types=["text/plain"])
    assert "content type 'text/csv'" in fault(refused, SourceError)


@pytest.mark.parametrize("tells", [True, False])
def test_a_file_that_is_too_large(tmp_path: Path, server: HttpFiles, tells: bool) -> None:
    """It is refused before it is read, or as soon as it is larger than it said."""
    if not tells:
        server.files[PATH] = ServedFile(CONTENT, headers={"Connection": "close"})
    report = fetched(tmp_path, server.url + PATH, limit=1000)
    assert "1,000 are allowed" in fault(report, SourceError)
    assert landing(tmp_path) == {}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"url": "ftp://host/x.csv"}, "begins with http://", id="scheme"),
        pytest.param(
            {"url": f"https://me:{HIDDEN}@host/x.csv"}, "has a user or a password in it", id="password in the address"
        ),
        pytest.param({"url": "https://host/"}, "name: say how", id="no name"),
        pytest.param({"url": "env:URL"}, "name: say how", id="hidden address"),
        pytest.param({"url": "https://host/{year}/{month}/x.csv"}, "{month}, {year} of the address", id="one name"),
        pytest.param({"url": "https://host/x.csv", "user": "a", "password": HIDDEN}, "write env:", id="literal"),
        pytest.param({"url": "https://host/x.csv", "token": "env:A", "user": "a"}, "one of them", id="two"),
        pytest.param({"url": "https://host/x.csv", "start": "2024"}, "not a date", id="start"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, Any], told: str) -> None:
    """Each mistake is told, without what may be secret."""
    with pytest.raises(ValidationError) as found:
        HttpOptions(**options)
    (problem,) = found.value.errors(include_input=False)
    assert told in problem["msg"]
    assert HIDDEN not in problem["msg"]
