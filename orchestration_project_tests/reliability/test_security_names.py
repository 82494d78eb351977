"""Names and values from outside are text wherever they go: in SQL, in paths, in the terminal, in the UI."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from orchestration_project.cli.common import printable
from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.contracts.feed import FileFormat, OneOf, Parsing, Required, SourceFormat
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import Workbench, project
from orchestration_project_tests.ingest.shop import Shop, column, feed
from orchestration_project_tests.reliability.evidence import effort, tried

pytestmark = pytest.mark.promise("security")

HOSTILE = {
    "ends an identifier": '"; DROP TABLE raw_f; --',
    "ends a literal": "'); DROP TABLE raw_f; --",
    "doubled quotes": "'' OR 1=1",
    "parameters": "$1 $name $$x$$ ?",
    "templates": "%s %(a)s {0} {a} {{}} ${table}",
    "backslashes": "\\' \\\\ \\n \\x27",
    "comments": "/* -- */ ;",
    "keyword": "select",
    "wildcards": "*?[a-z]*",
    "a name that the platform uses": "c0",
    "unicode": "\u202eevil\u2066 ünï 🏬",
    "markup": "[red]x[/red]",
    "markdown": "<script>alert(1)</script>![x](http://x)",
    "long": "x" * 200,
    "line end": "a\nb\tc",
    "escape sequence": "\x1b[31mred\x1b[0m",
}
"""Names and values by what they try."""
ANY_NAME = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n\ufeff"), min_size=1, max_size=30)


def written(form: FileFormat, folder: Path, header: list[str], row: list[str]) -> bytes:
    """One record as a file."""
    if form is FileFormat.JSON:
        return json.dumps(dict(zip(header, row, strict=True))).encode()
    if form is FileFormat.PARQUET:
        path = folder / "written.parquet"
        with duckdb.connect() as connection:
            connection.register("frame", pd.DataFrame([row], columns=header))
            connection.sql("FROM frame").write_parquet(str(path))
        return path.read_bytes()
    out = io.StringIO(newline="")
    csv.writer(out).writerows([header, row])
    return out.getvalue().encode()


@pytest.mark.parametrize("form", [FileFormat.CSV, FileFormat.JSON, FileFormat.PARQUET])
def test_a_column_may_have_any_name(form: FileFormat, tmp_path: Path) -> None:
    """Names of columns, in the contract or only in the file, values and allowed values are loaded as what they are."""
    tried(len(HOSTILE))
    names = list(HOSTILE.values())
    columns = [column(name, "VARCHAR", OneOf((name,)), parsing=Parsing(null_words=(f"no {name}",))) for name in names]
    shop = Shop(tmp_path, feed(column("id"), *columns, source=SourceFormat(format=form)))
    more = [f"{name}+" for name in names]
    shop.deliver("s_2024-01-01.x", written(form, tmp_path, ["id", *names, *more], ["1", *names, *names]))
    shop.deliver("s_2024-01-02.x", written(form, tmp_path, ["id", *names], ["2", *(f"no {name}" for name in names)]))
    shop.deliver("s_2024-01-03.x", written(form, tmp_path, ["id", *names], ["3", *(f"{name}!" for name in names)]))
    shop.load()
    good, empty = shop.table("cleaned")
    assert [good[name] for name in names] == names
    assert json.loads(good["_rescued"]) == dict(zip(more, names, strict=True))
    assert [empty[name] for name in names] == [None] * len(names)
    assert shop.rejected() == {1: [f"{name}: enum" for name in names]}


@given(ANY_NAME, ANY_NAME)
@example('"', "'")
@settings(max_examples=effort(8, 100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_name_or_value_is_more_than_text(tmp_path_factory: pytest.TempPathFactory, name: str, value: str) -> None:
    """Whatever stands in a header that the contract does not know, and in a value, is found again as it was."""
    tried()
    contract = replace(feed(), columns=(column("id", "VARCHAR", Required()),))
    shop = Shop(tmp_path_factory.mktemp("shop"), contract)
    shop.deliver("s_2024-01-01.csv", written(FileFormat.CSV, shop.folder, ["id", f"{name}?"], ["1", f"<{value}>"]))
    shop.load()
    assert [json.loads(found) for found in shop.cleaned("_rescued")] == [{f"{name}?": f"<{value}>"}]


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    """A file's name is text in tables, archive and ledger; it is not taken for a pattern or a part of a path."""
    tried(len(HOSTILE))
    shop = Shop(tmp_path)
    good = [f"{name.replace('/', '|')}_2024-01-01.csv" for name in HOSTILE.values()]
    for number, name in enumerate(good):
        shop.deliver(name, f"id,n\n{number},{number}\n")
        shop.deliver(f"bad_{name}", "nothing\n1\n")
    shop.load()
    shop.lose_warehouse()
    shop.load()
    assert shop.cleaned("_file", "n") == sorted((name, number) for number, name in enumerate(good))
    assert sorted(shop.quarantine()) == sorted(f"bad_{name}" for name in good)


