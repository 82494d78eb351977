"""The group of all commands, and how their errors end: one clear line and exit code 2."""

from typing import Any

import click

from orchestration_project.cli.alerts import alert_test, send_alerts, show_alarms, silence_alarm
from orchestration_project.cli.backup import backup
from orchestration_project.cli.cold import cold_archive
from orchestration_project.cli.explain import explain
from orchestration_project.cli.fetch import fetch_files
from orchestration_project.cli.lookup import find_value, where_is
from orchestration_project.cli.migrate import migrate_warehouse
from orchestration_project.cli.new_feed import new_feed
from orchestration_project.cli.published import publish_copy
from orchestration_project.cli.recovery import drop_unknown_feed, rebuild_feed, withdraw_file
from orchestration_project.cli.rejects import export_rejects, waive
from orchestration_project.cli.samples import load_sample, sample
from orchestration_project.cli.status import print_metrics, show_status
from orchestration_project.cli.summary import summary
from orchestration_project.cli.verify import make_history, verify_feeds
from orchestration_project.cli.watch import watch
from orchestration_project.cli.worker import worker
from orchestration_project.errors import PlatformError


class Failed(click.ClickException):
    """What was asked for could not be done, or could not be told."""

    # 1 is an answer: of `status` that a person is needed, of `verify` that something disagrees.
    exit_code = 2


class Commands(click.Group):
    """Commands whose expected errors are told without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except PlatformError as error:
            raise Failed(str(error)) from error
        # Before OSError, of which it is a kind.
        except BrokenPipeError:
            raise  # click's own affair: whoever read the output has seen enough
        # A disk that is full or a folder that is not ours: the operating system's own words say what to do.
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise Failed(f"{where}{error.strerror or error}") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Commands around the pipeline; the pipeline itself is run by `dagster` and `dg`."""


# In this order docs/commands.md has them: what people ask every day first.
for command in (
    show_status,
    show_alarms,
    silence_alarm,
    summary,
    explain,
    find_value,
    where_is,
    new_feed,
    fetch_files,
    export_rejects,
    waive,
    withdraw_file,
    verify_feeds,
    alert_test,
    send_alerts,
    print_metrics,
    watch,
    worker,
    publish_copy,
    rebuild_feed,
    drop_unknown_feed,
    migrate_warehouse,
    backup,
    cold_archive,
    sample,
    load_sample,
    make_history,
):
    main.add_command(command)
