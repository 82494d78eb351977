"""The proxy with a company's own log-in: oauth2-proxy says who somebody is, and the group is the role."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.test_access import CHANGE, PAGES, TRICKS
from orchestration_project_tests.servers.access import METRICS, Proxy, Site, proxy

pytestmark = [pytest.mark.promise("security"), pytest.mark.xdist_group("access")]


class _LogIn(BaseHTTPRequestHandler):
    """What oauth2-proxy answers: who somebody is by a cookie, and a page to log in."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        group = (self.headers.get("Cookie") or "").removeprefix("_oauth2_proxy=")
        if not self.path.startswith("/oauth2/auth"):
            self.send_response(200)
        else:
            allowed = self.path.partition("allowed_groups=")[2].split(",")
            self.send_response(401 if not group else 202 if group in allowed else 403)
            self.send_header("X-Auth-Request-Groups", f"staff,{group}")
            self.send_header("X-Auth-Request-Email", "ann@example.org")
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture
def with_oidc(site: Site, tmp_path: Path) -> Iterator[Proxy]:
    """Another proxy in front of the same webservers, that asks a server which plays oauth2-proxy."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _LogIn)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    edits = {"session-roles.conf": "oidc-roles.conf", "session.conf": "oidc.conf"}
    edits["127.0.0.1:4180"] = f"127.0.0.1:{server.server_port}"
    behind = {name: site.proxy.ports[name] for name in ("operators", "readers")}
    try:
        with proxy(tmp_path / "proxy", site.proxy.data, edits, behind) as made:
            yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_company_s_log_in_can_take_the_place(with_oidc: Proxy) -> None:
    """With oauth2-proxy instead, nothing is answered without its log-in, and a person's group is the role."""
    for path in [*PAGES, *TRICKS]:
        tried()
        answer = with_oidc.ask(path, X_Auth_Request_Groups="shop-operators")
        assert answer.status in {302, 400, 404, 405}, path
        assert answer.status != 302 or answer.headers["location"].endswith("/oauth2/sign_in")
    assert with_oidc.ask("/oauth2/sign_in").status == 200
    assert with_oidc.ask("/oauth2/auth").status == 404
    assert with_oidc.ask("/metrics", Cookie="_oauth2_proxy=staff").status == 403
    assert with_oidc.ask("/metrics", Cookie="_oauth2_proxy=shop-readers").body.decode() == METRICS
    shown = [with_oidc.query(CHANGE % "oidc", f"_oauth2_proxy=shop-{role}") for role in ("readers", "operators")]
    assert [answer["data"] for answer in shown] == [None, {"setConcurrencyLimit": True}]
