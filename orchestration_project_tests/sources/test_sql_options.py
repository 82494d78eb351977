"""What `defs.yaml` may say of a source of rows."""

from typing import Any

import pytest
from pydantic import ValidationError

from orchestration_project.sources.sql_options import SqlOptions

NEW = {"query": "SELECT * FROM t WHERE at >= :since", "increment": "at", "start": "2024-01-01", "overlap": 600}
DAYS = {"query": "SELECT * FROM t WHERE d >= :batch_start AND d < :batch_end", "batches": {"start": "2024-01-01"}}
ALL = {"query": "SELECT * FROM t"}
URL = "sqlite:///shop.db"


@pytest.mark.parametrize(
    ("said", "way", "template"),
    [
        pytest.param(NEW, "increment", "{feed}_{date}_{number}.parquet", id="increment"),
        pytest.param(DAYS, "batches", "{feed}_{batch}.parquet", id="batches"),
        pytest.param(ALL, "all", "{feed}_{date}.parquet", id="all"),
        pytest.param(ALL | {"name": "x-{date}.pq"}, "all", "x-{date}.pq", id="own name"),
    ],
)
def test_ways(said: dict[str, Any], way: str, template: str) -> None:
    """Rows are divided in three ways, each with a usual name of its files."""
    options = SqlOptions.model_validate({"url": URL} | said)
    assert (options.way, options.template) == (way, template)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        pytest.param(NEW | {"start": None}, "needs `start` and `overlap`", id="no start"),
        pytest.param(NEW | {"query": "SELECT 1"}, "lacks :since", id="no since"),
        pytest.param(ALL | {"query": "SELECT :since"}, "needs `increment`", id="since without increment"),
        pytest.param(DAYS | {"query": "SELECT :batch_start"}, "lacks :batch_end", id="no end"),
        pytest.param(NEW | {"batches": DAYS["batches"]}, "exclude each other", id="both"),
        pytest.param(ALL | {"overlap": 1}, "belong to an increment", id="overlap alone"),
        pytest.param(ALL | {"url": "mysql://h/d"}, "begins with none of", id="another database"),
        pytest.param(ALL | {"url": "postgresql://u:geheim@h/d"}, "environment variable", id="password"),
        pytest.param(ALL | {"url": "postgresql://u@h/d?password=geheim"}, "environment variable", id="as parameter"),
        pytest.param(ALL | {"password": "geheim"}, "env:NAME", id="password of its own"),
        pytest.param(ALL | {"name": "{number}_{date}"}, r"name has \{number\}", id="unknown field"),
        pytest.param(NEW | {"name": "{date}.parquet"}, r"lacks \{number\}", id="names that collide"),
        pytest.param(DAYS | {"batches": {"start": "1.2.2024"}}, "no daily batch", id="start"),
        pytest.param(DAYS | {"batches": {"start": "2024-01-01", "timezone": "Mars"}}, "no timezone", id="zone"),
        pytest.param(ALL | {"sql": "x"}, "Extra inputs", id="unknown"),
    ],
)
def test_what_does_not_fit(said: dict[str, Any], message: str) -> None:
    """Options that don't fit together are refused, in a message without what may be a password."""
    with pytest.raises(ValidationError, match=message) as refused:
        SqlOptions.model_validate({"url": URL} | said)
    assert "geheim" not in str(refused.value)
