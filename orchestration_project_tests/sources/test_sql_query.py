"""Parameters of a query: what is one, and what only looks like it."""

import pytest

from orchestration_project.sources.sql_query import numbered, parameters_of, without_end


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("SELECT * FROM t WHERE at >= :since", ["since"], id="one"),
        pytest.param("at >= :batch_start AND at < :batch_end", ["batch_start", "batch_end"], id="two"),
        pytest.param("at > :since OR up > :since", ["since"], id="twice"),
        pytest.param("SELECT price::date, a::since", [], id="cast"),
        pytest.param("SELECT ' :since ', 'it''s :since'", [], id="in a text"),
        pytest.param('SELECT ":since"', [], id="in a name"),
        pytest.param("-- :since\n/* :since\n */ SELECT 1", [], id="in comments"),
        pytest.param("SELECT $$ :since $$, $a$ :since $$ $a$", [], id="in dollar quotes"),
        pytest.param("SELECT :since_when, :other", [], id="another name"),
        pytest.param("SELECT (:since)::timestamptz", ["since"], id="with a cast"),
    ],
)
def test_parameters(query: str, expected: list[str]) -> None:
    """A parameter is one where it stands in code, under its own name."""
    assert parameters_of(query) == expected


def test_numbers() -> None:
    """PostgreSQL gets numbers, the same one for the same parameter, and everything else as it was."""
    query = "SELECT '100% :since', a % 2 FROM t WHERE :batch_end > a AND a >= :batch_start AND b < :batch_end"
    assert numbered(query) == (
        "SELECT '100% :since', a % 2 FROM t WHERE $1 > a AND a >= $2 AND b < $1",
        ["batch_end", "batch_start"],
    )


def test_end() -> None:
    """A semicolon may end a query."""
    assert without_end("SELECT 1 ;\n") == "SELECT 1 "
