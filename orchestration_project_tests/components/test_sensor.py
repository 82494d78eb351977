"""The sensor on a real instance with real files, and the schedule: what they request, and that the runs load it."""

import datetime as dt
import json
import time
from collections.abc import Iterator

import pytest

from orchestration_project.storage.sensor_evaluation import BACKOFF_SECONDS, MAX_REQUESTS, MAX_UNDER_WAY
from orchestration_project_tests.components.sales_files import catalogue, sale, sales
from orchestration_project_tests.components.watch import DATE, NOW, Watch, batches, spec_of, swept
from orchestration_project_tests.components.workbench import Workbench, project


def test_an_expected_day_without_a_file_is_in_no_ones_run(bench: Workbench) -> None:
    """Its checks would stop the marts of the others; a day that is not expected is bridged as ever."""
    watch = Watch(bench, spec_of("sales", deliveries={"days": "mon-sat", "due": "22:00"}))
    for day in ("02-02", "02-03", "02-05", "02-07"):  # Friday, Saturday, Monday, Wednesday
        watch.drop(f"sales_2024-{day}.csv", sale("A1"))
    assert batches(watch.tick()) == [("2024-02-02", "2024-02-05"), ("2024-02-07", "2024-02-07")]


def test_a_file_that_spans_days_is_asked_for_on_the_day_of_its_delivery(bench: Workbench) -> None:
    """Nobody knows its batches before it is read: sensor and schedule request a run for the day on which it came."""
    watch = Watch(bench, spec_of("sales", batch_pattern=None, batch_column="sold_at"))
    watch.drop("all.csv", sale("A1", day="2024-01-15"), sale("A2", day="2024-02-03"))
    assert batches(watch.tick()) == [("2024-03-01", "2024-03-01")]
    assert batches(swept(bench, watch.spec, dt.datetime(2024, 3, 2, 6, tzinfo=dt.UTC))) == [
        ("2024-03-01", "2024-03-01")
    ]


def test_empty_landing_is_skipped(watch: Watch) -> None:
    """Without a drop folder there is nothing to request."""
    assert watch.tick() == []
    assert watch.said == "Nothing in landing/sales."


def test_a_requested_run_loads_the_file(watch: Watch) -> None:
    """A run is requested for a settled file and loads it, and nothing is requested again."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    (request,) = watch.tick()
    assert batches([request]) == [("2024-01-15", "2024-01-15")]
    watch.launch(request)
    assert watch.bench.query("SELECT units_sold FROM product_warehouse") == [(2,)]
    assert watch.bench.landing("sales") == []
    assert watch.tick(3600) == []
    assert json.loads(watch.cursor or "")["batches"] == {}


def test_many_days_are_few_runs(watch: Watch) -> None:
    """Neighbouring days are one range, small gaps are bridged, and such a run loads them all."""
    for day in (1, 2, 3, 6, 20):
        watch.drop(f"sales_2024-01-{day:02}.csv", sale(f"A{day}"))
    requests = watch.tick()
    assert batches(requests) == [("2024-01-01", "2024-01-06"), ("2024-01-20", "2024-01-20")]
    # The shop's own calendar expects the two days between, so that run loads the others and is red.
    watch.launch(requests[0], raise_on_error=False)
    assert watch.bench.query("SELECT count(DISTINCT _batch_date) FROM cleaned_sales") == [(4,)]
    assert watch.bench.landing("sales") == ["sales_2024-01-20.csv"]


def test_a_file_that_is_written_to_waits(watch: Watch) -> None:
    """A run is requested once the file was left alone for the settle time, counted from its last change."""
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    assert watch.tick(5) == []
    assert "1 still being written" in watch.said
    watch.drop("sales_2024-01-15.csv", sale("A1"), sale("A2"), age=0)
    assert watch.tick(9) == []
    assert len(watch.tick(1)) == 1


def test_a_file_that_vanishes_is_forgotten(watch: Watch) -> None:
    """When a file is taken away after its run was requested, the run loads nothing, and no other is requested."""
    path = watch.drop("sales_2024-01-15.csv", sale("A1"))
    (request,) = watch.tick()
    path.unlink()
    assert watch.launch(request).success
    assert watch.tick(3600) == []
    assert watch.bench.query("SELECT count(*) FROM file_ledger") == [(0,)]


@pytest.mark.parametrize(
    "age",
    [
        pytest.param(NOW, id="1970"),
        pytest.param(40 * 365 * 86400, id="older than the feed"),
        pytest.param(-400 * 86400, id="next year"),
    ],
)
def test_no_modification_time_hides_a_file(watch: Watch, age: float) -> None:
    """Files are loaded whatever clock wrote them: at the latest when they were seen for the settle time."""
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=age)
    assert batches([*watch.tick(), *watch.tick()]) == [("2024-01-15", "2024-01-15")]


def test_nothing_is_requested_while_the_run_is_under_way(watch: Watch) -> None:
    """As long as a file's run is queued or running, no other is requested, however long that takes."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    (request,) = watch.tick()
    job = watch.bench.defs.resolve_job_def("sales_job")
    with watch.bench.environment():
        run = watch.bench.instance.create_run_for_job(job, tags={"dagster/run_key": str(request.run_key)})
    assert watch.tick(7 * 86400) == []
    assert "1 in a run" in watch.said
    watch.bench.instance.report_run_failed(run)
    assert len(watch.tick()) == 1


