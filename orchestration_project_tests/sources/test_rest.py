"""REST APIs, honest ones and others, each a real server."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestration_project.failpoints import Fetching
from orchestration_project_tests.reliability.evidence import effort
from orchestration_project_tests.reliability.victim import killed, steps_of
from orchestration_project_tests.servers.rest_api import Answer, Asked, RestServer, serving
from orchestration_project_tests.sources.fetching import Fetcher

LINKS = {"records": "$.items", "pagination": {"style": "json_link", "next": "$.next"}}
Items = list[dict[str, Any]]


@pytest.fixture
def server() -> Iterator[RestServer]:
    """A server that answers nothing yet."""
    with serving(lambda _: Answer("", 404)) as made:
        yield made


@pytest.fixture
def fetcher(server: RestServer, tmp_path: Path) -> Callable[..., Fetcher]:
    """Makes a fetcher of the server's products, with options."""
    return lambda **options: Fetcher(tmp_path, {"url": f"{server.url}/products", **options})


def linked(*pages: Items, path: str = "/products") -> Callable[[Asked], Answer]:
    """Pages of which each has a link to the next one."""

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", "1"))
        return Answer(
            {"items": pages[number - 1], "next": f"{path}?page={number + 1}" if number < len(pages) else None}
        )

    return answer


def text_of(file: str) -> list[Any]:
    """The documents of a file."""
    return [json.loads(line) for line in file.splitlines()]


def ids(fetcher: Fetcher) -> list[int]:
    """The ids of all records that landed, by file."""
    return [item["id"] for file in fetcher.files().values() for page in text_of(file) for item in page["items"]]


