"""`status` as it is typed: what is printed, which feeds are told of, exit codes."""

import datetime as dt
import json
import re
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli import status as command
from orchestration_project.cli.docs.pages import COMMANDS as PAGE
from orchestration_project.cli.main import main
from orchestration_project.cli.project import SHOP, Project
from orchestration_project.components.feed_spec import FeedSpec
from orchestration_project.inspection.fetches import FetchStatus
from orchestration_project.settings import Settings
from orchestration_project.sources.http_options import HttpOptions
from orchestration_project.sources.memory import LastFetch, open_memory
from orchestration_project.sources.session import DeclaredSource
from orchestration_project.warehouse.duckdb_file import DuckdbFile

pytestmark = pytest.mark.promise("seen")


def status(*arguments: str, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["status", *arguments])
    assert result.exit_code == exit_code, result.output
    return result


def refuse(data_dir: Path, number: int) -> None:
    """Put a refused file with its reason into quarantine."""
    path = data_dir / "quarantine" / "sales" / f"s{number}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x", encoding="utf-8")
    note = {"file": path.name, "rule": "no_header", "reason": "[red]none\x1b[2J of the lines", "refused_at": "today"}
    path.with_name(f"{path.name}.reason.json").write_text(json.dumps(note), encoding="utf-8")


def test_an_empty_project_is_well(data_dir: Path) -> None:
    """Each feed has its row, what can't be known is said, and the exit code is 0."""
    output = status().stdout
    assert re.search(r"products .*empty", output)
    assert "DAGSTER_HOME is not set" in output
    assert "All is well." in output


@pytest.mark.found("piped, the table was folded to 80 columns: dates broke in the middle")
def test_nothing_is_folded_where_there_is_no_terminal(data_dir: Path) -> None:
    """Piped into another program, each feed is one line, and so are the names of the columns."""
    names = r"feed +newest batch +state +waiting +given up +refused +open rejects +last run"
    assert re.search(names, status().stdout)


def test_one_feed_is_told_of(data_dir: Path) -> None:
    """Feeds that are named are told of; a file for another feed is no stray for that."""
    drop = data_dir / "landing" / "products"
    drop.mkdir(parents=True)
    (drop / "p.json").write_text("", encoding="utf-8")
    told = json.loads(status("sales", "--json").stdout)
    assert ([feed["feed"] for feed in told["feeds"]], told["strays"]) == (["sales"], [])


def test_refused_files_are_listed(data_dir: Path) -> None:
    """The first ten with their reasons as text, then how many more there are; the exit code is 1."""
    for number in range(12):
        refuse(data_dir, number)
    output = status(exit_code=1).stdout
    assert "no_header: [red]none" in output
    assert "\x1b[2J" not in output
    assert "2 more" in output
    assert "sales: 12 file(s) in quarantine were not replaced" in output


class _Fetching(Project):
    """The shop, whose products are fetched."""

    def feeds_and_sources(self) -> tuple[dict[str, FeedSpec], dict[str, DeclaredSource]]:
        feeds, options = SHOP.feeds(), HttpOptions(url="https://files.example.com/products.jsonl")
        batching = feeds["products"].options.batching
        return feeds, {"products": DeclaredSource("products", "http", options, batching, 100, 100.0)}


def test_sources_are_told_of(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed with a source has a row for it, and what could not be fetched needs a person; others have none."""
    assert "Sources" not in status().stdout
    monkeypatch.setattr(command, "project_here", lambda: _Fetching(SHOP.root, SHOP.definitions, SHOP.defs_module))
    assert re.search(r"products +- +0 of 0", status().stdout)
    fetched = LastFetch(dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC), 1_200, 3, failed={"a\x1b[2J.csv": "it is closed"})
    with open_memory(Settings(data_dir=data_dir).fetched("products")) as memory:
        memory.note(fetched)
    told = status(exit_code=1).stdout
    assert re.search(r"products +2024-03-01 12:00 +3 of 1,200 +0 +1 +- +0 *\n", told)
    assert re.search(r"! products: 1 item\(s\) of the source could not be fetched, such as a.*: it is closed", told)
    assert "\x1b[2J" not in told
    feeds = json.loads(status("--json", exit_code=1).stdout)["feeds"]
    assert {feed["feed"]: (feed["source"] or {}).get("listed") for feed in feeds} == {"products": 1_200, "sales": None}


def test_a_busy_warehouse_is_told(data_dir: Path) -> None:
    """Who holds it is said and the exit code is 2, at once."""
    with DuckdbFile(data_dir / "warehouse.duckdb").connection("the big load"), pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
        assert "the big load" in status(exit_code=2).stdout


def test_json_has_the_documented_fields(data_dir: Path) -> None:
    """`--json` prints the fields that docs/commands.md lists, in a run, a feed and a file too."""
    refuse(data_dir, 1)
    fields_of_sources = {field.name for field in fields(FetchStatus)}
    documented = PAGE.read_text(encoding="utf-8").partition("### What `status --json` prints")[2].partition("\n#")[0]
    told = json.loads(status("--json", exit_code=1).stdout)
    (feed,) = (feed for feed in told["feeds"] if feed["feed"] == "sales")
    names = {*told, *told["warehouse"], *feed, *feed["landing"], *feed["quarantined"][0], *fields_of_sources}
    assert [name for name in sorted(names) if f"`{name}`" not in documented] == []


def test_a_mistyped_feed_is_corrected(data_dir: Path) -> None:
    """The nearest feed is suggested, with exit code 2."""
    assert "did you mean 'sales'?" in status("sale", exit_code=2).stderr
