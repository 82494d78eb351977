"""Servers, service levels and owners."""

import datetime as dt
from typing import Any

import dagster as dg
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
        pytest.param([server("xlsx")], SourceFormat(FileFormat.XLSX), id="xlsx"),
        pytest.param([server("ods")], SourceFormat(FileFormat.XLSX), id="ods"),
        pytest.param(
            [server("xlsx", custom={"sheet": " Sales "})],
            SourceFormat(FileFormat.XLSX, sheet="Sales"),
            id="sheet by name",
        ),
        pytest.param([server("xlsx", custom={"sheet": 2})], SourceFormat(FileFormat.XLSX, sheet=2), id="by number"),
        pytest.param([server("xlsx", custom={"sheet": "*"})], SourceFormat(FileFormat.XLSX, sheet="*"), id="all"),
        pytest.param(
            [server("json", custom={"recordsPath": "$"})], SourceFormat(FileFormat.JSON, records_path=()), id="arrays"
        ),
        pytest.param(
            [server("json", custom={"recordsPath": "$.data['order lines'].a-b"})],
            SourceFormat(FileFormat.JSON, records_path=("data", "order lines", "a-b")),
            id="path to records",
        ),
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
    ("servers", "message"),
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
        pytest.param([server("xlsx", custom={"delimiter": ";"})], "no effect on xlsx files", id="workbook"),
        pytest.param([server(custom={"sheet": 1})], "sheet has no effect on csv files", id="sheet of CSV"),
        pytest.param([server("xlsx", custom={"sheet": 0})], "its number from 1", id="sheet 0"),
        pytest.param([server("xlsx", custom={"sheet": True})], "its number from 1", id="no sheet"),
        pytest.param([server("xlsx", custom={"sheet": " "})], "its number from 1", id="blank sheet"),
        pytest.param([server(custom={"recordsPath": "$"})], "recordsPath has no effect on csv", id="path of CSV"),
        *(
            pytest.param([server("json", custom={"recordsPath": path})], "e.g. $.data.items", id=f"path {path}")
            for path in ("data", "$.data[*]", "$..items", "$.items[0]", "$.", 1, "$['']")
        ),
        pytest.param([server(custom={"Delimiter": ";"})], "did you mean 'delimiter'?", id="spelling"),
        pytest.param([server(custom={"aliases": "x"})], "it belongs to a property (column)", id="wrong place"),
        pytest.param([server(kind="custom", delimiter=";", custom={"delimiter": ","})], "delimiter is ';'", id="both"),
    ],
)
def test_refused_servers(servers: list[dict[str, Any]], message: str, problems: Problems) -> None:
    found = problems(contract(servers=servers))
    assert any(message in problem for problem in found), found


def test_our_properties_have_no_effect_on_the_document(problems: Problems) -> None:
    """A custom property in the wrong place is told where it belongs."""
    (problem,) = problems(contract(customProperties=[{"property": "nullValues", "value": "x"}]))
    assert problem.endswith("it belongs to a property (column) or a server")


def level(name: str, value: Any, unit: str | None = None) -> dict[str, Any]:
    return {"property": name, "value": value, **({"unit": unit} if unit else {})}


@pytest.mark.parametrize(
    ("value", "unit", "duration"),
    [
        pytest.param(1, "d", dt.timedelta(days=1), id="d"),
        pytest.param(2, "Days", dt.timedelta(days=2), id="days"),
        pytest.param("36", "h", dt.timedelta(hours=36), id="number as text"),
        pytest.param(0.5, "hour", dt.timedelta(minutes=30), id="half"),
        pytest.param(15, "m", dt.timedelta(minutes=15), id="minutes"),
        pytest.param(1, "w", dt.timedelta(weeks=1), id="week"),
        pytest.param(1, "month", dt.timedelta(days=31), id="the longest month"),
        pytest.param(1, "y", dt.timedelta(days=366), id="the longest year"),
    ],
)
def test_latency(value: Any, unit: str, duration: dt.timedelta, load: Load) -> None:
    feed = load(contract(slaProperties=[level("latency", value, unit), level("frequency", value, unit)]))
    assert (feed.latency, feed.frequency) == (duration, duration)


def test_other_service_levels_are_documentation(load: Load) -> None:
    """Retention and the like say nothing about freshness."""
    feed = load(contract(slaProperties=[level("retention", 3, "y"), level("generalAvailability", "2022-05-12")]))
    assert (feed.latency, feed.frequency, feed.available_at) == (None, None, ())


def test_times_of_availability(load: Load) -> None:
    """There may be several, one for each driver, with an offset or without."""
    levels = [level("timeOfAvailability", value) for value in ("09:00-08:00", "08:30", "07:00Z", "08:30")]
    west = dt.timezone(-dt.timedelta(hours=8))
    expected = (dt.time(9, tzinfo=west), dt.time(8, 30), dt.time(7, tzinfo=dt.UTC))
    assert load(contract(slaProperties=levels)).available_at == expected


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        pytest.param([level("latency", 1)], "slaProperties[0].unit: found nothing; allowed: s, sec", id="no unit"),
        pytest.param([level("latency", 1, "fortnight")], "unit: found 'fortnight'", id="unknown unit"),
        pytest.param([level("latency", "soon", "d")], "value: found 'soon'; allowed: a number more than 0", id="text"),
        pytest.param([level("latency", 0, "d")], "more than 0", id="zero"),
        pytest.param([level("latency", True, "d")], "more than 0", id="boolean"),
        pytest.param([level("latency", 1e200, "d")], "more than 0", id="too long"),
        pytest.param([level("latency", "NaN", "d")], "more than 0", id="no number"),
        pytest.param([level("latncy", 1, "d")], "'latncy' is not known; did you mean 'latency'?", id="typing error"),
        pytest.param([level("latency", 1, "d"), level("latency", 2, "d")], "given twice", id="twice"),
        pytest.param(
            [level("timeOfAvailability", 9)], "found 9; allowed: a time of day in quotes", id="no time of day"
        ),
        pytest.param([level("timeOfAvailability", "25:00")], "found '25:00'; allowed: a time of day", id="25 o'clock"),
        pytest.param([level("timeOfAvailibility", "9:00")], "did you mean 'timeOfAvailability'?", id="spelling"),
    ],
)
def test_refused_levels(levels: list[dict[str, Any]], message: str, problems: Problems) -> None:
    found = problems(contract(slaProperties=levels))
    assert any(message in problem for problem in found), found


MEMBERS = [{"username": "a@b.de"}, {"username": "ceastwood"}, {"username": "x@y.com", "dateOut": "2020-01-01"}]


@pytest.mark.parametrize(
    ("team", "owners"),
    [
        pytest.param(MEMBERS, ("a@b.de",), id="list of version 3.0"),
        pytest.param({"name": "Sales & Data", "members": MEMBERS}, ("team:sales_data", "a@b.de"), id="team"),
        pytest.param({"name": "sales_data"}, ("team:sales_data",), id="team without members"),
        pytest.param({"description": "x"}, (), id="nobody"),
    ],
)
def test_owners(team: Any, owners: tuple[str, ...], load: Load) -> None:
    assert load(contract(team=team)).owners == owners
    dg.AssetSpec("x", owners=owners)
