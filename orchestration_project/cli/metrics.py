"""`metrics`: the platform's newest figures for Prometheus, without waiting for the warehouse."""

import click


@click.command("metrics")
@click.pass_context
def print_metrics(context: click.Context) -> None:
    """Print the newest figures of the platform's health in the text format of Prometheus.

    They are those of `$DATA_DIR/metrics/orchestration_project.prom`, which each run of `platform_health` writes.

    Exits with 1 when there are none yet.

    Example: orchestration-project metrics | grep free_share
    """
    from orchestration_project.health.metrics import metrics_file
    from orchestration_project.settings import Settings

    path = metrics_file(Settings.from_env())
    try:
        click.echo(path.read_text(encoding="utf-8"), nl=False)
    except FileNotFoundError:
        click.echo(
            f"There are no figures in {path} yet: the asset platform_health measures them. Switch its schedule on, or"
            " materialize it.",
            err=True,
        )
        context.exit(1)
