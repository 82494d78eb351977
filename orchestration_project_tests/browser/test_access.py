"""Dagster's UI through the proxy of deploy/access, as a reader and an operator see it after the log-in."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from orchestration_project_tests.browser.chromium import DESKTOP, Visit, visit
from orchestration_project_tests.browser.dagster_ui import DagsterUi
from orchestration_project_tests.components.workbench import project
from orchestration_project_tests.reliability.deployment import Deployment
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.servers.access import PASSWORD, Proxy, proxy, webservers

# One worker of pytest-xdist, so that there is one deployment.
pytestmark = [pytest.mark.promise("security"), pytest.mark.xdist_group("browser")]

ASSET, DAY = "product_daily_sales", "2024-01-19"
GROUPS = {spec.group_name for spec in project().resolve_all_asset_specs() if spec.group_name}
READER, OPERATOR = "bob", "ann"


@pytest.fixture(scope="module")
def entrance(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The proxy: for operators in front of the deployment's web server, for readers of one that changes nothing."""
    folder, data = tmp_path_factory.mktemp("access"), deployment.settings.data_dir
    with (
        proxy(folder / "proxy", data, behind={"operators": deployment.port}) as made,
        webservers(made, deployment.home, "orchestration_project.definitions", ["readers"]),
    ):
        yield made


@contextmanager
def logged_in(browser: Browser, entrance: Proxy, name: str) -> Iterator[tuple[Visit, DagsterUi]]:
    """A page after the log-in, as somebody comes to it who only knows the address."""
    # The browser knows neither the certificate's authority nor the password.
    answers: dict[str, Any] = {
        "http_credentials": {"username": name, "password": PASSWORD},
        "ignore_https_errors": True,
    }
    with visit(browser, DESKTOP, **answers) as visited:
        ui = DagsterUi(visited.page, entrance.url)
        ui.open("/", re.compile("^You are not logged in"))
        visited.page.get_by_role("link", name="Log in").click()
        ui.shows("Jobs")
        # A browser tells of each 401: of the first page, its icon, and the log-in before it has the password.
        visited.errors[:] = [error for error in visited.errors if "401" not in error]
        yield visited, ui


def test_a_reader_sees_all_and_starts_nothing(browser: Browser, entrance: Proxy, deployment: Deployment) -> None:
    """After the log-in the graph of all assets is there, and the button that starts a run can't be used."""
    before = len(deployment.runs())
    with logged_in(browser, entrance, READER) as (visited, ui):
        assert "raw_sales" in ui.graph(GROUPS)
        expect(visited.page.get_by_role("button", name=re.compile("Materialize all"))).to_be_disabled()
        assert visited.errors == []
    assert len(deployment.runs()) == before
    tried()


def test_an_operator_starts_a_run_that_a_reader_sees(browser: Browser, entrance: Proxy, deployment: Deployment) -> None:
    """An operator launches a run from the dialog; a reader's page comes to say how it ended."""
    before = {run.run_id for run in deployment.runs()}
    with logged_in(browser, entrance, READER) as (_, reader):
        with logged_in(browser, entrance, OPERATOR) as (_, operator):
            operator.materialize(ASSET, DAY)
        (run,) = [run for run in deployment.runs() if run.run_id not in before]
        reader.open(f"/runs/{run.run_id}", "Success", f"partition: {DAY}")
    tried()
