"""Who comes to a cluster through its proxy: somebody who is not logged in, a reader, and an operator."""

from dataclasses import dataclass
from typing import Any

from orchestration_project_tests.servers.access import COOKIE, Proxy

RUN = "query($run: ID!) { runOrError(runId: $run) { __typename ... on Run { status } } }"
AGAIN = """mutation($run: String!) {
    launchRunReexecution(reexecutionParams: {parentRunId: $run, strategy: ALL_STEPS}) {
        __typename
        ... on LaunchRunSuccess { run { runId } }
    }
}"""


@dataclass(frozen=True)
class Visitor:
    """Somebody at the proxy.

    Attributes:
        proxy: the way in.
        cookie: of the session; none: not logged in.
    """

    proxy: Proxy
    cookie: str = ""

    @classmethod
    def logged_in(cls, proxy: Proxy, name: str) -> "Visitor":
        """Somebody who has logged in by a password."""
        return cls(proxy, f"{COOKIE}={proxy.log_in(name).session}")

    def statuses(self) -> list[int]:
        """What the UI, a query and the metrics answer."""
        return [
            self.proxy.ask("/", Cookie=self.cookie).status,
            self.proxy.ask(
                "/graphql", "POST", b'{"query": "{ version }"}', Cookie=self.cookie, Content_Type="application/json"
            ).status,
            self.proxy.ask("/metrics", Cookie=self.cookie).status,
        ]

    def status_of(self, run: str) -> str:
        """The status of a run, as the UI shows it."""
        found = self._query(RUN, run)["runOrError"]
        return str(found.get("status", found["__typename"]))

    def launch_again(self, run: str) -> str:
        """Have a run done again, all of it, as by the button in the UI; returns the new run, or the kind of refusal."""
        found = self._query(AGAIN, run)["launchRunReexecution"]
        return str(found["run"]["runId"] if "run" in found else found["__typename"])

    def _query(self, document: str, run: str) -> dict[str, Any]:
        answer = self.proxy.query(document, self.cookie, {"run": run})
        assert answer.get("data"), answer
        data: dict[str, Any] = answer["data"]
        return data
