"""`cold-archive`: prove what is in the cold archive, and find it again from a machine that lost its archive."""

import click


@click.group("cold-archive")
def cold_archive() -> None:
    """Prove the files at COLD_ARCHIVE_URL, or find them again. The asset file_retention moves files there."""


@cold_archive.command("verify")
@click.pass_context
def verify_cold(context: click.Context) -> None:
    """Fetch each file of the archive that is in the cold archive, and compare its bytes. One at a time is on this disk.

    Exits with 0 when all are there as they were, 1 when one is missing or damaged, 2 when it could not be verified.

    Example: orchestration-project cold-archive verify
    """
    from orchestration_project.errors import visible
    from orchestration_project.retention.cool import prove
    from orchestration_project.settings import Settings

    found = prove(Settings.from_env(), click.echo)
    for line in found.findings:
        click.echo(visible(line))
    compared = f"{found.files:,} file(s), {found.bytes:,} bytes, of the cold archive read and compared: "
    click.echo(compared + (f"{len(found.findings):,} finding(s)" if found.findings else "all proven"))
    context.exit(int(bool(found.findings)))


@cold_archive.command("relink")
def relink_cold() -> None:
    """Make the archive's links to the cold archive anew, on a machine that lost its archive and has no backup.

    What is at a place stays as it is. Files that were never moved are not in the cold archive.

    Example: orchestration-project cold-archive relink
    """
    from orchestration_project.retention.cool import relink_all
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    made = relink_all(settings)
    click.echo(f"{made:,} file(s) of the cold archive are in the archive again, as links.")
    if made:
        click.echo("`orchestration-project rebuild FEED` makes a feed's tables from them.")
