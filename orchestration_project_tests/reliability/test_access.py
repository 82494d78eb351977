"""The proxy in front of Dagster's UI: who is not logged in gets nothing, whatever the path, header or protocol."""

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from orchestration_project_tests.components.workbench import REPOSITORY
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.servers.access import COOKIE, METRICS, PROXY, REPORT, ROBOT, Answer, Proxy, Site, proxy
from orchestration_project_tests.servers.small_site import stock

# The site's servers take long to start, so one process of the tests has them.
pytestmark = [pytest.mark.promise("security"), pytest.mark.xdist_group("access")]

PAGES = [
    *("/", "/assets", "/server_info", "/dagit_info", "/favicon.png", "/robots.txt", "/logs/a/b/c.err"),
    *("/download_debug/1", "/notebook?path=a.ipynb", "/graphql", "/graphql?query=%7Bversion%7D"),
    *("/reports/", "/reports/index.html", "/metrics", "/_next/static/chunks/main.js", "/none"),
]
TRICKS = [
    *("//graphql", "//reports//index.html", "/./graphql", "/login/../graphql", "/logout/../reports/index.html"),
    *("/login/", "/login//", "/login/x", "/login%2f..%2fgraphql", "/login/%2e%2e/graphql", "/%2e%2e/graphql"),
    *("/login;/../graphql", "/login%00", "/login%00/../graphql", "/login%3f/../graphql", "/login%23/../metrics"),
    *("/login\\..\\graphql", "/Login", "/graphql/", "/GRAPHQL", "/%67raphql", "/graphql%20", "/reports/../metrics"),
    *("/reports/..%2f..%2fmetrics", "/reports../home/dagster.yaml", "/metrics/", "/metrics?/login", "/?/login"),
    *("/metrics#/login", "/login%0d%0aX:1/../graphql", "/@logged_in", "/not-logged-in", "/log-in", "/oauth2/auth"),
]
EVENTS = """subscription ($run: ID!) { pipelineRunLogs(runId: $run) {
    ... on PipelineRunLogsSubscriptionSuccess { messages { __typename } } } }"""
CHANGE = 'mutation { setConcurrencyLimit(concurrencyKey: "%s", limit: 3) }'
SECURITY = {
    "content-security-policy": "frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}


def refused(answer: Answer) -> bool:
    """Whether an answer is a refusal that tells nothing of what is behind the proxy."""
    told = answer.body.decode(errors="replace")
    return answer.status in {0, 400, 401, 421} and not any(word in told for word in (REPORT, METRICS, "dagster"))


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Proxy]:
    """A proxy of the test's own, with nothing behind it."""
    with proxy(tmp_path / "proxy", tmp_path) as made:
        yield made


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_nothing_is_answered_to_who_is_not_logged_in(site: Site, method: str) -> None:
    """No page, query, report, file or metrics, by no method; those who are logged in get them."""
    tried(len(PAGES))
    assert [path for path in PAGES if site.proxy.ask(path, method).status not in {401, 405}] == []
    for body in (b'{"query": "{version}"}', b"x"):
        assert site.proxy.ask("/graphql", method, body, Content_Type="application/json").status in {401, 405}
    for name in ("ann", "bob"):
        found = [site.proxy.ask(path, Cookie=site.proxy.cookie(name)) for path in ("/reports/index.html", "/metrics")]
        assert [answer.body.decode() for answer in found] == [REPORT, METRICS]
    assert site.proxy.ask("/metrics", Authorization=ROBOT).body.decode() == METRICS


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_with_tricks_leads_nobody_past_the_log_in(site: Site, path: str) -> None:
    """However a path is written, it is refused without a log-in, also as a whole address and in HTTP/1.0."""
    tried(3)
    assert refused(site.proxy.ask(path))
    assert refused(site.proxy.ask(f"{site.proxy.url}{path}"))
    lines = f"GET {path} HTTP/1.0\r\nHost: {site.proxy.host}\r\n\r\n"
    assert refused(site.proxy.send(lines.encode("latin-1")))


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X_Forwarded_For": "127.0.0.1", "X_Real_IP": "127.0.0.1"}, id="an address that is trusted"),
        pytest.param({"X_Forwarded_Host": "127.0.0.1:3000", "X_Forwarded_Proto": "http"}, id="another host"),
        pytest.param({"X_Original_URL": "/login", "X_Rewrite_URL": "/login"}, id="another path"),
        pytest.param({"X_Forwarded_Prefix": "/login", "X_HTTP_Method_Override": "GET"}, id="a prefix"),
        pytest.param({"X_Auth_Request_Groups": "shop-operators", "X_Role": "operator"}, id="a group"),
        pytest.param({"X_Remote_User": "ann", "Remote_User": "ann"}, id="a name"),
        pytest.param({"Cookie": f"{COOKIE}="}, id="an empty session"),
        pytest.param({"Cookie": f"{COOKIE}={'0' * 64}"}, id="a session that nobody has"),
        pytest.param({"Cookie": "role=operator; session_role=operator"}, id="names of the configuration"),
        pytest.param({"Authorization": "Basic YW5uOmEgcGFzczp3b3JkIG9mIEFubg=="}, id="the password elsewhere"),
        pytest.param({"Authorization": "Bearer "}, id="an empty token"),
        pytest.param({"Authorization": ROBOT[:-1]}, id="a shorter token"),
        pytest.param({"Authorization": f"{ROBOT}0"}, id="a longer token"),
        pytest.param({"Connection": "close, Cookie, X-Forwarded-For"}, id="headers for one hop"),
        pytest.param({"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2_Settings": ""}, id="h2c"),
        pytest.param({"Upgrade": "websocket", "Connection": "Upgrade"}, id="a websocket"),
        pytest.param({"Accept": "text/html", "Referer": "https://127.0.0.1/login"}, id="from the log-in"),
    ],
)
def test_no_header_is_a_log_in(site: Site, headers: Mapping[str, str]) -> None:
    """What a client says about itself, without a session or a token, opens nothing."""
    tried(3)
    for path in ("/", "/graphql", "/metrics"):
        assert refused(site.proxy.ask(path, **headers))


