"""A feed whose files are delivered to an object store, as Dagster sees it: the sensor, its runs, status, where."""

import datetime as dt
import json

import pytest
from click.testing import CliRunner

from orchestration_project.cli.main import main
from orchestration_project.errors import ObjectStoreError
from orchestration_project.inspection.status import landing_of, unwatched_folders
from orchestration_project.settings import Settings
from orchestration_project.storage import conditional_objects
from orchestration_project.storage.conditional_objects import ConditionalStore
from orchestration_project.storage.landing import object_landing, waiting
from orchestration_project_tests.components.alarming import Alarming
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.watch import Watch, batches
from orchestration_project_tests.components.workbench import Workbench
from orchestration_project_tests.servers.heedless_s3 import heedless_s3
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = pytest.mark.xdist_group("s3")
NAME = "sales_2024-01-15.csv"


@pytest.fixture
def store(s3: str, monkeypatch: pytest.MonkeyPatch) -> ConditionalStore:
    """An empty landing on a running server; the settings name it."""
    monkeypatch.setenv("LANDING_URL", s3)
    return ConditionalStore(s3)


def settled(watch: Watch) -> Watch:
    """The watch at the tick before the objects have settled: they are younger than its clock, so its clock counts."""
    assert watch.tick() == []
    return watch


def test_a_requested_run_loads_the_object(watch: Watch, store: ConditionalStore) -> None:
    """A run is requested for an object when it has settled, loads it, and nothing is requested again."""
    store.put(f"sales/{NAME}", sales(sale("A1")).encode())
    store.put("sales/sub/not looked at.csv", b"1")
    assert watch.tick() == []
    assert "1 still being written" in watch.said
    assert "1 more not looked at" in watch.said
    (request,) = watch.tick()
    assert batches([request]) == [("2024-01-15", "2024-01-15")]
    watch.launch(request)
    assert watch.bench.query("SELECT units_sold FROM product_warehouse") == [(2,)]
    assert watch.tick(3600) == []
    assert json.loads(watch.cursor or "")["batches"] == {}


def test_status_tells_what_waits(watch: Watch, store: ConditionalStore, bench: Workbench) -> None:
    """Objects count as waiting, and those of no feed are told by where they are."""
    store.put(f"sales/{NAME}", sales(sale("A1")).encode())
    store.put(f"salse/{NAME}", b"1")
    store.put(NAME, b"1")
    store.put(".claims/sales/1.0001", b"1")
    with bench.environment():
        settings = Settings.from_env()
    found = landing_of(settings, watch.spec.configured, dt.datetime.fromtimestamp(watch.now, dt.UTC), None, None)
    assert found.waiting == 1
    folders = unwatched_folders(settings, {"sales"})
    assert {folder.folder: folder.files for folder in folders} == {store.url: 1, f"{store.url}/salse": 1}


def test_a_fetched_object_is_no_new_file(watch: Watch, store: ConditionalStore, bench: Workbench) -> None:
    """What a failed run has fetched is asked for again as the same; a new version of the object is something new."""
    store.put(f"sales/{NAME}", sales(sale("A1")).encode())
    assert len(settled(watch).tick()) == 1
    with bench.environment():
        settings = Settings.from_env()
    landing = object_landing(settings, "sales")
    assert landing is not None
    (found,) = waiting(settings, "sales").files
    assert landing.take(lambda _: True, found.modified_at) == (1, 0)
    assert list(waiting(settings, "sales").files) == [found]
    assert len(watch.tick(3600)) == 1
    assert json.loads(watch.cursor or "")["batches"]["2024-01-15"]["requests"] == 2
    store.put(f"sales/{NAME}", sales(sale("A1"), sale("A2")).encode())
    assert len(settled(watch).tick()) == 1
    assert json.loads(watch.cursor or "")["batches"]["2024-01-15"]["requests"] == 1


def test_a_store_without_a_condition(
    alarming: Alarming, store: ConditionalStore, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sensor, load, `status` and an alarm refuse it before anything is claimed, and before any file has come."""
    refused = f"{store.url} can't be a landing: the store does not heed If-Match of DELETE"
    watch = Watch(alarming.bench, alarming.feeds[0])
    with heedless_s3(s3_server, "DELETE") as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        refuses_all(watch, refused)
        (message,) = [body for body in alarming.tick() if "sales" in body]
        assert refused in message
        assert "not_watched:sales" in alarming.on
        store.put(f"sales/{NAME}", sales(sale("A1")).encode())
        refuses_all(watch, refused)
    assert [found.key for found in store.list()] == [f"sales/{NAME}"]
    monkeypatch.setattr(conditional_objects, "TRIED_AGAIN", 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.environment["AWS_ENDPOINT_URL"])
    watch.bench.run("raw_sales", first="2024-01-15")
    assert not [*store.list()]
    alarming.tick()
    assert "not_watched:sales" not in alarming.on


def refuses_all(watch: Watch, refused: str) -> None:
    """Make sure that sensor, load and `status` end with an error."""
    with pytest.raises(ObjectStoreError, match=refused):
        watch.tick()
    with pytest.raises(ObjectStoreError, match=refused):
        watch.bench.run("raw_sales", first="2024-01-15")
    with watch.bench.environment():
        answer = CliRunner().invoke(main, ["status"])
    assert (answer.exit_code, refused in answer.output) == (2, True)
