"""`worker`: the process of a cluster that carries runs out."""

import click

from orchestration_project.errors import PlatformError


@click.command("worker")
@click.option("--queue", "queues", multiple=True, metavar="NAME", help="A queue to take runs from; may be repeated.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(1), help="How many runs at a time.")
@click.option(
    "--log-level",
    default="INFO",
    show_default=True,
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
    help="What of Celery's log is shown.",
)
def worker(queues: tuple[str, ...], runs: int, log_level: str) -> None:
    """Take runs of a cluster from its queues and carry them out, until it is stopped.

    Without --queue it takes those of the default queue. It reads the dagster.yaml in DAGSTER_HOME, which names the
    broker. SIGTERM lets the runs that are under way end; a kill takes them along, and Dagster starts them elsewhere.

    Example: orchestration-project worker --queue dagster --queue heavy --runs 2
    """
    from orchestration_project.settings import Settings

    home = Settings.from_env().dagster_home
    if home is None:
        raise PlatformError("DAGSTER_HOME is not set: it is the folder with the cluster's dagster.yaml")
    try:
        from orchestration_project.components.celery_worker import run_worker
    except ModuleNotFoundError as error:
        raise PlatformError(f"{error.name} is not installed: pip install 'orchestration-project[cluster]'") from error
    run_worker(home, queues, runs, log_level)
