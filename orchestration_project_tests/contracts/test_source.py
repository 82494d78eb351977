"""Servers: how files are written."""

from typing import Any

import pytest

from orchestration_project.contracts.feed import FileFormat, SourceFormat
from orchestration_project_tests.contracts.conftest import Load, Problems, contract


def server(
    file_format: str = "csv", kind: str = "local", custom: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    properties = [{"property": name, "value": value} for name, value in (custom or {}).items()]
    where = {"local": {"path": "x"}, "s3": {"location": "s3://x"}, "postgres": {}}.get(kind, {})
    return {
        "server": "x", "type": kind, "format": file_format, **where, **fields,
        **({"customProperties": properties} if properties else {}),
    }  # fmt: skip


POSTGRES = {"server": "x", "type": "postgres", "host": "h", "port": 1, "database": "d", "schema": "s"}


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        pytest.param([], SourceFormat(), id="none: CSV"),
        pytest.param([server("CSV")], SourceFormat(), id="csv"),
        pytest.param([server("tsv")], SourceFormat(delimiter="\t"), id="tsv"),
        pytest.param([server("json")], SourceFormat(FileFormat.JSON), id="json"),
        pytest.param([server("ndjson")], SourceFormat(FileFormat.JSON), id="json lines"),
        pytest.param([server("parquet")], SourceFormat(FileFormat.PARQUET), id="parquet"),
        pytest.param([server(encoding="ISO-8859-1")], SourceFormat(encoding="iso8859-1"), id="encoding"),
        pytest.param([server(encoding="UTF-8")], SourceFormat(), id="UTF-8 is what files are written in anyway"),
        pytest.param(
            [server(custom={"delimiter": ";", "quote": "'"})], SourceFormat(delimiter=";", quote="'"), id="custom"
        ),
        pytest.param([server(custom={"delimiter": "tab"})], SourceFormat(delimiter="\t"), id="delimiter by name"),
        pytest.param([server(kind="custom", delimiter=";")], SourceFormat(delimiter=";"), id="server's own delimiter"),
        pytest.param([POSTGRES, server("parquet", "s3")], SourceFormat(FileFormat.PARQUET), id="first with files"),
        pytest.param([server("parquet", "s3"), server("json")], SourceFormat(FileFormat.JSON), id="local comes first"),
    ],
)
def test_source(servers: list[dict[str, Any]], expected: SourceFormat, load: Load) -> None:
    assert load(contract(servers=servers)).source == expected


@pytest.mark.parametrize(
    ("servers", "told"),
    [
        pytest.param([POSTGRES], "none of the servers (postgres) tells how files are written", id="database"),
        pytest.param([server("delta")], "servers[0].format: found 'delta'; allowed: csv", id="format"),
        pytest.param([server("cvs")], "did you mean 'csv'?", id="typing error"),
        pytest.param([server(encoding="latin-99")], "the name of a text encoding", id="encoding"),
        pytest.param([server(encoding="base64")], "the name of a text encoding", id="no text encoding"),
        pytest.param([server(encoding="a\u0000b")], "NUL", id="impossible name"),
        pytest.param([server(custom={"delimiter": ";;"})], "one character", id="two characters"),
        pytest.param([server(custom={"delimiter": "x"})], "one character", id="letter"),
        pytest.param([server(custom={"delimiter": ";", "quote": ";"})], "are both ';'", id="same"),
        pytest.param([server("json", custom={"delimiter": ";"})], "no effect on json files", id="JSON"),
        pytest.param([server(custom={"Delimiter": ";"})], "did you mean 'delimiter'?", id="spelling"),
        pytest.param([server(custom={"aliases": "x"})], "it belongs to a property (column)", id="wrong place"),
        pytest.param([server(kind="custom", delimiter=";", custom={"delimiter": ","})], "delimiter is ';'", id="both"),
    ],
)
def test_refused(servers: list[dict[str, Any]], told: str, problems: Problems) -> None:
    found = problems(contract(servers=servers))
    assert any(told in problem for problem in found), found


def test_our_properties_have_no_effect_on_the_document(problems: Problems) -> None:
    """A custom property in the wrong place is told where it belongs."""
    (problem,) = problems(contract(customProperties=[{"property": "nullValues", "value": "x"}]))
    assert problem.endswith("it belongs to a property (column) or a server")
