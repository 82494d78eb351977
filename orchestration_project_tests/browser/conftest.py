"""One running Dagster and one browser for all tests of a module, a page for each test."""

import urllib.error
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser

from orchestration_project_tests.browser.chromium import DESKTOP, PATIENCE, Visit, chromium, visit
from orchestration_project_tests.browser.dagster_ui import DagsterUi
from orchestration_project_tests.browser.screenshots import keep
from orchestration_project_tests.components.workbench import REPOSITORY, Workbench, project
from orchestration_project_tests.reliability.deployment import Deployment, deployed

SAMPLE = REPOSITORY / "data" / "sample"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of a module's tests. It ends with them: while it runs, no other event loop can in this process."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A `dagster dev` with its sensors on, that has loaded the sample."""
    with deployed(tmp_path_factory.mktemp("deployment")) as deployment:
        load_sample(deployment)
        deployment.start()
        deployment.wait_until(lambda: answers(deployment.url), PATIENCE)
        yield deployment


def load_sample(deployment: Deployment) -> None:
    """Load the sample in this process, which takes less time than the processes of two runs."""
    with dg.DagsterInstance.from_config(str(deployment.home)) as instance:
        bench = Workbench(project(), deployment.settings.data_dir, instance)
        for file in SAMPLE.glob("*/*"):
            bench.drop(file.parent.name, file.name, file.read_bytes())
        days = sorted(file.stem.removeprefix("sales_") for file in SAMPLE.glob("sales/*"))
        bench.run(job="sales_job", first=days[0], last=days[-1])
        bench.run(job="products_job")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/server_info") as response:  # noqa: S310 - on 127.0.0.1
            return bool(response.status == 200)
    except urllib.error.URLError:
        return False


@pytest.fixture
def visited(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """An empty page, as large as a desktop; the folder is there to keep what it showed, should the test fail."""
    with visit(browser, DESKTOP) as visited:
        yield visited


@pytest.fixture
def ui(visited: Visit, deployment: Deployment) -> DagsterUi:
    """Dagster's UI, in a page of its own."""
    return DagsterUi(visited.page, deployment.url)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a test saw that failed, and say where."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    visited, deployment = arguments.get("visited"), arguments.get("deployment")
    if report.failed and visited:
        kept = keep(visited.page, deployment.log() if deployment else "", arguments["tmp_path"] / "seen")
        report.sections.append(("What the browser showed", f"{kept}\n{visited.errors}"))
    return report
