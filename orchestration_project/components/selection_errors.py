"""What `dagster asset materialize` can't select, in one line in the place of forty.

The command tells a forgotten partition or a day to come by an exception that nothing catches. It loads the definitions
in its own process, so they can see to how that is shown.
"""

import sys
import traceback
from pathlib import Path
from types import TracebackType

import dagster as dg
from dagster._check import CheckError

COMMAND = ("dagster", "_cli", "asset.py")
"""The end of the path of the command's module."""
OPTIONS = ("--partition", "--partition-range")


def tell_selections_in_one_line() -> None:
    """Let this process end with one line where the command refuses a selection. Other errors are shown as before."""
    if sys.excepthook is not _show:
        sys.excepthook = _show


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    line = told(error, sys.argv)
    if line is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"Error: {line}", file=sys.stderr)  # noqa: T201 - it takes the place of Python's own traceback


def told(error: BaseException, arguments: list[str]) -> str | None:
    """The line for an error of the command; None for any other error.

    Args:
        error: with its traceback.
        arguments: those of the command line.
    """
    files = [Path(frame.filename).parts[-3:] for frame in traceback.extract_tb(error.__traceback__)]
    if not isinstance(error, dg.DagsterInvalidSubsetError | CheckError) or COMMAND not in files:
        return None
    text = " ".join(str(error).split()).removeprefix("Failure condition: ")
    if "no '--partition' option" in text:
        return (
            "the selected assets have partitions: add --partition 2024-01-15, or"
            " --partition-range 2024-01-15...2024-01-21 for several"
        )
    if "containing the passed partition key" in text:
        given = " ".join(_values(arguments))
        return (
            f"no asset has the partition {given}, or not all that are selected: there is one for each batch from the"
            " feed's start_date to the last one that is over"
        )
    return text


def _values(arguments: list[str]) -> list[str]:
    """What was given for the options that name partitions: `--partition KEY` or `--partition=KEY`."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    separate = [value for option, value in pairs if option in OPTIONS]
    return separate + [
        value for option, _, value in (each.partition("=") for each in arguments) if value and option in OPTIONS
    ]
