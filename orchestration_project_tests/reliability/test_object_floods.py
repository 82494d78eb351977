"""A flood of objects in a landing in a store: a sensor's tick lists them all, and asks for few runs."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration_project.settings import Settings
from orchestration_project.storage.landing import waiting
from orchestration_project.storage.sensor_cursor import SensorCursor, write_cursor
from orchestration_project.storage.sensor_evaluation import MAX_UNDER_WAY, evaluate, group_by_batch, plan_requests
from orchestration_project_tests.ingest.shop import NOW, day, options
from orchestration_project_tests.reliability.evidence import effort, measured, tried
from orchestration_project_tests.servers.s3 import S3Server

pytestmark = [pytest.mark.promise("load"), pytest.mark.xdist_group("s3")]
DAYS = 50


def test_a_flood_of_objects(tmp_path: Path, s3: str, s3_server: S3Server) -> None:
    """Every object is seen at one tick, few runs are asked for, and the cursor has an entry for a batch, not a file."""
    number, client, prefix = effort(1000, 100_000), s3_server.client, s3.rpartition("/")[2]
    with ThreadPoolExecutor(32) as pool:
        for _ in pool.map(
            lambda index: client.put(f"{prefix}/f/s{index}_{day(1 + index % DAYS)}.csv", b"id,n\n"), range(number)
        ):
            tried()
    settings, batching, now = Settings(data_dir=tmp_path, landing_url=s3), options().batching, NOW.timestamp()
    began = time.perf_counter()
    files = waiting(settings, "f").files
    # By the clock of the server, which is not the one of this test, all of them are young.
    found = evaluate(group_by_batch(files, batching, NOW), SensorCursor(now), now, 0, ())
    found = evaluate(group_by_batch(files, batching, NOW), found.cursor, now + 60, 0, ())
    planned, cursor = plan_requests("f", found, batching, now, MAX_UNDER_WAY, together=False)
    measured(f"A tick over {number:,} objects in a store took {time.perf_counter() - began:.1f} s of the 60 s it has.")
    assert sum(len(files) for files in group_by_batch(files, batching, NOW).values()) == number
    assert planned
    assert len(planned) <= MAX_UNDER_WAY
    assert len(write_cursor(cursor)) < 200_000
