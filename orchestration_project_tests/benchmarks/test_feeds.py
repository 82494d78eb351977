"""Thousands of feeds, simulated with twenty: what their sensors and schedules ask for, and what is told of it."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks import feeds
from benchmarks.parts import feeds as part
from benchmarks.report import Section
from benchmarks.session import Session
from orchestration_project.components.resources import Platform

FEEDS = 20


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[feeds.Outcome]:
    """Twenty feeds, with an instance of their own."""
    platform = Platform(data_dir=str(tmp_path_factory.mktemp("many")))
    with dg.DagsterInstance.ephemeral() as instance:
        yield feeds.simulate(FEEDS, instance, platform)


def test_each_settled_file_is_asked_for_once(outcome: feeds.Outcome) -> None:
    """Sensors ask for nothing while landing is empty or a file is young, then once for each feed with a file."""
    assert [tick.requests for tick in outcome.ticks] == [0, 0, FEEDS // feeds.EACH, 0]
    assert outcome.ticks[-1].cursor_bytes > outcome.ticks[0].cursor_bytes


def test_schedules_of_feeds_are_spread(outcome: feeds.Outcome) -> None:
    """Twenty schedules are due in twenty minutes, and each that is evaluated asks for the batch that is complete."""
    assert outcome.due_at_once == 1
    assert (outcome.swept, outcome.swept_requests) == (2, 2)


def test_a_schedule_is_due_where_its_cron_expression_says() -> None:
    """The first time after the first tick."""
    _, second = feeds.simulated_feeds(2)
    assert second.next_time() == dt.datetime(2024, 3, 1, 6, 1, tzinfo=dt.UTC)


def test_definitions_are_those_of_real_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A project of two feeds has the assets and sensors of two feeds; the command prints them as JSON."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    told = json.loads(CliRunner().invoke(feeds.main, ["define", "2"]).stdout.splitlines()[-1])
    assert (told["assets"], told["sensors"]) == (8, 2)


def test_what_was_not_measured_is_told_apart(outcome: feeds.Outcome) -> None:
    """A row for each tick and the schedules; the line through two numbers of feeds goes on in italics."""
    rows = part.simulated_rows(asdict(outcome))
    assert [row[0] for row in rows][-1] == "schedules of 2 of them; 1 of all are due in the busiest minute"
    assert [row[3] for row in rows] == ["0", "0", "2", "0", "2"]
    found = {50: {"seconds": 2.0, "peak_bytes": 200e6}, 200: {"seconds": 5.0, "peak_bytes": 500e6}}
    assert part.extrapolated_row(1000, found)[:3] == ["*definitions of 1,000 feeds*", "21.0 s", "21.0 ms"]


def test_the_part_is_measured_only_when_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It takes long, so the benchmarks without a name leave it out."""

    def named(name: str) -> Section:
        return Section(name, "", [])

    def measured(name: str) -> object:
        return lambda _session: named(name)

    monkeypatch.setattr(command, "PARTS", {name: measured(name) for name in ("load", "feeds")})
    options = ["--work", str(tmp_path / "work"), "--results", str(tmp_path / "results.md")]
    runner = CliRunner()
    assert "## feeds" not in runner.invoke(command.main, options).output
    assert "## feeds" in runner.invoke(command.main, ["feeds", *options]).output


def test_the_part_reads_what_the_process_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With few feeds the section has its rows, and nothing has failed."""
    monkeypatch.setattr(part, "SIMULATED", (2,))
    monkeypatch.setattr(part, "DEFINED", (1, 2))
    section = part.measure(Session(tmp_path))
    assert section.failures == {}
    assert len(section.rows) == len(feeds.TICKS) + 1 + 2 + 2
