"""`backup`: take a backup, list them, prove one, restore one."""

import datetime as dt
from typing import TYPE_CHECKING

import click

from orchestration_project.cli.common import new_console, new_table, print_json, printable
from orchestration_project.cli.project import project_here

if TYPE_CHECKING:
    from orchestration_project.backup.check import Checked, Whole
    from orchestration_project.backup.model import Snapshot


class Moment(click.ParamType[dt.datetime]):
    """A day, up to its end, or a day and time; of the machine's zone unless it has another."""

    name = "date"

    def convert(
        self, value: str | dt.datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> dt.datetime:
        """The moment, with a time zone."""
        if isinstance(value, dt.datetime):
            return value
        try:
            if len(value) > len("2024-01-15"):
                return dt.datetime.fromisoformat(value).astimezone()
            day = dt.date.fromisoformat(value) + dt.timedelta(days=1)
            return dt.datetime.combine(day, dt.time()).astimezone() - dt.timedelta(microseconds=1)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a day like 2024-01-15 nor a moment like 2024-01-15T08:00", param, ctx)


AT = click.option("--at", metavar="DATE", type=Moment(), help="The last backup up to this day or moment.")


@click.group("backup")
def backup() -> None:
    """Back everything up at BACKUP_URL, prove a backup, restore one."""


@backup.command("now")
@click.pass_context
def take(context: click.Context) -> None:
    """Take a backup, and prove what is new in it, and a sample of the rest, by restoring it into a scratch folder.

    Old backups stay: the asset warehouse_backup deletes them.

    Exits with 0 when it is proven, 1 when something is missing or damaged, 2 when no backup could be taken.

    Example: orchestration-project backup now
    """
    from orchestration_project.backup.nightly import nightly
    from orchestration_project.settings import Settings
    from orchestration_project.warehouse.connection import Warehouse

    settings = Settings.from_env()
    night = nightly(Warehouse.from_settings(settings), settings, dt.datetime.now(dt.UTC), click.echo)
    for note in night.taken.notes:
        click.echo(note)
    _end(context, night.checked)


@backup.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
@click.pass_context
def list_backups(context: click.Context, as_json: bool) -> None:
    """List the backups at BACKUP_URL, the newest last.

    Exits with 0 when there is one and all can be read, 1 when there is none or one is damaged, 2 when it can't be told.

    Example: orchestration-project backup list
    """
    from orchestration_project.backup.model import BackupError
    from orchestration_project.backup.vault import open_vault
    from orchestration_project.settings import Settings

    vault = open_vault(Settings.from_env().backup_url)
    found, broken = list["Snapshot"](), dict[str, str]()
    for name in vault.snapshot_ids():
        try:
            found.append(vault.snapshot(name))
        except BackupError as error:
            broken[name] = str(error)
    if as_json:
        print_json({"place": vault.store.url, "backups": [_plain(item) for item in found], "damaged": broken})
    else:
        _render(vault.store.url, found, broken)
    context.exit(int(bool(broken) or not found))


def _plain(item: "Snapshot") -> dict[str, object]:
    names = ("id", "taken_at", "release", "files", "tables", "rows", "content_bytes", "stored_bytes", "sealed_for")
    return {name: getattr(item, name) for name in names}


def _render(place: str, found: "list[Snapshot]", broken: dict[str, str]) -> None:
    console = new_console()
    table = new_table(
        f"Backups at {printable(place)}",
        taken_at=False,
        files=True,
        tables=True,
        rows=True,
        stored_bytes=True,
        encrypted=False,
        release=False,
    )
    for item in found:
        numbers = (f"{number:,}" for number in (item.files, item.tables, item.rows, item.stored_bytes))
        moment = f"{item.taken_at.astimezone():%F %T}"
        table.add_row(moment, *numbers, "yes" if item.sealed_for else "no", printable(item.release))
    console.print(table)
    for error in broken.values():
        console.print(printable(error), soft_wrap=True)


@backup.command("verify")
@AT
@click.pass_context
def verify_backup(context: click.Context, at: dt.datetime | None) -> None:
    """Prove all of a backup: restore it into a scratch folder, compare, and load a batch again from its files.

    It needs room for all data once more. What is missing or damaged is stored again by the next backup.

    Exits with 0 when all is proven, 1 when something is missing or damaged, 2 when it could not be verified.

    Example: orchestration-project backup verify --at 2024-01-15
    """
    from orchestration_project.backup.nightly import check_now
    from orchestration_project.settings import Settings

    found = check_now(Settings.from_env(), at, dt.datetime.now(dt.UTC), click.echo, _whole())
    _end(context, found)


def _whole() -> "Whole":
    from orchestration_project.components.backup import whole_check

    specs, proofs = project_here().feeds_and_proofs()
    return whole_check([*specs.values()], proofs)


def _end(context: click.Context, found: "Checked") -> None:
    from orchestration_project.errors import visible

    for line in [*found.problems, *found.notes]:
        click.echo(visible(line))
    compared = f"Backup {found.snapshot}: {found.objects:,} object(s), {found.bytes:,} bytes restored and compared: "
    click.echo(compared + ("all proven" if not found.problems else f"{len(found.problems):,} finding(s)"))
    context.exit(int(bool(found.problems)))


@backup.command("restore")
@AT
def restore_backup(at: dt.datetime | None) -> None:
    """Restore a backup to DATA_DIR, and Dagster's history to DAGSTER_HOME, neither of which has anything yet.

    All of it is compared before anything is put in its place. If WAREHOUSE_URL names a lake, which there must not be
    yet, its tables are counted and hashed once more. Killed half-way, run it again.

    Example: orchestration-project backup restore --at 2024-01-15
    """
    from orchestration_project.backup.restore import restore
    from orchestration_project.backup.vault import open_vault
    from orchestration_project.errors import visible
    from orchestration_project.settings import Settings

    settings = Settings.from_env()
    vault = open_vault(settings.backup_url)
    found = restore(settings, vault, vault.up_to(at), lambda line: click.echo(visible(line)))
    for note in found.notes:
        click.echo(visible(note))
    item = found.snapshot
    click.echo(
        f"Restored to {settings.data_dir}: {item.files:,} file(s), {item.tables:,} table(s) with {item.rows:,} rows, of"
        f" {item.taken_at.astimezone():%F %T}."
    )
    click.echo("`orchestration-project verify` proves that files, ledger and tables agree.")