def test_a_second_request_in_the_first_one_is_not_answered(site: Site) -> None:
    """Requests that end in two ways are refused; one that follows another on a connection is one of its own."""
    host = f"Host: {site.proxy.host}\r\n"
    hidden = f"GET /metrics HTTP/1.1\r\n{host}\r\n".encode()
    heads = [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Content-Length: 4\r\nContent-Length: 40",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
    ]
    tried(len(heads) + 2)
    for head in heads:
        cookie = f"Cookie: {site.proxy.cookie('bob')}"
        asked = f"POST /graphql HTTP/1.1\r\n{host}{cookie}\r\n{head}\r\n\r\n0\r\n\r\n".encode()
        assert site.proxy.send(asked + hidden).status in {0, 400, 501}
    for host_line in ("", "Host: a\r\nHost: b\r\n"):
        assert refused(site.proxy.send(f"GET /metrics HTTP/1.1\r\n{host_line}\r\n".encode()))


def test_other_hosts_and_plain_http_get_nothing(site: Site) -> None:
    """A request for another name is refused, and one without TLS is sent to the address with it."""
    tried(4)
    for host in ("evil.example", "localhost", "127.0.0.1.evil.example"):
        assert site.proxy.ask("/metrics", Host=host, Cookie=site.proxy.cookie("ann")).status == 421
    plain = http.client.HTTPConnection("127.0.0.1", site.proxy.ports["http"])
    plain.request("GET", "/metrics")
    answer = plain.getresponse()
    assert (answer.status, answer.headers["location"]) == (308, "https://127.0.0.1/metrics")
    plain.close()


def test_pages_of_other_sites_can_ask_for_nothing(site: Site) -> None:
    """A request that a browser sends for another site's page is refused, although it has the session."""
    cookie, body = site.proxy.cookie("ann"), b'{"query": "{version}"}'
    for origin in ("https://evil.example", "null", f"http://{site.proxy.host}", f"{site.proxy.url}.evil.example"):
        tried(2)
        asked = {"Cookie": cookie, "Origin": origin, "Content_Type": "application/json"}
        assert site.proxy.ask("/graphql", "POST", body, **asked).status == 403
        upgrade = {
            "Upgrade": "websocket",
            "Sec_WebSocket_Version": "13",
            "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        assert site.proxy.ask("/graphql", Cookie=cookie, Origin=origin, Connection="Upgrade", **upgrade).status == 403
    own = site.proxy.ask(
        "/graphql", "POST", body, Cookie=cookie, Origin=site.proxy.url, Content_Type="application/json"
    )
    assert own.status == 200


@pytest.mark.parametrize("path", ["/graphql", "//graphql", "/./graphql", "/%67raphql", "/x/../graphql", "/graphql/"])
def test_a_link_changes_nothing(site: Site, path: str) -> None:
    """A mutation that stands in an address, which is all that a link can do, is not executed."""
    query = CHANGE % path.encode().hex()
    words = query.replace(" ", "%20").replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
    for headers in ({}, {"Accept": "application/json"}):
        tried()
        answer = site.proxy.ask(f"{path}?query={words}", Cookie=site.proxy.cookie("ann"), **headers)
        assert answer.status in {307, 405} or b"<!DOCTYPE html>" in answer.body
    keys = site.proxy.query("{ instance { concurrencyLimits { concurrencyKey } } }", site.proxy.cookie("ann"))
    assert path.encode().hex() not in str(keys)


def test_every_answer_has_the_headers(site: Site) -> None:
    """Pages, files, refusals, errors and the log-in: each tells browsers what they may not do, once."""
    cookie = {"Cookie": site.proxy.cookie("ann")}
    answers = [site.proxy.ask(path, **cookie) for path in ("/", "/favicon.png", "/reports/index.html", "/reports/none")]
    answers += [site.proxy.ask("/graphql", **cookie), site.proxy.ask("/"), site.proxy.ask("/login")]
    answers += [site.proxy.ask("/logout"), site.proxy.log_in("ann"), site.proxy.log_in("carl")]
    assert [answer.status for answer in answers] == [200, 200, 200, 404, 405, 401, 401, 303, 303, 403]
    for answer in answers:
        assert [name for name, value in SECURITY.items() if value not in answer.headers[name]] == []
        assert answer.headers["server"] == "nginx"
        assert "x-dagster-call-counts" not in answer.headers


def test_the_webservers_listen_on_this_machine_only(site: Site) -> None:
    """Neither webserver is reachable but through the proxy, and no command in the docs starts one that is."""
    listening = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()]
    places = {words[1] for words in listening if words[3:4] == ["0A"]}
    for name in ("operators", "readers", "nobody"):
        port = f"{site.proxy.ports[name]:04X}"
        assert [place for place in places if place.endswith(f":{port}")] == [f"0100007F:{port}"]
    pages = [page.read_text(encoding="utf-8") for page in (REPOSITORY / "docs").glob("*.md")]
    commands = [line for page in pages for line in re.findall(r"^dagster-webserver .*", page, re.MULTILINE)]
    assert len(commands) >= 3
    assert all("--host 127.0.0.1" in command for command in commands)


