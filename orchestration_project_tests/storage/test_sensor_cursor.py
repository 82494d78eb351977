"""The sensor's cursor: what is written is read back, what an older release wrote is read, and garbage harms nothing."""

import datetime as dt
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration_project.storage.files import FoundFile
from orchestration_project.storage.sensor_cursor import (
    BatchRequest,
    SensorCursor,
    read_cursor,
    with_requests,
    write_cursor,
    write_requests,
)
from orchestration_project.storage.sensor_evaluation import ReadyBatch, evaluate, group_by_batch
from orchestration_project_tests.storage.simulation import DAILY, NOW, SETTLE

RELEASED = (
    '{"since":1709291400.0,"requests":9,"batches":{'
    '"2024-01-01":{"digest":"e4e80f1b324a1dc3","requests":5,"at":1709293800.0,'
    '"run_key":"sales:2024-01-01...2024-01-01:17c2ff4ba05256b7"},'
    '"2024-01-02":{"digest":"c6c01575434acd6d","requests":4,"at":1709293800.0,'
    '"run_key":"sales:2024-01-02...2024-01-02:588beb5c51b0a437"}},'
    '"unsettled":{"c6c01575434acd6d":1709291400.0}}'
)
"""What release 0.1.0 wrote after it had requested runs for two files in vain: an old one, and one just written to."""
DELIVERED = [("s_2024-01-01.csv", 3600), ("s_2024-01-02.csv", 5)]
"""Those two files, with their ages in seconds."""

texts = st.text(max_size=9)
moments = st.floats(0, 4e9)
batch_requests = st.builds(BatchRequest, texts, st.integers(1, 9), moments, texts)
cursors = st.builds(
    SensorCursor, moments, st.integers(0, 99), st.dictionaries(texts, batch_requests), st.dictionaries(texts, moments)
)


def file(name: str, mtime: float) -> FoundFile:
    return FoundFile(f"landing/{name}", name, 5, int(mtime * 1e9))


def test_the_cursor_of_a_deployed_sensor_is_read() -> None:
    """Every field of a released cursor is read, and it is written again as it was."""
    assert read_cursor(RELEASED, NOW) == SensorCursor(
        1709291400.0,
        9,
        {
            "2024-01-01": BatchRequest(
                "e4e80f1b324a1dc3", 5, 1709293800.0, "sales:2024-01-01...2024-01-01:17c2ff4ba05256b7"
            ),
            "2024-01-02": BatchRequest(
                "c6c01575434acd6d", 4, 1709293800.0, "sales:2024-01-02...2024-01-02:588beb5c51b0a437"
            ),
        },
        {"c6c01575434acd6d": 1709291400.0},
    )
    assert write_cursor(read_cursor(RELEASED, NOW)) == RELEASED


def test_a_deployed_sensor_goes_on_where_it_was() -> None:
    """With a released cursor the same files are known: one is given up, the other has its last request before it."""
    files = [file(name, NOW - age) for name, age in DELIVERED]
    grouped = group_by_batch(files, DAILY, dt.datetime.fromtimestamp(NOW, dt.UTC))
    found = evaluate(grouped, read_cursor(RELEASED, NOW), NOW, SETTLE, ())
    assert (found.given_up, found.settling) == (["s_2024-01-01.csv"], 0)
    assert found.ready == {dt.date(2024, 1, 2): ReadyBatch("c6c01575434acd6d", 1, 4)}


@settings(deadline=None)
@given(cursors)
def test_a_cursor_is_read_as_it_was_written(cursor: SensorCursor) -> None:
    """What is written is read back."""
    assert read_cursor(write_cursor(cursor), NOW) == cursor


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
entry_values = st.fixed_dictionaries(dict.fromkeys(("digest", "requests", "at", "run_key"), json_values))
cursor_values = st.fixed_dictionaries(
    {
        "since": json_values,
        "requests": json_values,
        "batches": st.dictionaries(st.sampled_from(["2024-01-01", "x"]), entry_values),
        "unsettled": st.dictionaries(texts, json_values),
    }
)


@settings(deadline=None)
@given(st.text() | (json_values | cursor_values).map(json.dumps) | st.none())
def test_any_cursor_can_be_read(text: str | None) -> None:
    """A text of whatever content gives a cursor with which a tick works."""
    files = [file("s_2024-01-01.csv", NOW - 3600), file("s_2024-01-02.csv", NOW + 9)]
    grouped = group_by_batch(files, DAILY, dt.datetime.fromtimestamp(NOW, dt.UTC))
    evaluate(grouped, read_cursor(text, NOW), NOW, SETTLE, ())


def test_the_cursor_of_an_early_version_is_like_none() -> None:
    """A cursor with an entry for each file, as it was once written, is replaced by a new one."""
    entry = {"signature": "5-1", "seen_at": 1, "requests": 5, "asked_at": 1, "run_key": "k"}
    assert read_cursor(json.dumps({"s_2024-01-01.csv": entry}), NOW) == SensorCursor(NOW)
    files = group_by_batch([file("s_2024-01-01.csv", NOW - 3600)], DAILY, dt.datetime.fromtimestamp(NOW, dt.UTC))
    assert set(evaluate(files, SensorCursor(NOW), NOW, SETTLE, ()).ready) == {dt.date(2024, 1, 1)}


@settings(deadline=None)
@given(cursors, cursors)
def test_the_requests_of_another_run_are_taken_over(mine: SensorCursor, other: SensorCursor) -> None:
    """The entries of a run that the cursor does not know are added to it, those of a known run are left as they are."""
    keys = {entry.run_key for entry in other.batches.values()}
    merged = with_requests(mine, {key: write_requests(other, key) for key in keys})
    known = {entry.run_key for entry in mine.batches.values()}
    new = {batch: entry for batch, entry in other.batches.items() if entry.run_key not in known}
    assert merged.batches == mine.batches | new
    assert (merged.since, merged.requests, merged.unsettled) == (mine.since, mine.requests, mine.unsettled)


@settings(deadline=None)
@given(cursors, st.text() | json_values.map(json.dumps))
def test_a_spoiled_tag_changes_nothing(cursor: SensorCursor, text: str) -> None:
    """Whatever stands in the tag of a run, the sensor goes on with what it remembers."""
    assert with_requests(cursor, {"a key of nobody": text}) == cursor
