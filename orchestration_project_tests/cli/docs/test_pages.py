"""The generated pages say what the code says."""

import re

import dagster as dg
import pytest

from orchestration_project.cli.docs import table
from orchestration_project.cli.docs.catalogue import catalogue
from orchestration_project.cli.docs.pages import DOCS, attributes, pages, settings
from orchestration_project.components import FileFeed, SqlTable
from orchestration_project_tests.components.workbench import project

NAMES = ["catalogue.md", "commands.md", "reference.md"]


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    """Whoever changes definitions, settings or attributes commits the pages that come of it."""
    committed = (DOCS / name).read_text(encoding="utf-8")
    assert committed == pages()[name], "the code says otherwise now: run python -m orchestration_project.cli.docs"


def test_no_page_is_forgotten() -> None:
    """These are the generated pages."""
    assert list(pages()) == NAMES


def test_pages_hold_for_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither where the checkout and the data lie nor what is switched on is part of a page."""
    monkeypatch.setenv("DATA_DIR", "/elsewhere")
    monkeypatch.setenv("AUTOMATION", "on")
    monkeypatch.setenv("SOURCE_URL", "https://example.org/tree/main")
    found = pages()
    assert found == {name: (DOCS / name).read_text(encoding="utf-8") for name in NAMES}
    assert str(DOCS.parent) not in "".join(found.values())


def test_the_catalogue_has_everything_by_name() -> None:
    """Every asset, column, check, job, sensor, schedule and resource of the definitions is in the page."""
    page, graph, repository = catalogue(project()), project().resolve_asset_graph(), project().get_repository_def()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == [
        key.to_user_string()
        for group in dict.fromkeys(graph.get(key).group_name for key in graph.toposorted_asset_keys)
        for key in graph.toposorted_asset_keys
        if graph.get(key).group_name == group
    ]
    rows = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    names = [key.name for key in graph.asset_check_keys]
    names += [name for name in repository.job_names if not name.startswith("__")]
    names += [sensor.name for sensor in repository.sensor_defs]
    names += [schedule.name for schedule in repository.schedule_defs]
    names += [*(project().resources or ()), "order_id", "_reasons", "revenue_30d", "remedy"]
    assert set(names) <= rows


def test_the_catalogue_of_other_definitions() -> None:
    """An asset without anything is there by its name; sections without rows stay empty."""

    @dg.asset(group_name="mine")
    def bare() -> None: ...

    page = catalogue(dg.Definitions(assets=[bare]))
    assert "## Assets: mine\n\n### bare\n\n## Jobs\n\n## Schedules\n\n## Sensors\n\n## Resources\n" in page


def test_every_setting_and_attribute_has_its_row() -> None:
    """The reference has all variables that settings.py reads and all fields of the components."""
    code = (DOCS.parent / "orchestration_project/settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", settings(), re.MULTILINE)) == set(re.findall(r'env\.get\("([A-Z_]+)"', code))
    for component in (FileFeed, SqlTable):
        assert re.findall(r"^\| `(\w+)`", attributes(component), re.MULTILINE) == list(component.model_fields)
    assert "| `contract` | string | required |" in attributes(FileFeed)
    assert "| `AUTOMATION` | `off` |" in settings()


def test_cells_stay_in_their_row() -> None:
    """Pipes and line breaks of a text end neither its cell nor its row; a table without rows is nothing."""
    assert table(("a", "b"), [("x|y", "one\n  two")]) == "| a | b |\n|---|---|\n| x\\|y | one two |"
    assert table(("a",), []) == ""
