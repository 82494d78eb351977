"""Messages leave the house: no personal value is in them, and no name or error is more than text.

The alerts sensor comes from a `defs.yaml`, in a project that is not the shop.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.alerts import sender
from orchestration_project.components.resources import Platform
from orchestration_project_tests.components.workbench import Workbench, feeds
from orchestration_project_tests.reliability.evidence import tried
from orchestration_project_tests.reliability.test_security_masks import COMPONENT, CONTRACT, DELIMITED, JSON, VALUE

pytestmark = pytest.mark.promise("security")

EVIL = "0 2024-02-01 \x1b[2J\rBcc: a@b.c `rm -rf` <b>[x](http:y)\u202e.csv"
ALERTS = """
type: orchestration_project.components.Alerts
attributes: {settle_seconds: 0, success_runs: 1, free_gigabytes: 0, landing_hours: 0.000001}
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workbench]:
    """Two feeds with personal columns, a job that fails with a personal value, and the alerts sensor."""
    monkeypatch.setenv("ALERT_URLS", "json://127.0.0.1:9")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(sender, "start", lambda _: None)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "dagster.yaml").touch()

    @dg.op
    def tell() -> None:
        raise ValueError(f"no number: {VALUE}")

    @dg.job
    def own_job() -> None:
        tell()

    folders = {
        f"people_{form}": {"people.odcs.yaml": CONTRACT.format(format=form, table="{table}"), "defs.yaml": COMPONENT}
        for form in ("csv", "json")
    }
    with (
        feeds(**folders, alerts={"defs.yaml": ALERTS}) as loaded,
        dg.DagsterInstance.from_config(str(tmp_path / "home")) as instance,
    ):
        yield Workbench(dg.Definitions.merge(loaded, dg.Definitions(jobs=[own_job])), tmp_path / "data", instance)


def test_messages_tell_no_personal_value_and_give_no_instruction(bench: Workbench) -> None:
    """Whatever files, checks and runs are wrong with, messages and alarms are plain text without values."""
    for number, (name, content) in enumerate(DELIMITED.items(), start=1):
        bench.drop("people_csv", f"{name}_2024-01-{number:02}.csv{'.gz' if name == 'cut_off' else ''}", content)
    for number, (name, text) in enumerate(JSON.items(), start=1):
        bench.drop("people_json", f"{name}_2024-01-{number:02}.json", text)
    bench.drop("people_csv", EVIL, "not,a,header\n")
    for form in ("csv", "json"):
        bench.run(job=f"people_{form}_job", first="2024-01-01", last="2024-02-01", raise_on_error=False)
    bench.run(job="own_job", raise_on_error=False)
    bench.drop("people_csv", EVIL, "it waits")
    repository = bench.defs.get_repository_def()
    with bench.environment():
        context = dg.build_sensor_context(
            instance=bench.instance, resources={"platform": Platform()}, repository_def=repository
        )
        repository.get_sensor_def("alerts_sensor").evaluate_tick(context)
    with closing(sqlite3.connect(bench.data_dir / "alarms.sqlite")) as connection:
        on = {name for (name,) in connection.execute("SELECT id FROM alarms")}
        rows = [*connection.execute("SELECT * FROM alarms"), *connection.execute("SELECT subject, body FROM outbox")]
        ((subject, body),) = connection.execute("SELECT subject, body FROM outbox")
    assert {"file_quarantined:people_csv", "landing_full:people_csv", "run_failed:own_job"} <= on
    tried(len(on))
    assert "\\x1b[2J Bcc: a@b.c" in body
    assert all(line.isprintable() for line in [subject, *body.split("\n")])
    assert VALUE not in "\n".join(str(row) for row in rows)
    notes = [path.read_text(encoding="utf-8") for path in (bench.data_dir / "state").rglob("*.json")]
    assert len(notes) >= 4
    assert VALUE not in "\n".join(notes)
