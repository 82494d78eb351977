"""`new-feed` as it is typed: what is written where, what is said, and that nothing is overwritten."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project.contracts import load_feed


def new_feed(*arguments: str | Path, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["new-feed", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture
def sample(tmp_path: Path, data_dir: Path) -> Path:
    path = tmp_path / "till_2024-01-15.csv"
    path.write_text("receipt_id,amount\n1,2.50\n2,3.75\n", encoding="utf-8")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_draft_is_written_where_dagster_finds_it(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below defs by default, and what to do next is said."""
    (tmp_path / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n', encoding="utf-8")
    (tmp_path / "src/shop/defs").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "src")
    output = new_feed(sample, "--name", "till").stdout
    assert files(tmp_path / "src/shop/defs/till") == ["defs.yaml", "till.odcs.yaml"]
    steps = [line.strip() for line in output.partition("Next, in a shell:\n")[2].splitlines()]
    assert steps[0].startswith("# go through each `check:`")
    assert steps[1] == "dg check defs"
    assert steps[2].startswith("mkdir -p ")
    assert f"cp -- {sample} " in steps[2]
    tables = "raw_till,cleaned_till,rejected_till"
    assert steps[3:] == [f"dagster asset materialize -m shop.definitions --select {tables} --partition 2024-01-15"]


def test_without_a_project_a_folder_has_to_be_named(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written into the package that is installed."""
    monkeypatch.chdir(tmp_path)
    assert "There is no Dagster project here" in new_feed(sample, "--name", "till", exit_code=2).stderr
    output = new_feed(sample, "--name", "till", "--output", tmp_path / "draft").stdout
    assert f"# move {tmp_path / 'draft'} into the defs folder of your Dagster project" in output


def test_another_folder(sample: Path, tmp_path: Path) -> None:
    """`--output` takes it; the steps then move it, and load all days of the samples."""
    other = tmp_path / "it's till_2024-01-17.csv"
    other.write_bytes(sample.read_bytes().replace(b"1,", b"3,"))
    output = new_feed(sample, other, "--name", "till", "--output", tmp_path / "draft").stdout
    assert f"mv -- {tmp_path / 'draft'} " in output
    assert "--partition-range 2024-01-15...2024-01-17" in output
    assert shlex.quote(str(other)) in output
    assert files(tmp_path / "draft") == ["defs.yaml", "till.odcs.yaml"]


def test_a_totals_line_is_ignored(sample: Path, tmp_path: Path) -> None:
    """It is shown how many records the draft ignores."""
    sample.write_text("receipt_id,amount\n1,2.50\n2,3.75\n3,1.00\nTotal,7.25\n", encoding="utf-8")
    output = new_feed(sample, "--name", "till", "--output", tmp_path / "draft").stdout
    assert "ignored" in output
    assert "the last record of every sample looks like a total" in (tmp_path / "draft/till.odcs.yaml").read_text()


def test_very_many_columns(sample: Path, tmp_path: Path) -> None:
    """Their samples are counted by their values, which is said."""
    header = ["receipt_id", *(f"c{number}" for number in range(200))]
    rows = [[str(row), *("x" if number % 50 == row else f"{row}.50" for number in range(200))] for row in range(50)]
    sample.write_text("\n".join(map(",".join, [header, *rows])) + "\n", encoding="utf-8")
    output = new_feed(sample, "--name", "till", "--output", tmp_path / "draft").stdout
    assert "the samples were not loaded" in output
    (counts,) = (line.split() for line in output.splitlines() if line.strip().startswith("till_2024"))
    assert counts == ["till_2024-01-15.csv", "50", "0", "50"]
    contract = load_feed(tmp_path / "draft/till.odcs.yaml")
    assert {column.sql_type for column in contract.columns[1:]} == {"DECIMAL(18,2)"}


def test_nothing_is_overwritten(sample: Path, tmp_path: Path) -> None:
    """A feed that is there stays as it is."""
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "mine").write_text("x", encoding="utf-8")
    assert (
        "will not be overwritten"
        in new_feed(sample, "--name", "till", "--output", tmp_path / "draft", exit_code=2).stderr
    )
    assert "will not be overwritten" in new_feed(sample, "--name", "sales", exit_code=2).stderr
    assert files(tmp_path / "draft") == ["mine"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["till.csv"], "does not exist", id="no such file"),
        pytest.param([], "Missing argument", id="no file"),
        pytest.param(["SAMPLE", "--name", "Till!"], "can't be a feed's name", id="name"),
        pytest.param(["no_header.csv"], "has no header", id="no header"),
    ],
)
def test_what_cannot_be_drafted_is_said(arguments: list[str], said: str, sample: Path, tmp_path: Path) -> None:
    """In a line, with exit code 2, and nothing is written."""
    (tmp_path / "no_header.csv").write_text("1,2\n", encoding="utf-8")
    paths = [
        str(sample) if word == "SAMPLE" else str(tmp_path / word) if word.endswith(".csv") else word
        for word in arguments
    ]
    result = new_feed("--name", "till", "--output", tmp_path / "draft", *paths, exit_code=2)
    assert said in " ".join(result.stderr.split())
    assert not (tmp_path / "draft").exists()