def test_few_runs_wait_at_once(watch: Watch) -> None:
    """While as many runs as may be are queued, nothing is requested, and the tick says why."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    job = watch.bench.defs.resolve_job_def("sales_job")
    with watch.bench.environment():
        queued = [
            watch.bench.instance.create_run_for_job(job, tags={"dagster/run_key": f"other {number}"})
            for number in range(MAX_UNDER_WAY)
        ]
    assert watch.tick() == []
    assert "1 batch(es) wait for another run to end" in watch.said
    watch.bench.instance.report_run_failed(queued[0])
    assert len(watch.tick()) == 1


def test_failed_runs_are_requested_again_with_growing_pauses(watch: Watch) -> None:
    """For a file that stays runs are requested after 1, 2, 4 and 8 minutes, under new keys; then it is given up."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    watch.tick(0)
    for attempt in range(1, MAX_REQUESTS):
        pause = BACKOFF_SECONDS * 2 ** (attempt - 1)
        assert watch.tick(pause - 1) == []
        assert len(watch.tick(1)) == 1
    keys = [request.run_key for request in watch.requested]
    assert len(keys) == len(set(keys)) == MAX_REQUESTS
    assert watch.tick(365 * 86400) == []
    assert f"1 given up after {MAX_REQUESTS} runs" in watch.said


def test_a_changed_file_is_tried_anew(watch: Watch) -> None:
    """Writing to a file that was given up starts over."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    for _ in range(MAX_REQUESTS + 1):
        watch.tick(3600)
    assert watch.tick(3600) == []
    watch.drop("sales_2024-01-15.csv", sale("A1"), sale("A2"))
    assert len(watch.tick()) == 1


def test_a_lost_cursor_costs_no_file(watch: Watch) -> None:
    """With a cursor that can't be read runs for all files are requested again, under keys not used before."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    (first,) = watch.tick()
    for garbage in ("no json", "[]", '{"sales_2024-01-15.csv": {"seen_at": "x"}}', None):
        watch.cursor = garbage
        (again,) = watch.tick()
        assert again.run_key != first.run_key
        assert batches([again]) == batches([first])


def test_a_crash_before_the_cursor_is_kept_requests_the_same_run(watch: Watch) -> None:
    """Should the cursor not be stored, the same request comes again with the same key, so that it runs once."""
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    watch.tick(5)
    cursor = watch.cursor
    (first,) = watch.tick()
    watch.cursor = cursor
    (again,) = watch.tick()
    assert again.run_key == first.run_key


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("notes.csv", id="no date"),
        pytest.param("sales_2024-02-31.csv", id="no such day"),
        pytest.param("sales_1999-01-01.csv", id="before the feed's start"),
    ],
)
def test_a_file_without_a_batch_is_put_away(watch: Watch, name: str) -> None:
    """A file without a batch counts for the current one, whose run moves it to quarantine."""
    watch.drop(name, sale("A1"))
    (request,) = watch.tick()
    assert batches([request]) == [("2024-03-01", "2024-03-01")]
    watch.launch(request)
    assert watch.bench.landing("sales") == []
    assert (watch.bench.data_dir / "quarantine" / "sales" / f"{name}.reason.json").is_file()


def test_a_batch_that_has_not_begun_waits(watch: Watch) -> None:
    """The run for a future batch is requested once its day has come; the file was never given up before."""
    watch.drop("sales_2024-03-03.csv", sale("A1"))
    for _ in range(2 * MAX_REQUESTS):
        assert watch.tick(3600) == []
    assert batches(watch.tick(36 * 3600)) == [("2024-03-03", "2024-03-03")]


def test_a_snapshot_is_one_run_without_partition(bench: Workbench) -> None:
    """All files of a snapshot feed go into one run; one for a future day waits."""
    watch = Watch(bench, spec_of("products", mode="snapshot"))
    for name in ("products_2024-01-01.json", "products_2024-02-20.json", "products.json", "products_2024-03-09.json"):
        bench.drop("products", name, catalogue((len(name), "Kettle", "Kitchen", 20.0)), modified=NOW - 60)
    (request,) = watch.tick()
    assert request.partition_key is None
    assert not any("partition" in tag for tag in request.tags)
    assert list(json.loads(watch.cursor or "")["batches"]) == ["2024-01-01", "2024-02-20", "2024-03-01"]


