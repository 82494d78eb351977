"""A personal value stays in the tables: no message, event, check, reason file or log shows it, however wrong it is.

The value in question is a token that occurs nowhere else. `rejected_x` and `raw_x` hold it, as they should.
"""

import gzip
import io
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from orchestration_project.cli.lookup import render_located
from orchestration_project.cli.project import project_here
from orchestration_project.cli.summary import render_summary
from orchestration_project.contracts.feed import Feed, Length, OneOf, Parsing, Pattern, Required, SourceFormat
from orchestration_project.errors import PlatformError
from orchestration_project.inspection.lookup.versions import Asked
from orchestration_project.inspection.lookup.where import where
from orchestration_project.settings import Settings
from orchestration_project_tests.components.workbench import Workbench, feeds
from orchestration_project_tests.ingest.shop import Shop, column, feed, named
from orchestration_project_tests.inspection.lookup.desk import new_desk
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("security")

VALUE = "Zq7Xk2kind"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: people
version: 1.0.0
status: active
servers: [{{server: here, type: local, path: people, format: {format}}}]
schema:
- name: people_{format}
  quality:
  - {{name: numbers, type: sql, query: "SELECT max(CAST(email AS INTEGER)) FROM {{table}}", mustBe: 0}}
  - {{name: texts, type: sql, query: "SELECT max(email) FROM {{table}}", mustBe: 0}}
  properties:
  - {{name: id, physicalType: INTEGER, required: true, primaryKey: true}}
  - {{name: email, physicalType: VARCHAR, required: true, unique: true, classification: personal,
      logicalTypeOptions: {{maxLength: 30, pattern: "^[^#]*$"}}}}
  - {{name: born, physicalType: DATE, classification: Restricted}}
  - {{name: score, physicalType: "DECIMAL(5,2)", classification: confidential}}
  - {{name: initial, physicalType: VARCHAR, transformLogic: "upper(left(email, 1))", classification: personal}}
"""
COMPONENT = """
type: orchestration_project.components.file_feed.FileFeed
attributes:
  contract: people.odcs.yaml
  batch_pattern: '(?P<year>\\d{4})-(?P<month>\\d{2})-(?P<day>\\d{2})'
  max_reject_rate: 0.9
