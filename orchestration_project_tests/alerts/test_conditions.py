"""Each condition: when it holds, about what, how bad it is."""

import re
from dataclasses import replace
from typing import Any

import pytest

from orchestration_project.alerts.conditions import conditions
from orchestration_project.alerts.model import Alarm, Files, Kind, MissingBatch, Observed, Thresholds
from orchestration_project.alerts.outbox import DeadTarget
from orchestration_project.publishing.lag import CopyState, CopyStatus
from orchestration_project.storage.disks import Disk
from orchestration_project.warehouse.lock import Holder
from orchestration_project_tests.alerts.samples import DAY, HOUR, MINUTE, NOW, check, feed, job, run, seen, state
from orchestration_project_tests.components.workbench import REPOSITORY

LIMITS = Thresholds()
MISSING = MissingBatch("2024-02-29", NOW - HOUR)
FIVE = Files(5, NOW - 3 * HOUR, ["a.csv", "b.csv", "c.csv"])
SIZES = {"2024-02-27": 100, "2024-02-28": 1000, "2024-02-29": 700}
GB = 1_000_000_000


def on(observed: Observed) -> list[str]:
    return [alarm.id for alarm in conditions(observed, LIMITS)]


def only(observed: Observed) -> Alarm:
    (found,) = conditions(observed, LIMITS)
    return found


def of_feed(**fields: Any) -> Observed:
    return seen(feeds=[feed(**fields)])