def test_a_snapshot_run_loads_the_newest(bench: Workbench) -> None:
    """The run that was requested for a snapshot feed publishes the newest file."""
    watch = Watch(bench, spec_of("products", mode="snapshot"))
    for number, name in enumerate(("products_2024-01-01.json", "products_2024-02-20.json")):
        bench.drop("products", name, catalogue((number, "Kettle", "Kitchen", 20.0)), modified=NOW - 60)
    bench.drop("products", "products_2024-02-10.json", catalogue((7, "Lamp", "Living", 1.0)), modified=NOW - 60)
    watch.launch(watch.tick()[0])
    assert bench.landing("products") == []
    assert bench.query("SELECT product_id FROM cleaned_products") == [(1,)]


# -- the schedule ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    """A code location whose landing folder is empty."""
    bench = Workbench(project(), tmp_path_factory.mktemp("scheduled"))
    with bench.instance:
        yield bench


@pytest.mark.parametrize(
    ("cadence", "zone", "moment", "expected"),
    [
        pytest.param("daily", "UTC", "2024-03-01T06:00+00:00", dt.date(2024, 2, 29), id="daily"),
        pytest.param("weekly", "UTC", "2024-03-04T06:00+00:00", dt.date(2024, 2, 26), id="weekly, on Monday"),
        pytest.param("weekly", "UTC", "2024-03-03T06:00+00:00", dt.date(2024, 2, 19), id="weekly, on Sunday"),
        pytest.param("monthly", "UTC", "2024-03-01T06:00+00:00", dt.date(2024, 2, 1), id="monthly"),
        pytest.param(
            "hourly", "UTC", "2024-03-01T06:05+00:00", dt.datetime.fromisoformat("2024-03-01T05:00"), id="hourly"
        ),
        pytest.param("daily", "Europe/Berlin", "2024-03-31T22:30+00:00", dt.date(2024, 3, 31), id="next day there"),
        pytest.param("daily", "Europe/Berlin", "2024-03-31T06:00+02:00", dt.date(2024, 3, 30), id="23-hour day"),
        pytest.param("daily", "Europe/Berlin", "2024-10-27T06:00+01:00", dt.date(2024, 10, 26), id="25-hour day"),
        pytest.param(
            "daily", "America/New_York", "2024-03-01T03:00+00:00", dt.date(2024, 2, 28), id="day before there"
        ),
    ],
)
def test_last_complete_batch(cadence: str, zone: str, moment: str, expected: dt.date) -> None:
    """It is the batch before the one that is under way where the feed is."""
    batching = spec_of(
        "sales", cadence=cadence, timezone=zone, batch_pattern=DATE + r"-(?P<hour>\d{2})"
    ).options.batching
    assert batching.last_complete(dt.datetime.fromisoformat(moment)) == expected


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        pytest.param(
            {"days": "mon-sat", "due": "22:00"}, [("2024-02-08", "2024-02-09"), ("2024-02-10",) * 2], id="expected"
        ),
        pytest.param({"days": "mon-fri", "due": "22:00"}, [("2024-02-08", "2024-02-10")], id="not expected"),
    ],
)
def test_an_expected_day_without_a_file_has_a_scheduled_run_of_its_own(
    bench: Workbench, deliveries: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    """The last complete batch shares its run with what lies in landing, unless it may stop that run."""
    for day in ("02-08", "02-09"):
        bench.drop("sales", f"sales_2024-{day}.csv", sales(sale("A1")))
    moment = dt.datetime(2024, 2, 11, 6, tzinfo=dt.UTC)
    assert batches(swept(bench, spec_of("sales", deliveries=deliveries), moment)) == expected


@pytest.mark.parametrize(
    ("cadence", "key"),
    [
        pytest.param("hourly", "2024-02-29-23:00", id="hourly"),
        pytest.param("daily", "2024-02-29", id="daily"),
        pytest.param("weekly", "2024-02-19", id="weekly"),
        pytest.param("monthly", "2024-02-01", id="monthly"),
        pytest.param("yearly", "2023-01-01", id="yearly"),
    ],
)
def test_schedule_requests_the_last_complete_batch(scheduled: Workbench, cadence: str, key: str) -> None:
    """With an empty landing folder there is one run, for a partition that exists."""
    spec = spec_of("sales", cadence=cadence, batch_pattern=DATE + r"-(?P<hour>\d{2})")
    moment = dt.datetime(2024, 3, 1, 0, 30, tzinfo=dt.UTC)
    (request,) = swept(scheduled, spec, moment)
    assert request.partition_key == key
    assert spec.partitions_def is not None
    assert spec.partitions_def.has_partition_key(key)


def test_schedule_of_a_snapshot_has_no_partition(scheduled: Workbench) -> None:
    """A snapshot feed is swept as a whole."""
    (request,) = swept(scheduled, spec_of("products", mode="snapshot"), dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC))
    assert request.partition_key is None
    assert not any("partition" in tag for tag in request.tags)