"""
HEAD = "id,email,born,score\n"
GOOD = "".join(f"{number},{number}{VALUE},2001-02-03,1.5\n" for number in range(90, 99))
DELIMITED: dict[str, str | bytes] = {
    "good": HEAD + GOOD,
    "wrong_types": HEAD + GOOD + f"x{VALUE},a{VALUE},{VALUE},{VALUE}\n1,b,2020-13-41{VALUE},1e9{VALUE}\n",
    "rules": HEAD + GOOD + f"2,#{VALUE},,\n3,{VALUE * 9},,\n,{VALUE},,\n",
    "keys": HEAD + GOOD + f"4,c{VALUE},,\n4,d{VALUE},,\n5,c{VALUE},,\n",
    "quotes": HEAD + GOOD + f'6,"{VALUE},,\n7,e"{VALUE}",,\n8,"f{VALUE}"x,,\n',
    "widths": HEAD + GOOD + f"9,{VALUE}\n10,{VALUE},,,{VALUE},{VALUE}\n{VALUE}\n",
    "nul": HEAD + GOOD + f"11,{VALUE}\0,,\n",
    "unknown_columns": HEAD.replace("\n", ",note\n") + f"12,g{VALUE},,,{VALUE}\n",
    "mostly_bad": HEAD + f"13,{VALUE},{VALUE},{VALUE}\n" * 20,
    "no_header": f"14,{VALUE},,\n15,{VALUE},,\n",
    "no_header_but_a_name": f"{VALUE},email,{VALUE},{VALUE},{VALUE}\n",
    "undecodable": HEAD.encode() + f"16,{VALUE}\xe9\xff{VALUE},,\n".encode("latin-1"),
    "cut_off": gzip.compress((HEAD + GOOD * 500).encode())[:-20],
    "two_emails": f"id,email,Email\n17,{VALUE},{VALUE}\n",
}
JSON = {
    "good": json.dumps([{"id": 1, "email": VALUE}]),
    "broken_lines": f'{{"id": 2, "email": "{VALUE}"}}\n{{"id": 3, "email": "{VALUE}"\n{VALUE}\n',
    "broken_array": f'[{{"id": 4, "email": "{VALUE}"}}, {{"id": 5 "email": "{VALUE}"}}]',
    "no_objects": f'["{VALUE}", 1]',
    "other_keys": f'{{"email": "{VALUE}", "{VALUE}": "{VALUE}", "x": 1, "y": 2}}\n',
    "nested": f'{{"id": {{"{VALUE}": "{VALUE}"}}, "email": ["{VALUE}"]}}\n',
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """Two feeds with personal columns, and an asset whose frames do not fit their table."""

    @dg.asset(metadata={"dagster/column_schema": dg.TableSchema([dg.TableColumn("email", "INTEGER")])})
    def people_numbers() -> pd.DataFrame:
        return pd.DataFrame({"email": [VALUE]})

    folders = {
        f"people_{form}": {"people.odcs.yaml": CONTRACT.format(format=form, table="{table}"), "defs.yaml": COMPONENT}
        for form in ("csv", "json")
    }
    with feeds(**folders) as loaded, dg.DagsterInstance.ephemeral() as instance:
        merged = dg.Definitions.merge(loaded, dg.Definitions(assets=[people_numbers]))
        yield Workbench(merged, tmp_path_factory.mktemp("people") / "data", instance)


@pytest.mark.found("A quality rule's query that failed showed the values of personal columns in its error.")
@pytest.mark.found("A frame that did not fit its table was refused with the value that did not fit.")
@pytest.mark.found("The refusal of a file without a header could show its first record.")
def test_a_run_shows_no_personal_value(
    bench: Workbench, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Loads, checks, refusals and failed steps leave the value out of events, logs, the terminal and reason files."""
    caplog.set_level(logging.DEBUG)
    for number, (name, content) in enumerate(DELIMITED.items(), start=1):
        bench.drop("people_csv", f"{name}_2024-01-{number:02}.csv{'.gz' if name == 'cut_off' else ''}", content)
    for number, (name, text) in enumerate(JSON.items(), start=1):
        bench.drop("people_json", f"{name}_2024-01-{number:02}.json", text)
    results = [
        bench.run(job=f"people_{form}_job", first="2024-01-01", last="2024-01-20", raise_on_error=False)
        for form in ("csv", "json")
    ]
    results.append(bench.run("people_numbers", raise_on_error=False))
    assert not results[-1].success
    held = bench.query(
        "SELECT count(*) FROM rejected_people_csv WHERE email LIKE '%Zq7Xk2%' OR _raw_line LIKE '%Zq7Xk2%'"
    )
    assert held[0][0] > 5
    shown = {f"event {entry.dagster_event_type}": dg.serialize_value(entry) for entry in events(bench)}
    quarantined = sorted((bench.data_dir / "quarantine").rglob("*.reason.json"))
    assert len(quarantined) >= 5
    shown |= {path.name: path.read_text(encoding="utf-8") for path in quarantined}
    shown["log"] = caplog.text
    shown["summary"] = summary(bench.data_dir)
    shown["terminal"] = "".join(capfd.readouterr())
    tried(len(shown))
    assert [place for place, text in shown.items() if VALUE in text] == []


