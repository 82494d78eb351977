"""The alerts sensor on a real instance with real files: each kind of alarm comes, is told, and is over when mended."""

import json
from pathlib import Path

import duckdb
import pytest

from orchestration_project.alerts.model import Kind
from orchestration_project_tests.components.alarming import HOUR, Alarming, day, sold
from orchestration_project_tests.components.provocations import PROVOKED, many_rejects, quarantined
from orchestration_project_tests.components.sales_files import catalogue

pytestmark = pytest.mark.promise("alerts")


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_comes_once_and_is_over_once(alarming: Alarming, kind: Kind) -> None:
    """It is told with what is known and what to do; mended, it is told to be over; in between nothing is told twice."""
    provoke, name, words = PROVOKED[kind]
    mend = provoke(alarming)
    bodies = alarming.tick()
    assert name in alarming.on
    told = "\n".join(bodies)
    what = str(alarming.rows(f"SELECT what FROM alarms WHERE id = '{name}'")[0][0])
    assert f"ALARM  {what}" in told
    assert words in told
    assert "  to do   " in told
    assert alarming.tick() == []
    mend()
    told = "\n".join(alarming.tick())
    assert f"OVER  {what}" in told
    assert name not in alarming.on


def test_all_is_well(alarming: Alarming) -> None:
    """A shop that is loaded as it should be has no alarm, and nobody is told of anything."""
    alarming.bench.drop("products", f"products_{day(-1)}.json", catalogue((1, "P", "Toys", 1.5)))
    alarming.bench.drop("sales", f"sales_{day(-1)}.csv", sold(1))
    alarming.load("products", None)
    alarming.load("sales", -1)
    assert alarming.tick() == []
    assert alarming.on == set()


def test_the_warehouse_is_never_opened(alarming: Alarming, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick does not touch DuckDB, whatever it finds."""
    quarantined(alarming)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("the warehouse was opened")

    monkeypatch.setattr(duckdb, "connect", refuse)
    assert len(alarming.tick()) == 1


def test_a_thousand_bad_files_are_one_message(alarming: Alarming) -> None:
    """A flood is one message with a number and the first three files."""
    for number in range(1000):
        alarming.bench.drop("sales", f"sales_{day(-1)}_{number:03}.csv", f"wrong{number}\n")
    alarming.load("sales", -1)
    (message,) = alarming.tick()
    assert "1,000 files were refused and not replaced" in message
    assert [line for line in message.splitlines() if "sales_" in line and "no_header" in line][:1]
    assert "and 997 more" in message
    assert message.count(".csv: ") == 3
    assert alarming.tick() == []


def test_after_a_lost_warehouse_nothing_is_told_twice(alarming: Alarming) -> None:
    """What was told is kept apart from the warehouse."""
    quarantined(alarming)
    assert len(alarming.tick()) == 1
    for path in alarming.bench.data_dir.glob("warehouse.duckdb*"):
        path.unlink()
    assert alarming.tick() == []
    assert "file_quarantined:sales" in alarming.on


def test_a_silence_holds_until_it_ends(alarming: Alarming) -> None:
    """A silenced alarm is on and not told; when the silence ends it is."""
    from click.testing import CliRunner

    from orchestration_project.cli.main import main

    quarantined(alarming)
    arguments = ["silence", "file_quarantined:sales", "--until", "1h", "--reason", "known", "--by", "Ada"]
    with alarming.bench.environment():
        assert CliRunner().invoke(main, arguments).exit_code == 0
    assert alarming.tick() == []
    with alarming.bench.environment():
        listed = CliRunner().invoke(main, ["alarms", "--json"])
    assert listed.exit_code == 1
    found = json.loads(listed.stdout)
    assert [item["id"] for item in found["alarms"]] == ["file_quarantined:sales"]
    assert [(item["who"], item["reason"]) for item in found["silences"]] == [("Ada", "known")]
    (message,) = alarming.tick(2 * HOUR)
    assert "ALARM  sales: 1 file was refused" in message


def test_notes_tell_of_a_load_what_the_warehouse_has(alarming: Alarming) -> None:
    """After a load, a waiver and a withdrawal the note says how many rejects are open."""
    many_rejects(alarming)
    note = Path(alarming.bench.data_dir / "state" / "sales.json")

    def noted() -> tuple[int, str]:
        found = json.loads(note.read_text(encoding="utf-8"))
        return found["open_rejects"], found["oldest_open_reject"]

    from click.testing import CliRunner

    from orchestration_project.cli.main import main

    assert noted() == (3, day(-1))
    rejects = [name for (name,) in alarming.bench.query("SELECT _reject_id FROM rejected_sales ORDER BY 1")]
    with alarming.bench.environment():
        waived = CliRunner().invoke(main, ["waive", "sales", "--by", "Ada", "--because", "x", "--reject", rejects[0]])
        assert waived.exit_code == 0
    assert noted() == (2, day(-1))
    with alarming.bench.environment():
        file = f"sales_{day(-1)}.csv"
        assert CliRunner().invoke(main, ["withdraw", "sales", file, "--reason", "x"]).exit_code == 0
    assert noted() == (0, "")
