"""`migrate-warehouse`: copies the warehouse into one of another kind."""

import click

AFTERWARDS = "Nothing uses it yet. Set these for every process of the platform, and start them again:"


@click.command("migrate-warehouse")
@click.argument("target_url")
@click.option("--data", default="", help="Where the files of a lake go, as in WAREHOUSE_DATA: a folder or s3://...")
def migrate_warehouse(target_url: str, data: str) -> None:
    """Copy all tables of the warehouse to TARGET_URL, a DuckDB file or a lake, as WAREHOUSE_URL names them.

    The target must have no tables. Each table is counted and hashed on both sides; the target has all of them or none.
    The warehouse itself stays as it is. Loads wait for it to end. Killed half-way, run it again.

    Example: orchestration-project migrate-warehouse ducklake:sqlite:////srv/shop/lake.sqlite --data /srv/shop/lake
    """
    from dataclasses import replace

    from orchestration_project.errors import visible
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse
    from orchestration_project.warehouse.migrate import migrate

    settings = Settings.from_env()
    wanted = replace(settings, warehouse_url=target_url, warehouse_data=data)
    if data and not wanted.is_lake:
        raise click.UsageError("--data is for a lake; a DuckDB file has its rows in itself")
    target = Warehouse.from_settings(wanted)
    found = migrate(Warehouse.from_settings(settings), target, lambda line: click.echo(visible(line)))
    for note in found.notes:
        click.echo(visible(note))
    click.echo(f"{found.tables:,} tables with {found.rows:,} rows are in {visible(target.where)} now. {AFTERWARDS}")
    # A password is not printed: what a terminal shows is kept.
    url = "the URL that you gave" if "@" in target_url else target_url
    click.echo(visible(f"WAREHOUSE_URL={url}"))
    click.echo(visible(f"WAREHOUSE_DATA={wanted.lake_data if wanted.is_lake else ''}"))