@pytest.mark.parametrize(
    ("observed", "ids"),
    [
        pytest.param(seen(), [], id="nothing there"),
        pytest.param(of_feed(state=state()), [], id="all is well"),
        pytest.param(of_feed(missing=[MISSING]), ["batch_missing:f"], id="batch missing"),
        pytest.param(of_feed(quarantined=FIVE), ["file_quarantined:f"], id="file refused"),
        pytest.param(of_feed(given_up=FIVE), ["file_given_up:f"], id="sensor gave up"),
        pytest.param(of_feed(waiting=FIVE), ["landing_full:f"], id="landing is not emptied"),
        pytest.param(of_feed(waiting=Files(5, NOW - HOUR)), [], id="files wait, not for long"),
        pytest.param(of_feed(waiting=Files(5, None)), [], id="files were just taken"),
        pytest.param(
            of_feed(state=state(reject_rates={"1": 0.06, "2": 0.04}), reject_limit=0.05),
            ["reject_rate:f"],
            id="rejects",
        ),
        pytest.param(of_feed(state=state(reject_rates={"1": 0.05}), reject_limit=0.05), [], id="just the limit"),
        pytest.param(
            of_feed(state=state(open_rejects=3, open_since=NOW - 15 * DAY)), ["rejects_open:f"], id="rejects stay open"
        ),
        pytest.param(of_feed(state=state(open_rejects=3, open_since=NOW - 13 * DAY)), [], id="rejects of late"),
        pytest.param(of_feed(state=state(records=SIZES), snapshot=True), ["catalogue_shrank:f"], id="catalogue shrank"),
        pytest.param(of_feed(state=state(records=SIZES)), [], id="batches may differ in size"),
        pytest.param(
            of_feed(state=state(records={**SIZES, "2024-02-29": 801}), snapshot=True), [], id="catalogue shrank a bit"
        ),
        pytest.param(of_feed(state=state(records={"1": 0}), snapshot=True), [], id="first catalogue"),
        pytest.param(of_feed(state=state(records={"1": 0, "2": 0}), snapshot=True), [], id="empty catalogues"),
        pytest.param(seen(jobs=[job(run())]), ["run_failed:f_job"], id="run failed"),
        pytest.param(seen(jobs=[job(run(), run("SUCCESS", 5))]), [], id="run succeeded since"),
        pytest.param(seen(now=NOW + 31 * DAY, jobs=[job(run())]), [], id="run failed long ago"),
        pytest.param(seen(checks=[check()]), ["check_failed:cleaned_f.not_empty"], id="check fails"),
        pytest.param(seen(checks=[check(True)]), [], id="check passes"),
        pytest.param(
            seen(checks=[replace(check(), name="files_accepted")], feed_of={"cleaned_f": "f"}),
            [],
            id="the folders tell what the check says",
        ),
        pytest.param(seen(checks=[check(False, "warn")]), [], id="check warns"),
        pytest.param(seen(checks=[check(asset="verification")]), ["verification"], id="verification found something"),
        pytest.param(
            seen(jobs=[job(newest=[run("SUCCESS", n) for n in range(8)] + [run(at=n) for n in (8, 9)])]),
            ["success_rate:f_job"],
            id="two of ten runs failed",
        ),
        pytest.param(
            seen(jobs=[job(newest=[run("SUCCESS", n) for n in range(9)] + [run(at=9)])]), [], id="one of ten failed"
        ),
        pytest.param(seen(jobs=[job(newest=[run(at=n) for n in range(9)])]), [], id="too few runs for a rate"),
        pytest.param(
            seen(jobs=[job(newest=[run("CANCELED", n) for n in range(20)])]), [], id="cancelled runs don't count"
        ),
        pytest.param(seen(switched_off=["f_files_sensor"]), ["automation_off:f_files_sensor"], id="sensor is off"),
        pytest.param(seen(newest_materialization=NOW - 26 * HOUR), ["nothing_materialized"], id="nothing happens"),
        pytest.param(seen(newest_materialization=NOW - 24 * HOUR), [], id="a day without"),
        pytest.param(seen(disks=[Disk("data", "/data", GB, 100 * GB)]), ["disk_short:data"], id="disk short"),
        pytest.param(seen(disks=[Disk("data", "/data", 3 * GB, 100 * GB)]), [], id="disk has room"),
        pytest.param(seen(holder=Holder("process 7", NOW - 31 * MINUTE)), ["warehouse_busy"], id="warehouse busy"),
        pytest.param(seen(holder=Holder("process 7", NOW - 29 * MINUTE)), [], id="a load takes a while"),
        pytest.param(
            seen(copy=CopyStatus("w.duckdb", CopyState.BEHIND, behind_seconds=7300)), ["copy_behind"], id="copy behind"
        ),
        pytest.param(seen(copy=CopyStatus("w.duckdb", CopyState.BEHIND, behind_seconds=7100)), [], id="a long run"),
        pytest.param(seen(not_watched={"f": "no access"}), ["not_watched:f"], id="folder can't be read"),
        pytest.param(
            seen(dead_targets=[DeadTarget("mail to a@b.c by d", NOW - HOUR, 4, "refused", 2, 0)]),
            ["target_dead:mail to a@b.c by d"],
            id="target takes nothing",
        ),
    ],
)
def test_conditions(observed: Observed, ids: list[str]) -> None:
    """These alarms are on, and no others."""
    assert on(observed) == ids


def test_every_kind_is_in_the_table() -> None:
    """The table above has each kind of alarm."""
    (table,) = test_conditions.pytestmark  # type: ignore[attr-defined]
    ids = {name for row in table.args[1] for name in row.values[1]}
    assert {name.partition(":")[0] for name in ids} == {*Kind}


def test_a_flood_is_one_alarm_with_a_number_and_the_first_three() -> None:
    """A thousand refused files are one alarm, which gets worse by doublings."""
    found = only(of_feed(quarantined=Files(1000, NOW, ["a", "b", "c"])))
    assert (found.count, found.items, found.level) == (1000, ["a", "b", "c"], 10)
    assert found.what == "f: 1,000 files were refused and not replaced"
    levels = [only(of_feed(quarantined=Files(count, NOW))).level for count in (1, 2, 3, 4, 999)]
    assert levels == [1, 2, 2, 3, 10]


