"""The files in `deploy/cluster`: what they name exists, and containers have no more rights than they need."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.workspace.load import location_origins_from_yaml_paths

from orchestration_project.components.celery_launcher import CeleryLauncher
from orchestration_project_tests.cluster.machines import CONFIGURATION, DEFINITIONS
from orchestration_project_tests.components.workbench import REPOSITORY

IMAGE = "orchestration-project"
# Of the images of PostgreSQL itself.
SERVERS = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"}


def read(name: str) -> Any:
    return yaml.safe_load((CONFIGURATION / name).read_text(encoding="utf-8"))


def known_variables() -> set[str]:
    """The environment variables that somebody reads: settings.py, dagster.yaml or workspace.yaml."""
    settings = (REPOSITORY / "orchestration_project" / "settings.py").read_text(encoding="utf-8")
    files = "".join((CONFIGURATION / f"{name}.yaml").read_text(encoding="utf-8") for name in ("dagster", "workspace"))
    return set(re.findall(r'env\.get\("([A-Z_]+)"', settings)) | set(re.findall(r"env: ([A-Z_]+)", files))


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    """Dagster with the cluster's dagster.yaml, but with its history in a folder: no server is asked."""
    config = read("dagster.yaml")
    del config["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("CELERY_BROKER_URL", "memory://")
    return dg.DagsterInstance.from_config(str(tmp_path))


def test_dagster_accepts_its_configuration(history: dg.DagsterInstance) -> None:
    """The launcher is ours, a dead worker is asked for often enough, and a failed check is not tried again."""
    with history:
        assert isinstance(history.run_launcher, CeleryLauncher)
        assert history.run_launcher.supports_check_run_worker_health
        assert history.run_monitoring_enabled
        assert history.run_monitoring_settings["poll_interval_seconds"] <= 10
        assert history.run_retries_enabled
        assert not history.run_retries_retry_on_asset_or_op_failure
        assert history.get_concurrency_config().pool_config.default_pool_limit == 1


def test_one_machine_needs_none_of_it() -> None:
    """Definitions and commands load without Celery, Redis and dagster-postgres; its dagster.yaml names none."""
    code = (
        "import sys; import orchestration_project.definitions; import orchestration_project.cli.main;"
        " print({'celery', 'redis', 'kombu', 'dagster_celery', 'dagster_postgres'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert not re.search("celery|postgres", (REPOSITORY / "dagster.yaml").read_text(encoding="utf-8"), re.IGNORECASE)


def test_the_workspace_names_the_code_location(monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemon and web server ask the code server of the variables, under the name that schedules and history hang on."""
    monkeypatch.setenv("CODE_SERVER_HOST", "code-server")
    monkeypatch.setenv("CODE_SERVER_PORT", "4000")
    (origin,) = location_origins_from_yaml_paths([str(CONFIGURATION / "workspace.yaml")])
    assert origin.location_name == "orchestration_project"


def test_the_compose_file_is_valid() -> None:
    """It fits the schema of compose files."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, CONFIGURATION / "compose.yaml"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dockerfile_is_valid() -> None:
    """Hadolint has nothing to say, the image's user is not root, and each file that it copies exists."""
    program, file = Path(sys.executable).with_name("hadolint"), CONFIGURATION / "Dockerfile"
    done = subprocess.run([program, file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    text = file.read_text(encoding="utf-8")
    (user,) = re.findall(r"^USER (\d+):\d+$", text, re.MULTILINE)
    assert int(user) > 0
    copied = [words.split() for words in re.findall(r"^COPY (?!--)(.*)$", text, re.MULTILINE)]
    sources = {source for *names, _ in copied for source in names}
    assert [name for name in sources if not (REPOSITORY / name).exists()] == []
    ignored = (CONFIGURATION / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    assert {line[1:] for line in ignored.splitlines() if line.startswith("!")} == sources


def test_containers_may_write_to_their_data_alone() -> None:
    """Each container of ours has a read-only root, no capabilities, and variables that somebody reads."""
    services = read("compose.yaml")["services"]
    ours = {name: service for name, service in services.items() if service["image"].startswith(IMAGE)}
    assert set(ours) == {"history", "code-server", "daemon", "webserver", "worker"}
    for service in ours.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["environment"]) <= known_variables()
    assert set(services["postgres"]["environment"]) == SERVERS
    # Everybody who sees a port is served: only this machine may.
    assert [port for service in services.values() for port in service.get("ports", [])] == ["127.0.0.1:3000:3000"]
    assert DEFINITIONS in ours["code-server"]["command"]
    assert not [service["image"] for service in services.values() if not re.search(r":\d+\.\d+", service["image"])]


def test_the_values_of_the_chart() -> None:
    """They start a pod for each run: not as root, writing to volumes alone, with variables that somebody reads."""
    values = read("helm-values.yaml")
    assert values["runLauncher"]["type"] == "K8sRunLauncher"
    (deployment,) = values["dagster-user-deployments"]["deployments"]
    assert DEFINITIONS in deployment["dagsterApiGrpcArgs"]
    assert {variable["name"] for variable in deployment["env"]} <= known_variables()
    pods = values["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]
    for pod, container in [
        (deployment["podSecurityContext"], deployment["securityContext"]),
        (pods["podSpecConfig"]["securityContext"], pods["containerConfig"]["securityContext"]),
    ]:
        assert pod["runAsNonRoot"]
        assert pod["runAsUser"] > 0
        assert container["readOnlyRootFilesystem"]
        assert not container["allowPrivilegeEscalation"]
        assert container["capabilities"] == {"drop": ["ALL"]}
    concurrency = values["additionalInstanceConfig"]["concurrency"]
    assert concurrency["pools"] == read("dagster.yaml")["concurrency"]["pools"]


def test_versions_are_those_of_the_lock() -> None:
    """The chart is of the Dagster that is installed, the image of this release."""
    text = (CONFIGURATION / "helm-values.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"(?:dagster/dagster |--version )([\d.]+\d)", text)) == {version("dagster")}
    assert f"dagster-k8s {version('dagster-celery')}" in text
    (deployment,) = read("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    assert deployment["image"]["tag"] == version("orchestration-project")
    assert read("compose.yaml")["services"]["worker"]["image"] == f"{IMAGE}:{version('orchestration-project')}"