@pytest.mark.found("The refusal of a file wrote the names in its header to the log as they were, line ends included.")
def test_names_do_not_break_lines_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """No file's name begins a line of its own in the log, colours the terminal, or is rendered as markdown."""
    evil = "\x1b[2J\n2024-01-15 00:00:00 - dagster - INFO - all is well ![x](http://x.example)_2024-01-15.csv"
    name = evil.replace("/", "|")
    bench = Workbench(project(), tmp_path)
    bench.drop("sales", name, f'order_id,"{evil}"\n1,2\n')
    bench.drop("sales", f"good_{name}", sales(sale("A1"), sale("A2", channel="fax")))
    result = bench.run(job="sales_job", first="2024-01-15", raise_on_error=False)
    entries = bench.instance.all_logs(result.run_id)
    assert any(repr(name)[1:-1] in entry.user_message for entry in entries)
    shown = "".join([caplog.text, *capfd.readouterr(), *(entry.user_message for entry in entries)])
    assert "\x1b[2J" not in shown
    assert "\n2024-01-15 00:00:00" not in shown
    events: list[dg.AssetCheckEvaluation | dg.AssetMaterialization] = [*result.get_asset_check_evaluations()]
    events += [event.step_materialization_data.materialization for event in result.get_asset_materialization_events()]
    assert not any("x.example" in (item.description or "") for item in events)
    values = [value for item in events for value in item.metadata.values()]
    rendered = [value.value for value in values if isinstance(value, dg.MarkdownMetadataValue)]
    assert rendered
    assert not any("x.example" in (text or "") for text in rendered)


@pytest.mark.found("Duplicates of a record in a file whose name has a line end were counted for no check.")
def test_reasons_are_counted_whatever_the_name_of_the_winner(tmp_path: Path) -> None:
    """A duplicate is counted by its rule alone, also where the name of the file that won has lines."""
    shop = Shop(tmp_path, feed(column("id"), primary_key=("id",)))
    shop.deliver("s_2024-01-01.csv", "id\na\n")
    shop.deliver("a\nb (kept: \n_2024-01-01.csv", "id\na\nb\n")
    assert [item.reason for item in shop.load().reasons] == ["id: duplicate_key"]


@pytest.mark.found("A product's name could clear the terminal or colour it in the summary.")
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_the_terminal_shows_text_as_text(text: str) -> None:
    """What the summary prints has no markup, no escape sequence and no line end of its own."""
    out = io.StringIO()
    Console(file=out, width=1000, force_terminal=True, color_system="truecolor", highlight=False).print(printable(text))
    shown = out.getvalue().removesuffix("\n")
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@pytest.mark.parametrize("key", ["x' OR '1'='1", "'; DROP TABLE regions; --"])
def test_a_partition_key_is_text(key: str, data_dir: Path) -> None:
    """The IO manager replaces the rows of the partition that is written, whatever its key."""
    keys = dg.StaticPartitionsDefinition(["eu", key])

    @dg.asset(partitions_def=keys, metadata={"partition_expr": "region"})
    def regions(context: dg.AssetExecutionContext) -> pd.DataFrame:
        return pd.DataFrame({"region": [context.partition_key]})

    for partition in ("eu", key, key):
        dg.materialize([regions], resources={"io_manager": WarehouseIOManager()}, partition_key=partition)
    with duckdb.connect(str(data_dir / "warehouse.duckdb")) as connection:
        assert connection.execute("FROM regions ORDER BY 1").fetchall() == sorted([("eu",), (key,)])