def test_a_log_in_is_a_password_and_a_role(own: Proxy) -> None:
    """The right password of somebody with a role gives a session; a wrong one, or no role, gives none."""
    answer = own.log_in("bob")
    assert (answer.status, f"{COOKIE}={answer.session}") == (303, own.cookie("bob"))
    assert all(word in answer.headers["set-cookie"] for word in ("Path=/;", "Secure", "HttpOnly", "SameSite=Lax"))
    assert "location" in answer.headers
    for name, password, status in (("bob", "x", 401), ("dora", "x", 401), ("bob", "", 401), ("carl", None, 403)):
        tried()
        answer = own.log_in(name, password) if password is not None else own.log_in(name)
        assert answer.status == status
        assert not re.search(r"session=[0-9a-f]", answer.headers.get("set-cookie", ""))
    assert own.ask("/login").headers["www-authenticate"].startswith("Basic")


def test_guessing_is_slowed_down(own: Proxy) -> None:
    """After some passwords an address has to wait, also with the right one; who has a session does not notice."""
    statuses = [own.log_in("ann", f"guess {number}").status for number in range(12)]
    assert statuses[:3] == [401] * 3
    assert statuses[-1] == own.log_in("ann").status == 429
    assert own.ask("/none", Cookie=own.cookie("ann")).status == 502


def test_new_sessions_end_the_old_ones(own: Proxy) -> None:
    """After sessions.sh and a reload nobody is logged in, and who left the list of people can't log in again."""
    old = own.cookie("ann")
    assert own.ask("/", Cookie=old).status == 502
    (own.folder / "access/people").write_text("ann reader")
    own.renew_sessions()
    own.reload()
    # For a moment the old process answers as well.
    until, new = time.monotonic() + 120, own.cookie("ann")
    while [own.ask("/", Cookie=cookie).status for cookie in (old, new, old, new)] != [401, 502] * 2:
        assert time.monotonic() < until
        time.sleep(0.5)
    assert own.log_in("bob").status == 403


@pytest.mark.parametrize(
    ("people", "said"),
    [
        pytest.param('ann"{}; operator\n', "line 1: a name has small letters", id="a name that is configuration"),
        pytest.param("# all\n\nann admin\n", "line 3: write: name role", id="a role that there is not"),
        pytest.param("ann\n", "line 1: write: name role", id="no role"),
        pytest.param("ann operator ;\n", "line 1: write: name role", id="more than a role"),
    ],
)
def test_a_list_of_people_that_is_wrong_changes_nothing(people: str, said: str, tmp_path: Path) -> None:
    """sessions.sh says which line is wrong, and the sessions of before stay."""
    script = str(PROXY / "sessions.sh")
    (tmp_path / "people").write_text("bob reader\n", encoding="utf-8")
    subprocess.run([script, str(tmp_path)], check=True)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.map")}
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("*s.map") if path.name != "robots.map"} == {0}
    (tmp_path / "people").write_text(people, encoding="utf-8")
    done = subprocess.run([script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.map")} == before
    assert not list(tmp_path.glob("sessions.*[!p]"))


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_a_page_that_is_open_is_told_what_happens(site: Site, name: str) -> None:
    """The events of a run come through the proxy to operators and readers, by the websocket that the UI opens."""
    with dg.DagsterInstance.from_config(str(site.home)) as instance:
        run = dg.materialize([stock], instance=instance)
    asked = {"query": EVENTS, "variables": {"run": run.run_id}}
    with connect(
        f"wss://{site.proxy.host}/graphql",
        ssl=site.proxy.tls,
        origin=Origin(site.proxy.url),
        subprotocols=[Subprotocol("graphql-ws")],
        additional_headers={"Cookie": site.proxy.cookie(name)},
    ) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {}}))
        assert json.loads(socket.recv(60)) == {"type": "connection_ack"}
        socket.send(json.dumps({"id": "1", "type": "start", "payload": asked}))
        assert "RunSuccessEvent" in socket.recv(60)
    tried()
