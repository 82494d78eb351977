"""What `defs.yaml` may say of a REST API."""

from typing import Any

import pytest
from pydantic import ValidationError

from orchestration_project.sources.rest_options import RestOptions

URL = "https://example.org/products"
LINK = {"style": "json_link", "next": "$.next"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param({"url": "https://me:hush@example.org/"}, "has a user or a password in it", id="password"),
        pytest.param({"url": "ftp://hush.example.org/"}, "begins with http", id="another protocol"),
        pytest.param({"url": "hush"}, "begins with http", id="no address"),
        pytest.param({"auth": {"style": "bearer", "token": "hush"}}, "has to be env:NAME", id="a secret"),
        pytest.param({"auth": {"style": "bearer"}}, "the style bearer needs token", id="no secret"),
        pytest.param(
            {"auth": {"style": "bearer", "token": "env:A", "user": "hush"}}, "has no use for user", id="too much"
        ),
        pytest.param({"auth": {"style": "api_key", "token": "env:A"}}, "needs header", id="a key without a place"),
        pytest.param({"records": "items"}, "is no path", id="path"),
        pytest.param({"pagination": {"style": "json_link"}}, "which need it", id="a link without a place"),
        pytest.param({"pagination": {"style": "offset"}}, "which needs it", id="an offset without a limit"),
        pytest.param({"pagination": LINK | {"pages": "$.pages"}}, "belongs to the style page_number", id="pages"),
        pytest.param(
            {"params": {"since": "1"}, "cursor": {"field": "at", "parameter": "since"}}, "one of `params`", id="twice"
        ),
        pytest.param(
            {"params": {"day": "{day}"}, "cursor": {"field": "at", "parameter": "since"}}, "not both", id="both"
        ),
        pytest.param({"start": "2024-01-01"}, "`start` needs", id="start without batches"),
        pytest.param({"name": "{moment}.json"}, "is no name", id="an unknown field"),
        pytest.param({"name": "a/b"}, "is no name", id="a folder"),
        pytest.param({"pages": 3}, "Extra inputs", id="an unknown option"),
    ],
)
def test_what_can_not_be(options: dict[str, Any], told: str) -> None:
    """The problem is told, without what was given: it may be a secret."""
    with pytest.raises(ValidationError) as caught:
        RestOptions(**{"url": URL} | options)
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)


def test_options_do_not_show_what_may_be_secret() -> None:
    """Addresses, parameters and headers may have keys."""
    made = RestOptions(url=f"{URL}?key=hush", params={"key": "hush"}, headers={"X-Key": "hush"})
    assert "hush" not in repr(made)