def test_schedule_sweeps_what_still_lies_in_landing(watch: Watch) -> None:
    """Files that the sensor gave up, or never saw, are loaded too; each tick has run keys of its own."""
    for name in ("sales_2024-02-27.csv", "sales_2024-01-02.csv", "notes.csv", "sales_2024-03-09.csv"):
        watch.drop(name, sale("A1"))
    moment = dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)
    requests = swept(watch.bench, watch.spec, moment)
    days = ("2024-01-02", "2024-02-27", "2024-03-01", "2024-02-29")
    assert batches(requests) == [(day, day) for day in days]
    later = swept(watch.bench, watch.spec, moment + dt.timedelta(days=1))
    assert not {request.run_key for request in requests} & {request.run_key for request in later}
    succeeded = [watch.launch(request, raise_on_error=False).success for request in requests]
    # Of today only the notes came, which are refused, and of the last complete day nothing.
    assert succeeded == [True, True, False, False]
    assert watch.bench.landing("sales") == ["sales_2024-03-09.csv"]


def test_schedule_before_the_first_batch_requests_nothing(scheduled: Workbench) -> None:
    """A feed that starts today has no complete batch yet."""
    spec = spec_of("sales", start_date="2024-03-01")
    assert swept(scheduled, spec, dt.datetime(2024, 3, 1, 6, tzinfo=dt.UTC)) == []


def test_a_run_that_fails_leaves_the_file_for_another(watch: Watch) -> None:
    """When the run that was requested fails, the file stays in landing and the next run loads it."""
    path = watch.drop("sales_2024-01-15.csv", sale("A1"))
    (request,) = watch.tick()
    (watch.bench.data_dir / "warehouse.duckdb").mkdir()
    assert not watch.launch(request, raise_on_error=False).success
    assert path.exists()
    (watch.bench.data_dir / "warehouse.duckdb").rmdir()
    (again,) = watch.tick(BACKOFF_SECONDS)
    assert batches([again]) == batches([request])
    watch.launch(again)
    assert not path.exists()


@pytest.mark.promise("deliveries")
@pytest.mark.found("a slow writer's file was requested again and again, and then given up")
def test_a_file_that_somebody_has_open(watch: Watch) -> None:
    """It has not settled, however old it is."""
    path = watch.drop("sales_2024-01-15.csv", sale("A1"), age=3600)
    with path.open("ab"):
        assert [watch.tick() for _ in range(3)] == [[], [], []]
        assert "1 still being written" in watch.said
    assert len(watch.tick()) == 1


@pytest.mark.promise("deliveries")
@pytest.mark.found("what a writer added to a file that had been loaded was in no table")
def test_a_file_that_grows_after_it_was_loaded(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its batch is requested again, and the run brings in what was added."""
    path = watch.drop("sales_2024-01-15.csv", sale("A1"))
    with path.open("ab") as stream:
        with monkeypatch.context() as patch:
            patch.delattr("fcntl.F_SETLEASE")
            (request,) = watch.tick()
            watch.launch(request)
        assert not path.exists()
        stream.write(f"{sale('A2')}\n".encode())
    assert watch.tick() == []  # it is too young
    watch.now = time.time()
    (again,) = watch.tick()
    assert again.partition_key == request.partition_key
    watch.launch(again)
    assert watch.bench.query("SELECT order_id FROM cleaned_sales ORDER BY 1") == [("A1",), ("A2",)]


@pytest.mark.promise("seen")
@pytest.mark.found("x.csv.uploading was read, and files in subfolders and links were told to nobody")
def test_files_that_are_not_looked_at(watch: Watch) -> None:
    """Unfinished files, links and files in subfolders stay where they are, and are counted."""
    names = ["a.csv.uploading", "b.csv.inprogress", "c.csv.crdownload", "d.csv.PARTIAL", "~$e.xlsx", "sub/f.csv"]
    landing = watch.drop("sales_2024-01-15.csv", sale("A1")).parent
    (landing / "sub").mkdir()
    for name in names:
        (landing / name).write_text("x")
    (landing / "g.csv").symlink_to("sales_2024-01-15.csv")
    (request,) = watch.tick()
    watch.launch(request)
    assert watch.tick() == []
    assert "7 more not looked at" in watch.said
    assert {path.name for path in landing.iterdir()} == {*names[:-1], "sub", "g.csv"}
