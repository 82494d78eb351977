"""The file for Prometheus, read by Prometheus' own parser."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from orchestration_project.cli.main import main
from orchestration_project.health.metrics import MEASURED, exposition, metrics_file, write_metrics
from orchestration_project.health.model import METRICS, Kind, Unit, measured
from orchestration_project.settings import Settings
from orchestration_project_tests.health.runs import NOW

FIGURES = [
    *measured(Kind.JOB, 'a"b\\c\nd', runs=3, duration_mean=1.5),
    *measured(Kind.DISK, "data", free_share=0.25),
]


def test_prometheus_reads_what_was_measured() -> None:
    """Each figure comes back with its subject, whatever that is called, and each metric says what it means."""
    families = {family.name: family for family in text_string_to_metric_families(exposition(NOW, FIGURES).decode())}
    found = {
        (sample.name, sample.labels.get("name")): sample.value for each in families.values() for sample in each.samples
    }
    assert found == {
        ("orchestration_project_job_runs", 'a"b\\c\nd'): 3,
        ("orchestration_project_job_duration_mean_seconds", 'a"b\\c\nd'): 1.5,
        ("orchestration_project_disk_free_share_ratio", "data"): 0.25,
        (MEASURED, None): NOW.timestamp(),
    }
    assert families.keys() == {metric.exported_as for metric in METRICS} | {MEASURED}
    assert all(family.documentation and family.type == "gauge" for family in families.values())


def test_names_end_with_the_unit() -> None:
    """A metric that is no count says its unit, as Prometheus asks for."""
    assert all(metric.exported_as.endswith(f"_{metric.unit}") for metric in METRICS if metric.unit is not Unit.COUNT)
    assert len({metric.exported_as for metric in METRICS}) == len(METRICS)


def test_the_command_prints_the_newest_figures(data_dir: Path) -> None:
    """`metrics` prints the file as it is."""
    write_metrics(Settings.from_env(), NOW, [])
    written = write_metrics(Settings.from_env(), NOW, FIGURES)
    done = CliRunner().invoke(main, ["metrics"])
    assert (done.exit_code, done.output) == (0, written.read_text(encoding="utf-8"))
    assert [path.name for path in written.parent.iterdir()] == [written.name]


def test_without_figures_the_command_says_what_to_do(data_dir: Path) -> None:
    """Before the first measurement it exits with 1 and names the asset."""
    done = CliRunner().invoke(main, ["metrics"])
    assert done.exit_code == 1
    assert str(metrics_file(Settings.from_env())) in done.output
    assert "platform_health" in done.output


@pytest.mark.parametrize("name", ["job", "instance"])
def test_no_label_is_one_of_prometheus_own(name: str) -> None:
    """A label that a scrape sets itself would be renamed."""
    assert f"{{{name}=" not in exposition(NOW, FIGURES).decode()
