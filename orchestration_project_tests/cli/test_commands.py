"""The commands of `orchestration-project`, as they are typed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project.cli.samples import COMMITTED_SAMPLE
from orchestration_project.warehouse.duckdb_file import DuckdbFile

SAMPLE_FILES = 8


def command(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result


def landed(data_dir: Path) -> dict[str, bytes]:
    landing = data_dir / "landing"
    return {str(path.relative_to(landing)): path.read_bytes() for path in landing.rglob("*") if path.is_file()}


def test_module_is_a_command() -> None:
    """`python -m orchestration_project` lists what it can do."""
    done = subprocess.run(
        [sys.executable, "-m", "orchestration_project", "--help"], capture_output=True, text=True, check=True
    )
    assert all(
        name in done.stdout for name in ("explain", "load-sample", "new-feed", "sample", "status", "summary", "verify")
    )


def test_sample_tells_what_it_injected(tmp_path: Path) -> None:
    """`sample` writes the files and prints the defects in them."""
    result = command("sample", str(tmp_path), "--days", "2", "--rows", "100", "--defect-rate", "0.5")
    assert "repeated_key" in result.output
    assert f"in {tmp_path}" in result.output
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        "products_2024-01-15.json",
        "sales_2024-01-15.csv",
        "sales_2024-01-16.csv",
    ]


def test_sample_starts_on_the_day_asked_for(tmp_path: Path) -> None:
    """`--first-day` names the first file."""
    command("sample", str(tmp_path), "--days", "1", "--first-day", "2025-02-28", "--defect-rate", "0")
    assert (tmp_path / "sales" / "sales_2025-02-28.csv").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--rows", "0"], id="no rows"),
        pytest.param(["--defect-rate", "0.9"], id="too many defects"),
        pytest.param(["--first-day", "15.01.2024"], id="day in another form"),
    ],
)
def test_sample_refuses_what_it_cannot_make(arguments: list[str], tmp_path: Path) -> None:
    """A wrong option ends the command and is named."""
    result = CliRunner().invoke(main, ["sample", str(tmp_path / "out"), *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output
    assert not (tmp_path / "out").exists()


def test_load_sample_delivers_to_landing(data_dir: Path) -> None:
    """`load-sample` copies the committed sample to the drop folders, unchanged."""
    result = command("load-sample")
    committed = {
        str(path.relative_to(COMMITTED_SAMPLE)): path.read_bytes()
        for path in COMMITTED_SAMPLE.rglob("*")
        if path.is_file()
    }
    assert landed(data_dir) == committed
    assert f"{SAMPLE_FILES} files delivered to landing: " in result.output


def test_load_sample_leaves_files_in_landing_alone(data_dir: Path) -> None:
    """What lies in landing already is not delivered again."""
    command("load-sample")
    before = {path: path.stat().st_mtime_ns for path in (data_dir / "landing").rglob("*")}
    result = command("load-sample")
    assert f"{SAMPLE_FILES} files delivered before, left alone: " in result.output
    assert "to landing" not in result.output
    assert {path: path.stat().st_mtime_ns for path in (data_dir / "landing").rglob("*")} == before


@pytest.mark.parametrize("folder", ["2024-01-15", "2024-01-15/v2", "2024-01-15/duplicate"])
def test_load_sample_knows_the_archive(folder: str, data_dir: Path) -> None:
    """What was accepted before is not delivered again, wherever in the archive it lies."""
    name = "sales_2024-01-15.csv"
    archived = data_dir / "archive" / "sales" / folder / name
    archived.parent.mkdir(parents=True)
    archived.write_bytes((COMMITTED_SAMPLE / "sales" / name).read_bytes())
    result = command("load-sample")
    assert f"1 file delivered before, left alone: {name}\n" in result.output
    assert f"sales/{name}" not in landed(data_dir)


def test_load_sample_delivers_a_changed_file(data_dir: Path) -> None:
    """The same name with other bytes in the archive is another version, and is delivered."""
    archived = data_dir / "archive" / "sales" / "2024-01-15" / "sales_2024-01-15.csv"
    archived.parent.mkdir(parents=True)
    archived.write_text("order_id\n", encoding="utf-8")
    assert f"{SAMPLE_FILES} files delivered to landing" in command("load-sample").output


def test_load_sample_takes_another_folder(tmp_path: Path, data_dir: Path) -> None:
    """`--from` delivers what `sample` made."""
    command("sample", str(tmp_path / "made"), "--days", "1", "--rows", "10")
    command("load-sample", "--from", str(tmp_path / "made"))
    assert sorted(landed(data_dir)) == ["products/products_2024-01-15.json", "sales/sales_2024-01-15.csv"]


def test_verify_tells_by_its_exit_code(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` ends with 0 when all is proven, with 1 when something disagrees, with 2 when it can't tell."""
    assert "all proven" in command("verify").output
    archived = data_dir / "archive" / "sales" / "2024-01-15" / "sales_2024-01-15.csv"
    archived.parent.mkdir(parents=True)
    archived.write_text("order_id\n", encoding="utf-8")
    found = CliRunner().invoke(main, ["verify", "sales", "--json"])
    assert found.exit_code == 1
    result = json.loads(found.output)
    assert not result["proven"]
    assert [item["what"] for item in result["findings"]] == [
        "the warehouse is missing",
        "has to be rebuilt from the archive",
        "has to be rebuilt from the archive",
    ]
    monkeypatch.setenv("WAREHOUSE_LOCK_TIMEOUT", "0.1")
    with DuckdbFile(data_dir / "warehouse.duckdb").connection("the big load"):
        busy = CliRunner().invoke(main, ["verify"])
    assert busy.exit_code == 2
    assert "the big load" in busy.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["sails"], "no such feed: sails; there are products, sales; did you mean 'sales'?", id="feed"),
        pytest.param(["sales", "--batch", "15.01.2024"], "write it like 2010-01-01", id="batch"),
    ],
)
def test_verify_refuses_what_is_not_there(arguments: list[str], told: str, data_dir: Path) -> None:
    """A feed or batch that does not exist is named, with what does."""
    result = CliRunner().invoke(main, ["verify", *arguments])
    assert result.exit_code == 2
    assert told in result.output


def test_verify_looks_at_the_batches_that_are_named(data_dir: Path) -> None:
    """`--batch` leaves the other batches out."""
    with DuckdbFile(data_dir / "warehouse.duckdb").connection("makes it"):
        pass
    for day in ("2024-01-15", "2024-01-16"):
        archived = data_dir / "archive" / "sales" / day / f"sales_{day}.csv"
        archived.parent.mkdir(parents=True)
        archived.write_text("order_id\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", "sales", "--batch", "2024-01-16", "--json"])
    assert [item["batch"] for item in json.loads(result.output)["findings"]] == ["2024-01-16"]


def test_verify_has_nothing_to_rebuild_without_an_archive(data_dir: Path) -> None:
    """A warehouse that can't be read is told once where no feed has archived files."""
    (data_dir / "warehouse.duckdb").write_text("no database", encoding="utf-8")
    result = CliRunner().invoke(main, ["verify", "--json"])
    assert result.exit_code == 1
    assert [item["what"] for item in json.loads(result.output)["findings"]] == ["the warehouse can't be read"]
