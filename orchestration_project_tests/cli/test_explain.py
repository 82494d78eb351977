"""`explain` as it is typed: which feed a file is for, what is printed, exit codes."""

import gzip
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from orchestration_project.cli.main import main
from orchestration_project_tests.components.sales_files import catalogue, sale, sales

SALES = "sales_2024-01-15.csv"


def explain(*arguments: str | Path, exit_code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["explain", *map(str, arguments)])
    assert result.exit_code == exit_code, result.output
    return result


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "exit_code", "said"),
    [
        pytest.param(sales(sale("A1")), 0, "would be loaded whole", id="whole"),
        pytest.param(sales(sale("A1"), sale("A2", channel="fax")), 1, "'fax'", id="a reject"),
        pytest.param("a,b\n1,2\n", 2, "would be refused as a whole", id="refused"),
    ],
)
def test_the_exit_code_is_the_verdict(text: str, exit_code: int, said: str, data_dir: Path) -> None:
    """0 for a file that would be loaded whole, 1 with rejects, 2 when it would be refused."""
    path = written(data_dir / "landing" / "sales" / SALES, text)
    assert said in explain(path, exit_code=exit_code).stdout


def test_the_folder_tells_the_feed(data_dir: Path) -> None:
    """A file in a drop folder, or in quarantine, is validated by that feed's contract."""
    for root in ("landing", "quarantine"):
        path = written(data_dir / root / "products" / "p_2024-01-15.json", catalogue((1, "Lamp", "Living", 4.0)))
        assert json.loads(explain(path, "--json").stdout)["feed"] == "products"


@pytest.mark.parametrize(
    ("name", "text", "feed"),
    [
        pytest.param(SALES, sales(sale("A1")), "sales", id="csv"),
        pytest.param("p_2024-01-15.json", catalogue((1, "Lamp", "Living", 4.0)), "products", id="json"),
    ],
)
def test_the_content_tells_the_feed(name: str, text: str, feed: str, tmp_path: Path, data_dir: Path) -> None:
    """A file elsewhere is validated by the feed whose format and columns it has, which is said beside the result."""
    result = explain(written(tmp_path / "mail" / name, text), "--json")
    assert json.loads(result.stdout)["feed"] == feed
    assert f"has the format and the columns of {feed}" in result.stderr


def test_json_has_the_documented_fields(data_dir: Path) -> None:
    """`--json` prints the fields that docs/commands.md lists."""
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    documented = page.partition("### What `explain --json` prints")[2].partition("\n#")[0]
    path = written(data_dir / "landing" / "sales" / SALES, sales(sale("A1"), sale("A2", channel="fax")))
    printed = json.loads(explain(path, "--json", exit_code=1).stdout)
    assert [name for name in printed if f"`{name}`" not in documented] == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("missing.csv", "does not exist", id="missing"),
        pytest.param(".", "is a directory", id="folder"),
        pytest.param("pipe", "is no regular file", id="pipe"),
        pytest.param("link.csv", "is no regular file", id="link"),
        pytest.param("2024-01-15.repair.csv", "is a repair file", id="repair file"),
        pytest.param("cut.csv.gz", "can't be decompressed", id="damaged"),
        pytest.param("other.csv", "has the columns of no feed (products, sales)", id="no feed's"),
    ],
)
def test_what_cannot_be_explained_is_said(name: str, said: str, tmp_path: Path, data_dir: Path) -> None:
    """In a line and with exit code 2; nothing is printed as a result."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link.csv").symlink_to(tmp_path / "other.csv")
    written(tmp_path / "2024-01-15.repair.csv", "")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n")[:-4])
    written(tmp_path / "other.csv", "a,b\n1,2\n")
    result = explain(tmp_path / name, exit_code=2)
    assert said in " ".join(result.stderr.split())
    assert not result.stdout


def test_a_relative_path(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found from where the command is typed, below a folder that is a link too."""
    written(tmp_path / "mail" / SALES, sales(sale("A1")))
    (tmp_path / "post").symlink_to(tmp_path / "mail")
    monkeypatch.chdir(tmp_path)
    explain(f"post/{SALES}", "--feed", "sales")


def test_a_mistyped_feed_is_corrected(data_dir: Path) -> None:
    """The nearest feed is suggested."""
    path = written(data_dir / SALES, sales(sale("A1")))
    assert "did you mean 'sales'?" in explain(path, "--feed", "sails", exit_code=2).stderr
