"""`watch` beside `dagster dev`: what is whole is asked for at once, and nothing is asked for twice."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from orchestration_project.cli.watch import Watcher
from orchestration_project.components.dagster_api import DagsterApi, DagsterSilent, SensorState
from orchestration_project.components.feed_runs import REQUESTED
from orchestration_project.settings import Settings
from orchestration_project.storage import cloud_objects
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import copy_of_project
from orchestration_project_tests.reliability.deployment import Deployment, deployed, free_port

PATIENCE = 240.0


def looks(dev: Deployment) -> float | None:
    """When the sensor of sales looked into landing the last time."""
    states = dev.history.all_instigator_state()
    data = [item.instigator_data for item in states if item.name == "sales_files_sensor"]
    return next((getattr(item, "last_tick_timestamp", None) for item in data if getattr(item, "cursor", None)), None)


@contextmanager
def watching(dev: Deployment) -> Iterator[subprocess.Popen[bytes]]:
    """The command, as a person starts it beside the deployment, once it watches."""
    command = [sys.executable, "-u", "-m", "orchestration_project", "watch", "sales", "--url", dev.url]
    log = dev.folder / "watch.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=dev.root, env=dev.shell, stdout=output, stderr=output)
    try:
        dev.wait_until(lambda: b"Watching" in log.read_bytes(), PATIENCE)
        yield process
    finally:
        process.terminate()
        process.wait()


def loaded(dev: Deployment, files: int) -> bool:
    """Whether so many files are in the archive, landing is empty and no run is under way."""
    landing = [path for path in dev.settings.landing("sales").iterdir() if not path.name.startswith(".")]
    archived = list(dev.settings.archive("sales").glob("2*/*.csv"))
    return not landing and len(archived) == files and all(run.is_finished for run in dev.runs())


@pytest.mark.promise("load")
def test_what_is_whole_is_asked_for_once(tmp_path: Path) -> None:
    """What is renamed, what is closed late and many at once are asked for; once the watcher is dead, by the sensor."""
    root = tmp_path / "project"
    copy_of_project(root)
    with (root / "orchestration_project/defs/sales/defs.yaml").open("a", encoding="utf-8") as feed:
        feed.write("  sensor_interval_seconds: 10\n")  # it is waited for several times
    with deployed(tmp_path / "dev", root) as dev:
        landing = dev.settings.landing("sales")
        landing.mkdir(parents=True)
        dev.start()
        dev.wait_until(lambda: looks(dev), PATIENCE)
        with watching(dev) as process:
            (landing / ".renamed").write_text(sales(sale("A1", day="2024-01-01")))
            (landing / ".renamed").rename(landing / "sales_2024-01-01.csv")
            dev.wait_until(lambda: loaded(dev, 1), PATIENCE)

            with (landing / "sales_2024-01-02.csv").open("w") as slow:
                slow.write(sales(sale("B1", day="2024-01-02")))
                slow.flush()
                began = time.time()
                dev.wait_until(lambda: (looks(dev) or 0) > began + 15, PATIENCE)  # older than the settle time by then
                assert len(dev.runs()) == 1, "it was asked for while it was open"
            dev.wait_until(lambda: loaded(dev, 2), PATIENCE)

            for day in range(3, 9):
                (landing / f"sales_2024-01-0{day}.csv").write_text(sales(sale(f"C{day}", day=f"2024-01-0{day}")))
            dev.wait_until(lambda: loaded(dev, 8), PATIENCE)
            began = time.time()
            dev.wait_until(lambda: (looks(dev) or 0) > began, PATIENCE)  # the sensor has nothing to add
            runs = dev.runs()
            assert all(REQUESTED in run.tags for run in runs), [run.tags for run in runs]
            assert len({run.tags["dagster/run_key"] for run in runs}) == len(runs)
            process.kill()
            process.wait()
        (landing / "sales_2024-01-09.csv").write_text(sales(sale("D1", day="2024-01-09")))
        dev.wait_until(lambda: loaded(dev, 9), PATIENCE)
        assert REQUESTED not in dev.runs()[0].tags
        with dev.warehouse.connection("test") as connection:
            counts = connection.execute("SELECT count(*), count(DISTINCT order_id) FROM cleaned_sales").fetchall()
        assert counts == [(9, 9)]


def test_dagster_does_not_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without a webserver it says so once, and looks again later."""
    from orchestration_project.cli.project import project_here

    specs = {"sales": project_here().feeds()["sales"]}
    url = f"http://127.0.0.1:{free_port()}"
    watcher = Watcher(Settings(data_dir=tmp_path), specs, DagsterApi(url))
    running = threading.Thread(target=watcher.run)
    running.start()
    for _ in range(3):
        watcher.notice("sales", 0)
        time.sleep(0.3)
    watcher.stop()
    running.join()
    told = capsys.readouterr().err
    assert told.count(f"sales: Dagster does not answer at {url}") == 1


def test_a_store_does_not_answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where files are delivered to a store that is gone it says so once, and goes on to look."""
    from orchestration_project.cli.project import project_here

    looks = list[str]()

    class Switched(DagsterApi):
        """What Dagster would answer: the sensor is on, and no run is under way."""

        def sensor(self, name: str) -> SensorState:
            looks.append(name)
            return SensorState(True, "{}", {})

        def runs_under_way(self, job: str) -> dict[str, Mapping[str, str]]:  # noqa: ARG002 - the API's
            return {}

    monkeypatch.setattr(cloud_objects, "RETRIES", 0)
    gone = {"ENDPOINT_URL": f"http://127.0.0.1:{free_port()}", "REGION": "us-east-1", "ALLOW_HTTP": "true"}
    for name, value in {**gone, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    specs = {"sales": project_here().feeds()["sales"]}
    watcher = Watcher(Settings(data_dir=tmp_path, landing_url="s3://shop/gone"), specs, Switched("http://127.0.0.1:9"))
    running = threading.Thread(target=watcher.run)
    running.start()
    while running.is_alive() and len(looks) < 3:
        watcher.notice("sales", 0)
        time.sleep(0.1)
    watcher.stop()
    running.join()
    assert capsys.readouterr().err.count("sales: s3://shop/gone does not answer") == 1
    assert len(looks) >= 3


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b'{"errors": [{"message": "no"}]}', b'{"data": null}'])
def test_another_server_answers(body: bytes) -> None:
    """What is no answer of Dagster's is refused with what it was."""

    class Other(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: a test's output is its own."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(DagsterSilent, match=r"127\.0\.0\.1"):
            DagsterApi(f"http://127.0.0.1:{server.server_port}").sensor("sales_files_sensor")
        server.shutdown()
