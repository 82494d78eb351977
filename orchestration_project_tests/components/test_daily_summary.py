"""The summary of the day, from delivered files to the message that a webhook takes."""

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from orchestration_project.alerts.store import open_store
from orchestration_project.alerts.summary import CameIn, Summary, compose_summary
from orchestration_project.components import DailySummary
from orchestration_project.components.daily_summary import build_job, build_schedule
from orchestration_project_tests.alerts.servers import Webhook, webhook
from orchestration_project_tests.components.sales_files import sale, sales
from orchestration_project_tests.components.workbench import Workbench, feeds, project

YESTERDAY = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).date().isoformat()
COMPONENT = "type: orchestration_project.components.DailySummary\nattributes:\n"


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhook]:
    """A webhook that takes all messages."""
    with webhook() as server:
        monkeypatch.setenv("ALERT_URLS", server.url())
        yield server


def put_messages(data_dir: Path) -> list[tuple[str, str]]:
    with open_store(data_dir / "alarms.sqlite") as connection:
        return connection.execute("SELECT subject, body FROM outbox ORDER BY id").fetchall()


def test_a_day_is_told(tmp_path: Path, hook: Webhook) -> None:
    """The message has files, rows, rejects and refused files of each feed, and what the shop sold on the day."""
    bench = Workbench(project(), tmp_path)
    bench.drop(
        "sales", f"sales_{YESTERDAY}.csv", sales(sale("A1", day=YESTERDAY), sale("A2", quantity="0", day=YESTERDAY))
    )
    bench.drop("sales", f"sales_{YESTERDAY}_b.csv", "nothing\nthat fits\n")
    bench.run(job="sales_job", first=YESTERDAY)
    (tmp_path / "reports").mkdir(exist_ok=True)
    bench.run(job="daily_summary_job")
    ((subject, body),) = put_messages(tmp_path)
    assert subject.startswith(f"Day {YESTERDAY}: 1 file, 1 rows, 1 rejected, 1 file refused")
    lines = [" ".join(line.split()) for line in body.splitlines()]
    assert f"sales 1 file for {YESTERDAY}: 1 rows, 1 rejected; 1 file refused" in lines
    assert "products nothing" in lines
    assert [line for line in lines if line.startswith(("revenue", "units"))] == ["revenue 10.00", "units 2"]
    assert f"Report: {tmp_path / 'reports' / 'index.html'}" in lines


def test_before_the_first_file(tmp_path: Path) -> None:
    """Without a warehouse, and with nobody to tell, the job succeeds and has nothing to tell."""
    bench = Workbench(project(), tmp_path)
    assert bench.run(job="daily_summary_job").success
    assert put_messages(tmp_path) == []
    assert not (tmp_path / "warehouse.duckdb").exists()


def test_the_words() -> None:
    """Numbers are readable, days that have no figures say so, alarms are listed, links have names."""
    told = Summary(
        dt.date(2024, 1, 15),
        dt.datetime(2024, 1, 16, 7, tzinfo=dt.UTC),
        [CameIn("a", 2, "2024-01-14", "2024-01-15", 1200, 3), CameIn("bb", refused=1), CameIn("c")],
        {"revenue": Decimal("12345.60"), "best": None},
        ["b: 1 file was refused"],
        {"Report": "/r.html"},
    )
    message = compose_summary(told)
    assert message.subject == "Day 2024-01-15: 2 files, 1,200 rows, 3 rejected, 1 file refused, 1 alarm(s) on"
    assert message.body.splitlines() == [
        "What came in during the 24 hours before 2024-01-16 07:00 UTC:",
        "  a        2 files for 2024-01-14 to 2024-01-15: 1,200 rows, 3 rejected",
        "  bb       1 file refused",
        "  c        nothing",
        "",
        "2024-01-15:",
        "  revenue  12,345.60",
        "  best     -",
        "",
        "Alarms that are on:",
        "  b: 1 file was refused",
        "",
        "Report: /r.html",
    ]


@pytest.mark.parametrize(("value", "status"), [("", "STOPPED"), ("on", "RUNNING")])
def test_one_setting_switches_it_on(value: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schedule is off, also where all others start switched on, until `DAILY_SUMMARY` says otherwise."""
    monkeypatch.setenv("AUTOMATION", "on")
    monkeypatch.setenv("DAILY_SUMMARY", value)
    summary = DailySummary()
    schedule = build_schedule(summary, build_job(summary, [], None))
    assert schedule.default_status == dg.DefaultScheduleStatus[status]


def test_a_late_run_tells_of_its_own_day() -> None:
    """A run tells of the time before its planned start, in the zone of the schedule."""
    summary = DailySummary(timezone="Europe/Berlin")
    moment = dt.datetime(2024, 1, 16, 6, tzinfo=dt.UTC)
    with dg.build_schedule_context(scheduled_execution_time=moment) as context:
        evaluated = build_schedule(summary, build_job(summary, [], None)).evaluate_tick(context)
    (request,) = evaluated.run_requests or ()
    assert request.run_config["ops"] == {"daily_summary": {"config": {"until": "2024-01-16T06:00:00+00:00"}}}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        pytest.param("SELECT 1 AS revenue", "gives no column _batch_date", id="no day"),
        pytest.param("SELECT sum(x) FROM nowhere", "figures.sql: .*nowhere", id="unknown table"),
    ],
)
def test_figures_that_can_not_be_used(query: str, says: str) -> None:
    """A SELECT that does not fit is refused when the definitions load."""
    files = {"defs.yaml": f"{COMPONENT}  figures: figures.sql\n", "figures.sql": query}
    with pytest.raises(Exception, match="summary") as raised, feeds(summary=files):
        pass
    told = raised.value.__cause__ or raised.value.__context__
    assert re.search(says, str(told))
