"""The files around the package: make targets, Dagster's instance, locks and lint settings."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance.config import PoolGranularity
from dagster._core.workspace.load import location_origins_from_yaml_paths

REPOSITORY = Path(__file__).parents[1]
TARGETS = set(
    "help run test lakes dev check torture cluster browser screenshots bench bench-full bench-cluster".split()
)
PROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
LOCK: dict[str, Any] = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))
LIST_ITEM = re.compile(r'^    "[A-Z]+\d*",')

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def make(*arguments: str, folder: Path = REPOSITORY, path: str | None = None) -> subprocess.CompletedProcess[str]:
    # What a make that runs these tests exports, such as its flags, is not for the make that is tested.
    kept = {"HOME", "LANG", "LC_ALL"}
    environment = {name: value for name, value in os.environ.items() if name in kept}  # noqa: TID251 - for a child
    environment["PATH"] = path or os.defpath
    program = shutil.which("make")
    assert program
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@needs_make
def test_make_alone_explains_the_targets() -> None:
    """`make` lists every target that is for people, each with a line of explanation."""
    lines = [line.split(None, 2) for line in make().stdout.splitlines()]
    assert {words[1] for words in lines} == TARGETS
    assert all(len(words) == 3 for words in lines)


@needs_make
@pytest.mark.parametrize(
    ("script", "said"),
    [
        pytest.param("exit 127", "found: none", id="no Python"),
        pytest.param("echo 3.9", r"found: python3 \(3\.9\)", id="too old"),
        pytest.param("echo 3.15", r"found: python3 \(3\.15\)", id="too new"),
        pytest.param(
            'case "$*" in *ensurepip*) exit 1 ;; esac; echo 3.12',
            r"Found python3 \(3\.12\), but without ensurepip(.|\n)*apt install python3-venv",
            id="Debian's Python without venv",
        ),
    ],
)
def test_make_says_which_python_is_missing(script: str, said: str, tmp_path: Path) -> None:
    """Without a Python that fits, the first command ends with what was found and what to do."""
    checkout, programs = tmp_path / "a checkout", tmp_path / "bin"
    checkout.mkdir()
    programs.mkdir()
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy(REPOSITORY / name, checkout)
    for name in ("sh", "cat", "echo"):
        (programs / name).symlink_to(str(shutil.which(name)))
    python = programs / "python3"
    python.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    python.chmod(0o755)
    done = make("test", folder=checkout, path=str(programs))
    assert done.returncode != 0
    assert re.search(said, done.stderr), done.stderr
    assert not (checkout / ".venv").exists()


@needs_make
def test_make_prepares_dagster_home(tmp_path: Path) -> None:
    """DAGSTER_HOME gets the repository's dagster.yaml, and one that is there already is kept."""
    home = tmp_path / "a home"
    make("home", f"DAGSTER_HOME={home}")
    config = home / "dagster.yaml"
    assert config.read_bytes() == (REPOSITORY / "dagster.yaml").read_bytes()
    config.unlink()
    config.write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    make("home", f"DAGSTER_HOME={home}")
    assert config.read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"


@needs_make
def test_make_run_covers_all_days_of_the_sample() -> None:
    """The partitions come from the names of the committed files."""
    days = sorted(path.stem.removeprefix("sales_") for path in (REPOSITORY / "data/sample/sales").glob("*.csv"))
    assert f'--partition-range "{days[0]}...{days[-1]}"' in make("--dry-run", "run").stdout


@needs_make
def test_make_keeps_a_variable_from_dagster_that_stops_its_web_server(tmp_path: Path) -> None:
    """`DAGSTER_MODULE_NAME` of whoever types `make dev` does not reach Dagster."""
    makefile = tmp_path / "Makefile"
    lines = ["export DAGSTER_MODULE_NAME = shop", "include Makefile", "told:", "\t@echo [$$DAGSTER_MODULE_NAME]"]
    makefile.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert make("-f", str(makefile), "told").stdout == "[]\n"


def test_dagster_yaml_is_a_working_instance(tmp_path: Path) -> None:
    """Dagster accepts dagster.yaml, and the settings that matter are in force."""
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert instance.run_monitoring_max_runtime_seconds > 0
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.default_pool_limit == 1
        assert concurrency.pool_config.pool_granularity is PoolGranularity.RUN
        assert concurrency.run_queue_config
        assert concurrency.run_queue_config.max_concurrent_runs > 1


def test_one_name_for_the_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    """`dagster`, `dg` and the workspace file name the location alike; schedules and history hang on that name."""
    monkeypatch.chdir(REPOSITORY)
    (origin,) = location_origins_from_yaml_paths(["workspace.yaml"])
    tool = PROJECT["tool"]
    assert origin.location_name == "orchestration_project"
    assert tool["dagster"]["code_location_name"] == origin.location_name
    assert tool["dg"]["project"]["code_location_name"] == origin.location_name
    assert tool["dagster"]["module_name"] == origin.loadable_target_origin.module_name