def test_the_level_of_a_disk_grows_with_each_halving() -> None:
    """A disk on which half of the room is left is worse."""
    free = [1_900_000_000, 900_000_000, 400_000_000, 0]
    levels = [only(seen(disks=[Disk("data", "/data", room, 100 * GB)])).level for room in free]
    assert levels == sorted(set(levels))


def test_missing_batches_say_when_they_were_due_and_whether_files_were_refused() -> None:
    """The message tells what of a missing batch is known."""
    found = only(of_feed(missing=[MISSING, MissingBatch("2024-03-01", NOW, refused=True)]))
    assert found.items == [
        "2024-02-29, due 2024-03-01 11:00 UTC",
        "2024-03-01, due 2024-03-01 12:00 UTC, only refused files came",
    ]
    assert found.since == NOW - HOUR
    assert "quarantine/f" in found.todo


def test_a_check_tells_its_feed_and_the_days_that_fail() -> None:
    """The owner of a check's feed is told, of all days that fail."""
    found = only(seen(checks=[check(False, "error", "1", "2", "3", "4")], feed_of={"cleaned_f": "f"}))
    assert (found.feed, found.count, found.run_id, found.items) == ("f", 4, "run", ["0 rows"])
    assert found.what == "the check not_empty of cleaned_f fails for 1, 2, 3 and 1 more"


def test_a_failed_run_tells_its_error_and_the_command() -> None:
    """The newest of the failed runs is the one to look at, and is run again by the command."""
    runs = [run(at=1, first="2024-01-01"), run(at=2, first="2024-01-03", last="2024-01-05")]
    found = only(seen(jobs=[job(*runs)], error_of=lambda run: f"error of {run.run_id}"))
    assert found.items == ["2024-01-03 to 2024-01-05: error of FAILURE@2", "2024-01-01: error of FAILURE@1"]
    assert found.run_id == "FAILURE@2"
    assert "`dg launch --job f_job --partition-range 2024-01-03...2024-01-05`" in found.todo


@pytest.mark.parametrize(
    ("first", "last", "successes", "mended"),
    [
        pytest.param("02", "02", [("02", "02")], True, id="the same day"),
        pytest.param("02", "02", [("01", "05")], True, id="a range around it"),
        pytest.param("02", "02", [("03", "05")], False, id="other days"),
        pytest.param("02", "05", [("02", "03"), ("04", "05")], True, id="two parts"),
        pytest.param("02", "05", [("01", "03"), ("03", "06")], True, id="parts that overlap"),
        pytest.param("02", "05", [("02", "03"), ("05", "05")], False, id="a gap"),
        pytest.param("02", "05", [("02", "04")], False, id="all but the last"),
        pytest.param("02", "05", [("", "")], False, id="a run for no day"),
    ],
)
def test_a_failed_range_is_mended_by_runs_that_cover_it(
    first: str, last: str, successes: list[tuple[str, str]], mended: bool
) -> None:
    """A run that failed is over when its partitions have succeeded, in one run or in several."""
    runs = [run(first=first, last=last), *(run("SUCCESS", 5 + n, *span) for n, span in enumerate(successes))]
    found = on(seen(jobs=[job(*runs, after=lambda key: f"{int(key) + 1:02}")]))
    assert found == ([] if mended else ["run_failed:f_job"])


def test_a_success_from_before_mends_nothing() -> None:
    """A run that succeeded before the other one failed says nothing of it."""
    assert on(seen(jobs=[job(run("SUCCESS", -9, "01"), run(at=0, first="01"))])) == ["run_failed:f_job"]


def test_a_load_by_hand_mends_a_failed_run() -> None:
    """Whoever materializes the feed's tables for the day, without the job, has mended it too."""
    by_hand = [run("SUCCESS", 9, "01")]
    assert on(seen(jobs=[job(run(first="01"), by_hand=by_hand)])) == []


def test_every_kind_is_documented() -> None:
    """The page about alarms has a row for each kind."""
    page = (REPOSITORY / "docs" / "alerts.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)(?::[\w.]+)?` ", page, re.MULTILINE)
    assert {*Kind} <= {*documented}
