"""A project as a whole: the resources and the executor that all of its assets share, and what every asset gets.

Belongs here also how a mistake is shown to whoever loads the definitions: a fault of a contract last, a selection that
`dagster asset materialize` refuses in one line. Does not belong here: what a single component makes; that is in the
component's own module.
"""

import gc
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType

import dagster as dg
from dagster._check import CheckError
from dagster_shared.record import replace

from orchestration_project.components.io_manager import WarehouseIOManager
from orchestration_project.components.resources import PLATFORM, STEPWISE, Platform, publishing
from orchestration_project.components.source_links import with_source_links
from orchestration_project.errors import PlatformError

IO_MANAGER = WarehouseIOManager(platform=PLATFORM)
ASSET_COMMAND = ("dagster", "_cli", "asset.py")
"""The end of the path of the command's module."""
PARTITION_OPTIONS = ("--partition", "--partition-range")


def with_platform(
    definitions: dg.Definitions,
    resources: Mapping[str, object] | None = None,
    executor: dg.ExecutorDefinition | None = None,
) -> dg.Definitions:
    """The definitions, with the resources `platform` and `io_manager` and the in-process executor.

    Each component calls it for its own definitions. All of them bring the same objects, because `Definitions.merge`
    accepts a key that comes twice only if the object is the same. So a project that wants other ones must not merge
    them; it calls this function last, in its `definitions.py`:

        with_platform(dg.load_from_defs_folder(path_within_project=Path(__file__).parent), {"platform": mine})

    A resource is taken from `resources`, else from `definitions`, else from here. The IO manager from here writes to
    the warehouse of the `platform` that was taken. With the in-process executor a run publishes at its end.

    Args:
        definitions: of a component or of a project, not resolved yet.
        resources: the project's own resources by key.
        executor: the project's own executor; without it the one of the definitions, else the in-process one.
    """
    found = {"platform": PLATFORM, "io_manager": IO_MANAGER, **(definitions.resources or {}), **(resources or {})}
    chosen = executor or definitions.executor or dg.in_process_executor
    platform = found["platform"]
    if platform is PLATFORM and chosen is not dg.in_process_executor:
        platform = STEPWISE
    elif isinstance(platform, Platform) and chosen is dg.in_process_executor:
        platform = publishing(platform)
    found["platform"] = platform
    # Otherwise assets would read one warehouse and the IO manager write to another: once, with a `data_dir` of its own,
    # a project still wrote to `$DATA_DIR`.
    if found["io_manager"] is IO_MANAGER and platform is not PLATFORM and isinstance(platform, Platform):
        found["io_manager"] = WarehouseIOManager(platform=platform)
    return replace(definitions, resources=found, executor=chosen)


def load_project(defs_module: ModuleType, root: Path, source_url: str | None = None) -> dg.Definitions:
    """All definitions below a `defs` folder, with the platform, source links and a backfill policy for each asset.

    Args:
        defs_module: the folder's module. It is given, not searched for: a package in `site-packages` has no
            `pyproject.toml`, and the one above it may be another project's.
        root: the folder that `source_url` shows.
        source_url: address of the source on the web; None for links to the local files.
    """
    tell_selections_in_one_line()
    # Dagster warns of a parameter that it sets itself, for every check in a project of components.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    with component_tree(defs_module, root) as tree:
        try:
            found = made_once_a_run(tree.build_defs())
        except Exception as error:
            fault = _fault_in(error)
            if fault is None:
                raise
            # Dagster shows the cause last, and this one without lines of code, Python shows the error itself last.
            raise DefinitionsError(str(fault)) from fault.with_traceback(None)
    project = with_platform(with_source_links(found, root, source_url))
    # What is imported and defined stays until the process ends. Looking for garbage in it takes half a second then.
    gc.freeze()
    return project


class DefinitionsError(PlatformError):
    """The project's definitions can't be built: of a fault in its contracts or SQL, or a setting."""


def _fault_in(error: BaseException) -> PlatformError | None:
    """The error of the platform that is behind one of Dagster's, alone; None if there is none."""
    seen: BaseException | None = error
    # Dagster wraps what a component raises, with `from` or without.
    while seen is not None and not isinstance(seen, PlatformError):
        seen = seen.__cause__ or seen.__context__
    if seen is None:
        return None
    seen.__cause__, seen.__suppress_context__ = None, True
    return seen


@contextmanager
def component_tree(defs_module: ModuleType, root: Path) -> Iterator[dg.ComponentTree]:
    """The components below a `defs` folder; none is loaded yet.

    Dagster uses what it warns of, so, as in `dg.load_from_defs_folder`, its own warnings are not shown meanwhile.
    """
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning, DeprecationWarning):
            warnings.simplefilter("ignore", category)
        yield dg.ComponentTree.from_module(defs_module=defs_module, project_root=root)


def made_once_a_run(definitions: dg.Definitions) -> dg.Definitions:
    """The definitions, with the backfill policy `single_run` for unpartitioned assets that name none.

    Without partitions one run makes an asset once in any case, but `dagster asset materialize --partition-range`
    refuses a selection in which an asset does not say so.
    """
    return replace(definitions, assets=[_made_once(asset) for asset in definitions.assets or ()])


def _made_once(asset: object) -> object:
    if isinstance(asset, dg.AssetsDefinition) and asset.partitions_def is None and asset.backfill_policy is None:
        return asset.with_attributes(backfill_policy=dg.BackfillPolicy.single_run())
    return asset


def tell_selections_in_one_line() -> None:
    """Let this process end with one line where the command refuses a selection. Other errors are shown as before."""
    sys.excepthook = _show_error


def _show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    line = refused_selection(error, sys.argv)
    if line is None:
        sys.__excepthook__(kind, error, trace)
    else:
        print(f"Error: {line}", file=sys.stderr)  # noqa: T201 - it takes the place of Python's own traceback


def refused_selection(error: BaseException, arguments: list[str]) -> str | None:
    """The line for an error of the command; None for any other error.

    Args:
        error: with its traceback.
        arguments: those of the command line.
    """
    # `CheckError` is Dagster's error for any broken assumption. That it came from the command is only in its traceback.
    files = [Path(frame.filename).parts[-3:] for frame in traceback.extract_tb(error.__traceback__)]
    if not isinstance(error, dg.DagsterInvalidSubsetError | CheckError) or ASSET_COMMAND not in files:
        return None
    # Dagster has no codes for these, only words. They can't change unnoticed: tests run the command, and the package
    # admits one version of Dagster.
    text = " ".join(str(error).split()).removeprefix("Failure condition: ")
    if "no '--partition' option" in text:
        return (
            "the selected assets have partitions: add --partition 2024-01-15, or"
            " --partition-range 2024-01-15...2024-01-21 for several"
        )
    if "containing the passed partition key" in text:
        given = " ".join(_given_partitions(arguments))
        return (
            f"no asset has the partition {given}, or not all that are selected: there is one for each batch from the"
            " feed's start_date to the last one that is over"
        )
    return text


def _given_partitions(arguments: list[str]) -> list[str]:
    """What was given for the options that name partitions: `--partition KEY` or `--partition=KEY`."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    separate = [value for option, value in pairs if option in PARTITION_OPTIONS]
    return separate + [
        value
        for option, _, value in (each.partition("=") for each in arguments)
        if value and option in PARTITION_OPTIONS
    ]
