"""What `watch` asks for, beside a sensor that goes on: the same runs under the same keys, earlier."""

import json
from collections.abc import Mapping

from orchestration_project.components.feed_runs import REQUESTED
from orchestration_project.components.feed_watch import BUSY_SECONDS, Asked, runs_to_ask_for
from orchestration_project.inspection.runs import RUN_KEY, runs_under_way
from orchestration_project.settings import Settings
from orchestration_project_tests.components.sales_files import sale
from orchestration_project_tests.components.watch import Watch, batches


def asked(watch: Watch) -> Asked:
    """What `watch` asks for now."""
    under_way = runs_under_way(watch.bench.instance, "sales_job")
    settings = Settings(data_dir=watch.bench.data_dir)
    return runs_to_ask_for(watch.spec, settings, watch.cursor, under_way, watch.now)


def queue(watch: Watch, tags: Mapping[str, str]) -> None:
    """A run with these tags that has not ended."""
    job = watch.bench.defs.resolve_job_def("sales_job")
    with watch.bench.environment():
        watch.bench.instance.create_run_for_job(job, tags=dict(tags))


def test_a_file_that_was_just_closed_is_asked_for(watch: Watch) -> None:
    """It does not wait for the settle time, and its run has partition, name of the sensor and what it was asked for."""
    watch.tick()
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    (tags,) = asked(watch).runs
    assert (tags["dagster/partition"], tags["dagster/sensor_name"]) == ("2024-01-15", "sales_files_sensor")
    assert json.loads(tags[REQUESTED])["2024-01-15"]["requests"] == 1


def test_an_open_file_is_not_asked_for(watch: Watch) -> None:
    """As long as its writer has it open nothing is asked for; its closing is an event."""
    watch.tick()
    path = watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    with path.open("a"):
        assert asked(watch) == Asked(())
    assert len(asked(watch).runs) == 1


def test_the_sensor_asks_under_the_same_key(watch: Watch) -> None:
    """Whatever became of the run of `watch`: Dagster starts no second run of its key."""
    watch.tick()
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    (tags,) = asked(watch).runs
    (request,) = watch.tick(60)
    assert request.run_key == tags[RUN_KEY]


def test_while_the_run_is_under_way_nothing_is_asked_for(watch: Watch) -> None:
    """Neither again by `watch` nor by the sensor, not even when another day's file makes another request of it."""
    watch.tick()
    watch.drop("sales_2024-01-15.csv", sale("A1"), age=0)
    (tags,) = asked(watch).runs
    queue(watch, tags)
    assert asked(watch) == Asked((), BUSY_SECONDS)
    watch.drop("sales_2024-01-16.csv", sale("A2", day="2024-01-16"), age=0)
    (other,) = asked(watch).runs
    assert other["dagster/partition"] == "2024-01-16"
    (request,) = watch.tick(60)
    assert (batches([request]), request.run_key) == ([("2024-01-16", "2024-01-16")], other[RUN_KEY])


def test_many_days_are_one_run(watch: Watch) -> None:
    """What the sensor would ask for as a range is a range."""
    watch.tick()
    for day in (1, 2, 3):
        watch.drop(f"sales_2024-01-0{day}.csv", sale(f"A{day}", day=f"2024-01-0{day}"), age=0)
    (tags,) = asked(watch).runs
    ends = (tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"])
    assert ends == ("2024-01-01", "2024-01-03")
    assert set(json.loads(tags[REQUESTED])) == {"2024-01-01", "2024-01-02", "2024-01-03"}


def test_the_sensor_has_the_first_word(watch: Watch) -> None:
    """Before it has looked for the first time nobody knows its keys, so nothing is asked for."""
    watch.drop("sales_2024-01-15.csv", sale("A1"))
    assert asked(watch) == Asked(())