def test_what_lands_is_what_was_sent(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """Each page is there byte for byte, with a line end behind it, in one file that tells the moment of the fetch."""
    bodies = ['{"items": [ {"id":1.10} ], "next":"/products?page=2"}', '{"next":"","items":[{"id":1e2, "t":"é"}]}\n']
    server.answer = lambda asked: Answer(bodies["page" in asked.params])
    made = fetcher(**LINKS)
    report = made.fetch()
    assert made.files() == {"products_2024-01-03T040506.json": "".join(f"{body}\n" for body in bodies)}
    assert [landed.records for landed in report.landed] == [2]
    assert "?" not in report.landed[0].item.key


def records(first: int, count: int) -> Items:
    """Records with numbers."""
    return [{"id": number} for number in range(first, first + count)]


def by_offset(asked: Asked) -> Answer:
    """Seven records, by offset."""
    start, limit = int(asked.params["offset"]), int(asked.params["size"])
    return Answer({"items": records(0, 7)[start : start + limit], "total": 7})


def by_number(asked: Asked) -> Answer:
    """Seven records, by the number of the page, from 1."""
    start = 3 * (int(asked.params["page"]) - 1)
    return Answer({"items": records(0, 7)[start : start + 3], "pages": 3})


def by_mark(asked: Asked) -> Answer:
    """Seven records, by a mark that is sent back."""
    start = int(asked.params.get("after", "m0")[1:])
    mark = f"m{start + 3}" if start + 3 < 7 else None
    return Answer({"items": records(0, 7)[start : start + 3], "meta": {"mark": mark}})


def by_header(asked: Asked) -> Answer:
    """Seven records, by a link in a header."""
    start = int(asked.params.get("from", "0"))
    link = {"Link": f'</products?from={start + 3}>; rel="next"'} if start + 3 < 7 else {}
    return Answer({"items": records(0, 7)[start : start + 3]}, headers=link)


@pytest.mark.parametrize(
    ("answer", "pagination", "asked"),
    [
        pytest.param(by_header, {"style": "header_link"}, 3, id="a link in a header"),
        pytest.param(linked(records(0, 3), [], records(3, 4)), LINKS["pagination"], 3, id="links, one page is empty"),
        pytest.param(by_mark, {"style": "cursor", "next": "$.meta.mark", "parameter": "after"}, 3, id="a mark"),
        pytest.param(
            by_offset, {"style": "offset", "limit": 3, "limit_parameter": "size"}, 4, id="offsets until a page is empty"
        ),
        pytest.param(by_number, {"style": "page_number"}, 4, id="numbers until a page is empty"),
        pytest.param(by_number, {"style": "page_number", "pages": "$.pages"}, 3, id="as many numbers as there are"),
    ],
)
def test_styles_of_pages(
    answer: Callable[[Asked], Answer],
    pagination: dict[str, Any],
    asked: int,
    server: RestServer,
    fetcher: Callable[..., Fetcher],
) -> None:
    """All pages are asked for, each once."""
    server.answer = answer
    made = fetcher(records="$.items", pagination=pagination)
    made.fetch()
    assert ids(made) == [*range(7)]
    assert len(server.asked) == asked


def test_an_empty_page_between_others_where_the_total_is_known(
    server: RestServer, fetcher: Callable[..., Fetcher]
) -> None:
    """It is no end, since not all records came yet."""

    def answer(asked: Asked) -> Answer:
        items = {"0": records(0, 2), "2": [], "4": records(2, 3)}[asked.params["offset"]]
        return Answer({"items": items, "total": total})

    total, server.answer = 6, answer
    made = fetcher(records="$.items", total="$.total", pagination={"style": "offset", "limit": 2})
    assert "5 records came, and the pages say 6" in made.failure()
    total = 5
    made.fetch()
    assert ids(made) == [*range(5)]


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        pytest.param(
            {"style": "api_key", "header": "X-Key", "token": "env:API_KEY"}, "hush-hush", id="key in a header"
        ),
        pytest.param({"style": "api_key", "query": "key", "token": "env:API_KEY"}, "hush-hush", id="key as parameter"),
        pytest.param({"style": "bearer", "token": "env:API_KEY"}, "Bearer hush-hush", id="bearer"),
        pytest.param({"style": "basic", "user": "me", "password": "env:API_KEY"}, "Basic bWU6aHVzaC1odXNo", id="basic"),
    ],
)
def test_signed_requests(
    auth: dict[str, str],
    expected: str,
    server: RestServer,
    fetcher: Callable[..., Fetcher],
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each page is asked for with what the variable has; a refusal tells the code, and nobody ever the secret."""

    def answer(asked: Asked) -> Answer:
        given = [asked.headers.get("X-Key"), asked.params.get("key"), asked.headers.get("Authorization")]
        return linked(records(1, 1), records(2, 1))(asked) if expected in given else Answer("who? hush-hush", 401)

    server.answer = answer
    made = fetcher(auth=auth, **LINKS)
    made.fetch()
    assert ids(made) == [1, 2]
    made.secrets = {"API_KEY": "another-secret"}
    failure = made.failure()
    assert "refuses with 401; see the option `auth`" in failure
    out = [*capfd.readouterr(), caplog.text, failure, str(made.told), repr(made.options)]
    assert not [text for text in out if "hush-hush" in text or "another-secret" in text]


@pytest.mark.parametrize("expires_in", [0, 3600], ids=["as it was told", "before its time"])
def test_a_token_that_expires_between_pages(
    expires_in: int, server: RestServer, fetcher: Callable[..., Fetcher]
) -> None:
    """Another one is asked for, and the page with it."""
    valid: list[str] = []

    def answer(asked: Asked) -> Answer:
        if asked.path == "/token":
            assert "client_secret=hush-hush" in asked.body
            valid[:] = [f"token{asked.number}"]
            return Answer({"access_token": valid[0], "expires_in": expires_in})
        if asked.headers.get("Authorization") != f"Bearer {valid[0]}":
            return Answer({"error": "expired"}, 401)
        page = linked(records(1, 1), records(2, 1), records(3, 1))(asked)
        valid[:] = ["none"]
        return page

    server.answer = answer
    auth = {"style": "oauth2", "token_url": f"{server.url}/token", "client_id": "me", "client_secret": "env:API_KEY"}
    made = fetcher(auth=auth, **LINKS)
    made.fetch()
    assert ids(made) == [1, 2, 3]
    server.answer = lambda _: Answer({"error": "hush-hush"}, 401)
    assert "hush" not in made.failure()


def test_a_server_that_is_busy_or_breaks_off(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """A page is asked for again, after the time that the server names; what was sent of it is not in the file."""
    faults = {0: Answer("", 500), 1: Answer("", 429, {"Retry-After": "1"}), 3: Answer({"items": records(8, 9)}, cut=9)}
    pages = linked(records(1, 1), records(2, 1))
    server.answer = lambda asked: faults.get(asked.number) or pages(asked)
    made = fetcher(**LINKS)
    made.fetch()
    assert ids(made) == [1, 2]
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(Answer("", 503), "SourceDown: .* fails with 503", id="down"),
        pytest.param(Answer('{"items": []}', cut=4), "SourceDown: .* does not answer as it should", id="breaks off"),
        pytest.param(Answer("", 404), "SourceError: .* refuses with 404", id="not there"),
        pytest.param(Answer("", 302, {"Location": "/"}), "SourceError: .* redirects .302.", id="redirect"),
        pytest.param(Answer("<html>Log in</html>", 200, {"Content-Type": "text/html"}), "is HTML", id="HTML"),
        pytest.param(Answer('{"items": ['), "is no JSON", id="cut JSON"),
        pytest.param(Answer(b'{"items": ["\xff"]}'), "no JSON", id="no UTF-8"),
        pytest.param(Answer({"data": []}), r"page 1 has no array of records at \$\.items", id="no records"),
        pytest.param(Answer({"items": [1] * 9000}), "larger than the file may be", id="too large"),
        pytest.param(
            Answer({"items": [1], "next": "http://169.254.169.254/latest"}), "leads to another server", id="elsewhere"
        ),
        pytest.param(
            Answer({"items": [], "next": "/products?page=1"}), "a page that was read before", id="round in a circle"
        ),
        pytest.param(
            Answer({"items": [1], "next": "/products?page=1"}), "the one before once more", id="the same page"
        ),
        pytest.param(Answer({"items": [1], "next": {"page": 2}}), "what `pagination` needs", id="no address"),
    ],
)
def test_answers_of_which_nothing_lands(
    answer: Answer, told: str, server: RestServer, fetcher: Callable[..., Fetcher]
) -> None:
    """The fault is told, without what was sent, and there is no file."""
    server.answer = lambda _: answer
    made = replace(fetcher(**LINKS, retries=1), limit=20_000)
    failure = made.failure()
    assert re.search(told, failure)
    assert "latest" not in failure


def test_a_page_that_fails_costs_the_whole_fetch(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """Half an answer would look like all of it; the next fetch has it all."""
    pages = linked(records(1, 1), records(2, 1))
    server.answer = lambda asked: Answer("", 404) if asked.params else pages(asked)
    made = fetcher(**LINKS)
    assert "404" in made.failure()
    server.answer = pages
    made.fetch()
    assert ids(made) == [1, 2]


def test_pages_without_end(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """There is a limit to how many are read."""
    server.answer = lambda asked: Answer({"items": [{"id": asked.number}], "next": f"/products?page={asked.number}"})
    assert "more than 5 pages" in fetcher(max_pages=5, **LINKS).failure()
    assert len(server.asked) == 5


def test_data_that_changes_while_it_is_read(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """The fetch begins anew, and what came before is not in the file; after three times it is given up."""
    rows = records(1, 4)

    def answer(asked: Asked) -> Answer:
        start = int(asked.params["offset"])
        page = Answer({"items": rows[start : start + 2], "total": len(rows)})
        if asked.number in spoils and rows:
            rows.pop(0)
        return page

    spoils = {0}
    server.answer = answer
    made = fetcher(records="$.items", total="$.total", pagination={"style": "offset", "limit": 2})
    made.fetch()
    assert ids(made) == [2, 3, 4]
    rows[:], spoils = records(1, 9), set(range(99))
    assert "data changed while it was read, 3 times" in made.failure()


def test_an_answer_that_did_not_change(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """Nothing lands then; what changed is another file."""
    server.answer = linked(records(1, 1))
    made = fetcher(**LINKS)
    assert [len(made.fetch().landed), made.fetch().unchanged, len(made.files())] == [1, 1, 1]
    server.answer = linked(records(1, 2))
    made.fetch()
    assert ids(made) == [1, 1, 2]


def changes(asked: Asked) -> Answer:
    """Five records, of which those come that changed since a day."""
    rows = [{"id": day, "at": f"2024-01-0{day}T00:00:00Z"} for day in range(1, 6)]
    return Answer({"items": [row for row in rows if str(row["at"]) >= asked.params.get("since", "")]})


CURSOR = {"records": "$.items", "cursor": {"field": "at", "parameter": "since", "start": "2024-01-04T00:00:00Z"}}


def test_only_what_is_new(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """A fetch goes on from the newest record that the last one had; without records nothing lands."""
    server.answer = changes
    made = fetcher(**CURSOR)
    made.fetch()
    assert (ids(made), made.cursor) == ([4, 5], "2024-01-05T00:00:00Z")
    server.answer = lambda _: Answer({"items": []})
    assert (made.fetch().empty, made.cursor) == (1, "2024-01-05T00:00:00Z")
    server.answer = lambda _: Answer({"items": [{"id": 7, "at": "2024-01-05T00:30:00+01:00"}]})
    assert "the source went back" in made.failure()
    server.answer = lambda _: Answer({"items": [{"id": 7, "at": "2024-01-05T02:30:00+01:00"}, {"id": 8, "at": None}]})
    made.fetch()
    assert (ids(made), made.cursor) == ([4, 5, 7, 8], "2024-01-05T02:30:00+01:00")
    assert [asked.params["since"] for asked in server.asked] == ["2024-01-04T00:00:00Z", *3 * ["2024-01-05T00:00:00Z"]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([9, 10], "10", id="numbers"),
        pytest.param(["9", "10"], "10", id="numbers as texts"),
        pytest.param([1.5, 1.10], "1.5", id="decimal numbers"),
        pytest.param(["2024-01-02", "2024-01-10"], "2024-01-10", id="days"),
        pytest.param(["2024-01-02T10:00:00+02:00", "2024-01-02T09:00:00Z"], "2024-01-02T09:00:00Z", id="zones"),
        pytest.param(["b9", "b10"], None, id="other texts"),
        pytest.param([1, "2024-01-02"], None, id="mixed"),
        pytest.param([True], None, id="a flag"),
        pytest.param(["2024-01-02T10:00:00", "2024-01-02T09:00:00Z"], None, id="with a zone and without"),
        pytest.param([{"no": "field"}], None, id="without the field"),
    ],
)
def test_the_newest_value(
    values: list[Any], expected: str | None, server: RestServer, fetcher: Callable[..., Fetcher]
) -> None:
    """Numbers and moments have an order; of other values nothing lands."""
    server.answer = lambda _: Answer([value if isinstance(value, dict) else {"at": value} for value in values])
    made = fetcher(cursor={"field": "at", "parameter": "since"})
    if expected is None:
        assert "the cursor's field" in made.failure()
    else:
        made.fetch()
    assert made.cursor == expected


def test_a_file_for_each_batch(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """Parameters tell the batch. One that has ended is asked for once more; the one under way each time."""
    server.answer = lambda asked: Answer([asked.params["month"]])
    made = fetcher(params={"month": "{year}-{month}"})
    made.fetch()
    assert made.files() == {
        f"products_{month}-01.json": f'["{month}"]\n' for month in ("2023-11", "2023-12", "2024-01")
    }
    report = made.fetch()
    assert (report.unchanged, len(server.asked)) == (3, 4)
    made.minutes = 31 * 24 * 60
    assert [landed.item.key for landed in made.fetch().landed] == ["2024-02-01"]
    assert (made.fetch().unchanged, len(server.asked)) == (4, 7)


def test_the_address_may_be_in_a_variable(server: RestServer, fetcher: Callable[..., Fetcher]) -> None:
    """It is not shown but for its place, and has no password."""
    server.answer = linked(records(1, 1))
    made = fetcher(**{**LINKS, "url": "env:ADDRESS"})
    made.secrets = {"ADDRESS": f"{server.url}/products?key=hush-hush"}
    made.fetch()
    assert ids(made) == [1]
    made.secrets = {"ADDRESS": "http://me:hush-hush@127.0.0.1/"}
    with pytest.raises(Exception, match="has a user or a password in it") as caught:
        made.fetch()
    assert "hush" not in str(caught.value)


@pytest.mark.promise("crash")
def test_a_kill_at_any_step(server: RestServer, tmp_path: Path) -> None:
    """Whatever dies while all records are fetched, the next fetch has them, in one file."""
    server.answer = changes
    plain = Fetcher(tmp_path / "plain", {"url": f"{server.url}/products", **LINKS})
    steps = steps_of(plain.fetch, None)
    assert {*Fetching} <= {*steps}
    # Each process imports dlt.
    for fatal in range(0, len(steps), effort(2, 1)):
        made = replace(plain, folder=tmp_path / f"dies at {fatal}", minutes=0, told=[])
        assert killed(made.fetch, fatal), steps[fatal]
        made.minutes += 1
        made.fetch()
        assert ids(made) == ids(plain), steps[fatal]
        shutil.rmtree(made.folder)