def test_lock_names_public_addresses_only() -> None:
    """Whoever clones the repository can install from the lock."""
    text = (REPOSITORY / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"\w+://[^/\"]*", text)) == {"https://pypi.org", "https://files.pythonhosted.org"}
    sources = [package["source"] for package in LOCK["package"]]
    assert all(source in ({"registry": "https://pypi.org/simple"}, {"editable": "."}) for source in sources)


def test_lock_holds_the_pins() -> None:
    """What pyproject.toml pins exactly is what the lock installs."""
    locked = {
        package["name"]: package["version"] for package in LOCK["package"] if package["source"] != {"editable": "."}
    }
    extras = itertools.chain.from_iterable(PROJECT["project"]["optional-dependencies"].values())
    wanted = [*PROJECT["project"]["dependencies"], *extras, *PROJECT["dependency-groups"]["dev"]]
    pins = dict(requirement.split("==") for requirement in wanted if "==" in requirement)
    assert "dagster" in pins
    assert {name: locked[name] for name in pins} == pins


def test_every_lint_rule_and_every_ignore_has_its_reason() -> None:
    """A rule is chosen, or switched off, for a reason that stands beside it."""
    lines = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if LIST_ITEM.match(line)]
    lint = PROJECT["tool"]["ruff"]["lint"]
    assert len(rules) == len(lint["select"]) + len(lint["ignore"])
    assert [line for line in rules if not re.search(r"#\s+\S.{4,}", line)] == []


def test_every_suppression_in_code_names_its_rule() -> None:
    """No blanket `noqa` or `type: ignore` hides more than it says."""
    blanket = re.compile(r"# noqa(?!:)|# type: ignore(?!\[)")
    modules = [*(REPOSITORY / "orchestration_project").rglob("*.py")]
    assert [str(path) for path in modules if blanket.search(path.read_text(encoding="utf-8"))] == []


def test_ci_runs_what_people_type() -> None:
    """`.ci/run` is executable and calls the make targets."""
    script = REPOSITORY / ".ci" / "run"
    assert os.access(script, os.X_OK)
    called = re.findall(r"^make (\w+)", script.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert called == ["check", "browser", "test", "lakes", "run", "cluster"]


def test_the_hosted_workflow_runs_what_people_type() -> None:
    """The workflow calls `.ci/run` with each Python that the project supports, and is given no secrets."""
    text = (REPOSITORY / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert [f"Programming Language :: Python :: {version}" for version in job["strategy"]["matrix"]["python"]] == [
        classifier for classifier in PROJECT["project"]["classifiers"] if "Python :: 3" in classifier
    ]
    assert job["steps"][-1]["run"] == ".ci/run"
    assert job["steps"][-1]["env"] == {"PYTHON": "python${{ matrix.python }}"}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    assert "${{ secrets" not in text


def test_commit_hooks_use_the_locked_tools() -> None:
    """Every hook runs a tool of `make check` or of pre-commit-hooks, the one that the lock installed."""
    checks = (REPOSITORY / "Makefile").read_text(encoding="utf-8").replace("$(BIN)", ".venv/bin")
    scripts = {f".venv/bin/{script.name}" for script in entry_points(group="console_scripts") if _is_hook(script)}
    config = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    entries = [hook["entry"] for repo in config["repos"] for hook in repo["hooks"]]
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    assert {"check-yaml", "check-toml", "check-added-large-files"} <= {Path(entry.split()[0]).name for entry in entries}
    assert [
        entry
        for entry in entries
        if entry.removesuffix(" --force-exclude") not in checks and entry.split()[0] not in scripts
    ] == []


def _is_hook(script: EntryPoint) -> bool:
    return script.value.startswith("pre_commit_hooks.")


@pytest.mark.skipif(not (REPOSITORY / ".git").exists() or not shutil.which("git"), reason="not a git checkout")
def test_what_is_made_at_run_time_is_ignored_by_git() -> None:
    """After `make run` and `make dev` the working tree is clean, and the sample is not ignored."""
    made = ["data/warehouse.duckdb", "data/landing/sales/a.csv", ".dagster_home/dagster.yaml", ".venv/bin/python"]
    kept = ["data/sample/sales/sales_2024-01-15.csv", "orchestration_project/defs/sales/defs.yaml"]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", *made, *kept],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == made


def test_python_of_the_tests_is_one_that_make_accepts() -> None:
    """The versions in the Makefile are those of `requires-python`."""
    accepted = re.search(r'case "\$\$version" in ([\d.|]+)\)', (REPOSITORY / "Makefile").read_text(encoding="utf-8"))
    assert accepted
    assert accepted[1] == "3.11|3.12|3.13"
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    assert "{}.{}".format(*sys.version_info) in accepted[1].split("|")


@pytest.mark.promise("seen")
@pytest.mark.found("where port 3000 was taken, `make dev` could not be told another one")
def test_the_port_of_the_ui_is_a_setting() -> None:
    """`make dev PORT=` chooses the port; 3000 is the default."""
    for given, port in ((["PORT=3123"], "3123"), ([], "3000")):
        told = subprocess.run(
            ["make", "--dry-run", "dev", *given],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"--host 127.0.0.1 --port {port}" in told
