"""SQL over the text of a field."""

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.formats.fields import as_name, stripped
from orchestration_project.formats.header import SPACES, ZERO_WIDTH, normalised

LETTERS = "aZ1 _ßẞéÉÖöİıςΣſ각한\u0308\u0301\u1100\u1161\t\"';," + SPACES + ZERO_WIDTH


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database without tables."""
    with duckdb.connect() as connection:
        yield connection


@settings(deadline=None, derandomize=True, max_examples=500)
@given(text=st.text(LETTERS, max_size=12))
def test_names_in_sql_are_those_in_python(text: str, connection: duckdb.DuckDBPyConnection) -> None:
    """A text in the data is compared with names of columns as one in the header is."""
    found = connection.execute(f"SELECT {as_name(stripped('text'))} FROM (SELECT $1 AS text)", [text]).fetchone()
    assert found == (normalised(text),)
