"""Pauses before a request to a REST API is sent again."""

from email.utils import formatdate

import pytest
import requests

from orchestration_project.sources import rest_session
from orchestration_project.sources.rest_session import LONGEST_PAUSE, RestSession, pause
from orchestration_project_tests.servers.rest_api import Answer, serving

DRAWS = 200


@pytest.fixture(autouse=True)
def first_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause that people have; other tests shorten it."""
    monkeypatch.setattr(rest_session, "FIRST_PAUSE", 1.0)


def answer(retry_after: str) -> requests.Response:
    """A server's answer that asks to wait."""
    made = requests.Response()
    made.status_code, made.headers["Retry-After"] = 429, retry_after
    return made


@pytest.mark.parametrize(
    ("asked", "tried", "least", "most"),
    [
        pytest.param(None, 0, 0.5, 1, id="the first time"),
        pytest.param(None, 3, 4, 8, id="longer each time"),
        pytest.param(None, 30, LONGEST_PAUSE / 2, LONGEST_PAUSE, id="not longer than that"),
        pytest.param("7", 0, 7, 8, id="what the server asks for"),
        pytest.param("0", 3, 0, 1, id="the server asks for none"),
        pytest.param("9999", 0, LONGEST_PAUSE, LONGEST_PAUSE + 1, id="the server asks for too much"),
        pytest.param(formatdate(4e9), 0, LONGEST_PAUSE, LONGEST_PAUSE + 1, id="the server names a moment"),
        pytest.param("soon", 3, 4, 8, id="the server asks for what nobody understands"),
    ],
)
def test_a_pause(asked: str | None, tried: int, least: float, most: float) -> None:
    """It grows or is the server's, and no two clients have the same one."""
    pauses = {pause(None if asked is None else answer(asked), tried) for _ in range(DRAWS)}
    assert len(pauses) > DRAWS / 2
    assert least <= min(pauses) < max(pauses) <= most


def test_a_request_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent as often as said, whether the server is busy or breaks off; other failures are answers at once."""
    monkeypatch.setattr(rest_session, "FIRST_PAUSE", 0.001)
    with serving(lambda _: Answer("", 503)) as server, RestSession(2, 10) as session:
        assert (session.get(server.url).status_code, len(server.asked)) == (503, 3)
        server.answer = lambda _: Answer("whole", cut=2)
        with pytest.raises(requests.RequestException):
            session.get(server.url)
        assert len(server.asked) == 6
        server.answer = lambda _: Answer("", 404)
        assert (session.get(server.url).status_code, len(server.asked)) == (404, 7)
