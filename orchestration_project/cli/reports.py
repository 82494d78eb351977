"""`status` and `summary`: how things stand."""

import datetime as dt

import click


@click.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ"]),
    metavar="MOMENT",
    help="Also tell what came in since this moment (UTC), or that nothing did; written 2024-01-15T06:00:00Z.",
)
def summary(since: dt.datetime | None) -> None:
    """Print what the warehouse holds: files, records, what was rejected and why, the top products.

    Example: python -m orchestration_project summary --since 2024-01-15T06:00:00Z
    """
    from rich.console import Console

    from orchestration_project.settings import Settings
    from orchestration_project.summary import print_summary

    print_summary(Console(), Settings.from_env(), since.replace(tzinfo=dt.UTC) if since else None)