def test_a_look_up_shows_no_personal_value(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`find` and `where` tell of each record of each file, however broken, without the value that is searched for."""
    desk = new_desk(tmp_path, data_dir, monkeypatch)
    # The id is not personal, so it is shown.
    wrong_types = str(DELIMITED["wrong_types"]).replace(f"x{VALUE}", "x")
    for form, files in (("csv", DELIMITED | {"wrong_types": wrong_types}), ("json", JSON)):
        contract, feed = CONTRACT.format(format=form, table="{table}"), f"people_{form}"
        desk.add(**{feed: {"people.odcs.yaml": contract, "defs.yaml": COMPONENT}})
        for number, (name, content) in enumerate(files.items(), start=1):
            ending = ".gz" if name == "cut_off" else ""
            desk.deliver(f"{name}_2024-01-{number:02}.{form}{ending}", content, feed)
        desk.load(feed)
    places = [(file, 1) for (file,) in desk.rows("SELECT file FROM file_ledger WHERE status = 'quarantined'")]
    places += desk.rows("SELECT _file, _row FROM raw_people_csv UNION ALL SELECT _file, _row FROM raw_people_json")
    specs, marts = project_here().feeds_and_marts()
    sources, shown = {spec.name: spec.configured for spec in specs.values()}, {}
    for file, row in places:
        found, out = where(desk.settings, sources, marts, Asked(file), row), io.StringIO()
        assert found.files
        render_located(Console(file=out, width=200), found)
        shown[f"{file} {row}"] = out.getvalue() + json.dumps(found.as_dict())
    searches = [(VALUE,), *((f"90{VALUE}", "--column", name) for name in ("id", "email", "born", "score"))]
    results = [desk.run("find", *search, *more) for search in searches for more in ((), ("--json",))]
    assert {result.exit_code for result in results} == {0, 1}
    shown |= {str(number): result.output for number, result in enumerate(results)}
    tried(len(shown))
    assert [place for place, text in shown.items() if VALUE in text] == []


def events(bench: Workbench) -> Iterator[dg.EventLogEntry]:
    """Everything that the instance recorded of its runs."""
    for run in bench.instance.get_runs():
        yield from bench.instance.all_logs(run.run_id)


def summary(data_dir: Path) -> str:
    out = io.StringIO()
    render_summary(Console(file=out, width=200), Settings(data_dir=data_dir))
    return out.getvalue()


def personal(**parsing: object) -> Feed:
    """A contract with a personal column that has rules of every kind."""
    rules = (Required(), Length("maxLength", 40), Pattern("^[^#]*$"))
    email = column("email", "VARCHAR", *rules, personal=True, unique=True)
    born = column("born", "DATE", personal=True, parsing=replace(Parsing(), **parsing))  # type: ignore[arg-type]
    kind = column("kind", "VARCHAR", OneOf(("a", "b")), personal=True)
    return feed(column("id", "INTEGER", Required()), email, born, kind, primary_key=("id",))


PIECES = st.sampled_from(
    [
        VALUE,
        ",",
        '"',
        "\n",
        "\r",
        "\r\n",
        "\0",
        "#",
        "é",
        "\ufeff",
        "1",
        "2020-01-01",
        "email",
        "id",
        ";",
        "{",
        "}",
        "'",
        ":",
    ]
)


@given(st.lists(PIECES, min_size=1, max_size=25).map("".join), st.sampled_from(["csv", "latin-1", "json", "array"]))
@settings(max_examples=effort(30, 300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_message_of_a_load_shows_a_personal_value(
    tmp_path_factory: pytest.TempPathFactory, text: str, kind: str
) -> None:
    """However a file is broken, neither the report, the ledger, the reason nor an exception tells a personal value."""
    tried()
    contract = personal()
    if kind in ("json", "array"):
        contract = replace(contract, source=replace(SourceFormat(), format=type(contract.source.format)("json")))
    shop = Shop(tmp_path_factory.mktemp("shop"), contract)
    content = text if kind != "array" else f"[{text}]"
    if kind in ("csv", "latin-1") and len(text) % 3:
        content = "id,email,born,kind\n" + content
    shop.deliver(named(1), content.encode("latin-1" if kind == "latin-1" and "\ufeff" not in text else "utf-8"))
    told = []
    try:
        report = shop.load()
        told += [repr([item.error.message for item in report.refused]), repr(report.reasons)]
        told += [repr(row) for row in shop.ledger("reason")] + [json.dumps(shop.quarantine())]
    except (PlatformError, duckdb.Error) as error:
        told.append("".join(traceback.format_exception(error)))
    assert [text for text in told if VALUE in text] == []
